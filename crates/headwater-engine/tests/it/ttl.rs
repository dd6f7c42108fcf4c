//! Documents that expire: which ones, when, and what changes about that at once.

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use headwater_engine::bson::{DocBuf, Raw};
use headwater_engine::{Engine, EngineOptions};

use crate::commands::{Session, batch, cursor_id, number, text};

const PATIENCE: Duration = Duration::from_secs(60);

fn session() -> Session {
    let options =
        EngineOptions { ttl_sleep: Duration::from_millis(20), ..EngineOptions::default() };
    Session::on(Engine::open_in_memory(options).unwrap())
}

/// A date as Extended JSON, so many seconds from now.
fn date(from_now_s: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    format!(r#"{{"$date": {{"$numberLong": "{}"}}}}"#, now + from_now_s * 1000)
}

fn ttl(session: &Session) -> (i64, i64) {
    let reply = session.ok(r#"{"serverStatus": 1}"#);
    let metrics = reply.as_doc().get("metrics").and_then(Raw::as_doc).unwrap();
    let ttl = metrics.get("ttl").and_then(Raw::as_doc).unwrap();
    (number(ttl.get("deletedDocuments")), number(ttl.get("passes")))
}

/// Waits until a pass has begun after now and ended.
fn await_pass(session: &Session) {
    let (begun, (_, before)) = (Instant::now(), ttl(session));
    while ttl(session).1 < before + 2 {
        assert!(begun.elapsed() < PATIENCE, "no pass ends");
        thread::sleep(Duration::from_millis(5));
    }
}

fn ids(session: &Session) -> Vec<i64> {
    let rows = session.batch(r#"{"find": "c", "sort": {"n": 1}}"#);
    rows.iter().map(|row| number(row.as_doc().get("n"))).collect()
}

fn insert(session: &Session, documents: &[String]) {
    session.ok(&format!(r#"{{"insert": "c", "documents": [{}]}}"#, documents.join(", ")));
}

fn index(session: &Session, more: &str) -> DocBuf {
    session.ok(&format!(
        r#"{{"createIndexes": "c", "indexes": [{{"key": {{"at": 1}}, "name": "at_1", "expireAfterSeconds": 10000{more}}}]}}"#
    ))
}

#[test]
fn dates_that_are_old_enough_go_and_nothing_else() {
    let session = session();
    let (old, new) = (date(-20000), date(-5000));
    let values = [
        old.clone(),
        new.clone(),
        format!("[{new}, {old}]"),
        format!("[{new}]"),
        format!(r#"["x", 1, {old}]"#),
        "5".to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
        r#"{"$timestamp": {"t": 1, "i": 1}}"#.to_owned(),
    ];
    let documents: Vec<_> =
        (0..).zip(&values).map(|(n, at)| format!(r#"{{"n": {n}, "at": {at}}}"#)).collect();
    insert(&session, &documents);
    insert(&session, &[r#"{"n": 9}"#.to_owned()]);
    let stream = session.ok(
        r#"{"aggregate": "c", "pipeline": [{"$changeStream": {}}], "cursor": {"batchSize": 0}}"#,
    );
    index(&session, "");
    await_pass(&session);
    assert_eq!(ids(&session), [1, 3, 5, 6, 7, 8, 9]);
    assert_eq!(ttl(&session).0, 3);
    let events = session.ok(&format!(
        r#"{{"getMore": {{"$numberLong": "{}"}}, "collection": "c", "maxTimeMS": 1000}}"#,
        cursor_id(&stream)
    ));
    let deletes = batch(&events);
    let deletes = deletes.iter().filter(|event| text(event, "operationType") == "delete").count();
    assert_eq!(deletes, 3, "{events:?}");
    session.ok(r#"{"dropIndexes": "c", "index": "at_1"}"#);
    insert(&session, &[format!(r#"{{"n": 10, "at": {old}}}"#)]);
    await_pass(&session);
    assert!(ids(&session).contains(&10));
}

#[test]
fn a_partial_index_expires_what_it_holds() {
    let session = session();
    let old = date(-20000);
    insert(&session, &[0, 1, 2, 3].map(|n| format!(r#"{{"n": {n}, "at": {old}}}"#)));
    index(&session, r#", "partialFilterExpression": {"n": {"$gt": 1}}"#);
    await_pass(&session);
    assert_eq!(ids(&session), [0, 1]);
}

#[test]
fn more_documents_than_go_at_once_go_while_others_are_written() {
    let session = session();
    let old = date(-20000);
    let documents: Vec<_> = (0..1000).map(|n| format!(r#"{{"n": {n}, "at": {old}}}"#)).collect();
    insert(&session, &documents);
    index(&session, "");
    let begun = Instant::now();
    let mut written = 0;
    while ttl(&session).0 < 1000 {
        insert(&session, &[format!(r#"{{"n": {}}}"#, 1000 + written)]);
        written += 1;
        assert!(begun.elapsed() < PATIENCE, "{:?}", ttl(&session));
    }
    let left = session.ok(r#"{"count": "c"}"#);
    assert_eq!(number(left.as_doc().get("n")), written);
    let valid = session.ok(r#"{"validate": "c"}"#);
    assert_eq!(valid.as_doc().get("valid").and_then(Raw::as_bool), Some(true), "{valid:?}");
}

#[test]
fn clustered_collections_expire_by_their_id() {
    let session = session();
    session.ok(r#"{"create": "c", "clusteredIndex": {"key": {"_id": 1}, "unique": true}, "expireAfterSeconds": 10000}"#);
    let rows = [date(-20000), date(-5000), "3".to_owned()];
    let rows: Vec<_> =
        (0..).zip(&rows).map(|(n, id)| format!(r#"{{"_id": {id}, "n": {n}}}"#)).collect();
    insert(&session, &rows);
    await_pass(&session);
    assert_eq!(ids(&session), [1, 2]);
    session.ok(r#"{"collMod": "c", "expireAfterSeconds": "off"}"#);
    insert(&session, &[format!(r#"{{"_id": {}, "n": 0}}"#, date(-20000))]);
    await_pass(&session);
    assert_eq!(ids(&session), [0, 1, 2]);
    session.ok(r#"{"collMod": "c", "expireAfterSeconds": 1000}"#);
    let listed = session.batch(r#"{"listIndexes": "c"}"#);
    assert_eq!(number(listed[0].as_doc().get("expireAfterSeconds")), 1000);
    await_pass(&session);
    assert_eq!(ids(&session), [2]);
}

#[test]
fn time_series_expire_by_their_time() {
    for meta in ["", r#", "metaField": "m""#] {
        let session = session();
        session.ok(&format!(
            r#"{{"create": "c", "timeseries": {{"timeField": "t"{meta}}}, "expireAfterSeconds": 10000}}"#
        ));
        let row = |n: i64, at: i64| format!(r#"{{"t": {}, "m": 1, "n": {n}}}"#, date(at));
        insert(&session, &[row(0, -20000), row(1, -5000), row(2, -10100), row(3, 5000)]);
        await_pass(&session);
        assert_eq!(ids(&session), [1, 3], "{meta}");
        insert(&session, &[row(4, -30000), row(5, -1000)]);
        await_pass(&session);
        assert_eq!(ids(&session), [1, 3, 5], "{meta}");
        session.ok(r#"{"collMod": "c", "expireAfterSeconds": 2000}"#);
        await_pass(&session);
        assert_eq!(ids(&session), [3, 5], "{meta}");
    }
}

#[test]
fn passes_can_be_stopped_and_their_pace_set() {
    let session = session();
    let admin = |command: &str| session.run_in("admin", command);
    let reply =
        admin(r#"{"setParameter": 1, "ttlMonitorEnabled": false, "ttlMonitorSleepSecs": 2}"#);
    assert_eq!(reply.as_doc().get("was").and_then(Raw::as_bool), Some(true), "{reply:?}");
    let reply = admin(r#"{"getParameter": 1, "ttlMonitorEnabled": 1, "ttlMonitorSleepSecs": 1}"#);
    assert_eq!(reply.as_doc().get("ttlMonitorEnabled").and_then(Raw::as_bool), Some(false));
    assert_eq!(number(reply.as_doc().get("ttlMonitorSleepSecs")), 2);
    for (wrong, code) in [
        (r#""ttlMonitorSleepSecs": 0"#, 2),
        (r#""ttlMonitorSleepSecs": "x""#, 2),
        (r#""nothing": 1"#, 72),
        (r#""enableTestCommands": true"#, 20),
        (r#""comment": "nothing is set""#, 72),
    ] {
        let reply = admin(&format!(r#"{{"setParameter": 1, {wrong}}}"#));
        assert_eq!(number(reply.as_doc().get("code")), code, "{wrong}: {reply:?}");
    }
    let reply = admin(r#"{"setParameter": 1, "ttlMonitorSleepSecs": 1}"#);
    assert_eq!(number(reply.as_doc().get("was")), 2, "{reply:?}");
    admin(r#"{"setParameter": 1, "ttlMonitorEnabled": true}"#);
    await_pass(&session);
}
