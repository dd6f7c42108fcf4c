//! Making an index unique: a look for documents that share a key, then entries without record ids under a new number.
//! Writers wait meanwhile.

use std::ops::Bound;
use std::sync::Arc;

use headwater_store::{Direction, Read};

use crate::bson::{Doc, DocWriter, Raw};
use crate::catalog::{Collection, tables};
use crate::change::event::{EventWriter, Kind};
use crate::collection::{RecordId, document_key, entry_key, record_of};
use crate::commands::Context;
use crate::engine::{WriteGuard, now_ms, store_node};
use crate::error::{Code, Error, Result};
use crate::housekeeping::{Orphan, note_orphan};
use crate::index::Index;

/// Entries that one operation writes.
const CHUNK: usize = 1000;
/// Entries between two looks at the clock.
const CHECK_EVERY: usize = 1000;
/// Bytes of ids that an error names at most.
const SHOWN_BYTES_MAX: usize = 8 << 20;
const RECORD_BYTES: usize = size_of::<RecordId>();

/// The entries that an index leaves and those that it gets.
pub(super) struct Converted {
    pub(super) old: Orphan,
    pub(super) new: Orphan,
}

/// Checks that no two documents share a key of an index that is not unique.
///
/// # Errors
/// `CannotConvertIndexToUnique` (359) with the ids of those that do.
pub(super) fn check(
    context: &Context<'_>,
    guard: &WriteGuard<'_>,
    collection: &Collection,
    at: usize,
) -> Result<()> {
    let Some(index) = collection.indexes.get(at) else { return Ok(()) };
    let read = guard.read()?;
    let (mut groups, mut shown): (Vec<Vec<RecordId>>, usize) = (Vec::new(), 0);
    let mut last: Option<(Vec<u8>, Vec<RecordId>)> = None;
    let (mut seen, interrupt) = (0, context.interrupt());
    each(read, index, None, &mut |key, _| {
        seen += 1;
        if seen % CHECK_EVERY == 0 {
            interrupt.check()?;
        }
        let Some((encoded, record)) = key.split_last_chunk::<RECORD_BYTES>() else {
            return Ok(true);
        };
        let record = RecordId::from_be_bytes(*record);
        match &mut last {
            Some((same, records)) if same == encoded => records.push(record),
            _ => {
                groups.extend(last.take().map(|(_, records)| records).filter(|r| r.len() > 1));
                last = Some((encoded.to_vec(), vec![record]));
            }
        }
        Ok(true)
    })?;
    groups.extend(last.map(|(_, records)| records).filter(|records| records.len() > 1));
    if groups.is_empty() {
        return Ok(());
    }
    let mut details = DocWriter::new();
    details.array("violations", |out| {
        groups.iter().try_for_each(|records| -> Result<()> {
            let mut row = DocWriter::new();
            row.array("ids", |ids| -> Result<()> {
                for record in records {
                    if !ids_fit(shown) {
                        break;
                    }
                    let bytes =
                        read.get(tables::DOCUMENTS, &document_key(collection.id, *record))?;
                    let id = bytes.and_then(|bytes| Doc::trusted(bytes).get("_id"));
                    let id = id.unwrap_or(Raw::NULL);
                    shown += id.data.len();
                    ids.raw(id);
                }
                Ok(())
            })?;
            if ids_fit(shown) {
                out.doc(row.finish().as_doc());
            }
            Ok(())
        })
    })?;
    let message = "Cannot convert the index to unique. Please resolve conflicting documents before running collMod again.";
    Err(Error::new(Code::CANNOT_CONVERT_INDEX_TO_UNIQUE, message).with_details(details.finish()))
}

fn ids_fit(bytes: usize) -> bool {
    bytes < SHOWN_BYTES_MAX
}

/// Writes the entries of an index anew as those of a unique one, and puts that in its place in `collection`, which is yet
/// to be stored.
///
/// # Errors
/// Those of the store; the interruptions of a command. What was written is an orphan then.
pub(super) fn convert(
    context: &Context<'_>,
    guard: &mut WriteGuard<'_>,
    collection: &mut Collection,
    at: usize,
) -> Result<Converted> {
    let gone = || Error::new(Code::INDEX_NOT_FOUND, "the index is gone");
    let old = collection.indexes.get(at).cloned().ok_or_else(gone)?;
    let new = old.as_unique(guard.new_id())?;
    let orphans = Converted {
        old: Orphan::indexes(std::iter::once(&*old)),
        new: Orphan::indexes(std::iter::once(&new)),
    };
    let (term, next_id) = (context.shared.node.term, guard.next_id());
    let event = || {
        EventWriter::new(Kind::Internal, &collection.namespace, Some(&collection.uuid), now_ms())
    };
    guard.operation(&mut None, 0, Default::default(), event(), |op| {
        store_node(op, term, next_id)?;
        note_orphan(op, &orphans.new)
    })?;
    let copied = copy(context, guard, &old, &new, &event);
    if let Err(error) = copied {
        guard.leave_orphan(orphans.new);
        return Err(error);
    }
    if let Some(slot) = collection.indexes.get_mut(at) {
        *slot = Arc::new(new);
    }
    Ok(orphans)
}

fn copy(
    context: &Context<'_>,
    guard: &mut WriteGuard<'_>,
    old: &Index,
    new: &Index,
    event: &dyn Fn() -> EventWriter,
) -> Result<()> {
    let mut last: Option<Vec<u8>> = None;
    loop {
        context.interrupt().check()?;
        let mut chunk: Vec<(Vec<u8>, Vec<u8>)> = Vec::with_capacity(CHUNK);
        each(guard.read()?, old, last.as_deref(), &mut |key, value| {
            chunk.push((key.to_vec(), value.to_vec()));
            Ok(chunk.len() < CHUNK)
        })?;
        if chunk.is_empty() {
            return Ok(());
        }
        guard.operation(&mut None, 0, Default::default(), event(), |op| {
            for (key, value) in &chunk {
                let encoded = key.get(size_of_val(&old.id)..key.len() - RECORD_BYTES);
                let record = record_of(key).unwrap_or(0);
                let entry = entry_key(new, encoded.unwrap_or_default(), record);
                let held = [&value[..], &record.to_be_bytes()].concat();
                op.put(tables::INDEX, &entry, &held)?;
            }
            Ok(())
        })?;
        last = chunk.pop().map(|(key, _)| key);
    }
}

/// Takes the key and the value of an entry and says whether to go on.
type Visit<'f> = dyn FnMut(&[u8], &[u8]) -> Result<bool> + 'f;

/// Gives the entries of an index behind a key to `visit` until that says false.
fn each(
    read: &dyn Read,
    index: &Index,
    behind: Option<&[u8]>,
    visit: &mut Visit<'_>,
) -> Result<()> {
    let (first, end) = (index.id.to_be_bytes(), (index.id + 1).to_be_bytes());
    let lower = behind.map_or(Bound::Included(&first[..]), Bound::Excluded);
    let mut cursor =
        read.range(tables::INDEX, lower, Bound::Excluded(&end[..]), Direction::Forward)?;
    while let Some((key, value)) = cursor.next()? {
        if !visit(key, value)? {
            return Ok(());
        }
    }
    Ok(())
}
