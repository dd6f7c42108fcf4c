//! Changing one document and getting it, as it was or as it is.

use std::borrow::Borrow;
use std::time::Duration;

use mongodb::bson::{Bson, Document, RawDocumentBuf};
use mongodb::options::{
    Collation, FindOneAndDeleteOptions, FindOneAndReplaceOptions, FindOneAndUpdateOptions, Hint,
    ReturnDocument, UpdateModifications, WriteConcern,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Collection;
use super::insert::unfit;
use crate::connector::limit_wait;
use crate::error::classify::Family;
use crate::error::{Error, Result};
use crate::operation::Safety;

/// Updates a document and gets it; see [`Collection::find_one_and_update`].
#[must_use = "nothing happens before it is awaited"]
pub struct FindOneAndUpdate<'a, T: Send + Sync> {
    collection: &'a Collection<T>,
    filter: Document,
    update: UpdateModifications,
    options: FindOneAndUpdateOptions,
    deadline: Option<Duration>,
}

/// Replaces a document and gets it; see [`Collection::find_one_and_replace`].
#[must_use = "nothing happens before it is awaited"]
pub struct FindOneAndReplace<'a, T: Send + Sync> {
    collection: &'a Collection<T>,
    filter: Document,
    replacement: Result<RawDocumentBuf>,
    options: FindOneAndReplaceOptions,
    deadline: Option<Duration>,
}

/// Deletes a document and gets it; see [`Collection::find_one_and_delete`].
#[must_use = "nothing happens before it is awaited"]
pub struct FindOneAndDelete<'a, T: Send + Sync> {
    collection: &'a Collection<T>,
    filter: Document,
    options: FindOneAndDeleteOptions,
    deadline: Option<Duration>,
}

impl<T: Send + Sync> Collection<T> {
    /// Updates the first document that the filter matches and gives it back as it is afterwards, unless
    /// `return_document` says otherwise.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// use headwater::bson::{Document, doc};
    /// let headwater = headwater::Headwater::open_in_memory().await?;
    /// let counters = headwater.collection::<Document>("counters");
    /// let update = doc! { "$inc": { "n": 1 } };
    /// let after = counters.find_one_and_update(doc! { "_id": 1 }, update).upsert(true).await?;
    /// assert_eq!(after, Some(doc! { "_id": 1, "n": 1 }));
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub fn find_one_and_update(
        &self,
        filter: Document,
        update: impl Into<UpdateModifications>,
    ) -> FindOneAndUpdate<'_, T> {
        let mut options = FindOneAndUpdateOptions::default();
        options.return_document = Some(ReturnDocument::After);
        FindOneAndUpdate {
            collection: self,
            filter,
            update: update.into(),
            options,
            deadline: None,
        }
    }

    /// Deletes the first document that the filter matches and gives it back.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// use headwater::bson::{Document, doc};
    /// let headwater = headwater::Headwater::open_in_memory().await?;
    /// let jobs = headwater.collection::<Document>("jobs");
    /// jobs.insert_one(doc! { "_id": 1 }).await?;
    /// assert_eq!(jobs.find_one_and_delete(doc! {}).await?, Some(doc! { "_id": 1 }));
    /// assert_eq!(jobs.find_one_and_delete(doc! {}).await?, None);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub fn find_one_and_delete(&self, filter: Document) -> FindOneAndDelete<'_, T> {
        let options = FindOneAndDeleteOptions::default();
        FindOneAndDelete { collection: self, filter, options, deadline: None }
    }
}

impl<T: Serialize + Send + Sync> Collection<T> {
    /// Replaces the first document that the filter matches and gives it back as it is afterwards, unless
    /// `return_document` says otherwise.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// use headwater::bson::{Document, doc};
    /// use headwater::mongodb::options::ReturnDocument;
    /// let headwater = headwater::Headwater::open_in_memory().await?;
    /// let users = headwater.collection::<Document>("users");
    /// users.insert_one(doc! { "_id": 1, "name": "Ada" }).await?;
    /// let before = users
    ///     .find_one_and_replace(doc! { "_id": 1 }, doc! { "name": "Grace" })
    ///     .return_document(ReturnDocument::Before)
    ///     .await?;
    /// assert_eq!(before, Some(doc! { "_id": 1, "name": "Ada" }));
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub fn find_one_and_replace(
        &self,
        filter: Document,
        replacement: impl Borrow<T>,
    ) -> FindOneAndReplace<'_, T> {
        let mut options = FindOneAndReplaceOptions::default();
        options.return_document = Some(ReturnDocument::After);
        let replacement =
            mongodb::bson::serialize_to_raw_document_buf(replacement.borrow()).map_err(unfit);
        FindOneAndReplace { collection: self, filter, replacement, options, deadline: None }
    }
}

setters!(FindOneAndUpdate<T>, FindOneAndUpdateOptions {
    /// Whether a document is inserted if none matches.
    upsert: bool,
    /// Which version comes back.
    return_document: ReturnDocument,
    /// Which fields come back.
    projection: Document,
    /// The order in which the first match is the first.
    sort: Document,
    /// Which elements of arrays `$[name]` means.
    array_filters: Vec<Document>,
    /// The index to use.
    hint: Hint,
    /// How text compares.
    collation: Collation,
    /// The server's own limit of time.
    max_time: Duration,
    /// The write concern of this call.
    write_concern: WriteConcern,
    /// Variables for expressions.
    let_vars: Document,
    /// A remark for the server's logs.
    comment: Bson,
});

setters!(
    FindOneAndReplace<T>,
    FindOneAndReplaceOptions {
        /// Whether the replacement is inserted if none matches.
        upsert: bool,
        /// Which version comes back.
        return_document: ReturnDocument,
        /// Which fields come back.
        projection: Document,
        /// The order in which the first match is the first.
        sort: Document,
        /// The index to use.
        hint: Hint,
        /// How text compares.
        collation: Collation,
        /// The server's own limit of time.
        max_time: Duration,
        /// The write concern of this call.
        write_concern: WriteConcern,
        /// A remark for the server's logs.
        comment: Bson,
    }
);

setters!(
    FindOneAndDelete<T>,
    FindOneAndDeleteOptions {
        /// Which fields come back.
        projection: Document,
        /// The order in which the first match is the first.
        sort: Document,
        /// The index to use.
        hint: Hint,
        /// How text compares.
        collation: Collation,
        /// The server's own limit of time.
        max_time: Duration,
        /// The write concern of this call.
        write_concern: WriteConcern,
        /// A remark for the server's logs.
        comment: Bson,
    }
);

awaitable!(FindOneAndUpdate<T: DeserializeOwned> => Option<T>);
awaitable!(FindOneAndReplace<T: DeserializeOwned> => Option<T>);
awaitable!(FindOneAndDelete<T: DeserializeOwned> => Option<T>);

impl<'a, T: DeserializeOwned + Send + Sync> FindOneAndUpdate<'a, T> {
    async fn run(mut self) -> Result<Option<T>> {
        limit_wait(&mut self.options.write_concern);
        let operation = self.collection.operation("find_one_and_update", Safety::WriteOnce);
        let driver = self.collection.driver.clone_with_type::<RawDocumentBuf>();
        let call = || {
            let action = driver.find_one_and_update(self.filter.clone(), self.update.clone());
            action.with_options(self.options.clone()).into_future()
        };
        read(self.collection.resilience().run(operation.deadline(self.deadline), call).await?)
    }
}

impl<'a, T: DeserializeOwned + Send + Sync> FindOneAndReplace<'a, T> {
    async fn run(mut self) -> Result<Option<T>> {
        limit_wait(&mut self.options.write_concern);
        let operation = self.collection.operation("find_one_and_replace", Safety::WriteOnce);
        let replacement = self.replacement?;
        let driver = self.collection.driver.clone_with_type::<RawDocumentBuf>();
        let call = || {
            let action = driver.find_one_and_replace(self.filter.clone(), &replacement);
            action.with_options(self.options.clone()).into_future()
        };
        read(self.collection.resilience().run(operation.deadline(self.deadline), call).await?)
    }
}

impl<'a, T: DeserializeOwned + Send + Sync> FindOneAndDelete<'a, T> {
    async fn run(mut self) -> Result<Option<T>> {
        limit_wait(&mut self.options.write_concern);
        let operation = self.collection.operation("find_one_and_delete", Safety::WriteOnce);
        let driver = self.collection.driver.clone_with_type::<RawDocumentBuf>();
        let call = || {
            let action = driver.find_one_and_delete(self.filter.clone());
            action.with_options(self.options.clone()).into_future()
        };
        read(self.collection.resilience().run(operation.deadline(self.deadline), call).await?)
    }
}

/// The write is done by now, so a document that does not read as `T` must not look like a write that failed.
fn read<T: DeserializeOwned>(found: Option<RawDocumentBuf>) -> Result<Option<T>> {
    let read = |found: RawDocumentBuf| mongodb::bson::deserialize_from_slice(found.as_bytes());
    found.map(read).transpose().map_err(|error| {
        let what = "the change was made, but the document cannot be read as asked";
        Error::unreadable(error, Family::Query, what)
    })
}
