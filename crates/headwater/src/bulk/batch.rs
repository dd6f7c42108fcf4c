//! One batch: cut from the input, inserted, and what became of each of its documents.

use std::borrow::Borrow;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::stream::{Stream, StreamExt};
use serde::Serialize;

use super::Settings;
use crate::collection::{Collection, Prepared, with_id};
use crate::error::Error;
use crate::error::details::{BulkFailure, BulkItem};

/// The largest document that a server takes (`maxBsonObjectSize`).
const DOCUMENT_BYTES_MAX: usize = 16 << 20;
/// The server's code for a document that is larger.
const TOO_LARGE: i32 = 10_334;
/// The server's code for a value that makes no sense.
const BAD_VALUE: i32 = 2;

/// Cuts the input into batches.
pub(super) struct Cutter<T, S> {
    pub(super) input: Pin<Box<S>>,
    /// The input index of what comes next.
    pub(super) next: usize,
    /// A document that had no room in the batch before.
    pub(super) held: Option<Prepared>,
    pub(super) settings: Arc<Settings>,
    /// Raised when no further batch is to begin.
    pub(super) stopped: Arc<AtomicBool>,
    pub(super) document: PhantomData<fn() -> T>,
}

/// Documents that go out together.
pub(super) struct Batch {
    start: usize,
    /// Behind the last document, the refused ones included.
    end: usize,
    documents: Vec<Prepared>,
    /// The input index of each document.
    indexes: Vec<usize>,
    /// Refused before they were sent.
    refused: Vec<BulkItem>,
}

/// What became of a batch, with input indexes.
pub(super) struct Outcome {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) failure: BulkFailure,
    /// Why it failed as a whole.
    pub(super) trouble: Option<Error>,
}

impl<T: Serialize, S: Stream<Item: Borrow<T> + Send> + Send> Cutter<T, S> {
    /// The next batch and this value for those after it, `None` at the end.
    pub(super) async fn step(mut self) -> Option<(Batch, Cutter<T, S>)> {
        if self.stopped.load(Ordering::Relaxed) {
            return None;
        }
        self.cut().await.map(|batch| (batch, self))
    }

    async fn cut(&mut self) -> Option<Batch> {
        let start = self.next - usize::from(self.held.is_some());
        let mut batch = Batch {
            start,
            end: start,
            documents: Vec::new(),
            indexes: Vec::new(),
            refused: Vec::new(),
        };
        let mut bytes = 0;
        if let Some(held) = self.held.take() {
            bytes = held.document.as_bytes().len();
            batch.push(held);
        }
        let ordered = self.settings.options.ordered == Some(true);
        while batch.end - batch.start < self.settings.batch_size {
            let Some(document) = self.input.next().await else { break };
            self.next += 1;
            match prepare(document.borrow()) {
                Err((code, message)) => {
                    let index = batch.end;
                    batch.refused.push(BulkItem { index, code, message, id: None });
                    batch.end += 1;
                    // Nothing after it may go out.
                    if ordered {
                        break;
                    }
                }
                Ok(prepared) => {
                    bytes += prepared.document.as_bytes().len();
                    if bytes > self.settings.batch_bytes && !batch.documents.is_empty() {
                        self.held = Some(prepared);
                        break;
                    }
                    batch.push(prepared);
                }
            }
        }
        (batch.end > batch.start).then_some(batch)
    }
}

fn prepare<T: Serialize>(document: &T) -> Result<Prepared, (i32, String)> {
    let (id, document) = with_id(document).map_err(|error| (BAD_VALUE, error.to_string()))?;
    let bytes = document.as_bytes().len();
    if bytes > DOCUMENT_BYTES_MAX {
        let message =
            format!("the document has {bytes} bytes, a server takes {DOCUMENT_BYTES_MAX}");
        return Err((TOO_LARGE, message));
    }
    Ok(Prepared { id, document })
}

impl Batch {
    fn push(&mut self, document: Prepared) {
        self.documents.push(document);
        self.indexes.push(self.end);
        self.end += 1;
    }

    /// Inserts what was not refused before.
    pub(super) async fn insert<T: Send + Sync>(
        self,
        collection: &Collection<T>,
        settings: Arc<Settings>,
    ) -> Outcome {
        let mut failure = BulkFailure::default();
        let mut trouble = None;
        if !self.documents.is_empty() {
            let Settings { options, deadline, .. } = &*settings;
            match collection.insert_batch(&self.documents, options, *deadline).await {
                Ok(()) => failure.counts.inserted = self.documents.len() as u64,
                Err(error) => {
                    trouble = self.judge(collection, &settings, error, &mut failure).await
                }
            }
        }
        failure.items.extend(self.refused);
        failure.items.sort_by_key(|item| item.index);
        Outcome { start: self.start, end: self.end, failure, trouble }
    }

    /// Puts what the error tells under input indexes; gives it back if it is of the batch and not of documents.
    async fn judge<T: Send + Sync>(
        &self,
        collection: &Collection<T>,
        settings: &Settings,
        error: Error,
        failure: &mut BulkFailure,
    ) -> Option<Error> {
        let Some(told) = error.bulk() else {
            if error.is_outcome_unknown() {
                failure.unknown.clone_from(&self.indexes);
            } else if error.write_concern().is_some() {
                // Applied, but not confirmed as demanded.
                failure.counts.inserted = self.documents.len() as u64;
            } else {
                failure.unprocessed.clone_from(&self.indexes);
            }
            return Some(error);
        };
        let mut told = told.clone();
        if settings.accepts_existing {
            collection.forgive_own(&mut told, &self.documents).await;
        }
        let index = |at: &usize| self.indexes.get(*at).copied().unwrap_or(self.start);
        failure.counts.inserted = told.counts.inserted;
        failure.unknown = told.unknown.iter().map(index).collect();
        failure.unprocessed = told.unprocessed.iter().map(index).collect();
        let items = told.items.into_iter();
        failure.items = items.map(|item| BulkItem { index: index(&item.index), ..item }).collect();
        // Some of it may be without an answer although others have theirs.
        (!failure.unknown.is_empty()).then_some(error)
    }
}
