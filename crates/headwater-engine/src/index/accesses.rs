//! How often an index was used, since when: what `$indexStats` shows. Counted anew whenever the engine is opened.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::engine::now_ms;

/// The uses of one index, shared by all versions of its description.
#[derive(Debug)]
pub struct Accesses {
    operations: AtomicI64,
    /// Milliseconds since 1970 when counting began.
    pub since_ms: i64,
}

impl Default for Accesses {
    fn default() -> Accesses {
        Accesses { operations: AtomicI64::new(0), since_ms: now_ms() }
    }
}

impl Accesses {
    /// Counts an operation that uses the index.
    #[inline]
    pub fn count(&self) {
        self.operations.fetch_add(1, Ordering::Relaxed);
    }

    /// The operations counted so far.
    pub fn operations(&self) -> i64 {
        self.operations.load(Ordering::Relaxed)
    }
}
