//! Expiring measurements of a time series that has no index on the time alone. A measurement's time never changes, so
//! that only what came since the last pass is read, until the earliest time that is known is due.

use std::ops::Bound;
use std::sync::Arc;
use std::time::Instant;

use headwater_store::Direction;

use super::{CHUNK, cutoff_ms, date, is_over, now, remove};
use crate::bson::{Doc, DocBuf};
use crate::catalog::{Collection, tables};
use crate::collection::{RecordId, document_key, record_of};
use crate::engine::{Shared, WriteGuard};
use crate::error::Result;
use crate::housekeeping::let_others_work;

/// Documents that are read from one snapshot.
const STRETCH: usize = 10_000;

/// What is known of a time series.
#[derive(Debug, Default)]
pub(super) struct Series {
    /// Measurements from here on have not been read yet.
    next: RecordId,
    /// The earliest time of those that were.
    earliest_ms: Option<i64>,
}

impl Series {
    /// Removes what is due.
    pub(super) fn sweep(&mut self, shared: &Shared, collection: &Arc<Collection>) -> Result<()> {
        let Some(after_s) = collection.settings.expire_after_s else { return Ok(()) };
        if self.earliest_ms.is_some_and(|earliest| earliest <= cutoff_ms(after_s)) {
            *self = Series::default();
        }
        loop {
            let due = self.read(shared, collection, cutoff_ms(after_s))?;
            let Some(due) = due else { return Ok(()) };
            for some in due.chunks(CHUNK) {
                let begun = Instant::now();
                if is_over(shared) {
                    *self = Series::default();
                    return Ok(());
                }
                let mut guard = shared.write()?;
                if !remove_some(shared, &mut guard, collection, some)? {
                    return Ok(());
                }
                drop(guard);
                let_others_work(shared, begun);
            }
        }
    }

    /// Reads a stretch; gives what of it is due, `None` behind the last one.
    fn read(
        &mut self,
        shared: &Shared,
        collection: &Collection,
        cutoff_ms: i64,
    ) -> Result<Option<Vec<RecordId>>> {
        let Some(series) = &collection.settings.time_series else { return Ok(None) };
        let snapshot = shared.store.snapshot()?;
        let (lower, upper) =
            (document_key(collection.id, self.next), document_key(collection.id + 1, 0));
        let (lower, upper) = (Bound::Included(&lower[..]), Bound::Excluded(&upper[..]));
        let read: &dyn headwater_store::Read = &snapshot;
        let mut cursor = read.range(tables::DOCUMENTS, lower, upper, Direction::Forward)?;
        let (mut due, mut count) = (Vec::new(), 0);
        while count < STRETCH
            && let Some((key, doc)) = cursor.next()?
        {
            count += 1;
            let record = record_of(key).unwrap_or_default();
            self.next = record + 1;
            match Doc::trusted(doc).get(&series.time_field).and_then(date) {
                Some(at) if at <= cutoff_ms => due.push(record),
                Some(at) => {
                    self.earliest_ms =
                        Some(self.earliest_ms.map_or(at, |earliest| earliest.min(at)));
                }
                None => {}
            }
        }
        Ok((count > 0).then_some(due))
    }
}

/// Removes measurements; `false` if documents of the collection do not expire any more.
fn remove_some(
    shared: &Shared,
    guard: &mut WriteGuard<'_>,
    old: &Arc<Collection>,
    records: &[RecordId],
) -> Result<bool> {
    let still =
        now(guard, old).filter(|now| now.settings.expire_after_s == old.settings.expire_after_s);
    let Some(collection) = still else { return Ok(false) };
    for record in records {
        let key = document_key(collection.id, *record);
        let doc: Option<DocBuf> =
            guard.read()?.get(tables::DOCUMENTS, &key)?.map(|doc| Doc::trusted(doc).to_buf());
        if let Some(doc) = doc {
            remove(shared, guard, &collection, *record, doc.as_doc())?;
        }
    }
    Ok(true)
}
