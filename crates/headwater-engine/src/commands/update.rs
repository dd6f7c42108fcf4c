//! `update`: changes documents that match, or inserts one when none does.

use super::collation::{argument, scope_of};
use super::collection_uuid;
use super::delete::{is_by_id, multi_with_transaction};
use super::fields::is_null;
use super::find::set_order;
use super::inline::filter_computes;
use super::insert::{check_id, insert_document};
use super::time_series::{self, Asked};
use super::write::chunks::{self, Pace};
use super::write::first::{First, Search};
use super::write::turns::Turn;
use super::write::{Statement, WriteReply, open_for_writing};
use super::{Command, Context, Fields, Flow, Needs};
use crate::aggregate::pipeline::{check_names, check_objects};
use crate::bson::{Array, Doc, DocBuf, DocWriter, Raw, Type};
use crate::catalog::Collection;
use crate::change::event::{EventWriter, Kind};
use crate::collection::{self, RecordId};
use crate::engine::{WriteGuard, clock_floor, now_ms};
use crate::error::{Code, Error, Result};
use crate::namespace::Namespace;
use crate::query::matcher::Matcher;
use crate::query::plan::{Chosen, Hint, Query, choose};
use crate::query::sort::SortPattern;
use crate::session::retry::Outcome;
use crate::status;
use crate::update::{self, Now, Update, UpdateOptions};

/// What MongoDB puts before errors of a running update.
const PREFIX: &str = "Plan executor error during update :: caused by :: ";

pub(super) const COMMAND: Command = Command {
    name: "update",
    aliases: &[],
    help: "Changes documents of a collection",
    needs: Needs::Write,
    fields: &[
        "bypassDocumentValidation",
        "collectionUUID",
        "let",
        "ordered",
        "stmtId",
        "stmtIds",
        "updates",
    ],
    run,
};

fn run(context: &mut Context<'_>) -> Result<Flow> {
    let fields = context.fields();
    let namespace = context.write_target()?;
    let ordered = fields.bool("ordered")?.unwrap_or(true);
    let unvalidated = fields.loose_bool("bypassDocumentValidation")?.unwrap_or(false);
    let variables = fields.document("let")?;
    let uuid = collection_uuid::asked(fields)?;
    let statements: Vec<_> =
        context.batch("updates")?.into_iter().map(Entry::parse).collect::<Result<_>>()?;
    context.check_statements(statements.len())?;
    let short = variables.is_none() && statements.iter().all(Entry::is_short);
    if context.mode == crate::request::Mode::Inline && !(short && statements.len() <= 16) {
        return Ok(Flow::Busy);
    }
    let Some(mut guard) = context.write()? else { return Ok(Flow::Busy) };
    guard.unvalidated = unvalidated;
    let mut retry = context.retry(&guard)?;
    let mut turn = Turn::begin();
    let mut reply = WriteReply::default();
    status::count(&context.shared.status.operations.update, statements.len());
    for (at, entry) in statements.iter().enumerate() {
        turn.end_if_over(context, &mut guard, retry.as_ref())?;
        let statement = context.statement(at)?;
        let outcome = match retry.as_ref().and_then(|retry| retry.done(statement)) {
            Some(done) => {
                reply.retried(statement);
                Ok(done)
            }
            None if entry.multi && context.transaction.is_some() => Err(multi_with_transaction()),
            None => collection_uuid::check_write(&guard, &namespace, uuid).and_then(|()| {
                run_entry(context, &mut guard, &namespace, entry, variables, &mut retry, statement)
            }),
        };
        match outcome {
            Ok(outcome) => {
                reply.n += outcome.n;
                reply.modified += outcome.modified;
                if let Some(id) = outcome.upserted {
                    reply.upserted.push((at, id));
                }
            }
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
    // MongoDB counts the stages of all statements when they are done; an unknown one fails the command, and what the
    // other statements did stays.
    let pipelines = statements.iter().filter_map(Entry::pipeline);
    pipelines.into_iter().try_for_each(check_names)?;
    Ok(Flow::Written(reply.finish_update()))
}

/// One statement: an entry of `updates`, or an operation of `bulkWrite`.
pub(super) struct Entry<'a> {
    filter: Doc<'a>,
    update: Raw<'a>,
    constants: Option<Doc<'a>>,
    array_filters: Option<Array<'a>>,
    sort: Option<Doc<'a>>,
    multi: bool,
    upsert: bool,
    upsert_supplied: bool,
    hint: Option<Hint>,
    collation: Option<Doc<'a>>,
}

/// How a command calls the filter, the update and its constants in an [`Entry`].
pub(super) struct Names {
    /// The filter.
    pub filter: &'static str,
    /// The update.
    pub update: &'static str,
    /// The constants.
    pub constants: &'static str,
}

const NAMES: Names = Names { filter: "q", update: "u", constants: "c" };

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
    /// Reads a statement of `update`.
    ///
    /// # Errors
    /// Those of [`Entry::read`]; unknown fields.
    pub(super) fn parse(doc: Doc<'a>) -> Result<Entry<'a>> {
        let fields = Fields::new(doc, "update.updates");
        fields.only(ENTRY_FIELDS)?;
        let entry = Entry::read(fields, &NAMES)?;
        entry.check_sort()?;
        Ok(entry)
    }

    /// Reads the fields of a statement.
    ///
    /// # Errors
    /// Missing fields, wrong types, `FailedToParse` (9).
    pub(super) fn read(fields: Fields<'a>, names: &Names) -> Result<Entry<'a>> {
        let filter = fields.document(names.filter)?.ok_or_else(|| fields.missing(names.filter))?;
        let update = fields.raw(names.update).ok_or_else(|| fields.missing(names.update))?;
        if update.as_doc().is_none() && update.as_array().is_none() {
            let message = "Update argument must be either an object or an array";
            return Err(Error::new(Code::FAILED_TO_PARSE, message));
        }
        check_sample_id(fields)?;
        update.as_array().map_or(Ok(()), check_objects)?;
        let collation = argument(fields)?;
        let array_filters = fields.array("arrayFilters")?;
        check_documents(fields, "arrayFilters", array_filters)?;
        Ok(Entry {
            filter,
            update,
            constants: fields.document(names.constants)?,
            array_filters,
            sort: fields.document("sort")?,
            multi: fields.bool("multi")?.unwrap_or(false),
            upsert: fields.bool("upsert")?.unwrap_or(false),
            upsert_supplied: fields.strict_bool("upsertSupplied")?,
            hint: Hint::argument(fields)?,
            collation,
        })
    }

    /// The update and the query for what it changes. Unless the filter is `shown`, one value of an indexed field stands for
    /// it.
    ///
    /// # Errors
    /// Those of compiling either.
    pub(super) fn compile(
        &self,
        collection: Option<&Collection>,
        variables: Option<Doc<'_>>,
        shown: bool,
    ) -> Result<(Update, Query)> {
        let scope = scope_of(collection, self.collation, variables)?;
        let options = UpdateOptions {
            scope: Some(&scope),
            multi: self.multi,
            upsert: self.upsert,
            array_filters: self.array_filters,
            constants: self.constants,
            upsert_supplied: self.upsert_supplied,
        };
        if self.upsert {
            update::check_upsert_filter(self.filter)?;
        }
        let update = Update::parse(self.update, &options)?;
        let mut query = match update.needs_position() || self.hint.is_some() {
            true => Query::parse(self.filter, &mut scope.clone())?,
            false => {
                let whole = !shown && self.sort.is_none();
                Query::express(self.filter, scope.order(), collection, whole, || Ok(scope.clone()))?
            }
        };
        query.hint = self.hint.clone();
        if !is_of_one_id(&query) {
            set_order(&mut query, self.sort.unwrap_or(Doc::EMPTY))?;
        }
        Ok((update, query))
    }

    /// Which documents it changes.
    pub(super) fn filter(&self) -> Doc<'a> {
        self.filter
    }

    /// The order in which it looks for them.
    pub(super) fn order(&self) -> Doc<'a> {
        self.sort.unwrap_or(Doc::EMPTY)
    }

    /// Whether it inserts a document if there is none to change.
    pub(super) fn upserts(&self) -> bool {
        self.upsert
    }

    /// Refuses an order for a statement on many documents.
    ///
    /// # Errors
    /// `FailedToParse` (9).
    pub(super) fn check_sort(&self) -> Result<()> {
        if self.multi && self.sort.is_some() {
            let message = "Cannot specify sort with multi=true";
            return Err(Error::new(Code::FAILED_TO_PARSE, message));
        }
        Ok(())
    }

    /// Whether it may change many documents.
    pub(super) fn is_multi(&self) -> bool {
        self.multi
    }

    /// Whether it changes one document without computing anything.
    fn is_short(&self) -> bool {
        is_by_id(self.filter)
            && self.hint.is_none()
            && self.pipeline().is_none()
            && !filter_computes(self.filter)
    }

    /// The stages of an update that is a pipeline.
    pub(super) fn pipeline(&self) -> Option<Array<'a>> {
        self.update.as_array()
    }
}

/// Checks the type of `sampleId`, which only routers use.
///
/// # Errors
/// `TypeMismatch` (14).
pub(super) fn check_sample_id(fields: Fields<'_>) -> Result<()> {
    match fields.get("sampleId").filter(|id| id.kind != Type::Binary) {
        Some(id) => Err(fields.wrong_type("sampleId", id.kind, &["binData"])),
        None => Ok(()),
    }
}

/// Refuses elements of an array that are no documents.
///
/// # Errors
/// `TypeMismatch` (14).
pub(super) fn check_documents(
    fields: Fields<'_>,
    name: &str,
    array: Option<Array<'_>>,
) -> Result<()> {
    let mut elements = array.into_iter().flat_map(Array::iter).enumerate();
    match elements.find(|(_, element)| element.as_doc().is_none() && !is_null(*element)) {
        Some((at, element)) => {
            Err(fields.wrong_type(&format!("{name}.{at}"), element.kind, &["object"]))
        }
        None => Ok(()),
    }
}

/// Runs one statement.
///
/// # Errors
/// Those of compiling, finding, applying and storing.
pub(super) fn run_entry(
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
    let (update, query) = entry.compile(collection.as_deref(), variables, false)?;
    guard.catalog().refuse_view(namespace)?;
    let now = now();
    if let Some(collection) = &collection {
        if let Some(series) = &collection.settings.time_series {
            let Entry { filter, update, multi, upsert, .. } = *entry;
            time_series::check_update(series, &Asked { filter, update, multi, upsert })?;
        }
        let sort = query.sort.clone();
        let chosen = choose(guard.read()?, collection, query)?;
        let found = if entry.multi {
            change_many(context, guard, chosen, &update, &now)
        } else {
            change_one(context, guard, (chosen, sort), &update, &now, retry, statement)
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

/// Whether a query says no more than which `_id`: MongoDB does not look at the order of one document.
pub(super) fn is_of_one_id(query: &Query) -> bool {
    query.id_only && query.hint.is_none()
}

/// The moment that an update happens.
pub(super) fn now() -> Now {
    Now { ms: now_ms(), timestamp: clock_floor() }
}

fn change_one(
    context: &Context<'_>,
    guard: &mut WriteGuard<'_>,
    (chosen, sort): (Chosen, Option<SortPattern>),
    update: &Update,
    now: &Now,
    retry: &mut Option<Statement>,
    statement: i32,
) -> Result<Outcome> {
    let matcher = chosen.filter.clone();
    let search = Search { context, retry: retry.as_ref(), statement };
    let found = match search.first(guard, chosen, sort)? {
        First::Nothing => return Ok(Outcome::default()),
        First::Done(outcome) => return Ok(outcome),
        First::Document(found) => found,
    };
    let doc = found.document.as_doc();
    let new = apply(update, matcher.as_deref(), doc, now)?;
    let outcome = Outcome { n: 1, modified: i32::from(new.is_some()), ..Outcome::default() };
    if let Some(new) = &new {
        let (collection, record) = (&found.collection, found.record);
        store_change(guard, collection, record, doc, new, retry, statement, outcome.clone())?;
    }
    Ok(outcome)
}

fn change_many(
    context: &Context<'_>,
    guard: &mut WriteGuard<'_>,
    chosen: Chosen,
    update: &Update,
    now: &Now,
) -> Result<Outcome> {
    let matcher = chosen.filter;
    let mut outcome = Outcome::default();
    let pace = Pace::OneByOne;
    chunks::for_each(context, guard, chosen.plan, pace, |guard, collection, record, doc| {
        outcome.n += 1;
        if let Some(new) = apply(update, matcher.as_deref(), doc, now)? {
            let none = Outcome::default();
            store_change(guard, collection, record, doc, &new, &mut None, 0, none)?;
            outcome.modified += 1;
        }
        Ok(())
    })?;
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
    if collection.settings.images {
        event.image(old);
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
