//! The profiler: what is kept in `system.profile`, what it tells, and who may write there.

use headwater_engine::bson::{DocBuf, Raw};

use crate::commands::{Session, number, text};

fn kept(db: &Session) -> Vec<DocBuf> {
    db.batch(r#"{"find": "system.profile", "filter": {"ns": {"$ne": "test.system.profile"}, "op": {"$ne": "command"}}}"#)
}

#[test]
fn what_is_kept_tells_what_was_done() {
    let db = Session::new();
    db.ok(r#"{"insert": "c", "documents": [{"_id": 1, "a": 1}, {"_id": 2, "a": 1}, {"_id": 3, "a": 2}]}"#);
    db.ok(r#"{"createIndexes": "c", "indexes": [{"key": {"a": 1}, "name": "a_1"}]}"#);
    let before = db.ok(r#"{"profile": 2, "slowms": 20}"#);
    let was = |reply: &DocBuf, name: &str| number(reply.as_doc().get(name));
    assert_eq!((was(&before, "was"), was(&before, "slowms")), (0, 100));
    db.ok(r#"{"find": "c", "filter": {"a": 1, "_id": {"$gt": 1}}}"#);
    db.ok(r#"{"find": "c", "filter": {"_id": 3}}"#);
    db.ok(r#"{"insert": "c", "documents": [{"_id": 4}, {"_id": 5}]}"#);
    db.ok(
        r#"{"update": "c", "updates": [{"q": {"a": 1}, "u": {"$set": {"b": 1}}, "multi": true}]}"#,
    );
    db.ok(r#"{"delete": "c", "deletes": [{"q": {"_id": 4}, "limit": 1}]}"#);
    let now = db.ok(r#"{"profile": 0}"#);
    assert_eq!((was(&now, "was"), was(&now, "slowms")), (2, 20));
    db.ok(r#"{"find": "c", "filter": {"a": 9}}"#);
    let kept = kept(&db);
    let ops: Vec<&str> = kept.iter().map(|entry| text(entry, "op")).collect();
    assert_eq!(ops, ["query", "query", "insert", "update", "remove"]);
    let [found, by_id, inserted, updated, removed] = kept.as_slice() else { panic!("{kept:?}") };
    assert_eq!(text(found, "ns"), "test.c");
    assert_eq!(text(found, "planSummary"), "IXSCAN { a: 1 }");
    assert_eq!(text(found, "queryHash").len(), 8);
    assert_eq!((was(found, "keysExamined"), was(found, "docsExamined")), (2, 2));
    assert_eq!((was(found, "nreturned"), was(found, "millis") < 60_000), (1, true));
    let filter = found.as_doc().get("command").and_then(Raw::as_doc).unwrap().get("filter");
    assert!(filter.is_some_and(|filter| filter.as_doc().is_some()));
    assert_eq!(text(by_id, "planSummary"), "EXPRESS_IXSCAN { _id: 1 }");
    assert_eq!((was(by_id, "keysExamined"), was(by_id, "docsExamined")), (1, 1));
    assert_eq!(was(inserted, "ninserted"), 2);
    assert_eq!((was(updated, "nMatched"), was(updated, "nModified")), (2, 2));
    assert_eq!(was(removed, "ndeleted"), 1);
    for entry in &kept {
        assert!(entry.as_doc().get("_id").is_none() && entry.as_doc().get("ts").is_some());
    }
}

#[test]
fn a_filter_decides_instead_of_the_time() {
    let db = Session::new();
    db.ok(r#"{"insert": "c", "documents": [{"_id": 1, "a": 1}, {"_id": 2, "a": 2}]}"#);
    db.ok(r#"{"profile": 1, "filter": {"op": "query", "nreturned": 2}}"#);
    db.ok(r#"{"find": "c", "filter": {"a": 1}}"#);
    db.ok(r#"{"find": "c"}"#);
    db.ok(r#"{"count": "c"}"#);
    let asked = db.ok(r#"{"profile": -1}"#);
    assert!(asked.as_doc().get("filter").is_some() && asked.as_doc().get("note").is_some());
    assert_eq!(kept(&db).len(), 1);
    db.ok(r#"{"profile": 0, "filter": "unset"}"#);
    assert!(db.ok(r#"{"profile": -1}"#).as_doc().get("filter").is_none());
    // Nothing is so slow in an hour.
    db.ok(r#"{"profile": 1, "slowms": 3600000}"#);
    db.ok(r#"{"find": "c"}"#);
    assert_eq!(kept(&db).len(), 1);
}

#[test]
fn nobody_writes_where_the_profiler_keeps() {
    let db = Session::new();
    db.ok(r#"{"profile": 2}"#);
    db.ok(r#"{"insert": "c", "documents": [{"_id": 1}]}"#);
    assert_eq!(kept(&db).len(), 1);
    for command in [
        r#"{"insert": "system.profile", "documents": [{"a": 1}]}"#,
        r#"{"delete": "system.profile", "deletes": [{"q": {}, "limit": 0}]}"#,
        r#"{"update": "system.profile", "updates": [{"q": {}, "u": {"$set": {"a": 1}}}]}"#,
    ] {
        let reply = db.run(command);
        assert_eq!(number(reply.as_doc().get("code")), 73, "{command}: {reply:?}");
    }
    let code = |command: &str| db.run(command).as_doc().get("code").map(|code| number(Some(code)));
    assert_eq!(code(r#"{"drop": "system.profile"}"#), Some(20));
    db.ok(r#"{"profile": 0}"#);
    let listed = db.batch(r#"{"listCollections": 1, "filter": {"name": "system.profile"}}"#);
    let options = listed[0].as_doc().get("options").and_then(Raw::as_doc).unwrap();
    assert_eq!(number(options.get("size")), 1 << 20);
    db.ok(r#"{"drop": "system.profile"}"#);
    assert!(db.batch(r#"{"listCollections": 1, "filter": {"name": "system.profile"}}"#).is_empty());
    for wrong in [
        r#"{"profile": 3}"#,
        r#"{"profile": 1, "sampleRate": 2}"#,
        r#"{"profile": 1, "filter": "x"}"#,
    ] {
        assert_eq!(code(wrong), Some(2), "{wrong}");
    }
    assert_eq!(code(r#"{"profile": "a"}"#), Some(14));
}
