//! Which thread holds the writer, so that a thread which would wait for itself is told so instead.
//! Knows threads only.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Error, ErrorKind, Result};

/// The number of the holding thread, 0 for none. A thread sees its own writes, which is all that
/// it compares with.
#[derive(Default)]
pub(crate) struct Holder(AtomicU64);

impl Holder {
    pub(crate) fn enter(&self) {
        self.0.store(this_thread(), Ordering::Relaxed);
    }

    pub(crate) fn leave(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Whether this thread is the holder.
    pub(crate) fn is_here(&self) -> bool {
        self.0.load(Ordering::Relaxed) == this_thread()
    }

    /// Refuses `what` to the holder.
    ///
    /// # Errors
    /// [`ErrorKind::WriterHeld`].
    pub(crate) fn refuse(&self, what: &str) -> Result<()> {
        if self.is_here() { Err(held(what)) } else { Ok(()) }
    }
}

#[cold]
fn held(what: &str) -> Error {
    let message = format!("{what} would wait for the writer that this thread holds");
    Error::new(ErrorKind::WriterHeld, message)
}

/// A number for every thread, from 1 on.
fn this_thread() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    thread_local! {
        static NUMBER: u64 = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    NUMBER.with(|number| *number)
}
