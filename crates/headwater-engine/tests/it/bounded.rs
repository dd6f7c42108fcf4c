//! Pipelines that would take all time or memory if nobody stopped them.

use headwater_engine::bson::{DocBuf, View, extjson};
use headwater_engine::{Engine, EngineOptions, Request};

fn run(engine: &Engine, command: &str) -> DocBuf {
    let client = engine.client("test", "test");
    let command = extjson::parse_commands(command).unwrap();
    engine.run_command(&client, &Request { body: command.as_doc(), sequences: &[] })
}

fn code(reply: &DocBuf) -> Option<i32> {
    match reply.as_doc().get("code")?.view() {
        View::Int32(code) => Some(code),
        _ => None,
    }
}

fn engine(folder: &tempfile::TempDir) -> Engine {
    let engine = Engine::open(folder.path(), EngineOptions::default()).unwrap();
    let text = "x".repeat(1 << 20);
    let document = format!(r#"{{"_id": 1, "s": "a{text}"}}"#);
    let insert = format!(r#"{{"insert": "c", "documents": [{document}], "$db": "test"}}"#);
    assert_eq!(code(&run(&engine, &insert)), None);
    engine
}

#[test]
fn loops_inside_one_document_end_when_the_time_is_up() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&folder);
    let long = r#"{"$range": [0, 5000000]}"#;
    let sum = |inner: &str| {
        format!(
            r#"{{"$reduce": {{"input": {long}, "initialValue": "$_id", "in": {{"$add": ["$$value", {inner}]}}}}}}"#
        )
    };
    let map =
        |inner: &str| format!(r#"{{"$size": {{"$map": {{"input": {long}, "in": {inner}}}}}}}"#);
    let filter = |inner: &str| {
        format!(
            r#"{{"$size": {{"$filter": {{"input": {long}, "cond": {{"$gt": [{inner}, 0]}}}}}}}}"#
        )
    };
    for loops in [sum(&sum("1")), map(&map("\"$$this\"")), filter(&filter("\"$_id\""))] {
        let command = format!(
            r#"{{"aggregate": "c", "pipeline": [{{"$project": {{"x": {loops}}}}}], "cursor": {{}}, "maxTimeMS": 50, "$db": "test"}}"#
        );
        let reply = run(&engine, &command);
        assert_eq!(code(&reply), Some(50), "{reply:?}");
    }
}

#[test]
fn what_doubles_ends_before_memory_does() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&folder);
    let steps = r#"{"$range": [0, 100]}"#;
    let doubling = |twice: &str| {
        format!(r#"{{"$reduce": {{"input": {steps}, "initialValue": "$s", "in": {twice}}}}}"#)
    };
    for (twice, expected) in [
        (r#"{"$concat": ["$$value", "$$value"]}"#, 10334),
        (r#"{"$replaceAll": {"input": "$$value", "find": "a", "replacement": "$$value"}}"#, 10334),
        (r#"["$$value", "$$value"]"#, 146),
        (r#"{"a": "$$value", "b": "$$value"}"#, 146),
        (r#"{"$concatArrays": [["$$value"], ["$$value"]]}"#, 146),
    ] {
        let command = format!(
            r#"{{"aggregate": "c", "pipeline": [{{"$project": {{"x": {}}}}}], "cursor": {{}}, "$db": "test"}}"#,
            doubling(twice)
        );
        assert_eq!(code(&run(&engine, &command)), Some(expected), "{twice}");
    }
}
