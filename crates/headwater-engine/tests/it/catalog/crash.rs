//! kill -9 while collections are converted, renamed and dropped: afterwards each of them is as before or as after.

use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use headwater_engine::bson::Raw;
use headwater_engine::{Engine, EngineOptions};

use super::ids;
use crate::commands::{Session, batch, number};

const FOLDER: &str = "HEADWATER_CATALOG_CRASH_FOLDER";
const DOCUMENTS: i64 = 3000;

fn open(folder: &Path) -> Session {
    Session::on(Engine::open(folder, EngineOptions::default()).unwrap())
}

/// Not a test by itself: the process that is killed.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let db = open(Path::new(&folder));
    loop {
        fill(&db);
        db.ok(r#"{"convertToCapped": "c", "size": 21000}"#);
        let to = r#"{"renameCollection": "test.c", "to": "other.c", "dropTarget": true}"#;
        assert_eq!(number(db.run_in("admin", to).as_doc().get("ok")), 1);
        std::fs::write(Path::new(&folder).join("round"), "1").unwrap();
    }
}

/// Makes `test.c` anew: in one insert, which a crash may cut short.
fn fill(db: &Session) {
    db.ok(r#"{"drop": "c"}"#);
    let documents: Vec<_> =
        (0..DOCUMENTS).map(|id| format!(r#"{{"_id": {id}, "a": 1}}"#)).collect();
    db.ok(&format!(r#"{{"insert": "c", "documents": [{}]}}"#, documents.join(", ")));
}

#[test]
fn collections_are_as_before_or_as_after_but_never_half() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let data = folder.path().join(format!("{round}"));
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "catalog::crash::child", "--nocapture", "--test-threads=1"])
            .env(FOLDER, &data)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while !data.join("round").exists() {
            assert!(child.try_wait().unwrap().is_none(), "the child ended by itself");
            assert!(begun.elapsed() < Duration::from_secs(120), "the child does nothing");
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(RandomState::new().hash_one(round) % 300));
        child.kill().unwrap();
        child.wait().unwrap();
        check(&open(&data));
    }
}

fn check(db: &Session) {
    for database in ["test", "other"] {
        let rows = batch(&db.run_in(database, r#"{"listCollections": 1}"#));
        for row in &rows {
            let options = row.as_doc().get("options").and_then(Raw::as_doc).unwrap();
            let found = ids(&batch(&db.run_in(database, r#"{"find": "c", "batchSize": 100000}"#)));
            let first = found.first().copied().unwrap_or(0);
            // Documents follow one another without a gap; a capped collection holds the newest that fit.
            let expected: Vec<i64> = (first..first + found.len() as i64).collect();
            assert_eq!(found, expected, "{database}");
            match options.get("capped").is_some() {
                true => assert_eq!((found.len(), found.last()), (1000, Some(&(DOCUMENTS - 1)))),
                false => assert_eq!(first, 0),
            }
            let valid = db.run_in(database, r#"{"validate": "c"}"#);
            assert_eq!(valid.as_doc().get("valid").and_then(Raw::as_bool), Some(true), "{valid:?}");
        }
        assert!(rows.len() <= 1, "{rows:?}");
    }
    let other = db.run_in("other", r#"{"count": "c"}"#);
    assert_eq!(number(other.as_doc().get("n")), 1000, "it was there before the kill");
}
