//! Pipelines over a collection whose documents several threads take in: they give what one thread gives, errors included.

use headwater_engine::bson::Raw;
use headwater_engine::{Aggregation, EngineOptions};

use crate::commands::{Session, text_of};

const DOCUMENTS: usize = 20_000;

fn session(threads: usize) -> Session {
    little(threads, EngineOptions::default().stage_bytes_max)
}

fn little(threads: usize, stage_bytes_max: usize) -> Session {
    let aggregation = Aggregation { threads, parallel_documents_min: 1, ..Aggregation::default() };
    let options = EngineOptions { aggregation, stage_bytes_max, ..EngineOptions::default() };
    let session = Session::with(options);
    for first in (0..DOCUMENTS).step_by(1000) {
        let document = |at: usize| {
            let (group, number) = (at * 7919 % 13, (at * 104_729 % 1000) as f64 / 7.0);
            format!(r#"{{"_id": {at}, "g": {group}, "x": {number:?}, "a": [{at}, "{group}"]}}"#)
        };
        let documents: Vec<String> = (first..first + 1000).map(document).collect();
        session.ok(&format!(r#"{{"insert": "c", "documents": [{}]}}"#, documents.join(", ")));
    }
    session.ok(
        r#"{"delete": "c", "deletes": [{"q": {"_id": {"$gte": 3000, "$lt": 9000}, "g": {"$ne": 3}}, "limit": 0}]}"#,
    );
    session
}

/// Pipelines, and whether several threads take in the documents.
const PIPELINES: [(&str, bool); 13] = [
    (r#"{"$match": {"g": {"$in": [1, 5]}}}, {"$count": "n"}"#, true),
    (r#"{"$match": {"g": 77}}, {"$count": "n"}"#, true),
    (
        r#"{"$group": {"_id": "$g", "sum": {"$sum": "$x"}, "mean": {"$avg": "$x"}, "ids": {"$push": "$_id"}}}"#,
        true,
    ),
    (
        r#"{"$group": {"_id": {"$mod": ["$_id", 6000]}, "first": {"$first": "$x"}, "last": {"$last": "$none"}, "n": {"$sum": "$x"}}}"#,
        true,
    ),
    (r#"{"$group": {"_id": "$none.at.all", "last": {"$last": "$$ROOT"}}}"#, false),
    (
        r#"{"$unwind": "$a"}, {"$group": {"_id": "$a", "n": {"$sum": 1}, "x": {"$stdDevPop": "$x"}}}"#,
        true,
    ),
    (
        r#"{"$unwind": {"path": "$a", "includeArrayIndex": "i"}}, {"$match": {"i": 1}}, {"$sortByCount": "$a"}"#,
        true,
    ),
    (r#"{"$match": {"x": {"$gt": 100}}}, {"$sort": {"g": -1, "x": 1}}, {"$limit": 50}"#, false),
    (
        r#"{"$set": {"y": {"$multiply": ["$x", 2]}}}, {"$group": {"_id": {"g": "$g"}, "y": {"$avg": "$y"}}}, {"$sort": {"y": 1}}"#,
        true,
    ),
    // The filter fails at a later document than the group.
    (
        r#"{"$match": {"$expr": {"$gte": [{"$divide": [1, {"$subtract": ["$_id", 15000]}]}, -9]}}},
           {"$group": {"_id": {"$toInt": {"$cond": [{"$eq": ["$_id", 12000]}, "no number", 1]}}}}"#,
        false,
    ),
    // And at an earlier one.
    (
        r#"{"$match": {"$expr": {"$gte": [{"$divide": [1, {"$subtract": ["$_id", 11000]}]}, -9]}}},
           {"$group": {"_id": {"$toInt": {"$cond": [{"$eq": ["$_id", 12000]}, "no number", 1]}}}}"#,
        false,
    ),
    // Among many groups, of which one fails at a document that waits with others.
    (
        r#"{"$group": {"_id": "$_id", "n": {"$sum": {"$toInt": {"$cond": [{"$gte": ["$_id", 17003]}, "$a", 1]}}}}}"#,
        false,
    ),
    (r#"{"$limit": 3}, {"$group": {"_id": null, "ids": {"$push": "$_id"}}}"#, false),
];

/// How many walks several threads have taken in together.
fn shared_scans(session: &Session) -> String {
    let status = session.ok(r#"{"serverStatus": 1}"#);
    let own = status.as_doc().get("headwater").and_then(Raw::as_doc);
    format!("{:?}", own.and_then(|own| own.get("sharedScans")).map(Raw::view))
}

#[test]
fn several_threads_give_what_one_gives() {
    let (one, two) = (session(1), session(3));
    for (stages, shared) in PIPELINES {
        let command = format!(
            r#"{{"aggregate": "c", "pipeline": [{stages}], "cursor": {{"batchSize": 100000}}}}"#
        );
        let answer = |session: &Session| {
            let reply = session.run(&command);
            let part = |name| reply.as_doc().get(name).map(|part| format!("{part:?}"));
            (part("cursor"), part("code"), part("errmsg"))
        };
        let expected = answer(&one);
        assert!(expected.0.is_some() || expected.1.is_some(), "{stages}");
        let before = shared_scans(&two);
        assert_eq!(answer(&two), expected, "{stages}");
        assert_eq!(shared_scans(&two) != before, shared, "{stages}");
    }
    assert_eq!(shared_scans(&one), "Some(Int64(0))");
}

#[test]
fn what_memory_has_no_room_for_is_left_to_one_thread() {
    let sessions = [1, 3].map(|threads| little(threads, 64 << 10));
    for stages in [
        r#"{"$group": {"_id": "$_id", "x": {"$sum": "$x"}}}, {"$sort": {"_id": 1}}"#,
        r#"{"$group": {"_id": "$g", "x": {"$push": "$x"}}}, {"$sort": {"_id": 1}}"#,
    ] {
        let command = format!(
            r#"{{"aggregate": "c", "pipeline": [{stages}], "cursor": {{"batchSize": 100000}}}}"#
        );
        let [one, three] = sessions.each_ref().map(|session| session.batch(&command).len());
        assert!(one > 0, "{stages}");
        assert_eq!(one, three, "{stages}");
    }
    assert_eq!(shared_scans(&sessions[1]), "Some(Int64(0))");
}

#[test]
fn the_time_limit_reaches_the_threads() {
    let session = session(2);
    // A filter that takes much longer than the limit for each document.
    let slow = r#"{"$match": {"$expr": {"$gt": [{"$sum": {"$map": {"input": {"$range": [0, 20000]},
        "in": {"$multiply": ["$$this", "$x"]}}}}, -1]}}}, {"$count": "n"}"#;
    let command =
        format!(r#"{{"aggregate": "c", "pipeline": [{slow}], "cursor": {{}}, "maxTimeMS": 200}}"#);
    let reply = text_of(&session.run(&command));
    assert!(reply.contains("MaxTimeMSExpired"), "{reply}");
}
