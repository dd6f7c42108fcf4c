//! Threads that wait as tasks do: parked until a waker wakes them. Knows nothing of what is waited for.

use std::sync::Arc;
use std::task::{Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// A waker that unparks a thread.
pub(crate) fn unparker(thread: Thread) -> Waker {
    Waker::from(Arc::new(Unpark(thread)))
}

/// Parks this thread until `poll` is ready.
///
/// # Errors
/// The deadline has passed: the waker that `poll` got, so that its registration can be taken back.
pub(super) fn park_until<T>(
    deadline: Instant,
    mut poll: impl FnMut(&Waker) -> Poll<T>,
) -> Result<T, Waker> {
    let waker = unparker(thread::current());
    loop {
        if let Poll::Ready(ready) = poll(&waker) {
            return Ok(ready);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(waker);
        }
        thread::park_timeout(left);
    }
}
