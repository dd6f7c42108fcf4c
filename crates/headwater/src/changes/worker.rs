//! A worker that calls back for every change and keeps the token of what is done. Knows streams by their events only.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, pending, select};
use serde::de::DeserializeOwned;

use super::event::ChangeEvent;
use super::source::Source;
use super::token::ResumeToken;
use super::watch::Watch;
use super::{ChangeStream, unkept};
use crate::BoxFuture;
use crate::error::kind::{ChangeStreamFailure, ErrorKind};
use crate::error::{Error, Result};

/// How often the place is saved while no event is of interest, so that it does not become too old.
const IDLE_SAVE: Duration = Duration::from_secs(10);

/// Handles changes one after the other; see [`Watch::run`].
#[must_use = "nothing happens before it is awaited"]
pub struct Worker<'a, T, F> {
    watch: Watch<T>,
    call: F,
    until: BoxFuture<'a, ()>,
    save_every: u64,
}

impl<T> Watch<T> {
    /// Calls a function for every change, one at a time. With a [`Watch::token_store`], the token is saved after the
    /// function has succeeded: a program that dies in between handles the change again in its next run, and none is
    /// missed ("at least once"). The worker ends by [`Worker::until`], by an error of the function, or by one of the
    /// stream that cannot be mended.
    ///
    /// # Errors
    /// What the stream or the store fails with; an error of the function is of kind
    /// [`ChangeStreamFailure::Callback`] and its `source()` is the function's own. Its change comes again.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// use headwater::bson::{Document, doc};
    /// use headwater::FileTokenStore;
    ///
    /// let headwater = headwater::Headwater::open_in_memory().await?;
    /// let orders = headwater.collection::<Document>("orders");
    /// let path = std::env::temp_dir().join(format!("headwater-doc-worker-{}", std::process::id()));
    /// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    /// let mut stop = Some(stop);
    /// let worker = orders
    ///     .watch()
    ///     .token_store(FileTokenStore::new(&path))
    ///     .run(|change| {
    ///         let stop = stop.take();
    ///         async move {
    ///             println!("{:?}", change.document_key);
    ///             stop.map(|stop| stop.send(()));
    ///             Ok::<_, std::io::Error>(())
    ///         }
    ///     })
    ///     .until(async { drop(stopped.await) });
    /// let write = async {
    ///     tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    ///     orders.insert_one(doc! { "_id": 1 }).await
    /// };
    /// let (handled, written) = tokio::join!(worker, write);
    /// written?;
    /// assert_eq!(handled?, 1);
    /// # std::fs::remove_file(path).unwrap();
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub fn run<'a, F, Fut>(self, call: F) -> Worker<'a, T, F>
    where
        F: FnMut(ChangeEvent<T>) -> Fut,
    {
        Worker { watch: self, call, until: Box::pin(pending()), save_every: 1 }
    }
}

impl<'a, T, F> Worker<'a, T, F> {
    /// Ends the worker when the future is done. A change that is being handled is handled to the end and its token
    /// saved.
    pub fn until(mut self, shutdown: impl Future<Output = ()> + Send + 'a) -> Self {
        self.until = Box::pin(shutdown);
        self
    }

    /// Saves the token after so many changes only, which is faster; after a crash as many come again. 1.
    pub fn save_every(mut self, changes: u64) -> Self {
        self.save_every = changes.max(1);
        self
    }
}

impl<'a, T, F, Fut, E> IntoFuture for Worker<'a, T, F>
where
    T: DeserializeOwned + Send + 'static,
    F: FnMut(ChangeEvent<T>) -> Fut + Send + 'a,
    Fut: Future<Output = std::result::Result<(), E>> + Send + 'a,
    E: Into<Box<dyn std::error::Error + Send + Sync>> + Send + 'a,
{
    /// How many changes were handled.
    type Output = Result<u64>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.work())
    }
}

impl<'a, T, F, Fut, E> Worker<'a, T, F>
where
    T: DeserializeOwned + Send + 'static,
    F: FnMut(ChangeEvent<T>) -> Fut + Send + 'a,
    Fut: Future<Output = std::result::Result<(), E>> + Send + 'a,
    E: Into<Box<dyn std::error::Error + Send + Sync>> + Send + 'a,
{
    async fn work(mut self) -> Result<u64> {
        let opening = pin!(self.watch.open());
        let (mut stream, mut until) = match select(self.until, opening).await {
            Either::Left(_) => return Ok(0),
            Either::Right((stream, until)) => (stream?, until),
        };
        let mut progress = Progress::default();
        let failed = loop {
            let event = match step(&mut stream, &mut until).await {
                Step::Event(event) => event,
                Step::Idle => {
                    progress.place = stream.resume_token();
                    progress.save(&stream.source).await?;
                    continue;
                }
                Step::Failed(error) => break Some(error),
                Step::End => break None,
            };
            if let Err(error) = (self.call)(*event).await {
                break Some(stream.source.place_error(unhandled(error.into())));
            }
            progress.place = stream.resume_token();
            progress.handled += 1;
            if progress.handled.is_multiple_of(self.save_every) {
                progress.save(&stream.source).await?;
            }
        };
        progress.save(&stream.source).await?;
        failed.map_or(Ok(progress.handled), Err)
    }
}

enum Step<T> {
    Event(Box<ChangeEvent<T>>),
    Idle,
    Failed(Error),
    End,
}

async fn step<T: DeserializeOwned>(
    stream: &mut ChangeStream<T>,
    until: &mut BoxFuture<'_, ()>,
) -> Step<T> {
    let next = pin!(tokio::time::timeout(IDLE_SAVE, stream.next()));
    match select(until, next).await {
        Either::Left(_) | Either::Right((Ok(None), _)) => Step::End,
        Either::Right((Err(_), _)) => Step::Idle,
        Either::Right((Ok(Some(Ok(event))), _)) => Step::Event(Box::new(event)),
        Either::Right((Ok(Some(Err(error))), _)) => Step::Failed(error),
    }
}

#[derive(Default)]
struct Progress {
    handled: u64,
    /// Everything before it was handled.
    place: Option<ResumeToken>,
    saved: Option<ResumeToken>,
}

impl Progress {
    async fn save(&mut self, source: &Source) -> Result<()> {
        if let (Some(store), Some(place)) = (&source.store, &self.place)
            && self.saved.as_ref() != Some(place)
        {
            let saved = store.save(place).await;
            saved.map_err(|error| source.place_error(unkept(error)))?;
            self.saved = Some(place.clone());
        }
        Ok(())
    }
}

fn unhandled(error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    let kind = ErrorKind::ChangeStream(ChangeStreamFailure::Callback);
    Error::new(kind, error.to_string()).with_source(error)
}
