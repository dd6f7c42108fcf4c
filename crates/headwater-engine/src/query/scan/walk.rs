//! The walk through the ranges of one index, key by key: where it stands, how it goes on later, and how it leaps over keys
//! that are outside the bounds of a field behind the ranges. Knows nothing of documents.

mod ahead;

use std::ops::Bound;

use headwater_store::{Cursor, Direction, Read};

use super::Counts;
use crate::bson::Raw;
use crate::bson::key::{self, successor};
use crate::catalog::tables;
use crate::error::Result;
use crate::index::keys::KEY_BYTES_MAX;
use crate::query::bounds::Interval;
use crate::query::plan::tree::{IndexScan, Range};
use ahead::Ahead;
pub(super) use ahead::Fetched;

/// Keys that are passed one by one before a leap.
const STEPS: u32 = 1;

/// Where a walk through an index stands between runs.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// Ranges behind it.
    range: usize,
    /// The last key of the range it is in.
    pub(super) last: Option<Vec<u8>>,
    /// Index entries looked at.
    pub(super) keys: u64,
    /// Index entries inside all bounds.
    pub(super) inside: u64,
    /// Cursors opened or moved.
    pub(super) seeks: u64,
}

impl Place {
    /// What the walk took so far; it goes through `ranges` ranges.
    pub(super) fn counts(&self, ranges: usize) -> Counts {
        let Place { keys, inside, seeks, .. } = *self;
        Counts { keys, inside, seeks, ended: self.range >= ranges }
    }
}

/// A walk during one run.
pub(super) struct Walk<'r, 'p> {
    scan: &'r IndexScan,
    read: &'r dyn Read,
    place: &'p mut Place,
    cursor: Option<Cursor<'r>>,
    /// The last key that was taken, of the range the cursor is in.
    taken: Option<&'r [u8]>,
    /// Keys that are looked at, at most, and the last of them once there were so many.
    keys_max: u64,
    cut_at: Option<&'r [u8]>,
    fields: Fields<'r>,
    ahead: Option<Ahead<'r>>,
}

/// A key and the value beside it.
pub(super) type Entry<'r> = (&'r [u8], &'r [u8]);

impl<'r, 'p> Walk<'r, 'p> {
    pub(super) fn new(
        scan: &'r IndexScan,
        read: &'r dyn Read,
        place: &'p mut Place,
    ) -> Walk<'r, 'p> {
        let fields = Fields::of(scan);
        Walk {
            scan,
            read,
            place,
            cursor: None,
            taken: None,
            keys_max: u64::MAX,
            cut_at: None,
            fields,
            ahead: None,
        }
    }

    /// The same ended after that many keys.
    pub(super) fn at_most(mut self, keys_max: u64) -> Walk<'r, 'p> {
        self.keys_max = keys_max;
        self
    }

    /// The last key looked at, if the walk did not come to its end.
    pub(super) fn cut_at(&self) -> Option<&'r [u8]> {
        self.cut_at
    }

    /// The next key inside all bounds, `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Entry<'r>>> {
        if self.scan.points { self.next_point() } else { self.next_key() }
    }

    /// The next of the single keys.
    fn next_point(&mut self) -> Result<Option<Entry<'r>>> {
        while let Some((key, _)) = self.range() {
            let done = self.taken.take().is_some_and(|taken| taken == key)
                || self.place.last.take().is_some_and(|last| last == *key);
            if !done {
                self.place.seeks += 1;
                if let Some(value) = self.read.get(tables::INDEX, key)? {
                    self.place.keys += 1;
                    self.place.inside += 1;
                    return Ok(Some((key, value)));
                }
            }
            self.place.range += 1;
        }
        Ok(None)
    }

    /// The range that the walk is in.
    fn range(&self) -> Option<&'r Range> {
        self.range_at(self.place.range)
    }

    /// A range by its place on the walk.
    fn range_at(&self, at: usize) -> Option<&'r Range> {
        let IndexScan { ranges, reverse, .. } = self.scan;
        let left = ranges.len().checked_sub(at + 1)?;
        ranges.get(if *reverse { left } else { at })
    }

    fn next_key(&mut self) -> Result<Option<Entry<'r>>> {
        loop {
            if self.cursor.is_none() {
                if !self.open_at(self.place.range, true)? {
                    return Ok(None);
                }
                self.place.seeks += 1;
            }
            let Some(cursor) = &mut self.cursor else { return Ok(None) };
            let Some((key, value)) = cursor.next()? else {
                self.cursor = None;
                self.place.range += 1;
                (self.place.last, self.taken) = (None, None);
                continue;
            };
            if self.place.keys >= self.keys_max {
                self.cut_at = Some(key);
                return Ok(None);
            }
            self.place.keys += 1;
            match self.fields.beyond(key) {
                None => {
                    self.place.inside += 1;
                    return Ok(Some((key, value)));
                }
                Some(target) => self.leap(key, &target)?,
            }
        }
    }

    /// Notes that a key is done with: the walk goes on behind it.
    pub(super) fn take(&mut self, key: &'r [u8]) {
        self.taken = Some(key);
    }

    /// How many keys were looked at so far.
    pub(super) fn keys(&self) -> u64 {
        self.place.keys
    }

    /// Leaps behind all keys that share the values of the first `count` fields with `key`.
    pub(super) fn leap_values(&mut self, key: &'r [u8], count: usize) -> Result<()> {
        let Some(end) = self.fields.end_of(key, count) else { return Ok(()) };
        let (prefix, _) = key.split_at_checked(end).unwrap_or((key, &[]));
        let target = match self.scan.reverse {
            true => Some(prefix.to_vec()),
            false => successor(prefix),
        };
        target.map_or(Ok(()), |target| self.leap(key, &target))
    }

    /// Moves on to the first key that `target` does not leave behind.
    fn leap(&mut self, key: &[u8], target: &[u8]) -> Result<()> {
        let reverse = self.scan.reverse;
        let Some(cursor) = &mut self.cursor else { return Ok(()) };
        if if reverse { target >= key } else { target <= key } {
            return Ok(());
        }
        self.place.seeks += 1;
        cursor.seek(target)?;
        Ok(())
    }

    /// Puts the cursor into a range, if there is one: behind the last key that was taken, if the walk `goes_on` there.
    fn open_at(&mut self, at: usize, goes_on: bool) -> Result<bool> {
        let reverse = &self.scan.reverse;
        let Some((lower, upper)) = self.range_at(at) else { return Ok(false) };
        let (mut lower, mut upper) =
            (Bound::Included(lower.as_slice()), Bound::Excluded(upper.as_slice()));
        match self.place.last.as_ref().filter(|_| goes_on) {
            Some(last) if *reverse => upper = Bound::Excluded(last),
            Some(last) => lower = Bound::Excluded(last),
            None => {}
        }
        let direction = if *reverse { Direction::Backward } else { Direction::Forward };
        self.cursor = Some(self.read.range(tables::INDEX, lower, upper, direction)?);
        Ok(true)
    }
}

impl Drop for Walk<'_, '_> {
    fn drop(&mut self) {
        if let Some(key) = self.taken {
            self.place.last = Some(key.to_vec());
        }
    }
}

/// The bounds of the fields behind the ranges.
struct Fields<'p> {
    scan: &'p IndexScan,
    /// By field; empty where nothing has to be looked at.
    intervals: Vec<Vec<Interval>>,
    /// Fields to look at, from the first on.
    count: usize,
    missed: u32,
}

impl<'p> Fields<'p> {
    fn of(scan: &'p IndexScan) -> Fields<'p> {
        let bounded = scan.fields.iter().rposition(|field| !field.is_everything());
        let count = bounded.map_or(0, |last| last + 1);
        if count <= scan.ranged {
            return Fields { scan, intervals: Vec::new(), count: 0, missed: 0 };
        }
        let directed = |at: usize| match scan.fields.get(at) {
            Some(field) if at >= scan.ranged => field.directed().into_owned(),
            _ => Vec::new(),
        };
        Fields { scan, intervals: (0..count).map(directed).collect(), count, missed: 0 }
    }

    fn direction(&self, at: usize) -> key::Direction {
        self.scan.fields.get(at).map_or(key::Direction::Ascending, |field| field.direction)
    }

    /// Where to go on if `key` is outside the bounds; `None` inside.
    fn beyond(&mut self, key: &[u8]) -> Option<Vec<u8>> {
        if self.count == 0 || is_cut(key) {
            return None;
        }
        let mut start = size_of_val(&self.scan.index.id);
        for (at, intervals) in self.intervals.iter().enumerate() {
            let rest = key.get(start..)?;
            let (field, _) = key::split(rest, self.direction(at))?;
            if at >= self.scan.ranged
                && let Some(target) = self.beyond_field(key.get(..start)?, field, intervals)
            {
                self.missed += 1;
                let few = self.missed.is_multiple_of(STEPS + 1);
                return Some(if few { target } else { key.to_vec() });
            }
            start += field.len();
        }
        self.missed = 0;
        None
    }

    fn beyond_field(&self, prefix: &[u8], field: &[u8], intervals: &[Interval]) -> Option<Vec<u8>> {
        let next = intervals.partition_point(|interval| interval.upper.as_slice() <= field);
        let here = intervals.get(next);
        if here.is_some_and(|interval| interval.lower.as_slice() <= field) {
            return None;
        }
        let within = |edge: &[u8]| [prefix, edge].concat();
        Some(if self.scan.reverse {
            let before = next.checked_sub(1).and_then(|before| intervals.get(before));
            before.map_or_else(|| prefix.to_vec(), |interval| within(&interval.upper))
        } else {
            match here {
                Some(interval) => within(&interval.lower),
                None => successor(prefix)?,
            }
        })
    }

    /// Where the first `count` fields of a key end; `None` if they cannot be told apart, or the last of them stands for
    /// null and for absent values alike.
    fn end_of(&self, key: &[u8], count: usize) -> Option<usize> {
        let mut end = size_of_val(&self.scan.index.id);
        if is_cut(key) {
            return None;
        }
        for at in 0..count {
            let (field, _) = key::split(key.get(end..)?, self.direction(at))?;
            end += field.len();
            if at + 1 == count && is_null(field) {
                return None;
            }
        }
        Some(end)
    }
}

/// Whether a field of a key is null, in either direction.
fn is_null(field: &[u8]) -> bool {
    let null = key::encode(Raw::NULL);
    field == null || field.iter().map(|byte| !byte).eq(null)
}

/// Whether a key may be one that was cut, whose end is a hash.
pub(super) fn is_cut(key: &[u8]) -> bool {
    key.len() >= KEY_BYTES_MAX
}
