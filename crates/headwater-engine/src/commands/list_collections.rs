//! `listCollections`: what a database holds.

use super::cursors::reply_rows;
use super::{Command, Context, Flow, Needs};
use crate::aggregate::expressions::Scope;
use crate::bson::DocBuf;
use crate::catalog::view::describe_system_views;
use crate::engine::now_ms;
use crate::error::Result;
use crate::query::matcher::Matcher;

pub(super) const COMMAND: Command = Command {
    name: "listCollections",
    aliases: &[],
    help: "Lists the collections of a database",
    needs: Needs::Read,
    fields: &["authorizedCollections", "cursor", "filter", "nameOnly"],
    run,
};

fn run(context: &mut Context<'_>) -> Result<Flow> {
    let fields = context.fields();
    let name_only = fields.bool("nameOnly")?.unwrap_or(false);
    fields.bool("authorizedCollections")?;
    let mut scope = Scope::new(None, now_ms())?;
    let filter = fields.document("filter")?.map(|f| Matcher::parse(f, &mut scope)).transpose()?;
    let catalog = context.shared.catalog();
    let mut rows = Vec::new();
    let mut add = |whole: DocBuf, describe: &dyn Fn(bool) -> DocBuf| -> Result<()> {
        // A filter may name fields that `nameOnly` leaves out of the reply.
        let wanted = match &filter {
            Some(filter) => filter.matches(whole.as_doc())?,
            None => true,
        };
        if wanted {
            rows.push(if name_only { describe(true) } else { whole });
        }
        Ok(())
    };
    for collection in catalog.collections(context.db) {
        add(collection.describe(false), &|name_only| collection.describe(name_only))?;
    }
    for view in catalog.views(context.db) {
        add(view.describe(false), &|name_only| view.describe(name_only))?;
    }
    if catalog.views(context.db).next().is_some() {
        add(describe_system_views(false), &describe_system_views)?;
    }
    let namespace = format!("{}.$cmd.listCollections", context.db);
    reply_rows(context, namespace, rows)
}
