//! Long writes that change one document, or write many: others get their turn in between, and a statement is done once.

use std::thread;

use headwater_engine::bson::Raw;

use crate::commands::{Session, number};
use crate::writes::{beside, count, engine_with};

/// A few stretches of a scan.
const DOCUMENTS: i64 = 35_000;
const LAST: i64 = DOCUMENTS - 1;

fn nothing_to_undo(_: &Session) {}

#[test]
fn a_walk_for_one_document_finds_what_others_write_ahead_of_it() {
    let engine = engine_with(DOCUMENTS);
    let walk = r#"{"update": "c", "updates": [{"q": {"times": 9}, "u": {"$inc": {"times": 1}}}], "comment": "walk"}"#;
    let (reply, ()) = beside(&engine, walk, nothing_to_undo, |db, _| {
        let change = format!(
            r#"{{"update": "c", "updates": [{{"q": {{"_id": {LAST}}}, "u": {{"$set": {{"times": 9}}}}}}]}}"#
        );
        db.ok(&change);
    });
    let found = number(reply.as_doc().get("n"));
    let db = Session::on(engine);
    assert_eq!((count(&db, r#"{"times": 10}"#), count(&db, r#"{"times": 9}"#)), (found, 1 - found));
}

#[test]
fn the_first_in_an_order_is_one_that_still_matches() {
    let engine = engine_with(DOCUMENTS);
    let walk = r#"{"findAndModify": "c", "query": {"times": 0}, "sort": {"n": -1}, "update": {"$set": {"times": 5}}, "comment": "walk"}"#;
    let back = |db: &Session| {
        db.ok(r#"{"update": "c", "updates": [{"q": {"times": 5}, "u": {"$set": {"times": 0}}}]}"#);
    };
    let (reply, ahead) = beside(&engine, walk, back, |db, _| {
        let change = format!(
            r#"{{"update": "c", "updates": [{{"q": {{"_id": {LAST}, "times": 0}}, "u": {{"$set": {{"times": 7}}}}}}]}}"#
        );
        number(db.ok(&change).as_doc().get("nModified"))
    });
    let value = reply.as_doc().get("value").and_then(Raw::as_doc).unwrap();
    assert_eq!((number(value.get("n")), number(value.get("times"))), (LAST - ahead, 0));
    let db = Session::on(engine);
    assert_eq!((count(&db, r#"{"times": 5}"#), count(&db, r#"{"times": 7}"#)), (1, ahead));
}

#[test]
fn a_walk_for_one_document_to_remove_lets_others_in() {
    let engine = engine_with(DOCUMENTS);
    let walk = format!(
        r#"{{"delete": "c", "deletes": [{{"q": {{"n": {LAST}}}, "limit": 1}}], "comment": "walk"}}"#
    );
    let back = |db: &Session| {
        let document = format!(r#"{{"_id": {LAST}, "n": {LAST}, "times": 0}}"#);
        db.ok(&format!(r#"{{"insert": "c", "documents": [{document}]}}"#));
    };
    let (reply, ()) = beside(&engine, &walk, back, |db, _| {
        db.ok(r#"{"insert": "c", "documents": [{"_id": -1}]}"#);
    });
    assert_eq!(number(reply.as_doc().get("n")), 1);
    assert_eq!(count(&Session::on(engine), "{}"), DOCUMENTS);
}

#[test]
fn a_statement_that_two_connections_send_at_once_is_done_once() {
    let engine = engine_with(DOCUMENTS);
    for transaction in 1..4 {
        let generic = format!(
            r#""lsid": {{"id": {{"$uuid": "00112233-4455-6677-8899-aabbccddeeff"}}}}, "txnNumber": {{"$numberLong": "{transaction}"}}"#
        );
        let update = format!(
            r#"{{"update": "c", "updates": [{{"q": {{"n": {LAST}}}, "u": {{"$inc": {{"times": 1}}}}}}], {generic}}}"#
        );
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let reply = Session::on(engine.clone()).ok(&update);
                    assert_eq!(number(reply.as_doc().get("nModified")), 1, "{reply:?}");
                });
            }
        });
        let times = format!(r#"{{"_id": {LAST}, "times": {transaction}}}"#);
        assert_eq!(count(&Session::on(engine.clone()), &times), 1);
    }
}

#[test]
fn a_long_insert_lets_others_in() {
    let engine = engine_with(1);
    let documents: Vec<String> = (1..20_000).map(|id| format!(r#"{{"_id": {id}}}"#)).collect();
    let insert =
        format!(r#"{{"insert": "c", "documents": [{}], "comment": "walk"}}"#, documents.join(", "));
    let back = |db: &Session| {
        db.ok(r#"{"delete": "c", "deletes": [{"q": {"_id": {"$gt": 0}}, "limit": 0}]}"#);
    };
    let (reply, ()) = beside(&engine, &insert, back, |db, _| {
        db.ok(r#"{"insert": "c", "documents": [{"_id": -1}]}"#);
    });
    assert_eq!(number(reply.as_doc().get("n")), 19_999);
    assert_eq!(count(&Session::on(engine), "{}"), 20_001);
}
