//! The older part of the data, changed only by checkpoints: LMDB on disk ([`lmdb`]) or a
//! persistent map in memory ([`map`]). Knows overlays to apply; knows no log.

pub(crate) mod lmdb;
pub(crate) mod map;

use std::ops::Bound;
use std::sync::Arc;

use crate::log::recovery::Applied;
use crate::overlay::Overlay;
use crate::{Direction, Result, Table};
use lmdb::{Lmdb, LmdbReader, LmdbWalk};
use map::{Map, MapReader, MapWalk};

/// A key and its value.
pub(crate) type Pair<'a> = (&'a [u8], &'a [u8]);
/// Both ends of a range of keys.
pub(crate) type Bounds<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

pub(crate) enum Tree {
    Lmdb(Arc<Lmdb>),
    Map(Map),
}

/// A consistent state of the tree.
pub(crate) enum TreeReader {
    Lmdb(LmdbReader),
    Map(MapReader),
}

/// A cursor over a range of one table.
pub(crate) enum TreeWalk<'s> {
    Lmdb(LmdbWalk<'s>),
    Map(MapWalk<'s>),
}

impl Tree {
    pub(crate) fn reader(&self) -> Result<TreeReader> {
        match self {
            Tree::Lmdb(tree) => Ok(TreeReader::Lmdb(tree.reader()?)),
            Tree::Map(tree) => Ok(TreeReader::Map(tree.reader())),
        }
    }

    /// Remembers which snapshots are held now, for [`holds_earlier`](Tree::holds_earlier).
    pub(crate) fn begin_era(&self) {
        if let Tree::Lmdb(tree) = self {
            tree.begin_era();
        }
    }

    /// Whether a snapshot from before this era is still held and keeps pages from being used
    /// again. Never one of a tree in memory, which has no pages.
    pub(crate) fn holds_earlier(&self) -> bool {
        match self {
            Tree::Lmdb(tree) => tree.holds_earlier(),
            Tree::Map(_) => false,
        }
    }

    /// Makes every change of `overlay` part of the tree and records how far the log is applied, both
    /// durable when this returns.
    pub(crate) fn apply(&self, overlay: &Overlay, applied: Applied) -> Result<()> {
        match self {
            Tree::Lmdb(tree) => tree.apply(overlay, applied),
            Tree::Map(tree) => {
                tree.apply(overlay);
                Ok(())
            }
        }
    }
}

impl TreeReader {
    #[inline]
    pub(crate) fn get(&self, table: Table, key: &[u8]) -> Result<Option<&[u8]>> {
        match self {
            TreeReader::Lmdb(reader) => reader.get(table, key),
            TreeReader::Map(reader) => Ok(reader.get(table, key)),
        }
    }

    /// The values of several keys, in their order, appended to `found`.
    pub(crate) fn get_each<'s>(
        &'s self,
        table: Table,
        keys: &[&[u8]],
        found: &mut Vec<Option<&'s [u8]>>,
    ) -> Result<()> {
        match self {
            TreeReader::Lmdb(reader) => reader.get_each(table, keys, found),
            TreeReader::Map(reader) => {
                found.extend(keys.iter().map(|key| reader.get(table, key)));
                Ok(())
            }
        }
    }

    /// About how many entries there are from `lower` (included) to `upper` (excluded).
    pub(crate) fn estimate(&self, table: Table, lower: &[u8], upper: &[u8]) -> Result<u64> {
        match self {
            TreeReader::Lmdb(reader) => reader.estimate(table, lower, upper),
            TreeReader::Map(reader) => Ok(reader.estimate(table, lower, upper)),
        }
    }

    pub(crate) fn walk(
        &self,
        table: Table,
        bounds: Bounds<'_>,
        direction: Direction,
    ) -> Result<TreeWalk<'_>> {
        match self {
            TreeReader::Lmdb(reader) => Ok(TreeWalk::Lmdb(reader.walk(table, bounds, direction)?)),
            TreeReader::Map(reader) => Ok(TreeWalk::Map(reader.walk(table, bounds, direction))),
        }
    }
}

impl<'s> TreeWalk<'s> {
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<Pair<'s>>> {
        match self {
            TreeWalk::Lmdb(walk) => walk.next(),
            TreeWalk::Map(walk) => Ok(walk.next()),
        }
    }
}
