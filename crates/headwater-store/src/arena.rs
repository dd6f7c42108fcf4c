//! The bytes behind an overlay: an append-only shelf of records with one appender and any number
//! of readers, freed all at once. Knows nothing of what the bytes mean.

use std::sync::OnceLock;

/// Records on the first shelf; every further shelf holds twice as many as the one before.
const FIRST_SHELF: u32 = 256;
const SHELVES: usize = 24;

type Slot = OnceLock<Box<[u8]>>;

pub(crate) struct Arena {
    shelves: [OnceLock<Box<[Slot]>>; SHELVES],
}

impl Arena {
    pub(crate) fn new() -> Arena {
        Arena { shelves: [const { OnceLock::new() }; SHELVES] }
    }

    /// Puts a record into slot `index`. Each slot is filled once, by the one appender.
    pub(crate) fn put(&self, index: u32, record: Box<[u8]>) {
        let (shelf, at) = place(index);
        if let Some(cell) = self.shelves.get(shelf) {
            let slots = cell.get_or_init(|| {
                (0..FIRST_SHELF << shelf).map(|_| OnceLock::new()).collect::<Box<[Slot]>>()
            });
            if let Some(slot) = slots.get(at) {
                let filled = slot.set(record).is_ok();
                debug_assert!(filled, "a slot is filled once");
            }
        }
    }

    /// The record in slot `index`, empty when there is none.
    #[inline]
    pub(crate) fn get(&self, index: u32) -> &[u8] {
        let (shelf, at) = place(index);
        self.shelves
            .get(shelf)
            .and_then(OnceLock::get)
            .and_then(|slots| slots.get(at))
            .and_then(OnceLock::get)
            .map_or(&[], |record| record)
    }
}

#[inline]
fn place(index: u32) -> (usize, usize) {
    let shifted = index + FIRST_SHELF;
    let shelf = shifted.ilog2() - FIRST_SHELF.ilog2();
    (shelf as usize, (shifted - (FIRST_SHELF << shelf)) as usize)
}
