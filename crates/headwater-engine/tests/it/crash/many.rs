//! kill -9 under an update of many documents: every document and its index entries are changed or not, those that are
//! changed come before those that are not, and a round that was acknowledged is there whole.

use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use headwater_engine::bson::Raw;

use super::{Node, integer};

const FOLDER: &str = "HEADWATER_CRASH_MANY_FOLDER";
/// Several chunks.
const DOCUMENTS: i64 = 4_000;

/// Not a test by itself: the process that is killed.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let node = Node::open(Path::new(&folder));
    loop {
        let update = r#"{"update": "m", "updates": [{"q": {}, "u": {"$inc": {"round": 1, "n": 1}}, "multi": true}], "writeConcern": {"w": "majority"}}"#;
        let reply = node.run(update);
        assert_eq!(integer(reply.as_doc(), "nModified"), DOCUMENTS);
        std::io::stderr().write_all(b"\ndone\n").unwrap();
    }
}

/// Runs the child until a moment behind its first acknowledgement; gives the number of rounds that it told of.
fn run_and_kill(folder: &Path, round: i64) -> i64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::many::child", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    let mut done = 0;
    while done == 0 {
        line.clear();
        assert!(pipe.read_line(&mut line).unwrap() > 0, "the child ended by itself");
        assert!(!line.contains("panicked"), "{line}");
        done += i64::from(line == "done\n");
    }
    thread::sleep(Duration::from_millis(RandomState::new().hash_one(round) % 200));
    child.kill().unwrap();
    child.wait().unwrap();
    // A line that the kill cut off has no end and counts for nothing.
    line.clear();
    while pipe.read_line(&mut line).unwrap() > 0 {
        done += i64::from(line == "done\n");
        line.clear();
    }
    done
}

#[test]
fn an_update_of_many_documents_is_cut_off_between_two_of_them() {
    let long = std::env::var_os("HEADWATER_LONG").is_some_and(|value| value == "1");
    let folder = tempfile::tempdir().unwrap();
    {
        let node = Node::open(folder.path());
        node.run(r#"{"createIndexes": "m", "indexes": [{"key": {"n": 1}, "name": "n_1"}]}"#);
        let documents: Vec<String> =
            (0..DOCUMENTS).map(|id| format!(r#"{{"_id": {id}, "round": 0, "n": {id}}}"#)).collect();
        node.run(&format!(r#"{{"insert": "m", "documents": [{}]}}"#, documents.join(",")));
        node.engine.close().unwrap();
    }
    let mut acknowledged = 0;
    for round in 0..if long { 100 } else { 2 } {
        acknowledged += run_and_kill(folder.path(), round);
        let node = Node::open(folder.path());
        let find = node.run(&format!(r#"{{"find": "m", "batchSize": {DOCUMENTS}}}"#));
        let cursor = find.as_doc().get("cursor").and_then(Raw::as_doc).unwrap();
        let batch = cursor.get("firstBatch").and_then(Raw::as_array).unwrap();
        let documents: Vec<_> = batch.iter().filter_map(Raw::as_doc).collect();
        assert_eq!(documents.len() as i64, DOCUMENTS);
        let rounds: Vec<i64> = documents.iter().map(|doc| integer(*doc, "round")).collect();
        for doc in &documents {
            assert_eq!(integer(*doc, "n"), integer(*doc, "_id") + integer(*doc, "round"));
        }
        let (first, last) = (rounds[0], rounds[rounds.len() - 1]);
        assert!(rounds.is_sorted_by(|a, b| a >= b), "a changed document behind an unchanged one");
        assert!(last >= acknowledged, "{acknowledged} acknowledged, {last} there");
        assert!(first - last <= 1, "{first} and {last}");
        let valid = node.run(r#"{"validate": "m", "full": true}"#);
        assert_eq!(valid.as_doc().get("valid").and_then(Raw::as_bool), Some(true), "{valid:?}");
        // The next round starts where all documents are alike.
        node.run(&format!(
            r#"{{"update": "m", "updates": [{{"q": {{"round": {last}}}, "u": {{"$inc": {{"round": {0}, "n": {0}}}}}, "multi": true}}]}}"#,
            first - last
        ));
        acknowledged = first;
        node.engine.close().unwrap();
    }
}
