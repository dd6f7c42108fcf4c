//! What pipelines read: those that look at indexed fields alone fetch a document only where a key cannot tell null from
//! nothing.

use super::{filled, texts};
use crate::commands::{Session, number};
use headwater_engine::bson::{Doc, Raw};

const INDEX: &str = "{\"a\": 1, \"b.c\": -1, \"b\": 1, \"d\": 1}";

fn figures(session: &Session, pipeline: &str) -> (i64, i64) {
    let explain = format!(
        "{{\"explain\": {{\"aggregate\": \"c\", \"pipeline\": {pipeline}, \"cursor\": {{}}}}, \"verbosity\": \"executionStats\"}}"
    );
    let reply = session.ok(&explain);
    let stages = reply.as_doc().get("stages").and_then(Raw::as_array).expect("a pipeline's stages");
    let cursor = stages.get(0).and_then(Raw::as_doc).and_then(|stage| stage.get("$cursor"));
    let stats = cursor.and_then(Raw::as_doc).and_then(|cursor| cursor.get("executionStats"));
    let stats = stats.and_then(Raw::as_doc).unwrap_or(Doc::EMPTY);
    (number(stats.get("totalKeysExamined")), number(stats.get("totalDocsExamined")))
}

#[test]
fn a_pipeline_of_indexed_fields_reads_keys_alone_and_tells_null_from_nothing() {
    let rest = |n: u32| match n % 4 {
        0 => format!("\"b\": {{\"c\": {n}, \"x\": 1}}, \"d\": {n}"),
        1 => format!("\"d\": {{\"$numberLong\": \"{n}\"}}, \"b\": {{\"x\": 2, \"c\": {n}.5}}"),
        2 => "\"d\": null".to_owned(),
        _ => "\"b\": 7".to_owned(),
    };
    let documents =
        (0..400).map(|n| format!("{{\"_id\": {n}, \"a\": {}, {}, \"e\": 1}}", n % 10, rest(n)));
    let session = filled(documents, &[INDEX]);
    let cases = [
        ("[{\"$match\": {\"a\": {\"$lt\": 5}}}, {\"$count\": \"n\"}]", Some(0)),
        (
            "[{\"$match\": {\"a\": {\"$lt\": 5}}}, {\"$group\": {\"_id\": \"$a\", \"n\": {\"$sum\": 1}}}]",
            Some(0),
        ),
        (
            "[{\"$match\": {\"a\": 4, \"d\": {\"$gte\": 0}}}, {\"$group\": {\"_id\": \"$d\", \"x\": {\"$push\": \"$b.c\"}}}]",
            Some(0),
        ),
        (
            "[{\"$match\": {\"a\": 4}}, {\"$group\": {\"_id\": \"$a\", \"x\": {\"$push\": \"$d\"}}}]",
            Some(20),
        ),
        (
            "[{\"$match\": {\"a\": 4}}, {\"$group\": {\"_id\": \"$a\", \"x\": {\"$push\": \"$b\"}}}]",
            None,
        ),
        (
            "[{\"$match\": {\"a\": 4}}, {\"$group\": {\"_id\": \"$e\", \"x\": {\"$push\": \"$b.c\"}}}]",
            Some(40),
        ),
        (
            "[{\"$match\": {\"a\": 4}}, {\"$group\": {\"_id\": null, \"x\": {\"$push\": \"$$ROOT\"}}}]",
            Some(40),
        ),
        (
            "[{\"$match\": {\"a\": 4}}, {\"$sort\": {\"e\": 1}}, {\"$limit\": 3}, {\"$count\": \"n\"}]",
            Some(40),
        ),
        (
            "[{\"$match\": {\"a\": 4}}, {\"$skip\": 3}, {\"$limit\": 50}, {\"$count\": \"n\"}]",
            Some(0),
        ),
    ];
    let run = |pipeline: &str| {
        let found = session.batch(&format!(
            "{{\"aggregate\": \"c\", \"pipeline\": {pipeline}, \"cursor\": {{}}}}"
        ));
        let mut found = texts(&found);
        found.sort();
        found
    };
    let with: Vec<_> = cases.iter().map(|(pipeline, _)| run(pipeline)).collect();
    for (pipeline, expected) in &cases {
        let (_, docs) = figures(&session, pipeline);
        assert!(expected.is_none_or(|expected| docs == expected), "{pipeline}: {docs} documents");
    }
    for ((pipeline, _), with) in cases.iter().zip(with) {
        let fetching = pipeline
            .replace("{\"$group", "{\"$_internalInhibitOptimization\": {}}, {\"$group")
            .replace("{\"$count", "{\"$_internalInhibitOptimization\": {}}, {\"$count");
        assert_ne!(fetching, *pipeline);
        assert_eq!(with, run(&fetching), "{pipeline}");
    }
}
