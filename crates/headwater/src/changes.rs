//! Change streams that survive their server: as a stream, and as a worker that calls back. What is watched and how
//! breaks are mended is in the rooms below.

mod event;
mod fragments;
mod reader;
mod source;
mod store;
mod token;
mod watch;
mod worker;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::{Stream, StreamExt};
use mongodb::bson::RawDocumentBuf;
pub use mongodb::change_stream::event::{ChangeNamespace, OperationType, UpdateDescription};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;

pub use self::event::ChangeEvent;
use self::reader::{Reader, Step};
use self::source::{Place, Source};
pub use self::store::{FileTokenStore, TokenStore};
pub use self::token::ResumeToken;
pub use self::watch::Watch;
pub use self::worker::Worker;
use crate::BoxFuture;
use crate::error::kind::{ChangeStreamFailure, ErrorKind};
use crate::error::{Error, Result};

/// The changes of a collection, a database or a deployment, as a `Stream` that does not end by itself.
///
/// When the server goes away, or says that it cannot go on for now, the stream opens again behind the last event that it
/// handed out: nothing is missed and nothing comes twice. It holds one batch; who reads slowly makes the server wait,
/// not memory grow. Lost history and other failures that cannot be mended are errors, and the stream ends behind them.
/// An event that does not read as `T` is an error, too, and the stream goes on behind it. Dropping the stream closes the
/// cursor on the server.
///
/// ```
/// # #[cfg(feature = "embedded")]
/// # #[tokio::main]
/// # async fn main() -> headwater::Result<()> {
/// use headwater::bson::{Document, doc};
///
/// let headwater = headwater::Headwater::open_in_memory().await?;
/// let orders = headwater.collection::<Document>("orders");
/// let mut changes = orders.watch().await?;
/// orders.insert_one(doc! { "_id": 1, "price": 3 }).await?;
/// let change = changes.next().await.unwrap()?;
/// assert_eq!(change.full_document, Some(doc! { "_id": 1, "price": 3 }));
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "embedded"))]
/// # fn main() {}
/// ```
pub struct ChangeStream<T> {
    state: State,
    source: Source,
    token: Arc<Mutex<Option<ResumeToken>>>,
    documents: std::marker::PhantomData<fn() -> T>,
}

enum State {
    Idle(Box<Reader>),
    Busy(BoxFuture<'static, (Box<Reader>, Step)>),
    Ended,
}

impl<T> ChangeStream<T> {
    async fn open(source: Source, place: Place) -> Result<ChangeStream<T>> {
        let token = Arc::default();
        let reader = Reader::open(source.clone(), place, Arc::clone(&token)).await?;
        let documents = std::marker::PhantomData;
        Ok(ChangeStream { state: State::Idle(Box::new(reader)), source, token, documents })
    }

    /// The place behind everything that was handed out, or was of no interest since. It moves on while nothing happens,
    /// so that one saved now and then does not become too old.
    pub fn resume_token(&self) -> Option<ResumeToken> {
        self.token.lock().clone()
    }

    /// Saves [`ChangeStream::resume_token`] in the store of [`Watch::token_store`]: what was handed out so far does not
    /// come again in the next run. Nothing without a store.
    ///
    /// # Errors
    /// The store cannot.
    pub async fn commit(&self) -> Result<()> {
        let (Some(store), Some(token)) = (&self.source.store, self.resume_token()) else {
            return Ok(());
        };
        store.save(&token).await.map_err(|error| self.source.place_error(unkept(error)))
    }
}

impl<T: DeserializeOwned> ChangeStream<T> {
    /// The next event. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<ChangeEvent<T>>> {
        StreamExt::next(self).await
    }

    /// The next event, or none if there is none yet: waits for one answer of the server at most, which holds an empty
    /// one back for [`Watch::max_await_time`]. None, too, once the stream has ended ([`ChangeStream::is_alive`]).
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// As the stream's: what cannot be mended, an event that does not read as `T`, or a server that was away for longer
    /// than [`Watch::patience`].
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// use headwater::bson::{Document, doc};
    /// use std::time::Duration;
    ///
    /// let headwater = headwater::Headwater::open_in_memory().await?;
    /// let orders = headwater.collection::<Document>("orders");
    /// let mut changes = orders.watch().max_await_time(Duration::from_millis(50)).await?;
    /// assert!(changes.next_if_any().await?.is_none());
    /// orders.insert_one(doc! { "_id": 1 }).await?;
    /// while changes.next_if_any().await?.is_none() {}
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub async fn next_if_any(&mut self) -> Result<Option<ChangeEvent<T>>> {
        match std::future::poll_fn(|context| self.poll_step(context)).await {
            Step::Event(event) => self.read(event).map(Some),
            Step::Quiet | Step::End => Ok(None),
            Step::Failed(error) => Err(error),
        }
    }

    fn read(&self, event: RawDocumentBuf) -> Result<ChangeEvent<T>> {
        ChangeEvent::read(event).map_err(|error| self.source.error(error.into()))
    }
}

impl<T> ChangeStream<T> {
    /// False once the stream has ended and nothing will come any more.
    pub fn is_alive(&self) -> bool {
        match &self.state {
            State::Idle(reader) => !reader.has_ended(),
            State::Busy(_) => true,
            State::Ended => false,
        }
    }

    fn poll_step(&mut self, context: &mut Context<'_>) -> Poll<Step> {
        let mut reading = match std::mem::replace(&mut self.state, State::Ended) {
            State::Ended => return Poll::Ready(Step::End),
            State::Busy(reading) => reading,
            State::Idle(mut reader) => Box::pin(async move {
                let step = reader.step().await;
                (reader, step)
            }),
        };
        match reading.as_mut().poll(context) {
            Poll::Pending => {
                self.state = State::Busy(reading);
                Poll::Pending
            }
            Poll::Ready((_, Step::End)) => Poll::Ready(Step::End),
            Poll::Ready((reader, step)) => {
                self.state = State::Idle(reader);
                Poll::Ready(step)
            }
        }
    }
}

impl<T: DeserializeOwned> Stream for ChangeStream<T> {
    type Item = Result<ChangeEvent<T>>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            return Poll::Ready(match ready!(this.poll_step(context)) {
                Step::Event(event) => Some(this.read(event)),
                Step::Quiet => continue,
                Step::Failed(error) => Some(Err(error)),
                Step::End => None,
            });
        }
    }
}

fn unkept(error: std::io::Error) -> Error {
    let kind = ErrorKind::ChangeStream(ChangeStreamFailure::TokenStore);
    Error::new(kind, error.to_string()).with_source(error)
}

impl<T> Unpin for ChangeStream<T> {}

impl<T> fmt::Debug for ChangeStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChangeStream")
            .field("namespace", &self.source.operation().namespace())
            .field("token", &self.resume_token())
            .finish_non_exhaustive()
    }
}
