//! `distinct`: the different values of a field among the documents that match.

use std::collections::BTreeMap;

use super::collation::collation;
use super::{Command, Context, Flow, Needs};
use crate::aggregate::expressions::Scope;
use crate::bson::key::{Collate, Direction};
use crate::bson::{Doc, DocWriter, Raw, Type, key};
use crate::engine::now_ms;
use crate::error::{Error, Result};
use crate::limits::{BATCH_BYTES_MAX, STAGE_MEMORY_BYTES_MAX};
use crate::query::exec::Environment;
use crate::query::path::{Leaf, Path, Root};
use crate::query::plan::{Hint, Query, choose};
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
    let path = fields.str("key")?.ok_or_else(|| fields.missing("key"))?;
    if path.contains('\0') {
        let message = "Key field cannot contain an embedded null byte";
        return Err(Error::location(31032, message));
    }
    let path = Path::parse(path)?;
    let filter = fields.document("query")?.unwrap_or(Doc::EMPTY);
    let collation = collation(fields)?;
    if context.mode == crate::request::Mode::Inline {
        return Ok(Flow::Busy);
    }
    let mut query =
        Query::parse(filter, &mut Scope::new(None, now_ms())?.with_collation(collation.clone()))?;
    query.hint = Hint::argument(fields)?;
    status::count(&context.shared.status.operations.query, 1);
    let Some(run) = context.read()? else { return Ok(Flow::Busy) };
    let mut values: BTreeMap<Vec<u8>, (Type, Vec<u8>)> = BTreeMap::new();
    let mut bytes = 0;
    if let Some(collection) = run.catalog.collection(namespace.db(), namespace.collection()) {
        let mut scan = Scan::new(choose(collection, query)?.plan);
        run.scan(&mut scan, &mut |_, doc| {
            let mut add = |value: Raw<'_>| {
                let collate = collation.as_ref().map(|collation| {
                    move |text: &str, out: &mut Vec<u8>| collation.append_key(text, out)
                });
                let collate = collate.as_ref().map(|collate| collate as Collate<'_>);
                let mut encoded = Vec::new();
                key::append_with(&mut encoded, value, Direction::Ascending, collate);
                bytes += encoded.len();
                values.entry(encoded).or_insert_with(|| (value.kind, value.data.to_vec()));
            };
            path.walk(Root::Doc(doc), Leaf::Whole, &mut |value, _| {
                match value.map(|value| (value, value.as_array())) {
                    None => {}
                    Some((value, None)) => add(value),
                    Some((_, Some(array))) => array.iter().for_each(&mut add),
                }
                Ok(false)
            })?;
            if bytes > STAGE_MEMORY_BYTES_MAX {
                return Err(Error::location(17217, "distinct too big, 16mb cap"));
            }
            Ok(Next::Continue)
        })?;
    }
    let mut reply = DocWriter::new();
    reply.array("values", |out| {
        for (kind, data) in values.values() {
            out.raw(Raw { kind: *kind, data });
        }
    });
    if reply.len() > BATCH_BYTES_MAX {
        return Err(Error::location(17217, "distinct too big, 16mb cap"));
    }
    Ok(Flow::Reply(reply))
}
