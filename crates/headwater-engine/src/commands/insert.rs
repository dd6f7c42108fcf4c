//! `insert`: adds documents, each one atomically with its index entries and its event.

use std::sync::Arc;

use super::capped;
use super::collection_uuid;
use super::create::create_collection;
use super::time_series::measurement;
use super::write::turns::Turn;
use super::write::{Statement, WriteReply, open_for_writing};
use super::{Command, Context, Flow, Needs};
use crate::bson::{Doc, DocBuf, DocWriter, Raw, Type, View};
use crate::catalog::Collection;
use crate::change::event::{EventWriter, Kind};
use crate::collection::{self, load_next_record};
use crate::engine::{Shared, WriteGuard, now_ms};
use crate::error::{Code, Error, Result};
use crate::limits::{DEPTH_MAX, DOCUMENT_BYTES_MAX};
use crate::namespace::Namespace;
use crate::object_id::ObjectIds;
use crate::session::retry::Outcome;
use crate::status;

/// Documents of one command that are added while other commands wait their turn on this thread.
const INLINE_BYTES_MAX: usize = 64 * 1024;

/// Documents between two looks whether the command is to end.
const CHECK_EVERY: usize = 64;

pub(super) const COMMAND: Command = Command {
    name: "insert",
    aliases: &[],
    help: "Adds documents to a collection",
    needs: Needs::Write,
    fields: &[
        "bypassDocumentValidation",
        "collectionUUID",
        "documents",
        "ordered",
        "stmtId",
        "stmtIds",
    ],
    run,
};

fn run(context: &mut Context<'_>) -> Result<Flow> {
    let fields = context.fields();
    let namespace = context.write_target()?;
    let ordered = fields.bool("ordered")?.unwrap_or(true);
    let unvalidated = fields.loose_bool("bypassDocumentValidation")?.unwrap_or(false);
    let uuid = collection_uuid::asked(fields)?;
    let documents = context.batch("documents")?;
    context.check_statements(documents.len())?;
    let inline =
        documents.iter().map(|doc| doc.as_bytes().len()).sum::<usize>() <= INLINE_BYTES_MAX;
    if context.mode == crate::request::Mode::Inline && !inline {
        return Ok(Flow::Busy);
    }
    let Some(mut guard) = context.write()? else { return Ok(Flow::Busy) };
    guard.unvalidated = unvalidated;
    let mut retry = context.retry(&guard)?;
    if context.mode == crate::request::Mode::Inline && must_count(&guard, &namespace) {
        return Ok(Flow::Busy);
    }
    status::count(&context.shared.status.operations.insert, documents.len());
    let mut reply = WriteReply::default();
    let mut place = Place::new(&namespace);
    let mut turn = Turn::begin();
    let interrupt = context.interrupt();
    for (at, doc) in documents.iter().enumerate() {
        if at % CHECK_EVERY == 0 {
            interrupt.check()?;
            if turn.end_if_over(context, &mut guard, retry.as_ref())? {
                place = Place::new(&namespace);
            }
        }
        let statement = context.statement(at)?;
        if retry.as_ref().and_then(|retry| retry.done(statement)).is_some() {
            reply.retried(statement);
            reply.n += 1;
            continue;
        }
        let added = collection_uuid::check_write(&guard, &namespace, uuid).and_then(|()| {
            insert_one(context, &mut guard, &mut place, *doc, &mut retry, statement)
        });
        match added {
            Ok(()) => reply.n += 1,
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

/// Where documents go while one guard is held: the collection is looked up or made when the first one comes.
pub(super) struct Place<'n> {
    namespace: &'n Namespace,
    collection: Option<Arc<Collection>>,
}

impl<'n> Place<'n> {
    /// The collection of that name.
    pub(super) fn new(namespace: &'n Namespace) -> Place<'n> {
        Place { namespace, collection: None }
    }

    /// The collection, if it is there already.
    fn look(&mut self, guard: &WriteGuard<'_>) -> Option<&Arc<Collection>> {
        if self.collection.is_none() {
            let catalog = guard.catalog();
            let (db, name) = (self.namespace.db(), self.namespace.collection());
            self.collection = catalog.collection(db, name).cloned();
        }
        self.collection.as_ref()
    }

    fn open(&mut self, context: &Context<'_>, guard: &mut WriteGuard<'_>) -> Result<&Collection> {
        let collection = match self.collection.take() {
            Some(collection) => {
                load_next_record(guard.read()?, &collection)?;
                collection
            }
            None => open_for_writing(context, guard, self.namespace)?,
        };
        Ok(self.collection.insert(collection))
    }
}

/// Whether adding a document needs figures of a capped collection that are not counted yet.
fn must_count(guard: &WriteGuard<'_>, namespace: &Namespace) -> bool {
    let catalog = guard.catalog();
    catalog
        .collection(namespace.db(), namespace.collection())
        .is_some_and(|there| there.settings.capped.is_some() && !there.figures.is_loaded())
}

/// Adds one document as it came.
///
/// # Errors
/// Those of [`prepare`] and [`insert_document`].
pub(super) fn insert_one(
    context: &Context<'_>,
    guard: &mut WriteGuard<'_>,
    place: &mut Place<'_>,
    doc: Doc<'_>,
    retry: &mut Option<Statement>,
    statement: i32,
) -> Result<()> {
    let series = place.look(guard).and_then(|there| there.settings.time_series.as_ref());
    let prepared = match series {
        Some(series) => Some(measurement(series, doc)?),
        None => prepare(doc, &context.shared.node.ids)?,
    };
    let doc = prepared.as_ref().map_or(doc, DocBuf::as_doc);
    let collection = place.open(context, guard)?;
    let outcome = Outcome { n: 1, ..Outcome::default() };
    insert_document(guard, collection, doc, retry, statement, outcome)
}

/// Adds a document that the node keeps of itself, whose collection is made with `options` if it is not there.
///
/// # Errors
/// Those of the store.
pub(crate) fn insert_kept(
    shared: &Shared,
    guard: &mut WriteGuard<'_>,
    namespace: &Namespace,
    options: &dyn Fn() -> DocBuf,
    doc: Doc<'_>,
) -> Result<()> {
    let there = guard.catalog().collection(namespace.db(), namespace.collection()).cloned();
    let collection = match there {
        Some(collection) => collection,
        None => create_collection(shared, guard, namespace, options())?,
    };
    load_next_record(guard.read()?, &collection)?;
    insert_document(guard, &collection, doc, &mut None, 0, Outcome::default())
}

/// Adds one prepared document with its event.
///
/// # Errors
/// `DocumentValidationFailure` (121); those of [`collection::insert`].
pub(super) fn insert_document(
    guard: &mut WriteGuard<'_>,
    collection: &Collection,
    doc: Doc<'_>,
    retry: &mut Option<Statement>,
    statement: i32,
    outcome: Outcome,
) -> Result<()> {
    guard.validate(collection, None, doc)?;
    capped::prepare(guard, collection)?;
    let kind = collection.kind_of(Kind::Insert);
    let event = EventWriter::new(kind, &collection.namespace, Some(&collection.uuid), now_ms());
    guard.operation(retry, statement, outcome, event, |op| {
        collection::insert(op, collection, doc).map(drop)
    })?;
    collection.figures.add(1, doc.as_bytes().len() as i64);
    capped::evict(guard, collection)
}

/// A document as it is stored: `_id` first, made if it is missing; a zero timestamp at the top becomes the time. `None` if
/// it is already as it must be.
///
/// # Errors
/// `BSONObjectTooLarge` (10334), `Overflow` (15), `InvalidIdField` (53), `DollarPrefixedFieldName` (52).
pub(super) fn prepare(doc: Doc<'_>, ids: &ObjectIds) -> Result<Option<DocBuf>> {
    let len = doc.as_bytes().len();
    if len > DOCUMENT_BYTES_MAX {
        return Err(Error::new(
            Code::BSON_OBJECT_TOO_LARGE,
            format!(
                "object to insert too large. size in bytes: {len}, max size: {DOCUMENT_BYTES_MAX}"
            ),
        ));
    }
    if is_deeper(doc, DEPTH_MAX) {
        return Err(Error::new(
            Code::OVERFLOW,
            format!("cannot insert document because it exceeds {DEPTH_MAX} levels of nesting"),
        ));
    }
    let mut id = None;
    let mut zero_time = false;
    for element in doc {
        if element.name == b"_id" {
            check_id(element.value)?;
            id = id.or(Some(element.value));
        } else if let View::Timestamp(0) = element.value.view() {
            zero_time = true;
        }
    }
    let first = doc.first().is_some_and(|e| e.name == b"_id");
    if first && !zero_time {
        return Ok(None);
    }
    let mut out = DocWriter::new();
    match id {
        Some(id) => out.raw("_id", id),
        None => out.object_id("_id", ids.next()),
    }
    for element in doc.iter().filter(|e| e.name != b"_id") {
        match element.value.view() {
            View::Timestamp(0) => out.timestamp(element.name_str(), crate::engine::clock_floor()),
            _ => out.raw_bytes(element.name, element.value),
        }
    }
    Ok(Some(out.finish()))
}

/// Checks that a value may be an `_id`.
///
/// # Errors
/// `InvalidIdField` (53), `DollarPrefixedFieldName` (52).
pub(super) fn check_id(id: Raw<'_>) -> Result<()> {
    if matches!(id.kind, Type::Array | Type::Regex | Type::Undefined) {
        let kind = id.kind.alias();
        let message = format!("The '_id' value cannot be of type {kind}");
        return Err(Error::new(Code::INVALID_ID_FIELD, message));
    }
    id.as_doc().map_or(Ok(()), check_id_names)
}

fn check_id_names(doc: Doc<'_>) -> Result<()> {
    for element in doc {
        let name = element.name_str();
        if name.starts_with('$') {
            return Err(Error::new(
                Code::DOLLAR_PREFIXED_FIELD_NAME,
                format!(
                    "_id fields may not contain '$'-prefixed fields: {name} is not valid for storage."
                ),
            ));
        }
        if let Some(inner) = element.value.as_doc() {
            check_id_names(inner)?;
        }
    }
    Ok(())
}

/// Whether a document nests deeper than `left` levels.
pub(super) fn is_deeper(doc: Doc<'_>, left: usize) -> bool {
    left == 0
        || doc.iter().any(|e| match e.value.kind {
            Type::Document | Type::Array => is_deeper(Doc::trusted(e.value.data), left - 1),
            _ => false,
        })
}
