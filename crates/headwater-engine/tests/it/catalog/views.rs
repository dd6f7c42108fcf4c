//! Views: what they show, what they refuse, and that definitions stay sound.

use super::{error_of, ids, write_error};
use crate::commands::{Session, number, text, text_of};
use crate::streams::watch;

fn with_views() -> Session {
    let db = Session::new();
    db.ok(r#"{"insert": "c", "documents": [{"_id": 1, "a": 1}, {"_id": 2, "a": 2}, {"_id": 3, "a": 3}]}"#);
    db.ok(r#"{"create": "v", "viewOn": "c", "pipeline": [{"$match": {"a": {"$gt": 1}}}]}"#);
    db.ok(r#"{"create": "w", "viewOn": "v", "pipeline": [{"$set": {"b": {"$add": ["$a", 10]}}}]}"#);
    db
}

#[test]
fn a_view_shows_what_its_pipeline_gives_to_every_reading_command() {
    let db = with_views();
    assert_eq!(
        ids(&db.batch(r#"{"find": "w", "filter": {"b": {"$gt": 11}}, "sort": {"b": -1}}"#)),
        [3, 2]
    );
    assert_eq!(ids(&db.batch(r#"{"find": "w", "skip": 1, "limit": 5}"#)), [3]);
    assert_eq!(number(db.ok(r#"{"count": "w", "query": {"b": 13}}"#).as_doc().get("n")), 1);
    let distinct = db.ok(r#"{"distinct": "w", "key": "b"}"#);
    assert_eq!(
        distinct.as_doc().get("values").and_then(|v| v.as_array()).map(|v| v.len()),
        Some(2)
    );
    let joined = db.batch(
        r#"{"aggregate": "c", "pipeline": [{"$lookup": {"from": "w", "localField": "a", "foreignField": "a", "as": "m"}}, {"$match": {"m": {"$ne": []}}}], "cursor": {}}"#,
    );
    assert_eq!(ids(&joined), [2, 3]);
    let united = db.batch(
        r#"{"aggregate": "v", "pipeline": [{"$unionWith": {"coll": "w", "pipeline": [{"$match": {"b": 12}}]}}], "cursor": {}}"#,
    );
    assert_eq!(ids(&united), [2, 3, 2]);
    let explained = text_of(&db.ok(r#"{"explain": {"find": "w", "filter": {"b": 12}}}"#));
    assert!(explained.contains(r#""namespace":"test.c""#), "{explained}");
    assert!(explained.contains(r#""filter":{"a":{"$gt":{"$numberInt":"1"}}}"#), "{explained}");
}

#[test]
fn a_views_batches_go_on() {
    let db = with_views();
    let opened = db.ok(r#"{"find": "v", "batchSize": 1}"#);
    let cursor = crate::commands::cursor_id(&opened);
    assert_eq!(ids(&crate::commands::batch(&opened)), [2]);
    let more = format!(r#"{{"getMore": {{"$numberLong": "{cursor}"}}, "collection": "v"}}"#);
    assert_eq!(ids(&db.batch(&more)), [3]);
}

#[test]
fn views_refuse_writes_and_whatever_needs_a_collection() {
    let db = with_views();
    let unordered = r#"{"insert": "v", "documents": [{"_id": 9}, {"_id": 10}], "ordered": false}"#;
    assert_eq!(write_error(&db.ok(unordered)), 166);
    let upsert =
        r#"{"update": "v", "updates": [{"q": {}, "u": {"$set": {"x": 1}}, "upsert": true}]}"#;
    assert_eq!(write_error(&db.ok(upsert)), 166);
    assert_eq!(write_error(&db.ok(r#"{"delete": "v", "deletes": [{"q": {}, "limit": 0}]}"#)), 166);
    for command in [
        r#"{"findAndModify": "v", "remove": true}"#,
        r#"{"createIndexes": "v", "indexes": [{"key": {"a": 1}, "name": "a_1"}]}"#,
        r#"{"dropIndexes": "v", "index": "*"}"#,
        r#"{"listIndexes": "v"}"#,
        r#"{"validate": "v"}"#,
        r#"{"collStats": "v"}"#,
        r#"{"convertToCapped": "v", "size": 100}"#,
        r#"{"aggregate": "v", "pipeline": [{"$changeStream": {}}], "cursor": {}}"#,
    ] {
        assert_eq!(error_of(&db, command), "CommandNotSupportedOnView", "{command}");
    }
    assert_eq!(number(db.ok(r#"{"count": "c"}"#).as_doc().get("n")), 3);
}

#[test]
fn definitions_stay_sound() {
    let db = with_views();
    for (command, code) in [
        (r#"{"create": "x", "viewOn": "x"}"#, "GraphContainsCycle"),
        (r#"{"collMod": "v", "viewOn": "w", "pipeline": []}"#, "GraphContainsCycle"),
        (r#"{"collMod": "v", "pipeline": [{"$unionWith": "w"}]}"#, "GraphContainsCycle"),
        (r#"{"collMod": "v", "pipeline": [{"$out": "x"}]}"#, "OptionNotSupportedOnView"),
        (r#"{"collMod": "v", "validator": {"a": 1}}"#, "InvalidOptions"),
        (r#"{"create": "c", "viewOn": "d"}"#, "NamespaceExists"),
        (r#"{"create": "v"}"#, "NamespaceExists"),
    ] {
        assert_eq!(error_of(&db, command), code, "{command}");
    }
    db.ok(r#"{"collMod": "v", "viewOn": "c", "pipeline": [{"$match": {"a": 1}}]}"#);
    assert_eq!(ids(&db.batch(r#"{"find": "w"}"#)), [1]);
    let definitions = db.batch(r#"{"find": "system.views", "sort": {"_id": 1}}"#);
    assert_eq!(
        definitions.iter().map(|doc| text(doc, "_id")).collect::<Vec<_>>(),
        ["test.v", "test.w"]
    );
}

#[test]
fn a_stream_of_expanded_events_tells_of_views() {
    let db = Session::new();
    db.ok(r#"{"insert": "c", "documents": [{"_id": 1}]}"#);
    let mut expanded = watch(&db, "test", "", r#"{"showExpandedEvents": true}"#, "");
    let mut plain = watch(&db, "test", "", "{}", "");
    db.ok(r#"{"create": "v", "viewOn": "c"}"#);
    db.ok(r#"{"collMod": "v", "pipeline": [{"$limit": 1}]}"#);
    db.ok(r#"{"drop": "v"}"#);
    db.ok(r#"{"insert": "c", "documents": [{"_id": 2}]}"#);
    let mut told = Vec::new();
    while told.last().is_none_or(|last| last != "insert") {
        let events = expanded.next(10_000);
        assert!(!events.is_empty(), "only {told:?}");
        told.extend(events.iter().map(|event| text(event, "operationType").to_owned()));
    }
    assert_eq!(told, ["create", "modify", "drop", "insert"]);
    let events = plain.next(10_000);
    assert_eq!(events.iter().map(|e| text(e, "operationType")).collect::<Vec<_>>(), ["insert"]);
}

#[test]
fn a_database_of_views_alone_is_there_and_goes() {
    let db = Session::new();
    db.ok(r#"{"create": "v", "viewOn": "none"}"#);
    assert!(db.batch(r#"{"find": "v"}"#).is_empty());
    let rows = db.batch(r#"{"listCollections": 1, "nameOnly": true}"#);
    let mut names: Vec<_> = rows.iter().map(|row| text(row, "name")).collect();
    names.sort_unstable();
    assert_eq!(names, ["system.views", "v"]);
    db.ok(r#"{"dropDatabase": 1}"#);
    assert!(db.batch(r#"{"listCollections": 1}"#).is_empty());
    assert_eq!(error_of(&db, r#"{"listIndexes": "v"}"#), "NamespaceNotFound");
}

#[test]
fn views_that_read_many_others_are_checked_in_no_time_and_never_too_deep() {
    let db = Session::new();
    db.ok(r#"{"insert": "c", "documents": [{"_id": 1}]}"#);
    let join = |from: &str| {
        format!(
            r#"{{"$lookup": {{"from": "{from}", "localField": "_id", "foreignField": "_id", "as": "x"}}}}"#
        )
    };
    // Each names all before it: there are more ways through them than could be walked.
    for at in 0..19 {
        let stages: Vec<String> = (0..at).map(|before| join(&format!("v{before}"))).collect();
        let stages = stages.join(", ");
        db.ok(&format!(r#"{{"create": "v{at}", "viewOn": "c", "pipeline": [{stages}]}}"#));
    }
    for at in 0..19 {
        let below = if at == 0 { "c".to_owned() } else { format!("w{}", at - 1) };
        db.ok(&format!(r#"{{"create": "w{at}", "viewOn": "c", "pipeline": [{}]}}"#, join(&below)));
    }
    assert_eq!(db.batch(r#"{"find": "w18"}"#).len(), 1);
    // Grown from below, a view that was not too deep is.
    db.ok(&format!(r#"{{"collMod": "w0", "pipeline": [{}]}}"#, join("v18")));
    assert_eq!(error_of(&db, r#"{"find": "w18"}"#), "ViewDepthLimitExceeded");
    let cycle = r#"{"collMod": "v0", "pipeline": [{"$unionWith": "v1"}]}"#;
    assert_eq!(error_of(&db, cycle), "GraphContainsCycle");
}
