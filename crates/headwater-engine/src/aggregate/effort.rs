//! How pipelines are run: what may be changed about one before it runs, and on how many threads it may.
//!
//! Knows no stage. The answers are the same whatever is set, and tests compare them.

use std::sync::LazyLock;

/// How pipelines are run.
///
/// ```
/// use headwater_engine::{Aggregation, Engine, EngineOptions};
///
/// let aggregation = Aggregation { rewrites: false, threads: 1, ..Aggregation::default() };
/// let options = EngineOptions { aggregation, ..EngineOptions::default() };
/// let engine = Engine::open_in_memory(options)?;
/// # Ok::<(), headwater_engine::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aggregation {
    /// Whether stages are moved, merged and given to the planner. Without it a pipeline runs as it was written.
    pub rewrites: bool,
    /// Threads of one pipeline at most. Default: those of the machine, at most 2.
    pub threads: usize,
    /// The fewest documents of a collection whose pipelines run on several threads. Default 100,000.
    pub parallel_documents_min: u64,
}

/// Threads of one pipeline at most, if nothing else is asked for.
const THREADS_MAX: usize = 2;

impl Default for Aggregation {
    fn default() -> Aggregation {
        static MACHINE: LazyLock<usize> =
            LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from));
        Aggregation {
            rewrites: true,
            threads: (*MACHINE).min(THREADS_MAX),
            parallel_documents_min: 100_000,
        }
    }
}
