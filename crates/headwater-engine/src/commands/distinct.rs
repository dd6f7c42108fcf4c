//! `distinct`: the different values of a field among the documents that match.

use super::collation::{argument, chosen};
use super::{Command, Context, Flow, Needs, views};
use crate::aggregate::expressions::Scope;
use crate::bson::key::Collate;
use crate::bson::{Doc, DocWriter};
use crate::engine::now_ms;
use crate::error::{Error, Result};
use crate::query::distinct::Distinct;
use crate::query::exec::Environment;
use crate::query::plan::{Asked, Hint, Query, Wants, choose};
use crate::query::scan::{Next, Scan};
use crate::status;

pub(super) const COMMAND: Command = Command {
    name: "distinct",
    aliases: &[],
    help: "Gives the different values of a field",
    needs: Needs::Read,
    fields: &["collation", "hint", "key", "query"],
    run,
};

fn run(context: &mut Context<'_>) -> Result<Flow> {
    let fields = context.fields();
    let namespace = context.namespace()?;
    namespace.check_dollar()?;
    let path = fields.str("key")?.ok_or_else(|| fields.missing("key"))?;
    if path.contains('\0') {
        let message = "Key field cannot contain an embedded null byte";
        return Err(Error::location(31032, message));
    }
    let filter = fields.document("query")?.unwrap_or(Doc::EMPTY);
    if context.mode == crate::request::Mode::Inline {
        return Ok(Flow::Busy);
    }
    if views::is_view(context, &namespace)? {
        let (distinct, moment) = views::distinct(context, &namespace, path)?;
        context.int_ok = true;
        return Ok(reply(&distinct, moment));
    }
    let Some(run) = context.read()? else { return Ok(Flow::Busy) };
    let collection = run.catalog.collection(namespace.db(), namespace.collection());
    let said = argument(fields)?;
    let collation = chosen(said)?.or(collection.and_then(|c| c.collation()));
    let mut query =
        Query::parse(filter, &mut Scope::new(None, now_ms())?.with_collation(collation.clone()))?;
    query.hint = Hint::argument(fields)?;
    query.asked = said.map(|said| Box::new(Asked::with_collation(said)));
    status::count(&context.shared.status.operations.query, 1);
    let mut distinct = Distinct::new(path);
    if let Some(collection) = collection {
        // MongoDB's time series are views.
        context.int_ok = collection.settings.time_series.is_some();
        let collate = collation
            .as_ref()
            .map(|collation| move |text: &str, out: &mut Vec<u8>| collation.append_key(text, out));
        let collate = collate.as_ref().map(|collate| collate as Collate<'_>);
        query.wants = Wants::Distinct(path.to_owned());
        let mut scan = Scan::new(choose(run.store(), collection, query)?.plan);
        run.scan(&mut scan, &mut |_, doc| {
            distinct.add(doc, collate)?;
            Ok(Next::Continue)
        })?;
    }
    Ok(reply(&distinct, run.cluster_time()))
}

fn reply(distinct: &Distinct, moment: Option<u64>) -> Flow {
    let mut reply = DocWriter::new();
    reply.array("values", |values| distinct.write(values));
    if let Some(time) = moment {
        reply.timestamp("atClusterTime", time);
    }
    Flow::Reply(reply)
}
