//! What the binary writes to its log: slow operations, builds of indexes, and what a crash left of one.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use headwater_engine::bson::{Doc, DocBuf, Raw, extjson};

use crate::process::{Folder, Running, ask_in, send};

const PATIENCE: Duration = Duration::from_secs(60);
const INDEX: &str = r#"{"createIndexes": "c", "indexes": [{"key": {"a": 1}, "name": "a_1"}]}"#;

fn run_in(server: &Running, db: &str, command: &str) -> DocBuf {
    let command = extjson::parse_commands(command).unwrap();
    let mut stream = TcpStream::connect(&server.address).unwrap();
    ask_in(&mut stream, db, |body| body.extend(command.as_doc()))
}

fn run(server: &Running, command: &str) -> DocBuf {
    run_in(server, "test", command)
}

fn text<'a>(doc: Doc<'a>, name: &str) -> &'a str {
    doc.get(name).and_then(Raw::as_str).unwrap_or_default()
}

/// Stops the server; the lines of its log that are JSON, which all but the first few must be.
fn log_of(mut server: Running) -> Vec<DocBuf> {
    server.signal("-TERM");
    assert!(server.wait().success(), "{:?}", server.lines);
    let objects = server.lines.iter().filter(|line| line.starts_with('{'));
    objects
        .map(|line| extjson::parse_commands(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect()
}

fn with_message<'l>(log: &'l [DocBuf], message: &str) -> Vec<Doc<'l>> {
    let lines = log.iter().map(DocBuf::as_doc);
    lines.filter(|line| text(*line, "message").contains(message)).collect()
}

#[test]
fn a_slow_operation_is_one_line_without_values() {
    let server = Running::start(
        &["--data", ":memory:", "--listen", "127.0.0.1:0", "--log-format=json"],
        &[],
    );
    run(&server, INDEX);
    run(&server, r#"{"insert": "c", "documents": [{"_id": 1, "a": "hidden words", "b": 2}]}"#);
    run(&server, r#"{"profile": 0, "slowms": -1}"#);
    run(&server, r#"{"find": "c", "filter": {"a": "hidden words", "b": {"$gt": 1}}}"#);
    run(
        &server,
        r#"{"update": "c", "updates": [{"q": {"b": 2}, "u": {"$set": {"d": "hidden words"}}}]}"#,
    );
    run(&server, r#"{"createUser": "eve", "pwd": "hidden words", "roles": []}"#);
    run(
        &server,
        r#"{"aggregate": "c", "pipeline": [{"$match": {"$expr": {"$eq": ["$d", "hidden words"]}}}], "cursor": {}}"#,
    );
    // Of what is slow none is looked at any more.
    run(&server, r#"{"profile": 0, "slowms": -1, "sampleRate": 0.0}"#);
    run(&server, r#"{"count": "c", "query": {"a": "hidden words"}}"#);
    let log = log_of(server);
    let slow = with_message(&log, "slow operation");
    let of = |op: &str, command: &str| {
        let is =
            |line: &&Doc<'_>| text(**line, "op") == op && text(**line, "command").contains(command);
        let found: Vec<Doc<'_>> = slow.iter().filter(is).copied().collect();
        assert_eq!(found.len(), 1, "{op} {command}: {slow:?}");
        found[0]
    };
    let find = of("query", "find");
    assert_eq!(text(find, "plan_summary"), "IXSCAN { a: 1 }");
    assert_eq!(text(find, "ns"), "test.c");
    assert!(text(find, "command").contains("$gt"), "{find:?}");
    for name in ["keys_examined", "docs_examined", "nreturned", "millis", "reslen"] {
        assert!(find.get(name).is_some_and(|value| value.kind.is_number()), "{name}: {find:?}");
    }
    assert_eq!(text(of("update", "update"), "plan_summary"), "COLLSCAN");
    of("command", "aggregate");
    assert!(slow.iter().all(|line| !text(*line, "command").contains("count: ")), "{slow:?}");
    let told = |line: &DocBuf| format!("{line:?}").contains("hidden words");
    assert!(!log.iter().any(told), "a value stands in the log");
}

#[test]
fn a_filter_decides_what_the_profiler_keeps() {
    let server = Running::start(&["--data", ":memory:", "--listen", "127.0.0.1:0"], &[]);
    run(&server, r#"{"insert": "c", "documents": [{"_id": 1}, {"_id": 2}]}"#);
    run(&server, r#"{"profile": 1, "filter": {"op": "query", "nreturned": 2}}"#);
    run(&server, r#"{"find": "c", "filter": {"_id": 1}}"#);
    run(&server, r#"{"find": "c"}"#);
    run(&server, r#"{"insert": "c", "documents": [{"_id": 3}]}"#);
    run(&server, r#"{"profile": 0, "filter": "unset"}"#);
    let reply = run(&server, r#"{"find": "system.profile"}"#);
    let cursor = reply.as_doc().get("cursor").and_then(Raw::as_doc).unwrap();
    let rows = cursor.get("firstBatch").and_then(Raw::as_array).unwrap();
    let rows: Vec<Doc<'_>> = rows.iter().filter_map(Raw::as_doc).collect();
    assert_eq!(rows.len(), 1, "{reply:?}");
    assert_eq!((text(rows[0], "op"), text(rows[0], "planSummary")), ("query", "COLLSCAN"));
}

/// Waits until a build is under way and has read the documents.
fn await_build(server: &Running) {
    let begun = Instant::now();
    loop {
        let reply = run_in(server, "admin", r#"{"currentOp": 1}"#);
        let rows = reply.as_doc().get("inprog").and_then(Raw::as_array).unwrap();
        let reads = |row: Doc<'_>| text(row, "msg").contains("scanning collection: 3/3");
        if rows.iter().filter_map(Raw::as_doc).any(reads) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "no build is under way: {reply:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_build_is_told_and_so_is_what_a_crash_undid() {
    let folder = Folder::new("builds");
    let data = folder.data();
    let words =
        ["--data", &data, "--listen", "127.0.0.1:0", "--log-format=json", "--test-commands"];
    let mut server = Running::start(&words, &[]);
    run(
        &server,
        r#"{"insert": "c", "documents": [{"_id": 1, "a": 1}, {"_id": 2, "a": 2}, {"_id": 3}]}"#,
    );
    let held =
        r#"{"configureFailPoint": "hangAfterIndexBuildDumpsInsertsFromBulk", "mode": "alwaysOn"}"#;
    run_in(&server, "admin", held);
    let index = extjson::parse_commands(INDEX).unwrap();
    let mut builder = TcpStream::connect(&server.address).unwrap();
    send(&mut builder, "test", |body| body.extend(index.as_doc()));
    await_build(&server);
    server.signal("-KILL");
    server.wait();
    let begins = |line: &&String| line.contains("an index build begins") && line.contains("a_1");
    assert_eq!(server.lines.iter().filter(begins).count(), 1, "{:?}", server.lines);

    let server = Running::start(&words, &[]);
    let undone: Vec<_> =
        server.lines.iter().filter(|line| line.contains("was interrupted")).collect();
    assert_eq!(undone.len(), 1, "{:?}", server.lines);
    assert!(undone[0].contains("test.c: a_1"), "{undone:?}");
    let listed = run(&server, r#"{"listIndexes": "c"}"#);
    assert!(!format!("{listed:?}").contains("a_1"), "{listed:?}");
    let reply = run(&server, INDEX);
    assert!(reply.as_doc().get("code").is_none(), "{reply:?}");
    let valid = run(&server, r#"{"validate": "c"}"#);
    assert_eq!(valid.as_doc().get("valid").and_then(Raw::as_bool), Some(true), "{valid:?}");
    let log = log_of(server);
    let done = with_message(&log, "an index build is done");
    assert_eq!(done.len(), 1, "{log:?}");
    assert_eq!((text(done[0], "namespace"), text(done[0], "indexes")), ("test.c", "a_1"));
    for name in ["documents", "entries", "scan_ms", "ms"] {
        assert!(done[0].get(name).is_some_and(|value| value.kind.is_number()), "{name}");
    }
}
