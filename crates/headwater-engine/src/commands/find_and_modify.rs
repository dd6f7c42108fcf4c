//! `findAndModify`: changes or removes one document and gives it back.

use std::sync::Arc;

use super::collation::collation;
use super::delete::{is_by_id, remove_document};
use super::find::set_order;
use super::inline::{computes, filter_computes};
use super::time_series::{self, Asked};
use super::update::{apply, check_documents, is_of_one_id, now, store_change, upsert};
use super::write::first::{First, Search};
use super::write::{Statement, open_for_writing};
use super::{Command, Context, Flow, Needs};
use crate::aggregate::expressions::Scope;
use crate::aggregate::pipeline::check_objects;
use crate::bson::{Doc, DocBuf, DocWriter, Raw};
use crate::catalog::Collection;
use crate::collection::RecordId;
use crate::engine::{WriteGuard, now_ms};
use crate::error::{Code, Error, Result};
use crate::query::matcher::{MatchDetails, Matcher};
use crate::query::plan::{Asked as Shown, Hint, Query, choose};
use crate::query::projection::Projection;
use crate::query::sort::SortPattern;
use crate::session::retry::Outcome;
use crate::update::{Update, UpdateOptions, check_upsert_filter};

/// What MongoDB puts before errors of a running findAndModify.
const PREFIX: &str = "Plan executor error during findAndModify :: caused by :: ";

pub(super) const COMMAND: Command = Command {
    name: "findAndModify",
    aliases: &["findandmodify"],
    help: "Changes or removes one document and gives it back",
    needs: Needs::Write,
    fields: &[
        "arrayFilters",
        "bypassDocumentValidation",
        "collation",
        "fields",
        "hint",
        "let",
        "new",
        "query",
        "remove",
        "sort",
        "stmtId",
        "update",
        "upsert",
    ],
    run,
};

fn run(context: &mut Context<'_>) -> Result<Flow> {
    let inline = context.mode == crate::request::Mode::Inline;
    let query = context.fields().raw("query").and_then(Raw::as_doc).unwrap_or(Doc::EMPTY);
    if inline && (!is_by_id(query) || filter_computes(query) || computes(context.fields())) {
        return Ok(Flow::Busy);
    }
    let (mut task, query) = Task::parse(context)?;
    context.check_statements(1)?;
    let namespace = context.write_target()?;
    let Some(mut guard) = context.write()? else { return Ok(Flow::Busy) };
    guard.unvalidated = task.unvalidated;
    let mut retry = context.retry(&guard)?;
    let statement = context.statement(0)?;
    if let Some(done) = retry.as_ref().and_then(|retry| retry.done(statement))
        && let Some(again) = reply_again(context, done, statement)
    {
        return Ok(again);
    }
    let catalog = guard.catalog();
    catalog.refuse_view(&namespace)?;
    let collection = catalog.collection(namespace.db(), namespace.collection()).cloned();
    if let Some(series) = collection.as_ref().and_then(|c| c.settings.time_series.as_ref())
        && let Some(update) = context.fields().get("update")
    {
        let (filter, upsert) = (task.filter, task.upsert);
        time_series::check_update(series, &Asked { filter, update, multi: false, upsert })?;
    }
    if collection.is_some() || task.upsert {
        task.read_projection(context)?;
    }
    let found = match &collection {
        Some(collection) => {
            let sort = query.sort.clone();
            let chosen = choose(guard.read()?, collection, query)?;
            let search = Search { context, retry: retry.as_ref(), statement };
            let first = search.first(&mut guard, chosen, sort);
            first.map_err(|error| error.with_prefix(PREFIX))?
        }
        None => First::Nothing,
    };
    let reply = match (found, &task.update) {
        (First::Done(done), _) => {
            return Ok(reply_again(context, done, statement)
                .unwrap_or_else(|| Flow::Written(DocWriter::new())));
        }
        (First::Document(found), _) => {
            let (collection, doc) = (&found.collection, found.document.as_doc());
            task.change(&mut guard, collection, found.record, doc, &mut retry, statement)
        }
        (First::Nothing, Some(update)) if task.upsert => {
            let collection = open_for_writing(context, &mut guard, &namespace)?;
            task.insert(context, &mut guard, &collection, update, &mut retry, statement)
        }
        _ => Ok(task.nothing()),
    };
    let reply = reply.map_err(|error| error.with_prefix(PREFIX))?;
    context.wrote(guard.last());
    drop(guard);
    let mut out = DocWriter::new();
    out.extend(reply.as_doc());
    Ok(Flow::Written(out))
}

/// The reply to a statement that was done before.
fn reply_again(context: &mut Context<'_>, done: Outcome, statement: i32) -> Option<Flow> {
    let reply = done.reply?;
    context.wrote(Some(context.shared.store.last()));
    let mut again = DocWriter::new();
    again.extend(reply.as_doc());
    again.i32("retriedStmtId", statement);
    Some(Flow::Written(again))
}

/// What is asked for.
pub(super) struct Task<'a> {
    filter: Doc<'a>,
    matcher: Option<Arc<Matcher>>,
    /// `None` to remove.
    update: Option<Update>,
    upsert: bool,
    give_new: bool,
    unvalidated: bool,
    /// None before [`Task::read_projection`].
    projection: Option<Projection>,
    scope: Scope,
}

impl<'a> Task<'a> {
    /// Which document it is about.
    pub(super) fn filter(&self) -> Doc<'a> {
        self.filter
    }

    /// Whether it inserts a document if there is none.
    pub(super) fn upserts(&self) -> bool {
        self.upsert
    }

    /// The change, `None` to remove.
    pub(super) fn into_update(self) -> Option<Update> {
        self.update
    }

    /// Reads what is to be shown of the document. MongoDB looks at it only where there is a collection.
    ///
    /// # Errors
    /// Wrong types; those of compiling the projection.
    pub(super) fn read_projection(&mut self, context: &Context<'_>) -> Result<()> {
        let shown = context.fields().document("fields")?.filter(|shown| !shown.is_empty());
        let Some(shown) = shown else { return Ok(()) };
        let projection = Projection::parse_find(shown, &mut self.scope)?;
        projection.check_filter(self.filter)?;
        if self.give_new && projection.needs_position() {
            let message = "cannot use a positional projection and return the new document";
            return Err(Error::new(Code::BAD_VALUE, message));
        }
        self.projection = Some(projection);
        Ok(())
    }

    /// Reads the arguments: what is asked for, and of which document.
    ///
    /// # Errors
    /// Wrong types and what does not go together; those of compiling filter and update.
    pub(super) fn parse(context: &Context<'a>) -> Result<(Task<'a>, Query)> {
        let fields = context.fields();
        let wrong = |message: &str| Err(Error::new(Code::FAILED_TO_PARSE, message));
        let remove = fields.loose_bool("remove")?.unwrap_or(false);
        let give_new = fields.loose_bool("new")?.unwrap_or(false);
        let upsert = fields.loose_bool("upsert")?.unwrap_or(false);
        let update = fields.get("update");
        let namespace = context.namespace()?;
        match (remove, update) {
            (false, None) => return wrong("Either an update or remove=true must be specified"),
            (true, Some(_)) => return wrong("Cannot specify both an update and remove=true"),
            (true, None) if upsert => {
                return wrong("Cannot specify both upsert=true and remove=true");
            }
            (true, None) if give_new => {
                return wrong(
                    "Cannot specify both 'new'=true and 'remove'=true; 'remove' always returns the deleted document",
                );
            }
            (true, None) if fields.get("arrayFilters").is_some() => {
                return wrong("Cannot specify 'arrayFilters' and 'remove'=true");
            }
            _ => {}
        }
        let filter = fields.document("query")?.unwrap_or(Doc::EMPTY);
        let sort = fields.document("sort")?.unwrap_or(Doc::EMPTY);
        // MongoDB does not look at the order of one document.
        let one = is_by_id(filter) && filter.iter().nth(1).is_none();
        if !one || fields.get("collation").is_some() {
            SortPattern::natural(sort)?;
        }
        let collation = collation(context, &namespace)?;
        let unvalidated = fields.loose_bool("bypassDocumentValidation")?.unwrap_or(false);
        let variables = fields.document("let")?;
        let array_filters = fields.array("arrayFilters")?;
        check_documents(fields, "arrayFilters", array_filters)?;
        let update_scope = Scope::collated(variables, now_ms(), collation)?;
        let options = UpdateOptions {
            multi: false,
            upsert,
            array_filters,
            scope: Some(&update_scope),
            constants: None,
            upsert_supplied: false,
        };
        if upsert {
            check_upsert_filter(filter)?;
        }
        update.and_then(Raw::as_array).map_or(Ok(()), check_objects)?;
        let update = update.map(|update| Update::parse(update, &options)).transpose()?;
        fields.document("fields")?;
        let hint = Hint::argument(fields)?;
        let mut scope = update_scope;
        let mut query = Query::parse(filter, &mut scope)?;
        query.hint = hint;
        query.asked = Some(Box::new(Shown { limit: Some(1), ..Shown::default() }));
        if !is_of_one_id(&query) {
            set_order(&mut query, sort)?;
        }
        let matcher = query.matcher.clone();
        let projection = None;
        let task =
            Task { filter, matcher, update, upsert, give_new, unvalidated, projection, scope };
        Ok((task, query))
    }

    fn change(
        &self,
        guard: &mut WriteGuard<'_>,
        collection: &Collection,
        record: RecordId,
        doc: Doc<'_>,
        retry: &mut Option<Statement>,
        statement: i32,
    ) -> Result<DocBuf> {
        let Some(update) = &self.update else {
            let mut last_error = DocWriter::new();
            last_error.i32("n", 1);
            let reply = self.reply(last_error.finish().as_doc(), Some((doc, doc)))?;
            let outcome = Outcome { n: 1, reply: Some(reply.clone()), ..Outcome::default() };
            remove_document(guard, collection, record, doc, retry, statement, outcome)?;
            return Ok(reply);
        };
        let change = apply(update, self.matcher.as_deref(), doc, &now())?;
        let mut last_error = DocWriter::new();
        last_error.i32("n", 1);
        last_error.bool("updatedExisting", true);
        let new = change.as_ref().map_or(doc, |change| change.document.as_doc());
        let shown = if self.give_new { new } else { doc };
        let reply = self.reply(last_error.finish().as_doc(), Some((shown, doc)))?;
        if let Some(change) = &change {
            let outcome = Outcome { n: 1, modified: 1, reply: Some(reply.clone()), upserted: None };
            store_change(guard, collection, record, doc, change, retry, statement, outcome)?;
        }
        Ok(reply)
    }

    fn insert(
        &self,
        context: &Context<'_>,
        guard: &mut WriteGuard<'_>,
        collection: &Collection,
        update: &Update,
        retry: &mut Option<Statement>,
        statement: i32,
    ) -> Result<DocBuf> {
        let mut made = Ok(DocBuf::new());
        upsert(context, guard, collection, update, self.filter, retry, statement, |id, doc| {
            let mut last_error = DocWriter::new();
            last_error.i32("n", 1);
            last_error.bool("updatedExisting", false);
            if let Some(id) = id.as_doc().get("_id") {
                last_error.raw("upserted", id);
            }
            let shown = self.give_new.then_some((doc, doc));
            made = self.reply(last_error.finish().as_doc(), shown);
            Outcome { n: 1, reply: made.as_ref().ok().cloned(), ..Outcome::default() }
        })?;
        made
    }

    fn nothing(&self) -> DocBuf {
        let mut last_error = DocWriter::new();
        last_error.i32("n", 0);
        if self.update.is_some() {
            last_error.bool("updatedExisting", false);
        }
        let mut reply = DocWriter::new();
        reply.doc("lastErrorObject", last_error.finish().as_doc());
        reply.null("value");
        reply.finish()
    }

    /// The reply with the document that is shown; `matched` is the one that the filter matched.
    fn reply(&self, last_error: Doc<'_>, shown: Option<(Doc<'_>, Doc<'_>)>) -> Result<DocBuf> {
        let mut reply = DocWriter::new();
        reply.doc("lastErrorObject", last_error);
        match (shown, &self.projection) {
            (None, _) => reply.null("value"),
            (Some((doc, _)), None) => reply.doc("value", doc),
            (Some((doc, matched)), Some(projection)) => {
                let details = self.details(projection, matched)?;
                reply.document("value", |out| projection.apply(doc, details.as_ref(), out))?;
            }
        }
        Ok(reply.finish())
    }

    fn details(&self, projection: &Projection, matched: Doc<'_>) -> Result<Option<MatchDetails>> {
        match &self.matcher {
            Some(matcher) if projection.needs_position() => matcher.matches_with_position(matched),
            _ => Ok(None),
        }
    }
}
