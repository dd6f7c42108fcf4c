//! What plans read: how many index entries and documents `explain` counts, and what comes of it.

mod ahead;
mod cache;
mod choice;
mod pipelines;

use headwater_engine::bson::{Doc, DocBuf, Raw};

use crate::commands::{Session, number, text_of};

/// What a command examined: index entries and documents.
pub(crate) fn examined(session: &Session, command: &str) -> (i64, i64) {
    let explain = format!("{{\"explain\": {command}, \"verbosity\": \"executionStats\"}}");
    let reply = session.ok(&explain);
    let stats = reply.as_doc().get("executionStats").and_then(Raw::as_doc).unwrap_or(Doc::EMPTY);
    let figure = |name| number(stats.get(name));
    (figure("totalKeysExamined"), figure("totalDocsExamined"))
}

fn filled(documents: impl Iterator<Item = String>, indexes: &[&str]) -> Session {
    let session = Session::new();
    let documents: Vec<String> = documents.collect();
    for some in documents.chunks(1000) {
        session.ok(&format!("{{\"insert\": \"c\", \"documents\": [{}]}}", some.join(", ")));
    }
    for (at, key) in indexes.iter().enumerate() {
        session.ok(&format!(
            "{{\"createIndexes\": \"c\", \"indexes\": [{{\"key\": {key}, \"name\": \"i{at}\"}}]}}"
        ));
    }
    session
}

fn texts(found: &[DocBuf]) -> Vec<String> {
    found.iter().map(text_of).collect()
}

#[test]
fn a_prefix_of_a_regular_expression_bounds_the_index() {
    let documents = (0..2000).map(|n| format!("{{\"_id\": {n}, \"a\": \"k{n:04}\"}}"));
    let session = filled(documents, &["{\"a\": 1}"]);
    let (keys, docs) =
        examined(&session, "{\"find\": \"c\", \"filter\": {\"a\": {\"$regex\": \"^k012\"}}}");
    assert_eq!((keys, docs), (10, 10));
    let (keys, docs) =
        examined(&session, "{\"find\": \"c\", \"filter\": {\"a\": {\"$regex\": \"^k1.*7$\"}}}");
    assert!(keys == 1000 && docs <= 1000, "{keys} keys, {docs} documents");
}

#[test]
fn a_covered_query_fetches_nothing_and_keeps_types() {
    let values = ["5", "{\"$numberLong\": \"5\"}", "5.0", "{\"$numberDecimal\": \"5.00\"}", "null"];
    let documents =
        (0..50).map(|n| format!("{{\"_id\": {n}, \"a\": {}, \"b\": {n}}}", values[n % 5]));
    let session = filled(documents, &["{\"a\": 1, \"b\": -1}"]);
    let find = "{\"find\": \"c\", \"filter\": {\"a\": 5}, \"projection\": {\"a\": 1, \"b\": 1, \"_id\": 0}, \"sort\": {\"b\": 1}}";
    let (keys, docs) = examined(&session, find);
    assert_eq!(keys, 40);
    assert!(docs == 0 || docs == 40, "explain may not know of projections yet: {docs}");
    let covered = texts(&session.batch(find));
    session.ok("{\"dropIndexes\": \"c\", \"index\": \"i0\"}");
    assert_eq!(covered, texts(&session.batch(find)));
}

#[test]
fn numbers_beside_arrays_keep_their_types() {
    let documents = [r#"{"_id": 1, "a": [1, 5], "d": {"b": 2.0}, "e": {"$numberLong": "5"}}"#];
    let documents = documents.into_iter().map(str::to_owned);
    let db = filled(documents, &[r#"{"a": 1, "d": 1, "e": 1}"#]);
    let kept = [r#"{"d":{"b":{"$numberDouble":"2.0"}},"e":{"$numberLong":"5"}}"#];
    let find =
        r#"{"find": "c", "filter": {"a": {"$gte": 3}}, "projection": {"_id": 0, "d": 1, "e": 1}}"#;
    assert_eq!(texts(&db.batch(find)), kept);
    let group = r#"{"aggregate": "c", "pipeline": [{"$match": {"a": {"$gte": 3}}}, {"$group": {"_id": "$e"}}], "cursor": {}}"#;
    assert_eq!(texts(&db.batch(group)), [r#"{"_id":{"$numberLong":"5"}}"#]);
    let distinct = r#"{"distinct": "c", "key": "d", "query": {"a": {"$gte": 3}}}"#;
    let distinct = text_of(&db.ok(distinct));
    assert!(distinct.starts_with(r#"{"values":[{"b":{"$numberDouble":"2.0"}}]"#), "{distinct}");
}

#[test]
fn types_in_an_index_follow_updates() {
    let documents = (0..10).map(|n| format!("{{\"_id\": {n}, \"a\": {n}}}"));
    let session = filled(documents, &["{\"a\": 1}"]);
    session.ok("{\"update\": \"c\", \"updates\": [{\"q\": {\"_id\": 3}, \"u\": {\"$set\": {\"a\": 3.0}}}]}");
    session.ok("{\"update\": \"c\", \"updates\": [{\"q\": {\"_id\": 4}, \"u\": {\"$set\": {\"a\": {\"$numberLong\": \"4\"}}}}]}");
    let covered = "{\"find\": \"c\", \"filter\": {\"a\": {\"$gte\": 3, \"$lte\": 4}}, \"projection\": {\"a\": 1, \"_id\": 0}}";
    let fetched = "{\"find\": \"c\", \"filter\": {\"_id\": {\"$in\": [3, 4]}}, \"projection\": {\"a\": 1, \"_id\": 0}}";
    assert_eq!(texts(&session.batch(covered)), texts(&session.batch(fetched)));
    let valid = session.ok("{\"validate\": \"c\"}");
    assert_eq!(valid.as_doc().get("valid").and_then(Raw::as_bool), Some(true));
}

#[test]
fn later_fields_of_an_index_are_leapt_to() {
    let documents = (0..5000).map(|n| format!("{{\"_id\": {n}, \"a\": {}, \"b\": {n}}}", n % 10));
    let session = filled(documents, &["{\"a\": 1, \"b\": 1}"]);
    let (keys, docs) = examined(&session, "{\"find\": \"c\", \"filter\": {\"b\": 1234}}");
    assert!(keys <= 45 && docs == 1, "{keys} keys, {docs} documents");
    let find = "{\"find\": \"c\", \"filter\": {\"a\": {\"$gte\": 3, \"$lt\": 6}, \"b\": {\"$in\": [3, 4, 1005, 7]}}}";
    let (keys, docs) = examined(&session, find);
    assert!(keys <= 45 && docs == 3, "{keys} keys, {docs} documents");
}

#[test]
fn branches_use_an_index_each() {
    let documents =
        (0..3000).map(|n| format!("{{\"_id\": {n}, \"a\": {}, \"b\": {}}}", n % 500, n % 700));
    let session = filled(documents, &["{\"a\": 1}", "{\"b\": 1}"]);
    let find = "{\"find\": \"c\", \"filter\": {\"$or\": [{\"a\": 7}, {\"b\": 9}, {\"a\": 9}]}}";
    let (keys, _) = examined(&session, find);
    assert!(keys <= 20, "{keys} keys");
    let mut found = texts(&session.batch(find));
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 16);
}

#[test]
fn an_order_is_merged_from_several_ranges() {
    let documents = (0..4000)
        .map(|n| format!("{{\"_id\": {n}, \"a\": {}, \"b\": {}}}", n % 40, (n * 7919) % 4001));
    let session = filled(documents, &["{\"a\": 1, \"b\": 1}"]);
    for direction in ["1", "-1"] {
        let find = format!(
            "{{\"find\": \"c\", \"filter\": {{\"a\": {{\"$in\": [3, 11, 30]}}}}, \"sort\": {{\"b\": {direction}}}, \"limit\": 5}}"
        );
        let (keys, docs) = examined(&session, &find);
        assert!(keys <= 8 && docs <= 5, "{keys} keys, {docs} documents");
        let merged = texts(&session.batch(&find));
        let sorted = find.replace("\"sort\"", "\"hint\": {\"$natural\": 1}, \"sort\"");
        assert_eq!(merged, texts(&session.batch(&sorted)));
    }
}

#[test]
fn counting_and_distinct_values_read_keys_alone() {
    let documents =
        (0..3000).map(|n| format!("{{\"_id\": {n}, \"a\": {}, \"b\": {}}}", n % 30, n % 3));
    let session = filled(documents, &["{\"a\": 1}", "{\"b\": 1, \"a\": 1}"]);
    let count = "{\"count\": \"c\", \"query\": {\"a\": {\"$gte\": 3, \"$lt\": 5}}}";
    assert_eq!(number(session.ok(count).as_doc().get("n")), 200);
    let values =
        session.ok("{\"distinct\": \"c\", \"key\": \"a\", \"query\": {\"a\": {\"$gt\": 20}}}");
    let values = values.as_doc().get("values").and_then(Raw::as_array).map_or(0, |v| v.len());
    assert_eq!(values, 9);
}

#[test]
fn expressions_that_compare_a_field_bound_an_index() {
    let documents = (0..500).map(|n| match n % 50 {
        0 => format!("{{\"_id\": {n}}}"),
        1 => format!("{{\"_id\": {n}, \"a\": \"t\"}}"),
        _ => format!("{{\"_id\": {n}, \"a\": {n}}}"),
    });
    let session = filled(documents, &["{\"a\": 1}"]);
    for expression in [
        "{\"$eq\": [\"$a\", 77]}",
        "{\"$and\": [{\"$gt\": [\"$a\", 77]}, {\"$lte\": [\"$a\", 80]}]}",
        "{\"$gt\": [490, \"$a\"]}",
        "{\"$gte\": [\"$a\", 480]}",
    ] {
        let find = format!(
            "{{\"find\": \"c\", \"filter\": {{\"$expr\": {expression}}}, \"sort\": {{\"_id\": 1}}}}"
        );
        let natural = find.replace("\"sort\"", "\"hint\": {\"$natural\": 1}, \"sort\"");
        assert_eq!(texts(&session.batch(&find)), texts(&session.batch(&natural)), "{find}");
    }
    let find = "{\"find\": \"c\", \"filter\": {\"$expr\": {\"$eq\": [\"$a\", 77]}}}";
    let (keys, docs) = examined(&session, find);
    assert!(keys <= 12 && docs <= 12, "{keys} keys, {docs} documents");
}

#[test]
fn two_indexes_are_intersected_where_few_documents_are_in_both() {
    let documents =
        (0..12_000).map(|n| format!("{{\"_id\": {n}, \"a\": {}, \"b\": {}}}", n % 20, n / 20 % 20));
    let session = filled(documents, &["{\"a\": 1}", "{\"b\": 1}"]);
    let find = "{\"find\": \"c\", \"filter\": {\"a\": 7, \"b\": 9}, \"batchSize\": 1000}";
    let (keys, docs) = examined(&session, find);
    let mut found = texts(&session.batch(find));
    let natural = find.replace("\"filter\"", "\"hint\": {\"$natural\": 1}, \"filter\"");
    let mut expected = texts(&session.batch(&natural));
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    assert!(docs <= 40 && keys <= 1300, "{keys} keys, {docs} documents");
}

#[test]
fn a_cursor_ends_with_an_error_when_its_index_is_dropped() {
    let documents = (0..50).map(|n| format!("{{\"_id\": {n}, \"a\": {n}}}"));
    let session = filled(documents, &["{\"a\": 1}"]);
    let reply =
        session.ok("{\"find\": \"c\", \"filter\": {\"a\": {\"$gte\": 3}}, \"batchSize\": 5}");
    let cursor = reply.as_doc().get("cursor").and_then(Raw::as_doc).unwrap_or(Doc::EMPTY);
    let id = number(cursor.get("id"));
    session.ok("{\"dropIndexes\": \"c\", \"index\": \"i0\"}");
    let more = session
        .run(&format!("{{\"getMore\": {{\"$numberLong\": \"{id}\"}}, \"collection\": \"c\"}}"));
    assert_eq!(number(more.as_doc().get("code")), 175);
}
