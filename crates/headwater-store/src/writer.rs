//! The one writer: a lock whose holder runs operations on its own thread. Each [`Operation`]
//! collects changes in a draft; committing encodes them for the log and adds them to the overlay;
//! dropping the [`Writer`] publishes everything at once.

use std::cell::OnceCell;
use std::sync::MutexGuard;

use crate::log::appender::Appender;
use crate::options::{KEY_BYTES_MAX, RECORD_BYTES_MAX, TABLES};
use crate::overlay::{Draft, Overlay};
use crate::store::Shared;
use crate::tree::TreeReader;
use crate::view::{Layered, Layers, Read, no_table};
use crate::{Error, ErrorKind, Result, Seq, Table};

/// What the writer lock guards.
pub(crate) struct WriterState {
    pub(crate) active: Overlay,
    pub(crate) frozen: Option<Overlay>,
    pub(crate) last: Seq,
    pub(crate) appender: Appender,
    pub(crate) draft: Draft,
    /// Set while an operation is being committed: found set on entry, a holder panicked there.
    pub(crate) committing: bool,
    /// Brief writers to come that publish at once: readers were there lately.
    pub(crate) eager: u32,
    /// Whether the active overlay was seen to fill half of the memory.
    pub(crate) half_full: bool,
}

/// The exclusive right to write. Everything committed under it becomes visible at once when it is
/// dropped. A thread has one at most, and can't wait for a checkpoint or for what it committed under
/// it before that.
pub struct Writer<'s> {
    shared: &'s Shared,
    state: MutexGuard<'s, WriterState>,
    tree: OnceCell<TreeReader>,
    dirty: bool,
    /// Whether readers may wait for it.
    brief: bool,
}

impl<'s> Writer<'s> {
    pub(crate) fn new(
        shared: &'s Shared,
        state: MutexGuard<'s, WriterState>,
        brief: bool,
    ) -> Writer<'s> {
        shared.holder.enter();
        if !brief {
            shared.publish_ahead(&state);
        }
        Writer { shared, state, tree: OnceCell::new(), dirty: false, brief }
    }

    /// Begins an operation. One at a time; it sees everything committed before it.
    pub fn begin(&mut self) -> Operation<'_, 's> {
        self.state.draft.clear();
        Operation { writer: self }
    }

    /// The sequence number of the newest committed operation.
    pub fn last(&self) -> Seq {
        self.state.last
    }

    fn layers_with<'a>(&'a self, draft: Option<&'a Draft>) -> Result<Layers<'a>> {
        let tree = match self.tree.get() {
            Some(tree) => tree,
            None => {
                let tree = self.shared.tree.reader()?;
                self.tree.get_or_init(|| tree)
            }
        };
        let WriterState { active, frozen, .. } = &*self.state;
        Ok(Layers { draft, active, frozen: frozen.as_ref(), tree })
    }
}

impl Layered for Writer<'_> {
    fn layers(&self) -> Result<Layers<'_>> {
        self.layers_with(None)
    }
}

impl Read for Writer<'_> {}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        self.tree.take();
        if self.dirty {
            // Published before it can become durable: whoever is told of a durable change can
            // read it.
            match self.brief {
                true => self.shared.publish_for_readers(&mut self.state),
                false => self.shared.publish(&self.state),
            }
            self.state.appender.submit(&self.shared.log);
            self.shared.request_when_full(&mut self.state);
        }
        self.shared.holder.leave();
    }
}

/// Changes that become part of the store together or, when dropped, not at all. Reads see them.
pub struct Operation<'w, 's> {
    writer: &'w mut Writer<'s>,
}

impl Operation<'_, '_> {
    /// Sets the value of a key.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidKey`] for an empty key, one longer than
    /// [`KEY_BYTES_MAX`](crate::KEY_BYTES_MAX), or an unknown table; [`ErrorKind::TooLarge`] when
    /// the operation exceeds [`RECORD_BYTES_MAX`](crate::RECORD_BYTES_MAX).
    pub fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<()> {
        self.change(table, key, Some(value))
    }

    /// Removes a key; no error when it isn't there.
    ///
    /// # Errors
    /// As [`put`](Operation::put).
    pub fn delete(&mut self, table: Table, key: &[u8]) -> Result<()> {
        self.change(table, key, None)
    }

    fn change(&mut self, table: Table, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        if usize::from(table.0) >= TABLES {
            return Err(no_table(table));
        }
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            return Err(invalid_key(key.len()));
        }
        let draft = &mut self.writer.state.draft;
        let bytes = draft.bytes().saturating_add(key.len() + value.map_or(0, <[u8]>::len));
        if bytes > RECORD_BYTES_MAX / 2 {
            return Err(too_large(bytes));
        }
        draft.put(table, key, value);
        Ok(())
    }

    /// Commits under the next sequence number, at least `floor`, with `event` beside the changes
    /// in the log. Visible when the writer is dropped, durable when
    /// [`wait_durable`](crate::Store::wait_durable) says so.
    ///
    /// # Errors
    /// [`ErrorKind::Poisoned`] after a failed write, [`ErrorKind::TooLarge`] as
    /// [`put`](Operation::put). Nothing is committed then.
    pub fn commit(self, floor: Seq, event: &[u8]) -> Result<Seq> {
        let shared = self.writer.shared;
        shared.log.poison.check()?;
        let WriterState { active, last, appender, draft, committing, .. } = &mut *self.writer.state;
        let changes = draft.changes();
        if changes.len().saturating_add(event.len()) > RECORD_BYTES_MAX / 2 {
            return Err(too_large(event.len()));
        }
        let next = last.checked_add(1).ok_or_else(|| Error::corrupt("sequence numbers ended"))?;
        let seq = next.max(floor);
        *committing = true;
        appender.append(&shared.log, seq, changes, event);
        active.append(seq, changes, event.len());
        *last = seq;
        *committing = false;
        self.writer.dirty = true;
        Ok(seq)
    }
}

impl Layered for Operation<'_, '_> {
    fn layers(&self) -> Result<Layers<'_>> {
        self.writer.layers_with(Some(&self.writer.state.draft))
    }
}

impl Read for Operation<'_, '_> {}

#[cold]
fn invalid_key(length: usize) -> Error {
    let message = format!("a key has 1 to {KEY_BYTES_MAX} bytes, not {length}");
    Error::new(ErrorKind::InvalidKey, message)
}

#[cold]
fn too_large(bytes: usize) -> Error {
    let message = format!("an operation of {bytes} bytes is larger than a log record may be");
    Error::new(ErrorKind::TooLarge, message)
}
