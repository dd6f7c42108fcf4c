//! Capped collections: what is too much goes, the oldest first.

pub(super) mod convert;

use std::ops::Bound;
use std::sync::atomic::Ordering;

use headwater_store::{Direction, Read};

use super::delete::remove_document;
use crate::bson::{Doc, DocBuf};
use crate::catalog::{Collection, tables};
use crate::collection::{RecordId, document_key, load_figures, record_of};
use crate::engine::WriteGuard;
use crate::error::Result;

/// Makes sure that it is known how much a capped collection holds. Called before a document is added.
///
/// # Errors
/// Those of the store.
pub(super) fn prepare(guard: &WriteGuard<'_>, collection: &Collection) -> Result<()> {
    match collection.settings.capped {
        Some(_) => load_figures(guard.read()?, collection),
        None => Ok(()),
    }
}

/// Removes the oldest documents of a capped collection until its limits hold. The newest one stays, however large.
///
/// # Errors
/// Those of removing.
pub(super) fn evict(guard: &mut WriteGuard<'_>, collection: &Collection) -> Result<()> {
    let Some(capped) = collection.settings.capped else { return Ok(()) };
    loop {
        let (documents, bytes) = collection.figures.get();
        let is_full = documents > capped.documents_max || bytes > capped.bytes_max;
        if !is_full || documents <= 1 {
            return Ok(());
        }
        let Some((record, doc)) = oldest(guard.read()?, collection)? else { return Ok(()) };
        remove_document(guard, collection, record, doc.as_doc(), &mut None, 0, Default::default())?;
        collection.figures.first_record.store(record + 1, Ordering::Relaxed);
    }
}

/// The oldest document. What went before is not walked over again.
fn oldest(read: &dyn Read, collection: &Collection) -> Result<Option<(RecordId, DocBuf)>> {
    let first = collection.figures.first_record.load(Ordering::Relaxed);
    let (lower, upper) = (document_key(collection.id, first), document_key(collection.id + 1, 0));
    let (lower, upper) = (Bound::Included(&lower[..]), Bound::Excluded(&upper[..]));
    let mut cursor = read.range(tables::DOCUMENTS, lower, upper, Direction::Forward)?;
    let found = cursor.next()?;
    Ok(found.and_then(|(key, value)| Some((record_of(key)?, Doc::trusted(value).to_buf()))))
}
