//! Explanations as MongoDB's own engine gave them, but for what depends on the run and on how plans are chosen.

use std::path::Path;

use headwater_engine::bson::{Array, ArrayWriter, Doc, DocBuf, DocWriter, Raw, extjson};

use crate::commands::{Session, number, text, text_of};

/// What is not compared: it depends on the run, or tells of parts that only MongoDB has.
const APART: &[&str] = &[
    "$clusterTime",
    "$willBeMerged",
    "chunkSkips",
    "collectionScans",
    "command",
    "cursorType",
    "executionTimeMicros",
    "executionTimeMillis",
    "executionTimeMillisEstimate",
    "expressionEvaluationPeakMemoryBytes",
    "indexesUsed",
    "isShardFiltering",
    "maxAccumulatorMemoryUsageBytes",
    "multiKeyPaths",
    "needYield",
    "nss",
    "ok",
    "operationTime",
    "optimizationTimeMicros",
    "optimizationTimeMillis",
    "orphanChunkSkips",
    "peakTrackedMemBytes",
    "planCacheKey",
    "planCacheShapeHash",
    "queryHash",
    "restoreState",
    "saveState",
    "serverInfo",
    "serverParameters",
    "spilledBytes",
    "spilledDataStorageSize",
    "spilledRecords",
    "spills",
    "totalDataSizeSorted",
    "totalDataSizeSortedBytesEstimate",
    "totalOutputDataSizeBytes",
    "usedDisk",
];

/// Counts, of which it is compared that they are there: the planner may read in another way.
const COUNTS: &[&str] = &[
    "advanced",
    "alreadyHasObj",
    "docsExamined",
    "dupsDropped",
    "dupsTested",
    "isEOF",
    "keysExamined",
    "nReturned",
    "needTime",
    "seeks",
    "totalDocsExamined",
    "totalKeysExamined",
    "works",
];

/// Most plans are MongoDB's own.
const SAME_MIN: usize = 30;

enum Verdict {
    Same,
    /// The planner goes another way here.
    OtherPlan(String),
    Differs(String),
}

fn reduced(doc: Doc<'_>) -> DocBuf {
    let mut out = DocWriter::new();
    // How much of a filter the bounds of an index decide is the planner's.
    let decided = matches!(
        doc.get("stage").and_then(Raw::as_str),
        Some("CLUSTERED_IXSCAN" | "FETCH" | "IXSCAN")
    );
    for field in doc.iter().filter(|field| !APART.contains(&field.name_str())) {
        match (field.value.as_doc(), field.value.as_array()) {
            _ if decided && field.name == b"filter" => {}
            _ if COUNTS.contains(&field.name_str()) => out.i32(field.name_str(), 0),
            _ if of_other_plans(field.name) => out.array(field.name_str(), |_| {}),
            (Some(inner), _) => out.doc(field.name_str(), reduced(inner).as_doc()),
            (_, Some(array)) => out.array(field.name_str(), |out| reduced_array(array, out)),
            _ => out.raw_bytes(field.name, field.value),
        }
    }
    out.finish()
}

fn reduced_array(array: Array<'_>, out: &mut ArrayWriter) {
    for value in array.iter() {
        match (value.as_doc(), value.as_array()) {
            (Some(inner), _) => out.doc(reduced(inner).as_doc()),
            (_, Some(array)) => out.array(|out| reduced_array(array, out)),
            _ => out.raw(value),
        }
    }
}

fn of_other_plans(name: &[u8]) -> bool {
    matches!(name, b"allPlansExecution" | b"rejectedPlans")
}

/// The stages of the winning plan with their indexes and directions.
fn skeleton(doc: Doc<'_>) -> Vec<String> {
    let mut names = Vec::new();
    for field in doc.iter().filter(|field| !of_other_plans(field.name)) {
        match (field.name, field.value.as_str()) {
            (b"stage" | b"indexName" | b"direction", Some(name)) => names.push(name.to_owned()),
            (b"$cursor", _) => names.push(field.name_str().to_owned()),
            _ => {}
        }
        let items = field.value.as_array().into_iter().flat_map(Array::iter);
        for item in items.filter_map(Raw::as_doc) {
            if field.name == b"stages" {
                names.extend(item.first().map(|stage| stage.name_str().to_owned()));
            }
            names.extend(skeleton(item));
        }
        names.extend(field.value.as_doc().into_iter().flat_map(skeleton));
    }
    names
}

/// The documents that running gave.
fn returned(reply: &DocBuf) -> Option<i64> {
    let stats = reply.as_doc().get("executionStats").and_then(Raw::as_doc)?;
    Some(number(stats.get("nReturned")))
}

fn lines(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/explain").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Compares a recorded explanation with ours.
fn compared(case: Doc<'_>) -> Verdict {
    let db = Session::new();
    let part = |name| case.get(name).and_then(Raw::as_doc).unwrap_or(Doc::EMPTY).to_buf();
    let setup = case.get("setup").and_then(Raw::as_array);
    for command in setup.into_iter().flat_map(Array::iter).filter_map(Raw::as_doc) {
        db.ok(&text_of(&command.to_buf()));
    }
    let (recorded, ours) = (part("reply"), db.run(&text_of(&part("command"))));
    let code = |reply: &DocBuf| reply.as_doc().get("code").map(|code| number(Some(code)));
    const NOT_SUPPORTED: i64 = 115;
    if code(&ours) == Some(NOT_SUPPORTED) {
        return Verdict::OtherPlan(format!("{ours:?}"));
    }
    if code(&recorded).is_some() || code(&ours).is_some() {
        return match code(&recorded) == code(&ours) {
            true => Verdict::Same,
            false => Verdict::Differs(format!("{recorded:?}\n{ours:?}")),
        };
    }
    let print = |doc: DocBuf| extjson::print(doc.as_doc(), extjson::Style::Relaxed);
    let (theirs, mine) = (print(reduced(recorded.as_doc())), print(reduced(ours.as_doc())));
    let difference = format!("recorded\n  {theirs}\nours\n  {mine}");
    if skeleton(recorded.as_doc()) != skeleton(ours.as_doc()) {
        return Verdict::OtherPlan(difference);
    }
    match returned(&recorded) == returned(&ours) && theirs == mine {
        true => Verdict::Same,
        false => Verdict::Differs(difference),
    }
}

#[test]
fn explanations_are_those_of_mongodb() {
    let known = lines("differs.txt");
    let known: Vec<&str> = known.lines().filter(|line| !line.starts_with('#')).collect();
    let (mut same, mut wrong) = (0, Vec::new());
    for line in lines("recorded.jsonl").lines() {
        let case = extjson::parse_commands(line).unwrap();
        let name = text(&case, "name").to_owned();
        match compared(case.as_doc()) {
            Verdict::Same => same += 1,
            Verdict::OtherPlan(plans) if std::env::var_os("SHOW_PLANS").is_some() => {
                println!("PLAN {name}\n{plans}");
            }
            Verdict::Differs(difference) if !known.contains(&name.as_str()) => {
                wrong.push(format!("{name}\n{difference}"));
            }
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{}, {same} are the same:\n{}", wrong.len(), wrong.join("\n"));
    assert!(same > SAME_MIN, "{same} explanations are the same");
}
