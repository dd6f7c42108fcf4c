//! Several operations at once: so many in flight, results in the order of the input, and one failure loses nothing.

mod operation;
mod parse;

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::stream::{self, StreamExt};

pub use self::operation::{DataOperation, DataResult};
use crate::BoxFuture;
use crate::connector::Headwater;
use crate::database::Database;
use crate::error::kind::ErrorKind;
use crate::error::{Error, Result};

const IN_FLIGHT: usize = 10;

/// Runs operations at once; see [`Database::concurrent`].
#[must_use = "nothing happens before it is awaited"]
pub struct Concurrent {
    database: Database,
    operations: Vec<DataOperation>,
    in_flight_max: usize,
    fail_fast: bool,
}

impl Database {
    /// Runs operations at once, at most 10 unless told otherwise, and gives back what each came to, in the order of the
    /// input: a result or an error of its own.
    ///
    /// Only operations on data can be named, none that drops, creates or closes anything; see [`DataOperation`].
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// use headwater::DataOperation;
    /// use headwater::bson::doc;
    /// let headwater = headwater::Headwater::open_in_memory().await?;
    /// let shop = headwater.database("shop");
    /// let results = shop
    ///     .concurrent([
    ///         DataOperation::insert_one("users", doc! { "_id": 1 }),
    ///         DataOperation::aggregate("users", [doc! { "$frobnicate": 1 }]),
    ///         DataOperation::count("orders", doc! {}),
    ///     ])
    ///     .max_in_flight(2)
    ///     .await;
    /// assert_eq!(results[0].as_ref().unwrap().id(), Some(&1.into()));
    /// assert!(results[1].is_err());
    /// assert_eq!(results[2].as_ref().unwrap().count(), Some(0));
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub fn concurrent<I>(&self, operations: I) -> Concurrent
    where
        I: IntoIterator<Item = DataOperation>,
    {
        let operations = operations.into_iter().collect();
        Concurrent {
            database: self.clone(),
            operations,
            in_flight_max: IN_FLIGHT,
            fail_fast: false,
        }
    }
}

impl Headwater {
    /// As [`Database::concurrent`], in the default database.
    pub fn concurrent<I>(&self, operations: I) -> Concurrent
    where
        I: IntoIterator<Item = DataOperation>,
    {
        self.default_database().concurrent(operations)
    }
}

impl Concurrent {
    /// Most operations in flight; at least 1. 10.
    pub fn max_in_flight(mut self, operations: usize) -> Concurrent {
        self.in_flight_max = operations.max(1);
        self
    }

    /// Whether the first error cancels the others. What has finished by then is still given back; the others end with
    /// [`ErrorKind::Cancelled`], which says of a write under way that its outcome is unknown. False.
    pub fn fail_fast(mut self, fail_fast: bool) -> Concurrent {
        self.fail_fast = fail_fast;
        self
    }

    async fn run(self) -> Vec<Result<DataResult>> {
        let Concurrent { database, operations, in_flight_max, fail_fast } = self;
        let begun: Vec<AtomicBool> = operations.iter().map(|_| AtomicBool::new(false)).collect();
        let writes: Vec<bool> = operations.iter().map(DataOperation::writes).collect();
        let mut results: Vec<Option<Result<DataResult>>> =
            operations.iter().map(|_| None).collect();
        let mut runs = Vec::with_capacity(operations.len());
        for (index, operation) in operations.into_iter().enumerate() {
            let (database, begun) = (&database, &begun[index]);
            runs.push(async move {
                begun.store(true, Ordering::Relaxed);
                (index, operation.run(database).await)
            });
        }
        let mut finished = stream::iter(runs).buffer_unordered(in_flight_max);
        while let Some((index, result)) = finished.next().await {
            let failed = result.is_err();
            results[index] = Some(result);
            if failed && fail_fast {
                break;
            }
        }
        drop(finished);
        let cancelled = |index: usize| {
            let unknown = writes[index] && begun[index].load(Ordering::Relaxed);
            let message = "another operation failed first";
            Err(Error::new(ErrorKind::Cancelled, message).after(0, unknown, false))
        };
        let results = results.into_iter().enumerate();
        results.map(|(index, result)| result.unwrap_or_else(|| cancelled(index))).collect()
    }
}

impl IntoFuture for Concurrent {
    type Output = Vec<Result<DataResult>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
