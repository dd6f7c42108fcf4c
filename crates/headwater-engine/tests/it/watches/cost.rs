//! What idle streams cost those who write: processor time of this process for each durable insert, with none of them and
//! with a hundred. A measurement, ignored unless it is asked for, and worth something with optimisation only:
//! `cargo test --release -p headwater-engine --test it watches::cost -- --ignored --nocapture`.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use headwater_engine::bson::{DocBuf, DocWriter};
use headwater_engine::{Client, Engine, EngineOptions, Request};

use crate::commands::{Session, cursor_id};
use crate::streams::{Stream, insert, watch};

const WRITERS: u64 = 32;
const WATCHERS: usize = 100;
const TIME: Duration = Duration::from_secs(3);

/// Seconds of processor time that this process has used.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after = stat.rsplit(')').next().unwrap();
    let ticks = |at: usize| after.split_whitespace().nth(at).unwrap().parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}

fn insert_command(id: u64) -> DocBuf {
    let mut insert = DocWriter::new();
    insert.str("insert", "c");
    insert.array("documents", |documents| {
        documents.document(|doc| {
            doc.i64("_id", id as i64);
            doc.i32("k", -1);
            doc.str("filler", &"x".repeat(210));
        });
    });
    insert.str("$db", "test");
    insert.finish()
}

fn get_more(cursor: i64) -> DocBuf {
    let mut more = DocWriter::new();
    more.i64("getMore", cursor);
    more.str("collection", "c");
    more.i64("maxTimeMS", 1000);
    more.str("$db", "test");
    more.finish()
}

/// What inserts cost beside some streams.
struct Cost {
    per_second: f64,
    processor_us: f64,
    /// From the acknowledgement of an insert to its event, median and 99th of 100, of a stream that wants one document in
    /// ten milliseconds.
    event_us: Option<[u128; 2]>,
}

/// The streams beside the writers.
#[derive(Clone, Copy)]
struct Streams<'f> {
    idle: Option<&'f dyn Fn(usize) -> String>,
    wanting: bool,
}

fn measure(streams: Streams<'_>) -> Cost {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::open(folder.path(), EngineOptions::default()).unwrap();
    let db = Session::on(engine.clone());
    insert(&db, "test", "c", -1);
    let open = |filter: &str| watch(&db, "test", "c", "{}", &format!(r#"{{"$match": {filter}}}"#));
    let cursors: Vec<i64> = streams
        .idle
        .map(|filter| (0..WATCHERS).map(|at| open(&filter(at)).cursor).collect())
        .unwrap_or_default();
    let mut wanting = streams.wanting.then(|| open(r#"{"fullDocument.wanted": true}"#));
    let (ended, next) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for &cursor in &cursors {
            let (engine, ended) = (&engine, &ended);
            scope.spawn(move || {
                let client = engine.client("watcher", "watcher");
                while !ended.load(Ordering::Relaxed) {
                    let reply = run(engine, &client, &get_more(cursor));
                    assert_eq!(cursor_id(&reply), cursor);
                }
            });
        }
        for _ in 0..WRITERS {
            let (engine, ended, next) = (&engine, &ended, &next);
            scope.spawn(move || {
                let client = engine.client("writer", "writer");
                while !ended.load(Ordering::Relaxed) {
                    run(engine, &client, &insert_command(next.fetch_add(1, Ordering::Relaxed)));
                }
            });
        }
        thread::sleep(Duration::from_millis(500));
        let before = next.load(Ordering::Relaxed);
        let (processor, begun) = (processor_seconds(), Instant::now());
        let event_us = match &mut wanting {
            Some(stream) => Some(events(&db, stream)),
            None => {
                thread::sleep(TIME);
                None
            }
        };
        let inserts = (next.load(Ordering::Relaxed) - before) as f64;
        let processor_us = (processor_seconds() - processor) * 1e6 / inserts;
        let per_second = inserts / begun.elapsed().as_secs_f64();
        ended.store(true, Ordering::Relaxed);
        Cost { per_second, processor_us, event_us }
    })
}

fn run(engine: &Engine, client: &Client, command: &DocBuf) -> DocBuf {
    engine.run_command(client, &Request { body: command.as_doc(), sequences: &[] })
}

/// Writes what a stream wants, again and again. How long after the acknowledgement its event came.
fn events(db: &Session, stream: &mut Stream<'_>) -> [u128; 2] {
    let mut late = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < TIME {
        let late_by = thread::scope(|scope| {
            let writer = scope.spawn(|| {
                thread::sleep(Duration::from_millis(10));
                db.ok(r#"{"insert": "c", "documents": [{"wanted": true}]}"#);
                Instant::now()
            });
            while stream.next(1000).is_empty() {}
            let seen = Instant::now();
            seen.saturating_duration_since(writer.join().unwrap())
        });
        late.push(late_by.as_micros());
    }
    late.sort_unstable();
    [late[late.len() / 2], late[late.len() * 99 / 100]]
}

#[test]
#[ignore = "a measurement"]
fn of_idle_streams() {
    let same = |_| r#"{"fullDocument.k": {"$gt": 5}}"#.to_owned();
    let values = |at| format!(r#"{{"fullDocument.k": {at}}}"#);
    let ranges = |at| format!(r#"{{"fullDocument.k": {{"$gt": {at}}}}}"#);
    let beside = |idle| Streams { idle, wanting: false };
    let rows: [(&str, Streams<'_>); 6] = [
        ("no streams", beside(None)),
        ("100 idle, one filter", beside(Some(&same))),
        ("100 idle, a value each", beside(Some(&values))),
        ("100 idle, a range each", beside(Some(&ranges))),
        ("one that is called", Streams { idle: None, wanting: true }),
        ("that one and 100 idle", Streams { idle: Some(&values), wanting: true }),
    ];
    for _ in 0..3 {
        for (name, streams) in rows {
            let Cost { per_second, processor_us, event_us } = measure(streams);
            println!(
                "{name:<24} {per_second:>7.0} inserts/s {processor_us:>6.2} us each {event_us:?}"
            );
        }
    }
}
