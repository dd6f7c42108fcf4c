//! Validators, `collMod`, renaming across databases, temporary collections, and what is kept over a restart.

use headwater_engine::bson::{DocWriter, Raw};
use headwater_engine::{Engine, EngineOptions};

use super::{error_of, ids, write_error};
use crate::commands::{Session, batch, number, text, text_of};
use crate::streams::watch;

fn options(db: &Session, name: &str) -> String {
    let rows = db.batch(&format!(r#"{{"listCollections": 1, "filter": {{"name": "{name}"}}}}"#));
    rows.first()
        .and_then(|row| row.as_doc().get("options").and_then(Raw::as_doc))
        .map_or_else(String::new, |options| text_of(&options.to_buf()))
}

#[test]
fn a_validator_is_asked_by_every_writing_command() {
    let db = Session::new();
    db.ok(r#"{"create": "c", "validator": {"a": {"$gt": 0}}}"#);
    let inserted =
        db.ok(r#"{"insert": "c", "documents": [{"_id": 1, "a": 1}, {"_id": 2, "a": 0}]}"#);
    assert_eq!((number(inserted.as_doc().get("n")), write_error(&inserted)), (1, 121));
    let update = r#"{"update": "c", "updates": [{"q": {"_id": 1}, "u": {"$set": {"a": -1}}}]"#;
    assert_eq!(write_error(&db.ok(&format!("{update}}}"))), 121);
    let replaced = r#"{"update": "c", "updates": [{"q": {"_id": 1}, "u": {"b": 1}}]}"#;
    assert_eq!(write_error(&db.ok(replaced)), 121);
    let modify = r#"{"findAndModify": "c", "query": {"_id": 9}, "update": {"$set": {"b": 1}}, "upsert": true"#;
    assert_eq!(error_of(&db, &format!("{modify}}}")), "DocumentValidationFailure");
    db.ok(&format!("{modify}, \"bypassDocumentValidation\": true}}"));
    assert_eq!(write_error(&db.ok(&format!("{update}, \"bypassDocumentValidation\": true}}"))), 0);
    assert_eq!(number(db.ok(r#"{"count": "c"}"#).as_doc().get("n")), 2);
}

#[test]
fn a_validator_that_asks_for_the_time_gets_that_of_the_write() {
    let db = Session::new();
    db.ok(r#"{"create": "c", "validator": {"$expr": {"$lte": ["$t", "$$NOW"]}}}"#);
    let later = r#"{"insert": "c", "documents": [{"t": {"$date": "2999-01-01T00:00:00Z"}}]}"#;
    assert_eq!(write_error(&db.ok(later)), 121);
    assert_eq!(write_error(&db.ok(r#"{"insert": "c", "documents": [{"t": 1}]}"#)), 0);
}

#[test]
fn coll_mod_changes_a_validator_and_writes_all_three_options() {
    let db = Session::new();
    db.ok(r#"{"create": "c"}"#);
    db.ok(r#"{"collMod": "c", "validator": {"a": 1}}"#);
    let strict = r#"{"validator":{"a":{"$numberInt":"1"}},"validationLevel":"strict","validationAction":"error"}"#;
    assert_eq!(options(&db, "c"), strict);
    assert_eq!(write_error(&db.ok(r#"{"insert": "c", "documents": [{"a": 2}]}"#)), 121);
    db.ok(r#"{"collMod": "c", "validationAction": "warn"}"#);
    assert_eq!(write_error(&db.ok(r#"{"insert": "c", "documents": [{"_id": 1, "a": 2}]}"#)), 0);
    db.ok(r#"{"collMod": "c", "validationAction": "error", "validationLevel": "moderate"}"#);
    let update = r#"{"update": "c", "updates": [{"q": {"_id": 1}, "u": {"$set": {"b": 1}}}]}"#;
    assert_eq!(write_error(&db.ok(update)), 0, "it was invalid before");
    db.ok(r#"{"collMod": "c", "validator": {}, "validationLevel": "off"}"#);
    assert_eq!(options(&db, "c"), r#"{"validationLevel":"off","validationAction":"error"}"#);
}

#[test]
fn coll_mod_refuses_what_does_not_fit() {
    let db = Session::new();
    db.ok(r#"{"create": "c"}"#);
    for (command, code) in [
        (r#"{"collMod": "none"}"#, "NamespaceNotFound"),
        (r#"{"collMod": "c", "foo": 1}"#, "IDLUnknownField"),
        (r#"{"collMod": "c", "viewOn": "x"}"#, "InvalidOptions"),
        (r#"{"collMod": "c", "cappedSize": 100}"#, "InvalidOptions"),
        (r#"{"collMod": "c", "timeseries": {"granularity": "hours"}}"#, "InvalidOptions"),
        (r#"{"collMod": "c", "index": {"name": "a_1"}}"#, "InvalidOptions"),
        (r#"{"collMod": "c", "index": {"name": "a_1", "hidden": true}}"#, "IndexNotFound"),
        (r#"{"collMod": "c", "index": {"name": "_id_", "hidden": true}}"#, "BadValue"),
        (r#"{"collMod": "c", "validator": {"$where": "1"}}"#, "BadValue"),
        (r#"{"collMod": "c", "validationLevel": "some"}"#, "BadValue"),
        (r#"{"collMod": "c", "changeStreamPreAndPostImages": {}}"#, "IDLFailedToParse"),
        (r#"{"collMod": "c", "changeStreamPreAndPostImages": {"enabled": 1}}"#, "TypeMismatch"),
        (r#"{"collMod": "c", "changeStreamPreAndPostImages": {"on": 1}}"#, "IDLUnknownField"),
    ] {
        assert_eq!(error_of(&db, command), code, "{command}");
    }
}

#[test]
fn a_hidden_index_is_not_used_and_a_stream_tells_of_the_change() {
    let db = Session::new();
    db.ok(r#"{"createIndexes": "c", "indexes": [{"key": {"a": 1}, "name": "a_1"}]}"#);
    let mut stream = watch(&db, "test", "c", r#"{"showExpandedEvents": true}"#, "");
    let reply = db.ok(r#"{"collMod": "c", "index": {"keyPattern": {"a": 1}, "hidden": true}}"#);
    assert_eq!(reply.as_doc().get("hidden_old").and_then(Raw::as_bool), Some(false));
    assert_eq!(reply.as_doc().get("hidden_new").and_then(Raw::as_bool), Some(true));
    let plan = text_of(&db.ok(r#"{"explain": {"find": "c", "filter": {"a": 1}}}"#));
    assert!(plan.contains("COLLSCAN"), "{plan}");
    let events = stream.next(10_000);
    let told: Vec<_> = events.iter().map(|event| text(event, "operationType")).collect();
    assert_eq!(told, ["modify"]);
    assert!(text_of(&events[0]).contains(r#""indexOptions":{"hidden":false}"#), "{events:?}");
}

#[test]
fn a_collection_changes_its_database_with_all_it_has() {
    let db = Session::new();
    db.ok(r#"{"create": "c", "validator": {"a": {"$exists": true}}}"#);
    db.ok(
        r#"{"createIndexes": "c", "indexes": [{"key": {"a": 1}, "name": "a_1", "unique": true}]}"#,
    );
    db.ok(r#"{"insert": "c", "documents": [{"_id": 1, "a": 1}]}"#);
    db.run_in("other", r#"{"insert": "d", "documents": [{"_id": 5}]}"#);
    let mut stream = watch(&db, "other", "", "{}", "");
    let rename = r#"{"renameCollection": "test.c", "to": "other.d""#;
    let refused = db.run_in("admin", &format!("{rename}}}"));
    assert_eq!(text(&refused, "codeName"), "NamespaceExists");
    let renamed = db.run_in("admin", &format!("{rename}, \"dropTarget\": true}}"));
    assert_eq!(number(renamed.as_doc().get("ok")), 1, "{renamed:?}");
    assert_eq!(number(db.ok(r#"{"count": "c"}"#).as_doc().get("n")), 0);
    let find = r#"{"find": "d", "filter": {"a": 1}, "hint": "a_1"}"#;
    assert_eq!(ids(&batch(&db.run_in("other", find))), [1]);
    let invalid = db.run_in("other", r#"{"insert": "d", "documents": [{"_id": 2}]}"#);
    assert_eq!(write_error(&invalid), 121);
    let events = stream.next(10_000);
    assert_eq!(events.iter().map(|e| text(e, "operationType")).collect::<Vec<_>>(), ["rename"]);
}

#[test]
fn renaming_refuses_views_system_collections_and_bad_names() {
    let db = Session::new();
    db.ok(r#"{"create": "c"}"#);
    db.ok(r#"{"create": "v", "viewOn": "c"}"#);
    for (from, to, code) in [
        ("test.v", "test.w", "CommandNotSupportedOnView"),
        ("test.c", "test.v", "NamespaceExists"),
        ("test.c", "test.system.x", "InvalidNamespace"),
        ("test.c", "te st.x", "InvalidNamespace"),
        ("test.c", "TEST.x", "DatabaseDifferCase"),
        ("test.none", "test.x", "NamespaceNotFound"),
    ] {
        let command = format!(r#"{{"renameCollection": "{from}", "to": "{to}"}}"#);
        let reply = db.run_in("admin", &command);
        assert_eq!(text(&reply, "codeName"), code, "{command}: {reply:?}");
    }
}

#[test]
fn everything_is_there_after_a_restart_but_temporary_collections() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Session::on(Engine::open(folder.path(), EngineOptions::default()).unwrap());
    let db = open();
    db.ok(r#"{"create": "t", "temp": true}"#);
    db.ok(r#"{"create": "k", "capped": true, "size": 4096, "max": 2}"#);
    db.ok(
        r#"{"create": "o", "clusteredIndex": {"key": {"_id": 1}, "unique": true, "name": "own"}}"#,
    );
    db.ok(r#"{"create": "s", "timeseries": {"timeField": "t", "metaField": "m"}}"#);
    db.ok(r#"{"create": "v", "viewOn": "k", "pipeline": [{"$match": {"_id": {"$gt": 1}}}]}"#);
    db.ok(r#"{"createIndexes": "o", "indexes": [{"key": {"a": 1}, "name": "a_1"}]}"#);
    db.ok(r#"{"insert": "k", "documents": [{"_id": 1}, {"_id": 2}]}"#);
    db.ok(r#"{"insert": "o", "documents": [{"_id": 2, "a": 1}, {"_id": 1, "a": 1}]}"#);
    db.close();
    drop(db);
    let db = open();
    assert!(options(&db, "t").is_empty());
    db.ok(r#"{"insert": "k", "documents": [{"_id": 3}]}"#);
    assert_eq!(ids(&db.batch(r#"{"find": "k"}"#)), [2, 3]);
    assert_eq!(ids(&db.batch(r#"{"find": "v"}"#)), [2, 3]);
    db.ok(r#"{"insert": "o", "documents": [{"_id": 0, "a": 1}]}"#);
    assert_eq!(ids(&db.batch(r#"{"find": "o"}"#)), [0, 1, 2]);
    assert_eq!(ids(&db.batch(r#"{"find": "o", "filter": {"a": 1}, "hint": "a_1"}"#)), [0, 1, 2]);
    assert_eq!(ids(&db.batch(r#"{"find": "o", "sort": {"$natural": -1}}"#)), [2, 1, 0]);
    let refused = db.ok(r#"{"insert": "s", "documents": [{"_id": 1}]}"#);
    assert_eq!(write_error(&refused), 2);
    for name in ["k", "o", "s"] {
        let valid = db.ok(&format!(r#"{{"validate": "{name}"}}"#));
        assert_eq!(valid.as_doc().get("valid").and_then(Raw::as_bool), Some(true), "{valid:?}");
    }
}

#[test]
fn a_time_series_tells_no_stream() {
    let db = Session::new();
    db.ok(r#"{"create": "s", "timeseries": {"timeField": "t", "metaField": "m"}}"#);
    let mut stream = watch(&db, "test", "", "{}", "");
    db.ok(r#"{"insert": "s", "documents": [{"t": {"$date": "2020-01-01T00:00:00Z"}, "m": 1}]}"#);
    db.ok(r#"{"delete": "s", "deletes": [{"q": {}, "limit": 0}]}"#);
    db.ok(r#"{"insert": "c", "documents": [{"_id": 1}]}"#);
    let events = stream.next(10_000);
    assert_eq!(events.iter().map(|e| text(e, "operationType")).collect::<Vec<_>>(), ["insert"]);
}

#[test]
fn a_clustered_collection_explains_itself_by_its_order() {
    let db = Session::new();
    db.ok(r#"{"create": "c", "clusteredIndex": {"key": {"_id": 1}, "unique": true}}"#);
    db.ok(r#"{"insert": "c", "documents": [{"_id": 2}, {"_id": 1}, {"_id": 3}]}"#);
    for (filter, stage) in [
        ("{}", "COLLSCAN"),
        (r#"{"_id": {"$gte": 2}}"#, "CLUSTERED_IXSCAN"),
        (r#"{"_id": 2}"#, "EXPRESS_CLUSTERED_IXSCAN"),
    ] {
        let plan =
            text_of(&db.ok(&format!(r#"{{"explain": {{"find": "c", "filter": {filter}}}}}"#)));
        assert!(plan.contains(&format!(r#""stage":"{stage}""#)), "{filter}: {plan}");
    }
}

#[test]
fn a_command_with_the_uuid_of_another_collection_is_refused() {
    let db = Session::new();
    db.ok(r#"{"insert": "c", "documents": [{"_id": 1}]}"#);
    db.ok(r#"{"insert": "other", "documents": [{"_id": 1}]}"#);
    let listed = db.ok(r#"{"listCollections": 1, "filter": {"name": "other"}}"#);
    let row = batch(&listed).remove(0);
    let info = row.as_doc().get("info").and_then(Raw::as_doc).unwrap();
    let mut one = DocWriter::new();
    one.raw("collectionUUID", info.get("uuid").unwrap());
    let uuid = text_of(&one.finish());
    let uuid = uuid.trim_matches(['{', '}']).to_owned() + "}}";
    let at = |command: &str| command.replace("UUID", &uuid);
    for name in ["c", "other"] {
        for command in [
            r#"{"find": "NAME", UUID}"#,
            r#"{"aggregate": "NAME", "pipeline": [], "cursor": {}, UUID}"#,
            r#"{"insert": "NAME", "documents": [{"_id": 2}], UUID}"#,
            r#"{"update": "NAME", "updates": [{"q": {}, "u": {"$set": {"a": 1}}}], UUID}"#,
            r#"{"delete": "NAME", "deletes": [{"q": {"_id": 2}, "limit": 1}], UUID}"#,
            r#"{"createIndexes": "NAME", "indexes": [{"key": {"a": 1}, "name": "a"}], UUID}"#,
            r#"{"dropIndexes": "NAME", "index": "a", UUID}"#,
            r#"{"drop": "NAME", UUID}"#,
        ] {
            let command = at(&command.replace("NAME", name));
            let told = text_of(&db.run(&command));
            let refused = told.contains(r#""code":{"$numberInt":"361"}"#);
            assert_eq!(refused, name == "c", "{command}: {told}");
            let names = [r#""expectedCollection":"c""#, r#""actualCollection":"other""#];
            assert_eq!(names.iter().all(|name| told.contains(name)), refused, "{told}");
        }
    }
    let bulk = r#"{"bulkWrite": 1, "ops": [{"insert": 0, "document": {"_id": 7}}], "nsInfo": [{"ns": "test.c", UUID}]}"#;
    let told = text_of(&db.run_in("admin", &at(bulk)));
    assert!(told.contains(r#""code":{"$numberInt":"361"}"#), "{told}");
}
