//! The profiler: which operations of which databases are kept in `system.profile`, and which are slow enough for the log.
//! Knows what commands tell of themselves; does not know how they run.
//!
//! What is kept waits in memory until somebody reads `system.profile`, or for the next round of housekeeping: an
//! operation never waits for its own record.

mod entry;
mod insight;
mod noted;
mod redacted;
mod store;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};

pub use entry::Operation;
pub use insight::{Insight, begin, recalled, took, took_id};
pub use noted::{Noted, begun, held, is_noted};

use crate::aggregate::random::Random;
use crate::bson::DocBuf;
use crate::engine::{Client, Shared};
use crate::limits::{PROFILE_WAITING_BYTES_MAX, SLOW_MS};
use crate::query::matcher::Matcher;
use crate::request::{Request, Step};

/// The collection of a database that holds what was kept.
pub const COLLECTION: &str = "system.profile";

/// What is kept of one database.
#[derive(Debug, Clone, Default)]
pub struct Level {
    /// 0 for nothing, 1 for what is slow, 2 for everything.
    pub level: i32,
    /// Which operations instead, if that is said.
    pub filter: Option<Arc<Matcher>>,
}

/// The profiler of a node. Levels last until the node ends.
#[derive(Debug)]
pub struct Profiler {
    slow_ms: AtomicI64,
    /// The part of slow operations that is looked at, as bits of a double.
    sample_rate: AtomicU64,
    levels: RwLock<BTreeMap<String, Level>>,
    /// Whether any database keeps anything.
    keeps: AtomicBool,
    waiting: Mutex<Waiting>,
    /// How many operations wait, to be asked without the lock.
    count: AtomicUsize,
}

#[derive(Debug, Default)]
struct Waiting {
    entries: VecDeque<(String, DocBuf)>,
    bytes: usize,
}

impl Default for Profiler {
    fn default() -> Profiler {
        Profiler {
            slow_ms: AtomicI64::new(SLOW_MS),
            sample_rate: AtomicU64::new(1_f64.to_bits()),
            levels: RwLock::default(),
            keeps: AtomicBool::new(false),
            waiting: Mutex::default(),
            count: AtomicUsize::new(0),
        }
    }
}

impl Profiler {
    /// Milliseconds from which on an operation is slow.
    pub fn slow_ms(&self) -> i64 {
        self.slow_ms.load(Ordering::Relaxed)
    }

    /// Sets from when on an operation is slow, on all databases.
    pub fn set_slow_ms(&self, slow_ms: i64) {
        self.slow_ms.store(slow_ms, Ordering::Relaxed);
    }

    /// The part of slow operations that is looked at, from 0 to 1.
    pub fn sample_rate(&self) -> f64 {
        f64::from_bits(self.sample_rate.load(Ordering::Relaxed))
    }

    /// Sets the part of slow operations that is looked at, on all databases.
    pub fn set_sample_rate(&self, rate: f64) {
        self.sample_rate.store(rate.to_bits(), Ordering::Relaxed);
    }

    /// What is kept of a database.
    pub fn level(&self, db: &str) -> Level {
        self.levels.read().get(db).cloned().unwrap_or_default()
    }

    /// Sets what is kept of a database.
    pub fn set_level(&self, db: &str, level: Level) {
        let mut levels = self.levels.write();
        levels.insert(db.to_owned(), level);
        let keeps = levels.values().any(|level| level.level > 0 || level.filter.is_some());
        self.keeps.store(keeps, Ordering::Relaxed);
    }

    /// Whether anything waits to be read from `system.profile`.
    pub fn is_waiting(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }

    /// Looks at an operation that has ended: keeps it, or writes it to the log.
    pub fn ended(
        &self,
        shared: &Shared,
        client: &Client,
        request: &Request<'_>,
        started: Instant,
        step: &Step,
    ) {
        let took = started.elapsed();
        let is_slow = took >= self.threshold();
        if !is_slow && !self.keeps.load(Ordering::Relaxed) {
            return;
        }
        let (Step::Done(reply) | Step::WhenDurable { reply, .. }) = step else { return };
        let Some(operation) = Operation::of(shared, client, request, reply.as_doc(), took) else {
            return;
        };
        self.judge(shared, &operation, is_slow);
    }

    #[cold]
    fn judge(&self, shared: &Shared, operation: &Operation<'_>, is_slow: bool) {
        let Level { level, filter } = self.level(operation.db);
        let document = operation.document(shared);
        let (keeps, logs) = match filter {
            Some(filter) => {
                let matches = filter.matches(document.as_doc()).unwrap_or(false);
                (matches && level > 0, matches)
            }
            None => {
                let logs = is_slow && self.is_sampled();
                (level == 2 || level == 1 && logs, logs)
            }
        };
        if logs {
            operation.log(shared);
        }
        if keeps {
            self.keep(operation.db, document);
        }
    }

    fn threshold(&self) -> Duration {
        match u64::try_from(self.slow_ms()) {
            Ok(ms) => Duration::from_millis(ms),
            Err(_) => Duration::ZERO,
        }
    }

    fn is_sampled(&self) -> bool {
        let rate = self.sample_rate();
        rate >= 1.0 || Random::new().unit() < rate
    }

    /// Puts a record to those that wait; when there is no room, the oldest goes.
    fn keep(&self, db: &str, document: DocBuf) {
        let mut waiting = self.waiting.lock();
        waiting.bytes += document.as_doc().as_bytes().len();
        waiting.entries.push_back((db.to_owned(), document));
        while waiting.bytes > PROFILE_WAITING_BYTES_MAX
            && let Some((_, oldest)) = waiting.entries.pop_front()
        {
            waiting.bytes -= oldest.as_doc().as_bytes().len();
        }
        self.count.store(waiting.entries.len(), Ordering::Relaxed);
    }

    /// Takes what waits.
    fn take(&self) -> VecDeque<(String, DocBuf)> {
        let taken = std::mem::take(&mut *self.waiting.lock());
        self.count.store(0, Ordering::Relaxed);
        taken.entries
    }
}
