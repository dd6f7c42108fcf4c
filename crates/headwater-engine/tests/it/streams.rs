//! Change streams: scopes, pipelines, images, endings, places to begin at, and waiting for what comes next.

use std::thread;
use std::time::{Duration, Instant};

use headwater_engine::EngineOptions;
use headwater_engine::bson::{Doc, DocBuf, Raw, View};

use crate::commands::{Session, batch, cursor_id, number, text, text_of};

/// An open stream.
pub(crate) struct Stream<'a> {
    db: &'a Session,
    database: &'a str,
    collection: &'a str,
    pub(crate) cursor: i64,
    /// The token behind what was seen.
    pub(crate) token: String,
}

/// The reply to opening a stream; `collection` is empty for a whole database.
fn open(db: &Session, database: &str, collection: &str, argument: &str, rest: &str) -> DocBuf {
    let target = if collection.is_empty() { "1".to_owned() } else { format!("\"{collection}\"") };
    let rest = if rest.is_empty() { String::new() } else { format!(", {rest}") };
    db.run_in(
        database,
        &format!(
            r#"{{"aggregate": {target}, "pipeline": [{{"$changeStream": {argument}}}{rest}], "cursor": {{"batchSize": 0}}}}"#
        ),
    )
}

pub(crate) fn watch<'a>(
    db: &'a Session,
    database: &'a str,
    collection: &'a str,
    argument: &str,
    rest: &str,
) -> Stream<'a> {
    let reply = open(db, database, collection, argument, rest);
    assert_eq!(number(reply.as_doc().get("ok")), 1, "{argument} {rest}: {reply:?}");
    let collection = if collection.is_empty() { "$cmd.aggregate" } else { collection };
    Stream { db, database, collection, cursor: cursor_id(&reply), token: token_of(&reply) }
}

/// A stream of the collection `test.c`.
fn watch_c<'a>(db: &'a Session, argument: &str) -> Stream<'a> {
    watch(db, "test", "c", argument, "")
}

impl Stream<'_> {
    pub(crate) fn get_more(&self, wait_ms: u64) -> DocBuf {
        self.db.run_in(
            self.database,
            &format!(
                r#"{{"getMore": {{"$numberLong": "{}"}}, "collection": "{}", "maxTimeMS": {wait_ms}}}"#,
                self.cursor, self.collection
            ),
        )
    }

    /// The next batch; takes up the cursor's id and token.
    pub(crate) fn next(&mut self, wait_ms: u64) -> Vec<DocBuf> {
        let reply = self.get_more(wait_ms);
        assert_eq!(number(reply.as_doc().get("ok")), 1, "{reply:?}");
        self.cursor = cursor_id(&reply);
        self.token = token_of(&reply);
        batch(&reply)
    }

    /// The types of the next batch's events.
    fn types(&mut self) -> Vec<String> {
        self.next(1).iter().map(|event| text(event, "operationType").to_owned()).collect()
    }
}

fn token_of(reply: &DocBuf) -> String {
    let cursor = inner(reply.as_doc(), "cursor");
    let token = inner(cursor, "postBatchResumeToken");
    token.get("_data").and_then(Raw::as_str).unwrap().to_owned()
}

pub(crate) fn token_of_event(event: &DocBuf) -> String {
    inner(event.as_doc(), "_id").get("_data").and_then(Raw::as_str).unwrap().to_owned()
}

fn behind(option: &str, token: &str) -> String {
    format!(r#"{{"{option}": {{"_data": "{token}"}}}}"#)
}

pub(crate) fn inner<'a>(doc: Doc<'a>, name: &str) -> Doc<'a> {
    doc.get(name).and_then(Raw::as_doc).unwrap_or_else(|| panic!("no {name} in {doc:?}"))
}

/// Where an event happened: database and collection.
fn place(event: &DocBuf) -> String {
    let ns = inner(event.as_doc(), "ns");
    let part = |name| ns.get(name).and_then(Raw::as_str).unwrap_or_default();
    format!("{}.{}", part("db"), part("coll"))
}

pub(crate) fn code(reply: &DocBuf) -> i64 {
    assert_eq!(number(reply.as_doc().get("ok")), 0, "no error: {reply:?}");
    number(reply.as_doc().get("code"))
}

fn has_label(reply: &DocBuf, label: &str) -> bool {
    let labels = reply.as_doc().get("errorLabels").and_then(Raw::as_array);
    labels.is_some_and(|labels| labels.iter().any(|raw| raw.as_str() == Some(label)))
}

pub(crate) fn insert(db: &Session, database: &str, collection: &str, id: i32) {
    let command = format!(r#"{{"insert": "{collection}", "documents": [{{"_id": {id}}}]}}"#);
    let reply = db.run_in(database, &command);
    assert_eq!(number(reply.as_doc().get("n")), 1, "{reply:?}");
}

#[test]
fn each_scope_shows_its_own() {
    let db = Session::new();
    let mut of_collection = watch(&db, "a", "x", "{}", "");
    let mut of_database = watch(&db, "a", "", "{}", "");
    let mut of_cluster = watch(&db, "admin", "", r#"{"allChangesForCluster": true}"#, "");
    for (database, collection) in [("a", "x"), ("a", "y"), ("b", "x"), ("config", "x")] {
        insert(&db, database, collection, 1);
    }
    let places = |stream: &mut Stream<'_>| stream.next(1).iter().map(place).collect::<Vec<_>>();
    assert_eq!(places(&mut of_collection), ["a.x"]);
    assert_eq!(places(&mut of_database), ["a.x", "a.y"]);
    assert_eq!(places(&mut of_cluster), ["a.x", "a.y", "b.x"]);
}

#[test]
fn scopes_that_cannot_be_watched_are_refused() {
    let db = Session::new();
    let cluster = r#"{"allChangesForCluster": true}"#;
    assert_eq!(code(&open(&db, "test", "", cluster, "")), 72);
    assert_eq!(code(&open(&db, "admin", "c", cluster, "")), 72);
    assert_eq!(code(&open(&db, "admin", "", "{}", "")), 73);
    assert_eq!(code(&open(&db, "config", "c", "{}", "")), 73);
    assert_eq!(code(&open(&db, "test", "system.c", "{}", "")), 73);
}

#[test]
fn only_stages_that_keep_events_apart_may_follow() {
    let db = Session::new();
    for stage in [
        r#"{"$match": {"operationType": "insert"}}"#,
        r#"{"$project": {"fullDocument": 1}}"#,
        r#"{"$addFields": {"more": 1}}"#,
        r#"{"$set": {"more": 1}}"#,
        r#"{"$unset": "ns"}"#,
        r#"{"$replaceRoot": {"newRoot": "$$ROOT"}}"#,
        r#"{"$replaceWith": "$$ROOT"}"#,
        r#"{"$redact": "$$KEEP"}"#,
    ] {
        let mut stream = watch(&db, "test", "c", "{}", stage);
        db.ok(r#"{"insert": "c", "documents": [{"a": 1}]}"#);
        assert_eq!(stream.next(1).len(), 1, "{stage}");
    }
    for stage in [
        r#"{"$group": {"_id": 1}}"#,
        r#"{"$sort": {"_id": 1}}"#,
        r#"{"$limit": 1}"#,
        r#"{"$skip": 1}"#,
        r#"{"$unwind": "$a"}"#,
        r#"{"$facet": {"a": []}}"#,
    ] {
        assert_eq!(code(&open(&db, "test", "c", "{}", stage)), 20, "{stage}");
    }
    assert_eq!(
        code(&open(&db, "test", "c", "{}", r#"{"$match": {}}, {"$changeStream": {}}"#)),
        40602
    );
}

#[test]
fn a_pipeline_that_changes_the_token_ends_the_stream() {
    for stage in [
        r#"{"$project": {"_id": 0}}"#,
        r#"{"$addFields": {"_id": 1}}"#,
        r#"{"$unset": "_id._data"}"#,
    ] {
        let db = Session::new();
        let stream = watch(&db, "test", "c", "{}", stage);
        insert(&db, "test", "c", 1);
        let failed = stream.get_more(1);
        assert_eq!(code(&failed), 280, "{stage}");
        assert!(has_label(&failed, "NonResumableChangeStreamError"), "{failed:?}");
        assert!(!has_label(&failed, "ResumableChangeStreamError"), "{failed:?}");
        assert_eq!(code(&stream.get_more(1)), 43);
    }
}

#[test]
fn images_are_looked_up_or_missing() {
    let db = Session::new();
    db.ok(r#"{"insert": "c", "documents": [{"_id": 1}, {"_id": 2}]}"#);
    let mut lookup = watch_c(&db, r#"{"fullDocument": "updateLookup"}"#);
    let mut available = watch_c(
        &db,
        r#"{"fullDocument": "whenAvailable", "fullDocumentBeforeChange": "whenAvailable"}"#,
    );
    let required = watch_c(&db, r#"{"fullDocument": "required"}"#);
    let before = watch_c(&db, r#"{"fullDocumentBeforeChange": "required"}"#);
    for id in [1, 2] {
        db.ok(&format!(r#"{{"update": "c", "updates": [{{"q": {{"_id": {id}}}, "u": {{"$set": {{"a": 1}}}}}}]}}"#));
    }
    db.ok(r#"{"delete": "c", "deletes": [{"q": {"_id": 2}, "limit": 1}]}"#);
    let events = lookup.next(1);
    let full = |event: &DocBuf| format!("{:?}", event.as_doc().get("fullDocument").map(Raw::view));
    assert_eq!(events.len(), 3);
    assert_eq!(number(inner(events[0].as_doc(), "fullDocument").get("a")), 1);
    assert_eq!(full(&events[1]), "Some(Null)");
    assert_eq!(full(&events[2]), "None");
    for event in &available.next(1)[..2] {
        assert_eq!(full(event), "Some(Null)");
        assert!(event.as_doc().get("fullDocumentBeforeChange").is_some());
    }
    assert_eq!(code(&required.get_more(1)), 47);
    assert_eq!(code(&before.get_more(1)), 47);
    for option in ["fullDocument", "fullDocumentBeforeChange"] {
        assert_eq!(
            code(&open(&db, "test", "c", &format!(r#"{{"{option}": "sometimes"}}"#), "")),
            2
        );
    }
}

#[test]
fn a_collection_that_keeps_images_shows_documents_before_and_behind_a_change() {
    const IMAGES: &str = r#""changeStreamPreAndPostImages": {"enabled": true}"#;
    let db = Session::new();
    db.ok(r#"{"create": "c"}"#);
    db.ok(r#"{"insert": "c", "documents": [{"_id": 1, "a": 0}, {"_id": 2, "a": 0}]}"#);
    let mut required =
        watch_c(&db, r#"{"fullDocument": "required", "fullDocumentBeforeChange": "required"}"#);
    let mut without = watch_c(&db, "{}");
    db.ok(&format!(r#"{{"collMod": "c", {IMAGES}}}"#));
    let listed = text_of(&db.ok(r#"{"listCollections": 1}"#));
    assert!(listed.contains(r#""changeStreamPreAndPostImages":{"enabled":true}"#), "{listed}");
    for update in [r#"{"$set": {"a": 1}}"#, r#"{"$set": {"a": 2}}"#, r#"{"a": 3}"#] {
        db.ok(&format!(r#"{{"update": "c", "updates": [{{"q": {{"_id": 1}}, "u": {update}}}]}}"#));
    }
    db.ok(r#"{"findAndModify": "c", "query": {"_id": 2}, "remove": true}"#);
    let images = |event: &DocBuf| {
        let image = |name: &str| {
            let image = event.as_doc().get(name).and_then(Raw::as_doc);
            image.and_then(|image| image.get("a")).map(|a| number(Some(a)))
        };
        (image("fullDocumentBeforeChange"), image("fullDocument"))
    };
    let events = required.next(1);
    let shown: Vec<_> = events.iter().map(images).collect();
    let expected = [(Some(0), Some(1)), (Some(1), Some(2)), (Some(2), Some(3)), (Some(0), None)];
    assert_eq!(shown, expected);
    let behind_first = behind("resumeAfter", &token_of_event(&events[0]));
    let shown: Vec<_> = without.next(1).iter().map(images).collect();
    assert_eq!(shown, [(None, None), (None, None), (None, Some(3)), (None, None)]);
    db.ok(r#"{"collMod": "c", "changeStreamPreAndPostImages": {"enabled": false}}"#);
    db.ok(r#"{"delete": "c", "deletes": [{"q": {}, "limit": 0}]}"#);
    assert_eq!(code(&required.get_more(1)), 47);
    let options =
        format!(r#"{{"fullDocumentBeforeChange": "whenAvailable", {}"#, &behind_first[1..]);
    let shown: Vec<_> = watch_c(&db, &options).next(1).iter().map(images).collect();
    let expected = [(Some(1), None), (Some(2), Some(3)), (Some(0), None), (None, None)];
    assert_eq!(shown, expected);
}

#[test]
fn an_event_larger_than_a_document_may_be_fails_the_stream() {
    let db = Session::new();
    db.ok(r#"{"create": "c", "changeStreamPreAndPostImages": {"enabled": true}}"#);
    let text = "x".repeat(9 * 1024 * 1024);
    db.ok(&format!(r#"{{"insert": "c", "documents": [{{"_id": 1, "text": "{text}"}}]}}"#));
    let both =
        watch_c(&db, r#"{"fullDocument": "required", "fullDocumentBeforeChange": "required"}"#);
    let mut one = watch_c(&db, r#"{"fullDocument": "required"}"#);
    db.ok(r#"{"update": "c", "updates": [{"q": {"_id": 1}, "u": {"$set": {"a": 1}}}]}"#);
    assert_eq!(code(&both.get_more(1)), 10334);
    assert_eq!(one.types(), ["update"]);
}

#[test]
fn a_dropped_collection_invalidates_and_its_token_starts_a_new_stream() {
    let db = Session::new();
    insert(&db, "test", "c", 1);
    let mut stream = watch_c(&db, "{}");
    db.ok(r#"{"drop": "c"}"#);
    let events = stream.next(1);
    let types: Vec<_> = events.iter().map(|event| text(event, "operationType")).collect();
    assert_eq!((types, stream.cursor), (vec!["drop", "invalidate"], 0));
    let [drop, invalidate] = [&events[0], &events[1]].map(token_of_event);
    assert_eq!(stream.token, invalidate);
    insert(&db, "test", "c", 2);
    assert_eq!(code(&open(&db, "test", "c", &behind("resumeAfter", &invalidate), "")), 260);
    let mut started = watch_c(&db, &behind("startAfter", &invalidate));
    assert_eq!(started.types(), ["insert"]);
    let mut behind_drop = watch_c(&db, &behind("resumeAfter", &drop));
    assert_eq!((behind_drop.types(), behind_drop.cursor), (vec!["invalidate".to_owned()], 0));
}

#[test]
fn a_rename_invalidates_both_names() {
    let db = Session::new();
    insert(&db, "test", "c", 1);
    let mut from = watch_c(&db, "{}");
    let mut to = watch(&db, "test", "d", "{}", "");
    let mut whole = watch(&db, "test", "", "{}", "");
    let rename = r#"{"renameCollection": "test.c", "to": "test.d"}"#;
    assert_eq!(number(db.run_in("admin", rename).as_doc().get("ok")), 1);
    insert(&db, "test", "d", 2);
    let events = from.next(1);
    let target = inner(events[0].as_doc(), "to");
    assert_eq!(target.get("coll").and_then(Raw::as_str), Some("d"));
    assert_eq!((text(&events[1], "operationType"), from.cursor), ("invalidate", 0));
    assert_eq!((to.types(), to.cursor), (vec!["rename".to_owned(), "invalidate".to_owned()], 0));
    assert_eq!(whole.types(), ["rename", "insert"]);
    assert_ne!(whole.cursor, 0);
}

#[test]
fn a_dropped_database_invalidates_its_streams_only() {
    let db = Session::new();
    insert(&db, "test", "c", 1);
    let mut of_collection = watch_c(&db, "{}");
    let mut of_database = watch(&db, "test", "", "{}", "");
    let mut of_cluster = watch(&db, "admin", "", r#"{"allChangesForCluster": true}"#, "");
    db.ok(r#"{"dropDatabase": 1}"#);
    insert(&db, "test", "c", 2);
    assert_eq!(of_collection.types(), ["drop", "invalidate"]);
    let events = of_database.next(1);
    let types: Vec<_> = events.iter().map(|event| text(event, "operationType")).collect();
    assert_eq!((types, of_database.cursor), (vec!["drop", "dropDatabase", "invalidate"], 0));
    assert!(inner(events[1].as_doc(), "ns").get("coll").is_none());
    assert_eq!(of_cluster.types(), ["drop", "dropDatabase", "insert"]);
    let mut after = watch(&db, "test", "", &behind("startAfter", &of_database.token), "");
    assert_eq!(after.types(), ["insert"]);
}

#[test]
fn a_stream_begins_at_a_time() {
    let db = Session::new();
    insert(&db, "test", "c", 1);
    let reply = db.ok(r#"{"insert": "c", "documents": [{"_id": 2}]}"#);
    insert(&db, "test", "c", 3);
    let Some(View::Timestamp(time)) = reply.as_doc().get("operationTime").map(Raw::view) else {
        panic!("no time in {reply:?}")
    };
    let at = |time: u64| {
        let (seconds, increment) = (time >> 32, time & 0xffff_ffff);
        format!(
            r#"{{"startAtOperationTime": {{"$timestamp": {{"t": {seconds}, "i": {increment}}}}}}}"#
        )
    };
    let ids = |stream: &mut Stream<'_>| {
        let events = stream.next(1);
        events
            .iter()
            .map(|e| number(inner(e.as_doc(), "documentKey").get("_id")))
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&mut watch_c(&db, &at(time))), [2, 3]);
    assert_eq!(ids(&mut watch_c(&db, &at(time + 1))), [3]);
    let mut later = watch_c(&db, &at(time + (3600 << 32)));
    insert(&db, "test", "c", 4);
    assert!(later.next(1).is_empty());
    let both = r#"{"resumeAfter": {"_data": "00"}, "startAfter": {"_data": "00"}}"#;
    assert_eq!(code(&open(&db, "test", "c", both, "")), 50674);
}

#[test]
fn a_place_older_than_the_history_is_told_so() {
    let store = headwater_store::Options {
        segment_bytes: 64 << 10,
        retention_bytes: Some(128 << 10),
        memory_bytes_max: 256 << 10,
        ..headwater_store::Options::default()
    };
    let db = Session::with(EngineOptions { store, ..EngineOptions::default() });
    insert(&db, "test", "c", 0);
    let stream = watch_c(&db, "{}");
    let pad = "x".repeat(8000);
    for round in 1..200 {
        db.ok(&format!(r#"{{"update": "c", "updates": [{{"q": {{"_id": 0}}, "u": {{"$set": {{"pad": "{pad}{round}"}}}}}}]}}"#));
    }
    for argument in [behind("resumeAfter", &stream.token), behind("startAfter", &stream.token)] {
        let lost = open(&db, "test", "c", &argument, "");
        assert_eq!(code(&lost), 286, "{argument}");
        assert!(has_label(&lost, "NonResumableChangeStreamError"), "{lost:?}");
    }
    let at = r#"{"startAtOperationTime": {"$timestamp": {"t": 1, "i": 1}}}"#;
    assert_eq!(code(&open(&db, "test", "c", at, "")), 286);
}

#[test]
fn the_token_goes_on_where_nothing_is_shown() {
    let db = Session::new();
    let mut stream = watch_c(&db, "{}");
    for id in 0..5 {
        let before = stream.token.clone();
        insert(&db, "test", "other", id);
        assert!(stream.next(1).is_empty());
        assert!(stream.token > before, "{} after {before}", stream.token);
    }
    insert(&db, "test", "c", 1);
    assert_eq!(watch_c(&db, &behind("resumeAfter", &stream.token)).types(), ["insert"]);
    let events = stream.next(1);
    assert_eq!((events.len(), stream.token.clone()), (1, token_of_event(&events[0])));
    let mut filtered = watch(&db, "test", "c", "{}", r#"{"$match": {"operationType": "drop"}}"#);
    let before = filtered.token.clone();
    insert(&db, "test", "c", 2);
    assert!(filtered.next(1).is_empty() && filtered.token > before);
}

#[test]
fn the_token_of_a_full_batch_is_before_what_did_not_fit() {
    let db = Session::new();
    insert(&db, "test", "c", 0);
    let mut stream = watch_c(&db, "{}");
    let pad = "x".repeat(9 << 20);
    for id in 1..4 {
        db.ok(&format!(r#"{{"insert": "c", "documents": [{{"_id": {id}, "pad": "{pad}"}}]}}"#));
    }
    for seen in 1..4 {
        let events = stream.next(1);
        assert_eq!((events.len(), stream.token.clone()), (1, token_of_event(&events[0])));
        let mut resumed = watch_c(&db, &behind("resumeAfter", &stream.token));
        let next = resumed.next(1);
        let id = next.first().map(|e| number(inner(e.as_doc(), "documentKey").get("_id")));
        assert_eq!(id, (seen < 3).then_some(seen + 1));
    }
}

#[test]
fn definitions_are_shown_where_they_are_asked_for() {
    let db = Session::new();
    let mut plain = watch(&db, "test", "", "{}", "");
    let mut expanded = watch(&db, "test", "", r#"{"showExpandedEvents": true}"#, "");
    insert(&db, "test", "c", 1);
    db.ok(r#"{"createIndexes": "c", "indexes": [{"key": {"a": 1}, "name": "a_1"}]}"#);
    db.ok(r#"{"dropIndexes": "c", "index": "a_1"}"#);
    db.run_in("admin", r#"{"renameCollection": "test.c", "to": "test.d"}"#);
    assert_eq!(plain.types(), ["insert", "rename"]);
    let events = expanded.next(1);
    let types: Vec<_> = events.iter().map(|event| text(event, "operationType")).collect();
    assert_eq!(types, ["create", "insert", "createIndexes", "dropIndexes", "rename"]);
    for event in &events {
        assert!(event.as_doc().get("collectionUUID").is_some(), "{event:?}");
    }
    let created = inner(inner(events[0].as_doc(), "operationDescription"), "idIndex");
    assert_eq!(created.get("name").and_then(Raw::as_str), Some("_id_"));
    for event in &events[2..4] {
        let indexes = inner(event.as_doc(), "operationDescription").get("indexes");
        let index =
            indexes.and_then(Raw::as_array).and_then(|rows| rows.get(0)).and_then(Raw::as_doc);
        assert_eq!(index.and_then(|i| i.get("name")).and_then(Raw::as_str), Some("a_1"));
    }
    assert!(inner(events[4].as_doc(), "operationDescription").get("to").is_some());
}

#[test]
fn a_waiting_stream_wakes_when_something_is_durable() {
    const ROUNDS: usize = 50;
    let db = Session::new();
    insert(&db, "test", "c", -1);
    let mut stream = watch_c(&db, "{}");
    let mut latencies = Vec::new();
    for round in 0..ROUNDS {
        let (sent, seen, events) = thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                let events = stream.next(20_000);
                (Instant::now(), events)
            });
            thread::sleep(Duration::from_millis(5));
            let sent = Instant::now();
            insert(&db, "test", "c", round as i32);
            let (seen, events) = waiting.join().unwrap();
            (sent, seen, events)
        });
        assert_eq!(events.len(), 1);
        latencies.push(seen.saturating_duration_since(sent));
    }
    latencies.sort();
    let (median, worst) = (latencies[ROUNDS / 2], latencies[ROUNDS - 1]);
    println!("insert to event, in memory: median {median:?}, worst {worst:?} of {ROUNDS}");
    assert!(worst < Duration::from_secs(10), "{worst:?}");
}

#[test]
fn a_stream_waits_no_longer_than_it_is_asked_to() {
    let db = Session::new();
    insert(&db, "test", "other", 0);
    let mut stream = watch_c(&db, "{}");
    let begun = Instant::now();
    assert!(stream.next(60).is_empty());
    assert!(begun.elapsed() >= Duration::from_millis(60));
    let begun = Instant::now();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| stream.next(100));
        // What the stream does not show wakes it, and must not end the wait.
        insert(&db, "test", "other", 1);
        assert!(waiting.join().unwrap().is_empty());
    });
    assert!(begun.elapsed() >= Duration::from_millis(100));
    assert_ne!(stream.cursor, 0);
}

#[test]
fn killed_sessions_lose_their_streams() {
    let db = Session::new();
    let lsid = |last: u8| {
        format!(r#"{{"id": {{"$uuid": "00112233-4455-6677-8899-0000000000{last:02}"}}}}"#)
    };
    let open = |session: &str| {
        let reply = db.ok(&format!(
            r#"{{"aggregate": "c", "pipeline": [{{"$changeStream": {{}}}}], "cursor": {{}}, "lsid": {session}}}"#
        ));
        cursor_id(&reply)
    };
    let more = |cursor: i64, session: &str| {
        db.run(&format!(
            r#"{{"getMore": {{"$numberLong": "{cursor}"}}, "collection": "c", "maxTimeMS": 1, "lsid": {session}}}"#
        ))
    };
    let alive = |reply: &DocBuf| number(reply.as_doc().get("ok")) == 1;
    let (one, two) = (lsid(1), lsid(2));
    let cursors = [open(&one), open(&two)];
    db.ok(&format!(r#"{{"killSessions": [{one}]}}"#));
    assert_eq!(code(&more(cursors[0], &one)), 43);
    assert!(alive(&more(cursors[1], &two)));
    db.ok(&format!(r#"{{"killAllSessionsByPattern": [{{"lsid": {one}}}]}}"#));
    db.ok(r#"{"killAllSessions": [{"user": "nobody", "db": "test"}]}"#);
    assert!(alive(&more(cursors[1], &two)));
    db.ok(r#"{"killAllSessions": []}"#);
    assert_eq!(code(&more(cursors[1], &two)), 43);
}

#[test]
fn paths_that_read_in_two_ways_are_explained() {
    let db = Session::new();
    db.ok(r#"{"insert": "c", "documents": [{"_id": 1, "a": {"1": 1}, "b": [{"2": 1, "n": 1}], "c": [1, 2, 3],
        "gone": {"3": 1}, "plain": {"x": 1}, "pad": "0123456789012345678901234567890123456789012345678901234567890123456789"}]}"#);
    let explained = |argument: &str, update: &str| {
        let mut stream = watch_c(&db, argument);
        db.ok(&format!(r#"{{"update": "c", "updates": [{{"q": {{"_id": 1}}, "u": {update}}}]}}"#));
        let events = stream.next(1000);
        let description = events[0].as_doc().get("updateDescription").and_then(Raw::as_doc);
        let paths = description.unwrap().get("disambiguatedPaths").and_then(Raw::as_doc);
        paths.map(|paths| text_of(&paths.to_buf()))
    };
    let expanded = r#"{"showExpandedEvents": true}"#;
    for (update, paths) in [
        (r#"{"$set": {"a.1": 2}}"#, r#"{"a.1":["a","1"]}"#),
        (r#"{"$set": {"b.0.2": 2}}"#, r#"{"b.0.2":["b",{"$numberInt":"0"},"2"]}"#),
        (r#"{"$set": {"b.0.n": 2, "c.1": 5, "plain.x": 2}}"#, "{}"),
        (r#"{"$unset": {"gone.3": 1}}"#, r#"{"gone.3":["gone","3"]}"#),
        (
            r#"[{"$replaceWith": {"$setField": {"field": "home.town", "input": "$$ROOT", "value": 1}}}]"#,
            r#"{"home.town":["home.town"]}"#,
        ),
    ] {
        assert_eq!(explained(expanded, update).as_deref(), Some(paths), "{update}");
    }
    assert_eq!(explained("{}", r#"{"$set": {"a.1": 9}}"#), None);
}
