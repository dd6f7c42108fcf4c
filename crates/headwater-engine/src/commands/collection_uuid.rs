//! `collectionUUID`: a command that names the UUID of its collection too fails if the name is another collection's.

use super::Fields;
use crate::bson::{DocWriter, View};
use crate::catalog::Catalog;
use crate::engine::WriteGuard;
use crate::error::{Code, Error, Result};
use crate::namespace::Namespace;

/// The name of the argument.
pub(super) const NAME: &str = "collectionUUID";

/// The UUID that a command or statement asks for.
///
/// # Errors
/// `TypeMismatch` (14), `InvalidUUID` (207).
pub(super) fn asked(fields: Fields<'_>) -> Result<Option<[u8; 16]>> {
    let Some(raw) = fields.get(NAME) else { return Ok(None) };
    let View::Binary { subtype, bytes } = raw.view() else {
        return Err(fields.wrong_type(NAME, raw.kind, &["binData"]));
    };
    match bytes.try_into() {
        Ok(uuid) if subtype == 4 => Ok(Some(uuid)),
        _ => {
            Err(Error::new(Code(207), "uuid must be a 16-byte binary field with UUID (4) subtype"))
        }
    }
}

/// As [`check`] for one statement of a write.
///
/// # Errors
/// As [`check`].
pub(super) fn check_write(
    guard: &WriteGuard<'_>,
    namespace: &Namespace,
    asked: Option<[u8; 16]>,
) -> Result<()> {
    match asked {
        None => Ok(()),
        Some(_) => check(&guard.catalog(), namespace, asked),
    }
}

/// Checks that the collection of that name has the UUID that was asked for.
///
/// # Errors
/// `CollectionUUIDMismatch` (361) with the names of what was expected and of what has the UUID.
pub(super) fn check(
    catalog: &Catalog,
    namespace: &Namespace,
    asked: Option<[u8; 16]>,
) -> Result<()> {
    let Some(uuid) = asked else { return Ok(()) };
    let named = catalog.collection(namespace.db(), namespace.collection());
    if named.is_some_and(|named| named.uuid == uuid) {
        return Ok(());
    }
    let mut details = DocWriter::new();
    details.str("db", namespace.db());
    details.binary(NAME, 4, &uuid);
    details.str("expectedCollection", namespace.collection());
    match catalog.collections(namespace.db()).find(|other| other.uuid == uuid) {
        Some(actual) => details.str("actualCollection", actual.namespace.collection()),
        None => details.null("actualCollection"),
    }
    let message = "Collection UUID does not match that specified";
    Err(Error::new(Code::COLLECTION_UUID_MISMATCH, message).with_details(details.finish()))
}
