//! Waiting for a sequence number to be reached: blocking threads and async tasks alike, each woken
//! once its own number is reached or the store is poisoned.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

use crate::poison::Poison;
use crate::{Result, Seq};

/// Who waits: the number waited for and the waker's identity, so that registering again replaces.
type Key = (Seq, usize, usize);

pub(crate) struct Waits {
    mark: AtomicU64,
    waiting: Mutex<BTreeMap<Key, Waker>>,
    poison: Arc<Poison>,
}

impl Waits {
    pub(crate) fn new(mark: Seq, poison: Arc<Poison>) -> Waits {
        Waits { mark: AtomicU64::new(mark), waiting: Mutex::new(BTreeMap::new()), poison }
    }

    #[inline]
    pub(crate) fn mark(&self) -> Seq {
        self.mark.load(Ordering::Acquire)
    }

    /// Raises the mark and wakes whoever waits for it or less.
    pub(crate) fn reach(&self, seq: Seq) {
        self.mark.store(seq, Ordering::Release);
        let mut waiting = self.waiting();
        if waiting.first_key_value().is_none_or(|((first, ..), _)| *first > seq) {
            return;
        }
        let later = waiting.split_off(&(seq + 1, 0, 0));
        let reached = std::mem::replace(&mut *waiting, later);
        drop(waiting);
        reached.into_values().for_each(Waker::wake);
    }

    /// Wakes everyone, after the store was poisoned or closed.
    pub(crate) fn release(&self) {
        let all = std::mem::take(&mut *self.waiting());
        all.into_values().for_each(Waker::wake);
    }

    /// Whether `seq` is reached; when it isn't, `waker` is woken once it is.
    pub(crate) fn poll(&self, seq: Seq, waker: &Waker) -> Result<bool> {
        if self.mark() >= seq {
            return Ok(true);
        }
        let mut waiting = self.waiting();
        // Marks and poison are set before the lock is taken to wake, so looking at them under the
        // lock loses no wake-up.
        if self.mark() >= seq {
            return Ok(true);
        }
        self.poison.check()?;
        waiting.entry(key(seq, waker)).or_insert_with(|| waker.clone());
        Ok(false)
    }

    /// Forgets a waker that is no longer interested.
    pub(crate) fn forget(&self, seq: Seq, waker: &Waker) {
        self.waiting().remove(&key(seq, waker));
    }

    /// Blocks until `seq` is reached; false when `deadline` came first.
    pub(crate) fn wait(&self, seq: Seq, deadline: Option<Instant>) -> Result<bool> {
        if self.mark() >= seq {
            return Ok(true);
        }
        this_thread(|waker| {
            while !self.poll(seq, waker)? {
                let Some(deadline) = deadline else {
                    thread::park();
                    continue;
                };
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    self.forget(seq, waker);
                    return Ok(self.mark() >= seq);
                }
                thread::park_timeout(left);
            }
            Ok(true)
        })
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<Key, Waker>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(seq: Seq, waker: &Waker) -> Key {
    (seq, waker.data().addr(), std::ptr::from_ref(waker.vtable()).addr())
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

fn this_thread<T>(run: impl FnOnce(&Waker) -> T) -> T {
    thread_local! {
        static WAKER: OnceCell<Waker> = const { OnceCell::new() };
    }
    WAKER.with(|waker| run(waker.get_or_init(|| Waker::from(Arc::new(Unpark(thread::current()))))))
}
