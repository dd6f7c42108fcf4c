//! Names of databases and collections and the rules they follow. Source: MongoDB 8.0's naming restrictions and recorded replies.

use std::fmt;
use std::sync::Arc;

use crate::bson::Raw;
use crate::error::{Code, Error, Result};

/// Longest database name in bytes.
const DB_BYTES_MAX: usize = 63;
/// Longest namespace (`db.collection`) in bytes.
const NAMESPACE_BYTES_MAX: usize = 255;

/// A database and a collection in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Namespace {
    text: Arc<str>,
    split: usize,
}

impl Namespace {
    /// The namespace of a collection; names are not checked.
    pub fn new(db: &str, collection: &str) -> Namespace {
        Namespace { text: [db, ".", collection].concat().into(), split: db.len() }
    }

    /// The database.
    pub fn db(&self) -> &str {
        self.text.get(..self.split).unwrap_or_default()
    }

    /// The collection.
    pub fn collection(&self) -> &str {
        self.text.get(self.split + 1..).unwrap_or_default()
    }

    /// Whether it is where the profiler keeps what it keeps.
    pub fn is_profile(&self) -> bool {
        self.collection() == crate::profile::COLLECTION
    }

    /// `db.collection`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Reads `db.collection`.
    ///
    /// # Errors
    /// `InvalidNamespace` (73) for a name that breaks a rule.
    pub fn parse(text: &str) -> Result<Namespace> {
        let Some((db, collection)) = text.split_once('.') else {
            return Err(invalid(format!("Invalid namespace specified '{text}'")));
        };
        check_db(db)?;
        Namespace::checked(db, collection)
    }

    /// The namespace that a command's first field names.
    ///
    /// # Errors
    /// `InvalidNamespace` (73) for a name that is no string or breaks a rule.
    pub fn of_command(db: &str, name: Raw<'_>) -> Result<Namespace> {
        let Some(collection) = name.as_str() else {
            let kind = name.kind.alias();
            return Err(invalid(format!("Collection name has invalid type {kind}")));
        };
        Namespace::checked(db, collection)
    }

    fn checked(db: &str, collection: &str) -> Result<Namespace> {
        if collection.is_empty() {
            return Err(invalid(format!("Invalid namespace specified: {db}")));
        }
        if collection.contains('\0') {
            return Err(invalid("namespaces cannot have embedded null characters".to_owned()));
        }
        if collection.starts_with('.') {
            return Err(invalid(format!("Collection names cannot start with '.': {collection}")));
        }
        let namespace = Namespace::new(db, collection);
        if namespace.text.len() > NAMESPACE_BYTES_MAX {
            return Err(invalid(format!(
                "Fully qualified namespace is too long. Namespace: {} Max: {NAMESPACE_BYTES_MAX}",
                namespace.text
            )));
        }
        Ok(namespace)
    }

    /// Refuses a name with a dollar sign, which some commands do where others find no such collection.
    ///
    /// # Errors
    /// `InvalidNamespace` (73).
    pub fn check_dollar(&self) -> Result<()> {
        match self.collection().contains('$') {
            true => Err(invalid(format!("Invalid collection name specified '{self}'"))),
            false => Ok(()),
        }
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Checks the name of a database.
///
/// # Errors
/// `InvalidNamespace` (73).
pub fn check_db(db: &str) -> Result<()> {
    let bad = |c: char| matches!(c, '/' | '\\' | '.' | '"' | '$' | ' ' | '\0');
    if db.is_empty() || db.len() > DB_BYTES_MAX || (db.contains(bad) && db != "$external") {
        return Err(invalid(format!("Invalid database name: '{db}'")));
    }
    Ok(())
}

fn invalid(message: String) -> Error {
    Error::new(Code::INVALID_NAMESPACE, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_belong_to_the_collection() {
        let namespace = Namespace::new("db", "a.b");
        assert_eq!((namespace.db(), namespace.collection()), ("db", "a.b"));
    }

    #[test]
    fn databases_have_plain_names() {
        assert!(check_db("test").is_ok());
        for bad in ["", "a.b", "a b", "a$b", &"x".repeat(64)] {
            assert!(check_db(bad).is_err(), "{bad}");
        }
    }
}
