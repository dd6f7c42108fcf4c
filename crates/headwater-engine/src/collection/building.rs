//! How writers keep up the entries of indexes that are being built. An index that cannot take a document fails its build,
//! not the write.

use headwater_store::{Operation, Read};

use super::unique::NewEntry;
use super::{RecordId, added, entry_key, note_keys, put_entry, record_of};
use crate::bson::Doc;
use crate::catalog::building::Building;
use crate::catalog::{Collection, tables};
use crate::error::Result;
use crate::index::Index;
use crate::index::keys::keys;

/// Keeps up the indexes that are being built through one change: the document as it was and as it will be. Called when
/// nothing can refuse the change any more but the store.
#[cold]
pub(super) fn keep_up(
    op: &mut Operation<'_, '_>,
    collection: &Collection,
    record: RecordId,
    old: Option<Doc<'_>>,
    new: Option<Doc<'_>>,
) -> Result<()> {
    for building in collection.building.iter().filter(|building| building.failure().is_none()) {
        change(op, collection, building, record, old, new)?;
    }
    Ok(())
}

fn change(
    op: &mut Operation<'_, '_>,
    collection: &Collection,
    building: &Building,
    record: RecordId,
    old: Option<Doc<'_>>,
    new: Option<Doc<'_>>,
) -> Result<()> {
    let index = &building.index;
    // A document that has no keys cannot have entries.
    let before = old.map(|old| keys(index, old).unwrap_or_default()).unwrap_or_default();
    let after = match new.map(|new| keys(index, new)).transpose() {
        Ok(keys) => keys.unwrap_or_default(),
        Err(error) => {
            building.fail(error);
            return Ok(());
        }
    };
    let same = before.keys == after.keys
        && before.types == after.types
        && index.arrays.knows(&after.multikey, &after.arrays);
    if old.is_some() && new.is_some() && same {
        return Ok(());
    }
    if let Some(new) = new {
        for encoded in &after.keys {
            let entry = NewEntry { collection, index, encoded, record, doc: new };
            if let Err(error) = entry.check(op) {
                building.fail(error);
                return Ok(());
            }
        }
    }
    note_keys(index, &after);
    for encoded in added(&after.keys, &before.keys) {
        delete_own(op, index, encoded, record)?;
    }
    // All of them: what the builder would have added of this document, it will not add any more.
    for encoded in &after.keys {
        put_entry(op, index, encoded, &after.types, record)?;
    }
    building.touch(record, !after.keys.is_empty());
    Ok(())
}

/// Removes the entry of a document, not that which another one has under the same key.
fn delete_own(
    op: &mut Operation<'_, '_>,
    index: &Index,
    encoded: &[u8],
    record: RecordId,
) -> Result<()> {
    let key = entry_key(index, encoded, record);
    let is_own = !index.unique
        || op.get(tables::INDEX, &key)?.is_some_and(|holder| record_of(holder) == Some(record));
    if is_own {
        op.delete(tables::INDEX, &key)?;
    }
    Ok(())
}

/// Adds the entries of a document as it is now. Those that are there stay.
///
/// # Errors
/// `DuplicateKey` (11000), `CannotIndexParallelArrays` (171); those of the store.
pub fn complete(
    op: &mut Operation<'_, '_>,
    collection: &Collection,
    index: &Index,
    record: RecordId,
    doc: Doc<'_>,
) -> Result<()> {
    let keys = keys(index, doc)?;
    note_keys(index, &keys);
    for encoded in &keys.keys {
        NewEntry { collection, index, encoded, record, doc }.check(op)?;
        put_entry(op, index, encoded, &keys.types, record)?;
    }
    Ok(())
}

/// The document that has a key of a unique index, if it is another than `record`.
///
/// # Errors
/// Those of the store.
pub fn other_holder(
    read: &dyn Read,
    index: &Index,
    encoded: &[u8],
    record: RecordId,
) -> Result<Option<RecordId>> {
    let holder = read.get(tables::INDEX, &entry_key(index, encoded, record))?;
    Ok(holder.and_then(record_of).filter(|holder| *holder != record))
}
