//! Change streams: a cursor that reads the durable end of the log, shows what its scope covers as events, runs the rest of
//! its pipeline over them, and always knows the token to resume behind.

use std::collections::VecDeque;
use std::sync::Arc;

use headwater_store::History;
use parking_lot::Mutex;

use super::document;
use super::event::Event;
use super::options::{Options, Start};
use super::scope::Scope;
use super::split;
use super::token::Token;
use super::watch::{Armed, Filter, Interest, Watch};
use crate::aggregate::pipeline::Pipeline;
use crate::bson::{DocBuf, DocWriter, Raw};
use crate::engine::Shared;
use crate::error::{Code, Error, Result};
use crate::limits::{DOCUMENT_BYTES_MAX, DOCUMENT_BYTES_SLACK};
use crate::namespace::Namespace;
use crate::query::cursor::{Batch, Body, Fill};
use crate::query::exec::{Environment, Stage};
use crate::query::run::Run;
use crate::request::Wait;

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

/// An open change stream.
pub struct ChangeStream {
    interest: Interest,
    history: History,
    /// Nothing up to here is asked for.
    floor: u64,
    /// Where it waits with the others, once it has waited.
    watch: Option<Watch>,
    /// The rest of the pipeline, fed from `queue`.
    pipeline: Option<Box<dyn Stage>>,
    queue: Queue,
    /// Events made and not yet given, with their tokens.
    ready: VecDeque<(Token, DocBuf)>,
    /// Up to where the client has seen everything.
    seen: Token,
    /// Events of the record `seen.seq` that were seen before the stream was opened.
    skip: Option<Token>,
    /// Whether events that are too large for one document are given in parts.
    splits: bool,
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
    /// Opens a stream. `namespace` is the collection, `None` for a database; `rest` the pipeline behind the stage without
    /// `$changeStreamSplitLargeEvent`, of which `splits` tells.
    ///
    /// # Errors
    /// `ChangeStreamHistoryLost` (286) with its label, `InvalidResumeToken` (260), `IllegalOperation` (20) for a stage
    /// that may not stand here, `InvalidOptions` (72) for a scope that may not be watched, `ChangeStreamFatalError` (280)
    /// for going on behind a part of an event by a stream that gives no parts.
    pub fn open(
        shared: &Shared,
        db: &str,
        namespace: Option<&Namespace>,
        argument: Raw<'_>,
        rest: &Pipeline,
        splits: bool,
    ) -> Result<ChangeStream> {
        let options = Options::parse(argument)?;
        let scope = Scope::of(db, namespace, &options)?;
        if let Some(name) = rest.stage_names().find(|name| ALLOWED.binary_search(name).is_err()) {
            return Err(Error::new(
                Code::ILLEGAL_OPERATION,
                format!("{name} is not permitted in a $changeStream pipeline"),
            ));
        }
        if matches!(options.start, Start::Behind(token) if token.fragment > 0 && !splits) {
            return Err(Error::new(
                Code::CHANGE_STREAM_FATAL_ERROR,
                "To resume from a split event, the $changeStream pipeline must include a $changeStreamSplitLargeEvent stage",
            ));
        }
        let last = shared.store.last();
        let (from, seen, skip) = match options.start {
            Start::Now => (last + 1, Token::high_water_mark(last), None),
            Start::At(seq) => (seq, Token::high_water_mark(seq.saturating_sub(1)), None),
            Start::Behind(token) => (token.seq, token, Some(token)),
        };
        let history = shared.store.history(from).map_err(|error| history_lost(error.into()))?;
        let filter = rest.stages().first().and_then(|stage| stage.matcher());
        let filter = filter.and_then(Filter::of);
        let queue = Queue::default();
        let feed = Box::new(Feed(queue.clone()));
        let pipeline = (!rest.stages().is_empty()).then(|| rest.build(feed));
        Ok(ChangeStream {
            interest: Interest { scope, shown: options.shown, filter },
            history,
            floor: from.saturating_sub(1),
            watch: None,
            pipeline,
            queue,
            ready: VecDeque::new(),
            seen,
            skip,
            splits,
            invalidated: false,
        })
    }

    /// Reads the next log record and queues its events. `false` at the durable end.
    fn read(&mut self, run: &Run<'_>) -> Result<bool> {
        let record = self.history.next().map_err(|error| history_lost(error.into()))?;
        let Some(record) = record else { return Ok(false) };
        let seq = record.seq;
        let begun = self.skip.take().filter(|token| token.seq == seq);
        let seen_before = begun.map_or(0, Token::whole_events);
        let mut number = 0;
        let mut events = Vec::new();
        if let Some(event) = Event::parse(record.event)
            && self.interest.scope.covers(&event)
        {
            let token = |number, invalidate| Token::event(seq, number, invalidate);
            number += 1;
            if number > seen_before
                && let Some(doc) = document::write(
                    &mut |event, id| document::look_up(run, event, id),
                    &self.interest.shown,
                    token(number, false),
                    &record,
                    &event,
                )?
            {
                events.push((token(number, false), doc));
            }
            if self.interest.scope.is_ended_by(&event) {
                number += 1;
                if number > seen_before {
                    let token = token(number, true);
                    events.push((token, document::head("invalidate", token, &event).finish()));
                }
            }
        }
        for (token, doc) in events {
            if let Some(doc) = self.shape(run, doc)? {
                let parts = begun.filter(|begun| begun.event == token.event);
                self.queue_event(token, doc, parts.map_or(0, |begun| begun.fragment))?;
            }
            self.invalidated |= token.invalidate;
        }
        // Events that wait for the next batch have not been seen: a client that resumes behind this batch must get them.
        if self.ready.is_empty() {
            self.seen = self.seen.max(Token::high_water_mark(seq));
        }
        Ok(true)
    }

    /// Queues an event, in parts if it is too large, of which the first `seen` are left out.
    fn queue_event(&mut self, token: Token, event: DocBuf, seen: u32) -> Result<()> {
        if !self.splits || (fits(&event) && seen == 0) {
            check_size(&event)?;
            self.ready.push_back((token, event));
            return Ok(());
        }
        self.ready.extend(split::behind(token, event.as_doc(), SIZE_MAX, seen)?);
        Ok(())
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

impl ChangeStream {
    /// Passes over what is known not to concern the stream, and says up to where that is. A stream that was called gives
    /// its place up.
    fn pass(&mut self) -> Option<u64> {
        if !self.ready.is_empty() || self.invalidated {
            self.watch = None;
        }
        let checked = self.watch.as_ref()?.idle();
        match checked {
            Some(checked) => {
                self.history.pass(checked);
                self.seen = self.seen.max(Token::high_water_mark(checked));
            }
            None => self.watch = None,
        }
        checked
    }

    /// Takes a place among those that wait, everything up to `durable` being read. `None` if there is more to read.
    fn wait(&mut self, shared: &Shared, durable: u64) -> Option<Wait> {
        let read = durable.max(self.floor);
        if let Some(watch) = &self.watch {
            watch.has_read(read);
            return Some(Wait::Events(watch.ticket()));
        }
        match shared.watches.arm(&self.interest, durable, read) {
            Armed::Waits(watch) => {
                let ticket = watch.ticket();
                self.watch = Some(watch);
                Some(Wait::Events(ticket))
            }
            Armed::Behind => None,
            Armed::Alone => Some(Wait::Durable(durable.saturating_add(1))),
        }
    }
}

impl Body for ChangeStream {
    fn fill(&mut self, run: &Run<'_>, batch: &mut Batch<'_>) -> Result<Fill> {
        self.pass();
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
            if self.read(run)? {
                continue;
            }
            if durable > self.seen.seq {
                self.seen = Token::high_water_mark(durable);
            }
            if !batch.is_empty() {
                return Ok(Fill::More);
            }
            if let Some(wait) = self.wait(run.shared, durable) {
                return Ok(Fill::Await(wait));
            }
        }
    }

    fn rest(&mut self, shared: &Shared, again: bool) -> Option<Wait> {
        let checked = self.pass();
        let watch = self.watch.as_ref()?;
        // A client that asks anew gets what was durable when it asked, however far the tail has come.
        (again || checked? >= shared.store.durable()).then(|| Wait::Events(watch.ticket()))
    }

    fn awaits_data(&self) -> bool {
        true
    }

    fn is_change_stream(&self) -> bool {
        true
    }

    fn runs_inline(&self) -> bool {
        true
    }

    fn write_beside(&self, cursor: &mut DocWriter) {
        self.seen.write(cursor, "postBatchResumeToken");
    }
}

/// Most bytes of an event.
const SIZE_MAX: usize = DOCUMENT_BYTES_MAX + DOCUMENT_BYTES_SLACK;

fn fits(event: &DocBuf) -> bool {
    event.as_doc().as_bytes().len() <= SIZE_MAX
}

/// Refuses an event that is larger than a document may be: with its images it is several documents.
fn check_size(event: &DocBuf) -> Result<()> {
    match fits(event) {
        true => Ok(()),
        false => Err(too_large(event.as_doc().as_bytes().len())),
    }
}

/// The error for an event of so many bytes.
pub(super) fn too_large(size: usize) -> Error {
    let max = SIZE_MAX;
    let message = format!(
        "Executor error during getMore :: caused by :: BSONObj size: {size} (0x{size:X}) is invalid. Size must be between 0 and {max}(16MB)"
    );
    Error::new(Code::BSON_OBJECT_TOO_LARGE, message)
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
