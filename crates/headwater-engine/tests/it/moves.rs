//! Stages that are run before others that were written before them: the answer is the one of the pipeline as written.

use headwater_engine::{Aggregation, EngineOptions};

use crate::commands::{Session, text_of};

fn session(rewrites: bool) -> Session {
    let aggregation = Aggregation { rewrites, ..Aggregation::default() };
    let session = Session::with(EngineOptions { aggregation, ..EngineOptions::default() });
    let document = |at: usize| {
        let list = match at % 4 {
            0 => "[]".to_owned(),
            1 => "null".to_owned(),
            _ => format!("[{at}, {{\"q\": {}}}]", at % 3),
        };
        let field =
            if at.is_multiple_of(5) { String::new() } else { format!("\"a\": {}, ", at % 7) };
        format!(r#"{{"_id": {at}, {field}"b": {{"c": {}}}, "list": {list}}}"#, at % 3)
    };
    let documents = (0..60).map(document).collect::<Vec<_>>().join(", ");
    session.ok(&format!(r#"{{"insert": "c", "documents": [{documents}]}}"#));
    session.ok(r#"{"createIndexes": "c", "indexes": [{"key": {"a": 1}, "name": "a"}]}"#);
    session
}

/// Pipelines, and whether a find plan answers what stands at their end.
const PIPELINES: [(&str, bool); 19] = [
    (r#"{"$addFields": {"x": {"$add": ["$a", 1]}}}, {"$match": {"a": 3}}"#, true),
    (r#"{"$addFields": {"a": {"$add": ["$a", 1]}}}, {"$match": {"a": 3}}"#, false),
    (r#"{"$addFields": {"a.x": 1}}, {"$match": {"a": 3}}"#, false),
    (r#"{"$project": {"a": 1, "b.c": 1}}, {"$match": {"a": 3}}"#, true),
    (r#"{"$project": {"b": 1}}, {"$match": {"a": 3}}"#, false),
    (r#"{"$project": {"b": 1}}, {"$match": {"a": null}}"#, false),
    (r#"{"$unset": "b"}, {"$match": {"$or": [{"a": 3}, {"a": 5}]}}"#, true),
    (r#"{"$unset": "b"}, {"$match": {"$or": [{"a": 3}, {"b.c": null}]}}"#, false),
    // Of some filters a part moves.
    (r#"{"$unset": "b"}, {"$match": {"b.c": null, "a": 3}}"#, true),
    (
        r#"{"$set": {"x": {"$add": ["$a", 1]}}}, {"$match": {"x": {"$gt": 2}, "a": 3, "$expr": {"$lt": ["$x", 9]}}}"#,
        true,
    ),
    (
        r#"{"$set": {"x": 1}}, {"$unwind": "$list"}, {"$match": {"$and": [{"x": 1, "$or": [{"a": 3}, {"a": 4}]}, {"list.q": {"$lt": 2}}]}}"#,
        true,
    ),
    (
        r#"{"$set": {"x": "$a"}}, {"$match": {"$nor": [{"x": 3}, {"a": 3}], "x": {"$ne": 4}}}"#,
        false,
    ),
    (
        r#"{"$lookup": {"from": "c", "localField": "a", "foreignField": "a", "as": "m"}}, {"$unwind": "$m"}, {"$match": {"m.b.c": 1, "a": 3}}"#,
        true,
    ),
    (r#"{"$unwind": "$list"}, {"$match": {"a": {"$in": [1, 3]}}}"#, true),
    (r#"{"$unwind": "$list"}, {"$match": {"list.q": 1}}"#, false),
    (r#"{"$unwind": {"path": "$list", "includeArrayIndex": "a"}}, {"$match": {"a": 1}}"#, false),
    (
        r#"{"$lookup": {"from": "c", "localField": "a", "foreignField": "a", "as": "m"}}, {"$match": {"a": 3}}"#,
        true,
    ),
    (
        r#"{"$group": {"_id": "$b.c", "a": {"$max": "$a"}}}, {"$match": {"a": 6}}, {"$sort": {"_id": 1}}"#,
        false,
    ),
    (
        r#"{"$sort": {"_id": -1}}, {"$match": {"a": 3}}, {"$project": {"a": 1}}, {"$skip": 1}, {"$limit": 2}"#,
        true,
    ),
];

#[test]
fn what_is_moved_answers_as_written() {
    let (written, rewritten) = (session(false), session(true));
    for (stages, planned) in PIPELINES {
        let command = format!(
            r#"{{"aggregate": "c", "pipeline": [{stages}], "cursor": {{"batchSize": 1000}}, "hint": {{"$natural": 1}}}}"#
        );
        let texts = |db: &Session| db.batch(&command).iter().map(text_of).collect::<Vec<_>>();
        let expected = texts(&written);
        assert_eq!(texts(&rewritten), expected, "{stages}");
        let explain = format!(
            r#"{{"explain": {{"aggregate": "c", "pipeline": [{stages}], "cursor": {{}}}}, "verbosity": "queryPlanner"}}"#
        );
        let plan = text_of(&rewritten.ok(&explain));
        assert_eq!(plan.contains("\"IXSCAN\""), planned, "{stages}: {plan}");
    }
}
