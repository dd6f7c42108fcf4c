//! What a reader sees: overlays over a state of the tree, newest first. Holds [`Read`], the
//! interface shared by snapshots and operations, and [`Snapshot`].

use std::ops::Bound;
use std::sync::Arc;

use crate::change::Change;
use crate::cursor::{Cursor, Direction};
use crate::options::TABLES;
use crate::overlay::{Draft, Overlay, Probe};
use crate::tree::TreeReader;
use crate::{Error, ErrorKind, Result, Seq, Table};

/// Reading of one consistent state: a [`Snapshot`], or an [`Operation`](crate::Operation) that
/// also sees its own changes.
pub trait Read: Layered {
    /// The value of `key`, or `None` when there is none.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] when the value fails its checksum (checked on a sampled share of
    /// reads), [`ErrorKind::Io`] when the tree can't be read.
    #[inline]
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<&[u8]>> {
        self.layers()?.get(table, key)
    }

    /// The values of several keys, in their order: as [`get`](Read::get) for each, at a lower price, since what has to come
    /// from memory comes for many of them at a time. Best in ascending order.
    ///
    /// ```
    /// # use headwater_store::{Options, Read, Store, Table};
    /// # fn main() -> headwater_store::Result<()> {
    /// let store = Store::in_memory(Options::default());
    /// let mut writer = store.writer()?;
    /// let mut operation = writer.begin();
    /// operation.put(Table(0), b"a", b"1")?;
    /// operation.commit(0, b"")?;
    /// drop(writer);
    /// let snapshot = store.snapshot()?;
    /// assert_eq!(snapshot.get_each(Table(0), &[b"a", b"b"])?, [Some(&b"1"[..]), None]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`get`](Read::get).
    fn get_each(&self, table: Table, keys: &[&[u8]]) -> Result<Vec<Option<&[u8]>>> {
        self.layers()?.get_each(table, keys)
    }

    /// A cursor over the keys between two bounds, in ascending or descending order.
    ///
    /// ```
    /// # use headwater_store::{Direction, Options, Read, Store, Table};
    /// # use std::ops::Bound;
    /// # fn main() -> headwater_store::Result<()> {
    /// let store = Store::in_memory(Options::default());
    /// let mut writer = store.writer()?;
    /// let mut operation = writer.begin();
    /// operation.put(Table(0), b"a", b"1")?;
    /// operation.put(Table(0), b"b", b"2")?;
    /// let seq = operation.commit(0, b"")?;
    /// drop(writer);
    /// store.wait_durable(seq, None)?;
    ///
    /// let snapshot = store.snapshot()?;
    /// let mut cursor =
    ///     snapshot.range(Table(0), Bound::Unbounded, Bound::Unbounded, Direction::Backward)?;
    /// assert_eq!(cursor.next()?, Some((&b"b"[..], &b"2"[..])));
    /// assert_eq!(cursor.next()?, Some((&b"a"[..], &b"1"[..])));
    /// assert_eq!(cursor.next()?, None);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`get`](Read::get).
    fn range(
        &self,
        table: Table,
        lower: Bound<&[u8]>,
        upper: Bound<&[u8]>,
        direction: Direction,
    ) -> Result<Cursor<'_>> {
        Cursor::new(self.layers()?, table, (lower, upper), direction)
    }

    /// About how many entries there are from `lower` (included) to `upper` (excluded): for choosing between ways to
    /// read, at the cost of a few lookups whatever the number.
    ///
    /// What is in the tree is estimated from the two paths to the bounds, exactly if they lead to one page or to
    /// neighbours. What changed since the last checkpoint is added as if no change met a key that is there already.
    ///
    /// ```
    /// # use headwater_store::{Options, Read, Store, Table};
    /// # fn main() -> headwater_store::Result<()> {
    /// let store = Store::in_memory(Options::default());
    /// let mut writer = store.writer()?;
    /// let mut operation = writer.begin();
    /// for key in 0..100_u8 {
    ///     operation.put(Table(0), &[key], b"")?;
    /// }
    /// operation.commit(0, b"")?;
    /// drop(writer);
    /// let about = store.snapshot()?.estimate(Table(0), &[20], &[60])?;
    /// assert!((20..80).contains(&about), "{about}");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`get`](Read::get).
    fn estimate(&self, table: Table, lower: &[u8], upper: &[u8]) -> Result<u64> {
        self.layers()?.estimate(table, lower, upper)
    }
}

/// What every reader is made of; closes [`Read`] to other crates.
pub trait Layered {
    fn layers(&self) -> Result<Layers<'_>>;
}

/// The published state of the overlays.
pub(crate) struct View {
    pub(crate) active: Overlay,
    pub(crate) frozen: Option<Overlay>,
    /// Changes whenever overlays are frozen or dropped; ties the view to states of the tree.
    pub(crate) epoch: u64,
    pub(crate) last: Seq,
}

/// Borrowed layers, newest first.
#[derive(Clone, Copy)]
pub struct Layers<'s> {
    pub(crate) draft: Option<&'s Draft>,
    pub(crate) active: &'s Overlay,
    pub(crate) frozen: Option<&'s Overlay>,
    pub(crate) tree: &'s TreeReader,
}

impl<'s> Layers<'s> {
    #[inline]
    pub(crate) fn get(self, table: Table, key: &[u8]) -> Result<Option<&'s [u8]>> {
        if usize::from(table.0) >= TABLES {
            return Err(no_table(table));
        }
        match self.newer(table, key) {
            Some(change) => Ok(change.value),
            None if key.is_empty() => Ok(None),
            None => self.tree.get(table, key),
        }
    }

    /// What happened to a key since the last checkpoint.
    #[inline]
    fn newer(self, table: Table, key: &[u8]) -> Option<Change<'s>> {
        let probe = Probe::new(key);
        self.draft
            .and_then(|draft| draft.get(table, &probe))
            .or_else(|| self.active.get(table, &probe))
            .or_else(|| self.frozen.and_then(|frozen| frozen.get(table, &probe)))
    }

    fn get_each(self, table: Table, keys: &[&[u8]]) -> Result<Vec<Option<&'s [u8]>>> {
        if usize::from(table.0) >= TABLES {
            return Err(no_table(table));
        }
        let mut found = Vec::with_capacity(keys.len());
        let mut older: Vec<(usize, &[u8])> = Vec::with_capacity(keys.len());
        for (at, key) in keys.iter().enumerate() {
            let newer = self.newer(table, key);
            if newer.is_none() && !key.is_empty() {
                older.push((at, key));
            }
            found.push(newer.and_then(|change| change.value));
        }
        let asked: Vec<&[u8]> = older.iter().map(|(_, key)| *key).collect();
        let mut given = Vec::with_capacity(asked.len());
        self.tree.get_each(table, &asked, &mut given)?;
        for ((at, _), given) in older.into_iter().zip(given) {
            if let Some(room) = found.get_mut(at) {
                *room = given;
            }
        }
        Ok(found)
    }
}

impl Layers<'_> {
    fn estimate(self, table: Table, lower: &[u8], upper: &[u8]) -> Result<u64> {
        if usize::from(table.0) >= TABLES {
            return Err(no_table(table));
        }
        let mut layers = vec![self.active.estimate(table, lower, upper)];
        layers.extend(self.draft.map(|draft| draft.estimate(table, lower, upper)));
        layers.extend(self.frozen.map(|frozen| frozen.estimate(table, lower, upper)));
        let (added, deleted) =
            layers.iter().fold((0, 0), |(a, d), layer| (a + layer.0, d + layer.1));
        let tree = self.tree.estimate(table, lower, upper)?;
        Ok((tree + added).saturating_sub(deleted))
    }
}

#[cold]
pub(crate) fn no_table(table: Table) -> Error {
    Error::new(ErrorKind::InvalidKey, format!("there is no table {}", table.0))
}

/// A consistent state of the whole store. Never blocks writers; while it is held, pages of the
/// tree that it can see are not reused.
pub struct Snapshot {
    view: Arc<View>,
    tree: TreeReader,
}

impl Snapshot {
    pub(crate) fn new(view: Arc<View>, tree: TreeReader) -> Snapshot {
        Snapshot { view, tree }
    }

    /// The sequence number of the newest operation it sees. Not necessarily durable yet.
    pub fn seq(&self) -> Seq {
        self.view.last
    }
}

impl Layered for Snapshot {
    #[inline]
    fn layers(&self) -> Result<Layers<'_>> {
        let View { active, frozen, .. } = &*self.view;
        Ok(Layers { draft: None, active, frozen: frozen.as_ref(), tree: &self.tree })
    }
}

impl Read for Snapshot {}
