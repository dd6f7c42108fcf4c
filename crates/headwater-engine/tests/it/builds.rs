//! Indexes that are built while others write: what the index holds in the end, what is seen meanwhile, what ends a build,
//! and what it leaves.

mod crash;
mod unique;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use headwater_engine::bson::{DocBuf, Raw};
use headwater_engine::{Engine, EngineOptions};

use crate::commands::{Session, batch, number, text};

const PATIENCE: Duration = Duration::from_secs(60);

/// An engine in memory, for several threads.
struct Node(Engine);

impl Node {
    fn new() -> Node {
        let options = EngineOptions { test_commands: true, ..EngineOptions::default() };
        Node(Engine::open_in_memory(options).unwrap())
    }

    fn session(&self) -> Session {
        Session::on(self.0.clone())
    }

    fn set(&self, point: &str, mode: &str) {
        let command = format!(r#"{{"configureFailPoint": "{point}", "mode": "{mode}"}}"#);
        let reply = self.session().run_in("admin", &command);
        assert_eq!(number(reply.as_doc().get("ok")), 1, "{reply:?}");
    }

    /// The row of the `createIndexes` under way, as soon as there is one and its indexes are in the catalog.
    fn await_build(&self) -> DocBuf {
        let begun = Instant::now();
        loop {
            let reply = self.session().run_in("admin", r#"{"currentOp": 1}"#);
            let rows = reply.as_doc().get("inprog").and_then(Raw::as_array).unwrap();
            let builds = |row: &headwater_engine::bson::Doc<'_>| {
                let command = row.get("command").and_then(Raw::as_doc);
                command.is_some_and(|command| command.get("createIndexes").is_some())
                    && row.get("waitingForLock").and_then(Raw::as_bool) == Some(false)
            };
            let listed = self.session().run(r#"{"listIndexes": "c", "includeBuildUUIDs": true}"#);
            let is_listed =
                batch(&listed).iter().any(|row| row.as_doc().get("buildUUID").is_some());
            if let Some(row) =
                rows.iter().filter_map(Raw::as_doc).find(builds).filter(|_| is_listed)
            {
                return row.to_buf();
            }
            assert!(begun.elapsed() < PATIENCE, "no build is under way");
            thread::sleep(Duration::from_millis(2));
        }
    }
}

fn fill(session: &Session, documents: u64) {
    for first in (0..documents).step_by(500) {
        let rows: Vec<_> =
            (first..documents.min(first + 500)).map(|id| document(id, id % 7)).collect();
        session.ok(&format!(r#"{{"insert": "c", "documents": [{}]}}"#, rows.join(", ")));
    }
}

fn document(id: u64, version: u64) -> String {
    let list = if version.is_multiple_of(3) {
        format!(r#", "list": [{id}, {version}]"#)
    } else {
        String::new()
    };
    format!(r#"{{"_id": {id}, "u": "{id}/{version}", "n": {version}{list}}}"#)
}

fn create(session: &Session, specs: &str) -> DocBuf {
    session.run(&format!(r#"{{"createIndexes": "c", "indexes": [{specs}]}}"#))
}

fn assert_ok(reply: &DocBuf) {
    assert_eq!(number(reply.as_doc().get("ok")), 1, "{reply:?}");
}

fn names(session: &Session) -> Vec<String> {
    let rows = session.batch(r#"{"listIndexes": "c"}"#);
    rows.iter().map(|row| text(row, "name").to_owned()).collect()
}

fn assert_valid(session: &Session) {
    let reply = session.ok(r#"{"validate": "c"}"#);
    assert_eq!(reply.as_doc().get("valid").and_then(Raw::as_bool), Some(true), "{reply:?}");
}

const UNIQUE: &str = r#"{"key": {"u": 1}, "name": "u_1", "unique": true}"#;
const PLAIN: &str = r#"{"key": {"n": 1, "_id": -1}, "name": "n_1"}"#;
const LIST: &str = r#"{"key": {"list": 1}, "name": "list_1", "sparse": true}"#;

#[test]
fn an_index_built_beside_writers_holds_what_the_documents_have() {
    let node = Node::new();
    let session = node.session();
    fill(&session, 2500);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for writer in 0..3_u64 {
            let (node, over) = (&node, &over);
            scope.spawn(move || {
                let session = node.session();
                let mut seed = writer + 1;
                while !over.load(Ordering::Relaxed) {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(writer * 2 + 1);
                    let (id, version) = ((seed >> 33) % 3000 * 3 + writer, (seed >> 20) % 100);
                    let document = document(id, version);
                    session.ok(&match seed >> 60 {
                        0..3 => format!(
                            r#"{{"delete": "c", "deletes": [{{"q": {{"_id": {id}}}, "limit": 1}}]}}"#
                        ),
                        _ => format!(
                            r#"{{"update": "c", "updates": [{{"q": {{"_id": {id}}}, "u": {document}, "upsert": true}}]}}"#
                        ),
                    });
                }
            });
        }
        for _ in 0..4 {
            assert_ok(&create(&session, &format!("{UNIQUE}, {LIST}")));
            assert_ok(&create(&session, PLAIN));
            assert_valid(&session);
            assert_ok(&session.run(r#"{"dropIndexes": "c", "index": "*"}"#));
        }
        over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_build_is_seen_by_writers_and_currentop_and_by_no_reader() {
    let node = Node::new();
    let session = node.session();
    fill(&session, 50);
    node.set("hangAfterIndexBuildDumpsInsertsFromBulk", "alwaysOn");
    thread::scope(|scope| {
        let build = scope.spawn(|| create(&node.session(), UNIQUE));
        let begun = Instant::now();
        let row = loop {
            let row = node.await_build();
            if row.as_doc().get("progress").is_some() {
                break row;
            }
            assert!(begun.elapsed() < PATIENCE, "{row:?}");
        };
        let message =
            "Index Build: scanning collection Index Build: scanning collection: 50/50 100%";
        assert_eq!(text(&row, "msg"), message);
        assert_eq!(names(&session), ["_id_", "u_1"]);
        let listed = session.batch(r#"{"listIndexes": "c", "includeBuildUUIDs": true}"#);
        assert_eq!(text(&listed[0], "name"), "_id_");
        assert!(listed[1].as_doc().get("buildUUID").is_some(), "{listed:?}");
        let listed = session.batch(r#"{"listIndexes": "c", "includeIndexBuildInfo": true}"#);
        let info = |row: &DocBuf| row.as_doc().get("indexBuildInfo").is_some();
        assert_eq!(listed.iter().map(info).collect::<Vec<_>>(), [false, true], "{listed:?}");
        let hinted = session.run(r#"{"find": "c", "filter": {"u": "3/3"}, "hint": "u_1"}"#);
        assert_eq!(number(hinted.as_doc().get("code")), 2, "{hinted:?}");
        assert_eq!(session.batch(r#"{"find": "c", "filter": {"u": "3/3"}}"#).len(), 1);
        // Two documents may change places, and one that is there may go.
        session.ok(r#"{"update": "c", "updates": [{"q": {"_id": 3}, "u": {"$set": {"u": "free"}}}, {"q": {"_id": 4}, "u": {"$set": {"u": "3/3"}}}]}"#);
        session.ok(r#"{"delete": "c", "deletes": [{"q": {"_id": 5}, "limit": 1}]}"#);
        session.ok(&format!(r#"{{"insert": "c", "documents": [{}]}}"#, document(50, 5)));
        node.set("hangAfterIndexBuildDumpsInsertsFromBulk", "off");
        assert_ok(&build.join().unwrap());
    });
    assert_valid(&session);
    let found = session.batch(r#"{"find": "c", "filter": {"u": "3/3"}, "hint": "u_1"}"#);
    assert_eq!(found.iter().map(|doc| number(doc.as_doc().get("_id"))).collect::<Vec<_>>(), [4]);
    let again = session.run(&format!(r#"{{"insert": "c", "documents": [{}]}}"#, document(50, 5)));
    assert!(again.as_doc().get("writeErrors").is_some(), "{again:?}");
}

/// Where writers make the build impossible it fails, not they; whether before its scan or behind it.
#[test]
fn a_write_that_an_index_cannot_take_fails_the_build() {
    for point in ["hangAfterStartingIndexBuild", "hangAfterIndexBuildDumpsInsertsFromBulk"] {
        for (specs, write, code) in [
            (UNIQUE, r#"{"insert": "c", "documents": [{"_id": 100, "u": "3/3"}]}"#, 11000),
            (
                r#"{"key": {"a": 1, "b": 1}, "name": "a_1"}"#,
                r#"{"insert": "c", "documents": [{"_id": 100, "a": [1], "b": [2]}]}"#,
                171,
            ),
        ] {
            let node = Node::new();
            let session = node.session();
            fill(&session, 50);
            node.set(point, "alwaysOn");
            let reply = thread::scope(|scope| {
                let build = scope.spawn(|| create(&node.session(), specs));
                node.await_build();
                let reply = session.ok(write);
                assert_eq!(number(reply.as_doc().get("n")), 1, "{reply:?}");
                node.set(point, "off");
                build.join().unwrap()
            });
            assert_eq!(number(reply.as_doc().get("code")), code, "{point}: {reply:?}");
            assert_eq!(names(&session), ["_id_"]);
            assert_valid(&session);
            session.ok(r#"{"delete": "c", "deletes": [{"q": {"_id": 100}, "limit": 1}]}"#);
            assert_ok(&create(&session, specs));
            assert_valid(&session);
        }
    }
}

#[test]
fn a_failed_build_names_what_was_offending_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let session = Session::on(Engine::open(folder.path(), EngineOptions::default()).unwrap());
    fill(&session, 3000);
    session
        .ok(r#"{"update": "c", "updates": [{"q": {"_id": 2}, "u": {"$set": {"u": "2999/3"}}}]}"#);
    let reply = create(&session, &format!("{PLAIN}, {UNIQUE}"));
    assert_eq!(number(reply.as_doc().get("code")), 11000, "{reply:?}");
    let value = reply.as_doc().get("keyValue").and_then(Raw::as_doc).unwrap();
    assert_eq!(value.get("u").and_then(Raw::as_str), Some("2999/3"), "{reply:?}");
    assert!(text(&reply, "errmsg").contains("dup key: { u: \"2999/3\" }"), "{reply:?}");
    assert_eq!(names(&session), ["_id_"]);
    let begun = Instant::now();
    session.close();
    drop(session);
    // What was built goes in the background; at the latest after the next start.
    loop {
        let options = EngineOptions::default();
        let store = headwater_store::Store::open(folder.path(), options.store.clone()).unwrap();
        let entries = entries(&store);
        store.close().unwrap();
        if entries == 3000 {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{entries} entries are left");
        let session = Session::on(Engine::open(folder.path(), options.clone()).unwrap());
        thread::sleep(Duration::from_millis(300));
        session.close();
    }
}

/// The entries of all indexes.
fn entries(store: &headwater_store::Store) -> usize {
    use headwater_store::{Direction, Read, Table};
    use std::ops::Bound;
    let snapshot = store.snapshot().unwrap();
    let mut cursor =
        snapshot.range(Table(2), Bound::Unbounded, Bound::Unbounded, Direction::Forward).unwrap();
    let mut count = 0;
    while cursor.next().unwrap().is_some() {
        count += 1;
    }
    count
}

#[test]
fn dropping_what_is_built_or_killing_the_operation_ends_a_build() {
    let kill = |node: &Node| {
        let id = number(node.await_build().as_doc().get("opid"));
        format!(r#"{{"killOp": 1, "op": {id}}}"#)
    };
    let drop = |_: &Node| r#"{"drop": "c"}"#.to_owned();
    let drop_index = |_: &Node| r#"{"dropIndexes": "c", "index": "u_1"}"#.to_owned();
    let drop_indexes = |_: &Node| r#"{"dropIndexes": "c", "index": "*"}"#.to_owned();
    let drop_database = |_: &Node| r#"{"dropDatabase": 1}"#.to_owned();
    type Ending<'a> = (&'a str, &'a dyn Fn(&Node) -> String, i64);
    let endings: [Ending<'_>; 5] = [
        ("test", &drop, 276),
        ("test", &drop_database, 276),
        ("test", &drop_index, 276),
        ("test", &drop_indexes, 276),
        ("admin", &kill, 11601),
    ];
    for (db, ending, code) in endings {
        let node = Node::new();
        let session = node.session();
        fill(&session, 50);
        node.set("hangAfterStartingIndexBuild", "alwaysOn");
        let reply = thread::scope(|scope| {
            let build = scope.spawn(|| create(&node.session(), UNIQUE));
            node.await_build();
            let renamed =
                session.run_in("admin", r#"{"renameCollection": "test.c", "to": "test.d"}"#);
            assert_eq!(number(renamed.as_doc().get("code")), 12587, "{renamed:?}");
            let reply = session.run_in(db, &ending(&node));
            assert_ok(&reply);
            build.join().unwrap()
        });
        assert_eq!(number(reply.as_doc().get("code")), code, "{reply:?}");
        node.set("hangAfterStartingIndexBuild", "off");
        fill(&session, 20);
        assert_ok(&create(&session, UNIQUE));
        assert_valid(&session);
    }
}

#[test]
fn a_second_command_for_the_same_index_waits_for_the_first() {
    let node = Node::new();
    let session = node.session();
    fill(&session, 50);
    node.set("hangAfterStartingIndexBuild", "alwaysOn");
    thread::scope(|scope| {
        let first = scope.spawn(|| create(&node.session(), UNIQUE));
        node.await_build();
        let second = scope.spawn(|| create(&node.session(), UNIQUE));
        let other = create(&session, r#"{"key": {"u": 1}, "name": "other", "unique": true}"#);
        assert_eq!(number(other.as_doc().get("code")), 85, "{other:?}");
        assert!(!second.is_finished());
        node.set("hangAfterStartingIndexBuild", "off");
        let replies = [first.join().unwrap(), second.join().unwrap()];
        replies.iter().for_each(assert_ok);
        let noted = replies.iter().filter(|reply| reply.as_doc().get("note").is_some());
        assert_eq!(noted.count(), 1, "{replies:?}");
    });
    assert_eq!(names(&session), ["_id_", "u_1"]);
    assert_eq!(batch(&session.ok(r#"{"find": "c", "batchSize": 100}"#)).len(), 50);
}
