//! What one waiting change stream holds: whether something it may want has become durable, and who is to be woken then.
//! Knows nothing of events.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Poll, Waker};

use parking_lot::Mutex;

/// One wait of a stream: idle until it is called, once.
#[derive(Debug)]
pub struct Ticket {
    /// Up to here the stream has read for itself.
    read: AtomicU64,
    called: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
}

impl Ticket {
    pub(super) fn new(read: u64) -> Ticket {
        Ticket {
            read: AtomicU64::new(read),
            called: AtomicBool::new(false),
            waiting: Mutex::default(),
        }
    }

    /// Up to where the stream has read for itself.
    pub(super) fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    pub(super) fn has_read(&self, seq: u64) {
        self.read.fetch_max(seq, Ordering::Relaxed);
    }

    /// Whether the stream has to look for itself.
    pub(super) fn is_called(&self) -> bool {
        self.called.load(Ordering::Acquire)
    }

    /// Says that the stream has to look for itself; [`Ticket::wake`] must follow.
    pub(super) fn call(&self) {
        self.called.store(true, Ordering::Release);
    }

    /// Wakes whoever waits for the call.
    pub(super) fn wake(&self) {
        let waiting = std::mem::take(&mut *self.waiting.lock());
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Ready once the stream was called; `waker` is woken then.
    pub(crate) fn poll(&self, waker: &Waker) -> Poll<()> {
        let mut waiting = self.waiting.lock();
        // Called before the list is emptied to wake: looking under the lock misses nothing.
        if self.is_called() {
            return Poll::Ready(());
        }
        if !waiting.iter().any(|known| known.will_wake(waker)) {
            waiting.push(waker.clone());
        }
        Poll::Pending
    }

    /// Takes back what [`Ticket::poll`] registered.
    pub(crate) fn forget(&self, waker: &Waker) {
        self.waiting.lock().retain(|known| !known.will_wake(waker));
    }
}
