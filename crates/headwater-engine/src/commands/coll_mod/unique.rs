//! Making an index unique, beside writers: a look for documents that share a key, then a build of the same index as a unique
//! one, which takes the other's place.

use std::ops::Bound;

use headwater_store::{Direction, Read};

use crate::bson::{Doc, DocBuf, DocWriter, Raw};
use crate::catalog::{Collection, tables};
use crate::collection::{RecordId, document_key, record_of};
use crate::commands::Context;
use crate::commands::create_indexes::entries::Entries;
use crate::error::{Code, Error, Result};
use crate::index::Index;
use crate::index::keys::keys;
use crate::limits::INDEX_BUILD_BYTES_MAX;

/// Documents that are read from one snapshot.
const STRETCH: usize = 10_000;
/// Entries between two looks at the clock.
const CHECK_EVERY: usize = 1000;
/// Bytes of ids that an error names at most.
const SHOWN_BYTES_MAX: usize = 8 << 20;

/// Checks that no two documents share a key of an index, which is not unique yet: `unique` is as it would be. While writers are
/// kept from adding to them, documents that share a key can only become fewer.
///
/// # Errors
/// `CannotConvertIndexToUnique` (359) with the ids of those that do.
pub(super) fn check(context: &Context<'_>, collection: &Collection, unique: &Index) -> Result<()> {
    let groups = groups(context, read_all(context, collection, unique)?)?;
    let read = context.shared.store.snapshot()?;
    let mut shown = 0;
    let mut details = DocWriter::new();
    details.array("violations", |rows| {
        groups.iter().try_for_each(|(key, records)| -> Result<()> {
            let ids = sharing(&read, collection, unique, key, records)?;
            if ids.len() > 1 && shown < SHOWN_BYTES_MAX {
                shown += ids.iter().map(|id| id.as_doc().as_bytes().len()).sum::<usize>();
                rows.document(|row| {
                    row.array("ids", |out| {
                        let ids = ids.iter().filter_map(|id| id.as_doc().first());
                        ids.for_each(|id| out.raw(id.value));
                    });
                });
            }
            Ok(())
        })
    })?;
    if shown == 0 {
        return Ok(());
    }
    let message = "Cannot convert the index to unique. Please resolve conflicting documents before running collMod again.";
    Err(Error::new(Code::CANNOT_CONVERT_INDEX_TO_UNIQUE, message).with_details(details.finish()))
}

/// A key, and the documents that had it when they were read.
type Group = (Vec<u8>, Vec<RecordId>);

/// The keys that several documents had.
fn groups(context: &Context<'_>, entries: Entries) -> Result<Vec<Group>> {
    let mut sorted = entries.sorted()?;
    let (mut groups, mut same, mut seen) = (Vec::new(), Group::default(), 0);
    loop {
        seen += 1;
        if seen % CHECK_EVERY == 0 {
            context.interrupt().check()?;
        }
        let next = sorted.next()?;
        match &next {
            Some((key, _, record)) if same.0 == *key => same.1.push(*record),
            _ => {
                let new = next.map(|(key, _, record)| (key.to_vec(), vec![record]));
                let is_last = new.is_none();
                let ended = std::mem::replace(&mut same, new.unwrap_or_default());
                groups.extend(Some(ended).filter(|(_, records)| records.len() > 1));
                if is_last {
                    return Ok(groups);
                }
            }
        }
    }
}

/// The keys of all documents, each stretch of them read from a snapshot of its own.
fn read_all(context: &Context<'_>, collection: &Collection, unique: &Index) -> Result<Entries> {
    let mut entries = Entries::new(INDEX_BUILD_BYTES_MAX, &context.shared.spill);
    let end = document_key(collection.id + 1, 0);
    let mut next = document_key(collection.id, 0).to_vec();
    loop {
        context.interrupt().check()?;
        context.shared.check_open()?;
        let read = context.shared.store.snapshot()?;
        let (lower, upper) = (Bound::Included(&next[..]), Bound::Excluded(&end[..]));
        let mut cursor = read.range(tables::DOCUMENTS, lower, upper, Direction::Forward)?;
        let (mut count, mut last) = (0, None);
        while count < STRETCH
            && let Some((key, doc)) = cursor.next()?
        {
            let record = record_of(key).unwrap_or_default();
            let keys = keys(unique, Doc::trusted(doc))?;
            keys.keys.iter().try_for_each(|key| entries.push(key, &keys.types, record))?;
            (count, last) = (count + 1, Some(record));
        }
        match last.filter(|_| count == STRETCH) {
            Some(record) => next = document_key(collection.id, record + 1).to_vec(),
            None => return Ok(entries),
        }
    }
}

/// The ids of those documents that still have a key.
fn sharing(
    read: &dyn Read,
    collection: &Collection,
    unique: &Index,
    key: &Vec<u8>,
    records: &[RecordId],
) -> Result<Vec<DocBuf>> {
    let mut ids = Vec::new();
    for record in records {
        let Some(doc) = read.get(tables::DOCUMENTS, &document_key(collection.id, *record))? else {
            continue;
        };
        let doc = Doc::trusted(doc);
        if keys(unique, doc)?.keys.contains(key) {
            let mut id = DocWriter::new();
            id.raw("_id", doc.get("_id").unwrap_or(Raw::NULL));
            ids.push(id.finish());
        }
    }
    Ok(ids)
}
