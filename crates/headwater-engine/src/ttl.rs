//! Documents that expire: a thread of its own looks now and then which ones are due, and removes them a few at a time, so
//! that writers come in between. Knows nothing of clients.

mod indexed;
mod series;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use series::Series;

use crate::bson::{Doc, Number, Raw, View};
use crate::catalog::Collection;
use crate::collection::RecordId;
use crate::commands::remove_document;
use crate::engine::{Shared, WriteGuard, now_ms};
use crate::error::{Code, Error, Result};
use crate::index::Index;

/// Time between two looks whether a pass is due.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Documents that are removed under one hold of the writer.
const CHUNK: usize = 50;

/// Parameters and counters of the passes.
#[derive(Debug)]
pub struct Ttl {
    /// Milliseconds between two passes (`ttlMonitorSleepSecs`).
    sleep_ms: AtomicU64,
    /// Whether there are passes at all (`ttlMonitorEnabled`).
    pub enabled: AtomicBool,
    /// Documents removed.
    pub deleted: AtomicI64,
    /// Passes done.
    pub passes: AtomicI64,
    /// Indexes that say they expire documents and cannot, counted in each pass.
    pub invalid: AtomicI64,
}

impl Ttl {
    /// With so much time between two passes.
    pub(crate) fn new(sleep: Duration) -> Ttl {
        let ttl = Ttl {
            sleep_ms: AtomicU64::new(0),
            enabled: AtomicBool::new(true),
            deleted: AtomicI64::new(0),
            passes: AtomicI64::new(0),
            invalid: AtomicI64::new(0),
        };
        ttl.set_sleep(sleep);
        ttl
    }

    /// Time between two passes.
    pub fn sleep(&self) -> Duration {
        Duration::from_millis(self.sleep_ms.load(Ordering::Relaxed))
    }

    /// Sets the time between two passes.
    pub fn set_sleep(&self, sleep: Duration) {
        let ms = u64::try_from(sleep.as_millis()).unwrap_or(u64::MAX);
        self.sleep_ms.store(ms, Ordering::Relaxed);
    }
}

/// Starts the thread. It ends with the engine.
///
/// # Errors
/// The thread cannot be started.
pub(crate) fn start(shared: &Arc<Shared>) -> Result<JoinHandle<()>> {
    let weak = Arc::downgrade(shared);
    let thread = std::thread::Builder::new().name("ttl".to_owned());
    thread.spawn(move || run(&weak)).map_err(|error| {
        let message = format!("the thread that expires documents cannot be started: {error}");
        Error::new(Code::INTERNAL_ERROR, message)
    })
}

fn run(weak: &Weak<Shared>) {
    let mut sweep = Sweep::default();
    let mut last = Instant::now();
    loop {
        let Some(look_every) = weak.upgrade().map(|shared| shared.ttl.sleep().min(LOOK_EVERY))
        else {
            return;
        };
        // Closing unparks it.
        std::thread::park_timeout(look_every);
        let Some(shared) = weak.upgrade() else { return };
        if shared.is_closing() {
            return;
        }
        if shared.ttl.enabled.load(Ordering::Relaxed) && last.elapsed() >= shared.ttl.sleep() {
            // A failure here is the store's: every command says so from then on.
            let _ = sweep.pass(&shared);
            last = Instant::now();
        }
    }
}

/// What is known from one pass to the next.
#[derive(Default)]
struct Sweep {
    series: HashMap<u32, Series>,
}

impl Sweep {
    fn pass(&mut self, shared: &Shared) -> Result<()> {
        let catalog = shared.catalog();
        let all = catalog.databases().flat_map(|db| catalog.collections(db));
        let mut there = HashMap::new();
        for collection in all {
            for index in &collection.indexes {
                match seconds(index) {
                    None => {}
                    Some(_) if indexed::is_usable(index) => {
                        indexed::sweep(shared, collection, index.id, &|_, index| seconds(index))?;
                    }
                    Some(_) => {
                        shared.ttl.invalid.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
            self.whole(shared, collection, &mut there)?;
        }
        self.series = there;
        shared.ttl.passes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Collections that expire as a whole: clustered ones by `_id`, time series by their time.
    fn whole(
        &mut self,
        shared: &Shared,
        collection: &Arc<Collection>,
        there: &mut HashMap<u32, Series>,
    ) -> Result<()> {
        let settings = &collection.settings;
        if settings.expire_after_s.is_none() {
            return Ok(());
        }
        let field = settings.time_series.as_ref().map_or("_id", |series| &*series.time_field);
        let leads = |index: &&Arc<Index>| {
            let first = index.key_pattern().first();
            indexed::is_usable(index) && first.is_some_and(|first| first.name == field.as_bytes())
        };
        if let Some(index) = collection.indexes.iter().find(leads) {
            return indexed::sweep(shared, collection, index.id, &|now, _| {
                now.settings.expire_after_s
            });
        }
        let mut series = self.series.remove(&collection.id).unwrap_or_default();
        let swept = series.sweep(shared, collection);
        there.insert(collection.id, series);
        swept
    }
}

/// After how many seconds an index expires documents.
fn seconds(index: &Index) -> Option<i64> {
    let after = index.spec.as_doc().get("expireAfterSeconds").and_then(Number::from_raw)?;
    Some(after.to_i64_saturating())
}

/// Dates up to this one are due, in milliseconds.
fn cutoff_ms(after_s: i64) -> i64 {
    now_ms().saturating_sub(after_s.saturating_mul(1000))
}

/// Whether passes must end now.
fn is_over(shared: &Shared) -> bool {
    shared.is_closing() || !shared.ttl.enabled.load(Ordering::Relaxed)
}

/// The collection as the writer sees it, if it is still the same.
fn now(guard: &WriteGuard<'_>, old: &Collection) -> Option<Arc<Collection>> {
    let catalog = guard.catalog();
    let now = catalog.collection(old.namespace.db(), old.namespace.collection());
    now.filter(|now| now.id == old.id).cloned()
}

fn remove(
    shared: &Shared,
    guard: &mut WriteGuard<'_>,
    collection: &Collection,
    record: RecordId,
    doc: Doc<'_>,
) -> Result<()> {
    remove_document(guard, collection, record, doc, &mut None, 0, Default::default())?;
    shared.ttl.deleted.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

fn date(raw: Raw<'_>) -> Option<i64> {
    match raw.view() {
        View::Date(ms) => Some(ms),
        _ => None,
    }
}
