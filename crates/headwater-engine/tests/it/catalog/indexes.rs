//! Indexes: made unique in two steps, kept with what is known of arrays over a restart, and what `collMod` says of them.

use headwater_engine::bson::Raw;
use headwater_engine::{Engine, EngineOptions};

use super::{error_of, ids, write_error};
use crate::commands::{Session, number};

fn valid(db: &Session) -> bool {
    db.ok(r#"{"validate": "c"}"#).as_doc().get("valid").and_then(Raw::as_bool) == Some(true)
}

#[test]
fn an_index_becomes_unique_in_two_steps() {
    let db = Session::new();
    db.ok(r#"{"createIndexes": "c", "indexes": [{"key": {"a": 1}, "name": "i"}]}"#);
    db.ok(r#"{"insert": "c", "documents": [{"_id": 1, "a": 1}, {"_id": 2, "a": 1}, {"_id": 3, "a": [2, 3]}]}"#);
    let unique = r#"{"collMod": "c", "index": {"name": "i", "unique": true}}"#;
    assert_eq!(error_of(&db, unique), "InvalidOptions", "without preparing");
    let reply = db.ok(r#"{"collMod": "c", "index": {"name": "i", "prepareUnique": true}}"#);
    let reply = reply.as_doc();
    assert_eq!(reply.get("prepareUnique_old").and_then(Raw::as_bool), Some(false));
    assert_eq!(reply.get("prepareUnique_new").and_then(Raw::as_bool), Some(true));
    let again = db.run(r#"{"insert": "c", "documents": [{"_id": 4, "a": 3}]}"#);
    assert_eq!(write_error(&again), 11000);
    let same =
        r#"{"update": "c", "updates": [{"q": {"_id": 3}, "u": {"$set": {"a": [2, 3], "b": 1}}}]}"#;
    assert_eq!(number(db.ok(same).as_doc().get("nModified")), 1, "its own key is no other's");
    let refused = db.run(unique);
    assert_eq!(number(refused.as_doc().get("code")), 359);
    let violations = refused.as_doc().get("violations").and_then(Raw::as_array).unwrap();
    let first = violations.get(0).and_then(Raw::as_doc).and_then(|row| row.get("ids"));
    let first: Vec<i64> =
        first.and_then(Raw::as_array).unwrap().iter().map(|id| number(Some(id))).collect();
    assert_eq!((violations.len(), first), (1, vec![1, 2]));
    db.ok(r#"{"delete": "c", "deletes": [{"q": {"_id": 2}, "limit": 1}]}"#);
    let dry = db.ok(r#"{"collMod": "c", "index": {"name": "i", "unique": true}, "dryRun": true}"#);
    assert!(dry.as_doc().get("unique_new").is_none());
    let done = db.ok(unique);
    assert_eq!(done.as_doc().get("unique_new").and_then(Raw::as_bool), Some(true));
    assert!(valid(&db));
    let listed = db.batch(r#"{"listIndexes": "c"}"#);
    let spec = listed[1].as_doc();
    assert_eq!(spec.get("unique").and_then(Raw::as_bool), Some(true));
    assert!(spec.get("prepareUnique").is_none());
    let again = db.run(r#"{"insert": "c", "documents": [{"_id": 5, "a": 1}]}"#);
    assert_eq!(write_error(&again), 11000);
    let found = db.batch(r#"{"find": "c", "filter": {"a": {"$gte": 1}}, "hint": "i"}"#);
    assert_eq!(ids(&found), [1, 3]);
}

#[test]
fn coll_mod_says_what_it_changed_and_refuses_what_cannot_be() {
    let db = Session::new();
    db.ok(
        r#"{"createIndexes": "c", "indexes": [{"key": {"a": 1}, "name": "a"}, {"key": {"a": 1, "b": 1}, "name": "ab"},
            {"key": {"$**": 1}, "name": "w"}, {"key": {"h": "hashed"}, "name": "h"}]}"#,
    );
    let first = db.ok(r#"{"collMod": "c", "index": {"name": "a", "expireAfterSeconds": 5}}"#);
    assert!(first.as_doc().get("expireAfterSeconds_old").is_none());
    let second = db.ok(r#"{"collMod": "c", "index": {"keyPattern": {"a": 1}, "expireAfterSeconds": 7.9, "hidden": true}}"#);
    let figure = |name: &str| number(second.as_doc().get(name));
    assert_eq!([figure("expireAfterSeconds_old"), figure("expireAfterSeconds_new")], [5, 7]);
    assert_eq!(second.as_doc().get("hidden_new").and_then(Raw::as_bool), Some(true));
    let listed = db.batch(r#"{"listIndexes": "c"}"#);
    let of = |name: &str| listed[1].as_doc().get(name);
    assert_eq!(number(of("expireAfterSeconds")), 7);
    assert_eq!(of("hidden").and_then(Raw::as_bool), Some(true));
    for (index, code) in [
        (r#"{"name": "ab", "expireAfterSeconds": 5}"#, "InvalidOptions"),
        (r#"{"name": "_id_", "expireAfterSeconds": 5}"#, "InvalidOptions"),
        (r#"{"name": "a", "expireAfterSeconds": -1}"#, "InvalidOptions"),
        (r#"{"name": "a", "expireAfterSeconds": "x"}"#, "TypeMismatch"),
        (r#"{"name": "w", "prepareUnique": true}"#, "InvalidOptions"),
        (r#"{"name": "h", "prepareUnique": true}"#, "InvalidOptions"),
        (r#"{"name": "a", "unique": false}"#, "BadValue"),
        (r#"{"name": "a", "foo": 1}"#, "IDLUnknownField"),
    ] {
        let command = format!("{{\"collMod\": \"c\", \"index\": {index}}}");
        assert_eq!(error_of(&db, &command), code, "{index}");
    }
    let dry = r#"{"collMod": "c", "index": {"name": "a", "hidden": false}, "dryRun": true}"#;
    assert_eq!(error_of(&db, dry), "InvalidOptions");
}

#[test]
fn what_is_known_of_arrays_outlives_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Session::on(Engine::open(folder.path(), EngineOptions::default()).unwrap());
    let db = open();
    db.ok(r#"{"createIndexes": "c", "indexes": [{"key": {"$**": 1}, "name": "w"}, {"key": {"x": 1, "a.b": 1}, "name": "xab"}]}"#);
    db.ok(r#"{"insert": "c", "documents": [{"_id": 1, "a": [{"b": 1}, {"b": 2}], "x": 1}, {"_id": 2, "a": {"0": {"b": 2}}, "x": 1}]}"#);
    db.close();
    drop(db);
    let db = open();
    for (filter, hint, expected) in [
        (r#"{"a.b": {"$gte": 1}}"#, "w", vec![1]),
        (r#"{"a.1.b": 2}"#, "w", vec![1]),
        (r#"{"a.0.b": 2}"#, "w", vec![2]),
        (r#"{"x": 1, "a.b": {"$gt": 0}}"#, "xab", vec![1]),
    ] {
        let find = format!(
            "{{\"find\": \"c\", \"filter\": {filter}, \"hint\": \"{hint}\", \"sort\": {{\"_id\": 1}}}}"
        );
        assert_eq!(ids(&db.batch(&find)), expected, "{filter}");
    }
    assert!(valid(&db));
}

#[test]
fn a_part_of_a_text_is_no_value() {
    let db = Session::new();
    db.ok(r#"{"createIndexes": "c", "indexes": [{"key": {"a": 1, "b": 1}, "name": "ab"}]}"#);
    db.ok(r#"{"insert": "c", "documents": [{"_id": 1, "a": "abc", "b": 5}, {"_id": 2, "a": "abd", "b": 4}, {"_id": 3, "a": "ab", "b": 6}]}"#);
    for (filter, sort, expected) in [
        (r#"{"a": {"$regex": "^ab"}, "b": 5}"#, "{}", vec![1]),
        (r#"{"a": {"$type": "string"}, "b": 5}"#, "{}", vec![1]),
        (r#"{"a": {"$regex": "^ab"}}"#, r#"{"b": 1}"#, vec![2, 1, 3]),
        (r#"{"a": {"$regex": "b"}}"#, r#"{"b": 1}"#, vec![2, 1, 3]),
    ] {
        let find = format!(
            "{{\"find\": \"c\", \"filter\": {filter}, \"sort\": {sort}, \"hint\": \"ab\"}}"
        );
        assert_eq!(ids(&db.batch(&find)), expected, "{filter} {sort}");
    }
}

#[test]
fn an_array_of_one_makes_an_index_multikey_though_no_key_changes() {
    let db = Session::new();
    db.ok(r#"{"createIndexes": "c", "indexes": [{"key": {"a": 1}, "name": "a"}, {"key": {"$**": 1}, "name": "w"}]}"#);
    db.ok(r#"{"insert": "c", "documents": [{"_id": 1, "a": {"b": 1}}, {"_id": 2, "a": 1}]}"#);
    db.ok(r#"{"update": "c", "updates": [{"q": {"_id": 1}, "u": {"$set": {"a": [{"b": 1}]}}}, {"q": {"_id": 2}, "u": {"$set": {"a": [1]}}}]}"#);
    assert!(valid(&db));
    assert_eq!(ids(&db.batch(r#"{"find": "c", "filter": {"a.0.b": 1}, "hint": "w"}"#)), [1]);
    let covered =
        r#"{"find": "c", "filter": {"a": 1}, "projection": {"_id": 0, "a": 1}, "hint": "a"}"#;
    let found = db.batch(covered);
    assert!(found[0].as_doc().get("a").is_some_and(|a| a.as_array().is_some()));
}
