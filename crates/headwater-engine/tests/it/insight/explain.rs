//! Explanations as MongoDB's own engine gave them, but for what depends on the run and on how plans are chosen.

use std::path::Path;

use headwater_engine::bson::{Array, ArrayWriter, Doc, DocBuf, DocWriter, Raw, extjson};

use headwater_engine::{Engine, EngineOptions};

use crate::commands::{Session, number, text, text_of};

/// What is not compared: it depends on the run, or tells of parts that only MongoDB has.
const APART: &[&str] = &[
    "$clusterTime",
    "$willBeMerged",
    "allowMergeOnNullishValues",
    "chunkSkips",
    "command",
    "cursorType",
    "executionTimeMicros",
    "executionTimeMillis",
    "executionTimeMillisEstimate",
    "expressionEvaluationPeakMemoryBytes",
    "isShardFiltering",
    "maxAccumulatorMemoryUsageBytes",
    "maxFunctionMemoryUsageBytes",
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
    "collectionScans",
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
const SAME_MIN: usize = 100;

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

#[test]
fn nothing_that_is_explained_is_written() {
    let db = Session::new();
    db.ok(r#"{"insert": "c", "documents": [{"_id": 1, "a": 1}, {"_id": 2, "a": 2}]}"#);
    let before = db.batch(r#"{"find": "c"}"#);
    for command in [
        r#"{"update": "c", "updates": [{"q": {}, "u": {"$inc": {"a": 1}}, "multi": true}]}"#,
        r#"{"update": "c", "updates": [{"q": {"a": 9}, "u": {"$set": {"b": 1}}, "upsert": true}]}"#,
        r#"{"delete": "c", "deletes": [{"q": {}, "limit": 0}]}"#,
        r#"{"findAndModify": "c", "query": {"a": 1}, "remove": true}"#,
        r#"{"findAndModify": "c", "query": {"_id": 1}, "update": {"$set": {"a": 7}}}"#,
        r#"{"aggregate": "c", "pipeline": [{"$out": "d"}], "cursor": {}}"#,
        r#"{"aggregate": "c", "pipeline": [{"$set": {"a": 9}}, {"$merge": "d"}], "cursor": {}}"#,
    ] {
        db.ok(&format!(r#"{{"explain": {command}, "verbosity": "allPlansExecution"}}"#));
    }
    assert_eq!(db.batch(r#"{"find": "c"}"#), before);
    let names = db.batch(r#"{"listCollections": 1, "nameOnly": true}"#);
    assert_eq!(names.len(), 1, "{names:?}");
}

/// What is at the end of names and places in arrays.
fn at<'a>(doc: Doc<'a>, path: &[&str]) -> Raw<'a> {
    path.iter().fold(doc.as_raw(), |raw, name| {
        let inner = match raw.as_array() {
            Some(array) => array.get(name.parse().unwrap()),
            None => raw.as_doc().and_then(|doc| doc.get(name)),
        };
        inner.unwrap_or_else(|| panic!("{name} of {path:?} in {doc:?}"))
    })
}

#[test]
fn all_plans_are_tried_out_as_far_as_the_winning_one_needs() {
    let db = Session::new();
    let documents: Vec<String> =
        (0..600).map(|n| format!(r#"{{"_id": {n}, "a": {}, "b": {}}}"#, n % 100, n % 3)).collect();
    db.ok(&format!(r#"{{"insert": "c", "documents": [{}]}}"#, documents.join(",")));
    db.ok(r#"{"createIndexes": "c", "indexes": [{"key": {"a": 1}, "name": "a"}, {"key": {"b": 1}, "name": "b"}]}"#);
    let uses = |index: usize| {
        let rows = db.batch(r#"{"aggregate": "c", "pipeline": [{"$indexStats": {}}, {"$sort": {"name": 1}}], "cursor": {}}"#);
        number(Some(at(rows[index].as_doc(), &["accesses", "ops"])))
    };
    for command in [
        r#"{"find": "c", "filter": {"a": 7, "b": 1}}"#,
        r#"{"count": "c", "query": {"a": 7, "b": 1}}"#,
        r#"{"delete": "c", "deletes": [{"q": {"a": 7, "b": 1}, "limit": 0}]}"#,
    ] {
        let reply =
            db.ok(&format!(r#"{{"explain": {command}, "verbosity": "allPlansExecution"}}"#));
        let plans = at(reply.as_doc(), &["executionStats", "allPlansExecution"]);
        let plans: Vec<Doc<'_>> =
            plans.as_array().unwrap().iter().filter_map(Raw::as_doc).collect();
        assert_eq!(plans.len(), 2, "{reply:?}");
        let index = ["executionStages", "inputStage", "indexName"];
        let tried = |plan: Doc<'_>| {
            let count = |name: &str| number(Some(at(plan, &[name])));
            let name = at(plan, &index).as_str().unwrap().to_owned();
            (name, count("nReturned"), count("totalKeysExamined"), count("totalDocsExamined"))
        };
        // Of the documents with a 7 two have b 1; the other index goes as far and meets one at most.
        assert_eq!(tried(plans[0]), ("a".to_owned(), 2, 6, 6));
        let (name, returned, keys, _) = tried(plans[1]);
        assert_eq!((name.as_str(), keys), ("b", 6));
        assert!(returned <= 1, "{reply:?}");
    }
    // Trying out is no use.
    assert_eq!(uses(2), 0);
    let reply = db
        .ok(r#"{"explain": {"find": "c", "filter": {"a": 7}}, "verbosity": "allPlansExecution"}"#);
    let alone = at(reply.as_doc(), &["executionStats", "allPlansExecution"]);
    assert_eq!(alone.as_array().map(|plans| plans.iter().count()), Some(0), "nothing to compare");
}

#[test]
fn what_went_to_the_disk_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let options = EngineOptions { stage_bytes_max: 20_000, ..EngineOptions::default() };
    let engine = Engine::open(folder.path(), options).unwrap();
    let db = Session::on(engine);
    let run = |command: &str| db.ok(command);
    let documents: Vec<String> =
        (0..1000).map(|n| format!(r#"{{"_id": {n}, "n": {}}}"#, n * 7 % 1000)).collect();
    run(&format!(r#"{{"insert": "c", "documents": [{}]}}"#, documents.join(",")));
    let figures = |stage: Doc<'_>| {
        let count = |name: &str| number(stage.get(name));
        assert_eq!(stage.get("usedDisk").and_then(Raw::as_bool), Some(count("spills") > 0));
        (count("spills"), count("spilledRecords"), count("spilledBytes"))
    };
    let find =
        run(r#"{"explain": {"find": "c", "sort": {"n": 1}}, "verbosity": "executionStats"}"#);
    let sort = at(find.as_doc(), &["executionStats", "executionStages"]).as_doc().unwrap();
    let (spills, records, bytes) = figures(sort);
    assert!(spills > 1 && bytes > 20_000, "{sort:?}");
    assert_eq!(records, 1000);
    assert_eq!(number(sort.get("memLimit")), 20_000);
    assert_eq!(number(sort.get("totalDataSizeSorted")), 1000 * 21);
    let pipeline = run(
        r#"{"explain": {"aggregate": "c", "pipeline": [{"$match": {"n": {"$lt": 5}}}, {"$set": {"m": 1}}, {"$sort": {"n": 1}}, {"$group": {"_id": "$n"}}, {"$sort": {"_id": 1}}], "cursor": {}}, "verbosity": "executionStats"}"#,
    );
    for stage in ["2", "3", "4"] {
        let stage = at(pipeline.as_doc(), &["stages", stage]).as_doc().unwrap();
        assert_eq!(figures(stage), (0, 0, 0), "five documents fit");
    }
    let grouped = run(
        r#"{"explain": {"aggregate": "c", "pipeline": [{"$group": {"_id": "$n"}}, {"$sort": {"_id": 1}}], "cursor": {}}, "verbosity": "executionStats"}"#,
    );
    for stage in ["1", "2"] {
        let stage = at(grouped.as_doc(), &["stages", stage]).as_doc().unwrap();
        assert!(figures(stage).0 > 0, "{grouped:?}");
    }
}

/// The counts of every stage of an explanation that ran, outermost first.
fn counts(db: &Session, command: &str, names: &[&str]) -> Vec<(String, Vec<i64>)> {
    let reply = db.ok(&format!(r#"{{"explain": {command}, "verbosity": "executionStats"}}"#));
    let stats = reply.as_doc().get("executionStats").and_then(Raw::as_doc).unwrap();
    let mut stage = stats.get("executionStages").and_then(Raw::as_doc);
    let mut found = Vec::new();
    while let Some(doc) = stage {
        let name = doc.get("stage").and_then(Raw::as_str).unwrap_or_default().to_owned();
        let count = |name: &&str| doc.get(name).map(|count| number(Some(count)));
        found.push((name, names.iter().filter_map(count).collect()));
        stage = doc.get("inputStage").and_then(Raw::as_doc);
    }
    found
}

#[test]
fn counts_are_what_was_done() {
    let db = Session::new();
    let documents: Vec<String> =
        (0..100).map(|n| format!(r#"{{"_id": {n}, "a": {}, "b": [{n}, {n}]}}"#, n % 10)).collect();
    db.ok(&format!(r#"{{"insert": "c", "documents": [{}]}}"#, documents.join(",")));
    db.ok(r#"{"createIndexes": "c", "indexes": [{"key": {"a": 1}, "name": "a"}, {"key": {"b": 1}, "name": "b"}]}"#);
    let seen = |command: &str, names: &[&str]| counts(&db, command, names);
    let stage = |name: &str, counts: &[i64]| (name.to_owned(), counts.to_vec());
    // Ten of a hundred have the key; one of them is left.
    assert_eq!(
        seen(
            r#"{"find": "c", "filter": {"a": 3, "_id": {"$mod": [50, 13]}}, "hint": "a"}"#,
            &["nReturned", "keysExamined", "docsExamined", "works"]
        ),
        [stage("FETCH", &[2, 10, 11]), stage("IXSCAN", &[10, 10, 11])]
    );
    // A limit ends the scan behind the documents that it lets through.
    assert_eq!(
        seen(
            r#"{"find": "c", "filter": {"_id": {"$gte": 0}}, "hint": {"$natural": 1}, "skip": 2, "limit": 3}"#,
            &["nReturned", "docsExamined", "isEOF"]
        ),
        [stage("LIMIT", &[3, 1]), stage("SKIP", &[3, 0]), stage("COLLSCAN", &[5, 5, 0])]
    );
    // All are sorted, three are given.
    assert_eq!(
        seen(
            r#"{"find": "c", "sort": {"_id": -1, "a": 1}, "limit": 3, "hint": {"$natural": 1}}"#,
            &["nReturned", "docsExamined", "works", "needTime"]
        ),
        [stage("SORT", &[3, 105, 101]), stage("COLLSCAN", &[100, 100, 101, 0])]
    );
    // Nothing new is written, and only what changes counts.
    assert_eq!(
        seen(
            r#"{"update": "c", "updates": [{"q": {"_id": {"$lt": 20}}, "u": {"$set": {"a": 3}}, "multi": true, "hint": {"$natural": 1}}]}"#,
            &["nMatched", "nWouldModify", "nWouldUpsert"]
        ),
        [stage("UPDATE", &[20, 18, 0]), stage("COLLSCAN", &[])]
    );
}

#[test]
fn groups_and_windows_tell_their_memory_and_lookups_their_ways() {
    let db = Session::new();
    let documents: Vec<String> =
        (0..50).map(|n| format!(r#"{{"_id": {n}, "a": {}, "s": "text"}}"#, n % 5)).collect();
    for collection in ["c", "d"] {
        db.ok(&format!(r#"{{"insert": "{collection}", "documents": [{}]}}"#, documents.join(",")));
    }
    db.ok(r#"{"createIndexes": "d", "indexes": [{"key": {"a": 1}, "name": "by a"}]}"#);
    let last = |stage: &str| {
        let pipeline = format!(r#"[{{"$set": {{"n": 1}}}}, {stage}]"#);
        let reply = db.ok(&format!(
            r#"{{"explain": {{"aggregate": "c", "pipeline": {pipeline}, "cursor": {{}}}}, "verbosity": "executionStats"}}"#
        ));
        let stages = at(reply.as_doc(), &["stages"]).as_array().unwrap();
        stages.iter().filter_map(Raw::as_doc).last().unwrap().to_buf()
    };
    let grouped = last(r#"{"$group": {"_id": "$a", "all": {"$push": "$s"}, "n": {"$sum": 1}}}"#);
    let held =
        |name: &str| number(Some(at(grouped.as_doc(), &["maxAccumulatorMemoryUsageBytes", name])));
    assert!(held("all") > 50 * 9 && held("n") > 0, "{grouped:?}");
    let given = number(grouped.as_doc().get("totalOutputDataSizeBytes"));
    assert!(given > 50 * 12, "{grouped:?}");
    let windows =
        last(r#"{"$setWindowFields": {"partitionBy": "$a", "output": {"w": {"$push": "$_id"}}}}"#);
    let held = at(windows.as_doc(), &["maxFunctionMemoryUsageBytes", "w"]);
    assert!(number(Some(held)) > 0, "{windows:?}");
    let ways = |field: &str| {
        let stage = format!(
            r#"{{"$lookup": {{"from": "d", "localField": "a", "foreignField": "{field}", "as": "j"}}}}"#
        );
        let lookup = last(&stage);
        let indexes = at(lookup.as_doc(), &["indexesUsed"]).as_array().unwrap();
        let indexes: Vec<String> =
            indexes.iter().filter_map(Raw::as_str).map(str::to_owned).collect();
        (number(lookup.as_doc().get("collectionScans")) > 0, indexes)
    };
    assert_eq!(ways("s"), (true, Vec::new()));
    assert_eq!(ways("a").1, ["by a"]);
}
