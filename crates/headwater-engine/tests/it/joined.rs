//! `$lookup` finds the same documents one at a time, through an index, and in memory.

use headwater_engine::{Aggregation, EngineOptions};

use crate::commands::{Session, text_of};

/// Values of the fields on both sides, whole fields as they stand in a document.
const FIELDS: &[&str] = &[
    r#""k": 1"#,
    r#""k": 1.0"#,
    r#""k": {"$numberLong": "2"}"#,
    r#""k": {"$numberDecimal": "2.0"}"#,
    r#""k": "a""#,
    r#""k": "A""#,
    r#""k": null"#,
    r#""x": 1"#,
    r#""k": []"#,
    r#""k": [1, "a", null]"#,
    r#""k": [[1]]"#,
    r#""k": [1, [2]]"#,
    r#""k": {"q": 1}"#,
    r#""k": {"q": [1, 2]}"#,
    r#""k": [{"q": 1}, {"q": "a"}, {}]"#,
    r#""k": {"q": null}"#,
    r#""k": {"$regularExpression": {"pattern": "a", "options": ""}}"#,
    r#""k": {"$date": "2026-01-01T00:00:00Z"}"#,
    r#""k": true"#,
    r#""k": {"$numberDouble": "NaN"}"#,
];

fn documents() -> String {
    let document = |(id, field): (usize, &&str)| format!(r#"{{"_id": {id}, {field}}}"#);
    FIELDS.iter().enumerate().map(document).collect::<Vec<_>>().join(", ")
}

/// What belongs to each document, their ids in order.
fn joined(db: &Session, first: &str, field: &str, more: &str, rest: &str) -> Vec<String> {
    let lookup = format!(
        r#"{{"$lookup": {{"from": "o", "localField": "{field}", "foreignField": "{field}", "as": "m"{more}}}}}"#
    );
    let ids = r#"{"$project": {"m": {"$sortArray": {"input": "$m._id", "sortBy": 1}}}}"#;
    let stages = format!(r#"{first}{{"$sort": {{"_id": 1}}}}, {lookup}, {ids}"#);
    let command = format!(r#"{{"aggregate": "c", "pipeline": [{stages}], "cursor": {{}}{rest}}}"#);
    db.batch(&command).iter().map(text_of).collect()
}

#[test]
fn the_ways_to_join_find_the_same() {
    let db = Session::new();
    for collection in ["c", "o"] {
        let documents = documents();
        db.ok(&format!(r#"{{"insert": "{collection}", "documents": [{documents}]}}"#));
    }
    let insensitive = r#", "collation": {"locale": "en", "strength": 2}"#;
    let pipeline = r#", "pipeline": [{"$match": {"_id": {"$lt": 12}}}]"#;
    let ways = [("k", "", ""), ("k.q", "", ""), ("k", "", insensitive), ("k", pipeline, "")];
    let in_memory = ways.map(|(field, more, rest)| joined(&db, "", field, more, rest));
    for ((field, more, rest), all) in ways.iter().zip(&in_memory) {
        assert_eq!(all.len(), FIELDS.len());
        // A pipeline for one document asks the collection.
        for (id, expected) in all.iter().enumerate() {
            let first = format!(r#"{{"$match": {{"_id": {id}}}}}, "#);
            let one = joined(&db, &first, field, more, rest);
            assert_eq!(one.first(), Some(expected), "{field} {more} {rest} of {}", FIELDS[id]);
        }
    }
    db.ok(
        r#"{"createIndexes": "o", "indexes": [{"key": {"k": 1}, "name": "k"}, {"key": {"k.q": 1}, "name": "kq"}]}"#,
    );
    for ((field, more, rest), all) in ways.iter().zip(&in_memory) {
        assert_eq!(&joined(&db, "", field, more, rest), all, "{field} {more} {rest}");
    }
}

#[test]
fn a_small_collection_is_joined_in_memory_as_through_its_index() {
    let session = |rewrites| {
        let aggregation = Aggregation { rewrites, ..Aggregation::default() };
        let db = Session::with(EngineOptions { aggregation, ..EngineOptions::default() });
        for (collection, times) in [("c", 60), ("o", 3)] {
            let document = |at: usize| format!(r#"{{"_id": {at}, {}}}"#, FIELDS[at % FIELDS.len()]);
            let documents: Vec<_> = (0..FIELDS.len() * times).map(document).collect();
            let documents = documents.join(", ");
            db.ok(&format!(r#"{{"insert": "{collection}", "documents": [{documents}]}}"#));
        }
        db.ok(r#"{"createIndexes": "o", "indexes": [{"key": {"k": 1}, "name": "k"}]}"#);
        db
    };
    let (written, rewritten) = (session(false), session(true));
    for more in ["", r#", {"$unwind": "$m"}"#] {
        let command = format!(
            r#"{{"aggregate": "c", "pipeline": [{{"$sort": {{"_id": 1}}}}, {{"$lookup": {{"from": "o",
               "localField": "k", "foreignField": "k", "as": "m"}}}}{more}], "cursor": {{"batchSize": 20000}}}}"#
        );
        let texts = |db: &Session| db.batch(&command).iter().map(text_of).collect::<Vec<_>>();
        let expected = texts(&written);
        assert!(expected.len() >= FIELDS.len() * 60, "{}", expected.len());
        assert!(texts(&rewritten) == expected, "{command}");
    }
}

#[test]
fn what_is_asked_of_joined_documents_is_asked_where_they_are_joined() {
    let session = |rewrites: bool| {
        let aggregation = Aggregation { rewrites, ..Aggregation::default() };
        let session = Session::with(EngineOptions { aggregation, ..EngineOptions::default() });
        let document = |id: usize| {
            let (k, p) = (id % 5, id % 100);
            format!(r#"{{"_id": {id}, "k": {k}, "p": {p}, "l": [{k}, {{"q": {p}}}]}}"#)
        };
        let documents = (0..400).map(document).collect::<Vec<_>>().join(", ");
        for name in ["c", "o"] {
            session.ok(&format!(r#"{{"insert": "{name}", "documents": [{documents}]}}"#));
        }
        session
            .ok(r#"{"createIndexes": "o", "indexes": [{"key": {"k": 1, "p": 1}, "name": "kp"}]}"#);
        session
    };
    let (written, rewritten) = (session(false), session(true));
    let examined = |session: &Session, stages: &str| {
        let explain = format!(
            r#"{{"explain": {{"aggregate": "c", "pipeline": [{stages}], "cursor": {{}}}}, "verbosity": "executionStats"}}"#
        );
        let plan = text_of(&session.ok(&explain));
        let (_, lookup) = plan.split_once("\"$lookup\"").expect("no $lookup");
        let (_, count) = lookup.split_once("\"totalDocsExamined\":").expect("no figure");
        let digits: String = count.chars().filter(char::is_ascii_digit).take(9).collect();
        let end = count.trim_start_matches(|c: char| !c.is_ascii_digit());
        let end = end.find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
        digits[..end].parse::<u64>().expect("a number")
    };
    let unwound = r#"{"$match": {"_id": {"$lt": 20}}}, {"$lookup": {"from": "o", "localField": "k", "foreignField": "k", "as": "m"}}, {"$unwind": UNWIND}"#;
    for (unwind, filter, fewer) in [
        (r#""$m""#, r#"{"m.p": 7}"#, true),
        (r#""$m""#, r#"{"m.p": {"$gte": 95}, "_id": {"$gt": 3}, "m.l.q": {"$gt": 1}}"#, true),
        (r#""$m""#, r#"{"$or": [{"m.p": 7}, {"m.p": {"$in": [12, 13]}}]}"#, true),
        (r#""$m""#, r#"{"$or": [{"m.p": 7}, {"_id": 4}]}"#, false),
        (r#""$m""#, r#"{"m": {"$exists": true}}"#, false),
        (r#"{"path": "$m", "preserveNullAndEmptyArrays": true}"#, r#"{"m.p": null}"#, false),
        (r#"{"path": "$m", "includeArrayIndex": "m.p"}"#, r#"{"m.p": 7}"#, false),
    ] {
        let stages = format!("{}, {{\"$match\": {filter}}}", unwound.replace("UNWIND", unwind));
        let command = format!(
            r#"{{"aggregate": "c", "pipeline": [{stages}, {{"$sort": {{"_id": 1, "m._id": 1}}}}], "cursor": {{"batchSize": 10000}}}}"#
        );
        let texts = |db: &Session| db.batch(&command).iter().map(text_of).collect::<Vec<_>>();
        assert_eq!(texts(&rewritten), texts(&written), "{stages}");
        let (before, now) = (examined(&written, &stages), examined(&rewritten, &stages));
        assert_eq!(now < before, fewer, "{stages}: {now} of {before}");
    }
}
