//! Large results in chunks: lists of documents by count and by bytes, as a stream. Holds one batch of the server and
//! the chunk that grows. How the first batch is asked for is the affair of the query.

pub(crate) mod batch;

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use mongodb::bson::deserialize_from_slice;
use mongodb::raw_batch_cursor::RawBatchCursor;
use serde::de::DeserializeOwned;
use tokio::time::Sleep;

use self::batch::Batch;
use crate::BoxFuture;
use crate::connector::Headwater;
use crate::error::classify::Family;
use crate::error::kind::ErrorKind;
use crate::error::{Error, Result};
use crate::operation::Operation;

/// Asks for the first batch, once per attempt.
type Open<'a> =
    Box<dyn Fn() -> BoxFuture<'a, mongodb::error::Result<RawBatchCursor>> + Send + Sync + 'a>;

/// A query or an aggregation whose results come in chunks; see [`Find::chunks`](crate::collection::Find::chunks).
#[must_use = "nothing happens before it is awaited"]
pub struct Chunks<'a, T> {
    headwater: &'a Headwater,
    operation: Operation<'a>,
    open: Open<'a>,
    size: Size,
    /// How long the server may wait before it answers, beyond the deadline of a batch.
    wait: Duration,
    documents: std::marker::PhantomData<fn() -> T>,
}

/// When a chunk is full.
#[derive(Debug, Clone, Copy)]
struct Size {
    count: usize,
    bytes: usize,
}

/// Chunks of documents, as a `Stream`.
///
/// A batch of the server holds as many documents as a chunk. The next one is asked for when the last one is used up:
/// who reads slowly makes the server wait, not memory grow. Memory holds the chunk handed out, the one that grows and
/// one batch. A batch is never asked for twice, because a server that was away has forgotten the cursor: what came
/// before the break is handed out, then the error, then the stream ends. Dropping it closes the cursor on the server.
pub struct ChunkStream<T> {
    cursor: Option<RawBatchCursor>,
    batch: Batch,
    chunk: Vec<T>,
    chunk_bytes: usize,
    size: Size,
    /// What goes out behind the chunk that grows.
    failed: Option<Error>,
    /// How long the batch that is waited for may still take.
    limit: Option<Pin<Box<Sleep>>>,
    origin: Origin,
    // Keeps an embedded database alive for as long as its cursor.
    headwater: Headwater,
}

struct Origin {
    operation: &'static str,
    namespace: String,
    family: Family,
    deadline: Duration,
}

/// The server's batch size for a chunk.
pub(crate) fn batch_size(chunk: usize) -> u32 {
    u32::try_from(chunk).unwrap_or(u32::MAX).clamp(1, i32::MAX as u32)
}

impl<'a, T> Chunks<'a, T> {
    pub(crate) fn new(
        headwater: &'a Headwater,
        operation: Operation<'a>,
        count: usize,
        open: Open<'a>,
    ) -> Chunks<'a, T> {
        let size = Size { count, bytes: usize::MAX };
        let (wait, documents) = (Duration::ZERO, std::marker::PhantomData);
        Chunks { headwater, operation, open, size, wait, documents }
    }

    /// The server answers only after it has waited for news.
    pub(crate) fn awaiting(mut self, wait: Duration) -> Chunks<'a, T> {
        self.wait = wait;
        self
    }

    /// The most bytes of a chunk, as BSON; a larger document has a chunk of its own. No limit.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.size.bytes = bytes;
        self
    }

    async fn run(self) -> Result<ChunkStream<T>> {
        let (name, namespace) = (self.operation.name, self.operation.namespace());
        if self.size.count == 0 || self.size.bytes == 0 {
            let error = Error::validation("a chunk must hold at least one document and one byte");
            return Err(error.at(name, namespace));
        }
        let cursor = self.headwater.0.resilience.run(self.operation, || (self.open)()).await?;
        let deadline = self.headwater.resilience_settings().retry.deadline;
        Ok(ChunkStream {
            cursor: Some(cursor),
            batch: Batch::default(),
            chunk: Vec::new(),
            chunk_bytes: 0,
            size: self.size,
            failed: None,
            limit: None,
            origin: Origin {
                operation: name,
                namespace,
                family: self.operation.family,
                deadline: self.operation.deadline.unwrap_or(deadline).saturating_add(self.wait),
            },
            headwater: self.headwater.clone(),
        })
    }
}

impl<'a, T: Send + 'a> IntoFuture for Chunks<'a, T> {
    type Output = Result<ChunkStream<T>>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl<T: DeserializeOwned> ChunkStream<T> {
    /// The next chunk; nothing at the end. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<Vec<T>>> {
        StreamExt::next(self).await
    }

    /// Takes documents from the batch until the chunk is full. `true` if it is, or if a document cannot be read.
    fn fill(&mut self) -> bool {
        while let Some(bytes) = self.batch.next_size() {
            if !self.chunk.is_empty() && self.chunk_bytes.saturating_add(bytes) > self.size.bytes {
                return true;
            }
            if self.chunk.is_empty() {
                self.chunk.reserve(self.batch.len().min(self.size.count));
            }
            let document = self.batch.take().map(deserialize_from_slice::<T>);
            match document {
                Some(Ok(document)) => self.chunk.push(document),
                Some(Err(error)) => {
                    self.failed = Some(self.origin.error(error.into()));
                    return true;
                }
                None => {}
            }
            self.chunk_bytes = self.chunk_bytes.saturating_add(bytes);
            if self.chunk.len() >= self.size.count {
                return true;
            }
        }
        false
    }

    /// Hands out the chunk, or the error behind it.
    fn give(&mut self) -> Option<Result<Vec<T>>> {
        if self.chunk.is_empty() {
            return self.failed.take().map(Err);
        }
        self.chunk_bytes = 0;
        self.headwater.0.resilience.note_streamed(self.chunk.len() as u64);
        Some(Ok(std::mem::take(&mut self.chunk)))
    }

    /// The next batch; `None` at the end.
    fn poll_batch(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Batch>>> {
        let Some(cursor) = &mut self.cursor else { return Poll::Ready(None) };
        let deadline = self.origin.deadline;
        let Poll::Ready(reply) = cursor.poll_next_unpin(context) else {
            let limit = self.limit.get_or_insert_with(|| Box::pin(tokio::time::sleep(deadline)));
            ready!(limit.as_mut().poll(context));
            let error = Error::new(ErrorKind::Deadline, "the next batch took too long");
            return Poll::Ready(Some(Err(self.origin.place(error))));
        };
        self.limit = None;
        let batch = reply.map(|reply| reply.and_then(Batch::new));
        Poll::Ready(batch.map(|batch| batch.map_err(|error| self.origin.error(error))))
    }
}

impl Origin {
    fn error(&self, error: mongodb::error::Error) -> Error {
        self.place(Error::of_driver(error, self.family))
    }

    fn place(&self, error: Error) -> Error {
        error.at(self.operation, self.namespace.clone())
    }
}

impl<T: DeserializeOwned> Stream for ChunkStream<T> {
    type Item = Result<Vec<T>>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if this.failed.is_some() || this.fill() {
                return Poll::Ready(this.give());
            }
            this.batch.clear();
            match ready!(this.poll_batch(context)) {
                // A cursor that waits for more at the end of a capped collection.
                Some(Ok(batch)) if batch.is_empty() && !this.chunk.is_empty() => {
                    return Poll::Ready(this.give());
                }
                Some(Ok(batch)) => this.batch = batch,
                Some(Err(error)) => {
                    this.cursor = None;
                    this.failed = Some(error);
                }
                None => {
                    this.cursor = None;
                    return Poll::Ready(this.give());
                }
            }
        }
    }
}

impl<T> Unpin for ChunkStream<T> {}

impl<T> fmt::Debug for ChunkStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkStream")
            .field("operation", &self.origin.operation)
            .field("namespace", &self.origin.namespace)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}
