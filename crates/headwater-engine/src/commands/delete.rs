//! `delete`: removes documents that match.

use super::collation::{argument, scope_of};
use super::collection_uuid;
use super::inline::filter_computes;
use super::update::check_sample_id;
use super::write::chunks::{self, Pace};
use super::write::first::{First, Search};
use super::write::turns::Turn;
use super::write::{Statement, WriteReply};
use super::{Command, Context, Fields, Flow, Needs};
use crate::aggregate::expressions::bson_text;
use crate::bson::{Doc, Number, Raw, Type};
use crate::catalog::Collection;
use crate::change::event::{EventWriter, Kind};
use crate::collection::{self, RecordId};
use crate::engine::{WriteGuard, now_ms};
use crate::error::{Code, Error, Result};
use crate::namespace::Namespace;
use crate::query::plan::tree::Plan;
use crate::query::plan::{Chosen, Hint, Query, choose};
use crate::session::retry::Outcome;
use crate::status;

pub(super) const COMMAND: Command = Command {
    name: "delete",
    aliases: &[],
    help: "Removes documents from a collection",
    needs: Needs::Write,
    fields: &["collectionUUID", "deletes", "let", "ordered", "stmtId", "stmtIds"],
    run,
};

/// What MongoDB puts before errors of a running delete.
const PREFIX: &str = "Plan executor error during delete :: caused by :: ";

fn run(context: &mut Context<'_>) -> Result<Flow> {
    let fields = context.fields();
    let namespace = context.write_target()?;
    let ordered = fields.bool("ordered")?.unwrap_or(true);
    let variables = fields.document("let")?;
    let uuid = collection_uuid::asked(fields)?;
    let statements: Vec<_> =
        context.batch("deletes")?.into_iter().map(Delete::parse).collect::<Result<_>>()?;
    context.check_statements(statements.len())?;
    let short = statements.iter().all(|delete| delete.is_short()) && variables.is_none();
    if context.mode == crate::request::Mode::Inline && !(short && statements.len() <= 16) {
        return Ok(Flow::Busy);
    }
    let Some(mut guard) = context.write()? else { return Ok(Flow::Busy) };
    let mut retry = context.retry(&guard)?;
    let mut turn = Turn::begin();
    let mut reply = WriteReply::default();
    status::count(&context.shared.status.operations.delete, statements.len());
    for (at, delete) in statements.iter().enumerate() {
        turn.end_if_over(context, &mut guard, retry.as_ref())?;
        let statement = context.statement(at)?;
        if let Some(done) = retry.as_ref().and_then(|retry| retry.done(statement)) {
            reply.retried(statement);
            reply.n += done.n;
            continue;
        }
        let removed = collection_uuid::check_write(&guard, &namespace, uuid).and_then(|()| {
            run_entry(context, &mut guard, &namespace, delete, variables, &mut retry, statement)
        });
        match removed {
            Ok(removed) => reply.n += removed,
            Err(error) if error.is_interruption() => return Err(error),
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

/// Runs one statement; gives the number of documents that it removed.
///
/// # Errors
/// Those of compiling, finding and storing.
pub(super) fn run_entry(
    context: &Context<'_>,
    guard: &mut WriteGuard<'_>,
    namespace: &Namespace,
    delete: &Delete<'_>,
    variables: Option<Doc<'_>>,
    retry: &mut Option<Statement>,
    statement: i32,
) -> Result<i32> {
    let catalog = guard.catalog();
    catalog.refuse_view(namespace)?;
    let collection = catalog.collection(namespace.db(), namespace.collection());
    let query = delete.compile(collection.map(|collection| &**collection), variables, false)?;
    let Some(collection) = collection else { return Ok(0) };
    if !delete.one && context.transaction.is_some() {
        return Err(multi_with_transaction());
    }
    let chosen = choose(guard.read()?, collection, query)?;
    let removed = match delete.one {
        true => remove_one(context, guard, chosen, retry, statement),
        false => remove_many(context, guard, chosen.plan),
    };
    removed.map_err(|error| error.with_prefix(PREFIX))
}

/// The error for a statement on many documents that is sent as a retryable write.
pub(super) fn multi_with_transaction() -> Error {
    Error::new(Code::INVALID_OPTIONS, "Cannot use (or request) retryable writes with multi=true")
}

/// One statement: an entry of `deletes`, or an operation of `bulkWrite`.
pub(super) struct Delete<'a> {
    filter: Doc<'a>,
    one: bool,
    hint: Option<Hint>,
    collation: Option<Doc<'a>>,
}

impl<'a> Delete<'a> {
    /// Reads a statement of `delete`.
    ///
    /// # Errors
    /// Unknown fields, wrong types, `FailedToParse` (9).
    pub(super) fn parse(doc: Doc<'a>) -> Result<Delete<'a>> {
        let fields = Fields::new(doc, "delete.deletes");
        fields.only(&["collation", "hint", "limit", "q", "sampleId"])?;
        let filter = fields.document("q")?.ok_or_else(|| fields.missing("q"))?;
        let limit = fields.raw("limit").ok_or_else(|| fields.missing("limit"))?;
        // What is no number is taken for 0.
        let one = match Number::from_raw(limit).map(Number::to_f64) {
            None | Some(0.0) => false,
            Some(1.0) => true,
            _ => {
                let shown = bson_text(limit);
                return Err(Error::new(
                    Code::FAILED_TO_PARSE,
                    format!("The limit field in delete objects must be 0 or 1. Got {shown}"),
                ));
            }
        };
        Delete::read(fields, filter, one)
    }

    /// Reads the fields that a statement has beside its filter and its limit.
    ///
    /// # Errors
    /// Wrong types and what is no collation or hint.
    pub(super) fn read(fields: Fields<'a>, filter: Doc<'a>, one: bool) -> Result<Delete<'a>> {
        check_sample_id(fields)?;
        let collation = argument(fields)?;
        Ok(Delete { filter, one, collation, hint: Hint::argument(fields)? })
    }

    /// Which documents it removes.
    pub(super) fn filter(&self) -> Doc<'a> {
        self.filter
    }

    /// Whether it may remove many documents.
    pub(super) fn is_multi(&self) -> bool {
        !self.one
    }

    fn is_short(&self) -> bool {
        self.hint.is_none()
            && self.collation.is_none()
            && is_by_id(self.filter)
            && !filter_computes(self.filter)
    }

    /// The query for what it removes. Unless the filter is `shown`, one value of an indexed field stands for it.
    ///
    /// # Errors
    /// Those of parsing the filter.
    pub(super) fn compile(
        &self,
        collection: Option<&Collection>,
        variables: Option<Doc<'_>>,
        shown: bool,
    ) -> Result<Query> {
        let mut scope = scope_of(collection, self.collation, variables)?;
        if self.hint.is_none() {
            let order = scope.order().clone();
            return Query::express(self.filter, &order, collection, !shown, || Ok(scope));
        }
        let mut query = Query::parse(self.filter, &mut scope)?;
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

fn remove_one(
    context: &Context<'_>,
    guard: &mut WriteGuard<'_>,
    chosen: Chosen,
    retry: &mut Option<Statement>,
    statement: i32,
) -> Result<i32> {
    let search = Search { context, retry: retry.as_ref(), statement };
    let found = match search.first(guard, chosen, None)? {
        First::Nothing => return Ok(0),
        First::Done(outcome) => return Ok(outcome.n),
        First::Document(found) => found,
    };
    let (collection, doc) = (&found.collection, found.document.as_doc());
    let outcome = Outcome { n: 1, ..Outcome::default() };
    remove_document(guard, collection, found.record, doc, retry, statement, outcome)?;
    Ok(1)
}

fn remove_many(context: &Context<'_>, guard: &mut WriteGuard<'_>, plan: Plan) -> Result<i32> {
    let mut removed = 0;
    chunks::for_each(context, guard, plan, Pace::Batched, |guard, collection, record, doc| {
        let outcome = Outcome::default();
        remove_document(guard, collection, record, doc, &mut None, 0, outcome)?;
        removed += 1;
        Ok(())
    })?;
    Ok(removed)
}

/// Removes one document with its event.
///
/// # Errors
/// Those of the store.
pub(crate) fn remove_document(
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
    if collection.settings.images {
        event.image(doc);
    }
    guard.operation(retry, statement, outcome, event, |op| {
        collection::remove(op, collection, record, doc)
    })?;
    collection.figures.add(-1, -(doc.as_bytes().len() as i64));
    Ok(())
}
