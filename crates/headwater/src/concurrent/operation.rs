//! The operations that may be named, and what they come to.

use mongodb::bson::{Bson, Document};
use mongodb::options::{AggregateOptions, FindOneOptions, FindOptions, UpdateModifications};
use mongodb::results::UpdateResult;

use crate::collection::Collection;
use crate::database::Database;
use crate::error::Result;

/// An operation on data, to be run beside others.
///
/// There are these and no others: nothing that drops or creates a collection, changes an index or closes the connector
/// can be named. From a document, such as one of a configuration file, it is made by `TryFrom`:
///
/// ```
/// use headwater::bson::doc;
/// use headwater::{DataOperation, ErrorKind};
///
/// let count = doc! { "type": "count_documents", "collection": "users", "args": { "filter": { "age": 30 } } };
/// assert!(DataOperation::try_from(count).is_ok());
/// let drop = doc! { "type": "drop_collection", "collection": "users" };
/// assert_eq!(DataOperation::try_from(drop).unwrap_err().kind(), ErrorKind::Validation);
/// ```
#[derive(Debug, Clone)]
pub struct DataOperation {
    collection: String,
    call: Call,
}

#[derive(Debug, Clone)]
enum Call {
    FindOne(Document, Box<FindOneOptions>),
    FindMany(Document, Box<FindOptions>),
    Count(Document),
    Distinct(String, Document),
    Aggregate(Vec<Document>, Box<AggregateOptions>),
    InsertOne(Document),
    InsertMany(Vec<Document>, bool),
    Update { filter: Document, update: UpdateModifications, upsert: bool, many: bool },
    Replace { filter: Document, replacement: Document, upsert: bool },
    Delete { filter: Document, many: bool },
}

/// What an operation came to.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum DataResult {
    /// The document that was found, if any.
    Document(Option<Document>),
    /// The documents that were found, or the results of an aggregation.
    Documents(Vec<Document>),
    /// Distinct values.
    Values(Vec<Bson>),
    /// How many documents match, or were deleted.
    Count(u64),
    /// The `_id`s of what was inserted.
    Ids(Vec<Bson>),
    /// What an update or replacement did.
    Updated(UpdateResult),
}

impl DataResult {
    /// The document that was found.
    pub fn document(&self) -> Option<&Document> {
        match self {
            DataResult::Document(document) => document.as_ref(),
            _ => None,
        }
    }

    /// The documents that were found; none for another kind of result.
    pub fn documents(&self) -> &[Document] {
        match self {
            DataResult::Documents(documents) => documents,
            _ => &[],
        }
    }

    /// The distinct values; none for another kind of result.
    pub fn values(&self) -> &[Bson] {
        match self {
            DataResult::Values(values) => values,
            _ => &[],
        }
    }

    /// How many documents match, or were deleted.
    pub fn count(&self) -> Option<u64> {
        match self {
            DataResult::Count(count) => Some(*count),
            _ => None,
        }
    }

    /// The `_id` of the document that was inserted.
    pub fn id(&self) -> Option<&Bson> {
        match self {
            DataResult::Ids(ids) => ids.first(),
            _ => None,
        }
    }

    /// What an update or replacement did.
    pub fn updated(&self) -> Option<&UpdateResult> {
        match self {
            DataResult::Updated(result) => Some(result),
            _ => None,
        }
    }
}

impl DataOperation {
    fn new(collection: impl Into<String>, call: Call) -> DataOperation {
        DataOperation { collection: collection.into(), call }
    }

    /// The first document that matches.
    pub fn find_one(collection: impl Into<String>, filter: Document) -> DataOperation {
        DataOperation::find_one_with(collection, filter, FindOneOptions::default())
    }

    /// The first document that matches, with options.
    pub fn find_one_with(
        collection: impl Into<String>,
        filter: Document,
        options: FindOneOptions,
    ) -> DataOperation {
        DataOperation::new(collection, Call::FindOne(filter, Box::new(options)))
    }

    /// All documents that match.
    pub fn find_many(collection: impl Into<String>, filter: Document) -> DataOperation {
        DataOperation::find_many_with(collection, filter, FindOptions::default())
    }

    /// All documents that match, with options.
    pub fn find_many_with(
        collection: impl Into<String>,
        filter: Document,
        options: FindOptions,
    ) -> DataOperation {
        DataOperation::new(collection, Call::FindMany(filter, Box::new(options)))
    }

    /// How many documents match.
    pub fn count(collection: impl Into<String>, filter: Document) -> DataOperation {
        DataOperation::new(collection, Call::Count(filter))
    }

    /// The distinct values of a field among the documents that match.
    pub fn distinct(
        collection: impl Into<String>,
        field: impl Into<String>,
        filter: Document,
    ) -> DataOperation {
        DataOperation::new(collection, Call::Distinct(field.into(), filter))
    }

    /// The results of a pipeline.
    pub fn aggregate(
        collection: impl Into<String>,
        pipeline: impl IntoIterator<Item = Document>,
    ) -> DataOperation {
        DataOperation::aggregate_with(collection, pipeline, AggregateOptions::default())
    }

    /// The results of a pipeline, with options.
    pub fn aggregate_with(
        collection: impl Into<String>,
        pipeline: impl IntoIterator<Item = Document>,
        options: AggregateOptions,
    ) -> DataOperation {
        let pipeline = pipeline.into_iter().collect();
        DataOperation::new(collection, Call::Aggregate(pipeline, Box::new(options)))
    }

    /// Inserts a document.
    pub fn insert_one(collection: impl Into<String>, document: Document) -> DataOperation {
        DataOperation::new(collection, Call::InsertOne(document))
    }

    /// Inserts documents; the first failure ends it if `ordered`.
    pub fn insert_many(
        collection: impl Into<String>,
        documents: impl IntoIterator<Item = Document>,
        ordered: bool,
    ) -> DataOperation {
        DataOperation::new(collection, Call::InsertMany(documents.into_iter().collect(), ordered))
    }

    /// Updates the first document that matches; inserts one if none does and `upsert` says so.
    pub fn update_one(
        collection: impl Into<String>,
        filter: Document,
        update: impl Into<UpdateModifications>,
        upsert: bool,
    ) -> DataOperation {
        let update = update.into();
        DataOperation::new(collection, Call::Update { filter, update, upsert, many: false })
    }

    /// Updates all documents that match; inserts one if none does and `upsert` says so.
    pub fn update_many(
        collection: impl Into<String>,
        filter: Document,
        update: impl Into<UpdateModifications>,
        upsert: bool,
    ) -> DataOperation {
        let update = update.into();
        DataOperation::new(collection, Call::Update { filter, update, upsert, many: true })
    }

    /// Replaces the first document that matches; inserts it if none does and `upsert` says so.
    pub fn replace_one(
        collection: impl Into<String>,
        filter: Document,
        replacement: Document,
        upsert: bool,
    ) -> DataOperation {
        DataOperation::new(collection, Call::Replace { filter, replacement, upsert })
    }

    /// Deletes the first document that matches.
    pub fn delete_one(collection: impl Into<String>, filter: Document) -> DataOperation {
        DataOperation::new(collection, Call::Delete { filter, many: false })
    }

    /// Deletes all documents that match.
    pub fn delete_many(collection: impl Into<String>, filter: Document) -> DataOperation {
        DataOperation::new(collection, Call::Delete { filter, many: true })
    }

    /// Whether it changes anything.
    pub(super) fn writes(&self) -> bool {
        let last = |pipeline: &[Document]| {
            let stage = pipeline.last().and_then(|stage| stage.keys().next());
            stage.is_some_and(|name| name == "$out" || name == "$merge")
        };
        match &self.call {
            Call::FindOne(..) | Call::FindMany(..) | Call::Count(_) | Call::Distinct(..) => false,
            Call::Aggregate(pipeline, _) => last(pipeline),
            _ => true,
        }
    }

    pub(super) async fn run(self, database: &Database) -> Result<DataResult> {
        let collection: Collection<Document> = database.collection(&self.collection);
        Ok(match self.call {
            Call::FindOne(filter, options) => {
                DataResult::Document(collection.find_one(filter).with_options(*options).await?)
            }
            Call::FindMany(filter, options) => {
                DataResult::Documents(collection.find_many(filter).with_options(*options).await?)
            }
            Call::Count(filter) => DataResult::Count(collection.count(filter).await?),
            Call::Distinct(field, filter) => {
                DataResult::Values(collection.distinct(field, filter).await?)
            }
            Call::Aggregate(pipeline, options) => {
                let results = collection.aggregate(pipeline).with_options(*options).all();
                DataResult::Documents(results.await?)
            }
            Call::InsertOne(document) => {
                DataResult::Ids(vec![collection.insert_one(document).await?])
            }
            Call::InsertMany(documents, ordered) => {
                DataResult::Ids(collection.insert_many(documents).ordered(ordered).await?)
            }
            Call::Update { filter, update, upsert, many } => {
                let update = match many {
                    true => collection.update_many(filter, update),
                    false => collection.update_one(filter, update),
                };
                DataResult::Updated(update.upsert(upsert).await?)
            }
            Call::Replace { filter, replacement, upsert } => {
                let replace = collection.replace_one(filter, replacement);
                DataResult::Updated(replace.upsert(upsert).await?)
            }
            Call::Delete { filter, many } => DataResult::Count(match many {
                true => collection.delete_many(filter).await?,
                false => collection.delete_one(filter).await?,
            }),
        })
    }
}
