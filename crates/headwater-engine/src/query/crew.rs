//! Documents that several threads take in together: what a stage offers them, and what whoever takes them in has to be.
//!
//! Knows neither where documents come from nor what is made of them.

use super::exec::Look;
use crate::error::Result;

/// Those who take in the documents of a stage, each on a thread of its own.
///
/// The documents come in numbered pieces, whose order is that of the documents. If anything goes wrong, an error included,
/// the crew gives up: the stage is as if nobody had looked at it, and one thread takes in its documents as always. So
/// errors come as they come to one thread.
pub trait Crew: Sync {
    /// Does the share of one thread, and returns when there is nothing left to do; false if the crew has given up. `walk`
    /// shows the documents of a piece.
    fn work(&self, share: Share, walk: &mut Walk<'_>) -> bool;

    /// Ends the work of all threads. For the case that one of them is missing.
    fn give_up(&self);
}

/// Who a thread is.
#[derive(Debug, Clone, Copy)]
pub struct Share {
    /// Its number, from 0.
    pub thread: usize,
    /// How many threads there are.
    pub threads: usize,
    /// Pieces of all threads together.
    pub pieces: u64,
}

/// Shows the documents of a piece until whoever looks at them wants no more.
pub type Walk<'f> = dyn FnMut(u64, &mut Look<'_>) -> Result<()> + 'f;
