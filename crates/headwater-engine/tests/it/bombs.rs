//! Commands that ask for more than anybody has: each ends in time with `maxTimeMS` or with MongoDB's own error, and takes
//! no more memory than the limits say. They run in a process of their own, so that its memory can be told.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Instant;

use headwater_engine::{Aggregation, EngineOptions};

use crate::commands::{Session, number};

const CHILD: &str = "HEADWATER_BOMBS";
/// What a command may take: limits of a stage and of a value, what is made beside them, and the allocator's share.
const MEMORY_KIB_MAX: u64 = 1_200 * 1024;
/// Far beyond the limit that the commands have: a machine may be busy, and this is a build without optimisation.
const SECONDS_MAX: u64 = 30;

const TIME_IS_UP: i64 = 50;
const TOO_LARGE: i64 = 10_334;
const MEMORY: i64 = 146;
const SPILLS: i64 = 292;

/// An expression for one document: `{_id, s: 1,000 letters, list: 1,000 numbers}`.
fn computed(expression: &str) -> String {
    staged(&format!(r#"{{"$match": {{"_id": 0}}}}, {{"$project": {{"x": {expression}}}}}"#))
}

/// Stages over 1,000 documents `{_id, k, s, list}`.
fn staged(stages: &str) -> String {
    format!(r#"{{"aggregate": "c", "pipeline": [{stages}], "cursor": {{}}, "maxTimeMS": 300}}"#)
}

/// So many numbers.
fn range(count: u64) -> String {
    format!(r#"{{"$range": [0, {count}]}}"#)
}

/// Stages, one into the next.
fn nested(depth: usize, inner: &str, wrap: impl Fn(&str) -> String) -> String {
    (0..depth).fold(inner.to_owned(), |stages, _| wrap(&stages))
}

/// What is asked for, by what it is: the command, and with which errors it may end beside that its time is up.
fn bombs() -> Vec<(&'static str, String, &'static [i64])> {
    let million = range(1_000_000);
    let reduce = |input: &str, first: &str, body: &str| {
        format!(r#"{{"$reduce": {{"input": {input}, "initialValue": {first}, "in": {body}}}}}"#)
    };
    let map =
        |input: &str, body: &str| format!(r#"{{"$map": {{"input": {input}, "in": {body}}}}}"#);
    let many = |count: usize, one: &str| vec![one; count].join(", ");
    let unwound = format!(
        r#"{{"$match": {{"_id": 0}}}}, {{"$project": {{"n": {million}}}}}, {{"$unwind": "$n"}}"#
    );
    let times: &[i64] = &[];
    vec![
        ("range", computed(&range(2_147_483_647)), &[MEMORY]),
        ("nested map", computed(&map(&million, &map(&million, "\"$$this\""))), &[MEMORY]),
        ("map of ranges", computed(&map(&million, &range(1_000_000))), &[MEMORY]),
        ("sum of sums", computed(&reduce(&million, "0", &reduce(&million, "0", r#"{"$add": ["$_id", "$$this"]}"#))), times),
        ("texts double", computed(&reduce(&range(100), "\"$s\"", r#"{"$concat": ["$$value", "$$value"]}"#)), &[TOO_LARGE]),
        ("arrays double", computed(&reduce(&range(100), "\"$list\"", r#"{"$concatArrays": ["$$value", "$$value"]}"#)), &[MEMORY]),
        ("arrays grow", computed(&reduce(&million, "\"$list\"", r#"{"$concatArrays": ["$$value", ["$$this"]]}"#)), times),
        ("objects grow", computed(&reduce(&million, "{}", r#"{"$setField": {"field": {"$literal": "f"}, "input": {"$mergeObjects": ["$$value", {"$arrayToObject": [[{"k": {"$toString": "$$this"}, "v": 1}]]}]}, "value": 1}}"#)), times),
        ("objects merge", computed(&format!(r#"{{"$mergeObjects": {}}}"#, map(&million, r#"{"$arrayToObject": [[{"k": {"$toString": "$$this"}, "v": 1}]]}"#))), &[MEMORY, 40400]),
        ("names collide", computed(&format!(r#"{{"$arrayToObject": {}}}"#, map(&million, r#"{"k": {"$concat": ["f", {"$toString": "$$this"}]}, "v": 1}"#))), &[MEMORY]),
        ("zip", computed(&format!(r#"{{"$zip": {{"inputs": [{}]}}}}"#, many(20, &million))), &[MEMORY]),
        ("sets", computed(&reduce(&million, "0", &format!(r#"{{"$size": {{"$setIntersection": [{million}, {}, ["$$this"]]}}}}"#, range(1_000_001)))), times),
        ("search in search", computed(&format!(r#"{{"$size": {{"$filter": {{"input": {million}, "cond": {{"$in": [{{"$subtract": [-1, "$$this"]}}, {million}]}}}}}}}}"#)), times),
        ("positions", computed(&map(&million, &format!(r#"{{"$indexOfArray": [{million}, {{"$subtract": [-1, "$$this"]}}]}}"#))), times),
        ("sorts in a loop", computed(&reduce(&million, "0", &format!(r#"{{"$size": {{"$sortArray": {{"input": {million}, "sortBy": -1}}}}}}"#))), times),
        ("reversed in a loop", computed(&reduce(&million, "0", &format!(r#"{{"$size": {{"$reverseArray": {{"$concatArrays": [{million}, ["$_id"]]}}}}}}"#))), times),
        ("words", computed(&reduce(&million, "0", r#"{"$size": {"$split": ["$s", "a"]}}"#)), times),
        ("replaced", computed(&reduce(&range(100), "\"$s\"", r#"{"$replaceAll": {"input": "$$value", "find": "a", "replacement": "aaaaaaaaaa"}}"#)), &[TOO_LARGE]),
        ("pattern", computed(r#"{"$regexFindAll": {"input": {"$concat": ["$s", "b"]}, "regex": "(a+)+(a+)+(a+)+$"}}"#), &[51156]),
        ("pattern in a loop", computed(&reduce(&million, "0", r#"{"$size": {"$regexFindAll": {"input": "$s", "regex": "(a|aa)+$"}}}"#)), &[51156]),
        ("pattern of a filter", staged(r#"{"$match": {"s": {"$regex": "(a|aa)+(a|aa)+[bc]"}}}"#), &[2, 51091, 51156]),
        ("dates", computed(&reduce(&million, "0", r#"{"$toInt": {"$dateToString": {"date": {"$dateAdd": {"startDate": {"$date": "2020-01-01T00:00:00Z"}, "unit": "day", "amount": "$$this"}}, "format": "%j", "timezone": "Europe/Berlin"}}}"#)), times),
        ("unwound products", staged(&format!(r#"{}, {{"$count": "n"}}"#, many(5, r#"{"$unwind": "$list"}, {"$set": {"list": {"$range": [0, 1000]}}}"#))), times),
        ("unwound and thrown away", staged(&format!(r#"{}, {{"$match": {{"list": -1}}}}"#, many(5, r#"{"$unwind": "$list"}, {"$set": {"list": {"$range": [0, 1000]}}}"#))), times),
        ("joined products", staged(&format!(r#"{}, {{"$count": "n"}}"#, many(4, r#"{"$lookup": {"from": "c", "pipeline": [{"$project": {"k": 1}}], "as": "x"}}, {"$unwind": "$x"}"#))), times),
        ("joins in joins", staged(&nested(4, r#"{"$match": {"k": -1}}"#, |inner| format!(r#"{{"$lookup": {{"from": "c", "pipeline": [{inner}], "as": "x"}}}}"#))), &[4568]),
        ("joins by value", staged(&format!(r#"{}, {{"$count": "n"}}"#, many(4, r#"{"$lookup": {"from": "c", "localField": "k", "foreignField": "k", "as": "x"}}, {"$unwind": "$x"}"#))), times),
        ("a graph with cycles", staged(r#"{"$graphLookup": {"from": "c", "startWith": "$k", "connectFromField": "list", "connectToField": "_id", "as": "x"}}"#), &[TOO_LARGE, 40099]),
        ("facets", staged(&format!(r#"{{"$facet": {{{}}}}}"#, (0..50).map(|at| format!(r#""f{at}": [{{"$unwind": "$list"}}, {{"$sort": {{"list": -1}}}}, {{"$group": {{"_id": "$list", "n": {{"$push": "$$ROOT"}}}}}}]"#)).collect::<Vec<_>>().join(", "))), &[TOO_LARGE, SPILLS]),
        ("unions of unions", staged(&format!(r#"{}, {{"$count": "n"}}"#, nested(12, r#"{"$match": {"k": -1}}"#, |inner| format!(r#"{{"$unionWith": {{"coll": "c", "pipeline": [{inner}]}}}}, {{"$unionWith": {{"coll": "c"}}}}, {{"$unwind": "$list"}}"#)))), times),
        ("small steps", staged(r#"{"$densify": {"field": "k", "range": {"step": 0.000000001, "bounds": [0.5, 1000000.5]}}}, {"$count": "n"}"#), &[5_897_900]),
        ("small steps by partition", staged(r#"{"$densify": {"field": "k", "partitionByFields": ["_id"], "range": {"step": 1, "bounds": [0, 1000000]}}}, {"$count": "n"}"#), &[5_897_900]),
        ("buckets", staged(&format!(r#"{unwound}, {{"$bucketAuto": {{"groupBy": "$n", "buckets": 2147483647}}}}, {{"$count": "n"}}"#)), times),
        ("fine buckets", staged(&format!(r#"{unwound}, {{"$bucketAuto": {{"groupBy": "$n", "buckets": 1000000, "granularity": "1-2-5"}}}}, {{"$count": "n"}}"#)), times),
        ("windows of everything", staged(&format!(r#"{unwound}, {{"$setWindowFields": {{"sortBy": {{"n": 1}}, "output": {{"x": {{"$push": "$n", "window": {{"documents": ["unbounded", "current"]}}}}}}}}}}, {{"$count": "n"}}"#)), &[SPILLS, MEMORY]),
        ("windows of ranges", staged(&format!(r#"{unwound}, {{"$setWindowFields": {{"sortBy": {{"n": 1}}, "output": {{"x": {{"$median": {{"input": "$n", "method": "approximate"}}, "window": {{"range": [-100000, 100000]}}}}}}}}}}, {{"$count": "n"}}"#)), times),
        ("pushed", staged(&format!(r#"{unwound}, {{"$group": {{"_id": null, "x": {{"$push": {{"a": "$n", "b": {}}}}}}}}}"#, map(&range(100), "\"$$this\""))), &[MEMORY, SPILLS]),
        ("groups", staged(&format!(r#"{unwound}, {{"$group": {{"_id": "$n", "x": {{"$addToSet": "$n"}}}}}}, {{"$count": "n"}}"#)), times),
        ("sorted", staged(&format!(r#"{unwound}, {{"$set": {{"m": {{"$multiply": ["$n", -1]}}}}}}, {{"$sort": {{"m": 1}}}}, {{"$count": "n"}}"#)), times),
        ("filled", staged(&format!(r#"{unwound}, {{"$fill": {{"sortBy": {{"n": 1}}, "output": {{"x": {{"method": "linear"}}}}}}}}, {{"$count": "n"}}"#)), times),
        ("grouped by computing", staged(&format!(r#"{{"$group": {{"_id": {}}}}}"#, reduce(&million, "\"$k\"", r#"{"$add": ["$$this", "$k"]}"#))), times),
        ("counted behind computing", staged(&format!(r#"{{"$match": {{"$expr": {{"$gt": [0, {}]}}}}}}, {{"$count": "n"}}"#, reduce(&million, "\"$k\"", r#"{"$add": ["$$this", "$k"]}"#))), times),
        ("redacted", staged(&format!(r#"{unwound}, {{"$redact": {{"$cond": [{{"$gt": [{}, 0]}}, "$$DESCEND", "$$PRUNE"]}}}}, {{"$count": "n"}}"#, reduce(&range(1000), "0", r#"{"$add": ["$$value", "$$this"]}"#))), times),
        ("found by computing", r#"{"find": "c", "filter": {"$expr": {"$gt": [0, {"$reduce": {"input": {"$range": [0, 1000000]}, "initialValue": "$k", "in": {"$add": ["$$this", "$k"]}}}]}}, "maxTimeMS": 300}"#.to_owned(), times),
        ("counted by computing", r#"{"count": "c", "query": {"$expr": {"$gt": [0, {"$reduce": {"input": {"$range": [0, 1000000]}, "initialValue": "$k", "in": {"$add": ["$$this", "$k"]}}}]}}, "maxTimeMS": 300}"#.to_owned(), times),
        ("shown by computing", r#"{"find": "c", "projection": {"x": {"$reduce": {"input": {"$range": [0, 1000000]}, "initialValue": "$k", "in": {"$add": ["$$this", "$k"]}}}}, "maxTimeMS": 300}"#.to_owned(), times),
        ("changed by computing", r#"{"update": "c", "updates": [{"q": {}, "u": [{"$set": {"x": {"$reduce": {"input": {"$range": [0, 1000000]}, "initialValue": "$k", "in": {"$add": ["$$this", "$k"]}}}}}], "multi": true}], "maxTimeMS": 300}"#.to_owned(), times),
        ("distinct by computing", r#"{"distinct": "c", "key": "k", "query": {"$expr": {"$gt": [0, {"$reduce": {"input": {"$range": [0, 1000000]}, "initialValue": "$k", "in": {"$add": ["$$this", "$k"]}}}]}}, "maxTimeMS": 300}"#.to_owned(), times),
        ("written", staged(&format!(r#"{unwound}, {{"$project": {{"_id": "$n"}}}}, {{"$merge": {{"into": "d"}}}}"#)), times),
        ("written out", staged(&format!(r#"{unwound}, {{"$project": {{"_id": "$n"}}}}, {{"$out": "d"}}"#)), times),
    ]
}

fn prepared() -> Session {
    // A few documents are enough for several threads.
    let aggregation =
        Aggregation { threads: 2, parallel_documents_min: 1, ..Aggregation::default() };
    let db = Session::with(EngineOptions { aggregation, ..EngineOptions::default() });
    let (text, list) = ("a".repeat(1000), (0..1000).map(|n| n.to_string()).collect::<Vec<_>>());
    let list = list.join(", ");
    for first in (0..1000).step_by(100) {
        let rows: Vec<String> = (first..first + 100)
            .map(|id| {
                format!(r#"{{"_id": {id}, "k": {}, "s": "{text}", "list": [{list}]}}"#, id % 10)
            })
            .collect();
        db.ok(&format!(r#"{{"insert": "c", "documents": [{}]}}"#, rows.join(", ")));
    }
    db
}

/// The most memory that the process had at a time since it was last asked, in KiB.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Not a test by itself: the process that runs them.
#[test]
fn child() {
    let Some(wanted) = std::env::var_os(CHILD) else { return };
    let db = prepared();
    for (name, command, _) in bombs() {
        if wanted != "all" && wanted != name {
            continue;
        }
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        let begun = Instant::now();
        let reply = db.run(&command);
        let code = reply.as_doc().get("code").map_or(0, |code| number(Some(code)));
        let (ms, peak) = (begun.elapsed().as_millis(), peak_kib());
        let message = crate::commands::text(&reply, "errmsg").chars().take(150).collect::<String>();
        writeln!(std::io::stderr(), "bomb|{name}|{code}|{ms}|{peak}|{message}").unwrap();
    }
}

#[test]
fn whatever_is_asked_for_ends_in_time_and_in_memory() {
    let wanted = std::env::var("HEADWATER_BOMB").unwrap_or_else(|_| "all".to_owned());
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "bombs::child", "--nocapture", "--test-threads=1"])
        .env(CHILD, &wanted)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let bombs = bombs();
    let (mut wrong, mut told) = (Vec::new(), Vec::new());
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        let Some((_, line)) = line.split_once("bomb|") else { continue };
        let mut parts = line.split('|');
        let name = parts.next().unwrap();
        let [code, ms, peak] = [(); 3].map(|()| parts.next().unwrap().parse::<u64>().unwrap());
        println!("{line}");
        let (_, _, codes) = bombs.iter().find(|(known, ..)| *known == name).unwrap();
        let in_bounds = ms / 1000 < SECONDS_MAX && peak < MEMORY_KIB_MAX;
        let code = i64::try_from(code).unwrap();
        if !in_bounds || (code != TIME_IS_UP && !codes.contains(&code)) {
            wrong.push(line.to_owned());
        }
        told.push(name.to_owned());
    }
    assert!(child.wait().unwrap().success(), "it died behind {:?}", told.last());
    assert!(told.len() == bombs.len() || wanted != "all", "only {} ran", told.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
}
