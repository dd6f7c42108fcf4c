//! `bulkWrite`: inserts, updates and deletes on several collections in one command, with a cursor of what each did.

use super::collection_uuid;
use super::cursors::{First, fill, keep};
use super::delete::{self, Delete, multi_with_transaction};
use super::insert::{Place, insert_one};
use super::update::{self, Entry, Names};
use super::write::turns::Turn;
use super::write::{Statement, check_writable};
use super::{Command, Context, Fields, Flow, Needs};
use crate::aggregate::expressions::document_text;
use crate::aggregate::pipeline::check_names;
use crate::bson::{ArrayWriter, Doc, DocBuf, DocWriter, Raw, Type};
use crate::engine::WriteGuard;
use crate::error::{Code, Error, Result};
use crate::namespace::Namespace;
use crate::query::cursor::Rows;
use crate::query::run::Run;
use crate::session::retry::Outcome;
use crate::status;

/// The namespace of the cursor.
const CURSOR: &str = "admin.$cmd.bulkWrite";

pub(super) const COMMAND: Command = Command {
    name: "bulkWrite",
    aliases: &[],
    help: "Inserts, changes and removes documents of several collections",
    needs: Needs::Write,
    fields: &[
        "bypassDocumentValidation",
        "cursor",
        "errorsOnly",
        "let",
        "nsInfo",
        "ops",
        "ordered",
        "stmtId",
        "stmtIds",
    ],
    run,
};

fn run(context: &mut Context<'_>) -> Result<Flow> {
    let fields = context.fields();
    if context.db != "admin" {
        let message = "bulkWrite may only be run against the admin database.";
        return Err(Error::new(Code::UNAUTHORIZED, message));
    }
    if context.mode == crate::request::Mode::Inline {
        return Ok(Flow::Busy);
    }
    let ordered = fields.bool("ordered")?.unwrap_or(true);
    let errors_only = fields.bool("errorsOnly")?.unwrap_or(false);
    let unvalidated = fields.loose_bool("bypassDocumentValidation")?.unwrap_or(false);
    let variables = fields.document("let")?;
    let first = first(fields)?;
    let documents = context.documents("ops")?;
    let tasks = documents.iter().map(|op| Task::parse(*op)).collect::<Result<Vec<_>>>()?;
    let infos = context.documents("nsInfo")?;
    let namespaces = infos.iter().map(|info| namespace(*info)).collect::<Result<Vec<_>>>()?;
    super::context::check_batch(documents.len())?;
    for (task, document) in tasks.iter().zip(&documents) {
        if task.place >= namespaces.len() {
            let shown = document_text(*document);
            let message = format!("BulkWrite ops entry {shown} has an invalid nsInfo index.");
            return Err(Error::new(Code::BAD_VALUE, message));
        }
    }
    context.check_statements(tasks.len())?;
    let Some(mut guard) = context.write()? else { return Ok(Flow::Busy) };
    guard.unvalidated = unvalidated;
    let mut retry = context.retry(&guard)?;
    let mut reply = Reply { errors_only, ..Reply::default() };
    let (mut turn, interrupt) = (Turn::begin(), context.interrupt());
    for (at, task) in tasks.iter().enumerate() {
        let Some((namespace, uuid)) = namespaces.get(task.place) else { continue };
        interrupt.check()?;
        turn.end_if_over(context, &mut guard, retry.as_ref())?;
        let statement = context.statement(at)?;
        let done = retry.as_ref().and_then(|retry| retry.done(statement));
        let outcome = match done {
            Some(done) => {
                reply.retried.push(statement);
                Ok(done)
            }
            None => collection_uuid::check_write(&guard, namespace, *uuid).and_then(|()| {
                task.run(context, &mut guard, namespace, variables, &mut retry, statement)
            }),
        };
        match outcome {
            Ok(outcome) => reply.did(at, &task.work, outcome),
            Err(error) if error.is_interruption() => return Err(error),
            Err(error) => {
                reply.fail(at, &task.work, &error);
                if ordered {
                    break;
                }
            }
        }
    }
    context.wrote(guard.last());
    drop(guard);
    tasks.iter().filter_map(Task::pipeline).try_for_each(check_names)?;
    reply.finish(context, first)
}

/// How many rows the client wants at first: all, if it does not say.
fn first(fields: Fields<'_>) -> Result<First> {
    let mut size = None;
    if let Some(cursor) = fields.document("cursor")? {
        let cursor = Fields::new(cursor, "bulkWrite.cursor");
        cursor.only(&["batchSize"])?;
        size = cursor.count("batchSize")?;
    }
    Ok(First::of_size(Some(size.unwrap_or(i64::MAX))))
}

/// One operation and the place of its namespace in `nsInfo`.
struct Task<'a> {
    place: usize,
    work: Work<'a>,
}

enum Work<'a> {
    Insert(Doc<'a>),
    Update(Entry<'a>),
    Delete(Delete<'a>),
}

const NAMES: Names = Names { filter: "filter", update: "updateMods", constants: "constants" };

const UPDATE_FIELDS: &[&str] = &[
    "allowShardKeyUpdatesWithoutFullShardKeyInQuery",
    "arrayFilters",
    "collation",
    "constants",
    "filter",
    "hint",
    "multi",
    "sampleId",
    "sort",
    "update",
    "updateMods",
    "upsert",
    "upsertSupplied",
];

impl<'a> Task<'a> {
    fn parse(op: Doc<'a>) -> Result<Task<'a>> {
        let fields = Fields::new(op, "bulkWrite.ops");
        let kind = op.first().map_or("", |field| field.name_str());
        let work = match kind {
            "insert" => {
                fields.only(&["document", "insert"])?;
                let document = fields.document("document")?;
                Work::Insert(document.ok_or_else(|| fields.missing("document"))?)
            }
            "update" => {
                fields.only(UPDATE_FIELDS)?;
                Work::Update(Entry::read(fields, &NAMES)?)
            }
            "delete" => {
                fields.only(&["collation", "delete", "filter", "hint", "multi", "sampleId"])?;
                let filter = fields.document("filter")?.ok_or_else(|| fields.missing("filter"))?;
                let one = !fields.bool("multi")?.unwrap_or(false);
                Work::Delete(Delete::read(fields, filter, one)?)
            }
            unknown => {
                let dot = if unknown.is_empty() { "" } else { "." };
                let message = format!("BSON field 'bulkWrite{dot}{unknown}' is an unknown field.");
                return Err(Error::location(40415, message));
            }
        };
        let place = fields.count(kind)?.ok_or_else(|| fields.missing(kind))?;
        Ok(Task { place: usize::try_from(place).unwrap_or(usize::MAX), work })
    }

    fn pipeline(&self) -> Option<crate::bson::Array<'a>> {
        match &self.work {
            Work::Update(entry) => entry.pipeline(),
            Work::Insert(_) | Work::Delete(_) => None,
        }
    }

    fn run(
        &self,
        context: &Context<'_>,
        guard: &mut WriteGuard<'_>,
        namespace: &Namespace,
        variables: Option<Doc<'_>>,
        retry: &mut Option<Statement>,
        statement: i32,
    ) -> Result<Outcome> {
        let operations = &context.shared.status.operations;
        match &self.work {
            Work::Insert(document) => {
                status::count(&operations.insert, 1);
                let place = &mut Place::new(namespace);
                insert_one(context, guard, place, *document, retry, statement)?;
                Ok(Outcome { n: 1, ..Outcome::default() })
            }
            Work::Update(entry) => {
                status::count(&operations.update, 1);
                entry.check_sort()?;
                if entry.is_multi() && context.transaction.is_some() {
                    return Err(multi_with_transaction());
                }
                update::run_entry(context, guard, namespace, entry, variables, retry, statement)
            }
            Work::Delete(delete) => {
                status::count(&operations.delete, 1);
                let n = delete::run_entry(
                    context, guard, namespace, delete, variables, retry, statement,
                )?;
                Ok(Outcome { n, ..Outcome::default() })
            }
        }
    }
}

/// A collection that operations are on, and the UUID that it must have.
fn namespace(info: Doc<'_>) -> Result<(Namespace, Option<[u8; 16]>)> {
    let fields = Fields::new(info, "bulkWrite.nsInfo");
    fields.only(&["collectionUUID", "encryptionInformation", "ns"])?;
    let text = fields.str("ns")?.ok_or_else(|| fields.missing("ns"))?;
    if fields.get("encryptionInformation").is_some() {
        return Err(Error::not_supported("'encryptionInformation' of nsInfo"));
    }
    let uuid = collection_uuid::asked(fields)?;
    if text.split_once('.').is_none_or(|(db, name)| db.is_empty() || name.is_empty()) {
        let message = format!("Invalid namespace specified for bulkWrite: '{text}'");
        return Err(Error::new(Code::INVALID_NAMESPACE, message));
    }
    let namespace = Namespace::parse(text)?;
    check_writable(&namespace)?;
    Ok((namespace, uuid))
}

/// What the operations did.
#[derive(Debug, Default)]
struct Reply {
    errors_only: bool,
    rows: Vec<DocBuf>,
    retried: Vec<i32>,
    errors: i32,
    inserted: i32,
    matched: i32,
    modified: i32,
    upserted: i32,
    deleted: i32,
}

impl Reply {
    fn did(&mut self, at: usize, work: &Work<'_>, outcome: Outcome) {
        match work {
            Work::Insert(_) => self.inserted += outcome.n,
            Work::Delete(_) => self.deleted += outcome.n,
            Work::Update(_) if outcome.upserted.is_some() => self.upserted += 1,
            Work::Update(_) => {
                self.matched += outcome.n;
                self.modified += outcome.modified;
            }
        }
        if self.errors_only {
            return;
        }
        let mut row = row(at, 1.0);
        row.i32("n", outcome.n);
        if matches!(work, Work::Update(_)) {
            row.i32("nModified", outcome.modified);
        }
        if let Some(id) = &outcome.upserted {
            row.doc("upserted", id.as_doc());
        }
        self.rows.push(row.finish());
    }

    fn fail(&mut self, at: usize, work: &Work<'_>, error: &Error) {
        self.errors += 1;
        let mut row = row(at, 0.0);
        row.i32("code", error.code().0);
        row.str("errmsg", error.message());
        row.extend(error.details());
        row.i32("n", 0);
        if matches!(work, Work::Update(_)) {
            row.i32("nModified", 0);
        }
        self.rows.push(row.finish());
    }

    fn finish(self, context: &Context<'_>, first: First) -> Result<Flow> {
        let run = Run::now(context.shared, context.interrupt())?;
        let mut body = Box::new(Rows::new(self.rows));
        let mut batch = ArrayWriter::new();
        let filled = fill(context, &run, first, body.as_mut(), &mut batch)?;
        keep(context, filled, CURSOR.to_owned(), first, None, body)?;
        let batch = batch.into_bytes();
        let mut reply = DocWriter::new();
        reply.document("cursor", |cursor| {
            cursor.i64("id", filled.0);
            cursor.raw("firstBatch", Raw { kind: Type::Array, data: &batch });
            cursor.str("ns", CURSOR);
        });
        reply.i32("nErrors", self.errors);
        reply.i32("nInserted", self.inserted);
        reply.i32("nMatched", self.matched);
        reply.i32("nModified", self.modified);
        reply.i32("nUpserted", self.upserted);
        reply.i32("nDeleted", self.deleted);
        if !self.retried.is_empty() {
            reply.array("retriedStmtIds", |ids| self.retried.iter().for_each(|id| ids.i32(*id)));
        }
        Ok(Flow::Written(reply))
    }
}

fn row(at: usize, ok: f64) -> DocWriter {
    let mut row = DocWriter::new();
    row.f64("ok", ok);
    row.i32("idx", i32::try_from(at).unwrap_or(i32::MAX));
    row
}
