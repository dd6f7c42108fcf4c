//! What brings a change stream's events: reads batches, knows the place to go on behind, and opens the cursor again
//! after a break. Knows events as raw documents only.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use mongodb::bson::{Document, RawDocument, RawDocumentBuf};
use mongodb::raw_batch_cursor::RawBatchCursor;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::fragments::Fragments;
use super::source::{Place, Source};
use super::token::ResumeToken;
use crate::error::classify::Family;
use crate::error::kind::{ChangeStreamFailure, ConnectionFailure, ErrorKind};
use crate::error::{Error, Result};
use crate::observe;
use crate::resilience::pause;
use crate::stream::batch::Batch;

/// Sorted. Codes after which a change stream is opened again, from the driver specification "Change Streams"; servers
/// since 4.4 say so by a label.
const RESUMABLE: &[i32] = &[
    6, 7, 43, 63, 89, 91, 133, 150, 189, 234, 262, 9001, 10107, 11600, 11602, 13388, 13435, 13436,
];

/// What one look at the stream gives.
pub(super) enum Step {
    Event(RawDocumentBuf),
    /// The server has no event right now.
    Quiet,
    Failed(Error),
    End,
}

pub(super) struct Reader {
    pub(super) source: Source,
    place: Place,
    cursor: Option<RawBatchCursor>,
    batch: Batch,
    fragments: Fragments,
    /// How often in a row the stream broke.
    breaks: u32,
    /// After a failure that the reader was told of: when to ask again.
    rest: Option<Instant>,
    /// What opening failed with, to be told first.
    failed: Option<Error>,
    invalidated: bool,
    ended: bool,
    /// What the outside sees as the place behind the last event.
    token: Arc<Mutex<Option<ResumeToken>>>,
}

impl Reader {
    /// Opens the stream for the first time.
    pub(super) async fn open(
        source: Source,
        place: Place,
        token: Arc<Mutex<Option<ResumeToken>>>,
    ) -> Result<Reader> {
        if let Place::ResumeAfter(start) | Place::StartAfter(start) = &place {
            *token.lock() = Some(start.clone());
        }
        let (cursor, failed) = match source.open(&place).await {
            Ok(cursor) => (Some(cursor), None),
            Err(error) if source.starts_over && error.is_history_lost() => (None, Some(error)),
            Err(error) => return Err(error),
        };
        let mut reader = Reader {
            source,
            place,
            cursor,
            batch: Batch::default(),
            fragments: Fragments::default(),
            breaks: 0,
            rest: None,
            failed,
            invalidated: false,
            ended: false,
            token,
        };
        if reader.failed.is_none() {
            // The first batch is here already; its token is the place to go on behind if the server goes away now.
            reader.fetch().await.map_err(|error| reader.source.place_error(error))?;
        }
        Ok(reader)
    }

    /// What comes next, after one answer of the server at most. An error after which it can go on leaves the place as it
    /// is.
    pub(super) async fn step(&mut self) -> Step {
        if let Some(error) = self.failed.take() {
            return Step::Failed(self.end(error));
        }
        let taken = self.taken();
        if !matches!(taken, Step::Quiet) {
            return taken;
        }
        if let Some(rest) = self.rest.take() {
            tokio::time::sleep_until(rest).await;
        }
        if let Err(error) = self.fetch().await
            && let Err(error) = self.recover(error).await
        {
            return Step::Failed(error);
        }
        self.taken()
    }

    /// True if nothing comes any more.
    pub(super) fn has_ended(&self) -> bool {
        self.ended && self.batch.is_empty()
    }

    fn taken(&mut self) -> Step {
        match self.take() {
            Ok(Some(event)) => Step::Event(event),
            Ok(None) if self.ended => Step::End,
            Ok(None) => Step::Quiet,
            Err(error) => Step::Failed(self.end(error)),
        }
    }

    /// The next whole event of the batch.
    fn take(&mut self) -> Result<Option<RawDocumentBuf>> {
        while let Some(bytes) = self.batch.take() {
            let event = RawDocumentBuf::from_bytes(bytes.to_vec());
            let event = event.map_err(|error| broken(error.to_string()))?;
            let Some(event) = self.fragments.add(event).map_err(broken)? else { continue };
            let token = event.get_document("_id").ok().and_then(token_of);
            let Some(token) = token else {
                return Err(fatal("the pipeline took the resume token (_id) out of an event"));
            };
            self.invalidated =
                event.get_str("operationType").is_ok_and(|name| name == "invalidate");
            let behind_batch = if self.batch.is_empty() { self.batch_token() } else { None };
            self.settle(behind_batch.unwrap_or(token));
            return Ok(Some(event));
        }
        Ok(None)
    }

    /// Everything up to the token was handed out.
    fn settle(&mut self, token: ResumeToken) {
        *self.token.lock() = Some(token.clone());
        self.place = Place::StartAfter(token);
    }

    /// The place behind everything that the batch looked at.
    fn batch_token(&self) -> Option<ResumeToken> {
        let cursor = self.batch.reply()?.get_document("cursor").ok()?;
        token_of(cursor.get_document("postBatchResumeToken").ok()?)
    }

    /// Waits for the next batch, once.
    async fn fetch(&mut self) -> Result<()> {
        let first = self.cursor.is_none();
        if first {
            if self.invalidated && self.source.ends_with_invalidate {
                self.ended = true;
                return Ok(());
            }
            self.invalidated = false;
            self.cursor = Some(self.source.open(&self.place).await?);
        }
        let Some(cursor) = &mut self.cursor else { return Ok(()) };
        let limit = self.source.batch_time();
        let reply = match tokio::time::timeout(limit, cursor.next()).await {
            Ok(Some(reply)) => reply.and_then(Batch::new),
            Ok(None) => {
                self.cursor = None;
                if self.invalidated {
                    return Ok(());
                }
                return Err(Error::connection(ConnectionFailure::Reset, "the cursor was closed"));
            }
            Err(_) => {
                let late = "no server answered the change stream in time";
                return Err(Error::connection(ConnectionFailure::Timeout, late));
            }
        };
        self.batch = reply.map_err(|error| Error::of_driver(error, Family::ChangeStream))?;
        if !first {
            self.breaks = 0;
        }
        if self.batch.is_empty() {
            self.note_silence();
        }
        Ok(())
    }

    /// An empty batch moves the place on, too.
    fn note_silence(&mut self) {
        if self.fragments.is_waiting() {
            return;
        }
        if let Some(token) = self.batch_token() {
            self.settle(token);
        } else if let (Place::Now, Some(reply)) = (&self.place, self.batch.reply())
            && let Ok(time) = reply.get_timestamp("operationTime")
        {
            self.place = Place::Since(time);
        }
    }

    /// Opens the cursor again after a break, with pauses, as long as that makes sense.
    async fn recover(&mut self, mut error: Error) -> Result<()> {
        let since = Instant::now();
        loop {
            self.forget_cursor();
            if !is_resumable(&error) {
                return Err(self.end(error));
            }
            self.breaks = self.breaks.saturating_add(1);
            let pause = self.pause(&error);
            observe::retry(&self.source.operation(), self.breaks, pause, &error);
            if self.source.patience.is_some_and(|patience| since.elapsed() >= patience) {
                self.rest = Some(Instant::now() + pause);
                return Err(self.source.place_error(error));
            }
            tokio::time::sleep(pause).await;
            match self.fetch().await {
                Ok(()) => return Ok(()),
                Err(again) => error = again,
            }
        }
    }

    fn forget_cursor(&mut self) {
        self.cursor = None;
        self.batch.clear();
        self.fragments.clear();
    }

    /// Not before the circuit breaker lets anything through.
    fn pause(&self, error: &Error) -> Duration {
        let retry = &self.source.headwater.resilience_settings().retry;
        pause(retry, self.breaks).max(error.retry_after().unwrap_or_default())
    }

    /// The stream ends with the error, unless it is to begin anew where its place is lost.
    fn end(&mut self, error: Error) -> Error {
        self.forget_cursor();
        if self.source.starts_over && error.is_history_lost() {
            self.place = Place::Now;
            *self.token.lock() = None;
            self.invalidated = false;
            self.breaks = self.breaks.saturating_add(1);
            self.rest = Some(Instant::now() + self.pause(&error));
        } else {
            self.ended = true;
        }
        self.source.place_error(error)
    }
}

fn token_of(document: &RawDocument) -> Option<ResumeToken> {
    Document::try_from(document).ok().map(ResumeToken::from)
}

fn broken(message: String) -> Error {
    Error::new(ErrorKind::ChangeStream(ChangeStreamFailure::Other), message)
}

fn fatal(message: &str) -> Error {
    Error::new(ErrorKind::ChangeStream(ChangeStreamFailure::Fatal), message)
}

/// Whether opening the stream again may help.
fn is_resumable(error: &Error) -> bool {
    if error.has_label("NonResumableChangeStreamError") {
        return false;
    }
    error.has_label("ResumableChangeStreamError")
        || error.code().is_some_and(|code| RESUMABLE.binary_search(&code).is_ok())
        || error.kind() == ErrorKind::Deadline
        || (error.is_retryable() && !matches!(error.kind(), ErrorKind::ChangeStream(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r15_lost_history_is_final_and_a_lost_server_is_not() {
        assert!(RESUMABLE.is_sorted());
        for (code, resumable) in [(43, true), (91, true), (286, false), (260, false), (280, false)]
        {
            let error = Error::of_code(code, Family::ChangeStream, "");
            assert_eq!(is_resumable(&error), resumable, "{code}");
        }
        let reset = Error::connection(ConnectionFailure::Reset, "");
        assert!(is_resumable(&reset));
        let closed = Error::connection(ConnectionFailure::Closed, "");
        assert!(!is_resumable(&closed));
        let label = |label: &str| {
            Error::of_code(1, Family::ChangeStream, "").with_labels([label.to_owned()])
        };
        assert!(is_resumable(&label("ResumableChangeStreamError")));
        assert!(!is_resumable(&label("NonResumableChangeStreamError")));
        let kinds = [
            (286, ChangeStreamFailure::HistoryLost),
            (260, ChangeStreamFailure::InvalidToken),
            (280, ChangeStreamFailure::Fatal),
            (115, ChangeStreamFailure::NotSupported),
        ];
        for (code, failure) in kinds {
            let error = Error::of_code(code, Family::ChangeStream, "");
            assert_eq!(error.kind(), ErrorKind::ChangeStream(failure));
        }
    }
}
