//! Changes not yet in the tree, ordered by key: [`Overlay`] for what is committed since the last
//! checkpoint, [`Draft`] for what one operation has collected so far. Entries are small and point
//! into the bytes of the changes themselves.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::arena::Arena;
use crate::change::{self, Change};
use crate::filter::Filter;
use crate::options::TABLES;
use crate::sorted::{Sorted, SortedCursor};
use crate::{Seq, Table};

/// Memory counted per change on top of its bytes.
const ENTRY_BYTES: usize = 64;

/// The first sixteen bytes of a key as two big-endian words, shorter keys padded with zeros.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Prefix(u64, u64);

impl Prefix {
    #[inline]
    fn of(key: &[u8]) -> Prefix {
        Prefix(word(key), word(key.get(8..).unwrap_or_default()))
    }
}

#[inline]
fn word(bytes: &[u8]) -> u64 {
    if let Some(word) = bytes.first_chunk::<8>() {
        return u64::from_be_bytes(*word);
    }
    let mut word = 0;
    for (at, byte) in bytes.iter().enumerate() {
        word |= u64::from(*byte) << (56 - 8 * at);
    }
    word
}

/// Where a change is: a record of the arena (unused in a draft) and the offset in it.
#[derive(Clone, Copy)]
pub(crate) struct Spot {
    prefix: Prefix,
    record: u32,
    offset: u32,
}

/// Resolves spots to changes.
pub(crate) trait Bytes {
    fn change(&self, spot: &Spot) -> Change<'_>;
}

const NOTHING: Change<'static> = Change { table: Table(0), key: &[], value: None };

impl Bytes for Arena {
    #[inline]
    fn change(&self, spot: &Spot) -> Change<'_> {
        let tail = self.get(spot.record).get(spot.offset as usize..);
        tail.and_then(change::decode).map_or(NOTHING, |(change, _)| change)
    }
}

impl Bytes for Vec<u8> {
    #[inline]
    fn change(&self, spot: &Spot) -> Change<'_> {
        let tail = self.get(spot.offset as usize..);
        tail.and_then(change::decode).map_or(NOTHING, |(change, _)| change)
    }
}

/// A key to look for, its prefix computed once.
#[derive(Clone, Copy)]
pub(crate) struct Probe<'k> {
    prefix: Prefix,
    key: &'k [u8],
}

impl<'k> Probe<'k> {
    #[inline]
    pub(crate) fn new(key: &'k [u8]) -> Probe<'k> {
        Probe { prefix: Prefix::of(key), key }
    }
}

/// How `spot` compares to `probe`; the bytes are looked at only when the prefixes are equal.
#[inline]
fn order<B: Bytes>(bytes: &B, spot: &Spot, probe: &Probe<'_>) -> Ordering {
    spot.prefix.cmp(&probe.prefix).then_with(|| bytes.change(spot).key.cmp(probe.key))
}

type Tables = [Sorted<Spot>; TABLES];

fn no_tables() -> Tables {
    std::array::from_fn(|_| Sorted::new())
}

/// The committed changes since some point, newest per key. Clones are cheap and frozen: only the
/// one that goes on being appended to changes.
#[derive(Clone)]
pub(crate) struct Overlay {
    arena: Arc<Arena>,
    filter: Arc<Filter>,
    records: u32,
    tables: Tables,
    bytes: usize,
    last: Seq,
}

impl Overlay {
    pub(crate) fn new() -> Overlay {
        let (arena, filter) = (Arc::new(Arena::new()), Arc::new(Filter::new()));
        Overlay { arena, filter, records: 0, tables: no_tables(), bytes: 0, last: 0 }
    }

    /// Memory held, in bytes, overwritten changes included.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The sequence number of the newest change.
    pub(crate) fn last(&self) -> Seq {
        self.last
    }

    /// Keys held, deletes included.
    pub(crate) fn entries(&self) -> usize {
        self.tables.iter().map(Sorted::len).sum()
    }

    #[inline]
    pub(crate) fn get(&self, table: Table, probe: &Probe<'_>) -> Option<Change<'_>> {
        let tree = self.tables.get(usize::from(table.0)).filter(|tree| !tree.is_empty())?;
        if !self.filter.may_have(table.0, probe.key) {
            return None;
        }
        let spot = tree.get(|spot| order(&*self.arena, spot, probe))?;
        Some(self.arena.change(spot))
    }

    /// About how many entries it adds from `lower` (included) to `upper` (excluded), and how many it takes away: the
    /// changes are counted, and a few of them looked at for what they are.
    pub(crate) fn estimate(&self, table: Table, lower: &[u8], upper: &[u8]) -> (u64, u64) {
        estimate(self.tables.get(usize::from(table.0)), &*self.arena, lower, upper)
    }

    pub(crate) fn walk(&self, table: Table) -> Option<Walk<'_, Arena>> {
        Walk::new(self.tables.get(usize::from(table.0))?, &self.arena)
    }

    /// Takes over the well-formed changes of one committed operation. Its event only counts as
    /// memory, since it makes the log to replay longer.
    pub(crate) fn append(&mut self, seq: Seq, changes: &[u8], event_bytes: usize) {
        self.last = seq;
        self.bytes += event_bytes;
        if changes.is_empty() {
            return;
        }
        let record = self.records;
        self.records += 1;
        self.bytes += changes.len();
        self.arena.put(record, changes.into());
        let mut offset = 0;
        while let Some((change, length)) = changes.get(offset..).and_then(change::decode) {
            let probe = Probe::new(change.key);
            let spot = Spot { prefix: probe.prefix, record, offset: offset as u32 };
            if let Some(tree) = self.tables.get_mut(usize::from(change.table.0)) {
                tree.insert(spot, |spot| order(&*self.arena, spot, &probe));
                self.filter.add(change.table.0, change.key);
            }
            self.bytes += ENTRY_BYTES;
            offset += length;
        }
    }
}

/// The changes of one operation that isn't committed yet. Reads see the newest per key.
pub(crate) struct Draft {
    bytes: Vec<u8>,
    tables: Tables,
    overwritten: bool,
}

impl Draft {
    pub(crate) fn new() -> Draft {
        Draft { bytes: Vec::new(), tables: no_tables(), overwritten: false }
    }

    pub(crate) fn clear(&mut self) {
        const KEEP: usize = 1 << 20;
        self.bytes.clear();
        self.bytes.shrink_to(KEEP);
        self.tables.iter_mut().filter(|tree| !tree.is_empty()).for_each(Sorted::clear);
        self.overwritten = false;
    }

    /// Encoded size of the changes so far.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn put(&mut self, table: Table, key: &[u8], value: Option<&[u8]>) {
        let probe = Probe::new(key);
        let spot = Spot { prefix: probe.prefix, record: 0, offset: self.bytes.len() as u32 };
        change::encode(&mut self.bytes, table, key, value);
        let Draft { bytes, tables, overwritten } = self;
        if let Some(tree) = tables.get_mut(usize::from(table.0)) {
            *overwritten |= tree.insert(spot, |spot| order(bytes, spot, &probe)).is_some();
        }
    }

    #[inline]
    pub(crate) fn get(&self, table: Table, probe: &Probe<'_>) -> Option<Change<'_>> {
        let tree = self.tables.get(usize::from(table.0)).filter(|tree| !tree.is_empty())?;
        let spot = tree.get(|spot| order(&self.bytes, spot, probe))?;
        Some(self.bytes.change(spot))
    }

    /// As [`Overlay::estimate`].
    pub(crate) fn estimate(&self, table: Table, lower: &[u8], upper: &[u8]) -> (u64, u64) {
        estimate(self.tables.get(usize::from(table.0)), &self.bytes, lower, upper)
    }

    pub(crate) fn walk(&self, table: Table) -> Option<Walk<'_, Vec<u8>>> {
        Walk::new(self.tables.get(usize::from(table.0))?, &self.bytes)
    }

    /// The encoded changes, each key once.
    pub(crate) fn changes(&mut self) -> &[u8] {
        if self.overwritten {
            let mut bytes = Vec::with_capacity(self.bytes.len());
            for tree in &self.tables {
                let mut cursor = tree.cursor();
                cursor.first();
                while let Some(spot) = cursor.get() {
                    let Change { table, key, value } = self.bytes.change(spot);
                    change::encode(&mut bytes, table, key, value);
                    cursor.next();
                }
            }
            self.tables.iter_mut().for_each(Sorted::clear);
            self.bytes = bytes;
            self.overwritten = false;
        }
        &self.bytes
    }
}

/// Changes that an estimate looks at, at each end.
const SAMPLE: u64 = 8;

fn estimate<B: Bytes>(
    tree: Option<&Sorted<Spot>>,
    bytes: &B,
    lower: &[u8],
    upper: &[u8],
) -> (u64, u64) {
    let Some(tree) = tree.filter(|tree| !tree.is_empty()) else { return (0, 0) };
    let (from, to) = (Probe::new(lower), Probe::new(upper));
    let is_before = |spot: &Spot, probe: &Probe<'_>| order(bytes, spot, probe) == Ordering::Less;
    let count = tree.estimate(|spot| is_before(spot, &from), |spot| is_before(spot, &to));
    let sampled = count.min(SAMPLE);
    let mut cursor = tree.cursor();
    let (mut deleted, mut seen) = (0, 0);
    for at_end in [false, true] {
        match at_end {
            false => cursor.seek(|spot| is_before(spot, &from)),
            true => cursor.seek_back(|spot| is_before(spot, &to)),
        }
        for _ in 0..sampled {
            let Some(spot) = cursor.get() else { break };
            deleted += u64::from(bytes.change(spot).value.is_none());
            seen += 1;
            match at_end {
                false => cursor.next(),
                true => cursor.previous(),
            }
        }
    }
    let deleted = (count * deleted).checked_div(seen).unwrap_or(0);
    (count - deleted, deleted)
}

/// Changes resolved in one go, so that their cache misses overlap.
const AHEAD: usize = 8;

/// A cursor over one table of an overlay or a draft, in the direction it was started in.
pub(crate) struct Walk<'s, B> {
    cursor: SortedCursor<'s, Spot>,
    bytes: &'s B,
    backward: bool,
    /// The change it stands on and those after it.
    ahead: [Change<'s>; AHEAD],
    at: usize,
    filled: usize,
    /// How many to resolve next: more with every time.
    wanted: usize,
}

impl<'s, B: Bytes> Walk<'s, B> {
    fn new(tree: &'s Sorted<Spot>, bytes: &'s B) -> Option<Walk<'s, B>> {
        (!tree.is_empty()).then(|| Walk {
            cursor: tree.cursor(),
            bytes,
            backward: false,
            ahead: [NOTHING; AHEAD],
            at: 0,
            filled: 0,
            wanted: 1,
        })
    }

    #[inline]
    pub(crate) fn get(&self) -> Option<Change<'s>> {
        (self.at < self.filled).then(|| self.ahead.get(self.at).copied())?
    }

    /// To the first key, to go forward.
    pub(crate) fn first(&mut self) {
        self.cursor.first();
        self.start(false);
    }

    /// To the last key, to go backward.
    pub(crate) fn last(&mut self) {
        self.cursor.last();
        self.start(true);
    }

    /// To the first key not below `key` (`after` it when equal), to go forward.
    pub(crate) fn seek(&mut self, key: &[u8], after: bool) {
        let (bytes, probe) = (self.bytes, Probe::new(key));
        self.cursor.seek(|spot| before(order(bytes, spot, &probe), after));
        self.start(false);
    }

    /// To the last key not above `key` (below it when not `including`), to go backward.
    pub(crate) fn seek_back(&mut self, key: &[u8], including: bool) {
        let (bytes, probe) = (self.bytes, Probe::new(key));
        self.cursor.seek_back(|spot| before(order(bytes, spot, &probe), including));
        self.start(true);
    }

    #[inline]
    pub(crate) fn step(&mut self) {
        self.at += 1;
        if self.at >= self.filled {
            self.fill();
        }
    }

    fn start(&mut self, backward: bool) {
        (self.backward, self.wanted) = (backward, 1);
        self.fill();
    }

    fn fill(&mut self) {
        (self.at, self.filled) = (0, 0);
        for room in self.ahead.iter_mut().take(self.wanted) {
            let Some(spot) = self.cursor.get() else { break };
            *room = self.bytes.change(spot);
            self.filled += 1;
            match self.backward {
                false => self.cursor.next(),
                true => self.cursor.previous(),
            }
        }
        self.wanted = (self.wanted * 2).min(AHEAD);
    }
}

#[inline]
fn before(order: Ordering, equal: bool) -> bool {
    order == Ordering::Less || (equal && order == Ordering::Equal)
}
