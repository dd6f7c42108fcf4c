//! The store's end: poisoned by a failed write, or closed. Set once, looked at everywhere.

use std::sync::OnceLock;

use crate::{Error, ErrorKind, Result};

pub(crate) struct Poison {
    cause: OnceLock<(ErrorKind, String)>,
}

impl Poison {
    pub(crate) fn new() -> Poison {
        Poison { cause: OnceLock::new() }
    }

    /// Ends the store because `error` may have lost writes. The first cause stays.
    pub(crate) fn poison(&self, error: &Error) {
        let message = format!("the store stopped acknowledging writes: {error}");
        let _ = self.cause.set((ErrorKind::Poisoned, message));
    }

    /// Ends the store because its owner closed it.
    pub(crate) fn close(&self) {
        let _ = self.cause.set((ErrorKind::Closed, "the store is closed".to_owned()));
    }

    #[inline]
    pub(crate) fn check(&self) -> Result<()> {
        match self.cause.get() {
            None => Ok(()),
            Some((kind, message)) => Err(Error::new(*kind, message.as_str())),
        }
    }

    /// As [`check`](Poison::check), but a closed store may still finish its writes.
    pub(crate) fn check_writes(&self) -> Result<()> {
        if self.is_poisoned() { self.check() } else { Ok(()) }
    }

    pub(crate) fn is_poisoned(&self) -> bool {
        matches!(self.cause.get(), Some((ErrorKind::Poisoned, _)))
    }
}
