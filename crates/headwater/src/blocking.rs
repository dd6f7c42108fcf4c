//! The blocking form: the same calls, waited for on the calling thread. Knows nothing of what is waited for.
//!
//! Every call that can be awaited can be waited for: `.wait()` instead of `.await`, and [`Wait::wait`] or
//! [`WaitEach::wait_each`] instead of a `while let` over a stream. The connector runs on a runtime of this module, which
//! the process starts with the first call and keeps; so the pool, the heartbeats and the embedded database go on between
//! calls.
//!
//! ```
//! # #[cfg(feature = "embedded")]
//! # fn main() -> headwater::Result<()> {
//! use headwater::Headwater;
//! use headwater::blocking::{Wait, WaitEach};
//! use headwater::bson::{Document, doc};
//!
//! let headwater = Headwater::open_in_memory().wait()?;
//! let numbers = headwater.collection::<Document>("numbers");
//! numbers.insert_many((0..10).map(|n| doc! { "n": n })).wait()?;
//! let mut sum = 0;
//! for number in numbers.find(doc! { "n": { "$gt": 4 } }).batch_size(2).wait()?.wait_each() {
//!     sum += number?.get_i32("n").unwrap_or(0);
//! }
//! assert_eq!(sum, 5 + 6 + 7 + 8 + 9);
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "embedded"))]
//! # fn main() {}
//! ```

use std::sync::LazyLock;

use futures_util::{Stream, StreamExt};
use tokio::runtime::{Builder, Runtime};

/// Threads that serve connections; waiting itself happens on the caller's thread.
const THREADS: usize = 2;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let runtime = Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("headwater-blocking")
        .enable_all()
        .build();
    runtime.unwrap_or_else(|error| panic!("threads for blocking calls cannot be started: {error}"))
});

/// Waiting on the calling thread for whatever can be awaited.
pub trait Wait: IntoFuture {
    /// Blocks this thread until the call has ended, no longer than its deadline.
    ///
    /// # Panics
    /// On a thread of an asynchronous runtime, which must not be blocked, and if the first call of the process cannot
    /// start threads.
    fn wait(self) -> Self::Output;
}

impl<F: IntoFuture> Wait for F {
    fn wait(self) -> F::Output {
        // The call begins inside of the runtime: some of them start their work when they are made.
        RUNTIME.block_on(async { self.await })
    }
}

/// Waiting on the calling thread for the items of a stream.
pub trait WaitEach: Stream + Unpin + Sized {
    /// An iterator over the stream's items that blocks this thread for each one that isn't there yet.
    fn wait_each(self) -> Each<Self>;
}

impl<S: Stream + Unpin> WaitEach for S {
    fn wait_each(self) -> Each<S> {
        Each(self)
    }
}

/// The items of a stream, waited for one by one. Dropping it drops the stream.
///
/// # Panics
/// As [`Wait::wait`].
#[derive(Debug)]
pub struct Each<S: Stream>(S);

impl<S: Stream + Unpin> Iterator for Each<S> {
    type Item = S::Item;

    fn next(&mut self) -> Option<S::Item> {
        RUNTIME.block_on(self.0.next())
    }
}
