//! How a change stream is asked for: what is watched, from where on, and what its events show.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use mongodb::bson::{Bson, Document, Timestamp, serialize_to_bson};
use mongodb::options::{
    Collation, FullDocumentBeforeChangeType, FullDocumentType, ReadConcern, SelectionCriteria,
};
use serde::Serialize;

use super::source::{Place, Source, Target};
use super::store::TokenStore;
use super::token::ResumeToken;
use super::{ChangeStream, unkept};
use crate::BoxFuture;
use crate::collection::Collection;
use crate::connector::Headwater;
use crate::database::Database;
use crate::error::{Error, Result};

/// Opens a change stream; see [`Collection::watch`].
#[must_use = "nothing happens before it is awaited"]
pub struct Watch<T> {
    pub(super) source: Source,
    places: Vec<Place>,
    documents: PhantomData<fn() -> T>,
}

impl<T: Send + Sync> Collection<T> {
    /// The changes of this collection from now on.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// use headwater::bson::{Document, doc};
    /// use headwater::mongodb::options::FullDocumentType;
    ///
    /// let headwater = headwater::Headwater::open_in_memory().await?;
    /// let users = headwater.collection::<Document>("users");
    /// let mut changes = users
    ///     .watch()
    ///     .pipeline([doc! { "$match": { "operationType": "update" } }])
    ///     .full_document(FullDocumentType::UpdateLookup)
    ///     .await?;
    /// users.insert_one(doc! { "_id": 1, "age": 30 }).await?;
    /// users.update_one(doc! { "_id": 1 }, doc! { "$inc": { "age": 1 } }).await?;
    /// let change = changes.next().await.unwrap()?;
    /// assert_eq!(change.full_document, Some(doc! { "_id": 1, "age": 31 }));
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub fn watch(&self) -> Watch<T> {
        let database = self.driver().namespace().db;
        let collection = self.driver().clone_with_type();
        Watch::new(self.headwater().clone(), Target::Collection { database, collection })
    }
}

impl Database {
    /// The changes of all collections of this database from now on.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// use headwater::bson::{Document, doc};
    /// let shop = headwater::Headwater::open_in_memory().await?.database("shop");
    /// let mut changes = shop.watch().await?;
    /// shop.collection::<Document>("orders").insert_one(doc! { "_id": 1 }).await?;
    /// let change = changes.next().await.unwrap()?;
    /// assert_eq!(change.namespace.unwrap().coll.as_deref(), Some("orders"));
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub fn watch(&self) -> Watch<Document> {
        Watch::new(self.headwater().clone(), Target::Database(self.driver().clone()))
    }
}

impl Headwater {
    /// The changes of all databases of the deployment from now on.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// use headwater::bson::{Document, doc};
    /// let headwater = headwater::Headwater::open_in_memory().await?;
    /// let mut changes = headwater.watch().await?;
    /// headwater.database("shop").collection::<Document>("orders").insert_one(doc! {}).await?;
    /// assert_eq!(changes.next().await.unwrap()?.namespace.unwrap().db, "shop");
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub fn watch(&self) -> Watch<Document> {
        Watch::new(self.clone(), Target::Deployment)
    }
}

impl<T> Watch<T> {
    fn new(headwater: Headwater, target: Target) -> Watch<T> {
        let source = Source::new(headwater, target);
        Watch { source, places: Vec::new(), documents: PhantomData }
    }

    /// Reads the documents of events as another type.
    pub fn with_type<U>(self) -> Watch<U> {
        Watch { source: self.source, places: self.places, documents: PhantomData }
    }

    /// What is done to events before they come, `$match` and `$project` for example. It must leave `_id` as it is.
    pub fn pipeline(mut self, stages: impl IntoIterator<Item = Document>) -> Self {
        self.source.pipeline = stages.into_iter().collect();
        self
    }

    /// Which document comes with an update: as it is when the event is read, or as the server kept it.
    pub fn full_document(self, kind: FullDocumentType) -> Self {
        self.shows("fullDocument", &kind)
    }

    /// Whether the document comes as it was before. The collection must keep it (`changeStreamPreAndPostImages`).
    pub fn full_document_before_change(self, kind: FullDocumentBeforeChangeType) -> Self {
        self.shows("fullDocumentBeforeChange", &kind)
    }

    /// Whether events of definitions come as well, such as of indexes that are made.
    pub fn show_expanded_events(mut self, show: bool) -> Self {
        self.source.shown.insert("showExpandedEvents", show);
        self
    }

    fn shows(mut self, name: &str, kind: &impl Serialize) -> Self {
        // The driver's kinds are words.
        if let Ok(word) = serialize_to_bson(kind) {
            self.source.shown.insert(name, word);
        }
        self
    }

    /// Begins behind a token that is not of an `invalidate`.
    pub fn resume_after(mut self, token: ResumeToken) -> Self {
        self.places.push(Place::ResumeAfter(token));
        self
    }

    /// Begins behind a token, that of an `invalidate` too.
    pub fn start_after(mut self, token: ResumeToken) -> Self {
        self.places.push(Place::StartAfter(token));
        self
    }

    /// Begins with the changes of a moment of the deployment's time.
    pub fn start_at_operation_time(mut self, time: Timestamp) -> Self {
        self.places.push(Place::Since(time));
        self
    }

    /// Begins behind the token in the store, if there is one and nothing else says where. A [`Worker`](super::Worker)
    /// saves what it has handled, [`ChangeStream::commit`] what was handed out.
    pub fn token_store(mut self, store: impl TokenStore + 'static) -> Self {
        self.source.store = Some(Arc::new(store));
        self
    }

    /// The most events of a batch, which is what memory holds. As the server likes.
    pub fn batch_size(mut self, events: u32) -> Self {
        self.source.options.batch_size = Some(events.clamp(1, i32::MAX as u32));
        self
    }

    /// How long the server holds an empty batch back. 1 s.
    pub fn max_await_time(mut self, time: Duration) -> Self {
        self.source.options.max_await_time = Some(time);
        self
    }

    /// Events of more than 16 MB come in fragments, and are put together again here. MongoDB can since 6.0.9.
    pub fn split_large_events(mut self) -> Self {
        self.source.splits = true;
        self
    }

    /// Ends the stream behind an `invalidate`, such as after the collection was dropped. Without this it opens again
    /// behind the event, and goes on when there is a collection of the name again.
    pub fn end_on_invalidate(mut self) -> Self {
        self.source.ends_with_invalidate = true;
        self
    }

    /// Where the place is lost ([`Error::is_history_lost`]), the stream gives the error to its reader and begins anew when
    /// it is read again, with what happens from then on; so it does if the place to begin behind is lost already. Without
    /// this it ends, or does not open.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// use headwater::bson::{Document, doc};
    ///
    /// let headwater = headwater::Headwater::open_in_memory().await?;
    /// let orders = headwater.collection::<Document>("orders");
    /// let mut changes = orders.watch().start_over_when_lost().await?;
    /// orders.insert_one(doc! { "_id": 1 }).await?;
    /// let change = loop {
    ///     match changes.next_if_any().await {
    ///         Ok(Some(change)) => break change,
    ///         Ok(None) => {}
    ///         // Changes were missed. As soon as the stream is open again, read what the collection holds.
    ///         Err(error) if error.is_history_lost() => {}
    ///         Err(error) => return Err(error),
    ///     }
    /// };
    /// assert!(change.full_document.is_some());
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub fn start_over_when_lost(mut self) -> Self {
        self.source.starts_over = true;
        self
    }

    /// After how long without a server the stream gives the error to its reader. It goes on trying when it is read
    /// again, after the pause that is due. Without this it tries on for as long as it takes, and says so in warnings.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.source.patience = Some(patience);
        self
    }

    /// How text compares in the pipeline.
    pub fn collation(mut self, collation: Collation) -> Self {
        self.source.options.collation = Some(collation);
        self
    }

    /// The read concern of the stream.
    pub fn read_concern(mut self, concern: ReadConcern) -> Self {
        self.source.options.read_concern = Some(concern);
        self
    }

    /// Which servers may be asked.
    pub fn selection_criteria(mut self, criteria: SelectionCriteria) -> Self {
        self.source.options.selection_criteria = Some(criteria);
        self
    }

    /// A remark for the server's logs.
    pub fn comment(mut self, comment: impl Into<Bson>) -> Self {
        self.source.options.comment = Some(comment.into());
        self
    }

    pub(super) async fn open(mut self) -> Result<ChangeStream<T>> {
        if self.places.len() > 1 {
            let error = Error::validation("a change stream can begin in one place only");
            return Err(self.source.place_error(error));
        }
        let place = match (self.places.pop(), &self.source.store) {
            (Some(place), _) => place,
            (None, Some(store)) => {
                let kept = store.load().await;
                let kept = kept.map_err(|error| self.source.place_error(unkept(error)))?;
                kept.map_or(Place::Now, Place::StartAfter)
            }
            (None, None) => Place::Now,
        };
        ChangeStream::open(self.source, place).await
    }
}

impl<T: 'static> IntoFuture for Watch<T> {
    type Output = Result<ChangeStream<T>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.open())
    }
}
