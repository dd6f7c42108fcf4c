//! Long writes take turns: a command that has held the writer for a while lets those that wait go first. Knows nothing of
//! what is written; who continues must expect that everything is another now.

use std::time::{Duration, Instant};

use super::Statement;
use crate::commands::Context;
use crate::engine::WriteGuard;
use crate::error::Result;
use crate::request::Mode;

/// How long a command writes before it lets others in.
const TURN: Duration = Duration::from_millis(10);

/// The turn of a command.
#[derive(Debug)]
pub(in crate::commands) struct Turn {
    since: Instant,
}

impl Turn {
    /// Begins a turn.
    pub(in crate::commands) fn begin() -> Turn {
        Turn { since: Instant::now() }
    }

    /// Lets others in if the turn is over, and begins the next one. Tells whether it did.
    ///
    /// # Errors
    /// As [`let_others_in`].
    pub(in crate::commands) fn end_if_over(
        &mut self,
        context: &Context<'_>,
        guard: &mut WriteGuard<'_>,
        retry: Option<&Statement>,
    ) -> Result<bool> {
        if self.since.elapsed() < TURN {
            return Ok(false);
        }
        let let_in = let_others_in(context, guard, retry)?;
        self.since = Instant::now();
        Ok(let_in)
    }
}

/// Lets others write, unless the command runs on a thread that may not wait for its next turn. Tells whether it did.
///
/// # Errors
/// Those of [`WriteGuard::let_others_in`], the interruptions of a command, and `TransactionTooOld` (225) if the session has
/// gone on to another transaction number meanwhile.
pub(in crate::commands) fn let_others_in(
    context: &Context<'_>,
    guard: &mut WriteGuard<'_>,
    retry: Option<&Statement>,
) -> Result<bool> {
    if context.mode == Mode::Inline {
        return Ok(false);
    }
    guard.let_others_in()?;
    if let Some(running) = &context.running {
        running.operation().yielded();
    }
    context.interrupt().check()?;
    retry.map_or(Ok(()), |retry| retry.go_on(guard))?;
    Ok(true)
}
