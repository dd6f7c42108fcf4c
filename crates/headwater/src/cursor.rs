//! A cursor: documents as they come, batch by batch, with the connector's errors. Holds one batch.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use serde::de::DeserializeOwned;
use tokio::time::Sleep;

use crate::connector::Headwater;
use crate::error::classify::Family;
use crate::error::kind::ErrorKind;
use crate::error::{Error, Result};
use crate::operation::Operation;

/// How many documents a cursor gives before it counts them.
const TOLD_AT_ONCE: u64 = 100;

/// The documents that a query or an aggregation finds, as a `Stream`.
///
/// The next batch is asked for when the last one is used up. It is never asked for twice: a server that was away
/// between two batches has forgotten the cursor. Dropping the cursor closes it on the server.
///
/// ```
/// # #[cfg(feature = "embedded")]
/// # #[tokio::main]
/// # async fn main() -> headwater::Result<()> {
/// use headwater::bson::{Document, doc};
///
/// let headwater = headwater::Headwater::open_in_memory().await?;
/// let numbers = headwater.collection::<Document>("numbers");
/// numbers.insert_many((0..10).map(|n| doc! { "n": n })).await?;
/// let mut cursor = numbers.find(doc! {}).batch_size(3).await?;
/// let mut count = 0;
/// while let Some(number) = cursor.next().await {
///     number?;
///     count += 1;
/// }
/// assert_eq!(count, 10);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "embedded"))]
/// # fn main() {}
/// ```
pub struct Cursor<T> {
    driver: mongodb::Cursor<T>,
    origin: Origin,
    /// Runs while a batch is waited for.
    timer: Option<Pin<Box<Sleep>>>,
    /// A batch took too long: what comes of it is not waited for.
    given_up: bool,
    given: Given,
}

/// Counts the documents that a cursor gave, and tells the connector of many at once. Keeps an embedded database alive
/// for as long as its cursor.
struct Given {
    headwater: Headwater,
    untold: u64,
}

/// Where a cursor comes from.
struct Origin {
    operation: &'static str,
    namespace: String,
    family: Family,
    /// How long a batch may take; a tailable cursor waits for as long as nothing happens.
    deadline: Option<Duration>,
}

impl<T> Cursor<T> {
    pub(crate) fn new(
        headwater: Headwater,
        operation: &Operation<'_>,
        driver: mongodb::Cursor<T>,
    ) -> Cursor<T> {
        let deadline = headwater.resilience_settings().retry.deadline;
        let origin = Origin {
            operation: operation.name,
            namespace: operation.namespace(),
            family: operation.family,
            deadline: Some(operation.deadline.unwrap_or(deadline)),
        };
        Cursor {
            driver,
            origin,
            timer: None,
            given_up: false,
            given: Given { headwater, untold: 0 },
        }
    }

    /// Waits for each batch as long as it takes.
    pub(crate) fn patient(mut self) -> Cursor<T> {
        self.origin.deadline = None;
        self
    }
}

impl Given {
    fn one(&mut self) {
        self.untold += 1;
        if self.untold == TOLD_AT_ONCE {
            self.tell();
        }
    }

    fn tell(&mut self) {
        if self.untold > 0 {
            self.headwater.0.resilience.note_streamed(std::mem::take(&mut self.untold));
        }
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        self.tell();
    }
}

impl Origin {
    fn error(&self, error: mongodb::error::Error) -> Error {
        Error::of_driver(error, self.family).at(self.operation, self.namespace.clone())
    }
}

impl<T: DeserializeOwned> Cursor<T> {
    /// The next document; nothing at the end. Waits for a batch no longer than the deadline of the query.
    pub async fn next(&mut self) -> Option<Result<T>> {
        StreamExt::next(self).await
    }

    /// All documents that are left, in memory.
    ///
    /// # Errors
    /// Why a batch or a document could not be had; what came before is lost.
    pub async fn all(mut self) -> Result<Vec<T>> {
        let mut all = Vec::new();
        while let Some(next) = self.next().await {
            all.push(next?);
        }
        Ok(all)
    }
}

impl<T> fmt::Debug for Cursor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor")
            .field("operation", &self.origin.operation)
            .field("namespace", &self.origin.namespace)
            .finish_non_exhaustive()
    }
}

impl<T: DeserializeOwned> Stream for Cursor<T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        let this = &mut *self;
        if this.given_up {
            return Poll::Ready(None);
        }
        if let Poll::Ready(next) = this.driver.poll_next_unpin(context) {
            this.timer = None;
            match &next {
                Some(Ok(_)) => this.given.one(),
                _ => this.given.tell(),
            }
            return Poll::Ready(next.map(|next| next.map_err(|error| this.origin.error(error))));
        }
        let Some(deadline) = this.origin.deadline else { return Poll::Pending };
        let timer = this.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(deadline)));
        if timer.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        this.given_up = true;
        let error = Error::new(ErrorKind::Deadline, "the next batch took too long");
        Poll::Ready(Some(Err(error.at(this.origin.operation, this.origin.namespace.clone()))))
    }
}
