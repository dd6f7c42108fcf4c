//! Commands through the engine, in memory: what a client sees, from creating to watching.

use headwater_engine::bson::extjson;
use headwater_engine::bson::{Doc, DocBuf, Raw, View};
use headwater_engine::{Client, Engine, EngineOptions, Request};

pub(crate) struct Session {
    engine: Engine,
    client: Client,
}

impl Session {
    pub(crate) fn new() -> Session {
        Session::with(EngineOptions::default())
    }

    pub(crate) fn with(options: EngineOptions) -> Session {
        Session::on(Engine::open_in_memory(options).unwrap())
    }

    pub(crate) fn on(engine: Engine) -> Session {
        let client = engine.client("test", "test");
        Session { engine, client }
    }

    pub(crate) fn close(&self) {
        self.engine.close().unwrap();
    }

    pub(crate) fn run(&self, command: &str) -> DocBuf {
        self.run_in("test", command)
    }

    pub(crate) fn run_in(&self, db: &str, command: &str) -> DocBuf {
        let command = command.trim_end().strip_suffix('}').unwrap();
        let command = extjson::parse_commands(&format!("{command}, \"$db\": \"{db}\"}}")).unwrap();
        self.engine.run_command(&self.client, &Request { body: command.as_doc(), sequences: &[] })
    }

    pub(crate) fn ok(&self, command: &str) -> DocBuf {
        let reply = self.run(command);
        assert_eq!(number(reply.as_doc().get("ok")), 1, "{command}: {reply:?}");
        reply
    }

    pub(crate) fn batch(&self, command: &str) -> Vec<DocBuf> {
        batch(&self.ok(command))
    }
}

/// A document as canonical Extended JSON.
pub(crate) fn text_of(doc: &DocBuf) -> String {
    extjson::print(doc.as_doc(), extjson::Style::Canonical)
}

pub(crate) fn batch(reply: &DocBuf) -> Vec<DocBuf> {
    let cursor = reply.as_doc().get("cursor").and_then(Raw::as_doc).unwrap();
    let batch = cursor.get("firstBatch").or_else(|| cursor.get("nextBatch")).unwrap();
    batch.as_array().unwrap().iter().filter_map(Raw::as_doc).map(Doc::to_buf).collect()
}

pub(crate) fn cursor_id(reply: &DocBuf) -> i64 {
    number(reply.as_doc().get("cursor").and_then(Raw::as_doc).unwrap().get("id"))
}

pub(crate) fn number(raw: Option<Raw<'_>>) -> i64 {
    match raw.map(Raw::view) {
        Some(View::Int32(value)) => i64::from(value),
        Some(View::Int64(value)) => value,
        Some(View::Double(value)) => value as i64,
        other => panic!("no number: {other:?}"),
    }
}

pub(crate) fn text<'a>(doc: &'a DocBuf, name: &str) -> &'a str {
    doc.as_doc().get(name).and_then(Raw::as_str).unwrap_or_default()
}

#[test]
fn documents_are_written_and_found() {
    let db = Session::new();
    let reply = db.ok(r#"{"insert": "c", "documents": [{"_id": 1, "a": 5}, {"_id": 2, "a": 7}]}"#);
    assert_eq!(number(reply.as_doc().get("n")), 2);
    assert_eq!(db.batch(r#"{"find": "c"}"#).len(), 2);
    assert_eq!(db.batch(r#"{"find": "c", "filter": {"_id": 2}}"#).len(), 1);
    assert_eq!(db.batch(r#"{"find": "c", "filter": {"a": {"$gt": 5}}}"#).len(), 1);
    let reply =
        db.ok(r#"{"update": "c", "updates": [{"q": {"_id": 1}, "u": {"$inc": {"a": 1}}}]}"#);
    assert_eq!(number(reply.as_doc().get("nModified")), 1);
    let found =
        db.batch(r#"{"find": "c", "filter": {"_id": 1}, "projection": {"_id": 0, "a": 1}}"#);
    assert_eq!(format!("{found:?}"), r#"[{"a": Int32(6)}]"#);
    db.ok(r#"{"delete": "c", "deletes": [{"q": {"_id": 2}, "limit": 1}]}"#);
    assert_eq!(number(db.ok(r#"{"count": "c"}"#).as_doc().get("n")), 1);
    assert_eq!(number(db.ok(r#"{"count": "c", "query": {"a": 6}}"#).as_doc().get("n")), 1);
    let groups = db.batch(
        r#"{"aggregate": "c", "pipeline": [{"$group": {"_id": null, "s": {"$sum": "$a"}}}], "cursor": {}}"#,
    );
    assert_eq!(number(groups[0].as_doc().get("s")), 6);
}

#[test]
fn a_duplicate_key_names_pattern_and_value() {
    let db = Session::new();
    db.ok(
        r#"{"createIndexes": "c", "indexes": [{"key": {"a": 1}, "name": "a_1", "unique": true}]}"#,
    );
    db.ok(r#"{"insert": "c", "documents": [{"_id": 1, "a": "x"}]}"#);
    let reply = db.ok(r#"{"insert": "c", "documents": [{"_id": 2, "a": "x"}]}"#);
    let errors = reply.as_doc().get("writeErrors").and_then(Raw::as_array).unwrap();
    let error = errors.get(0).and_then(Raw::as_doc).unwrap().to_buf();
    assert_eq!(
        text(&error, "errmsg"),
        "E11000 duplicate key error collection: test.c index: a_1 dup key: { a: \"x\" }"
    );
    assert!(error.as_doc().get("keyPattern").is_some() && error.as_doc().get("keyValue").is_some());
    let valid = db.ok(r#"{"validate": "c"}"#);
    assert_eq!(valid.as_doc().get("valid").and_then(Raw::as_bool), Some(true), "{valid:?}");
}

#[test]
fn a_cursor_goes_on_and_ends() {
    let db = Session::new();
    let docs: Vec<String> = (0..10).map(|i| format!("{{\"_id\": {i}}}")).collect();
    db.ok(&format!("{{\"insert\": \"c\", \"documents\": [{}]}}", docs.join(",")));
    let reply = db.ok(r#"{"find": "c", "batchSize": 4}"#);
    let id = cursor_id(&reply);
    assert!(id != 0 && batch(&reply).len() == 4);
    let more = db.ok(&format!(
        "{{\"getMore\": {{\"$numberLong\": \"{id}\"}}, \"collection\": \"c\", \"batchSize\": 4}}"
    ));
    assert_eq!(batch(&more).len(), 4);
    let last =
        db.ok(&format!("{{\"getMore\": {{\"$numberLong\": \"{id}\"}}, \"collection\": \"c\"}}"));
    assert_eq!((batch(&last).len(), cursor_id(&last)), (2, 0));
}

#[test]
fn a_retried_write_is_done_once() {
    let db = Session::new();
    let insert = r#"{"insert": "c", "documents": [{"a": 1}],
        "lsid": {"id": {"$uuid": "00112233-4455-6677-8899-aabbccddeeff"}}, "txnNumber": {"$numberLong": "1"}}"#;
    db.ok(insert);
    let again = db.ok(insert);
    assert_eq!(number(again.as_doc().get("n")), 1);
    assert_eq!(number(db.ok(r#"{"count": "c"}"#).as_doc().get("n")), 1);
    let older = db.run(&insert.replace("\"1\"}", "\"0\"}"));
    assert_eq!(text(&older, "codeName"), "TransactionTooOld");
}

#[test]
fn a_change_stream_tells_of_every_write_and_resumes() {
    let db = Session::new();
    db.ok(r#"{"create": "c"}"#);
    let opened = db.ok(r#"{"aggregate": "c", "pipeline": [{"$changeStream": {}}], "cursor": {}}"#);
    let id = cursor_id(&opened);
    db.ok(r#"{"insert": "c", "documents": [{"_id": 1, "a": 1}]}"#);
    db.ok(r#"{"insert": "other", "documents": [{"_id": 1}]}"#);
    db.ok(r#"{"update": "c", "updates": [{"q": {"_id": 1}, "u": {"$set": {"a": 2}}}]}"#);
    db.ok(r#"{"update": "c", "updates": [{"q": {"_id": 1}, "u": {"b": 2}}]}"#);
    db.ok(r#"{"delete": "c", "deletes": [{"q": {"_id": 1}, "limit": 1}]}"#);
    let get_more = format!("{{\"getMore\": {{\"$numberLong\": \"{id}\"}}, \"collection\": \"c\"}}");
    let events = batch(&db.ok(&get_more));
    let kinds: Vec<_> = events.iter().map(|event| text(event, "operationType")).collect();
    assert_eq!(kinds, ["insert", "update", "replace", "delete"]);
    let update = events[1].as_doc().get("updateDescription").and_then(Raw::as_doc).unwrap();
    assert_eq!(
        format!("{update:?}"),
        r#"{"updatedFields": Document({"a": Int32(2)}), "removedFields": Array([]), "truncatedArrays": Array([])}"#
    );
    let token = events[1].as_doc().get("_id").and_then(Raw::as_doc).unwrap();
    let token = token.get("_data").and_then(Raw::as_str).unwrap();
    let resumed = db.batch(&format!(
        "{{\"aggregate\": \"c\", \"pipeline\": [{{\"$changeStream\": {{\"resumeAfter\": {{\"_data\": \"{token}\"}}}}}}], \"cursor\": {{}}}}"
    ));
    let kinds: Vec<_> = resumed.iter().map(|event| text(event, "operationType")).collect();
    assert_eq!(kinds, ["replace", "delete"]);
    db.ok(r#"{"drop": "c"}"#);
    let ended = db.ok(&get_more);
    let kinds: Vec<_> =
        batch(&ended).iter().map(|event| text(event, "operationType").to_owned()).collect();
    assert_eq!((kinds, cursor_id(&ended)), (vec!["drop".to_owned(), "invalidate".to_owned()], 0));
}
