//! Change streams: a cursor that tails the durable end of the log, shows what its scope covers as events, runs the rest of
//! its pipeline over them, and always knows the token to resume behind.

use std::collections::VecDeque;
use std::sync::Arc;

use headwater_store::History;
use parking_lot::Mutex;

use super::document::{self, is_internal};
use super::event::{Event, Kind};
use super::options::{Options, Start};
use super::token::Token;
use crate::aggregate::pipeline::Pipeline;
use crate::bson::{DocBuf, DocWriter, Raw};
use crate::engine::Shared;
use crate::error::{Code, Error, Result};
use crate::namespace::Namespace;
use crate::query::cursor::{Batch, Body, Fill};
use crate::query::exec::{Environment, Stage};
use crate::query::run::Run;

/// Log records that one look at the log handles at most before it lets others run.
const RECORDS_A_FILL: usize = 10_000;

/// The stages that may stand behind `$changeStream`.
const ALLOWED: &[&str] = &[
    "$addFields",
    "$match",
    "$project",
    "$redact",
    "$replaceRoot",
    "$replaceWith",
    "$set",
    "$unset",
];

/// What a stream covers.
#[derive(Debug, Clone)]
enum Scope {
    Collection(Namespace),
    Database(String),
    Cluster,
}

/// An open change stream.
pub struct ChangeStream {
    scope: Scope,
    options: Options,
    history: History,
    /// The rest of the pipeline, fed from `queue`.
    pipeline: Option<Box<dyn Stage>>,
    queue: Queue,
    /// Events made and not yet given, with their tokens.
    ready: VecDeque<(Token, DocBuf)>,
    /// Up to where the client has seen everything.
    seen: Token,
    /// Events of the record `seen.seq` that were seen before the stream was opened.
    skip: Option<Token>,
    invalidated: bool,
}

/// The events that the pipeline is fed with, one at a time.
type Queue = Arc<Mutex<VecDeque<DocBuf>>>;

struct Feed(Queue);

impl Stage for Feed {
    fn next(&mut self, _env: &dyn Environment) -> Result<Option<DocBuf>> {
        Ok(self.0.lock().pop_front())
    }
}

impl ChangeStream {
    /// Opens a stream. `namespace` is the collection, `None` for a database; `rest` the pipeline behind the stage.
    ///
    /// # Errors
    /// `ChangeStreamHistoryLost` (286) with its label, `InvalidResumeToken` (260), `IllegalOperation` (20) for a stage
    /// that may not stand here, `InvalidOptions` (72) for a scope that may not be watched.
    pub fn open(
        shared: &Shared,
        db: &str,
        namespace: Option<&Namespace>,
        argument: Raw<'_>,
        rest: &Pipeline,
    ) -> Result<ChangeStream> {
        let options = Options::parse(argument)?;
        let scope = scope(db, namespace, &options)?;
        if let Some(name) = rest.stage_names().find(|name| ALLOWED.binary_search(name).is_err()) {
            return Err(Error::new(
                Code::ILLEGAL_OPERATION,
                format!("{name} is not permitted in a $changeStream pipeline"),
            ));
        }
        let last = shared.store.last();
        let (from, seen, skip) = match options.start {
            Start::Now => (last + 1, Token::high_water_mark(last), None),
            Start::At(seq) => (seq, Token::high_water_mark(seq.saturating_sub(1)), None),
            Start::Behind(token) => (token.seq, token, Some(token)),
        };
        let history = shared.store.history(from).map_err(|error| history_lost(error.into()))?;
        let queue = Queue::default();
        let feed = Box::new(Feed(queue.clone()));
        let pipeline = (!rest.stages().is_empty()).then(|| rest.build(feed));
        Ok(ChangeStream {
            scope,
            options,
            history,
            pipeline,
            queue,
            ready: VecDeque::new(),
            seen,
            skip,
            invalidated: false,
        })
    }

    /// Reads the next log record and queues its events. `false` at the durable end.
    fn read(&mut self, run: &Run<'_>) -> Result<bool> {
        let record = self.history.next().map_err(|error| history_lost(error.into()))?;
        let Some(record) = record else { return Ok(false) };
        let seq = record.seq;
        let seen_before = match self.skip.take() {
            Some(token) if token.seq == seq => token.event,
            _ => 0,
        };
        let mut number = 0;
        let mut events = Vec::new();
        if let Some(event) = Event::parse(record.event)
            && self.scope.covers(&event)
        {
            let token = |number, invalidate| Token { seq, event: number, invalidate };
            number += 1;
            if number > seen_before
                && let Some(doc) =
                    document::write(run, &self.options, token(number, false), &record, &event)?
            {
                events.push((token(number, false), doc));
            }
            if self.scope.is_ended_by(&event) {
                number += 1;
                if number > seen_before {
                    let token = token(number, true);
                    events.push((token, document::head("invalidate", token, &event).finish()));
                }
            }
        }
        for (token, doc) in events {
            if let Some(doc) = self.shape(run, doc)? {
                self.ready.push_back((token, doc));
            }
            self.invalidated |= token.invalidate;
        }
        // Events that wait for the next batch have not been seen: a client that resumes behind this batch must get them.
        if self.ready.is_empty() {
            self.seen = self.seen.max(Token::high_water_mark(seq));
        }
        Ok(true)
    }

    /// Runs the rest of the pipeline on one event.
    fn shape(&mut self, run: &Run<'_>, event: DocBuf) -> Result<Option<DocBuf>> {
        let Some(pipeline) = &mut self.pipeline else { return Ok(Some(event)) };
        let id = event.as_doc().get("_id").map(|id| id.data.to_vec());
        self.queue.lock().push_back(event);
        let Some(shaped) = pipeline.next(run)? else { return Ok(None) };
        if shaped.as_doc().get("_id").map(|id| id.data) != id.as_deref() {
            return Err(Error::new(
                Code::CHANGE_STREAM_FATAL_ERROR,
                "Encountered an event whose _id field, which contains the resume token, was modified by the pipeline. Modifying the _id field of an event makes it impossible to resume the stream from that point. Only transformations that retain the unmodified _id field are allowed.",
            )
            .with_label("NonResumableChangeStreamError"));
        }
        Ok(Some(shaped))
    }
}

impl Body for ChangeStream {
    fn fill(&mut self, run: &Run<'_>, batch: &mut Batch<'_>) -> Result<Fill> {
        let mut records = 0;
        loop {
            while let Some((token, doc)) = self.ready.front() {
                if !batch.has_room(doc.as_doc().as_bytes().len()) {
                    return Ok(Fill::More);
                }
                batch.push(doc.as_doc());
                self.seen = *token;
                self.ready.pop_front();
            }
            if self.invalidated {
                return Ok(Fill::End);
            }
            if batch.is_full() || records == RECORDS_A_FILL {
                return Ok(Fill::More);
            }
            // Read before the log: what becomes durable in between is looked at again, not missed.
            let durable = run.shared.store.durable();
            records += 1;
            if !self.read(run)? {
                if durable > self.seen.seq {
                    self.seen = Token::high_water_mark(durable);
                }
                return Ok(Fill::Await(durable));
            }
        }
    }

    fn awaits_data(&self) -> bool {
        true
    }

    fn runs_inline(&self) -> bool {
        true
    }

    fn write_beside(&self, cursor: &mut DocWriter) {
        self.seen.write(cursor, "postBatchResumeToken");
    }
}

impl Scope {
    fn covers(&self, event: &Event<'_>) -> bool {
        let (db, collection) = (event.namespace.db(), event.namespace.collection());
        match self {
            Scope::Collection(own) => {
                event.namespace == *own || renamed_to(event).is_some_and(|to| to == *own)
            }
            Scope::Database(own) => db == own && !collection.starts_with("system."),
            Scope::Cluster => !is_internal(db, collection),
        }
    }

    /// Whether the stream ends with this event.
    fn is_ended_by(&self, event: &Event<'_>) -> bool {
        match self {
            Scope::Collection(_) => matches!(event.kind, Kind::Drop | Kind::Rename),
            Scope::Database(_) => event.kind == Kind::DropDatabase,
            Scope::Cluster => false,
        }
    }
}

fn renamed_to(event: &Event<'_>) -> Option<Namespace> {
    if event.kind != Kind::Rename {
        return None;
    }
    let to = event.detail?.get("to")?.as_doc()?;
    Some(Namespace::new(to.get("db")?.as_str()?, to.get("coll")?.as_str()?))
}

fn scope(db: &str, namespace: Option<&Namespace>, options: &Options) -> Result<Scope> {
    let refuse = |message: String| Err(Error::new(Code::INVALID_OPTIONS, message));
    if options.cluster {
        if db != "admin" || namespace.is_some() {
            return refuse(
                "A $changeStream with 'allChangesForCluster:true' may only be opened on the 'admin' database, and with no collection name".to_owned(),
            );
        }
        return Ok(Scope::Cluster);
    }
    if matches!(db, "admin" | "config" | "local") {
        return Err(Error::new(
            Code::INVALID_NAMESPACE,
            format!("$changeStream may not be opened on the internal {db} database"),
        ));
    }
    match namespace {
        None => Ok(Scope::Database(db.to_owned())),
        Some(namespace) if is_internal(db, namespace.collection()) => Err(Error::new(
            Code::INVALID_NAMESPACE,
            format!("$changeStream may not be opened on the internal {namespace} collection"),
        )),
        Some(namespace) => Ok(Scope::Collection(namespace.clone())),
    }
}

/// What a lost history says to a client: it cannot resume.
fn history_lost(error: Error) -> Error {
    if error.code() != Code::CHANGE_STREAM_HISTORY_LOST {
        return error;
    }
    Error::new(
        Code::CHANGE_STREAM_HISTORY_LOST,
        "Resume of change stream was not possible, as the resume point may no longer be in the oplog.",
    )
    .with_label("NonResumableChangeStreamError")
}
