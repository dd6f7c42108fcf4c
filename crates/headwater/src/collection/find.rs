//! Reading documents: one, a stream, a list.

use std::time::Duration;

use mongodb::bson::{Bson, Document};
use mongodb::options::{
    Collation, CursorType, FindOneOptions, FindOptions, Hint, ReadConcern, SelectionCriteria,
};
use serde::de::DeserializeOwned;

use super::{Collection, by_id};
use crate::cursor::Cursor;
use crate::error::Result;
use crate::operation::Safety;
use crate::stream::{Chunks, batch_size};

/// How long a server waits for news unless it is told.
const AWAIT_TIME: Duration = Duration::from_secs(1);

/// Finds the first document; see [`Collection::find_one`].
#[must_use = "nothing happens before it is awaited"]
pub struct FindOne<'a, T: Send + Sync> {
    collection: &'a Collection<T>,
    name: &'static str,
    filter: Document,
    options: FindOneOptions,
    deadline: Option<Duration>,
}

/// Finds documents as a stream; see [`Collection::find`].
#[must_use = "nothing happens before it is awaited"]
pub struct Find<'a, T: Send + Sync> {
    collection: &'a Collection<T>,
    filter: Document,
    options: FindOptions,
    deadline: Option<Duration>,
}

/// Finds documents as a list; see [`Collection::find_many`].
#[must_use = "nothing happens before it is awaited"]
pub struct FindMany<'a, T: Send + Sync> {
    collection: &'a Collection<T>,
    filter: Document,
    options: FindOptions,
    deadline: Option<Duration>,
}

impl<T: Send + Sync> Collection<T> {
    /// The first document that the filter matches; nothing if there is none. An empty filter matches all.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// use headwater::bson::{Document, doc};
    /// let headwater = headwater::Headwater::open_in_memory().await?;
    /// let users = headwater.collection::<Document>("users");
    /// assert!(users.find_one(doc! { "name": "Ada" }).await?.is_none());
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub fn find_one(&self, filter: Document) -> FindOne<'_, T> {
        let options = FindOneOptions::default();
        FindOne { collection: self, name: "find_one", filter, options, deadline: None }
    }

    /// The document with the `_id`, which may be of any type.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// use headwater::bson::{Document, doc};
    /// let headwater = headwater::Headwater::open_in_memory().await?;
    /// let users = headwater.collection::<Document>("users");
    /// let id = users.insert_one(doc! { "_id": 7, "name": "Ada" }).await?;
    /// assert!(users.find_by_id(id).await?.is_some());
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub fn find_by_id(&self, id: impl Into<Bson>) -> FindOne<'_, T> {
        FindOne { name: "find_by_id", ..self.find_one(by_id(id)) }
    }

    /// All documents that the filter matches, as a stream that holds one batch at a time.
    ///
    /// The query is tried again as long as it gave nothing yet; later batches are not.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// use headwater::bson::{Document, doc};
    /// let headwater = headwater::Headwater::open_in_memory().await?;
    /// let users = headwater.collection::<Document>("users");
    /// users.insert_many([doc! { "age": 30 }, doc! { "age": 40 }]).await?;
    /// let mut cursor = users.find(doc! { "age": { "$gt": 35 } }).await?;
    /// while let Some(user) = cursor.next().await {
    ///     println!("{}", user?);
    /// }
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub fn find(&self, filter: Document) -> Find<'_, T> {
        Find { collection: self, filter, options: FindOptions::default(), deadline: None }
    }

    /// All documents that the filter matches, as a list in memory.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// use headwater::bson::{Document, doc};
    /// let headwater = headwater::Headwater::open_in_memory().await?;
    /// let users = headwater.collection::<Document>("users");
    /// assert!(users.find_many(doc! {}).sort(doc! { "age": 1 }).limit(10).await?.is_empty());
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub fn find_many(&self, filter: Document) -> FindMany<'_, T> {
        FindMany { collection: self, filter, options: FindOptions::default(), deadline: None }
    }
}

setters!(
    FindOne<T>,
    FindOneOptions {
        /// Which fields come.
        projection: Document,
        /// The order in which the first is the first.
        sort: Document,
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
    Find<T>,
    FindOptions {
        /// Which fields come.
        projection: Document,
        /// The order.
        sort: Document,
        /// The most documents; zero means all.
        limit: i64,
        /// Documents to pass over.
        skip: u64,
        /// Documents per batch.
        batch_size: u32,
        /// The index to use.
        hint: Hint,
        /// How text compares.
        collation: Collation,
        /// Whether sorting may use the disk.
        allow_disk_use: bool,
        /// The server's own limit of time.
        max_time: Duration,
        /// Whether the cursor stays open at the end of a capped collection.
        cursor_type: CursorType,
        /// How long the server waits for news before it answers with an empty batch, if the cursor is
        /// `CursorType::TailableAwait`. 1 s.
        max_await_time: Duration,
        /// The read concern of this call.
        read_concern: ReadConcern,
        /// The read preference of this call.
        selection_criteria: SelectionCriteria,
        /// Variables for expressions.
        let_vars: Document,
        /// A remark for the server's logs.
        comment: Bson,
    }
);

setters!(
    FindMany<T>,
    FindOptions {
        /// Which fields come.
        projection: Document,
        /// The order.
        sort: Document,
        /// The most documents; zero means all.
        limit: i64,
        /// Documents to pass over.
        skip: u64,
        /// Documents per batch.
        batch_size: u32,
        /// The index to use.
        hint: Hint,
        /// How text compares.
        collation: Collation,
        /// Whether sorting may use the disk.
        allow_disk_use: bool,
        /// The server's own limit of time.
        max_time: Duration,
        /// The read concern of this call.
        read_concern: ReadConcern,
        /// The read preference of this call.
        selection_criteria: SelectionCriteria,
        /// Variables for expressions.
        let_vars: Document,
        /// A remark for the server's logs.
        comment: Bson,
    }
);

awaitable!(FindOne<T: DeserializeOwned> => Option<T>);
awaitable!(Find<T: DeserializeOwned> => Cursor<T>);
awaitable!(FindMany<T: DeserializeOwned> => Vec<T>);

impl<'a, T: DeserializeOwned + Send + Sync> FindOne<'a, T> {
    async fn run(self) -> Result<Option<T>> {
        let operation = self.collection.operation(self.name, Safety::Read).deadline(self.deadline);
        let call = || {
            let find = self.collection.driver.find_one(self.filter.clone());
            find.with_options(self.options.clone()).into_future()
        };
        self.collection.resilience().run(operation, call).await
    }
}

impl<'a, T: Send + Sync> Find<'a, T> {
    /// The documents in lists of up to `size`, the last one shorter, for results larger than memory. The server's batches
    /// follow `size`.
    ///
    /// Of a cursor that waits at the end of a capped collection they come when they are full or when nothing more is
    /// there; the stream goes on. A server that does not even say that there is nothing ends it at the deadline.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// use headwater::bson::{Document, doc};
    /// let headwater = headwater::Headwater::open_in_memory().await?;
    /// let numbers = headwater.collection::<Document>("numbers");
    /// numbers.insert_many((0..10).map(|n| doc! { "n": n })).await?;
    /// let mut chunks = numbers.find(doc! {}).sort(doc! { "n": 1 }).chunks(4).await?;
    /// let mut sizes = Vec::new();
    /// while let Some(chunk) = chunks.next().await {
    ///     sizes.push(chunk?.len());
    /// }
    /// assert_eq!(sizes, [4, 4, 2]);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub fn chunks(self, size: usize) -> Chunks<'a, T> {
        let Find { collection, filter, mut options, deadline } = self;
        options.batch_size = Some(batch_size(size));
        let operation = collection.operation("find_chunks", Safety::Read).deadline(deadline);
        let waits = matches!(options.cursor_type, Some(CursorType::TailableAwait));
        let wait = options.max_await_time.unwrap_or(AWAIT_TIME);
        let open = move || -> crate::BoxFuture<'a, _> {
            let find = collection.driver.find(filter.clone()).with_options(options.clone());
            Box::pin(find.batch())
        };
        let chunks = Chunks::new(&collection.headwater, operation, size, Box::new(open));
        chunks.awaiting(if waits { wait } else { Duration::ZERO })
    }
}

impl<'a, T: DeserializeOwned + Send + Sync> Find<'a, T> {
    async fn run(self) -> Result<Cursor<T>> {
        let operation = self.collection.operation("find", Safety::Read).deadline(self.deadline);
        let call = || {
            let find = self.collection.driver.find(self.filter.clone());
            find.with_options(self.options.clone()).into_future()
        };
        let cursor = self.collection.resilience().run(operation, call).await?;
        let cursor = Cursor::new(self.collection.headwater.clone(), &operation, cursor);
        let waits = matches!(
            self.options.cursor_type,
            Some(CursorType::Tailable | CursorType::TailableAwait)
        );
        Ok(if waits { cursor.patient() } else { cursor })
    }
}

impl<'a, T: DeserializeOwned + Send + Sync> FindMany<'a, T> {
    /// All batches are one attempt: nothing was handed out before the last one.
    async fn run(self) -> Result<Vec<T>> {
        let operation =
            self.collection.operation("find_many", Safety::Read).deadline(self.deadline);
        let call = || async {
            let find = self.collection.driver.find(self.filter.clone());
            let mut cursor = find.with_options(self.options.clone()).await?;
            let mut all = Vec::new();
            while cursor.advance().await? {
                all.push(cursor.deserialize_current()?);
            }
            Ok::<_, mongodb::error::Error>(all)
        };
        self.collection.resilience().run(operation, call).await
    }
}
