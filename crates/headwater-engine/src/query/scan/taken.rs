//! What a scan took so far, for `explain` and the profiler.

use std::sync::Arc;

use parking_lot::Mutex;

use super::{Counts, Scan};

/// What a scan took.
#[derive(Debug, Clone, Default)]
pub struct Taken {
    /// Index entries looked at.
    pub keys: u64,
    /// Documents looked at.
    pub docs: u64,
    /// By scan of an index, in the order of the plan.
    pub scans: Vec<Counts>,
    /// Entries whose documents were looked up among those met before.
    pub tested: u64,
    /// Entries left out since their documents were met before.
    pub dropped: u64,
    /// Whether there is nothing more.
    pub ended: bool,
}

/// Where a scan that somebody else runs tells what it took.
#[derive(Debug, Clone, Default)]
pub struct Watch(Arc<Mutex<Taken>>);

impl Scan {
    /// What was taken so far.
    pub fn taken(&self) -> Taken {
        Taken {
            keys: self.keys_examined(),
            docs: self.docs_examined(),
            scans: self.counts().collect(),
            tested: self.finder.tested,
            dropped: self.finder.dropped,
            ended: self.done,
        }
    }
}

impl Watch {
    /// What the scan took when it ran last.
    pub fn taken(&self) -> Taken {
        self.0.lock().clone()
    }

    pub(super) fn note(&self, scan: &Scan) {
        *self.0.lock() = scan.taken();
    }
}
