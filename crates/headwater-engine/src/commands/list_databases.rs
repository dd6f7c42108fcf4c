//! `listDatabases`: the databases that hold a collection, with their sizes.

use super::{Command, Context, Flow, Needs};
use crate::aggregate::expressions::Scope;
use crate::bson::DocWriter;
use crate::collection::load_figures;
use crate::engine::now_ms;
use crate::error::{Code, Error, Result};
use crate::query::matcher::Matcher;

pub(super) const COMMAND: Command = Command {
    name: "listDatabases",
    aliases: &[],
    help: "Lists the databases",
    needs: Needs::Read,
    fields: &["authorizedDatabases", "filter", "nameOnly"],
    run,
};

fn run(context: &mut Context<'_>) -> Result<Flow> {
    if context.db != "admin" {
        let message = "listDatabases may only be run against the admin database.";
        return Err(Error::new(Code::UNAUTHORIZED, message));
    }
    if context.mode == crate::request::Mode::Inline {
        return Ok(Flow::Busy);
    }
    let fields = context.fields();
    let name_only = fields.loose_bool("nameOnly")?.unwrap_or(false);
    fields.loose_bool("authorizedDatabases")?;
    let mut scope = Scope::new(None, now_ms())?;
    let filter = fields.document("filter")?.map(|f| Matcher::parse(f, &mut scope)).transpose()?;
    let catalog = context.shared.catalog();
    let mut rows = Vec::new();
    let mut total = 0;
    if !name_only {
        // Sizes need figures, and those the writer the first time.
        let Some(guard) = context.write()? else { return Ok(Flow::Busy) };
        for name in catalog.databases() {
            for collection in catalog.collections(name) {
                load_figures(guard.read()?, collection)?;
            }
        }
    }
    for name in catalog.databases() {
        let bytes: i64 = catalog.collections(name).map(|c| c.figures.get().1).sum();
        let mut row = DocWriter::new();
        row.str("name", name);
        if !name_only {
            row.i64("sizeOnDisk", bytes);
            row.bool("empty", bytes == 0);
        }
        let row = row.finish();
        let wanted = match &filter {
            Some(filter) => filter.matches(row.as_doc())?,
            None => true,
        };
        if wanted {
            total += bytes;
            rows.push(row);
        }
    }
    let mut reply = DocWriter::new();
    reply.array("databases", |out| rows.iter().for_each(|row| out.doc(row.as_doc())));
    if !name_only {
        reply.i64("totalSize", total);
        reply.i64("totalSizeMb", total / (1024 * 1024));
    }
    Ok(Flow::Reply(reply))
}
