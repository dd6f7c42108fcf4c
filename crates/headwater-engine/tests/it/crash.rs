//! kill -9 under load: a child process runs writes of every kind through the engine and tells of each acknowledged one
//! and of each change event; it is killed at a random moment, and the engine opened here must have it all.
//!
//! Writer `w` numbers its writes from 0; four of them are the life of one document (insert, update, findAndModify, then
//! delete or update). What a change stream must tell is therefore each writer's numbers in order, none twice, and the
//! documents that the events amount to must be those of the collection.

mod many;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use headwater_engine::bson::{Doc, DocBuf, Raw, View, extjson};
use headwater_engine::{Client, Engine, EngineOptions, Request};

const WRITERS: usize = 4;
const FOLDER: &str = "HEADWATER_CRASH_FOLDER";
const FROM: &str = "HEADWATER_CRASH_FROM";
const TOKEN: &str = "HEADWATER_CRASH_TOKEN";

struct Node {
    engine: Engine,
    client: Client,
}

impl Node {
    fn open(folder: &Path) -> Node {
        let store = headwater_store::Options {
            memory_bytes_max: 256 << 10,
            segment_bytes: 128 << 10,
            tree_transaction_bytes: 16 << 10,
            map_bytes: 1 << 30,
            ..headwater_store::Options::default()
        };
        let options = EngineOptions { store, ..EngineOptions::default() };
        let engine = Engine::open(folder, options).unwrap();
        let client = engine.client("test", "test");
        Node { engine, client }
    }

    fn run(&self, command: &str) -> DocBuf {
        let body = command.trim_end().strip_suffix('}').unwrap();
        let body = extjson::parse_commands(&format!("{body}, \"$db\": \"crash\"}}")).unwrap();
        let request = Request { body: body.as_doc(), sequences: &[] };
        let reply = self.engine.run_command(&self.client, &request);
        let doc = reply.as_doc();
        let failed = doc.get("writeErrors").is_some() || doc.get("writeConcernError").is_some();
        assert!(integer(doc, "ok") == 1 && !failed, "{command}: {reply:?}");
        reply
    }

    /// Opens a stream behind the token, or at the present.
    fn watch(&self, token: Option<&str>) -> Stream<'_> {
        let from =
            token.map_or(String::new(), |t| format!("\"resumeAfter\": {{\"_data\": \"{t}\"}}"));
        let reply = self.run(&format!(
            "{{\"aggregate\": \"c\", \"pipeline\": [{{\"$changeStream\": {{{from}}}}}], \"cursor\": {{\"batchSize\": 0}}}}"
        ));
        let cursor = document(reply.as_doc(), "cursor");
        Stream {
            node: self,
            cursor: integer(cursor, "id"),
            token: token_of(cursor, "postBatchResumeToken"),
        }
    }
}

struct Stream<'a> {
    node: &'a Node,
    cursor: i64,
    token: String,
}

impl Stream<'_> {
    /// The next batch; empty when nothing became durable for `wait_ms`.
    fn next(&mut self, wait_ms: u64) -> Vec<DocBuf> {
        let reply = self.node.run(&format!(
            "{{\"getMore\": {{\"$numberLong\": \"{}\"}}, \"collection\": \"c\", \"maxTimeMS\": {wait_ms}}}",
            self.cursor
        ));
        let cursor = document(reply.as_doc(), "cursor");
        self.token = token_of(cursor, "postBatchResumeToken");
        let batch = cursor.get("nextBatch").and_then(Raw::as_array).unwrap();
        batch.iter().filter_map(Raw::as_doc).map(Doc::to_buf).collect()
    }
}

fn document<'a>(doc: Doc<'a>, name: &str) -> Doc<'a> {
    doc.get(name).and_then(Raw::as_doc).unwrap_or_else(|| panic!("no {name} in {doc:?}"))
}

fn text<'a>(doc: Doc<'a>, name: &str) -> &'a str {
    doc.get(name).and_then(Raw::as_str).unwrap_or_else(|| panic!("no {name} in {doc:?}"))
}

fn token_of(doc: Doc<'_>, name: &str) -> String {
    text(document(doc, name), "_data").to_owned()
}

fn integer(doc: Doc<'_>, name: &str) -> i64 {
    match doc.get(name).map(Raw::view) {
        Some(View::Int32(value)) => i64::from(value),
        Some(View::Int64(value)) => value,
        Some(View::Double(value)) => value as i64,
        other => panic!("no number {name}: {other:?} in {doc:?}"),
    }
}

/// The command of a writer's `number`th write. Even writers write retryably.
fn write(writer: usize, number: i64) -> String {
    let id = format!("{writer}/{}", number / 4);
    let command = match number % 4 {
        0 => format!(
            r#"{{"insert": "c", "documents": [{{"_id": "{id}", "n": {number}, "u": "unique {id}", "tags": [{writer}, {number}], "pad": "{}"}}]"#,
            "x".repeat(200)
        ),
        1 => format!(
            r#"{{"update": "c", "updates": [{{"q": {{"u": "unique {id}"}}, "u": {{"$set": {{"n": {number}}}, "$push": {{"tags": {number}}}}}}}]"#
        ),
        2 => format!(
            r#"{{"findAndModify": "c", "query": {{"_id": "{id}"}}, "update": {{"$set": {{"n": {number}, "u": "unique {id} again"}}}}, "new": true"#
        ),
        _ if number / 4 % 3 > 0 => {
            format!(r#"{{"delete": "c", "deletes": [{{"q": {{"_id": "{id}"}}, "limit": 1}}]"#)
        }
        _ => format!(
            r#"{{"update": "c", "updates": [{{"q": {{"_id": "{id}"}}, "u": {{"$set": {{"n": {number}, "tags": []}}}}}}]"#
        ),
    };
    let session = match writer % 2 {
        0 => format!(
            r#", "lsid": {{"id": {{"$uuid": "00112233-4455-6677-8899-00000000000{writer}"}}}}, "txnNumber": {{"$numberLong": "{number}"}}, "stmtId": 0"#
        ),
        _ => String::new(),
    };
    format!(r#"{command}{session}, "writeConcern": {{"w": "majority"}}}}"#)
}

/// What an event tells of: the writer and the number of its write, and whether the document is there afterwards.
fn told(event: Doc<'_>) -> (usize, i64, bool) {
    let id = text(document(event, "documentKey"), "_id");
    let (writer, life) = id.split_once('/').unwrap();
    let (writer, life): (usize, i64) = (writer.parse().unwrap(), life.parse().unwrap());
    match text(event, "operationType") {
        "insert" => (writer, integer(document(event, "fullDocument"), "n"), true),
        "update" => {
            let description = document(event, "updateDescription");
            (writer, integer(document(description, "updatedFields"), "n"), true)
        }
        "delete" => (writer, life * 4 + 3, false),
        other => panic!("an event of type {other}"),
    }
}

/// Not a test by itself: the process that is killed.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let node = Node::open(Path::new(&folder));
    let from: Vec<i64> =
        std::env::var(FROM).unwrap().split(' ').map(|number| number.parse().unwrap()).collect();
    let token = std::env::var(TOKEN).unwrap();
    // One write to the pipe, so that lines of several threads don't mix.
    let say = |line: String| std::io::stderr().write_all(format!("\n{line}\n").as_bytes()).unwrap();
    thread::scope(|scope| {
        let (node, say) = (&node, &say);
        scope.spawn(move || {
            let mut stream = node.watch(Some(&token));
            loop {
                for event in stream.next(100) {
                    let event = event.as_doc();
                    let (writer, number, there) = told(event);
                    let token = token_of(event, "_id");
                    say(format!("event {writer} {number} {there} {token}"));
                }
                say(format!("mark {}", stream.token));
            }
        });
        for (writer, first) in from.into_iter().enumerate() {
            scope.spawn(move || {
                for number in first.. {
                    node.run(&write(writer, number));
                    say(format!("acknowledged {writer} {number}"));
                }
            });
        }
    });
}

/// What the parent knows of the writes: from the child's lines, and from reopening after it.
struct Known {
    /// Each writer's next number by its acknowledgements.
    acknowledged: [i64; WRITERS],
    /// Each writer's next number by the events.
    told: [i64; WRITERS],
    /// The documents that the events amount to, with the number of their last write.
    documents: BTreeMap<String, i64>,
    token: String,
    acknowledgements: u64,
}

impl Known {
    fn event(&mut self, writer: usize, number: i64, there: bool) {
        assert_eq!(number, self.told[writer], "writer {writer}: a change is missing or told twice");
        self.told[writer] += 1;
        let id = format!("{writer}/{}", number / 4);
        match there {
            true => self.documents.insert(id, number),
            false => self.documents.remove(&id),
        };
    }

    fn line(&mut self, line: &str) {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["acknowledged", writer, number] => {
                self.acknowledged[writer.parse::<usize>().unwrap()] =
                    number.parse::<i64>().unwrap() + 1;
                self.acknowledgements += 1;
            }
            ["event", writer, number, there, token] => {
                let there = there.parse().unwrap();
                self.event(writer.parse().unwrap(), number.parse().unwrap(), there);
                self.token = token.to_owned();
            }
            ["mark", token] => self.token = token.to_owned(),
            _ => {}
        }
    }
}

fn start(folder: &Path, known: &Arc<Mutex<Known>>) -> (Child, thread::JoinHandle<()>) {
    let (from, token) = {
        let known = known.lock().unwrap();
        (known.told.map(|number| number.to_string()).join(" "), known.token.clone())
    };
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::child", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(FROM, from)
        .env(TOKEN, token)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = BufReader::new(child.stderr.take().unwrap());
    let known = Arc::clone(known);
    let reader = thread::spawn(move || {
        let mut line = String::new();
        // A line that the kill cut off has no end and counts for nothing.
        while pipe.read_line(&mut line).unwrap() > 0 && line.ends_with('\n') {
            if line.contains("panicked") {
                let mut rest = String::new();
                while pipe.read_line(&mut rest).unwrap() > 0 && rest.len() < 2000 {}
                panic!("the child failed: {line}{rest}");
            }
            known.lock().unwrap().line(line.trim_end());
            line.clear();
        }
    });
    (child, reader)
}

/// Opens the folder that the killed child left, and holds what is there against what is known.
fn check(folder: &Path, known: &mut Known) {
    let node = Node::open(folder);
    let mut stream = node.watch(Some(&known.token));
    tell(&mut stream, known);
    for writer in 0..WRITERS {
        let (durable, acknowledged) = (known.told[writer], known.acknowledged[writer]);
        assert!(durable >= acknowledged, "writer {writer}: {durable} of {acknowledged} are there");
    }
    compare(&node, known);
    resend(&node, known);
    assert!(stream.next(1).is_empty(), "a write that was sent again made an event");
    compare(&node, known);
    known.token = stream.token;
    let valid = node.run(r#"{"validate": "c", "full": true}"#);
    assert_eq!(valid.as_doc().get("valid").and_then(Raw::as_bool), Some(true), "{valid:?}");
}

/// Takes in all events that are there.
fn tell(stream: &mut Stream<'_>, known: &mut Known) {
    loop {
        let events = stream.next(1);
        if events.is_empty() {
            return;
        }
        for event in &events {
            let (writer, number, there) = told(event.as_doc());
            known.event(writer, number, there);
        }
    }
}

/// The collection holds what the events amount to, by a scan and by each index.
fn compare(node: &Node, known: &Known) {
    let reply = node.run(r#"{"find": "c", "projection": {"n": 1}, "batchSize": 1000000}"#);
    let batch =
        document(reply.as_doc(), "cursor").get("firstBatch").and_then(Raw::as_array).unwrap();
    let found: BTreeMap<String, i64> = batch
        .iter()
        .filter_map(Raw::as_doc)
        .map(|doc| (text(doc, "_id").to_owned(), integer(doc, "n")))
        .collect();
    assert!(found == known.documents, "the documents are not what the events amount to");
    let total = known.documents.len() as i64;
    assert_eq!(integer(node.run(r#"{"count": "c"}"#).as_doc(), "n"), total);
    let by_unique = node.run(r#"{"count": "c", "query": {"u": {"$gte": ""}}, "hint": "u_1"}"#);
    assert_eq!(integer(by_unique.as_doc(), "n"), total);
    let tagged = known.documents.values().filter(|number| *number % 4 != 3).count() as i64;
    let by_tag = node.run(r#"{"count": "c", "query": {"tags": {"$gte": 0}}, "hint": "tags_1"}"#);
    assert_eq!(integer(by_tag.as_doc(), "n"), tagged);
}

/// Sends the last retryable write of each session again: it is answered as done.
fn resend(node: &Node, known: &Known) {
    for writer in (0..WRITERS).step_by(2) {
        let number = known.told[writer] - 1;
        if number < 0 {
            continue;
        }
        let reply = node.run(&write(writer, number));
        let reply = reply.as_doc();
        if number % 4 == 2 {
            assert_eq!(integer(document(reply, "value"), "n"), number, "{reply:?}");
            assert_eq!(integer(reply, "retriedStmtId"), 0);
        } else {
            assert_eq!(integer(reply, "n"), 1, "{reply:?}");
            let retried = reply.get("retriedStmtIds").and_then(Raw::as_array);
            assert_eq!(retried.map(|ids| ids.iter().count()), Some(1), "{reply:?}");
        }
    }
}

/// What works beside commands lets go of the folder before closing is over.
#[test]
fn a_folder_may_be_opened_again_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..10 {
        let node = Node::open(folder.path());
        node.run(r#"{"createIndexes": "c", "indexes": [{"key": {"at": 1}, "name": "at_1", "expireAfterSeconds": 1}]}"#);
        node.run(r#"{"insert": "c", "documents": [{"u": 1}, {"u": 2}]}"#);
        node.watch(None);
        node.run(r#"{"drop": "c"}"#);
        node.engine.close().unwrap();
    }
}

#[test]
fn nothing_acknowledged_is_lost_and_no_change_untold_by_kill_9() {
    let long = std::env::var_os("HEADWATER_LONG").is_some_and(|value| value == "1");
    let rounds = if long { 200 } else { 3 };
    let folder = tempfile::tempdir().unwrap();
    let token = {
        let node = Node::open(folder.path());
        node.run(r#"{"createIndexes": "c", "indexes": [{"key": {"u": 1}, "name": "u_1", "unique": true}, {"key": {"tags": 1}, "name": "tags_1"}]}"#);
        let token = node.watch(None).token;
        node.engine.close().unwrap();
        token
    };
    let known = Arc::new(Mutex::new(Known {
        acknowledged: [0; WRITERS],
        told: [0; WRITERS],
        documents: BTreeMap::new(),
        token,
        acknowledgements: 0,
    }));
    for round in 0..rounds {
        let before = known.lock().unwrap().acknowledgements;
        let (mut child, reader) = start(folder.path(), &known);
        while known.lock().unwrap().acknowledgements == before {
            assert!(!reader.is_finished(), "round {round}: the child ended by itself");
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(RandomState::new().hash_one(round) % 150));
        child.kill().unwrap();
        child.wait().unwrap();
        reader.join().unwrap();
        check(folder.path(), &mut known.lock().unwrap());
    }
    let known = known.lock().unwrap();
    println!(
        "{} acknowledged writes over {rounds} kills, none lost; {} changes told, each once",
        known.acknowledgements,
        known.told.iter().sum::<i64>()
    );
}
