//! A typed collection. Each operation is a builder that is awaited; what they do is in the rooms below.

#[macro_use]
mod action;
mod aggregate;
mod bulk_write;
mod count;
mod delete;
mod find;
mod find_and_modify;
mod geo;
mod index;
mod insert;
mod insert_many;
mod page;
mod text;
mod update;

use std::fmt;

use mongodb::bson::{Bson, Document, doc};
use mongodb::options::WriteConcern;

pub use self::aggregate::Aggregate;
pub use self::bulk_write::{BulkWrite, BulkWriteResult, WriteModel};
pub use self::count::{Count, Distinct};
pub use self::delete::Delete;
pub use self::find::{Find, FindMany, FindOne};
pub use self::find_and_modify::{FindOneAndDelete, FindOneAndReplace, FindOneAndUpdate};
pub use self::geo::{Distant, Near, NearWithDistance, Shape, Within};
pub use self::index::Index;
pub use self::insert::InsertOne;
pub(crate) use self::insert::with_id;
pub use self::insert_many::InsertMany;
pub(crate) use self::insert_many::Prepared;
pub use self::page::{Page, PageAfter, PageKey, Pages, Slice};
pub use self::text::{Scored, TextSearch};
pub use self::update::{Replace, Update};
use crate::connector::Headwater;
use crate::error::Result;
use crate::operation::{Operation, Safety};
use crate::resilience::Resilience;

/// A collection whose documents read as `T`.
///
/// Every operation is a builder: set what is needed, then `.await` it.
///
/// ```
/// # #[cfg(feature = "embedded")]
/// # #[tokio::main]
/// # async fn main() -> headwater::Result<()> {
/// use std::time::Duration;
/// use headwater::bson::{Document, doc};
///
/// let headwater = headwater::Headwater::open_in_memory().await?;
/// let users = headwater.collection::<Document>("users");
/// users.insert_many([doc! { "age": 30 }, doc! { "age": 40 }]).await?;
/// let oldest = users
///     .find_one(doc! {})
///     .sort(doc! { "age": -1 })
///     .deadline(Duration::from_secs(2))
///     .await?;
/// assert_eq!(oldest.unwrap().get("age"), Some(&40.into()));
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "embedded"))]
/// # fn main() {}
/// ```
pub struct Collection<T: Send + Sync> {
    headwater: Headwater,
    driver: mongodb::Collection<T>,
    names: Names,
}

/// Its names, as operations show them.
#[derive(Clone)]
struct Names {
    database: String,
    collection: String,
}

impl<T: Send + Sync> Collection<T> {
    pub(crate) fn new(headwater: Headwater, driver: mongodb::Collection<T>) -> Collection<T> {
        let namespace = driver.namespace();
        let names = Names { database: namespace.db, collection: namespace.coll };
        Collection { headwater, driver, names }
    }

    /// Its name, without the database.
    pub fn name(&self) -> &str {
        &self.names.collection
    }

    /// Its name with that of its database, as in `shop.orders`.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// use headwater::bson::Document;
    /// let shop = headwater::Headwater::open_in_memory().await?.database("shop");
    /// assert_eq!(shop.collection::<Document>("orders").namespace(), "shop.orders");
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub fn namespace(&self) -> String {
        format!("{}.{}", self.names.database, self.names.collection)
    }

    /// The write concern of its writes that say nothing else: its own, or that of the database or the connector.
    pub fn write_concern(&self) -> Option<&WriteConcern> {
        self.driver.write_concern()
    }

    /// The driver's own handle, for what the connector does not offer, and for transactions.
    pub fn driver(&self) -> &mongodb::Collection<T> {
        &self.driver
    }

    /// The connector that this collection was taken from.
    pub fn headwater(&self) -> &Headwater {
        &self.headwater
    }

    /// The same collection, its documents read as another type.
    pub fn with_type<U: Send + Sync>(&self) -> Collection<U> {
        Collection {
            headwater: self.headwater.clone(),
            driver: self.driver.clone_with_type(),
            names: self.names.clone(),
        }
    }

    /// The figures of the collection (`collStats`).
    ///
    /// # Errors
    /// Why there was no answer.
    pub async fn stats(&self) -> Result<Document> {
        let operation = self.operation("collection_stats", Safety::Read);
        self.headwater.run_command(operation, doc! { "collStats": self.name() }).await
    }

    /// Removes the collection with everything in it; one that is not there is no error.
    ///
    /// # Errors
    /// The server cannot or may not.
    pub async fn drop_collection(&self) -> Result<()> {
        let operation = self.operation("drop_collection", Safety::Never);
        self.resilience().run(operation, || self.driver.drop().into_future()).await
    }

    pub(crate) fn resilience(&self) -> &Resilience {
        &self.headwater.0.resilience
    }

    pub(crate) fn operation(&self, name: &'static str, safety: Safety) -> Operation<'_> {
        Operation::new(name, &self.names.database, Some(&self.names.collection), safety)
    }

    /// The database of the collection, as the driver has it.
    fn driver_database(&self) -> mongodb::Database {
        self.headwater.0.client.database(&self.names.database)
    }
}

/// The filter for one `_id`.
fn by_id(id: impl Into<Bson>) -> Document {
    doc! { "_id": id.into() }
}

impl<T: Send + Sync> Clone for Collection<T> {
    fn clone(&self) -> Collection<T> {
        self.with_type()
    }
}

impl<T: Send + Sync> fmt::Debug for Collection<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collection")
            .field("database", &self.names.database)
            .field("name", &self.names.collection)
            .finish_non_exhaustive()
    }
}
