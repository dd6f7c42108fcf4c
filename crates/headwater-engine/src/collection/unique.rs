//! Whether another document has the key of a new entry, in an index that is unique or is to become so.

use std::ops::Bound;

use headwater_store::{Direction, Operation, Read};

use super::{RecordId, document_key, duplicate_key, entry_key, record_of, with_entry_key};
use crate::bson::{Doc, key};
use crate::catalog::{Collection, tables};
use crate::error::Result;
use crate::index::Index;
use crate::index::keys::{has_alone, head_of, without_id};

/// An entry that is about to be put, and the document that it is of.
pub(super) struct NewEntry<'e> {
    pub(super) collection: &'e Collection,
    pub(super) index: &'e Index,
    pub(super) encoded: &'e [u8],
    pub(super) record: RecordId,
    pub(super) doc: Doc<'e>,
}

impl NewEntry<'_> {
    /// Refuses a key that another document has.
    ///
    /// # Errors
    /// `DuplicateKey` (11000); those of the store.
    #[inline]
    pub(super) fn check(&self, op: &Operation<'_, '_>) -> Result<()> {
        let index = self.index;
        match (index.prepare_unique, index.unique) {
            (true, _) if index.by_id => self.check_prepared_by_id(op),
            (true, _) => self.check_prepared(op),
            (false, true) => self.check_unique(op),
            (false, false) => Ok(()),
        }
    }

    fn check_unique(&self, op: &Operation<'_, '_>) -> Result<()> {
        let get = |key: &[u8]| op.get(tables::INDEX, key);
        match with_entry_key(self.index, self.encoded, self.record, get)? {
            Some(holder) if record_of(holder) != Some(self.record) => {
                Err(duplicate_key(self.collection, self.index, self.encoded, self.doc))
            }
            _ => Ok(()),
        }
    }

    /// In an index that is to become unique: its entries still have the record ids in their keys.
    #[cold]
    fn check_prepared(&self, op: &Operation<'_, '_>) -> Result<()> {
        let first = entry_key(self.index, self.encoded, 0);
        let last = entry_key(self.index, self.encoded, RecordId::MAX);
        let bounds = (Bound::Included(&first[..]), Bound::Included(&last[..]));
        let mut cursor = op.range(tables::INDEX, bounds.0, bounds.1, Direction::Forward)?;
        while let Some((key, _)) = cursor.next()? {
            if key.len() == first.len() && record_of(key) != Some(self.record) {
                return Err(duplicate_key(self.collection, self.index, self.encoded, self.doc));
            }
        }
        Ok(())
    }

    /// The same in a clustered collection, where an `_id` stands between key and record id.
    #[cold]
    fn check_prepared_by_id(&self, op: &Operation<'_, '_>) -> Result<()> {
        let index = self.index;
        let Some(alone) = without_id(index, self.doc, self.encoded)? else { return Ok(()) };
        let lower = [&index.id.to_be_bytes()[..], head_of(&alone)].concat();
        let upper = key::successor(&lower).unwrap_or_default();
        let bounds = (Bound::Included(&lower[..]), Bound::Excluded(&upper[..]));
        let mut cursor = op.range(tables::INDEX, bounds.0, bounds.1, Direction::Forward)?;
        while let Some((key, _)) = cursor.next()? {
            let Some(other) = record_of(key).filter(|other| *other != self.record) else {
                continue;
            };
            let other = op.get(tables::DOCUMENTS, &document_key(self.collection.id, other))?;
            if let Some(other) = other
                && has_alone(index, Doc::trusted(other), &alone)?
            {
                return Err(duplicate_key(self.collection, index, &alone, self.doc));
            }
        }
        Ok(())
    }
}
