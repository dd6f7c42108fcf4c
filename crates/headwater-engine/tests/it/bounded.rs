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
    let long = r#"{"$range": [0, 1000000]}"#;
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

/// Pipelines whose stages keep documents, by what they are.
const BLOCKING: [(&str, &str); 9] = [
    (
        "sliding windows",
        r#"{"$setWindowFields": {"partitionBy": "$k", "sortBy": {"n": 1}, "output": {
            "sum": {"$sum": "$n", "window": {"documents": [-2, 2]}},
            "list": {"$push": "$n", "window": {"documents": [-2, 2]}},
            "range": {"$sum": "$n", "window": {"range": [-9, 9]}},
            "largest": {"$maxN": {"input": "$n", "n": 3}, "window": {"documents": ["current", 5]}}}}}"#,
    ),
    (
        "windows that grow",
        r#"{"$setWindowFields": {"sortBy": {"n": 1}, "output": {
            "sum": {"$sum": "$n", "window": {"documents": ["unbounded", "current"]}},
            "first": {"$first": "$text"}, "all": {"$avg": "$n"}}}}"#,
    ),
    (
        "series",
        r#"{"$setWindowFields": {"partitionBy": "$k", "sortBy": {"n": 1}, "output": {
            "rank": {"$rank": {}}, "dense": {"$denseRank": {}}, "number": {"$documentNumber": {}},
            "before": {"$shift": {"output": "$text", "by": -1, "default": "none"}},
            "smooth": {"$expMovingAvg": {"input": "$n", "N": 3}},
            "rate": {"$derivative": {"input": "$n"}, "window": {"documents": [-1, 0]}},
            "area": {"$integral": {"input": "$n"}, "window": {"documents": ["unbounded", "current"]}},
            "both": {"$covariancePop": ["$n", "$v"], "window": {"documents": [-3, 0]}},
            "line": {"$linearFill": "$v"}, "last": {"$locf": "$v"}}}}"#,
    ),
    (
        "facets",
        r#"{"$facet": {"count": [{"$count": "n"}], "some": [{"$match": {"n": {"$lt": 20}}}, {"$project": {"n": 1}}],
            "groups": [{"$group": {"_id": "$k", "n": {"$sum": "$n"}}}, {"$sort": {"_id": 1}}], "first": [{"$limit": 3}]}}"#,
    ),
    ("densify full", r#"{"$densify": {"field": "n", "range": {"step": 1, "bounds": "full"}}}"#),
    (
        "densify by partition",
        r#"{"$densify": {"field": "n", "partitionByFields": ["k"], "range": {"step": 5, "bounds": "partition"}}}"#,
    ),
    (
        "fill",
        r#"{"$fill": {"sortBy": {"n": 1}, "partitionBy": "$k", "output": {"v": {"method": "linear"}}}}"#,
    ),
    ("sort", r#"{"$sort": {"text": -1, "n": 1}}"#),
    (
        "bucketAuto",
        r#"{"$bucketAuto": {"groupBy": "$n", "buckets": 7, "output": {"n": {"$sum": "$n"}}}}"#,
    ),
];

fn filled(stage_bytes_max: usize) -> (tempfile::TempDir, Engine) {
    let folder = tempfile::tempdir().unwrap();
    let options = EngineOptions { stage_bytes_max, ..EngineOptions::default() };
    let engine = Engine::open(folder.path(), options).unwrap();
    let document = |n: i32| {
        let value = if n % 3 == 0 { format!(r#", "v": {n}"#) } else { String::new() };
        let text = "x".repeat(n as usize * 37 % 200);
        format!(
            r#"{{"_id": {n}, "n": {}, "k": {}, "text": "{text}"{value}}}"#,
            n * 7919 % 1200,
            n % 3
        )
    };
    let documents: Vec<String> = (0..400).map(document).collect();
    let insert =
        format!(r#"{{"insert": "c", "documents": [{}], "$db": "test"}}"#, documents.join(", "));
    assert_eq!(code(&run(&engine, &insert)), None);
    (folder, engine)
}

#[test]
fn what_goes_to_the_disk_comes_back_the_same() {
    let (_folder, roomy) = filled(EngineOptions::default().stage_bytes_max);
    let (folder, tight) = filled(2_000);
    for (what, stage) in BLOCKING {
        let command = |disk: bool| {
            format!(
                r#"{{"aggregate": "c", "pipeline": [{stage}], "cursor": {{"batchSize": 100000}}, "allowDiskUse": {disk}, "$db": "test"}}"#
            )
        };
        let (in_memory, spilled) = (run(&roomy, &command(true)), run(&tight, &command(true)));
        assert_eq!(code(&in_memory), None, "{what}: {in_memory:?}");
        let batch = |reply: &DocBuf| {
            let cursor = reply.as_doc().get("cursor").and_then(|cursor| cursor.as_doc());
            format!("{:?}", cursor.and_then(|cursor| cursor.get("firstBatch")).unwrap().view())
        };
        assert_eq!(code(&spilled), None, "{what}: {spilled:?}");
        assert_eq!(batch(&spilled), batch(&in_memory), "{what}");
        assert_eq!(code(&run(&tight, &command(false))), Some(292), "{what}");
    }
    let left = std::fs::read_dir(folder.path().join("spill")).map_or(0, Iterator::count);
    assert_eq!(left, 0, "files are left");
}
