//! Counts and latencies of operations since the start, by the name of the operation. Latencies go into buckets whose
//! width is an eighth of their value, so percentiles cost no memory of their own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::RwLock;

use crate::histogram::{Histogram, Reading};
use crate::observe::OperationMetrics;

/// Each power of two of microseconds is cut into so many buckets.
const PARTS: u64 = 8;
/// From 1 µs to more than an hour.
const BUCKETS: usize = 33 * PARTS as usize;

/// What one kind of operation did since the start.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OperationStats {
    /// The name of the operation, such as `insert_one`.
    pub operation: &'static str,
    /// Calls that succeeded.
    pub success: u64,
    /// Calls that failed.
    pub error: u64,
    /// Attempts after the first one of a call.
    pub retries: u64,
    /// The time that half of the calls stayed below.
    pub p50: Duration,
    /// The time that nine of ten calls stayed below.
    pub p90: Duration,
    /// The time that 99 of 100 calls stayed below.
    pub p99: Duration,
    /// The longest call.
    pub max: Duration,
}

/// The figures of all operations.
#[derive(Default)]
pub(crate) struct Statistics {
    operations: RwLock<BTreeMap<&'static str, Arc<Figures>>>,
    streamed: AtomicU64,
}

/// What one kind of operation did since the start, as metrics tell it.
pub(crate) struct OperationReading {
    pub(crate) success: u64,
    pub(crate) error: u64,
    pub(crate) retries: u64,
    pub(crate) took: Reading,
}

/// What one kind of operation did since the start, counted on.
pub(crate) struct Figures {
    metrics: OperationMetrics,
    success: AtomicU64,
    error: AtomicU64,
    retries: AtomicU64,
    took: Histogram,
    max_us: AtomicU64,
    buckets: [AtomicU64; BUCKETS],
}

impl Statistics {
    /// An attempt of the operation failed and another one follows.
    pub(crate) fn note_retry(&self, operation: &'static str) {
        self.figures(operation).retries.fetch_add(1, Ordering::Relaxed);
    }

    /// A cursor gave so many documents.
    pub(crate) fn note_streamed(&self, documents: u64) {
        self.streamed.fetch_add(documents, Ordering::Relaxed);
    }

    pub(crate) fn streamed(&self) -> u64 {
        self.streamed.load(Ordering::Relaxed)
    }

    pub(crate) fn readings(&self) -> Vec<(&'static str, OperationReading)> {
        let operations = self.operations.read();
        operations.iter().map(|(name, figures)| (*name, figures.reading())).collect()
    }

    pub(crate) fn figures(&self, operation: &'static str) -> Arc<Figures> {
        let figures = self.operations.read().get(operation).cloned();
        figures.unwrap_or_else(|| {
            self.operations
                .write()
                .entry(operation)
                .or_insert_with(|| Arc::new(Figures::new(operation)))
                .clone()
        })
    }

    pub(crate) fn read(&self) -> Vec<OperationStats> {
        self.operations.read().iter().map(|(name, figures)| figures.stats(name)).collect()
    }
}

impl Figures {
    fn new(operation: &'static str) -> Figures {
        Figures {
            metrics: OperationMetrics::new(operation),
            success: AtomicU64::new(0),
            error: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            took: Histogram::default(),
            max_us: AtomicU64::new(0),
            buckets: [const { AtomicU64::new(0) }; BUCKETS],
        }
    }

    pub(crate) fn metrics(&self) -> &OperationMetrics {
        &self.metrics
    }

    /// A call ended.
    pub(crate) fn note(&self, took: Duration, succeeded: bool) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let count = if succeeded { &self.success } else { &self.error };
        count.fetch_add(1, Ordering::Relaxed);
        self.max_us.fetch_max(us, Ordering::Relaxed);
        self.buckets[bucket(us)].fetch_add(1, Ordering::Relaxed);
        self.took.record(took);
    }

    fn reading(&self) -> OperationReading {
        OperationReading {
            success: self.success.load(Ordering::Relaxed),
            error: self.error.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
            took: self.took.read(),
        }
    }

    fn stats(&self, operation: &'static str) -> OperationStats {
        let counts: Vec<u64> =
            self.buckets.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let max = self.max_us.load(Ordering::Relaxed);
        let below = |share: f64| Duration::from_micros(percentile(&counts, share).min(max));
        OperationStats {
            operation,
            success: self.success.load(Ordering::Relaxed),
            error: self.error.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
            p50: below(0.5),
            p90: below(0.9),
            p99: below(0.99),
            max: Duration::from_micros(max),
        }
    }
}

/// Where a time belongs: its power of two, and the part of that.
fn bucket(us: u64) -> usize {
    let us = us.max(1);
    let power = us.ilog2();
    let part = if power >= 3 { (us >> (power - 3)) - PARTS } else { (us << (3 - power)) - PARTS };
    ((u64::from(power) * PARTS + part) as usize).min(BUCKETS - 1)
}

/// The upper end of a bucket, in microseconds.
fn upper_end(bucket: usize) -> u64 {
    let (power, part) = (bucket as u64 / PARTS, bucket as u64 % PARTS);
    ((PARTS + part + 1) << power) / PARTS
}

fn percentile(counts: &[u64], share: f64) -> u64 {
    let all: u64 = counts.iter().sum();
    let wanted = (all as f64 * share).ceil() as u64;
    let mut seen = 0;
    for (bucket, count) in counts.iter().enumerate() {
        seen += count;
        if seen >= wanted.max(1) {
            return upper_end(bucket);
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r21_percentiles_are_close_above_the_truth() {
        let statistics = Statistics::default();
        for us in 1..=10_000 {
            statistics.figures("find").note(Duration::from_micros(us), us % 10 != 0);
        }
        let stats = &statistics.read()[0];
        assert_eq!((stats.operation, stats.success, stats.error), ("find", 9_000, 1_000));
        for (found, truth) in [(stats.p50, 5_000), (stats.p90, 9_000), (stats.p99, 9_900)] {
            let us = found.as_micros() as u64;
            assert!(us >= truth && us <= truth * 9 / 8 + 1, "{us} for {truth}");
        }
        assert_eq!(stats.max, Duration::from_micros(10_000));
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }
}
