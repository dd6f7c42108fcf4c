//! What a change stream covers: a collection, a database or everything, and which events end it.

use super::document::is_internal;
use super::event::{Event, Kind};
use super::options::Options;
use crate::error::{Code, Error, Result};
use crate::namespace::Namespace;

/// What a stream covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scope {
    /// One collection, by its name.
    Collection(Namespace),
    /// The collections of a database.
    Database(String),
    /// The collections of all databases.
    Cluster,
}

impl Scope {
    /// The scope of a stream on a database or, with `namespace`, on a collection.
    ///
    /// # Errors
    /// `InvalidOptions` (72) and `InvalidNamespace` (73) for what may not be watched.
    pub(super) fn of(db: &str, namespace: Option<&Namespace>, options: &Options) -> Result<Scope> {
        let refuse = |message: String| Err(Error::new(Code::INVALID_OPTIONS, message));
        if options.cluster {
            if db != "admin" || namespace.is_some() {
                return refuse(
                    "A $changeStream with 'allChangesForCluster:true' may only be opened on the 'admin' database, and with no collection name".to_owned(),
                );
            }
            return Ok(Scope::Cluster);
        }
        if matches!(db, "admin" | "config" | "local") {
            return Err(Error::new(
                Code::INVALID_NAMESPACE,
                format!("$changeStream may not be opened on the internal {db} database"),
            ));
        }
        match namespace {
            None => Ok(Scope::Database(db.to_owned())),
            Some(namespace) if is_internal(db, namespace.collection()) => Err(Error::new(
                Code::INVALID_NAMESPACE,
                format!("$changeStream may not be opened on the internal {namespace} collection"),
            )),
            Some(namespace) => Ok(Scope::Collection(namespace.clone())),
        }
    }

    /// Whether the stream is about this event.
    pub(super) fn covers(&self, event: &Event<'_>) -> bool {
        let (db, collection) = (event.namespace.db(), event.namespace.collection());
        match self {
            Scope::Collection(own) => {
                event.namespace == *own || renamed_to(event).is_some_and(|to| to == *own)
            }
            Scope::Database(own) => {
                let to = renamed_to(event);
                let is_own = db == own || to.is_some_and(|to| to.db() == own);
                is_own && !collection.starts_with("system.")
            }
            Scope::Cluster => !is_internal(db, collection),
        }
    }

    /// Whether the stream ends with this event.
    pub(super) fn is_ended_by(&self, event: &Event<'_>) -> bool {
        match self {
            Scope::Collection(_) => matches!(event.kind, Kind::Drop | Kind::Rename),
            Scope::Database(_) => event.kind == Kind::DropDatabase,
            Scope::Cluster => false,
        }
    }
}

/// The new name that a renaming gave.
pub(super) fn renamed_to(event: &Event<'_>) -> Option<Namespace> {
    if event.kind != Kind::Rename {
        return None;
    }
    let to = event.detail?.get("to")?.as_doc()?;
    Some(Namespace::new(to.get("db")?.as_str()?, to.get("coll")?.as_str()?))
}
