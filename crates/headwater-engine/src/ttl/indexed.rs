//! Expiring by an index: its entries below a date lead to the documents that are due. Of an array the earliest date
//! counts, since each has its entry.

use std::ops::Bound;
use std::sync::Arc;
use std::time::Instant;

use headwater_store::{Direction, Read};

use super::{CHUNK, cutoff_ms, is_over, now, remove};
use crate::bson::key::Direction as Order;
use crate::bson::{Doc, DocBuf, Raw, Type};
use crate::catalog::{Collection, tables};
use crate::collection::{RecordId, document_key, record_of};
use crate::engine::Shared;
use crate::error::Result;
use crate::housekeeping::let_others_work;
use crate::index::Index;

/// Whether the entries of an index stand in the order of its first field's values.
pub(super) fn is_usable(index: &Index) -> bool {
    let first = index.key_pattern().first();
    first.is_some_and(|first| first.value.kind.is_number() && !first.name.ends_with(b"$**"))
}

/// Removes what is due. `after_s` says of the collection and the index, as they are then, how long documents live.
pub(super) fn sweep(
    shared: &Shared,
    collection: &Arc<Collection>,
    index: u32,
    after_s: &dyn Fn(&Collection, &Index) -> Option<i64>,
) -> Result<()> {
    // Where the last chunk ended: what has gone is not walked over again.
    let mut from: Vec<u8> = Vec::new();
    while !is_over(shared) {
        let begun = Instant::now();
        let mut guard = shared.write()?;
        let Some(collection) = now(&guard, collection) else { return Ok(()) };
        let index = collection.indexes.iter().find(|there| there.id == index);
        let after_s = index.and_then(|index| after_s(&collection, index));
        let (Some(index), Some(after_s)) = (index, after_s) else { return Ok(()) };
        let found = due(guard.read()?, &collection, index, cutoff_ms(after_s), &mut from)?;
        for (record, doc) in &found {
            remove(shared, &mut guard, &collection, *record, doc.as_doc())?;
        }
        drop(guard);
        if found.len() < CHUNK {
            break;
        }
        let_others_work(shared, begun);
    }
    Ok(())
}

/// The first documents whose date is not later than `cutoff_ms`, behind the entry `from`, which moves on.
fn due(
    read: &dyn Read,
    collection: &Collection,
    index: &Index,
    cutoff_ms: i64,
    from: &mut Vec<u8>,
) -> Result<Vec<(RecordId, DocBuf)>> {
    let (lower, upper) = range(index, cutoff_ms);
    let lower =
        if lower > *from { Bound::Included(&lower[..]) } else { Bound::Excluded(&from[..]) };
    let upper = Bound::Excluded(&upper[..]);
    let mut cursor = read.range(tables::INDEX, lower, upper, Direction::Forward)?;
    let mut found: Vec<(RecordId, DocBuf)> = Vec::new();
    let mut next = None;
    while found.len() < CHUNK
        && let Some((key, value)) = cursor.next()?
    {
        next = Some(key);
        let record = record_of(if index.unique { value } else { key });
        let record = record.filter(|record| !found.iter().any(|(other, _)| other == record));
        let Some(record) = record else { continue };
        if let Some(doc) = read.get(tables::DOCUMENTS, &document_key(collection.id, record))? {
            found.push((record, Doc::trusted(doc).to_buf()));
        }
    }
    if let Some(next) = next {
        *from = next.to_vec();
    }
    Ok(found)
}

/// The entries of all dates up to `cutoff_ms`: lower bound included, upper excluded.
fn range(index: &Index, cutoff_ms: i64) -> (Vec<u8>, Vec<u8>) {
    let order = index.directions.first().copied().unwrap_or(Order::Ascending);
    let key = |date: i64| {
        let mut key = index.id.to_be_bytes().to_vec();
        let raw = Raw { kind: Type::Date, data: &date.to_le_bytes() };
        index.order.append_key(raw, order, &mut key);
        key
    };
    let (earliest, latest) = (key(i64::MIN), key(cutoff_ms));
    let (lower, last) = match order {
        Order::Ascending => (earliest, latest),
        Order::Descending => (latest, earliest),
    };
    (lower, behind(last))
}

/// The first key that does not begin with `prefix`.
fn behind(mut prefix: Vec<u8>) -> Vec<u8> {
    while prefix.last() == Some(&u8::MAX) {
        prefix.pop();
    }
    if let Some(last) = prefix.last_mut() {
        *last += 1;
    }
    prefix
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bson::DocWriter;
    use crate::index::index_of;

    #[test]
    fn the_range_holds_dates_up_to_the_cutoff_and_nothing_else() {
        for direction in [1, -1] {
            let mut spec = DocWriter::new();
            spec.document("key", |key| key.i32("at", direction));
            spec.str("name", "at_1");
            let index = index_of(7, spec.finish().as_doc()).unwrap();
            let (lower, upper) = range(&index, 1000);
            let is_inside = |kind: Type, data: &[u8]| {
                let mut key = index.id.to_be_bytes().to_vec();
                index.order.append_key(Raw { kind, data }, index.directions[0], &mut key);
                key.extend_from_slice(&5_u64.to_be_bytes());
                lower <= key && key < upper
            };
            let date = |ms: i64| is_inside(Type::Date, &ms.to_le_bytes());
            assert!(date(i64::MIN) && date(-1) && date(0) && date(1000), "{direction}");
            assert!(!date(1001) && !date(i64::MAX), "{direction}");
            assert!(!is_inside(Type::Null, &[]) && !is_inside(Type::Bool, &[1]));
            assert!(!is_inside(Type::Timestamp, &1_u64.to_le_bytes()), "{direction}");
        }
    }
}
