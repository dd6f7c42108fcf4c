//! kill -9 while indexes are built beside writers: after it an index is there whole or not at all.

use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use headwater_engine::{Engine, EngineOptions};

use super::{LIST, PLAIN, UNIQUE, assert_ok, assert_valid, create, document, fill, names};
use crate::commands::Session;

const FOLDER: &str = "HEADWATER_BUILD_CRASH_FOLDER";

fn open(folder: &Path) -> Engine {
    let store = headwater_store::Options {
        memory_bytes_max: 256 << 10,
        segment_bytes: 128 << 10,
        tree_transaction_bytes: 16 << 10,
        // `validate` reads the whole log.
        retention_bytes: Some(1 << 20),
        map_bytes: 1 << 30,
        ..headwater_store::Options::default()
    };
    let options = EngineOptions { store, ..EngineOptions::default() };
    Engine::open(folder, options).unwrap()
}

/// Not a test by itself: the process that is killed. It builds indexes and drops them for ever, beside two writers.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let engine = open(Path::new(&folder));
    thread::scope(|scope| {
        for writer in 0..2_u64 {
            let engine = engine.clone();
            scope.spawn(move || {
                let session = Session::on(engine);
                for round in 0.. {
                    let (id, version) = ((round * 17 + writer) % 1500, round % 100);
                    let document = document(id, version);
                    session.run(&match round % 4 {
                        0 => format!(
                            r#"{{"delete": "c", "deletes": [{{"q": {{"_id": {id}}}, "limit": 1}}]}}"#
                        ),
                        _ => format!(
                            r#"{{"update": "c", "updates": [{{"q": {{"_id": {id}}}, "u": {document}, "upsert": true}}]}}"#
                        ),
                    });
                }
            });
        }
        let session = Session::on(engine.clone());
        loop {
            for specs in [UNIQUE.to_owned(), format!("{PLAIN}, {LIST}")] {
                std::io::stderr().write_all(b"\nbuild\n").unwrap();
                assert_ok(&create(&session, &specs));
            }
            assert_ok(&session.run(r#"{"dropIndexes": "c", "index": "*"}"#));
        }
    });
}

#[test]
fn after_a_kill_an_index_is_there_whole_or_not_at_all() {
    let long = std::env::var_os("HEADWATER_LONG").is_some_and(|value| value == "1");
    let rounds = if long { 200 } else { 3 };
    let folder = tempfile::tempdir().unwrap();
    let session = Session::on(open(folder.path()));
    fill(&session, 1500);
    session.close();
    drop(session);
    let mut whole = 0;
    for round in 0..rounds {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "builds::crash::child", "--nocapture", "--test-threads=1"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let begun = lines.find(|line| line.as_deref().is_ok_and(|line| line == "build"));
        assert!(begun.is_some(), "round {round}: the child ended by itself");
        thread::sleep(Duration::from_millis(RandomState::new().hash_one(round) % 200));
        child.kill().unwrap();
        child.wait().unwrap();
        let panicked = lines.map_while(Result::ok).find(|line| line.contains("panicked"));
        assert_eq!(panicked, None, "round {round}");
        let session = Session::on(open(folder.path()));
        assert_valid(&session);
        whole += names(&session).len() - 1;
        session.ok(r#"{"dropIndexes": "c", "index": "*"}"#);
        assert_ok(&create(&session, UNIQUE));
        assert_valid(&session);
        session.ok(r#"{"dropIndexes": "c", "index": "*"}"#);
        session.close();
    }
    println!("{rounds} kills, {whole} indexes were there whole, none in part");
}
