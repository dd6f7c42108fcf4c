//! The indexes that served queries of one shape before, so that the others need not be weighed again. Knows shapes and the
//! places of indexes; what is remembered is a proposal, and whoever takes it looks first what it would read.
//!
//! A table of words is read without a lock. A shape hashes to one place of it, and one that hashes to a place already taken
//! takes it over: the table never grows. What is shown of the entries stands beside it, under a lock that only changes take.

mod key;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use hashbrown::DefaultHashBuilder;
use parking_lot::Mutex;

pub(super) use key::Key;

use super::shape_text;
use crate::bson::DocBuf;
use crate::catalog::Collection;
use crate::collation::Collation;

/// Shapes that are remembered of a collection at most.
const SHAPES_MAX: usize = 512;
/// Bytes of queries that are kept of a collection to show them; with more, all is forgotten.
const SHOWN_BYTES_MAX: usize = 256 * 1024;

/// What is remembered of a collection's queries. Shared by all versions of the collection.
#[derive(Debug, Default)]
pub struct PlanCache {
    words: OnceLock<Box<[AtomicU64]>>,
    shown: Mutex<Shown>,
    hasher: DefaultHashBuilder,
}

/// What is known of the entries beside the words.
#[derive(Debug, Default)]
struct Shown {
    entries: BTreeMap<usize, Entry>,
    bytes: usize,
    /// The set of indexes that all entries are of.
    indexes: u64,
}

/// The query that an entry was made for.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its filter.
    pub filter: DocBuf,
    /// Its order.
    pub sort: DocBuf,
    /// Its projection.
    pub projection: DocBuf,
    /// How it compares texts, if not byte by byte.
    pub collation: Option<Arc<Collation>>,
    /// The place of the index among those of the collection.
    pub index: usize,
    /// Whether the index is taken without weighing others: from the second query of the shape on.
    pub is_active: bool,
    /// Index entries that it was expected to look at.
    pub works: u64,
    /// Milliseconds since 1970 when it was made.
    pub created_ms: i64,
}

/// What a word says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    /// The place of the index.
    pub index: usize,
    pub is_active: bool,
    /// The doublings of the collection's documents, if they were counted.
    doublings: Option<u32>,
}

impl PlanCache {
    /// What is remembered for a shape, unless the collection has grown or shrunk by a factor since.
    #[inline]
    pub(super) fn get(&self, key: Key, documents: Option<i64>) -> Option<Known> {
        let words = self.words.get()?;
        let known = Known::read(words.get(key.place())?.load(Ordering::Relaxed), key)?;
        match (known.doublings, doublings(documents)) {
            (Some(then), Some(now)) if then.abs_diff(now) > 1 => None,
            _ => Some(known),
        }
    }

    /// Remembers an index for a shape; `entry` is what is shown of it.
    pub(super) fn put(&self, key: Key, documents: Option<i64>, entry: Entry) {
        let known = Known {
            index: entry.index,
            is_active: entry.is_active,
            doublings: doublings(documents),
        };
        let mut shown = self.shown.lock();
        let words = self.words.get_or_init(|| (0..SHAPES_MAX).map(|_| AtomicU64::new(0)).collect());
        if shown.indexes != key.indexes || shown.bytes + entry.bytes() > SHOWN_BYTES_MAX {
            words.iter().for_each(|word| word.store(0, Ordering::Relaxed));
            *shown = Shown { indexes: key.indexes, ..Shown::default() };
        }
        if let Some(word) = words.get(key.place()) {
            word.store(known.write(key), Ordering::Relaxed);
            shown.put(key.place(), entry);
        }
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.forget(|_| true);
    }

    /// Forgets what was made for queries that `is_it` names.
    pub fn forget(&self, is_it: impl Fn(&Entry) -> bool) {
        let mut shown = self.shown.lock();
        let Some(words) = self.words.get() else { return };
        let found = shown.entries.iter().filter(|(_, entry)| is_it(entry));
        let places: Vec<usize> = found.map(|(place, _)| *place).collect();
        for place in places {
            shown.remove(place);
            words.get(place).into_iter().for_each(|word| word.store(0, Ordering::Relaxed));
        }
    }

    /// What is remembered for the indexes that a collection has now.
    pub fn entries(&self, collection: &Collection) -> Vec<Entry> {
        self.entries_of(self.indexes(collection))
    }

    fn entries_of(&self, indexes: u64) -> Vec<Entry> {
        let shown = self.shown.lock();
        match shown.indexes == indexes {
            true => shown.entries.values().cloned().collect(),
            false => Vec::new(),
        }
    }
}

impl Shown {
    fn put(&mut self, place: usize, entry: Entry) {
        self.remove(place);
        self.bytes += entry.bytes();
        self.entries.insert(place, entry);
    }

    fn remove(&mut self, place: usize) {
        if let Some(entry) = self.entries.remove(&place) {
            self.bytes -= entry.bytes();
        }
    }
}

impl Entry {
    /// The shape of the query, as text.
    pub fn shape(&self) -> String {
        let collation = self.collation.as_ref().map(|collation| collation.spec());
        let [filter, sort, projection] =
            [&self.filter, &self.sort, &self.projection].map(DocBuf::as_doc);
        shape_text(filter, sort, projection, collation)
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        let parts = [&self.filter, &self.sort, &self.projection];
        size_of::<Entry>() + parts.iter().map(|part| part.as_doc().as_bytes().len()).sum::<usize>()
    }
}

/// The doublings of a number of documents.
fn doublings(documents: Option<i64>) -> Option<u32> {
    documents.map(|documents| (documents.max(0) + 1).ilog2())
}

/// A word: the hash but for its place from bit 24 on, then the doublings, whether there are any, whether it is active, the
/// index and whether there is an entry.
impl Known {
    fn write(self, key: Key) -> u64 {
        let size = self.doublings.map_or(0, |doublings| u64::from(doublings) << 1 | 1);
        key.rest() << 24
            | (size & 0x7F) << 9
            | u64::from(self.is_active) << 8
            | (self.index as u64 & 0x7F) << 1
            | 1
    }

    fn read(word: u64, key: Key) -> Option<Known> {
        if word & 1 == 0 || word >> 24 != key.rest() {
            return None;
        }
        let size = (word >> 9 & 0x7F) as u32;
        Some(Known {
            index: (word >> 1 & 0x7F) as usize,
            is_active: word >> 8 & 1 == 1,
            doublings: (size & 1 == 1).then_some(size >> 1),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(index: usize, is_active: bool) -> Entry {
        let nothing = DocBuf::new();
        Entry {
            filter: nothing.clone(),
            sort: nothing.clone(),
            projection: nothing,
            collation: None,
            index,
            is_active,
            works: 1,
            created_ms: 0,
        }
    }

    fn key(shape: u64) -> Key {
        Key { shape, indexes: 5 }
    }

    #[test]
    fn what_is_put_is_read_until_the_collection_has_another_size() {
        let cache = PlanCache::default();
        assert_eq!(cache.get(key(9), Some(10)), None);
        cache.put(key(9), Some(1000), entry(63, true));
        let known = Known { index: 63, is_active: true, doublings: Some(9) };
        assert_eq!(cache.get(key(9), Some(1500)), Some(known));
        assert_eq!(cache.get(key(9), None), Some(known));
        assert_eq!(cache.get(key(9), Some(5000)), None);
        assert_eq!(cache.get(key(9), Some(100)), None);
        // The same place, another shape.
        assert_eq!(cache.get(key(9 | 1 << 40), Some(1000)), None);
    }

    #[test]
    fn other_indexes_and_clearing_forget_everything() {
        let cache = PlanCache::default();
        cache.put(key(1), None, entry(1, false));
        cache.put(key(2), None, entry(2, false));
        assert_eq!(cache.entries_of(5).len(), 2);
        assert!(cache.entries_of(6).is_empty());
        cache.put(Key { shape: 3, indexes: 6 }, None, entry(1, false));
        assert_eq!((cache.entries_of(5).len(), cache.entries_of(6).len()), (0, 1));
        assert_eq!(cache.get(key(1), None), None);
        cache.clear();
        assert_eq!(cache.get(Key { shape: 3, indexes: 6 }, None), None);
    }

    #[test]
    fn what_is_shown_is_bounded() {
        let cache = PlanCache::default();
        let mut long = entry(1, true);
        let mut filter = crate::bson::DocWriter::new();
        filter.str("a", &"x".repeat(4000));
        long.filter = filter.finish();
        for shape in 0..SHAPES_MAX as u64 {
            cache.put(key(shape), None, long.clone());
            let shown = cache.shown.lock();
            assert_eq!(shown.bytes, shown.entries.values().map(Entry::bytes).sum::<usize>());
            assert!(shown.bytes <= SHOWN_BYTES_MAX);
        }
    }
}
