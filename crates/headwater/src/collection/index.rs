//! Indexes: made from plain keys, listed, dropped.

use std::time::Duration;

use futures_util::TryStreamExt;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::{Collation, IndexOptions};
use mongodb::{IndexModel, bson};

use super::Collection;
use crate::error::Result;
use crate::error::classify::Family;
use crate::operation::{Operation, Safety};

/// An index to make: keys, and options where they are needed.
///
/// ```
/// use std::time::Duration;
/// use headwater::bson::doc;
/// use headwater::collection::Index;
///
/// let by_name = Index::on("name");
/// let newest_first = Index::keys(doc! { "user": 1, "at": -1 }).name("newest");
/// let one_each = Index::on("email").unique();
/// let expiring = Index::on("at").expire_after(Duration::from_secs(3600));
/// let places = Index::keys(doc! { "place": "2dsphere" });
/// ```
#[derive(Debug, Clone)]
pub struct Index {
    keys: Document,
    options: IndexOptions,
}

impl Index {
    /// An ascending index on one field.
    pub fn on(field: impl Into<String>) -> Index {
        Index::keys(doc! { field: 1 })
    }

    /// An index on fields with their directions (1, -1) or kinds (`"text"`, `"2dsphere"`, `"hashed"`).
    pub fn keys(keys: Document) -> Index {
        Index { keys, options: IndexOptions::default() }
    }

    /// Its name; made of the keys otherwise.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Index {
        self.options.name = Some(name.into());
        self
    }

    /// No two documents may have the same key.
    #[must_use]
    pub fn unique(mut self) -> Index {
        self.options.unique = Some(true);
        self
    }

    /// Documents without the field are left out.
    #[must_use]
    pub fn sparse(mut self) -> Index {
        self.options.sparse = Some(true);
        self
    }

    /// Documents are deleted when the date in the field is this old.
    #[must_use]
    pub fn expire_after(mut self, age: Duration) -> Index {
        self.options.expire_after = Some(age);
        self
    }

    /// Only documents that match the filter are in it.
    #[must_use]
    pub fn partial(mut self, filter: Document) -> Index {
        self.options.partial_filter_expression = Some(filter);
        self
    }

    /// How text compares.
    #[must_use]
    pub fn collation(mut self, collation: Collation) -> Index {
        self.options.collation = Some(collation);
        self
    }

    /// All options of the driver at once; those set before are forgotten.
    #[must_use]
    pub fn with_options(mut self, options: IndexOptions) -> Index {
        self.options = options;
        self
    }

    fn model(self) -> IndexModel {
        IndexModel::builder().keys(self.keys).options(self.options).build()
    }
}

impl From<&str> for Index {
    fn from(field: &str) -> Index {
        Index::on(field)
    }
}

impl From<Document> for Index {
    fn from(keys: Document) -> Index {
        Index::keys(keys)
    }
}

impl<V: Into<Bson> + Clone, const N: usize> From<[(&str, V); N]> for Index {
    fn from(keys: [(&str, V); N]) -> Index {
        let pairs = keys.iter().map(|(field, kind)| ((*field).to_owned(), kind.clone().into()));
        Index::keys(pairs.collect())
    }
}

impl<T: Send + Sync> Collection<T> {
    /// Makes an index and gives back its name. One that is there already is no error.
    ///
    /// # Errors
    /// One of this name with other keys is there, or the documents break its rule; of kind
    /// [`ErrorKind::Index`](crate::ErrorKind::Index) or [`ErrorKind::DuplicateKey`](crate::ErrorKind::DuplicateKey).
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// use headwater::bson::{Document, doc};
    /// use headwater::collection::Index;
    /// let headwater = headwater::Headwater::open_in_memory().await?;
    /// let users = headwater.collection::<Document>("users");
    /// assert_eq!(users.create_index("name").await?, "name_1");
    /// assert_eq!(users.create_index(Index::on("email").unique()).await?, "email_1");
    /// assert_eq!(users.create_index([("age", -1), ("name", 1)]).await?, "age_-1_name_1");
    /// assert_eq!(users.indexes().await?.len(), 4);
    /// users.drop_index("name_1").await?;
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub async fn create_index(&self, index: impl Into<Index> + Send) -> Result<String> {
        let model = index.into().model();
        let call = || self.driver.create_index(model.clone()).into_future();
        let made = self.resilience().run(self.index_operation("create_index"), call).await?;
        Ok(made.index_name)
    }

    /// Makes several indexes at once and gives back their names.
    ///
    /// # Errors
    /// As [`Collection::create_index`].
    pub async fn create_indexes<I: Into<Index>>(
        &self,
        indexes: impl IntoIterator<Item = I> + Send,
    ) -> Result<Vec<String>> {
        let models: Vec<IndexModel> =
            indexes.into_iter().map(|index| index.into().model()).collect();
        if models.is_empty() {
            return Ok(Vec::new());
        }
        let call = || self.driver.create_indexes(models.clone()).into_future();
        let made = self.resilience().run(self.index_operation("create_indexes"), call).await?;
        Ok(made.index_names)
    }

    /// The indexes, as documents with `v`, `key`, `name` and options; none of a collection that is not there.
    ///
    /// # Errors
    /// Why there was no answer.
    pub async fn indexes(&self) -> Result<Vec<Document>> {
        let operation = self.operation("indexes", Safety::Read).family(Family::Index);
        let call = || async {
            let mut indexes = Vec::new();
            let mut cursor = match self.driver.list_indexes().await {
                Ok(cursor) => cursor,
                Err(error) if is_no_collection(&error) => return Ok(indexes),
                Err(error) => return Err(error),
            };
            while let Some(model) = cursor.try_next().await? {
                indexes.push(bson::serialize_to_document(&model)?);
            }
            Ok::<_, mongodb::error::Error>(indexes)
        };
        self.resilience().run(operation, call).await
    }

    /// Drops the index of the name.
    ///
    /// # Errors
    /// There is none of this name, or it is the one on `_id`.
    pub async fn drop_index(&self, name: &str) -> Result<()> {
        let call = || self.driver.drop_index(name).into_future();
        self.resilience().run(self.index_operation("drop_index"), call).await
    }

    /// Drops all indexes but the one on `_id`.
    ///
    /// # Errors
    /// The server cannot or may not.
    pub async fn drop_indexes(&self) -> Result<()> {
        let call = || self.driver.drop_indexes().into_future();
        self.resilience().run(self.index_operation("drop_indexes"), call).await
    }

    fn index_operation(&self, name: &'static str) -> Operation<'_> {
        self.operation(name, Safety::Never).family(Family::Index)
    }
}

/// NamespaceNotFound.
fn is_no_collection(error: &mongodb::error::Error) -> bool {
    matches!(error.kind.as_ref(), mongodb::error::ErrorKind::Command(command) if command.code == 26)
}
