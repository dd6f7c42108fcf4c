//! Durable inserts of four threads beside work in the background: documents that expire, a large collection that was
//! dropped.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use headwater_engine::bson::{DocBuf, DocWriter, Number, Raw};

use super::{Database, Plan};

const WRITERS: u64 = 4;
/// How long inserts are measured alone, and beside bytes that go after a drop.
const ALONE: Duration = Duration::from_secs(8);
/// Documents that expire.
const EXPIRING: u64 = 100_000;
/// How many times its time alone an insert may take beside.
const REACH: f64 = 2.0;

/// Inserts of a while: how many a second, and how long they took.
struct Inserts {
    per_second: f64,
    p50_us: f64,
    p99_us: f64,
}

pub(super) fn expiring(plan: &Plan) -> Result<(), String> {
    let database = Database::open(plan)?;
    database.insert(0, EXPIRING, 1000)?;
    let alone = database.inserts(0, |begun| Ok(begun.elapsed() >= ALONE))?;
    database.run("createIndexes", |create| {
        create.array("indexes", |rows| {
            rows.document(|spec| {
                spec.document("key", |key| key.i32("at", 1));
                spec.str("name", "at_1");
                spec.i32("expireAfterSeconds", 1);
            });
        });
    })?;
    database.admin(|set| {
        set.i32("setParameter", 1);
        set.i32("ttlMonitorSleepSecs", 1);
    })?;
    let from = Instant::now();
    let beside = database.inserts(1, |_| Ok(database.expired()? >= EXPIRING as f64))?;
    let took = from.elapsed().as_secs_f64();
    head(&format!("{EXPIRING} documents of 1 KB expire, in {took:.1} s"));
    show("alone", &alone, &alone);
    show("beside", &beside, &alone);
    Ok(())
}

pub(super) fn dropping(plan: &Plan) -> Result<(), String> {
    let database = Database::open(plan)?;
    database.insert(0, plan.documents, 1000)?;
    database.create(&["number"])?;
    let alone = database.inserts(0, |begun| Ok(begun.elapsed() >= ALONE))?;
    database.run("drop", |_| {})?;
    let beside = database.inserts(1, |begun| Ok(begun.elapsed() >= ALONE))?;
    head(&format!("a collection of {} documents with an index was dropped", plan.documents));
    show("before", &alone, &alone);
    show("behind", &beside, &alone);
    Ok(())
}

fn head(what: &str) {
    println!(
        "| durable inserts, {WRITERS} threads; {what} | per second | p50 us | p99 us | x p99 | reach |"
    );
    println!("|---|---|---|---|---|---|");
}

fn show(name: &str, row: &Inserts, alone: &Inserts) {
    let Inserts { per_second, p50_us, p99_us } = row;
    let times = p99_us / alone.p99_us;
    println!("| {name} | {per_second:.0} | {p50_us:.0} | {p99_us:.0} | {times:.2} | {REACH} |");
}

impl Database {
    fn admin(&self, fill: impl FnOnce(&mut DocWriter)) -> Result<DocBuf, String> {
        let mut command = DocWriter::new();
        fill(&mut command);
        command.str("$db", "admin");
        self.answer(command)
    }

    fn expired(&self) -> Result<f64, String> {
        let reply = self.admin(|status| status.i32("serverStatus", 1))?;
        let ttl = reply.as_doc().get("metrics").and_then(Raw::as_doc);
        let ttl = ttl.and_then(|metrics| metrics.get("ttl")).and_then(Raw::as_doc);
        let count = ttl.and_then(|ttl| ttl.get("deletedDocuments")).and_then(Number::from_raw);
        count.map(Number::to_f64).ok_or_else(|| "no count of expired documents".to_owned())
    }

    /// Inserts into a collection of its own until it is over.
    fn inserts(
        &self,
        run: u64,
        is_over: impl Fn(Instant) -> Result<bool, String>,
    ) -> Result<Inserts, String> {
        let (over, begun) = (AtomicBool::new(false), Instant::now());
        let (took, waited) = std::thread::scope(|scope| {
            let writer = |writer: u64| {
                let over = &over;
                scope.spawn(move || self.insert_until(over, (run * WRITERS + writer) << 40))
            };
            let writers: Vec<_> = (0..WRITERS).map(writer).collect();
            let waited = loop {
                match is_over(begun) {
                    Ok(false) => std::thread::sleep(Duration::from_millis(50)),
                    result => break result,
                }
            };
            over.store(true, Ordering::Relaxed);
            let joined = writers.into_iter().map(|writer| writer.join());
            let all: Result<Vec<_>, String> =
                joined.map(|took| took.map_err(|_| "a writer panicked".to_owned())?).collect();
            (all, waited)
        });
        waited?;
        let elapsed = begun.elapsed().as_secs_f64();
        let mut all: Vec<Duration> = took?.concat();
        all.sort_unstable();
        let at = |share: f64| {
            let place = (all.len() as f64 * share) as usize;
            all.get(place).map_or(f64::NAN, |took| took.as_secs_f64() * 1e6)
        };
        let per_second = all.len() as f64 / elapsed;
        Ok(Inserts { per_second, p50_us: at(0.5), p99_us: at(0.99) })
    }

    fn insert_until(&self, over: &AtomicBool, first: u64) -> Result<Vec<Duration>, String> {
        let mut took = Vec::new();
        for at in first.. {
            if over.load(Ordering::Relaxed) {
                break;
            }
            let mut insert = DocWriter::new();
            insert.str("insert", "written");
            insert.array("documents", |rows| {
                rows.document(|doc| super::write_document(doc, at));
            });
            insert.str("$db", "bench");
            let begun = Instant::now();
            self.answer(insert)?;
            took.push(begun.elapsed());
        }
        Ok(took)
    }
}
