//! Deleting documents: one, many, by `_id`.

use std::time::Duration;

use mongodb::bson::{Bson, Document};
use mongodb::options::{Collation, DeleteOptions, Hint, WriteConcern};

use super::{Collection, by_id};
use crate::connector::limit_wait;
use crate::error::Result;
use crate::operation::Safety;

/// Deletes one document or many; see [`Collection::delete_one`] and [`Collection::delete_many`].
#[must_use = "nothing happens before it is awaited"]
pub struct Delete<'a, T: Send + Sync> {
    collection: &'a Collection<T>,
    name: &'static str,
    safety: Safety,
    filter: Document,
    options: DeleteOptions,
    deadline: Option<Duration>,
}

impl<T: Send + Sync> Collection<T> {
    /// Deletes the first document that the filter matches and gives back how many: one or none.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// use headwater::bson::{Document, doc};
    /// let headwater = headwater::Headwater::open_in_memory().await?;
    /// let users = headwater.collection::<Document>("users");
    /// users.insert_many([doc! { "age": 30 }, doc! { "age": 40 }]).await?;
    /// assert_eq!(users.delete_one(doc! {}).await?, 1);
    /// assert_eq!(users.delete_many(doc! {}).await?, 1);
    /// assert_eq!(users.delete_by_id(7).await?, 0);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub fn delete_one(&self, filter: Document) -> Delete<'_, T> {
        self.delete("delete_one", Safety::WriteOnce, filter)
    }

    /// Deletes the document with the `_id`, which may be of any type.
    pub fn delete_by_id(&self, id: impl Into<Bson>) -> Delete<'_, T> {
        self.delete("delete_by_id", Safety::WriteOnce, by_id(id))
    }

    /// Deletes all documents that the filter matches and gives back how many. Never tried again once it was sent.
    pub fn delete_many(&self, filter: Document) -> Delete<'_, T> {
        self.delete("delete_many", Safety::Never, filter)
    }

    fn delete(&self, name: &'static str, safety: Safety, filter: Document) -> Delete<'_, T> {
        let options = DeleteOptions::default();
        Delete { collection: self, name, safety, filter, options, deadline: None }
    }
}

setters!(
    Delete<T>,
    DeleteOptions {
        /// The index to use.
        hint: Hint,
        /// How text compares.
        collation: Collation,
        /// The write concern of this call.
        write_concern: WriteConcern,
        /// Variables for expressions.
        let_vars: Document,
        /// A remark for the server's logs.
        comment: Bson,
    }
);

awaitable!(Delete<T> => u64);

impl<'a, T: Send + Sync> Delete<'a, T> {
    async fn run(mut self) -> Result<u64> {
        limit_wait(&mut self.options.write_concern);
        let operation = self.collection.operation(self.name, self.safety).deadline(self.deadline);
        let driver = &self.collection.driver;
        let resilience = self.collection.resilience();
        let (filter, options) = (|| self.filter.clone(), || self.options.clone());
        let result = if self.safety == Safety::Never {
            let call = || driver.delete_many(filter()).with_options(options()).into_future();
            resilience.run(operation, call).await
        } else {
            let call = || driver.delete_one(filter()).with_options(options()).into_future();
            resilience.run(operation, call).await
        };
        result.map(|result| result.deleted_count)
    }
}
