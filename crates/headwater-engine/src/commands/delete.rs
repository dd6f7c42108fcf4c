//! `delete`: removes documents that match.

use std::sync::Arc;

use super::collation::{argument, chosen};
use super::write::{Statement, WriteReply};
use super::{Command, Context, Fields, Flow, Needs};
use crate::aggregate::expressions::{Scope, bson_text};
use crate::bson::{Doc, DocBuf, Number, Raw, Type};
use crate::catalog::Collection;
use crate::change::event::{EventWriter, Kind};
use crate::collection::{self, RecordId};
use crate::engine::{WriteGuard, now_ms};
use crate::error::{Code, Error, Result};
use crate::query::exec::Environment;
use crate::query::plan::{Hint, Query, choose};
use crate::query::run::Run;
use crate::query::scan::{Next, Scan};
use crate::session::retry::Outcome;
use crate::status;

pub(super) const COMMAND: Command = Command {
    name: "delete",
    aliases: &[],
    help: "Removes documents from a collection",
    needs: Needs::Write,
    fields: &["deletes", "let", "ordered", "stmtId", "stmtIds"],
    run,
};

/// Documents that are found in one go before they are removed.
const CHUNK: usize = 1000;

fn run(context: &mut Context<'_>) -> Result<Flow> {
    let fields = context.fields();
    let namespace = context.namespace()?;
    let ordered = fields.bool("ordered")?.unwrap_or(true);
    let variables = fields.document("let")?;
    let statements: Vec<_> =
        context.batch("deletes")?.into_iter().map(Delete::parse).collect::<Result<_>>()?;
    let short = statements.iter().all(|delete| delete.is_short());
    if context.mode == crate::request::Mode::Inline && !(short && statements.len() <= 16) {
        return Ok(Flow::Busy);
    }
    let Some(mut guard) = context.write()? else { return Ok(Flow::Busy) };
    let mut retry = context.retry(&guard)?;
    let catalog = guard.catalog();
    let collection = catalog.collection(namespace.db(), namespace.collection()).cloned();
    let mut reply = WriteReply::default();
    status::count(&context.shared.status.operations.delete, statements.len());
    for (at, delete) in statements.iter().enumerate() {
        let statement = context.statement(at)?;
        if let Some(done) = retry.as_ref().and_then(|retry| retry.done(statement)) {
            reply.retried(statement);
            reply.n += done.n;
            continue;
        }
        let default = collection.as_ref().and_then(|collection| collection.collation());
        let removed = chosen(delete.collation).and_then(|chosen| {
            let mut scope = Scope::collated(variables, now_ms(), chosen.or(default))?;
            let query = delete.query(&mut scope)?;
            let Some(collection) = &collection else { return Ok(0) };
            if delete.one {
                remove_one(context, &mut guard, collection, query, &mut retry, statement)
            } else if context.transaction.is_some() {
                Err(multi_with_transaction())
            } else {
                remove_many(context, &mut guard, collection, query)
            }
        });
        match removed {
            Ok(removed) => reply.n += removed,
            Err(error) => {
                reply.fail(at, &error);
                if ordered {
                    break;
                }
            }
        }
    }
    context.wrote(guard.last());
    drop(guard);
    Ok(Flow::Written(reply.finish_insert()))
}

/// The error for a statement on many documents that is sent as a retryable write.
pub(super) fn multi_with_transaction() -> Error {
    Error::new(Code::INVALID_OPTIONS, "Cannot use (or request) retryable writes with multi=true")
}

/// One entry of `deletes`.
struct Delete<'a> {
    filter: Doc<'a>,
    one: bool,
    hint: Option<Hint>,
    collation: Option<Doc<'a>>,
}

impl<'a> Delete<'a> {
    fn parse(doc: Doc<'a>) -> Result<Delete<'a>> {
        let fields = Fields::new(doc, "delete.deletes");
        fields.only(&["collation", "hint", "limit", "q", "sampleId"])?;
        let filter = fields.document("q")?.ok_or_else(|| fields.missing("q"))?;
        let limit = fields.get("limit").ok_or_else(|| fields.missing("limit"))?;
        let one = match Number::from_raw(limit).map(Number::to_f64) {
            Some(0.0) => false,
            Some(1.0) => true,
            _ => {
                let shown = bson_text(limit);
                return Err(Error::new(
                    Code::FAILED_TO_PARSE,
                    format!("The limit field in delete objects must be 0 or 1. Got {shown}"),
                ));
            }
        };
        let collation = argument(fields)?;
        Ok(Delete { filter, one, collation, hint: Hint::argument(fields)? })
    }

    fn is_short(&self) -> bool {
        self.hint.is_none() && self.collation.is_none() && is_by_id(self.filter)
    }

    fn query(&self, scope: &mut Scope) -> Result<Query> {
        let mut query = Query::parse(self.filter, scope)?;
        query.hint = self.hint.clone();
        Ok(query)
    }
}

/// Whether a filter names a plain `_id`, so that its statement is short work.
pub(super) fn is_by_id(filter: Doc<'_>) -> bool {
    filter
        .get("_id")
        .is_some_and(|id| !matches!(id.kind, Type::Document | Type::Array | Type::Regex))
}

/// Finds up to `most` documents for a write, as the writer sees them.
///
/// # Errors
/// Those of the scan.
pub(super) fn find_for_write(
    context: &Context<'_>,
    guard: &WriteGuard<'_>,
    scan: &mut Scan,
    most: usize,
) -> Result<Vec<(RecordId, DocBuf)>> {
    let run = Run::writing(context.shared, guard.catalog(), guard.read()?, context.deadline);
    let mut found = Vec::new();
    run.check()?;
    run.scan(scan, &mut |record, doc| {
        found.push((record, doc.to_buf()));
        Ok(if found.len() == most { Next::Stop } else { Next::Continue })
    })?;
    Ok(found)
}

fn remove_one(
    context: &Context<'_>,
    guard: &mut WriteGuard<'_>,
    collection: &Arc<Collection>,
    query: Query,
    retry: &mut Option<Statement>,
    statement: i32,
) -> Result<i32> {
    let mut scan = Scan::for_write(choose(collection, query)?.plan);
    let found = find_for_write(context, guard, &mut scan, 1)?;
    let Some((record, doc)) = found.first() else { return Ok(0) };
    let outcome = Outcome { n: 1, ..Outcome::default() };
    remove_document(guard, collection, *record, doc.as_doc(), retry, statement, outcome)?;
    Ok(1)
}

fn remove_many(
    context: &Context<'_>,
    guard: &mut WriteGuard<'_>,
    collection: &Arc<Collection>,
    query: Query,
) -> Result<i32> {
    let mut scan = Scan::for_write(choose(collection, query)?.plan);
    let mut removed = 0;
    while !scan.is_done() {
        for (record, doc) in find_for_write(context, guard, &mut scan, CHUNK)? {
            let outcome = Outcome::default();
            remove_document(guard, collection, record, doc.as_doc(), &mut None, 0, outcome)?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Removes one document with its event.
///
/// # Errors
/// Those of the store.
pub(super) fn remove_document(
    guard: &mut WriteGuard<'_>,
    collection: &Collection,
    record: RecordId,
    doc: Doc<'_>,
    retry: &mut Option<Statement>,
    statement: i32,
    outcome: Outcome,
) -> Result<()> {
    let kind = collection.kind_of(Kind::Delete);
    let mut event = EventWriter::new(kind, &collection.namespace, Some(&collection.uuid), now_ms());
    event.document_key(doc.get("_id").unwrap_or(Raw::NULL));
    guard.operation(retry, statement, outcome, event, |op| {
        collection::remove(op, collection, record, doc)
    })?;
    collection.figures.add(-1, -(doc.as_bytes().len() as i64));
    Ok(())
}
