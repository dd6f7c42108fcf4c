//! Bulk loading: documents of any iterator or stream, in batches, several under way at a time. Knows batches and
//! their outcome; how one is inserted and tried again is the collection's affair.

mod batch;
mod outcome;

use std::borrow::Borrow;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::stream::{self, Stream, StreamExt};
use mongodb::bson::Bson;
use mongodb::options::{InsertManyOptions, WriteConcern};
use serde::Serialize;

use self::batch::{Batch, Cutter};
use self::outcome::Tally;
use crate::BoxFuture;
use crate::collection::Collection;
use crate::connector::limit_wait;
use crate::error::Result;

/// As many as the connector's original sends at once.
const BATCH_SIZE: usize = 1000;
/// The most documents in one message, which every server takes (`maxWriteBatchSize`).
const BATCH_SIZE_MAX: usize = 100_000;
/// The most bytes of documents in one message, with room for the rest of it: servers take 48 MB.
const BATCH_BYTES_MAX: usize = 47_000_000;
const PARALLEL: usize = 4;

/// Loads documents in bulk; see [`Collection::bulk_load`].
#[must_use = "nothing happens before it is awaited"]
pub struct BulkLoad<'a, T: Send + Sync, S> {
    collection: &'a Collection<T>,
    input: S,
    settings: Settings,
    progress: Option<Progress<'a>>,
}

type Progress<'a> = Box<dyn FnMut(&BulkProgress) + Send + 'a>;

#[derive(Clone)]
struct Settings {
    batch_size: usize,
    batch_bytes: usize,
    parallel: usize,
    resume_from: usize,
    accepts_existing: bool,
    options: InsertManyOptions,
    deadline: Option<Duration>,
}

/// How far a bulk load has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct BulkProgress {
    /// Documents taken from the input, those passed over by [`BulkLoad::resume_from`] included.
    pub read: usize,
    /// Documents inserted.
    pub inserted: u64,
    /// Documents that the server, or the connector before it, refused.
    pub failed: usize,
    /// Batches answered.
    pub batches: usize,
    /// Every document before this input index is inserted or refused.
    pub settled: usize,
}

impl<T: Serialize + Send + Sync> Collection<T> {
    /// Inserts the documents of an iterator of any length, in batches and several batches at a time.
    ///
    /// Unordered unless told otherwise: a document that is refused stops nobody else. Memory holds the batches under way
    /// and no more. The `_id`s are fixed before the first attempt, so a batch without an answer is tried again and no
    /// document comes twice.
    ///
    /// # Errors
    /// If some documents fail, the error carries [`BulkFailure`](crate::BulkFailure): which, why, how many were inserted
    /// all the same, and the index from which to resume. A failure of the connection ends the load after the batches
    /// under way.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// use headwater::bson::{Document, doc};
    /// let headwater = headwater::Headwater::open_in_memory().await?;
    /// let users = headwater.collection::<Document>("users");
    /// let loaded = users.bulk_load((0..5000).map(|i| doc! { "_id": i })).batch_size(500).await?;
    /// assert_eq!((loaded.inserted, loaded.batches), (5000, 10));
    ///
    /// let error = users.bulk_load((4999..6000).map(|i| doc! { "_id": i })).await.unwrap_err();
    /// let failure = error.bulk().unwrap();
    /// assert_eq!((failure.counts.inserted, failure.items.len(), failure.items[0].index), (1000, 1, 0));
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub fn bulk_load<I>(&self, documents: I) -> BulkLoad<'_, T, impl Stream<Item = I::Item>>
    where
        I: IntoIterator<Item: Borrow<T>>,
    {
        self.bulk_load_stream(stream::iter(documents))
    }

    /// As [`Collection::bulk_load`], from a stream. It is polled only while there is room for another batch.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// use futures_util::StreamExt;
    /// use headwater::bson::{Document, doc};
    /// let headwater = headwater::Headwater::open_in_memory().await?;
    /// let lines = futures_util::stream::iter(["a", "b", "c"]).map(|line| doc! { "line": line });
    /// let loaded = headwater.collection::<Document>("lines").bulk_load_stream(lines).await?;
    /// assert_eq!(loaded.inserted, 3);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub fn bulk_load_stream<S>(&self, documents: S) -> BulkLoad<'_, T, S>
    where
        S: Stream<Item: Borrow<T>>,
    {
        let mut options = InsertManyOptions::default();
        options.ordered = Some(false);
        let settings = Settings {
            batch_size: BATCH_SIZE,
            batch_bytes: BATCH_BYTES_MAX,
            parallel: PARALLEL,
            resume_from: 0,
            accepts_existing: false,
            options,
            deadline: None,
        };
        BulkLoad { collection: self, input: documents, settings, progress: None }
    }
}

impl<'a, T: Send + Sync, S> BulkLoad<'a, T, S> {
    /// Documents in a batch. 1,000; at least 1 and at most the 100,000 that every server takes.
    pub fn batch_size(mut self, documents: usize) -> Self {
        self.settings.batch_size = documents.clamp(1, BATCH_SIZE_MAX);
        self
    }

    /// Bytes of documents in a batch. 47 million, which is also the most: a message holds 48 MB. A larger document
    /// has a batch of its own.
    pub fn batch_bytes(mut self, bytes: usize) -> Self {
        self.settings.batch_bytes = bytes.clamp(1, BATCH_BYTES_MAX);
        self
    }

    /// Whether the first document that is refused ends the load, with none after it inserted. Then batches go out one
    /// after the other.
    pub fn ordered(mut self, ordered: bool) -> Self {
        self.settings.options.ordered = Some(ordered);
        self
    }

    /// Most batches under way at a time. 4.
    pub fn parallel(mut self, batches: usize) -> Self {
        self.settings.parallel = batches.max(1);
        self
    }

    /// Passes over so many documents of the input: the
    /// [`resume_at`](crate::BulkFailure::resume_at) of a load that broke off.
    ///
    /// With several batches at a time, documents after that index may be there already. Give them `_id`s of their own and
    /// add [`BulkLoad::accept_existing`], or load with `parallel(1)`.
    pub fn resume_from(mut self, index: usize) -> Self {
        self.settings.resume_from = index;
        self
    }

    /// Takes a document that is there already, with the same `_id` and the same content, for inserted.
    pub fn accept_existing(mut self) -> Self {
        self.settings.accepts_existing = true;
        self
    }

    /// Calls this after every batch.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// use headwater::bson::{Document, doc};
    /// let headwater = headwater::Headwater::open_in_memory().await?;
    /// let numbers = headwater.collection::<Document>("numbers");
    /// let load = numbers.bulk_load((0..10).map(|i| doc! { "i": i })).batch_size(5);
    /// let mut seen = Vec::new();
    /// load.on_progress(|progress| seen.push(progress.inserted)).await?;
    /// assert_eq!(seen, [5, 10]);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub fn on_progress(mut self, call: impl FnMut(&BulkProgress) + Send + 'a) -> Self {
        self.progress = Some(Box::new(call));
        self
    }

    /// Whether the collection's validator is passed over.
    pub fn bypass_document_validation(mut self, bypass: bool) -> Self {
        self.settings.options.bypass_document_validation = Some(bypass);
        self
    }

    /// The write concern of this load.
    pub fn write_concern(mut self, concern: WriteConcern) -> Self {
        self.settings.options.write_concern = Some(concern);
        self
    }

    /// A remark for the server's logs.
    pub fn comment(mut self, comment: impl Into<Bson>) -> Self {
        self.settings.options.comment = Some(comment.into());
        self
    }

    /// How long a batch may take, attempts and pauses included. As the connector's settings say.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.settings.deadline = Some(deadline);
        self
    }
}

impl<'a, T, S> IntoFuture for BulkLoad<'a, T, S>
where
    T: Serialize + Send + Sync + 'a,
    S: Stream<Item: Borrow<T> + Send> + Send + 'a,
{
    type Output = Result<BulkProgress>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl<'a, T, S> BulkLoad<'a, T, S>
where
    T: Serialize + Send + Sync + 'a,
    S: Stream<Item: Borrow<T> + Send> + Send + 'a,
{
    async fn run(mut self) -> Result<BulkProgress> {
        limit_wait(&mut self.settings.options.write_concern);
        let settings = Arc::new(self.settings);
        let ordered = settings.options.ordered == Some(true);
        let parallel = if ordered { 1 } else { settings.parallel };
        let stopped = Arc::new(AtomicBool::new(false));
        let cutter = Cutter {
            input: Box::pin(self.input.skip(settings.resume_from)),
            next: settings.resume_from,
            held: None,
            settings: Arc::clone(&settings),
            stopped: Arc::clone(&stopped),
            document: PhantomData,
        };
        let collection = self.collection;
        let insert = |batch: Batch| batch.insert(collection, Arc::clone(&settings));
        let batches = stream::unfold(cutter, Cutter::step);
        let mut outcomes = Box::pin(batches.map(insert).buffer_unordered(parallel));
        let mut tally = Tally::new(settings.resume_from);
        while let Some(outcome) = outcomes.next().await {
            if tally.add(outcome, ordered) {
                stopped.store(true, Ordering::Relaxed);
            }
            if let Some(call) = &mut self.progress {
                call(&tally.progress);
            }
        }
        tally.close()
    }
}
