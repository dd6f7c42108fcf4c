//! Changing documents: one, many, by `_id`, and replacing one.

use std::borrow::Borrow;
use std::time::Duration;

use mongodb::bson::{Bson, Document};
use mongodb::options::{
    Collation, Hint, ReplaceOptions, UpdateModifications, UpdateOptions, WriteConcern,
};
use mongodb::results::UpdateResult;
use serde::Serialize;

use super::insert::unfit;
use super::{Collection, by_id};
use crate::connector::limit_wait;
use crate::error::Result;
use crate::operation::Safety;

/// Updates one document or many; see [`Collection::update_one`] and [`Collection::update_many`].
#[must_use = "nothing happens before it is awaited"]
pub struct Update<'a, T: Send + Sync> {
    collection: &'a Collection<T>,
    name: &'static str,
    safety: Safety,
    filter: Document,
    update: UpdateModifications,
    options: UpdateOptions,
    deadline: Option<Duration>,
}

/// Replaces a document; see [`Collection::replace_one`].
#[must_use = "nothing happens before it is awaited"]
pub struct Replace<'a, T: Send + Sync> {
    collection: &'a Collection<T>,
    filter: Document,
    replacement: Result<Document>,
    options: ReplaceOptions,
    deadline: Option<Duration>,
}

impl<T: Send + Sync> Collection<T> {
    /// Updates the first document that the filter matches, by operators or a pipeline.
    ///
    /// Numbered by the driver, so that an attempt without an answer is made again without counting twice.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// use headwater::bson::{Document, doc};
    /// let headwater = headwater::Headwater::open_in_memory().await?;
    /// let counters = headwater.collection::<Document>("counters");
    /// let update = doc! { "$inc": { "n": 1 } };
    /// let result = counters.update_one(doc! { "_id": "visits" }, update).upsert(true).await?;
    /// assert_eq!(result.upserted_id, Some("visits".into()));
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub fn update_one(
        &self,
        filter: Document,
        update: impl Into<UpdateModifications>,
    ) -> Update<'_, T> {
        self.update("update_one", Safety::WriteOnce, filter, update.into())
    }

    /// Updates the document with the `_id`, which may be of any type.
    pub fn update_by_id(
        &self,
        id: impl Into<Bson>,
        update: impl Into<UpdateModifications>,
    ) -> Update<'_, T> {
        self.update("update_by_id", Safety::WriteOnce, by_id(id), update.into())
    }

    /// Updates all documents that the filter matches. Never tried again once it was sent.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// use headwater::bson::{Document, doc};
    /// let headwater = headwater::Headwater::open_in_memory().await?;
    /// let users = headwater.collection::<Document>("users");
    /// users.insert_many([doc! { "age": 30 }, doc! { "age": 40 }]).await?;
    /// let result = users.update_many(doc! {}, doc! { "$inc": { "age": 1 } }).await?;
    /// assert_eq!((result.matched_count, result.modified_count), (2, 2));
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub fn update_many(
        &self,
        filter: Document,
        update: impl Into<UpdateModifications>,
    ) -> Update<'_, T> {
        self.update("update_many", Safety::Never, filter, update.into())
    }

    fn update(
        &self,
        name: &'static str,
        safety: Safety,
        filter: Document,
        update: UpdateModifications,
    ) -> Update<'_, T> {
        let options = UpdateOptions::default();
        Update { collection: self, name, safety, filter, update, options, deadline: None }
    }
}

impl<T: Serialize + Send + Sync> Collection<T> {
    /// Replaces the first document that the filter matches; its `_id` stays.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// use headwater::bson::{Document, doc};
    /// let headwater = headwater::Headwater::open_in_memory().await?;
    /// let users = headwater.collection::<Document>("users");
    /// let result = users.replace_one(doc! { "_id": 1 }, doc! { "name": "Ada" }).upsert(true).await?;
    /// assert_eq!(result.upserted_id, Some(1.into()));
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub fn replace_one(&self, filter: Document, replacement: impl Borrow<T>) -> Replace<'_, T> {
        Replace {
            collection: self,
            filter,
            replacement: mongodb::bson::serialize_to_document(replacement.borrow()).map_err(unfit),
            options: ReplaceOptions::default(),
            deadline: None,
        }
    }
}

setters!(Update<T>, UpdateOptions {
    /// Whether a document is inserted if none matches.
    upsert: bool,
    /// Which elements of arrays `$[name]` means.
    array_filters: Vec<Document>,
    /// The order in which the first match is the first; of servers from 8.0.
    sort: Document,
    /// The index to use.
    hint: Hint,
    /// How text compares.
    collation: Collation,
    /// Whether the collection's validator is passed over.
    bypass_document_validation: bool,
    /// The write concern of this call.
    write_concern: WriteConcern,
    /// Variables for expressions.
    let_vars: Document,
    /// A remark for the server's logs.
    comment: Bson,
});

setters!(
    Replace<T>,
    ReplaceOptions {
        /// Whether the replacement is inserted if none matches.
        upsert: bool,
        /// The order in which the first match is the first; of servers from 8.0.
        sort: Document,
        /// The index to use.
        hint: Hint,
        /// How text compares.
        collation: Collation,
        /// Whether the collection's validator is passed over.
        bypass_document_validation: bool,
        /// The write concern of this call.
        write_concern: WriteConcern,
        /// Variables for expressions.
        let_vars: Document,
        /// A remark for the server's logs.
        comment: Bson,
    }
);

awaitable!(Update<T> => UpdateResult);
awaitable!(Replace<T> => UpdateResult);

impl<'a, T: Send + Sync> Update<'a, T> {
    async fn run(mut self) -> Result<UpdateResult> {
        limit_wait(&mut self.options.write_concern);
        let operation = self.collection.operation(self.name, self.safety).deadline(self.deadline);
        let driver = &self.collection.driver;
        let resilience = self.collection.resilience();
        let options = || self.options.clone();
        let (filter, update) = (|| self.filter.clone(), || self.update.clone());
        if self.safety == Safety::Never {
            let call =
                || driver.update_many(filter(), update()).with_options(options()).into_future();
            resilience.run(operation, call).await
        } else {
            let call =
                || driver.update_one(filter(), update()).with_options(options()).into_future();
            resilience.run(operation, call).await
        }
    }
}

impl<'a, T: Send + Sync> Replace<'a, T> {
    async fn run(mut self) -> Result<UpdateResult> {
        limit_wait(&mut self.options.write_concern);
        let operation =
            self.collection.operation("replace_one", Safety::WriteOnce).deadline(self.deadline);
        let replacement = self.replacement?;
        let driver = self.collection.driver.clone_with_type::<Document>();
        let call = || {
            let replace = driver.replace_one(self.filter.clone(), &replacement);
            replace.with_options(self.options.clone()).into_future()
        };
        self.collection.resilience().run(operation, call).await
    }
}
