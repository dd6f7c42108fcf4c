//! Aggregations: the pipeline is passed through, the results are typed.

use std::marker::PhantomData;
use std::time::Duration;

use mongodb::bson::{Bson, Document};
use mongodb::options::{
    AggregateOptions, Collation, Hint, ReadConcern, SelectionCriteria, WriteConcern,
};
use serde::de::DeserializeOwned;

use super::Collection;
use crate::connector::limit_wait;
use crate::cursor::Cursor;
use crate::error::Result;
use crate::error::classify::Family;
use crate::operation::{Operation, Safety};
use crate::stream::{Chunks, batch_size};

/// Runs a pipeline; see [`Collection::aggregate`].
#[must_use = "nothing happens before it is awaited"]
pub struct Aggregate<'a, T: Send + Sync, R = Document> {
    collection: &'a Collection<T>,
    pipeline: Vec<Document>,
    options: AggregateOptions,
    deadline: Option<Duration>,
    results: PhantomData<fn() -> R>,
}

impl<T: Send + Sync> Collection<T> {
    /// Runs a pipeline and gives its results as a stream, [`Document`]s unless [`Aggregate::with_type`] says otherwise.
    ///
    /// A pipeline that writes (`$out`, `$merge`) is never tried again once it was sent.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// use headwater::bson::{Document, doc};
    /// #[derive(serde::Deserialize)]
    /// struct Total {
    ///     total: i32,
    /// }
    /// let headwater = headwater::Headwater::open_in_memory().await?;
    /// let orders = headwater.collection::<Document>("orders");
    /// orders.insert_many([doc! { "price": 3 }, doc! { "price": 4 }]).await?;
    /// let pipeline = [doc! { "$group": { "_id": null, "total": { "$sum": "$price" } } }];
    /// let totals = orders.aggregate(pipeline).with_type::<Total>().all().await?;
    /// assert_eq!(totals[0].total, 7);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub fn aggregate(&self, pipeline: impl IntoIterator<Item = Document>) -> Aggregate<'_, T> {
        Aggregate {
            collection: self,
            pipeline: pipeline.into_iter().collect(),
            options: AggregateOptions::default(),
            deadline: None,
            results: PhantomData,
        }
    }
}

/// Setters of the options.
macro_rules! options {
    ($($(#[$doc:meta])* $name:ident: $type:ty),* $(,)?) => {
        impl<'a, T: Send + Sync, R> Aggregate<'a, T, R> {
            $(
                $(#[$doc])*
                pub fn $name(mut self, value: $type) -> Self {
                    self.options.$name = Some(value);
                    self
                }
            )*
        }
    };
}

options! {
    /// Whether stages may use the disk.
    allow_disk_use: bool,
    /// Documents per batch.
    batch_size: u32,
    /// How text compares.
    collation: Collation,
    /// The index to use.
    hint: Hint,
    /// The server's own limit of time.
    max_time: Duration,
    /// The read concern of this call.
    read_concern: ReadConcern,
    /// The read preference of this call.
    selection_criteria: SelectionCriteria,
    /// The write concern of a pipeline that writes.
    write_concern: WriteConcern,
    /// Whether the validator of the collection that is written is passed over.
    bypass_document_validation: bool,
    /// Variables for expressions.
    let_vars: Document,
    /// A remark for the server's logs.
    comment: Bson,
}

impl<'a, T: Send + Sync, R> Aggregate<'a, T, R> {
    /// Reads the results as another type.
    pub fn with_type<U>(self) -> Aggregate<'a, T, U> {
        Aggregate {
            collection: self.collection,
            pipeline: self.pipeline,
            options: self.options,
            deadline: self.deadline,
            results: PhantomData,
        }
    }

    /// All options of the driver at once; those set before are forgotten.
    pub fn with_options(mut self, options: AggregateOptions) -> Self {
        self.options = options;
        self
    }

    /// How long the whole call may take, attempts and pauses included. As the connector's settings say.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    fn operation(&self) -> Operation<'a> {
        let writes = |stage: &Document| stage.contains_key("$out") || stage.contains_key("$merge");
        let safety = if self.pipeline.iter().any(writes) { Safety::Never } else { Safety::Read };
        let operation = self.collection.operation("aggregate", safety);
        operation.family(Family::Aggregation).deadline(self.deadline)
    }
}

impl<'a, T: Send + Sync, R: DeserializeOwned + Send + Sync> Aggregate<'a, T, R> {
    /// All results, in memory. Tried again as a whole where that is safe.
    ///
    /// # Errors
    /// The server refuses the pipeline, or why there was no answer.
    pub async fn all(mut self) -> Result<Vec<R>> {
        limit_wait(&mut self.options.write_concern);
        let operation = self.operation();
        let call = || async {
            let mut cursor = self.action().await?;
            let mut all = Vec::new();
            while cursor.advance().await? {
                all.push(cursor.deserialize_current()?);
            }
            Ok::<_, mongodb::error::Error>(all)
        };
        self.collection.resilience().run(operation, call).await
    }

    /// The results in lists of up to `size`, the last one shorter, for results larger than memory. The server's batches
    /// follow `size`.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// use headwater::bson::{Document, doc};
    /// let headwater = headwater::Headwater::open_in_memory().await?;
    /// let numbers = headwater.collection::<Document>("numbers");
    /// numbers.insert_many((0..10).map(|n| doc! { "n": n })).await?;
    /// let pipeline = [doc! { "$match": { "n": { "$gte": 5 } } }];
    /// let mut chunks = numbers.aggregate(pipeline).chunks(4).await?;
    /// let mut sizes = Vec::new();
    /// while let Some(chunk) = chunks.next().await {
    ///     sizes.push(chunk?.len());
    /// }
    /// assert_eq!(sizes, [4, 1]);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub fn chunks(mut self, size: usize) -> Chunks<'a, R> {
        limit_wait(&mut self.options.write_concern);
        self.options.batch_size = Some(batch_size(size));
        let operation = Operation { name: "aggregate_chunks", ..self.operation() };
        let Aggregate { collection, pipeline, options, .. } = self;
        let open = move || -> crate::BoxFuture<'a, _> {
            let aggregate = collection.driver.aggregate(pipeline.iter().cloned());
            Box::pin(aggregate.with_options(options.clone()).batch())
        };
        Chunks::new(&collection.headwater, operation, size, Box::new(open))
    }

    async fn run(mut self) -> Result<Cursor<R>> {
        limit_wait(&mut self.options.write_concern);
        let operation = self.operation();
        let call = || self.action();
        let cursor = self.collection.resilience().run(operation, call).await?;
        Ok(Cursor::new(self.collection.headwater.clone(), &operation, cursor))
    }

    async fn action(&self) -> mongodb::error::Result<mongodb::Cursor<R>> {
        let action = self.collection.driver.aggregate(self.pipeline.iter().cloned());
        action.with_options(self.options.clone()).with_type::<R>().await
    }
}

impl<'a, T, R> IntoFuture for Aggregate<'a, T, R>
where
    T: Send + Sync + 'a,
    R: DeserializeOwned + Send + Sync + 'a,
{
    type Output = Result<Cursor<R>>;
    type IntoFuture = crate::BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
