//! Clients that close their connection while the engine works for them: what they were to read ends, what they wrote is
//! finished, and nobody's requests behind are lost.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use headwater_engine::bson::{Doc, DocBuf, Raw as Value, extjson};
use headwater_engine::{Engine, EngineOptions};
use headwater_server::Server;
use tokio::runtime::Runtime;

use crate::fixture::int;
use crate::raw::{Raw, msg};

const PATIENCE: Duration = Duration::from_secs(60);

/// A computation of hours for every document.
const ENDLESS: &str = r#"{"$reduce": {"input": {"$range": [0, 1000000]}, "initialValue": 0, "in":
    {"$reduce": {"input": {"$range": [0, 1000000]}, "initialValue": 0, "in": {"$add": ["$a", "$$this"]}}}}}"#;

/// The engine itself behind a server.
struct Node {
    _runtime: Runtime,
    _server: Server,
    address: SocketAddr,
}

impl Node {
    fn start() -> Node {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.unwrap();
        let engine = Engine::open_in_memory(EngineOptions::default()).unwrap();
        let builder = Server::builder().tcp("127.0.0.1:0".parse().unwrap());
        let server = runtime.block_on(builder.serve(engine.into())).unwrap();
        let address = server.tcp_addresses()[0];
        let node = Node { _runtime: runtime, _server: server, address };
        node.ok(r#"{"insert": "c", "documents": [{"_id": 1, "a": 1}, {"_id": 2, "a": 2}]}"#);
        node
    }

    fn run(&self, command: &str) -> DocBuf {
        Raw::connect(self.address).ask(&message(command))
    }

    fn ok(&self, command: &str) -> DocBuf {
        let reply = self.run(command);
        assert_eq!(int(reply.as_doc(), "ok"), 1, "{command}: {reply:?}");
        reply
    }

    /// The numbers of the operations whose command has the comment.
    fn operations(&self) -> Vec<i64> {
        let command = r#"{"currentOp": 1, "command.comment": "mine", "$db": "admin"}"#;
        let reply = self.ok(command);
        let rows = reply.as_doc().get("inprog").and_then(Value::as_array).unwrap();
        rows.iter().filter_map(Value::as_doc).map(|row| int(row, "opid")).collect()
    }

    /// Sends a command and goes as soon as it runs; gives its number.
    fn leave_during(&self, command: &str) -> i64 {
        let mut raw = Raw::connect(self.address);
        raw.send(&message(command));
        soon(command, || self.operations().first().copied())
    }
}

/// The command, for `test` unless it says otherwise.
fn message(command: &str) -> Vec<u8> {
    let command = extjson::parse_commands(command).unwrap();
    let mut whole = headwater_engine::bson::DocWriter::new();
    whole.extend(command.as_doc());
    if command.as_doc().get("$db").is_none() {
        whole.str("$db", "test");
    }
    msg(1, 0, &whole.finish())
}

/// What is there soon.
fn soon<T>(what: &str, seen: impl Fn() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(seen) = seen() {
            return seen;
        }
        assert!(begun.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_a_client_reads_ends_when_it_goes() {
    let node = Node::start();
    let expr = format!(r#"{{"$expr": {{"$eq": [{ENDLESS}, 1]}}}}"#);
    let pipeline = format!(r#"[{{"$project": {{"b": {ENDLESS}}}}}]"#);
    let commands = [
        format!(
            r#"{{"aggregate": "c", "pipeline": {pipeline}, "cursor": {{}}, "comment": "mine"}}"#
        ),
        format!(r#"{{"find": "c", "filter": {expr}, "comment": "mine"}}"#),
        format!(
            r#"{{"find": "c", "filter": {{"_id": 1}}, "projection": {{"b": {ENDLESS}}}, "comment": "mine"}}"#
        ),
        format!(r#"{{"find": "c", "filter": {{"_id": 1, "$or": [{expr}]}}, "comment": "mine"}}"#),
        format!(r#"{{"count": "c", "query": {expr}, "comment": "mine"}}"#),
        format!(r#"{{"distinct": "c", "key": "a", "query": {expr}, "comment": "mine"}}"#),
        format!(r#"{{"explain": {{"find": "c", "filter": {expr}}}, "comment": "mine"}}"#),
    ];
    for command in &commands {
        node.leave_during(command);
        soon(command, || node.operations().is_empty().then_some(()));
    }
}

#[test]
fn what_a_client_writes_goes_on_when_it_goes() {
    let node = Node::start();
    let expr = format!(r#"{{"$expr": {{"$eq": [{ENDLESS}, 1]}}}}"#);
    let commands = [
        format!(
            r#"{{"update": "c", "updates": [{{"q": {expr}, "u": {{"$set": {{"b": 1}}}}}}], "comment": "mine"}}"#
        ),
        format!(
            r#"{{"update": "c", "updates": [{{"q": {{"_id": 1}}, "u": [{{"$set": {{"b": {ENDLESS}}}}}]}}], "comment": "mine"}}"#
        ),
        format!(
            r#"{{"findAndModify": "c", "query": {{"_id": 1}}, "update": [{{"$set": {{"b": {ENDLESS}}}}}], "comment": "mine"}}"#
        ),
        format!(
            r#"{{"delete": "c", "deletes": [{{"q": {expr}, "limit": 1}}], "comment": "mine"}}"#
        ),
        format!(
            r#"{{"aggregate": "c", "pipeline": [{{"$project": {{"b": {ENDLESS}}}}}, {{"$out": "d"}}], "cursor": {{}}, "comment": "mine"}}"#
        ),
    ];
    for command in &commands {
        let id = node.leave_during(command);
        // The server closes the connection, and still the command runs.
        soon(command, || {
            let reply = node.ok(r#"{"currentOp": true, "$all": true, "$db": "admin"}"#);
            let rows = reply.as_doc().get("inprog").and_then(Value::as_array).unwrap();
            let clients =
                rows.iter().filter_map(Value::as_doc).filter(|row| row.get("client").is_some());
            (clients.count() == 1).then_some(())
        });
        assert_eq!(node.operations(), [id], "{command}");
        node.ok(&format!(r#"{{"killOp": 1, "op": {id}, "$db": "admin"}}"#));
        soon(command, || node.operations().is_empty().then_some(()));
    }
}

/// The id of the reply's cursor.
fn cursor_id(reply: &DocBuf) -> i64 {
    let cursor = reply.as_doc().get("cursor").and_then(Value::as_doc);
    cursor.map_or(0, |cursor: Doc<'_>| int(cursor, "id"))
}

#[test]
fn a_cursor_goes_with_the_client_that_waits_at_it() {
    let node = Node::start();
    node.ok(r#"{"create": "capped", "capped": true, "size": 4096}"#);
    node.ok(r#"{"insert": "capped", "documents": [{"_id": 1}]}"#);
    let openings = [
        ("c", r#"{"aggregate": "c", "pipeline": [{"$changeStream": {}}], "cursor": {}}"#),
        ("capped", r#"{"find": "capped", "tailable": true, "awaitData": true}"#),
    ];
    for (collection, opening) in openings {
        let id = cursor_id(&node.ok(opening));
        let more = format!(
            r#"{{"getMore": {{"$numberLong": "{id}"}}, "collection": "{collection}", "maxTimeMS": 600000}}"#
        );
        let mut raw = Raw::connect(node.address);
        raw.send(&message(&more));
        raw.expect_silence();
        drop(raw);
        soon(opening, || {
            let pipeline =
                r#"[{"$currentOp": {"idleCursors": true}}, {"$match": {"type": "idleCursor"}}]"#;
            let reply = node.ok(&format!(
                r#"{{"aggregate": 1, "pipeline": {pipeline}, "cursor": {{}}, "$db": "admin"}}"#
            ));
            let cursor = reply.as_doc().get("cursor").and_then(Value::as_doc).unwrap();
            let rows = cursor.get("firstBatch").and_then(Value::as_array).unwrap();
            rows.iter().next().is_none().then_some(())
        });
    }
}

#[test]
fn a_client_that_only_rests_keeps_its_cursors() {
    let node = Node::start();
    let id = cursor_id(&node.ok(r#"{"find": "c", "batchSize": 1}"#));
    let more = format!(r#"{{"getMore": {{"$numberLong": "{id}"}}, "collection": "c"}}"#);
    // Both the opening connection and this one are others.
    node.ok(&more);
}
