//! The checkpoint thread: freezes the overlay, waits until it is durable, applies it to the tree,
//! lets go of log segments nobody needs. Neither writers nor readers wait for it, except at the
//! memory cap.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::store::Shared;
use crate::{Result, Seq};

/// How often the age of segments is looked at when nothing else happens.
const AGE_CHECK: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(crate) struct Checkpointer {
    progress: Mutex<Progress>,
    changed: Condvar,
}

#[derive(Default)]
struct Progress {
    /// Tickets of checkpoints: asked for, begun, done.
    requested: u64,
    begun: u64,
    done: u64,
    completed: u64,
    closing: bool,
    ended: bool,
    applied: Seq,
}

impl Checkpointer {
    pub(crate) fn new(applied: Seq) -> Checkpointer {
        let progress = Progress { applied, ..Progress::default() };
        Checkpointer { progress: Mutex::new(progress), changed: Condvar::new() }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sequence number up to which the tree has everything.
    pub(crate) fn applied(&self) -> Seq {
        self.progress().applied
    }

    pub(crate) fn completed(&self) -> u64 {
        self.progress().completed
    }

    /// Asks for a checkpoint that begins after this call; gives its ticket.
    pub(crate) fn request(&self) -> u64 {
        let mut progress = self.progress();
        progress.requested = progress.begun + 1;
        self.changed.notify_all();
        progress.requested
    }

    /// The ticket of the checkpoint at work; asks for one when there is none.
    pub(crate) fn current(&self) -> u64 {
        let mut progress = self.progress();
        if progress.begun > progress.done {
            return progress.begun;
        }
        progress.requested = progress.begun + 1;
        self.changed.notify_all();
        progress.requested
    }

    /// Blocks until the checkpoint of `ticket` is done, or the thread has ended.
    pub(crate) fn wait(&self, ticket: u64) {
        let progress = self.progress();
        let over =
            self.changed.wait_while(progress, |progress| progress.done < ticket && !progress.ended);
        drop(over);
    }

    /// Lets the thread end after what was requested.
    pub(crate) fn stop(&self) {
        self.progress().closing = true;
        self.changed.notify_all();
    }

    fn await_request(&self, ages: bool) -> Option<u64> {
        let mut progress = self.progress();
        loop {
            if progress.requested > progress.begun {
                progress.begun = progress.requested;
                return Some(progress.begun);
            }
            if progress.closing {
                return None;
            }
            progress = match ages {
                false => self.changed.wait(progress).unwrap_or_else(PoisonError::into_inner),
                true => {
                    let woken = self.changed.wait_timeout(progress, AGE_CHECK);
                    let (progress, timeout) = woken.unwrap_or_else(PoisonError::into_inner);
                    if timeout.timed_out() {
                        return Some(progress.done);
                    }
                    progress
                }
            };
        }
    }

    fn complete(&self, ticket: u64, applied: Seq) {
        let mut progress = self.progress();
        progress.completed += u64::from(ticket > progress.done);
        progress.done = progress.done.max(ticket);
        progress.applied = progress.applied.max(applied);
        self.changed.notify_all();
    }

    fn end(&self) {
        self.progress().ended = true;
        self.changed.notify_all();
    }
}

/// The thread. A failure is final: it poisons the store.
pub(crate) fn run(shared: &Shared) {
    let checkpointer = &shared.checkpointer;
    while let Some(ticket) = checkpointer.await_request(shared.options.retention_age.is_some()) {
        match checkpoint(shared) {
            Ok(applied) => {
                checkpointer.complete(ticket, applied);
                shared.checkpoint_when_full();
            }
            Err(error) => {
                shared.log.poison(&error);
                break;
            }
        }
    }
    checkpointer.end();
}

fn checkpoint(shared: &Shared) -> Result<Seq> {
    let mut applied = shared.checkpointer.applied();
    if let Some((frozen, upto)) = shared.freeze(applied) {
        if !shared.options.controls.tree_does_not_wait {
            shared.log.wait_durable(upto.seq, None)?;
        }
        shared.tree.apply(&frozen, upto)?;
        applied = upto.seq;
        shared.unfreeze();
    }
    shared.log.retire(applied)?;
    Ok(applied)
}
