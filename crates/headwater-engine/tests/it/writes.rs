//! Writes on many documents: each document once, others in between, ended early without harm; operations as others see
//! and end them; `bulkWrite`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use headwater_engine::bson::{Doc, DocBuf, DocWriter, Raw};
use headwater_engine::{Engine, EngineOptions, Request};

use crate::commands::{Session, batch, cursor_id, number, text};

/// More than one chunk takes, and a few stretches of a scan.
pub(crate) const DOCUMENTS: i64 = 12_000;
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn engine_with(documents: i64) -> Engine {
    let engine = Engine::open_in_memory(EngineOptions::default()).unwrap();
    let client = engine.client("test", "test");
    let mut insert = DocWriter::new();
    insert.str("insert", "c");
    insert.array("documents", |array| {
        for id in 0..documents {
            array.document(|doc| {
                doc.i64("_id", id);
                doc.i64("n", id);
                doc.i64("times", 0);
            });
        }
    });
    insert.str("$db", "test");
    let insert = insert.finish();
    let request = Request { body: insert.as_doc(), sequences: &[] };
    let reply = engine.run_command(&client, &request);
    assert_eq!(number(reply.as_doc().get("n")), documents, "{reply:?}");
    engine
}

pub(crate) fn count(db: &Session, query: &str) -> i64 {
    number(db.ok(&format!(r#"{{"count": "c", "query": {query}}}"#)).as_doc().get("n"))
}

/// The first operation whose command has the comment, as `currentOp` shows it.
fn operation(db: &Session, comment: &str) -> Option<DocBuf> {
    let command = format!(r#"{{"currentOp": 1, "command.comment": "{comment}"}}"#);
    let reply = db.run_in("admin", &command);
    let rows = reply.as_doc().get("inprog").and_then(Raw::as_array).unwrap();
    rows.iter().filter_map(Raw::as_doc).map(Doc::to_buf).next()
}

/// Starts the command on another thread, lets `meanwhile` act once it has let others in, and gives its reply with what
/// `meanwhile` gave. A command that ends before that is undone by `again` and started anew.
pub(crate) fn beside<T>(
    engine: &Engine,
    command: &str,
    again: impl Fn(&Session),
    meanwhile: impl Fn(&Session, &DocBuf) -> T,
) -> (DocBuf, T) {
    let db = Session::on(engine.clone());
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "never met the command under way");
        let ended = AtomicBool::new(false);
        let both = thread::scope(|scope| {
            let running = scope.spawn(|| {
                let reply = Session::on(engine.clone()).run(command);
                ended.store(true, Ordering::Release);
                reply
            });
            let mut given = None;
            while given.is_none() && !ended.load(Ordering::Acquire) {
                let seen = operation(&db, "walk");
                if let Some(row) = seen.filter(|row| number(row.as_doc().get("numYields")) > 0) {
                    given = Some(meanwhile(&db, &row));
                }
            }
            let reply = running.join().unwrap();
            given.map(|given| (reply, given))
        });
        if let Some(both) = both {
            return both;
        }
        again(&db);
    }
}

#[test]
fn a_document_that_moves_ahead_in_the_index_is_changed_once() {
    let engine = engine_with(DOCUMENTS);
    let db = Session::on(engine);
    db.ok(r#"{"createIndexes": "c", "indexes": [{"key": {"n": 1}, "name": "n"}]}"#);
    let reply = db.ok(
        r#"{"update": "c", "updates": [{"q": {"n": {"$gte": 0}}, "u": {"$inc": {"n": 5000, "times": 1}}, "multi": true, "hint": "n"}]}"#,
    );
    assert_eq!(number(reply.as_doc().get("nModified")), DOCUMENTS);
    assert_eq!(count(&db, r#"{"times": 1}"#), DOCUMENTS);
}

#[test]
fn two_at_a_time_change_every_document_twice() {
    let engine = engine_with(DOCUMENTS);
    let update =
        r#"{"update": "c", "updates": [{"q": {}, "u": {"$inc": {"times": 1}}, "multi": true}]}"#;
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| Session::on(engine.clone()).ok(update));
        }
    });
    assert_eq!(count(&Session::on(engine), r#"{"times": 2}"#), DOCUMENTS);
}

const WALK: &str = r#"{"update": "c", "updates": [{"q": {"times": 0}, "u": {"$inc": {"times": 1}}, "multi": true}], "comment": "walk"}"#;

fn back_to_start(db: &Session) {
    db.ok(r#"{"update": "c", "updates": [{"q": {}, "u": {"$set": {"times": 0}}, "multi": true}]}"#);
}

#[test]
fn others_write_in_between_and_what_they_changed_is_looked_at_again() {
    let engine = engine_with(DOCUMENTS);
    let last = DOCUMENTS - 1;
    let (reply, ahead) = beside(&engine, WALK, back_to_start, |db, _| {
        let change = format!(
            r#"{{"update": "c", "updates": [{{"q": {{"_id": {last}, "times": 0}}, "u": {{"$set": {{"times": 7}}}}}}]}}"#
        );
        number(db.ok(&change).as_doc().get("nModified"))
    });
    let db = Session::on(engine);
    // Whoever came first had the last document; the other one did not touch it.
    assert_eq!(number(reply.as_doc().get("n")), DOCUMENTS - ahead);
    assert_eq!(count(&db, r#"{"times": 1}"#), DOCUMENTS - ahead);
    assert_eq!(count(&db, r#"{"times": 7}"#), ahead);
}

#[test]
fn a_killed_update_keeps_what_it_did() {
    let engine = engine_with(DOCUMENTS);
    let (reply, kind) = beside(&engine, WALK, back_to_start, |db, row| {
        let id = number(row.as_doc().get("opid"));
        db.run_in("admin", &format!(r#"{{"killOp": 1, "op": {id}}}"#));
        assert_eq!(text(row, "ns"), "test.c");
        text(row, "op").to_owned()
    });
    assert_eq!(kind, "update");
    let changed = count(&Session::on(engine), r#"{"times": 1}"#);
    match number(reply.as_doc().get("ok")) {
        // It may have been past its last look.
        1 => assert_eq!(changed, DOCUMENTS),
        _ => {
            assert_eq!(number(reply.as_doc().get("code")), 11601, "{reply:?}");
            // What it had let others in behind stays; a kill behind the last document finds all changed.
            assert!(changed > 0 && changed <= DOCUMENTS, "{changed}");
        }
    }
}

#[test]
fn a_late_update_fails_as_a_whole_and_keeps_what_it_did() {
    let db = Session::on(engine_with(DOCUMENTS));
    let late = WALK.replace(r#""comment""#, r#""maxTimeMS": 1, "comment""#);
    let reply = db.run(&late);
    assert_eq!(number(reply.as_doc().get("code")), 50, "{reply:?}");
    assert!(reply.as_doc().get("writeErrors").is_none());
    assert!(count(&db, r#"{"times": 1}"#) < DOCUMENTS);
    let all =
        r#"{"delete": "c", "deletes": [{"q": {"n": {"$gte": 0}}, "limit": 0}], "maxTimeMS": 1}"#;
    assert_eq!(number(db.run(all).as_doc().get("code")), 50);
    assert!(count(&db, "{}") > 0);
}

#[test]
fn a_collection_that_goes_away_ends_the_walk() {
    let engine = engine_with(DOCUMENTS);
    let drop = |db: &Session, _: &DocBuf| number(db.ok(r#"{"drop": "c"}"#).as_doc().get("ok"));
    let (reply, _) = beside(&engine, WALK, back_to_start, drop);
    let errors = reply.as_doc().get("writeErrors").and_then(Raw::as_array);
    match errors.and_then(|errors| errors.get(0)).and_then(Raw::as_doc) {
        Some(error) => assert_eq!(number(error.get("code")), 175, "{reply:?}"),
        None => assert_eq!(number(reply.as_doc().get("n")), DOCUMENTS),
    }
}

#[test]
fn killing_a_session_ends_its_command() {
    let engine = engine_with(DOCUMENTS);
    let session = r#"{"id": {"$uuid": "00112233-4455-6677-8899-aabbccddeeff"}}"#;
    let walk = WALK.replace(r#""comment""#, &format!(r#""lsid": {session}, "comment""#));
    let kill = format!(r#"{{"killSessions": [{session}]}}"#);
    let (reply, listed) = beside(&engine, &walk, back_to_start, |db, row| {
        db.ok(&kill);
        row.as_doc().get("lsid").is_some()
    });
    assert!(listed);
    let code = reply.as_doc().get("code").map_or(11601, |code| number(Some(code)));
    assert_eq!(code, 11601, "{reply:?}");
}

#[test]
fn idle_cursors_are_listed_with_what_opened_them() {
    let db = Session::on(engine_with(300));
    let first = db.ok(r#"{"find": "c", "filter": {}, "batchSize": 2, "comment": "mine"}"#);
    let id = cursor_id(&first);
    db.ok(&format!(
        r#"{{"getMore": {{"$numberLong": "{id}"}}, "collection": "c", "batchSize": 3}}"#
    ));
    let list = r#"{"aggregate": 1, "pipeline": [{"$currentOp": {"idleCursors": true}}, {"$match": {"type": "idleCursor"}}], "cursor": {}}"#;
    let rows = batch(&db.run_in("admin", list));
    assert_eq!(rows.len(), 1, "{rows:?}");
    let cursor = rows[0].as_doc().get("cursor").and_then(Raw::as_doc).unwrap();
    assert_eq!(number(cursor.get("cursorId")), id);
    assert_eq!(number(cursor.get("nDocsReturned")), 5);
    assert_eq!(number(cursor.get("nBatchesReturned")), 2);
    let opened = cursor.get("originatingCommand").and_then(Raw::as_doc).unwrap();
    assert_eq!(opened.get("comment").and_then(Raw::as_str), Some("mine"));
    assert_eq!(text(&db.run(list), "codeName"), "InvalidNamespace");
}

#[test]
fn a_bulk_write_sent_again_does_nothing_and_says_what_it_did() {
    let db = Session::new();
    let bulk = r#"{"bulkWrite": 1, "ops": [
        {"insert": 0, "document": {"_id": 1}},
        {"update": 1, "filter": {"_id": 1}, "updateMods": {"$inc": {"n": 1}}, "upsert": true},
        {"update": 1, "filter": {"_id": 1}, "updateMods": {"$inc": {"n": 1}}}],
        "nsInfo": [{"ns": "test.c"}, {"ns": "test.d"}], "cursor": {"batchSize": 1},
        "lsid": {"id": {"$uuid": "00112233-4455-6677-8899-aabbccddeeff"}}, "txnNumber": {"$numberLong": "1"}}"#;
    let figures = |reply: &DocBuf| {
        let names = ["nErrors", "nInserted", "nMatched", "nModified", "nUpserted", "nDeleted"];
        names.map(|name| number(reply.as_doc().get(name)))
    };
    let first = db.run_in("admin", bulk);
    assert_eq!(figures(&first), [0, 1, 1, 1, 1, 0], "{first:?}");
    assert_eq!(batch(&first).len(), 1);
    let more = format!(
        r#"{{"getMore": {{"$numberLong": "{}"}}, "collection": "$cmd.bulkWrite", "lsid": {{"id": {{"$uuid": "00112233-4455-6677-8899-aabbccddeeff"}}}}}}"#,
        cursor_id(&first)
    );
    assert_eq!(batch(&db.run_in("admin", &more)).len(), 2);
    let again = db.run_in("admin", bulk);
    assert_eq!(figures(&again), figures(&first));
    let retried = again.as_doc().get("retriedStmtIds").and_then(Raw::as_array).unwrap();
    assert_eq!(retried.iter().count(), 3);
    assert_eq!(number(db.batch(r#"{"find": "d"}"#)[0].as_doc().get("n")), 2);
}
