//! An index that is being built beside writers: which documents they have changed meanwhile, and whether it failed. Knows
//! neither who builds it nor what its keys are.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Collection;
use crate::collection::RecordId;
use crate::error::{Code, Error, Result};
use crate::index::Index;
use crate::object_id::uuid_text;

/// An index that is not there yet for readers, while writers keep up its entries.
///
/// What is built from is the collection as it was at some moment of the build; a document that a writer has changed
/// since the build began is not taken from there, and what stands in the index for it is the writer's doing.
#[derive(Debug)]
pub struct Building {
    /// The index.
    pub index: Arc<Index>,
    /// The build's UUID; the indexes of one command have the same.
    pub uuid: [u8; 16],
    /// Documents of this record id or a higher one came after the build had begun.
    pub end: RecordId,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    touched: Touched,
    /// Whether a writer has put an entry.
    written: bool,
    failed: Option<Error>,
}

/// A set of record ids: 64 to a word.
#[derive(Debug, Default)]
pub struct Touched(BTreeMap<u64, u64>);

impl Touched {
    fn add(&mut self, record: RecordId) {
        *self.0.entry(record >> 6).or_default() |= 1 << (record & 63);
    }

    /// Whether a record is in it.
    pub fn has(&self, record: RecordId) -> bool {
        self.0.get(&(record >> 6)).is_some_and(|word| word >> (record & 63) & 1 == 1)
    }

    /// The records in it, in order.
    pub fn iter(&self) -> impl Iterator<Item = RecordId> {
        self.0.iter().flat_map(|(at, word)| {
            (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| at << 6 | bit)
        })
    }
}

impl Building {
    /// A build that begins; the collection's next record id is `end`.
    pub fn new(index: Arc<Index>, uuid: [u8; 16], end: RecordId) -> Building {
        Building { index, uuid, end, state: Mutex::default() }
    }

    /// Notes that a writer has changed or removed a document, or added one.
    pub fn touch(&self, record: RecordId, has_keys: bool) {
        let mut state = self.state.lock();
        state.written |= has_keys;
        if record < self.end {
            state.touched.add(record);
        }
    }

    /// Notes why the index cannot be built. The first reason stays.
    pub fn fail(&self, error: Error) {
        self.state.lock().failed.get_or_insert(error);
    }

    /// Why it cannot be built, if that is known.
    pub fn failure(&self) -> Option<Error> {
        self.state.lock().failed.clone()
    }

    /// Whether writers have put entries.
    pub fn has_foreign_entries(&self) -> bool {
        self.state.lock().written
    }

    /// The documents that writers have changed.
    pub fn with_touched<T>(&self, look: impl FnOnce(&Touched) -> T) -> T {
        look(&self.state.lock().touched)
    }
}

impl Collection {
    /// Whether a build of that UUID is under way.
    pub fn builds(&self, uuid: &[u8; 16]) -> bool {
        self.building.iter().any(|building| building.uuid == *uuid)
    }

    /// Refuses what cannot be done while an index is being built.
    ///
    /// # Errors
    /// `BackgroundOperationInProgressForNamespace` (12587).
    pub fn refuse_building(&self) -> Result<()> {
        let Some(building) = self.building.first() else { return Ok(()) };
        let (collection, build) = (uuid_text(&self.uuid), uuid_text(&building.uuid));
        let message = format!(
            "cannot perform operation: an index build is currently running for collection with UUID: {collection}. Found index build: {build}"
        );
        Err(Error::new(Code::BACKGROUND_OPERATION_IN_PROGRESS_FOR_NAMESPACE, message))
    }
}

#[cfg(test)]
mod tests {
    use super::Touched;

    #[test]
    fn touched_records_come_back_in_order_and_no_others() {
        let records = [0, 1, 63, 64, 65, 1000, 1 << 40];
        let mut touched = Touched::default();
        records.iter().rev().for_each(|&record| touched.add(record));
        touched.add(64);
        assert_eq!(touched.iter().collect::<Vec<_>>(), records);
        assert!(records.iter().all(|&record| touched.has(record)));
        assert!(![2, 62, 66, 999, 1001].iter().any(|&record| touched.has(record)));
    }
}
