//! A database: its collections and their names, its figures.

use std::fmt;

use futures_util::TryStreamExt;
use mongodb::bson::{Document, doc};
use mongodb::options::{CollectionOptions, CreateCollectionOptions};

use crate::collection::Collection;
use crate::connector::{Headwater, limit_wait};
use crate::error::Result;
use crate::operation::{Operation, Safety};

/// A database of the connector.
#[derive(Clone)]
pub struct Database {
    headwater: Headwater,
    driver: mongodb::Database,
}

impl Database {
    pub(crate) fn new(headwater: Headwater, driver: mongodb::Database) -> Database {
        Database { headwater, driver }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.driver.name()
    }

    /// The driver's own handle.
    pub fn driver(&self) -> &mongodb::Database {
        &self.driver
    }

    /// The connector that this database was taken from.
    pub fn headwater(&self) -> &Headwater {
        &self.headwater
    }

    /// A collection of documents that read as `T`. Nothing is sent.
    pub fn collection<T: Send + Sync>(&self, name: &str) -> Collection<T> {
        Collection::new(self.headwater.clone(), self.driver.collection(name))
    }

    /// A collection with a read concern, write concern or read preference of its own.
    pub fn collection_with<T: Send + Sync>(
        &self,
        name: &str,
        mut options: CollectionOptions,
    ) -> Collection<T> {
        limit_wait(&mut options.write_concern);
        let driver = self.driver.collection_with_options(name, options);
        Collection::new(self.headwater.clone(), driver)
    }

    /// Makes a collection.
    ///
    /// # Errors
    /// There is one of this name with other options, or the options make no sense.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// let database = headwater::Headwater::open_in_memory().await?.database("shop");
    /// database.create_collection("orders", None).await?;
    /// assert!(database.collection_exists("orders").await?);
    /// database.drop_collection("orders").await?;
    /// assert!(!database.collection_exists("orders").await?);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub async fn create_collection(
        &self,
        name: &str,
        options: impl Into<Option<CreateCollectionOptions>> + Send,
    ) -> Result<()> {
        let mut options: Option<CreateCollectionOptions> = options.into();
        if let Some(options) = &mut options {
            limit_wait(&mut options.write_concern);
        }
        let operation = self.operation("create_collection", Some(name), Safety::Never);
        let call =
            || self.driver.create_collection(name).with_options(options.clone()).into_future();
        self.headwater.0.resilience.run(operation, call).await
    }

    /// Removes a collection with everything in it; one that is not there is no error.
    ///
    /// # Errors
    /// The server cannot or may not.
    pub async fn drop_collection(&self, name: &str) -> Result<()> {
        let operation = self.operation("drop_collection", Some(name), Safety::Never);
        let collection = self.driver.collection::<Document>(name);
        self.headwater.0.resilience.run(operation, || collection.drop().into_future()).await
    }

    /// Removes the database with everything in it.
    ///
    /// # Errors
    /// The server cannot or may not.
    pub async fn drop_database(&self) -> Result<()> {
        let operation = self.operation("drop_database", None, Safety::Never);
        self.headwater.0.resilience.run(operation, || self.driver.drop().into_future()).await
    }

    /// True if there is a collection or view of the name. The server looks for it (D31).
    ///
    /// # Errors
    /// Why there was no answer.
    pub async fn collection_exists(&self, name: &str) -> Result<bool> {
        let operation = self.operation("collection_exists", Some(name), Safety::Read);
        let names = self.names(operation, doc! { "name": name }).await?;
        Ok(!names.is_empty())
    }

    /// The names of all collections and views.
    ///
    /// # Errors
    /// Why there was no answer.
    pub async fn collection_names(&self) -> Result<Vec<String>> {
        self.names(self.operation("collection_names", None, Safety::Read), doc! {}).await
    }

    async fn names(&self, operation: Operation<'_>, filter: Document) -> Result<Vec<String>> {
        let call = || self.driver.list_collection_names().filter(filter.clone()).into_future();
        self.headwater.0.resilience.run(operation, call).await
    }

    /// What the server knows of its collections: name, type, options.
    ///
    /// # Errors
    /// Why there was no answer.
    pub async fn collections(&self) -> Result<Vec<Document>> {
        let operation = self.operation("collections", None, Safety::Read);
        let call = || async {
            let specifications: Vec<_> =
                self.driver.list_collections().await?.try_collect().await?;
            specifications
                .iter()
                .map(|specification| {
                    mongodb::bson::serialize_to_document(specification)
                        .map_err(mongodb::error::Error::from)
                })
                .collect::<mongodb::error::Result<Vec<Document>>>()
        };
        self.headwater.0.resilience.run(operation, call).await
    }

    /// The figures of the database (`dbStats`).
    ///
    /// # Errors
    /// Why there was no answer.
    pub async fn stats(&self) -> Result<Document> {
        let operation = self.operation("database_stats", None, Safety::Read);
        self.headwater.run_command(operation, doc! { "dbStats": 1 }).await
    }

    /// Runs a command once: the connector does not know what it does.
    ///
    /// # Errors
    /// The server refuses it, or there was no answer.
    pub async fn run_command(&self, command: Document) -> Result<Document> {
        let operation = self.operation("run_command", None, Safety::Never);
        self.headwater.run_command(operation, command).await
    }

    fn operation<'a>(
        &'a self,
        name: &'static str,
        collection: Option<&'a str>,
        safety: Safety,
    ) -> Operation<'a> {
        Operation::new(name, self.name(), collection, safety)
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("name", &self.name()).finish_non_exhaustive()
    }
}
