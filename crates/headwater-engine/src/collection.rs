//! Documents and their index entries: the only writer of both. Knows nothing of commands, sessions or change events.

pub mod building;
mod duplicate;
mod unique;

use std::ops::Bound;
use std::sync::atomic::Ordering;

use headwater_store::{Direction, Operation, Read};

use crate::bson::Doc;
use crate::catalog::{Collection, store_collection, tables};
use crate::error::Result;
use crate::index::Index;
use crate::index::keys::{Keys, keys};
pub(crate) use duplicate::{collated_key, duplicate_key};
use unique::NewEntry;

/// A document's place in its collection's natural order.
pub type RecordId = u64;

/// The key of a document.
pub fn document_key(collection: u32, record: RecordId) -> [u8; 12] {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&collection.to_be_bytes());
    key[4..].copy_from_slice(&record.to_be_bytes());
    key
}

/// The record id at the end of a key or value, where they have one.
pub fn record_of(bytes: &[u8]) -> Option<RecordId> {
    bytes.last_chunk::<8>().map(|b| u64::from_be_bytes(*b))
}

/// The key of an index entry. Entries of a unique index end with the encoded key and hold the record id as value; all
/// others end with the record id.
pub fn entry_key(index: &Index, encoded: &[u8], record: RecordId) -> Vec<u8> {
    let mut key = Vec::with_capacity(encoded.len() + 12);
    key.extend_from_slice(&index.id.to_be_bytes());
    key.extend_from_slice(encoded);
    if !index.unique {
        key.extend_from_slice(&record.to_be_bytes());
    }
    key
}

/// The document with an `_id`, by the id's encoded key, and its record id. `None` as well for a collection without an
/// index on `_id`.
///
/// # Errors
/// Those of the store.
pub fn find_by_id<'r>(
    read: &'r dyn Read,
    collection: &Collection,
    id: &[u8],
) -> Result<Option<(RecordId, Doc<'r>)>> {
    match collection.id_index() {
        Some(index) => find_by_entry(read, collection, &entry_key(index, id, 0)),
        None => Ok(None),
    }
}

/// The document of a record id.
///
/// # Errors
/// Those of the store.
pub fn document<'r>(
    read: &'r dyn Read,
    collection: &Collection,
    record: RecordId,
) -> Result<Option<Doc<'r>>> {
    let bytes = read.get(tables::DOCUMENTS, &document_key(collection.id, record))?;
    Ok(bytes.map(Doc::trusted))
}

/// The document that an entry of a unique index leads to, by the entry's key, and its record id.
///
/// # Errors
/// Those of the store.
pub fn find_by_entry<'r>(
    read: &'r dyn Read,
    collection: &Collection,
    entry: &[u8],
) -> Result<Option<(RecordId, Doc<'r>)>> {
    let entry = read.get(tables::INDEX, entry)?;
    let Some(record) = entry.and_then(record_of) else { return Ok(None) };
    let bytes = read.get(tables::DOCUMENTS, &document_key(collection.id, record))?;
    Ok(bytes.map(|bytes| (record, Doc::trusted(bytes))))
}

/// Writes an entry. Beside its key stands what that does not tell: the types of its values, then the record id where the
/// key has none.
///
/// # Errors
/// Those of the store.
pub(crate) fn put_entry(
    op: &mut Operation<'_, '_>,
    index: &Index,
    encoded: &[u8],
    types: &[u8],
    record: RecordId,
) -> Result<()> {
    let id = record.to_be_bytes();
    with_entry_key(index, encoded, record, |key| match (index.unique, types) {
        (false, types) => op.put(tables::INDEX, key, types),
        (true, []) => op.put(tables::INDEX, key, &id),
        (true, types) => op.put(tables::INDEX, key, &[types, &id].concat()),
    })?;
    Ok(())
}

/// Runs `then` with the key of an index entry, made on the stack if it is short.
fn with_entry_key<T>(
    index: &Index,
    encoded: &[u8],
    record: RecordId,
    then: impl FnOnce(&[u8]) -> T,
) -> T {
    const SHORT: usize = 96;
    let (id, record) = (index.id.to_be_bytes(), record.to_be_bytes());
    let tail = if index.unique { &[][..] } else { &record[..] };
    let (keyed, whole) = (id.len() + encoded.len(), id.len() + encoded.len() + tail.len());
    if whole > SHORT {
        return then(&[&id[..], encoded, tail].concat());
    }
    let mut short = [0; SHORT];
    short[..id.len()].copy_from_slice(&id);
    short[id.len()..keyed].copy_from_slice(encoded);
    short[keyed..whole].copy_from_slice(tail);
    then(&short[..whole])
}

/// Adds a document.
///
/// # Errors
/// `DuplicateKey` (11000) with `keyPattern` and `keyValue`; `CannotIndexParallelArrays` (171); those of the store.
pub fn insert(
    op: &mut Operation<'_, '_>,
    collection: &Collection,
    doc: Doc<'_>,
) -> Result<RecordId> {
    let record = collection.figures.next_record.fetch_add(1, Ordering::Relaxed);
    // All that can be refused is refused first: a multikey note must not outlive its operation.
    let mut entries = Vec::with_capacity(collection.indexes.len());
    for index in &collection.indexes {
        let keys = keys(index, doc)?;
        for encoded in &keys.keys {
            NewEntry { collection, index, encoded, record, doc }.check(op)?;
        }
        entries.push((index, keys));
    }
    for (index, keys) in &entries {
        note_multikey(op, collection, index, keys)?;
        for encoded in &keys.keys {
            put_entry(op, index, encoded, &keys.types, record)?;
        }
    }
    op.put(tables::DOCUMENTS, &document_key(collection.id, record), doc.as_bytes())?;
    if !collection.building.is_empty() {
        building::keep_up(op, collection, record, None, Some(doc))?;
    }
    Ok(record)
}

/// Puts `new` in the place of `old`.
///
/// # Errors
/// As [`insert`].
pub fn replace(
    op: &mut Operation<'_, '_>,
    collection: &Collection,
    record: RecordId,
    old: Doc<'_>,
    new: Doc<'_>,
) -> Result<()> {
    let mut changes = Vec::new();
    for index in collection.indexes.iter().filter(|index| !index.is_id()) {
        let before = keys(index, old)?;
        let after = keys(index, new)?;
        let retyped = before.types != after.types;
        let before = before.keys;
        if before == after.keys && !retyped && index.arrays.knows(&after.multikey, &after.arrays) {
            continue;
        }
        for encoded in added(&before, &after.keys) {
            NewEntry { collection, index, encoded, record, doc: new }.check(op)?;
        }
        changes.push((index, before, retyped, after));
    }
    for (index, before, retyped, after) in &changes {
        note_multikey(op, collection, index, after)?;
        for encoded in added(&after.keys, before) {
            with_entry_key(index, encoded, record, |key| op.delete(tables::INDEX, key))?;
        }
        // An entry of the same key is written again if it tells other types.
        let kept = if *retyped { &[] } else { &before[..] };
        for encoded in added(kept, &after.keys) {
            put_entry(op, index, encoded, &after.types, record)?;
        }
    }
    op.put(tables::DOCUMENTS, &document_key(collection.id, record), new.as_bytes())?;
    if !collection.building.is_empty() {
        building::keep_up(op, collection, record, Some(old), Some(new))?;
    }
    Ok(())
}

/// The keys of `after` that are not in `before`; both sorted.
fn added<'k>(before: &'k [Vec<u8>], after: &'k [Vec<u8>]) -> impl Iterator<Item = &'k Vec<u8>> {
    after.iter().filter(|key| before.binary_search(key).is_err())
}

/// Removes a document.
///
/// # Errors
/// Those of the store.
pub fn remove(
    op: &mut Operation<'_, '_>,
    collection: &Collection,
    record: RecordId,
    doc: Doc<'_>,
) -> Result<()> {
    for index in &collection.indexes {
        for encoded in keys(index, doc)?.keys {
            with_entry_key(index, &encoded, record, |key| op.delete(tables::INDEX, key))?;
        }
    }
    op.delete(tables::DOCUMENTS, &document_key(collection.id, record))?;
    if !collection.building.is_empty() {
        building::keep_up(op, collection, record, Some(doc), None)?;
    }
    Ok(())
}

fn note_multikey(
    op: &mut Operation<'_, '_>,
    collection: &Collection,
    index: &Index,
    keys: &Keys,
) -> Result<()> {
    if note_keys(index, keys) {
        store_collection(op, collection)?;
    }
    Ok(())
}

/// Notes in an index what the keys of a document make it; `true` if that is new.
pub(crate) fn note_keys(index: &Index, keys: &Keys) -> bool {
    index.arrays.add(&keys.multikey, &keys.arrays)
}

/// Reads a collection's figures from the store, once. Called with the writer held, so that nothing changes meanwhile.
///
/// # Errors
/// Those of the store.
pub fn load_figures(read: &dyn Read, collection: &Collection) -> Result<()> {
    let figures = &collection.figures;
    if figures.loaded.load(Ordering::Acquire) {
        return Ok(());
    }
    let (mut documents, mut bytes, mut last) = (0, 0, 0);
    let lower = document_key(collection.id, 0);
    let upper = document_key(collection.id + 1, 0);
    let bounds = (Bound::Included(&lower[..]), Bound::Excluded(&upper[..]));
    let mut cursor = read.range(tables::DOCUMENTS, bounds.0, bounds.1, Direction::Forward)?;
    while let Some((key, value)) = cursor.next()? {
        documents += 1;
        bytes += i64::try_from(value.len()).unwrap_or(0);
        last = record_of(key).unwrap_or(last);
    }
    figures.documents.store(documents, Ordering::Relaxed);
    figures.bytes.store(bytes, Ordering::Relaxed);
    figures.next_record.store(last + 1, Ordering::Relaxed);
    figures.loaded.store(true, Ordering::Release);
    Ok(())
}

/// Finds the next free record id of a collection if it is not known yet: the last one's successor. Needs the writer.
///
/// # Errors
/// Those of the store.
pub fn load_next_record(read: &dyn Read, collection: &Collection) -> Result<()> {
    let figures = &collection.figures;
    if figures.next_record.load(Ordering::Relaxed) != 0 {
        return Ok(());
    }
    let lower = document_key(collection.id, 0);
    let upper = document_key(collection.id + 1, 0);
    let bounds = (Bound::Included(&lower[..]), Bound::Excluded(&upper[..]));
    let mut cursor = read.range(tables::DOCUMENTS, bounds.0, bounds.1, Direction::Backward)?;
    let last = cursor.next()?.and_then(|(key, _)| record_of(key)).unwrap_or(0);
    figures.next_record.store(last + 1, Ordering::Relaxed);
    Ok(())
}
