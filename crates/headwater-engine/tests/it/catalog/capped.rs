//! Capped collections against a plain model, tailable cursors, and conversion.

use std::thread;
use std::time::{Duration, Instant};

use headwater_engine::bson::Raw;

use super::{error_of, ids};
use crate::commands::{Session, batch, cursor_id, number, text};

/// A number that depends on the seed and on nothing else.
fn next(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

#[test]
fn what_is_kept_is_the_newest_that_fits() {
    for seed in 1..20 {
        let mut state = seed * 7919;
        let db = Session::new();
        let (size, max) = (200 + next(&mut state) % 600, 1 + next(&mut state) % 12);
        db.ok(&format!(r#"{{"create": "c", "capped": true, "size": {size}, "max": {max}}}"#));
        db.ok(r#"{"createIndexes": "c", "indexes": [{"key": {"a": 1}, "name": "a_1"}]}"#);
        // The model: ids and sizes, the oldest first.
        let mut model: Vec<(i64, u64)> = Vec::new();
        for id in 0..60 {
            let pad = next(&mut state) % 200;
            let text = "x".repeat(pad as usize);
            db.ok(&format!(
                r#"{{"insert": "c", "documents": [{{"_id": {id}, "a": {}, "p": "{text}"}}]}}"#,
                id % 3
            ));
            // _id and a are ints, p a text with its length and end.
            model.push((id, 4 + 9 + 7 + 8 + pad + 1));
            let is_full = |model: &[(i64, u64)]| {
                model.len() as u64 > max || model.iter().map(|(_, bytes)| bytes).sum::<u64>() > size
            };
            while model.len() > 1 && is_full(&model) {
                model.remove(0);
            }
            if next(&mut state).is_multiple_of(5) {
                let at = (next(&mut state) as usize) % model.len();
                let (gone, _) = model.remove(at);
                db.ok(&format!(
                    r#"{{"delete": "c", "deletes": [{{"q": {{"_id": {gone}}}, "limit": 1}}]}}"#
                ));
            }
        }
        let expected: Vec<i64> = model.iter().map(|(id, _)| *id).collect();
        assert_eq!(ids(&db.batch(r#"{"find": "c"}"#)), expected, "seed {seed}");
        let mut reverse = ids(&db.batch(r#"{"find": "c", "sort": {"$natural": -1}}"#));
        reverse.reverse();
        assert_eq!(reverse, expected);
        let indexed = db.batch(r#"{"find": "c", "filter": {"a": {"$gte": 0}}, "hint": "a_1"}"#);
        assert_eq!(indexed.len(), expected.len());
        assert_eq!(number(db.ok(r#"{"count": "c"}"#).as_doc().get("n")), expected.len() as i64);
        let valid = db.ok(r#"{"validate": "c"}"#);
        assert_eq!(valid.as_doc().get("valid").and_then(Raw::as_bool), Some(true), "{valid:?}");
    }
}

fn get_more(cursor: i64, rest: &str) -> String {
    format!(r#"{{"getMore": {{"$numberLong": "{cursor}"}}, "collection": "c"{rest}}}"#)
}

#[test]
fn a_tailable_cursor_waits_until_something_is_inserted() {
    let db = Session::new();
    db.ok(r#"{"create": "c", "capped": true, "size": 4096}"#);
    db.ok(r#"{"insert": "c", "documents": [{"_id": 1}]}"#);
    let opened = db.ok(r#"{"find": "c", "tailable": true, "awaitData": true}"#);
    let cursor = cursor_id(&opened);
    assert_eq!((ids(&batch(&opened)), cursor != 0), (vec![1], true));
    let nothing = db.ok(&get_more(cursor, r#", "maxTimeMS": 1"#));
    assert_eq!((batch(&nothing).len(), cursor_id(&nothing)), (0, cursor));
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let begun = Instant::now();
            let more = db.ok(&get_more(cursor, r#", "maxTimeMS": 60000"#));
            (ids(&batch(&more)), begun.elapsed())
        });
        // What concerns other collections does not end the wait.
        for at in 0..50 {
            db.ok(&format!(r#"{{"insert": "other", "documents": [{{"_id": {at}}}]}}"#));
        }
        db.ok(r#"{"insert": "c", "documents": [{"_id": 2}]}"#);
        let (found, took) = waiting.join().unwrap();
        assert_eq!(found, [2]);
        assert!(took < Duration::from_secs(30), "it waited {took:?}");
    });
    db.ok(r#"{"drop": "c"}"#);
    let ended = db.run(&get_more(cursor, r#", "maxTimeMS": 60000"#));
    assert_eq!(text(&ended, "codeName"), "QueryPlanKilled");
}

#[test]
fn a_drop_ends_the_wait_of_a_tailable_cursor() {
    let db = Session::new();
    db.ok(r#"{"create": "c", "capped": true, "size": 4096}"#);
    db.ok(r#"{"insert": "c", "documents": [{"_id": 1}]}"#);
    let cursor = cursor_id(&db.ok(r#"{"find": "c", "tailable": true, "awaitData": true}"#));
    thread::scope(|scope| {
        let waiting = scope.spawn(|| db.run(&get_more(cursor, r#", "maxTimeMS": 60000"#)));
        db.ok(r#"{"drop": "c"}"#);
        assert_eq!(text(&waiting.join().unwrap(), "codeName"), "QueryPlanKilled");
    });
}

#[test]
fn tailable_cursors_are_refused_where_they_have_no_sense() {
    let db = Session::new();
    db.ok(r#"{"create": "c", "capped": true, "size": 4096}"#);
    db.ok(r#"{"create": "plain"}"#);
    for (command, code) in [
        (r#"{"find": "plain", "tailable": true}"#, "BadValue"),
        (r#"{"find": "c", "awaitData": true}"#, "FailedToParse"),
        (r#"{"find": "c", "tailable": true, "sort": {"a": 1}}"#, "BadValue"),
        (r#"{"find": "c", "tailable": true, "sort": {"$natural": -1}}"#, "BadValue"),
        (r#"{"find": "c", "tailable": true, "singleBatch": true}"#, "BadValue"),
    ] {
        assert_eq!(error_of(&db, command), code, "{command}");
    }
    assert_eq!(cursor_id(&db.ok(r#"{"find": "none", "tailable": true}"#)), 0);
}

#[test]
fn conversion_keeps_the_newest_and_drops_other_indexes() {
    let db = Session::new();
    db.ok(r#"{"createIndexes": "c", "indexes": [{"key": {"a": 1}, "name": "a_1"}]}"#);
    for id in 0..100 {
        db.ok(&format!(r#"{{"insert": "c", "documents": [{{"_id": {id}, "a": 1}}]}}"#));
    }
    // A document of two ints has 4 + 9 + 7 + 1 bytes.
    db.ok(r#"{"convertToCapped": "c", "size": 210}"#);
    let kept: Vec<i64> = (90..100).collect();
    assert_eq!(ids(&db.batch(r#"{"find": "c"}"#)), kept);
    assert_eq!(db.batch(r#"{"listIndexes": "c"}"#).len(), 1);
    db.ok(r#"{"insert": "c", "documents": [{"_id": 100, "a": 1}]}"#);
    assert_eq!(ids(&db.batch(r#"{"find": "c", "limit": 1}"#)), [91]);
    db.ok(r#"{"cloneCollectionAsCapped": "c", "toCollection": "d", "size": 42}"#);
    assert_eq!(ids(&db.batch(r#"{"find": "d"}"#)), [99, 100]);
    assert_eq!(ids(&db.batch(r#"{"find": "c"}"#)).len(), 10);
    for (command, code) in [
        (r#"{"convertToCapped": "none", "size": 10}"#, "NamespaceNotFound"),
        (r#"{"convertToCapped": "c", "size": 0}"#, "InvalidOptions"),
        (r#"{"cloneCollectionAsCapped": "c", "toCollection": "d", "size": 42}"#, "NamespaceExists"),
    ] {
        assert_eq!(error_of(&db, command), code, "{command}");
    }
}

#[test]
fn figures_tell_the_limits() {
    let db = Session::new();
    db.ok(r#"{"create": "c", "capped": true, "size": 4096, "max": 7}"#);
    let stats = db.ok(r#"{"collStats": "c"}"#);
    let stats = stats.as_doc();
    assert_eq!(stats.get("capped").and_then(Raw::as_bool), Some(true));
    assert_eq!((number(stats.get("max")), number(stats.get("maxSize"))), (7, 4096));
    db.ok(r#"{"collMod": "c", "cappedSize": 100, "cappedMax": 1}"#);
    db.ok(r#"{"insert": "c", "documents": [{"_id": 1}, {"_id": 2}]}"#);
    assert_eq!(ids(&db.batch(r#"{"find": "c"}"#)), [2]);
}
