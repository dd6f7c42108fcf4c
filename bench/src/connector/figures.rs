//! Medians, percentiles, processor time and memory of this process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// How often memory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Processor time of the calling thread, in nanoseconds.
pub(super) fn thread_cpu_ns() -> Result<f64, String> {
    let path = "/proc/thread-self/schedstat";
    let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    let first = text.split_whitespace().next().and_then(|first| first.parse().ok());
    first.ok_or_else(|| format!("{path} says {text}"))
}

/// The value in the middle; 0 of none.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

/// The time that so many of a thousand stayed below, in milliseconds.
pub(super) fn percentile_ms(times: &mut [Duration], per_mille: usize) -> f64 {
    times.sort_unstable();
    let at = (times.len() * per_mille / 1_000).min(times.len().saturating_sub(1));
    times.get(at).map_or(0.0, |time| time.as_secs_f64() * 1e3)
}

/// Watches how much memory of its own this process takes, beyond what it took at the beginning.
pub(super) struct Memory {
    before_kb: u64,
    peak_kb: Arc<AtomicU64>,
    stopped: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Memory {
    pub(super) fn watch() -> Memory {
        let before_kb = own_kb();
        let peak_kb = Arc::new(AtomicU64::new(before_kb));
        let stopped = Arc::new(AtomicBool::new(false));
        let (peak, stop) = (Arc::clone(&peak_kb), Arc::clone(&stopped));
        let thread = std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                peak.fetch_max(own_kb(), Ordering::Relaxed);
                std::thread::sleep(LOOK_EVERY);
            }
        });
        Memory { before_kb, peak_kb, stopped, thread: Some(thread) }
    }

    /// The most that it took, in megabytes.
    pub(super) fn peak_mb(mut self) -> f64 {
        self.stopped.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let peak = self.peak_kb.load(Ordering::Relaxed).max(own_kb());
        peak.saturating_sub(self.before_kb) as f64 / 1024.0
    }
}

/// Memory that belongs to this process alone: pages of mapped files are the system's.
fn own_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
