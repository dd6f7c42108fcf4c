//! Durations counted under fixed limits, as Prometheus takes them. Knows nothing of what took so long.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper limits of the buckets, in microseconds: from 50 µs to 30 s. What took longer has a bucket of its own.
pub(crate) const LIMITS_US: [u64; 18] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000,
];

/// Counts durations; several threads may at once.
#[derive(Default)]
pub(crate) struct Histogram {
    counts: [AtomicU64; LIMITS_US.len() + 1],
    sum_ns: AtomicU64,
}

/// A histogram at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    /// How many took at most as long as the limit of the same place; the last one is the count of all.
    pub(crate) cumulative: [u64; LIMITS_US.len() + 1],
    /// All of them together.
    pub(crate) sum: Duration,
}

impl Histogram {
    pub(crate) fn record(&self, took: Duration) {
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let place = LIMITS_US.partition_point(|limit| limit * 1_000 < ns);
        self.counts[place].fetch_add(1, Ordering::Relaxed);
        self.sum_ns.fetch_add(ns, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Reading {
        let mut cumulative = [0; LIMITS_US.len() + 1];
        let mut seen = 0;
        for (place, count) in cumulative.iter_mut().zip(&self.counts) {
            seen += count.load(Ordering::Relaxed);
            *place = seen;
        }
        Reading { cumulative, sum: Duration::from_nanos(self.sum_ns.load(Ordering::Relaxed)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r23_a_limit_belongs_to_its_own_bucket() {
        let histogram = Histogram::default();
        for us in [1, 50, 51, 100, 30_000_000, 30_000_001] {
            histogram.record(Duration::from_micros(us));
        }
        let reading = histogram.read();
        assert_eq!(reading.cumulative[..3], [2, 4, 4]);
        assert_eq!(reading.cumulative[17..], [5, 6]);
        assert_eq!(reading.sum, Duration::from_micros(60_000_203));
    }
}
