//! The merged cursor: walks all layers of a view at once, newest layer winning, deletes hidden.

use std::cmp::Ordering;
use std::ops::Bound;

use crate::arena::Arena;
use crate::options::TABLES;
use crate::overlay::{Bytes, Walk};
use crate::tree::{Bounds, Pair, TreeWalk};
use crate::view::{Layers, no_table};
use crate::{Result, Table};

/// Order of a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Ascending keys.
    Forward,
    /// Descending keys.
    Backward,
}

impl Direction {
    /// Whether `key` comes before `other` in this direction.
    #[inline]
    fn order(self, key: &[u8], other: &[u8]) -> Ordering {
        match self {
            Direction::Forward => key.cmp(other),
            Direction::Backward => other.cmp(key),
        }
    }

    /// Whether `key` has not passed `end`.
    #[inline]
    pub(crate) fn within(self, key: &[u8], end: Bound<&[u8]>) -> bool {
        match end {
            Bound::Unbounded => true,
            Bound::Included(end) => self.order(key, end) != Ordering::Greater,
            Bound::Excluded(end) => self.order(key, end) == Ordering::Less,
        }
    }
}

/// A key and its value, or `None` for a delete.
type Head<'s> = (&'s [u8], Option<&'s [u8]>);

/// A cursor over a range of keys of one consistent state. What it returns lives as long as the
/// snapshot or operation it came from.
pub struct Cursor<'s> {
    layers: Layers<'s>,
    table: Table,
    direction: Direction,
    lower: Bound<Vec<u8>>,
    upper: Bound<Vec<u8>>,
    overlays: Overlays<'s>,
    tree: TreeWalk<'s>,
    tree_head: Option<Pair<'s>>,
    tree_ended: bool,
}

/// The walks of the layers above the tree with the change each stands on, newest first.
struct Overlays<'s> {
    draft: Option<Walk<'s, Vec<u8>>>,
    committed: [Option<Walk<'s, Arena>>; 2],
    heads: [Option<Head<'s>>; 3],
    /// The first of the heads in the cursor's direction, the newest one of equal keys.
    nearest: Option<Head<'s>>,
}

impl<'s> Cursor<'s> {
    pub(crate) fn new(
        layers: Layers<'s>,
        table: Table,
        (lower, upper): Bounds<'_>,
        direction: Direction,
    ) -> Result<Cursor<'s>> {
        if usize::from(table.0) >= TABLES {
            return Err(no_table(table));
        }
        let (lower, upper) = (lower.map(<[u8]>::to_vec), upper.map(<[u8]>::to_vec));
        let bounds = (slice(&lower), slice(&upper));
        let overlays = Overlays::new(layers, table, bounds, direction);
        let tree = layers.tree.walk(table, bounds, direction)?;
        let (tree_head, tree_ended) = (None, false);
        Ok(Cursor { layers, table, direction, lower, upper, overlays, tree, tree_head, tree_ended })
    }

    /// The next key with its value, or `None` at the end of the range.
    ///
    /// # Errors
    /// As [`Read::get`](crate::Read::get).
    #[inline]
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<(&'s [u8], &'s [u8])>> {
        if self.overlays.nearest.is_none() {
            return match self.tree_head.take() {
                Some(pair) => Ok(Some(pair)),
                None if self.tree_ended => Ok(None),
                None => self.step_tree(),
            };
        }
        self.next_merged()
    }

    fn step_tree(&mut self) -> Result<Option<Pair<'s>>> {
        let pair = self.tree.next()?;
        self.tree_ended = pair.is_none();
        Ok(pair)
    }

    fn next_merged(&mut self) -> Result<Option<(&'s [u8], &'s [u8])>> {
        loop {
            if self.tree_head.is_none() && !self.tree_ended {
                self.tree_head = self.step_tree()?;
            }
            let Some((key, value)) = self.overlays.nearest else {
                return Ok(self.tree_head.take());
            };
            let order = match self.tree_head {
                Some((tree_key, _)) => self.direction.order(key, tree_key),
                None => Ordering::Less,
            };
            if order == Ordering::Greater {
                return Ok(self.tree_head.take());
            }
            if order == Ordering::Equal {
                self.tree_head = None;
            }
            let end = match self.direction {
                Direction::Forward => slice(&self.upper),
                Direction::Backward => slice(&self.lower),
            };
            self.overlays.pass(key, self.direction, end);
            if let Some(value) = value {
                return Ok(Some((key, value)));
            }
        }
    }

    /// Moves so that the next key is the first at or after `key` in the cursor's direction (at or
    /// below it when backward), still inside the range.
    ///
    /// # Errors
    /// As [`Read::get`](crate::Read::get).
    pub fn seek(&mut self, key: &[u8]) -> Result<()> {
        let within = |bound: Bound<&[u8]>, direction: Direction| direction.within(key, bound);
        let (mut lower, mut upper) = (slice(&self.lower), slice(&self.upper));
        match self.direction {
            Direction::Forward if within(lower, Direction::Backward) => {
                lower = Bound::Included(key);
            }
            Direction::Backward if within(upper, Direction::Forward) => {
                upper = Bound::Included(key);
            }
            Direction::Forward | Direction::Backward => {}
        }
        let bounds = (lower, upper);
        self.tree = self.layers.tree.walk(self.table, bounds, self.direction)?;
        self.overlays = Overlays::new(self.layers, self.table, bounds, self.direction);
        (self.tree_head, self.tree_ended) = (None, false);
        Ok(())
    }
}

fn slice(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    bound.as_ref().map(Vec::as_slice)
}

impl<'s> Overlays<'s> {
    fn new(
        layers: Layers<'s>,
        table: Table,
        bounds: Bounds<'_>,
        direction: Direction,
    ) -> Overlays<'s> {
        let mut draft = layers.draft.and_then(|draft| draft.walk(table));
        let mut active = layers.active.walk(table);
        let mut frozen = layers.frozen.and_then(|frozen| frozen.walk(table));
        let heads = [
            start(&mut draft, bounds, direction),
            start(&mut active, bounds, direction),
            start(&mut frozen, bounds, direction),
        ];
        let nearest = nearest(heads, direction);
        Overlays { draft, committed: [active, frozen], heads, nearest }
    }

    /// Steps every layer that stands on `key`.
    #[inline]
    fn pass(&mut self, key: &[u8], direction: Direction, end: Bound<&[u8]>) {
        let on_key = |head: &Option<Head<'s>>| head.is_some_and(|(at, _)| at == key);
        let [draft, committed @ ..] = &mut self.heads;
        if on_key(draft) {
            *draft = step(&mut self.draft, direction, end);
        }
        for (walk, head) in self.committed.iter_mut().zip(committed) {
            if on_key(head) {
                *head = step(walk, direction, end);
            }
        }
        self.nearest = nearest(self.heads, direction);
    }
}

#[inline]
fn nearest<'s>(heads: [Option<Head<'s>>; 3], direction: Direction) -> Option<Head<'s>> {
    let nearer = |newer: Option<Head<'s>>, older: Option<Head<'s>>| match (newer, older) {
        (Some(newer), Some(older)) => {
            match direction.order(newer.0, older.0) == Ordering::Greater {
                true => Some(older),
                false => Some(newer),
            }
        }
        (newer, older) => newer.or(older),
    };
    let [draft, active, frozen] = heads;
    nearer(draft, nearer(active, frozen))
}

fn start<'s, B: Bytes>(
    walk: &mut Option<Walk<'s, B>>,
    (lower, upper): Bounds<'_>,
    direction: Direction,
) -> Option<Head<'s>> {
    let inner = walk.as_mut()?;
    let end = match direction {
        Direction::Forward => {
            match lower {
                Bound::Unbounded => inner.first(),
                Bound::Included(key) => inner.seek(key, false),
                Bound::Excluded(key) => inner.seek(key, true),
            }
            upper
        }
        Direction::Backward => {
            match upper {
                Bound::Unbounded => inner.last(),
                Bound::Included(key) => inner.seek_back(key, true),
                Bound::Excluded(key) => inner.seek_back(key, false),
            }
            lower
        }
    };
    head(walk, direction, end)
}

#[inline]
fn step<'s, B: Bytes>(
    walk: &mut Option<Walk<'s, B>>,
    direction: Direction,
    end: Bound<&[u8]>,
) -> Option<Head<'s>> {
    let inner = walk.as_mut()?;
    inner.step();
    head(walk, direction, end)
}

#[inline]
fn head<'s, B: Bytes>(
    walk: &mut Option<Walk<'s, B>>,
    direction: Direction,
    end: Bound<&[u8]>,
) -> Option<Head<'s>> {
    let change = walk.as_ref()?.get();
    match change.filter(|change| direction.within(change.key, end)) {
        Some(change) => Some((change.key, change.value)),
        None => {
            *walk = None;
            None
        }
    }
}
