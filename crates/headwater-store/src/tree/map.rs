//! The tree of an in-memory store: a persistent ordered map per table. A checkpoint folds an
//! overlay into it, which frees overwritten values and deleted keys.

use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Bounds, Pair};
use crate::options::TABLES;
use crate::overlay::Overlay;
use crate::sorted::{Sorted, SortedCursor};
use crate::{Direction, Table};

/// Key and value in one shared piece of memory.
#[derive(Clone)]
struct Item {
    bytes: Arc<[u8]>,
    key_bytes: usize,
}

impl Item {
    fn pair(&self) -> Pair<'_> {
        self.bytes.split_at_checked(self.key_bytes).unwrap_or_default()
    }

    fn cmp(&self, key: &[u8]) -> Ordering {
        self.pair().0.cmp(key)
    }
}

type Tables = [Sorted<Item>; TABLES];

pub(crate) struct Map {
    tables: Mutex<Tables>,
}

pub(crate) struct MapReader {
    tables: Tables,
}

impl Map {
    pub(crate) fn new() -> Map {
        Map { tables: Mutex::new(std::array::from_fn(|_| Sorted::new())) }
    }

    pub(crate) fn reader(&self) -> MapReader {
        MapReader { tables: self.tables.lock().unwrap_or_else(PoisonError::into_inner).clone() }
    }

    /// Applies on a copy and swaps it in: readers see all of it or nothing. Only the checkpoint
    /// thread calls this.
    pub(crate) fn apply(&self, overlay: &Overlay) {
        let mut tables = self.reader().tables;
        for (number, tree) in (0..).zip(&mut tables) {
            let Some(mut walk) = overlay.walk(Table(number)) else { continue };
            walk.first();
            while let Some(change) = walk.get() {
                match change.value {
                    Some(value) => {
                        let bytes = [change.key, value].concat().into();
                        let item = Item { bytes, key_bytes: change.key.len() };
                        tree.insert(item, |item| item.cmp(change.key));
                    }
                    None => {
                        tree.remove(|item| item.cmp(change.key));
                    }
                }
                walk.step();
            }
        }
        let old = {
            let mut current = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *current, tables)
        };
        drop(old);
    }
}

impl MapReader {
    pub(crate) fn get(&self, table: Table, key: &[u8]) -> Option<&[u8]> {
        let tree = self.tables.get(usize::from(table.0))?;
        tree.get(|item| item.cmp(key)).map(|item| item.pair().1)
    }

    pub(crate) fn estimate(&self, table: Table, lower: &[u8], upper: &[u8]) -> u64 {
        let before = |key| move |item: &Item| item.cmp(key) == Ordering::Less;
        let tree = self.tables.get(usize::from(table.0));
        tree.map_or(0, |tree| tree.estimate(before(lower), before(upper)))
    }

    pub(crate) fn walk(
        &self,
        table: Table,
        (lower, upper): Bounds<'_>,
        direction: Direction,
    ) -> MapWalk<'_> {
        let mut cursor = self.tables[usize::from(table.0)].cursor();
        let (start, end) = match direction {
            Direction::Forward => (lower, upper),
            Direction::Backward => (upper, lower),
        };
        match (direction, start) {
            (Direction::Forward, Bound::Unbounded) => cursor.first(),
            (Direction::Forward, Bound::Included(key)) => {
                cursor.seek(|item| item.cmp(key) == Ordering::Less);
            }
            (Direction::Forward, Bound::Excluded(key)) => {
                cursor.seek(|item| item.cmp(key) != Ordering::Greater);
            }
            (Direction::Backward, Bound::Unbounded) => cursor.last(),
            (Direction::Backward, Bound::Included(key)) => {
                cursor.seek_back(|item| item.cmp(key) != Ordering::Greater);
            }
            (Direction::Backward, Bound::Excluded(key)) => {
                cursor.seek_back(|item| item.cmp(key) == Ordering::Less);
            }
        }
        MapWalk { cursor, end: end.map(<[u8]>::to_vec), direction }
    }
}

pub(crate) struct MapWalk<'s> {
    cursor: SortedCursor<'s, Item>,
    end: Bound<Vec<u8>>,
    direction: Direction,
}

impl<'s> MapWalk<'s> {
    pub(crate) fn next(&mut self) -> Option<Pair<'s>> {
        let (key, value) = self.cursor.get()?.pair();
        if !self.direction.within(key, self.end.as_ref().map(Vec::as_slice)) {
            return None;
        }
        match self.direction {
            Direction::Forward => self.cursor.next(),
            Direction::Backward => self.cursor.previous(),
        }
        Some((key, value))
    }
}
