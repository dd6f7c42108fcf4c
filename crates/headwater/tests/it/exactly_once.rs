//! Exactly once: increments and inserts by many tasks through resets of connections and kills of the server. What was
//! acknowledged is there once, what was said not to be applied is not there.
//!
//! `HEADWATER_LONG=1` runs the whole: 20,000 of each, 200 resets, 50 kills.

mod ledger;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use headwater::bson::{Bson, Document, doc};
use headwater::mongodb::options::ClientOptions;
use headwater::{Collection, ErrorKind, Headwater, ResilienceSettings};

use self::ledger::{Entry, Kind, Ledger};
use crate::proxy::{Fault, Proxy};
use crate::serve::Serve;

/// How often a task does again what was said not to be applied.
const ROUNDS_MAX: usize = 1_000;

struct Plan {
    tasks: i64,
    /// Of each kind, by each task.
    writes: i64,
    resets: usize,
    kills: usize,
}

impl Plan {
    fn of_this_run() -> Plan {
        if std::env::var_os("HEADWATER_LONG").is_some_and(|value| value == "1") {
            Plan { tasks: 50, writes: 400, resets: 200, kills: 50 }
        } else {
            Plan { tasks: 10, writes: 50, resets: 20, kills: 4 }
        }
    }

    fn writes_all(&self) -> usize {
        2 * (self.tasks * self.writes) as usize
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r6_increments_and_inserts_happen_once_through_resets_and_kills() {
    let plan = Plan::of_this_run();
    let proxy = Proxy::waiting();
    let serve = Serve::start(&["--advertise", &proxy.address().to_string()]);
    proxy.lead_to(serve.address());
    let headwater = connect(&proxy).await;
    let counters = headwater.collection::<Document>("counters");
    // Fewer counters than tasks: they meet.
    let zeros = (0..plan.tasks / 2).map(|id| doc! { "_id": id, "n": 0_i64, "by": [] });
    counters.insert_many(zeros).await.unwrap();
    proxy.reset_counts();
    inject_resets(&proxy, &plan);

    let begun = Instant::now();
    let progress = Arc::new(AtomicUsize::new(0));
    let killer = spawn_killer(serve, &plan, &progress);
    let tasks = (0..plan.tasks).map(|task| {
        let writer = Writer { headwater: headwater.clone(), task, counters: plan.tasks / 2 };
        tokio::spawn(writer.write(plan.writes, Arc::clone(&progress)))
    });
    let mut ledger = Ledger::default();
    for task in tasks.collect::<Vec<_>>() {
        ledger.extend(task.await.unwrap());
    }
    let took = begun.elapsed();
    let mut serve = killer.await.unwrap();
    // What was acknowledged last is there after a kill too.
    tokio::task::block_in_place(|| serve.restart());
    let sent = ["update", "findAndModify", "insert"].map(|command| proxy.requests(command));
    let sent: usize = sent.iter().sum();
    println!("{} resets, {} kills and one at the end, {took:.1?}", proxy.faults(), plan.kills);
    println!("{sent} requests arrived for {} writes; {ledger}", plan.writes_all());
    assert_eq!(proxy.faults(), plan.resets);
    let direct = Headwater::connect(proxy.direct_uri()).await.unwrap();
    ledger.check_increments(&all(&direct, "counters").await);
    ledger.check_inserts(&all(&direct, "things").await);
    assert_eq!(ledger.len(), plan.writes_all());
    assert!(ledger.acknowledged() * 10 >= plan.writes_all() * 9, "{ledger}");
}

async fn connect(proxy: &Proxy) -> Headwater {
    let uri = proxy.uri_with("serverSelectionTimeoutMS=5000");
    let mut settings = ResilienceSettings::default();
    settings.retry.base = Duration::from_millis(10);
    settings.retry.deadline = Duration::from_secs(20);
    settings.breaker.open = Duration::from_millis(100);
    Headwater::connect_with_settings(ClientOptions::parse(uri).await.unwrap(), settings).unwrap()
}

/// Half of the resets before the server sees a request, half after it has done it.
fn inject_resets(proxy: &Proxy, plan: &Plan) {
    // Three times as likely as needed, so that all have struck before the end.
    let chance = 1.5 * plan.resets as f64 / plan.writes_all() as f64;
    for (seed, fault) in [(1, Fault::ResetBefore), (2, Fault::ResetAfter)] {
        let rule = fault.on("update").on("findAndModify").on("insert");
        proxy.inject(rule.chance(chance).seed(seed).times(plan.resets / 2));
    }
}

/// Kills the server and starts it again, evenly over the writes; gives it back when it has done so.
fn spawn_killer(
    mut serve: Serve,
    plan: &Plan,
    progress: &Arc<AtomicUsize>,
) -> tokio::task::JoinHandle<Serve> {
    let (kills, writes, progress) = (plan.kills, plan.writes_all(), Arc::clone(progress));
    tokio::task::spawn_blocking(move || {
        for kill in 1..=kills {
            while progress.load(Ordering::SeqCst) < writes * kill / (kills + 1) {
                std::thread::sleep(Duration::from_millis(1));
            }
            serve.kill();
            serve.restart();
        }
        serve
    })
}

/// One of the tasks.
struct Writer {
    headwater: Headwater,
    task: i64,
    counters: i64,
}

impl Writer {
    /// Writes so many of each kind and tells what the connector said of each.
    async fn write(self, writes: i64, progress: Arc<AtomicUsize>) -> Vec<Entry> {
        let counters = self.headwater.collection::<Document>("counters");
        let things = self.headwater.collection::<Document>("things");
        let mut entries = Vec::new();
        for n in 0..writes {
            let key = self.task * 1_000_000 + n;
            let counter = (self.task + n) % self.counters;
            let entry = settle(Kind::Increment { counter }, key, || async {
                match n % 2 {
                    0 => increment(&counters, counter, key).await,
                    _ => increment_and_get(&counters, counter, key).await,
                }
            });
            entries.push(entry.await);
            progress.fetch_add(1, Ordering::SeqCst);
            let entry = settle(Kind::Insert, key, || async {
                let id = things.insert_one(ledger::document(key)).await?;
                assert_eq!(id, Bson::Int64(key));
                Ok(())
            });
            entries.push(entry.await);
            progress.fetch_add(1, Ordering::SeqCst);
        }
        entries
    }
}

/// Does it until it is done or the outcome is unknown: what is said not to be applied is done again, so that a lie
/// shows as a double.
async fn settle<F>(kind: Kind, key: i64, mut write: impl FnMut() -> F) -> Entry
where
    F: Future<Output = headwater::Result<()>>,
{
    let mut entry = Entry { kind, key, acknowledged: true, refusals: 0 };
    while let Err(error) = write().await {
        if error.is_outcome_unknown() {
            entry.acknowledged = false;
            break;
        }
        assert_ne!(error.kind(), ErrorKind::DuplicateKey, "a refusal before was none: {error:?}");
        let is_passing = error.is_unreachable() || error.kind() == ErrorKind::CircuitOpen;
        assert!(is_passing, "{error:?}");
        entry.refusals += 1;
        assert!(entry.refusals < ROUNDS_MAX, "{error:?}");
        let pause = Duration::from_millis(10);
        tokio::time::sleep(error.retry_after().unwrap_or(pause)).await;
    }
    entry
}

async fn increment(
    counters: &Collection<Document>,
    counter: i64,
    key: i64,
) -> headwater::Result<()> {
    let result = counters.update_by_id(counter, ledger::step(key)).await?;
    assert_eq!((result.matched_count, result.modified_count), (1, 1));
    Ok(())
}

async fn increment_and_get(
    counters: &Collection<Document>,
    counter: i64,
    key: i64,
) -> headwater::Result<()> {
    let filter = doc! { "_id": counter };
    let after = counters.find_one_and_update(filter, ledger::step(key)).await?.unwrap();
    let by = after.get_array("by").unwrap();
    // The reply is that of the one time that it was applied, however often it was sent.
    assert_eq!(by.last(), Some(&Bson::Int64(key)), "{after}");
    assert_eq!(after.get_i64("n").unwrap(), by.len() as i64);
    Ok(())
}

async fn all(headwater: &Headwater, name: &str) -> Vec<Document> {
    headwater.collection(name).find_many(doc! {}).sort(doc! { "_id": 1 }).await.unwrap()
}
