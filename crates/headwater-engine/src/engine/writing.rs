//! Holding the writer: one command at a time changes data, and a changed catalog becomes visible after its store state.

use std::sync::Arc;

use headwater_store::{Operation, Read, Writer};
use parking_lot::MutexGuard;

use super::{Shared, clock_floor};
use crate::catalog::Catalog;
use crate::error::{Code, Error, Result};
use crate::housekeeping::{Orphan, Waiting, note_orphan};

/// What only the writer touches.
#[derive(Debug)]
pub(super) struct State {
    /// The next number for a collection or an index.
    pub next_id: u32,
    /// What was dropped and still has bytes.
    pub orphans: Waiting,
}

/// The right to write, held by one command at a time. When it ends, what was committed becomes visible to readers.
pub struct WriteGuard<'a> {
    shared: &'a Shared,
    writer: Option<Writer<'a>>,
    changed: Option<Arc<Catalog>>,
    state: MutexGuard<'a, State>,
    last: Option<u64>,
    /// Whether validators are not asked.
    pub unvalidated: bool,
}

impl Shared {
    /// Waits for the right to write.
    ///
    /// # Errors
    /// `ShutdownInProgress` (91); those of the store (poisoned, memory cap).
    pub fn write(&self) -> Result<WriteGuard<'_>> {
        self.check_open()?;
        let state = self.writing.lock();
        let writer = Some(self.store.writer()?);
        Ok(WriteGuard {
            shared: self,
            writer,
            changed: None,
            state,
            last: None,
            unvalidated: false,
        })
    }

    /// The right to write if nobody holds it, for work that is short: readers may wait for it.
    ///
    /// # Errors
    /// As [`Shared::write`].
    pub fn try_write(&self) -> Result<Option<WriteGuard<'_>>> {
        self.check_open()?;
        let Some(state) = self.writing.try_lock() else { return Ok(None) };
        let Some(writer) = self.store.try_brief_writer()? else { return Ok(None) };
        Ok(Some(WriteGuard {
            shared: self,
            writer: Some(writer),
            changed: None,
            state,
            last: None,
            unvalidated: false,
        }))
    }
}

impl Shared {
    /// Takes the orphans whose last catalog fits.
    pub fn take_orphans(&self, fits: impl Fn(&std::sync::Weak<Catalog>) -> bool) -> Vec<Orphan> {
        let mut state = self.writing.lock();
        let (ready, waiting) =
            std::mem::take(&mut state.orphans).into_iter().partition(|(c, _)| fits(c));
        state.orphans = waiting;
        let ready: Waiting = ready;
        ready.into_iter().map(|(_, orphan)| orphan).collect()
    }
}

impl<'a> WriteGuard<'a> {
    /// The catalog as this writer sees it.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.changed.clone().unwrap_or_else(|| self.shared.catalog())
    }

    /// Starts an operation: all of its changes happen or none.
    ///
    /// # Errors
    /// `InternalError` if the guard has ended.
    pub fn begin(&mut self) -> Result<Operation<'_, 'a>> {
        match &mut self.writer {
            Some(writer) => Ok(writer.begin()),
            None => Err(Error::new(Code::INTERNAL_ERROR, "the writer has ended")),
        }
    }

    /// Publishes what was committed so far and lets commands that wait for the right to write go first. What was read
    /// through this guard may be another now, the catalog too.
    ///
    /// # Errors
    /// `ShutdownInProgress` (91); those of the store.
    pub fn let_others_in(&mut self) -> Result<()> {
        self.publish();
        MutexGuard::bump(&mut self.state);
        self.shared.check_open()?;
        self.writer = Some(self.shared.store.writer()?);
        Ok(())
    }

    /// The store's state first: a reader that sees the new catalog must find what it promises.
    fn publish(&mut self) {
        drop(self.writer.take());
        if let Some(catalog) = self.changed.take() {
            *self.shared.catalog.write() = catalog;
            self.shared.watches.catalog_changed();
        }
    }

    /// The data as this writer sees it.
    ///
    /// # Errors
    /// `InternalError` if the guard has ended.
    pub fn read(&self) -> Result<&dyn Read> {
        match &self.writer {
            Some(writer) => Ok(writer),
            None => Err(Error::new(Code::INTERNAL_ERROR, "the writer has ended")),
        }
    }

    /// Leaves bytes to be removed when no reader has today's catalog any more.
    pub fn leave_orphan(&mut self, orphan: Orphan) {
        let seen_by = Arc::downgrade(&self.shared.catalog());
        self.state.orphans.push((seen_by, orphan));
    }

    /// Notes an orphan in an operation of its own and leaves it.
    ///
    /// # Errors
    /// Those of the store.
    pub fn note_and_leave_orphan(&mut self, orphan: Orphan) -> Result<()> {
        let mut op = self.begin()?;
        note_orphan(&mut op, &orphan)?;
        op.commit(clock_floor(), &[])?;
        self.leave_orphan(orphan);
        Ok(())
    }

    /// A number for a collection or index that was never used before; kept with the operation that uses it.
    pub fn new_id(&mut self) -> u32 {
        let id = self.state.next_id;
        self.state.next_id += 1;
        id
    }

    /// The next number that [`WriteGuard::new_id`] would give.
    pub fn next_id(&self) -> u32 {
        self.state.next_id
    }

    /// Notes the sequence number of an operation that was committed.
    pub fn committed(&mut self, seq: u64) {
        self.last = Some(seq);
    }

    /// Replaces the catalog when the guard ends.
    pub fn set_catalog(&mut self, catalog: Catalog) {
        self.changed = Some(Arc::new(catalog));
    }

    /// The sequence number of the last operation committed through this guard.
    pub fn last(&self) -> Option<u64> {
        self.last
    }
}

impl Drop for WriteGuard<'_> {
    fn drop(&mut self) {
        self.publish();
    }
}
