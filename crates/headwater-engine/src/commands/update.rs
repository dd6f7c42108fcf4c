//! `update`: changes documents that match, or inserts one when none does.

use std::sync::Arc;

use super::collation::{argument, chosen};
use super::delete::{find_for_write, is_by_id, multi_with_transaction};
use super::find::set_order;
use super::insert::{check_id, insert_document};
use super::time_series::{self, Asked};
use super::write::{Statement, WriteReply, open_for_writing};
use super::{Command, Context, Fields, Flow, Needs};
use crate::aggregate::expressions::Scope;
use crate::aggregate::pipeline::check_names;
use crate::bson::{Array, Doc, DocBuf, DocWriter, Raw};
use crate::catalog::Collection;
use crate::change::event::{EventWriter, Kind};
use crate::collection::{self, RecordId};
use crate::engine::{WriteGuard, clock_floor, now_ms};
use crate::error::{Code, Error, Result};
use crate::namespace::Namespace;
use crate::query::matcher::Matcher;
use crate::query::plan::{Hint, Query, choose};
use crate::query::scan::Scan;
use crate::query::sort::SortPattern;
use crate::session::retry::Outcome;
use crate::status;
use crate::update::{self, Now, Update, UpdateOptions};

/// What MongoDB puts before errors of a running update.
const PREFIX: &str = "Plan executor error during update :: caused by :: ";

/// Documents that are found in one go before they are changed.
const CHUNK: usize = 1000;

pub(super) const COMMAND: Command = Command {
    name: "update",
    aliases: &[],
    help: "Changes documents of a collection",
    needs: Needs::Write,
    fields: &["bypassDocumentValidation", "let", "ordered", "stmtId", "stmtIds", "updates"],
    run,
};

fn run(context: &mut Context<'_>) -> Result<Flow> {
    let fields = context.fields();
    let namespace = context.namespace()?;
    let ordered = fields.bool("ordered")?.unwrap_or(true);
    let unvalidated = fields.loose_bool("bypassDocumentValidation")?.unwrap_or(false);
    let variables = fields.document("let")?;
    let statements: Vec<_> =
        context.batch("updates")?.into_iter().map(Entry::parse).collect::<Result<_>>()?;
    let short = statements.iter().all(|entry| is_by_id(entry.filter) && entry.hint.is_none());
    if context.mode == crate::request::Mode::Inline && !(short && statements.len() <= 16) {
        return Ok(Flow::Busy);
    }
    let Some(mut guard) = context.write()? else { return Ok(Flow::Busy) };
    guard.unvalidated = unvalidated;
    let mut retry = context.retry(&guard)?;
    let mut reply = WriteReply::default();
    status::count(&context.shared.status.operations.update, statements.len());
    for (at, entry) in statements.iter().enumerate() {
        let statement = context.statement(at)?;
        let outcome = match retry.as_ref().and_then(|retry| retry.done(statement)) {
            Some(done) => {
                reply.retried(statement);
                Ok(done)
            }
            None if entry.multi && context.transaction.is_some() => Err(multi_with_transaction()),
            None => {
                run_entry(context, &mut guard, &namespace, entry, variables, &mut retry, statement)
            }
        };
        match outcome {
            Ok(outcome) => {
                reply.n += outcome.n;
                reply.modified += outcome.modified;
                if let Some(id) = outcome.upserted {
                    reply.upserted.push((at, id));
                }
            }
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
    // MongoDB counts the stages of all statements when they are done; an unknown one fails the command, and what the
    // other statements did stays.
    let pipelines = statements.iter().filter_map(|entry| entry.update.as_array());
    pipelines.into_iter().try_for_each(check_names)?;
    Ok(Flow::Written(reply.finish_update()))
}

/// One entry of `updates`.
struct Entry<'a> {
    filter: Doc<'a>,
    update: Raw<'a>,
    constants: Option<Doc<'a>>,
    array_filters: Option<Array<'a>>,
    sort: Doc<'a>,
    multi: bool,
    upsert: bool,
    hint: Option<Hint>,
    collation: Option<Doc<'a>>,
}

const ENTRY_FIELDS: &[&str] = &[
    "allowShardKeyUpdatesWithoutFullShardKeyInQuery",
    "arrayFilters",
    "c",
    "collation",
    "hint",
    "multi",
    "q",
    "sampleId",
    "sort",
    "u",
    "upsert",
    "upsertSupplied",
];

impl<'a> Entry<'a> {
    fn parse(doc: Doc<'a>) -> Result<Entry<'a>> {
        let fields = Fields::new(doc, "update.updates");
        fields.only(ENTRY_FIELDS)?;
        let filter = fields.document("q")?.ok_or_else(|| fields.missing("q"))?;
        let update = fields.raw("u").ok_or_else(|| fields.missing("u"))?;
        if update.as_doc().is_none() && update.as_array().is_none() {
            let message = "Update argument must be either an object or an array";
            return Err(Error::new(Code::FAILED_TO_PARSE, message));
        }
        let collation = argument(fields)?;
        let entry = Entry {
            filter,
            update,
            constants: fields.document("c")?,
            array_filters: fields.array("arrayFilters")?,
            sort: fields.document("sort")?.unwrap_or(Doc::EMPTY),
            multi: fields.bool("multi")?.unwrap_or(false),
            upsert: fields.bool("upsert")?.unwrap_or(false),
            hint: Hint::argument(fields)?,
            collation,
        };
        if entry.multi && !entry.sort.is_empty() {
            let message = "Cannot specify sort with multi=true";
            return Err(Error::new(Code::FAILED_TO_PARSE, message));
        }
        Ok(entry)
    }
}

fn run_entry(
    context: &Context<'_>,
    guard: &mut WriteGuard<'_>,
    namespace: &Namespace,
    entry: &Entry<'_>,
    variables: Option<Doc<'_>>,
    retry: &mut Option<Statement>,
    statement: i32,
) -> Result<Outcome> {
    let catalog = guard.catalog();
    let collection = catalog.collection(namespace.db(), namespace.collection()).cloned();
    let default = collection.as_ref().and_then(|collection| collection.collation());
    let collation = chosen(entry.collation)?.or(default);
    let scope = Scope::collated(variables, now_ms(), collation)?;
    let options = UpdateOptions {
        scope: Some(&scope),
        multi: entry.multi,
        upsert: entry.upsert,
        array_filters: entry.array_filters,
        constants: entry.constants,
    };
    if entry.upsert {
        update::check_upsert_filter(entry.filter)?;
    }
    let update = Update::parse(entry.update, &options)?;
    let mut query = Query::parse(entry.filter, &mut scope.clone())?;
    query.hint = entry.hint.clone();
    set_order(&mut query, entry.sort)?;
    let now = now();
    if let Some(collection) = &collection {
        if let Some(series) = &collection.settings.time_series {
            let Entry { filter, update, multi, upsert, .. } = *entry;
            time_series::check_update(series, &Asked { filter, update, multi, upsert })?;
        }
        let found = if entry.multi {
            change_many(context, guard, collection, query, &update, &now)
        } else {
            change_one(context, guard, collection, query, &update, &now, retry, statement)
        };
        let found = found.map_err(|error| error.with_prefix(PREFIX))?;
        if found.n > 0 || !entry.upsert {
            return Ok(found);
        }
    } else if !entry.upsert {
        return Ok(Outcome::default());
    }
    let collection = open_for_writing(context, guard, namespace)?;
    let (id, _) =
        upsert(context, guard, &collection, &update, entry.filter, retry, statement, |id, _| {
            Outcome { n: 1, upserted: Some(id.clone()), ..Outcome::default() }
        })
        .map_err(|error| error.with_prefix(PREFIX))?;
    Ok(Outcome { n: 1, upserted: Some(id), ..Outcome::default() })
}

/// The moment that an update happens.
pub(super) fn now() -> Now {
    Now { ms: now_ms(), timestamp: clock_floor() }
}

#[allow(clippy::too_many_arguments)]
fn change_one(
    context: &Context<'_>,
    guard: &mut WriteGuard<'_>,
    collection: &Arc<Collection>,
    query: Query,
    update: &Update,
    now: &Now,
    retry: &mut Option<Statement>,
    statement: i32,
) -> Result<Outcome> {
    let matcher = query.matcher.clone();
    let Some((record, doc)) = find_first(context, guard, collection, query)? else {
        return Ok(Outcome::default());
    };
    let doc = doc.as_doc();
    let new = apply(update, matcher.as_deref(), doc, now)?;
    let outcome = Outcome { n: 1, modified: i32::from(new.is_some()), ..Outcome::default() };
    if let Some(new) = &new {
        store_change(guard, collection, record, doc, new, retry, statement, outcome.clone())?;
    }
    Ok(outcome)
}

/// The first document of a query in its order, as the writer sees it.
///
/// # Errors
/// Those of planning and scanning.
pub(super) fn find_first(
    context: &Context<'_>,
    guard: &WriteGuard<'_>,
    collection: &Arc<Collection>,
    query: Query,
) -> Result<Option<(RecordId, DocBuf)>> {
    let sort = query.sort.clone();
    let chosen = choose(collection, query)?;
    let sorted = chosen.sorted;
    let mut scan = Scan::for_write(chosen.plan);
    match sort {
        Some(pattern) if !sorted => first_by(context, guard, &mut scan, &pattern),
        _ => Ok(find_for_write(context, guard, &mut scan, 1)?.pop()),
    }
}

fn first_by(
    context: &Context<'_>,
    guard: &WriteGuard<'_>,
    scan: &mut Scan,
    pattern: &SortPattern,
) -> Result<Option<(RecordId, DocBuf)>> {
    let mut best: Option<(Vec<u8>, RecordId, DocBuf)> = None;
    while !scan.is_done() {
        for (record, doc) in find_for_write(context, guard, scan, CHUNK)? {
            let mut key = Vec::new();
            pattern.write_key(doc.as_doc(), &mut key)?;
            if best.as_ref().is_none_or(|(first, ..)| key < *first) {
                best = Some((key, record, doc));
            }
        }
    }
    Ok(best.map(|(_, record, doc)| (record, doc)))
}

fn change_many(
    context: &Context<'_>,
    guard: &mut WriteGuard<'_>,
    collection: &Arc<Collection>,
    query: Query,
    update: &Update,
    now: &Now,
) -> Result<Outcome> {
    let matcher = query.matcher.clone();
    let mut scan = Scan::for_write(choose(collection, query)?.plan);
    let mut outcome = Outcome::default();
    while !scan.is_done() {
        for (record, doc) in find_for_write(context, guard, &mut scan, CHUNK)? {
            let doc = doc.as_doc();
            outcome.n += 1;
            if let Some(new) = apply(update, matcher.as_deref(), doc, now)? {
                let none = Outcome::default();
                store_change(guard, collection, record, doc, &new, &mut None, 0, none)?;
                outcome.modified += 1;
            }
        }
    }
    Ok(outcome)
}

/// What an update makes of a document: the new one with its description, `None` if nothing changes.
pub(super) struct Change {
    /// The new document.
    pub document: DocBuf,
    description: Option<update::Description>,
}

/// Applies an update to a document that matched.
///
/// # Errors
/// Those of [`Update::apply`].
pub(super) fn apply(
    update: &Update,
    matcher: Option<&Matcher>,
    doc: Doc<'_>,
    now: &Now,
) -> Result<Option<Change>> {
    let position = match matcher {
        Some(matcher) if update.needs_position() => {
            matcher.matches_with_position(doc)?.and_then(|details| details.position)
        }
        _ => None,
    };
    match update.apply(doc, position.map(|at| at as usize), now)? {
        update::Outcome::Unchanged => Ok(None),
        update::Outcome::Changed { document, description } => {
            Ok(Some(Change { document, description }))
        }
    }
}

/// Stores a changed document with its event.
///
/// # Errors
/// `DocumentValidationFailure` (121); those of [`collection::replace`].
#[allow(clippy::too_many_arguments)]
pub(super) fn store_change(
    guard: &mut WriteGuard<'_>,
    collection: &Collection,
    record: RecordId,
    old: Doc<'_>,
    change: &Change,
    retry: &mut Option<Statement>,
    statement: i32,
    outcome: Outcome,
) -> Result<()> {
    let kind = if change.description.is_some() { Kind::Update } else { Kind::Replace };
    let kind = collection.kind_of(kind);
    let mut event = EventWriter::new(kind, &collection.namespace, Some(&collection.uuid), now_ms());
    if let Some(description) = &change.description {
        event.detail(description.as_doc());
    }
    let new = change.document.as_doc();
    guard.validate(collection, Some(old), new)?;
    guard.operation(retry, statement, outcome, event, |op| {
        collection::replace(op, collection, record, old, new)
    })?;
    collection.figures.add(0, new.as_bytes().len() as i64 - old.as_bytes().len() as i64);
    Ok(())
}

/// Inserts the document of an upsert; gives its `_id` (in a document) and the document.
///
/// # Errors
/// Those of [`Update::insert_document`] and of inserting.
#[allow(clippy::too_many_arguments)]
pub(super) fn upsert(
    context: &Context<'_>,
    guard: &mut WriteGuard<'_>,
    collection: &Collection,
    update: &Update,
    filter: Doc<'_>,
    retry: &mut Option<Statement>,
    statement: i32,
    outcome: impl FnOnce(&DocBuf, Doc<'_>) -> Outcome,
) -> Result<(DocBuf, DocBuf)> {
    let document = update.insert_document(filter, || context.shared.node.ids.next(), &now())?;
    let id = document.as_doc().get("_id").unwrap_or(Raw::NULL);
    check_id(id)?;
    let mut shown = DocWriter::new();
    shown.raw("_id", id);
    let shown = shown.finish();
    let outcome = outcome(&shown, document.as_doc());
    insert_document(guard, collection, document.as_doc(), retry, statement, outcome)?;
    Ok((shown, document))
}
