//! Counting documents and listing the values of a field.

use std::time::Duration;

use mongodb::bson::{Bson, Document};
use mongodb::options::{
    Collation, CountOptions, DistinctOptions, Hint, ReadConcern, SelectionCriteria,
};

use super::Collection;
use crate::error::Result;
use crate::operation::Safety;

/// Counts documents; see [`Collection::count`].
#[must_use = "nothing happens before it is awaited"]
pub struct Count<'a, T: Send + Sync> {
    collection: &'a Collection<T>,
    filter: Document,
    options: CountOptions,
    deadline: Option<Duration>,
}

/// Lists the values of a field; see [`Collection::distinct`].
#[must_use = "nothing happens before it is awaited"]
pub struct Distinct<'a, T: Send + Sync> {
    collection: &'a Collection<T>,
    field: String,
    filter: Document,
    options: DistinctOptions,
    deadline: Option<Duration>,
}

impl<T: Send + Sync> Collection<T> {
    /// How many documents the filter matches, exactly.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// use headwater::bson::{Bson, Document, doc};
    /// let headwater = headwater::Headwater::open_in_memory().await?;
    /// let users = headwater.collection::<Document>("users");
    /// users.insert_many([doc! { "age": 30 }, doc! { "age": 40 }]).await?;
    /// assert_eq!(users.count(doc! { "age": { "$gt": 35 } }).await?, 1);
    /// assert_eq!(users.distinct("age", doc! {}).await?, [Bson::Int32(30), Bson::Int32(40)]);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub fn count(&self, filter: Document) -> Count<'_, T> {
        Count { collection: self, filter, options: CountOptions::default(), deadline: None }
    }

    /// How many documents there are, from the collection's own figures: fast, and a little off after a crash of some
    /// servers.
    ///
    /// # Errors
    /// Why there was no answer.
    pub async fn estimated_count(&self) -> Result<u64> {
        let operation = self.operation("estimated_count", Safety::Read);
        let call = || self.driver.estimated_document_count().into_future();
        self.resilience().run(operation, call).await
    }

    /// The values of a field among the documents that the filter matches, each once.
    pub fn distinct(&self, field: impl Into<String>, filter: Document) -> Distinct<'_, T> {
        let options = DistinctOptions::default();
        Distinct { collection: self, field: field.into(), filter, options, deadline: None }
    }
}

setters!(
    Count<T>,
    CountOptions {
        /// The most documents to count.
        limit: u64,
        /// Documents to pass over.
        skip: u64,
        /// The index to use.
        hint: Hint,
        /// How text compares.
        collation: Collation,
        /// The server's own limit of time.
        max_time: Duration,
        /// The read concern of this call.
        read_concern: ReadConcern,
        /// The read preference of this call.
        selection_criteria: SelectionCriteria,
        /// A remark for the server's logs.
        comment: Bson,
    }
);

setters!(
    Distinct<T>,
    DistinctOptions {
        /// How text compares.
        collation: Collation,
        /// The index to use; of servers from 7.1.
        hint: Hint,
        /// The server's own limit of time.
        max_time: Duration,
        /// The read concern of this call.
        read_concern: ReadConcern,
        /// The read preference of this call.
        selection_criteria: SelectionCriteria,
        /// A remark for the server's logs.
        comment: Bson,
    }
);

awaitable!(Count<T> => u64);
awaitable!(Distinct<T> => Vec<Bson>);

impl<'a, T: Send + Sync> Count<'a, T> {
    async fn run(self) -> Result<u64> {
        let operation = self.collection.operation("count", Safety::Read).deadline(self.deadline);
        let call = || {
            let count = self.collection.driver.count_documents(self.filter.clone());
            count.with_options(self.options.clone()).into_future()
        };
        self.collection.resilience().run(operation, call).await
    }
}

impl<'a, T: Send + Sync> Distinct<'a, T> {
    async fn run(self) -> Result<Vec<Bson>> {
        let operation = self.collection.operation("distinct", Safety::Read).deadline(self.deadline);
        let call = || {
            let distinct = self.collection.driver.distinct(&self.field, self.filter.clone());
            distinct.with_options(self.options.clone()).into_future()
        };
        self.collection.resilience().run(operation, call).await
    }
}
