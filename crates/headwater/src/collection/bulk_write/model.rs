//! One write of several, as the caller says it and as the command carries it.

use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use mongodb::options::UpdateModifications;

use super::refuse;
use crate::collection::insert::{unfit, with_id};
use crate::collection::insert_many::Prepared;
use crate::error::Result;

/// One write of several; plain documents, no types of the driver.
///
/// ```
/// use headwater::bson::doc;
/// use headwater::collection::WriteModel;
///
/// let writes = [
///     WriteModel::insert_one(doc! { "name": "Ada" }),
///     WriteModel::update_many(doc! {}, doc! { "$set": { "seen": true } }),
///     WriteModel::replace_one(doc! { "_id": 1 }, doc! { "name": "Grace" }).upsert(),
///     WriteModel::delete_one(doc! { "name": "Bob" }),
/// ];
/// ```
#[derive(Debug, Clone)]
pub struct WriteModel(Write);

#[derive(Debug, Clone)]
enum Write {
    Insert(Document),
    Update {
        filter: Document,
        update: UpdateModifications,
        many: bool,
        upsert: bool,
        array_filters: Vec<Document>,
    },
    Replace {
        filter: Document,
        replacement: Document,
        upsert: bool,
    },
    Delete {
        filter: Document,
        many: bool,
    },
}

/// The command that carries a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Insert,
    Update,
    Delete,
}

/// A write as its command carries it.
pub(super) enum Statement {
    Insert(Prepared),
    Other(Kind, RawDocumentBuf),
}

impl Statement {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Statement::Insert(_) => Kind::Insert,
            Statement::Other(kind, _) => *kind,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Statement::Insert(Prepared { document, .. }) | Statement::Other(_, document) => {
                document.as_bytes().len()
            }
        }
    }
}

impl WriteModel {
    /// Inserts a document.
    pub fn insert_one(document: Document) -> WriteModel {
        WriteModel(Write::Insert(document))
    }

    /// Updates the first document that the filter matches.
    pub fn update_one(filter: Document, update: impl Into<UpdateModifications>) -> WriteModel {
        WriteModel::update(filter, update.into(), false)
    }

    /// Updates all documents that the filter matches.
    pub fn update_many(filter: Document, update: impl Into<UpdateModifications>) -> WriteModel {
        WriteModel::update(filter, update.into(), true)
    }

    /// Replaces the first document that the filter matches.
    pub fn replace_one(filter: Document, replacement: Document) -> WriteModel {
        WriteModel(Write::Replace { filter, replacement, upsert: false })
    }

    /// Deletes the first document that the filter matches.
    pub fn delete_one(filter: Document) -> WriteModel {
        WriteModel(Write::Delete { filter, many: false })
    }

    /// Deletes all documents that the filter matches.
    pub fn delete_many(filter: Document) -> WriteModel {
        WriteModel(Write::Delete { filter, many: true })
    }

    /// Inserts if an update or a replacement matches nothing. Others stay as they are.
    #[must_use]
    pub fn upsert(mut self) -> WriteModel {
        if let Write::Update { upsert, .. } | Write::Replace { upsert, .. } = &mut self.0 {
            *upsert = true;
        }
        self
    }

    /// Which elements of arrays `$[name]` means in an update. Others stay as they are.
    #[must_use]
    pub fn array_filters(mut self, filters: impl IntoIterator<Item = Document>) -> WriteModel {
        if let Write::Update { array_filters, .. } = &mut self.0 {
            *array_filters = filters.into_iter().collect();
        }
        self
    }

    fn update(filter: Document, update: UpdateModifications, many: bool) -> WriteModel {
        let array_filters = Vec::new();
        WriteModel(Write::Update { filter, update, many, upsert: false, array_filters })
    }

    pub(super) fn statement(self) -> Result<Statement> {
        let (kind, statement) = match self.0 {
            Write::Insert(document) => {
                let (id, document) = with_id(&document)?;
                return Ok(Statement::Insert(Prepared { id, document }));
            }
            Write::Update { filter, update, many, upsert, array_filters } => {
                let mut statement = doc! { "q": filter, "u": modifications(update)? };
                statement.insert("multi", many);
                statement.insert("upsert", upsert);
                if !array_filters.is_empty() {
                    statement.insert("arrayFilters", array_filters);
                }
                (Kind::Update, statement)
            }
            Write::Replace { filter, replacement, upsert } => {
                if replacement.keys().next().is_some_and(|name| name.starts_with('$')) {
                    return Err(refuse("a replacement is a document without operators"));
                }
                (
                    Kind::Update,
                    doc! { "q": filter, "u": replacement, "multi": false, "upsert": upsert },
                )
            }
            Write::Delete { filter, many } => {
                (Kind::Delete, doc! { "q": filter, "limit": i32::from(!many) })
            }
        };
        Ok(Statement::Other(kind, RawDocumentBuf::try_from(&statement).map_err(unfit)?))
    }
}

/// An update without operators would replace the document unasked.
fn modifications(update: UpdateModifications) -> Result<Bson> {
    match update {
        UpdateModifications::Document(update) => match update.keys().next() {
            Some(name) if name.starts_with('$') => Ok(update.into()),
            _ => Err(refuse("an update needs operators such as $set")),
        },
        UpdateModifications::Pipeline(stages) => Ok(stages.into()),
        _ => Err(refuse("an update is a document or a pipeline")),
    }
}
