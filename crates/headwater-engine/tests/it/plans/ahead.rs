//! Documents that are fetched ahead: a cursor gives each once, in order, wherever its batches end, and no more is counted
//! than was given.

use super::{examined, filled};
use crate::commands::{Session, batch, cursor_id, number};
use headwater_engine::bson::DocBuf;

fn ids(found: &[DocBuf]) -> Vec<i64> {
    found.iter().map(|doc| number(doc.as_doc().get("_id"))).collect()
}

fn in_batches(session: &Session, find: &str, size: usize) -> Vec<i64> {
    let reply = session.ok(&format!("{{{find}, \"batchSize\": {size}}}"));
    let (mut id, mut found) = (cursor_id(&reply), ids(&batch(&reply)));
    while id != 0 {
        let more = format!(
            "{{\"getMore\": {{\"$numberLong\": \"{id}\"}}, \"collection\": \"c\", \"batchSize\": {size}}}"
        );
        let reply = session.ok(&more);
        (id, found) = (cursor_id(&reply), [found, ids(&batch(&reply))].concat());
    }
    found
}

#[test]
fn batches_may_end_anywhere() {
    let documents = (0..300).map(|n| format!("{{\"_id\": {n}, \"a\": {}, \"b\": {n}}}", n % 40));
    let session = filled(documents, &["{\"a\": 1, \"b\": 1}"]);
    // Some of the ids are not there, and one is named twice.
    let list: Vec<i64> = (0..120).map(|n| n * 7 % 400).chain([7]).collect();
    let mut there: Vec<i64> = list.iter().copied().filter(|id| *id < 300).collect();
    there.sort_unstable();
    there.dedup();
    let of_values = |values: &[i64], from: i64| {
        let all = (0..300).filter(|n| values.contains(&(n % 40)) && *n >= from);
        let mut all: Vec<i64> = all.collect();
        all.sort_unstable_by_key(|n| (n % 40, *n));
        all
    };
    let backwards = |mut ids: Vec<i64>| {
        ids.reverse();
        ids
    };
    let hint = "\"hint\": {\"a\": 1, \"b\": 1}";
    let cases = [
        (format!("\"filter\": {{\"_id\": {{\"$in\": {list:?}}}}}"), there.clone()),
        (
            format!("\"filter\": {{\"_id\": {{\"$in\": {list:?}}}}}, \"sort\": {{\"_id\": -1}}"),
            backwards(there),
        ),
        (
            format!("\"filter\": {{\"a\": {{\"$in\": [3, 9, 77, 12]}}}}, {hint}"),
            of_values(&[3, 9, 12], 0),
        ),
        (
            format!(
                "\"filter\": {{\"a\": {{\"$in\": [3, 9, 12]}}}}, \"sort\": {{\"a\": -1, \"b\": -1}}, {hint}"
            ),
            backwards(of_values(&[3, 9, 12], 0)),
        ),
        (
            format!("\"filter\": {{\"a\": {{\"$in\": [3, 9]}}, \"b\": {{\"$gte\": 100}}}}, {hint}"),
            of_values(&[3, 9], 100),
        ),
    ];
    for (rest, expected) in &cases {
        for size in [1, 2, 3, 5, 16, 37, 1000] {
            let found = in_batches(&session, &format!("\"find\": \"c\", {rest}"), size);
            assert_eq!(found, *expected, "{rest}, {size} at a time");
        }
    }
    for limit in [1, 2, 6, 21] {
        let find = format!(
            "{{\"find\": \"c\", \"filter\": {{\"a\": {{\"$lt\": 20}}}}, \"limit\": {limit}, {hint}}}"
        );
        assert_eq!(examined(&session, &find), (limit, limit));
    }
}
