//! What may end the work that this thread does for a command: loops inside one document, which see no environment, ask
//! here. Knows neither the command nor what the loops do.

use std::cell::{Cell, RefCell};

use crate::engine::operations::Interrupt;
use crate::error::Result;

/// Rounds of a loop between two looks.
const ROUNDS: usize = 1024;
/// Bytes that are read or written between two looks.
const BYTES: usize = 256 * 1024;

thread_local! {
    static WATCHED: RefCell<Option<Interrupt>> = const { RefCell::new(None) };
    static SPENT: Cell<usize> = const { Cell::new(0) };
}

/// While it lives, loops of this thread end when the interrupt says so.
pub(crate) struct Watch(Option<Interrupt>);

/// Begins to watch an interrupt.
pub(crate) fn watch(interrupt: Interrupt) -> Watch {
    Watch(WATCHED.replace(Some(interrupt)))
}

impl Drop for Watch {
    fn drop(&mut self) {
        WATCHED.set(self.0.take());
    }
}

/// Fails in a loop's round `round` if the work is to end; looks only every so many rounds.
///
/// # Errors
/// Those of [`Interrupt::check`].
#[inline]
pub(crate) fn check_round(round: usize) -> Result<()> {
    if round.is_multiple_of(ROUNDS) { check() } else { Ok(()) }
}

/// Counts bytes that this thread reads or writes for the command, and fails if the work is to end; looks only every so
/// many bytes.
///
/// # Errors
/// Those of [`Interrupt::check`].
#[inline]
pub(crate) fn spend(bytes: usize) -> Result<()> {
    let spent = SPENT.get().saturating_add(bytes);
    if spent < BYTES {
        SPENT.set(spent);
        return Ok(());
    }
    SPENT.set(0);
    check()
}

#[cold]
fn check() -> Result<()> {
    WATCHED.with_borrow(|watched| watched.as_ref().map_or(Ok(()), Interrupt::check))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn what_was_watched_before_is_watched_again() {
        assert!(check_round(0).is_ok());
        let watch = watch(Interrupt::new(Some(Instant::now()), None));
        assert!(check_round(0).is_err() && check_round(1).is_ok());
        {
            let _inner = super::watch(Interrupt::default());
            assert!(check_round(0).is_ok());
        }
        assert!(check_round(ROUNDS).is_err());
        assert!(spend(BYTES).is_err() && spend(1).is_ok());
        let until = (0..BYTES).find(|_| spend(1024).is_err());
        assert!(until.is_some_and(|rounds| rounds <= BYTES / 1024), "{until:?}");
        drop(watch);
        assert!(check_round(0).is_ok() && spend(BYTES).is_ok());
    }
}
