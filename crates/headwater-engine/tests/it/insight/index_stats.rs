//! `$indexStats`: every operation that goes through an index counts once on it.

use headwater_engine::bson::{DocBuf, Raw};

use crate::commands::{Session, number, text};

fn uses(db: &Session) -> Vec<(String, i64)> {
    let rows = db.batch(r#"{"aggregate": "c", "pipeline": [{"$indexStats": {}}], "cursor": {}}"#);
    let count = |row: &DocBuf| {
        let accesses = row.as_doc().get("accesses").and_then(Raw::as_doc).unwrap();
        assert!(accesses.get("since").is_some(), "{row:?}");
        number(accesses.get("ops"))
    };
    rows.iter().map(|row| (text(row, "name").to_owned(), count(row))).collect()
}

#[test]
fn an_operation_counts_once_on_the_index_that_it_goes_through() {
    let db = Session::new();
    db.ok(r#"{"insert": "c", "documents": [{"_id": 1, "a": 1}, {"_id": 2, "a": 2}, {"_id": 3, "a": 2}]}"#);
    db.ok(r#"{"createIndexes": "c", "indexes": [{"key": {"a": 1}, "name": "a_1"}]}"#);
    let expect =
        |by_id, by_a| assert_eq!(uses(&db), [("_id_".to_owned(), by_id), ("a_1".to_owned(), by_a)]);
    expect(0, 0);
    db.ok(r#"{"find": "c", "filter": {"_id": 1}}"#);
    expect(1, 0);
    db.ok(r#"{"find": "c", "filter": {"a": 2}}"#);
    db.ok(r#"{"count": "c", "query": {"a": {"$gt": 0}}}"#);
    expect(1, 2);
    db.ok(r#"{"update": "c", "updates": [{"q": {"_id": 1}, "u": {"$set": {"b": 1}}}, {"q": {"a": 2}, "u": {"$set": {"b": 1}}, "multi": true}]}"#);
    expect(2, 3);
    db.ok(r#"{"find": "c", "filter": {"b": 1}}"#);
    db.ok(r#"{"aggregate": "c", "pipeline": [{"$match": {"a": 1}}], "cursor": {}}"#);
    expect(2, 4);
}
