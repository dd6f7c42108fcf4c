//! Pipelines over a collection that several threads read: they give what one thread gives, errors included.

use headwater_engine::{Aggregation, EngineOptions};

use crate::commands::{Session, text_of};

const DOCUMENTS: usize = 20_000;

fn session(threads: usize) -> Session {
    let aggregation = Aggregation { threads, parallel_documents_min: 1, ..Aggregation::default() };
    let session = Session::with(EngineOptions { aggregation, ..EngineOptions::default() });
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

const PIPELINES: [&str; 10] = [
    r#"{"$match": {"g": {"$in": [1, 5]}}}, {"$count": "n"}"#,
    r#"{"$match": {"g": 77}}, {"$count": "n"}"#,
    r#"{"$group": {"_id": "$g", "sum": {"$sum": "$x"}, "mean": {"$avg": "$x"}, "ids": {"$push": "$_id"}}}"#,
    r#"{"$group": {"_id": {"$mod": ["$_id", 1000]}, "first": {"$first": "$x"}, "last": {"$last": "$$ROOT"}}}"#,
    r#"{"$unwind": "$a"}, {"$group": {"_id": "$a", "n": {"$sum": 1}}}"#,
    r#"{"$match": {"x": {"$gt": 100}}}, {"$sort": {"g": -1, "x": 1}}, {"$limit": 50}"#,
    r#"{"$project": {"g": 1, "y": {"$multiply": ["$x", 2]}}}, {"$sort": {"y": 1}}, {"$skip": 19}, {"$limit": 7}"#,
    // The filter fails at a later document than the group.
    r#"{"$match": {"$expr": {"$gte": [{"$divide": [1, {"$subtract": ["$_id", 15000]}]}, -9]}}},
       {"$group": {"_id": {"$toInt": {"$cond": [{"$eq": ["$_id", 12000]}, "no number", 1]}}}}"#,
    // And at an earlier one.
    r#"{"$match": {"$expr": {"$gte": [{"$divide": [1, {"$subtract": ["$_id", 11000]}]}, -9]}}},
       {"$group": {"_id": {"$toInt": {"$cond": [{"$eq": ["$_id", 12000]}, "no number", 1]}}}}"#,
    r#"{"$limit": 3}, {"$group": {"_id": null, "ids": {"$push": "$_id"}}}"#,
];

#[test]
fn several_threads_give_what_one_gives() {
    let (one, two) = (session(1), session(3));
    for stages in PIPELINES {
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
        assert_eq!(answer(&two), expected, "{stages}");
    }
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
