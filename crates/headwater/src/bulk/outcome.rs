//! What became of a load so far: counts, failures, and up to where everything is settled.

use std::collections::BTreeMap;

use super::BulkProgress;
use super::batch::Outcome;
use crate::error::details::BulkFailure;
use crate::error::{Error, Result};

pub(super) struct Tally {
    pub(super) progress: BulkProgress,
    failure: BulkFailure,
    /// The first error that was one of a whole batch.
    trouble: Option<Error>,
    /// Settled stretches behind the first gap.
    beyond: BTreeMap<usize, usize>,
}

impl Tally {
    pub(super) fn new(start: usize) -> Tally {
        let progress = BulkProgress { read: start, settled: start, ..BulkProgress::default() };
        Tally { progress, failure: BulkFailure::default(), trouble: None, beyond: BTreeMap::new() }
    }

    /// Adds what became of a batch; true if no further one is to begin.
    pub(super) fn add(&mut self, outcome: Outcome, ordered: bool) -> bool {
        let Outcome { start, end, failure, trouble } = outcome;
        let open = failure.unknown.iter().chain(&failure.unprocessed).min().copied();
        self.settle(start, open.unwrap_or(end));
        self.progress.batches += 1;
        self.progress.read = self.progress.read.max(end);
        self.progress.inserted += failure.counts.inserted;
        self.progress.failed += failure.items.len();
        let stop = trouble.is_some() || ordered && !failure.items.is_empty();
        if let Some(trouble) = trouble {
            self.trouble.get_or_insert(trouble);
        }
        self.failure.items.extend(failure.items);
        self.failure.unknown.extend(failure.unknown);
        self.failure.unprocessed.extend(failure.unprocessed);
        self.failure.counts.inserted += failure.counts.inserted;
        stop
    }

    fn settle(&mut self, start: usize, end: usize) {
        if end > start {
            self.beyond.insert(start, end);
        }
        while let Some(end) = self.beyond.remove(&self.progress.settled) {
            self.progress.settled = end;
        }
    }

    /// The result of the whole load.
    pub(super) fn close(mut self) -> Result<BulkProgress> {
        if self.trouble.is_none() && self.failure.items.is_empty() {
            return Ok(self.progress);
        }
        self.failure.items.sort_by_key(|item| item.index);
        self.failure.unknown.sort_unstable();
        self.failure.unprocessed.sort_unstable();
        self.failure.resume_at = Some(self.progress.settled);
        match self.trouble {
            Some(trouble) => Err(trouble.with_bulk(self.failure)),
            None => Err(Error::several(self.failure)),
        }
    }
}
