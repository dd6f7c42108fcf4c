//! `$out` and `$merge` of many documents: swapped at once or not at all, a batch at a time with others in between, ended
//! early without harm, and seen by change streams.

use headwater_engine::bson::{DocBuf, Raw};

use crate::commands::{Session, batch, number, text};
use crate::streams::{code, insert, watch};
use crate::writes::{DOCUMENTS, beside, count, engine_with};

fn names(db: &Session) -> Vec<String> {
    let listed = batch(&db.ok(r#"{"listCollections": 1, "nameOnly": true}"#));
    listed.iter().map(|row| text(row, "name").to_owned()).collect()
}

fn count_in(db: &Session, collection: &str) -> i64 {
    let reply = db.ok(&format!(r#"{{"count": "{collection}"}}"#));
    number(reply.as_doc().get("n"))
}

fn aggregate(stages: &str, rest: &str) -> String {
    format!(r#"{{"aggregate": "c", "pipeline": [{stages}], "cursor": {{}}{rest}}}"#)
}

#[test]
fn many_documents_take_the_place_of_a_collection_that_keeps_its_indexes() {
    let db = Session::on(engine_with(DOCUMENTS));
    db.ok(r#"{"insert": "d", "documents": [{"_id": "old"}]}"#);
    db.ok(r#"{"createIndexes": "d", "indexes": [{"key": {"n": 1}, "name": "n", "unique": true}]}"#);
    let reply = db.ok(&aggregate(r#"{"$match": {}}, {"$out": "d"}"#, ""));
    assert!(batch(&reply).is_empty());
    assert_eq!(count_in(&db, "d"), DOCUMENTS);
    let found = db.batch(r#"{"find": "d", "filter": {"n": 77}, "hint": "n"}"#);
    assert_eq!(number(found[0].as_doc().get("_id")), 77);
    let twice = db.run(r#"{"insert": "d", "documents": [{"_id": "x", "n": 77}]}"#);
    assert!(twice.as_doc().get("writeErrors").is_some(), "{twice:?}");
    assert_eq!(names(&db), ["c", "d"]);
    // Made again, the indexes are those that are there.
    let again =
        r#"{"createIndexes": "d", "indexes": [{"key": {"n": 1}, "name": "n", "unique": true}]}"#;
    assert_eq!(number(db.ok(again).as_doc().get("numIndexesAfter")), 2);
}

#[test]
fn what_fails_late_leaves_the_target_and_nothing_else() {
    let db = Session::on(engine_with(DOCUMENTS));
    db.ok(r#"{"insert": "d", "documents": [{"_id": "old"}]}"#);
    let last = DOCUMENTS - 1;
    let divide =
        format!(r#"{{"$set": {{"q": {{"$divide": [1, {{"$subtract": ["$n", {last}]}}]}}}}}}"#);
    let reply = db.run(&aggregate(&format!(r#"{divide}, {{"$out": "d"}}"#), ""));
    assert_eq!(code(&reply), 2);
    let reply = db.run(&aggregate(r#"{"$out": "d"}"#, r#", "maxTimeMS": 1"#));
    assert_eq!(code(&reply), 50);
    assert_eq!(count_in(&db, "d"), 1);
    assert_eq!(names(&db), ["c", "d"]);
    // What was merged before stays.
    let reply = db.run(&aggregate(&format!(r#"{divide}, {{"$merge": "d"}}"#), ""));
    assert_eq!(code(&reply), 2);
    let merged = count_in(&db, "d") - 1;
    assert!(merged > 0 && merged < DOCUMENTS, "{merged}");
}

#[test]
fn a_target_that_changes_meanwhile_is_not_replaced() {
    let engine = engine_with(DOCUMENTS);
    let start = |db: &Session| {
        db.ok(r#"{"drop": "d"}"#);
        db.ok(r#"{"insert": "d", "documents": [{"_id": "old"}]}"#);
    };
    start(&Session::on(engine.clone()));
    let out = aggregate(r#"{"$out": "d"}"#, r#", "comment": "walk""#);
    let index = r#"{"createIndexes": "d", "indexes": [{"key": {"z": 1}, "name": "z"}]}"#;
    let (reply, there) = beside(&engine, &out, start, |db, _| {
        db.ok(index);
        count_in(db, "d")
    });
    let db = Session::on(engine);
    if there == 1 && number(reply.as_doc().get("ok")) == 0 {
        assert_eq!(code(&reply), 125);
        assert_eq!(count_in(&db, "d"), 1);
    } else {
        // The index came behind the swap.
        assert_eq!(count_in(&db, "d"), DOCUMENTS, "{reply:?}");
    }
    assert_eq!(names(&db), ["c", "d"]);
}

#[test]
fn merging_into_itself_ends_and_meets_nothing_twice() {
    let db = Session::on(engine_with(DOCUMENTS));
    db.ok(&aggregate(r#"{"$unset": "_id"}, {"$set": {"times": 1}}, {"$merge": "c"}"#, ""));
    assert_eq!(count(&db, r#"{"times": 0}"#), DOCUMENTS);
    assert_eq!(count(&db, r#"{"times": 1}"#), DOCUMENTS);
    let add = r#"{"$merge": {"into": "c", "whenMatched": [{"$set": {"times": {"$add": ["$times", 5]}}}]}}"#;
    db.ok(&aggregate(add, ""));
    assert_eq!(count(&db, r#"{"times": 5}"#), DOCUMENTS);
    assert_eq!(count(&db, r#"{"times": 6}"#), DOCUMENTS);
}

#[test]
fn others_write_between_the_batches_of_a_merge() {
    let engine = engine_with(DOCUMENTS);
    let again = |db: &Session| {
        db.ok(r#"{"drop": "d"}"#);
    };
    let merge = aggregate(r#"{"$merge": "d"}"#, r#", "comment": "walk""#);
    let (reply, between) = beside(&engine, &merge, again, |db, _| {
        insert(db, "test", "d", -1);
        count_in(db, "d")
    });
    assert_eq!(number(reply.as_doc().get("ok")), 1, "{reply:?}");
    assert!(between > 1);
    assert_eq!(count_in(&Session::on(engine), "d"), DOCUMENTS + 1);
}

#[test]
fn streams_show_a_renaming_and_each_merged_document() {
    let db = Session::new();
    insert(&db, "test", "c", 1);
    insert(&db, "test", "d", 2);
    let types = |events: &[DocBuf]| {
        events.iter().map(|event| text(event, "operationType").to_owned()).collect::<Vec<_>>()
    };
    let mut stream = watch(&db, "test", "d", "{}", "");
    db.ok(&aggregate(r#"{"$set": {"a": 1}}, {"$merge": "d"}"#, ""));
    db.ok(&aggregate(r#"{"$set": {"a": 2}}, {"$merge": "d"}"#, ""));
    db.ok(&aggregate(r#"{"$merge": {"into": "d", "whenMatched": "replace"}}"#, ""));
    assert_eq!(types(&stream.next(1)), ["insert", "update", "replace"]);
    db.ok(&aggregate(r#"{"$out": "d"}"#, ""));
    let events = stream.next(1);
    assert_eq!(types(&events), ["rename", "invalidate"]);
    let to = events[0].as_doc().get("to").and_then(Raw::as_doc).unwrap();
    assert_eq!(to.get("coll").and_then(Raw::as_str), Some("d"));
}

#[test]
fn a_linearizable_read_does_not_write() {
    let db = Session::new();
    insert(&db, "test", "c", 1);
    for stage in [r#"{"$out": "d"}"#, r#"{"$merge": "d"}"#] {
        let reply = db.run(&aggregate(stage, r#", "readConcern": {"level": "linearizable"}"#));
        assert_eq!(code(&reply), 72);
    }
    assert_eq!(names(&db), ["c"]);
}
