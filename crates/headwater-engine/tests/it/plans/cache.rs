//! Choices that are remembered: what is kept, what makes it forgotten, and that a plan taken from memory examines little
//! more than the one that would be chosen anew.

use headwater_engine::bson::{Doc, DocBuf, Raw};

use super::choice::{DOCUMENTS, FIELDS, condition, documents, index, rows, spreads};
use super::{examined, filled};
use crate::commands::{Session, number, text_of};
use crate::indexed::Random;

const FIND: &str = r#"{"find": "c", "filter": {"a": 7, "b": 7}}"#;

/// A collection with three indexes that a filter of `a` and `b` can use.
fn small() -> Session {
    let documents =
        (0..200).map(|n| format!("{{\"_id\": {n}, \"a\": {n}, \"b\": {}, \"c\": {n}}}", n % 50));
    filled(documents, &["{\"a\": 1}", "{\"b\": 1}", "{\"c\": 1}"])
}

fn entries(session: &Session) -> Vec<DocBuf> {
    session.batch(r#"{"aggregate": "c", "pipeline": [{"$planCacheStats": {}}], "cursor": {}}"#)
}

fn flag(doc: Doc<'_>, name: &str) -> bool {
    doc.get(name).and_then(Raw::as_bool) == Some(true)
}

fn is_cached(session: &Session, command: &str) -> bool {
    let explain = format!("{{\"explain\": {command}, \"verbosity\": \"queryPlanner\"}}");
    let reply = session.ok(&explain);
    let planner = reply.as_doc().get("queryPlanner").and_then(Raw::as_doc).unwrap();
    flag(planner.get("winningPlan").and_then(Raw::as_doc).unwrap(), "isCached")
}

#[test]
fn the_second_query_of_a_shape_makes_the_choice_stand() {
    let session = small();
    assert!(entries(&session).is_empty());
    session.ok(FIND);
    let once = entries(&session);
    assert_eq!(once.len(), 1);
    assert!(!flag(once[0].as_doc(), "isActive") && !is_cached(&session, FIND));
    session.ok(&FIND.replace('7', "9"));
    let twice = entries(&session);
    assert_eq!(twice.len(), 1);
    assert!(flag(twice[0].as_doc(), "isActive"), "{}", text_of(&twice[0]));
    // Of any values, but of this shape alone.
    assert!(is_cached(&session, FIND) && is_cached(&session, &FIND.replace('7', "3")));
    assert!(!is_cached(&session, &FIND.replace("\"b\": 7", "\"b\": \"7\"")));
    assert!(!is_cached(&session, &FIND.replace("\"b\"", "\"c\": 7, \"b\"")));
    let shown = text_of(&twice[0]);
    assert!(shown.contains("\"indexName\":\"i0\""), "{shown}");
    // An explain remembers nothing.
    session.ok(r#"{"planCacheClear": "c"}"#);
    examined(&session, FIND);
    examined(&session, FIND);
    assert!(entries(&session).is_empty());
}

#[test]
fn shapes_are_cleared_one_by_one() {
    let session = small();
    let sorted =
        r#"{"find": "c", "filter": {"a": 7, "b": 7}, "sort": {"c": 1}, "projection": {"c": 1}}"#;
    let accents = r#"{"find": "c", "filter": {"a": 7, "b": 7}, "collation": {"locale": "en"}}"#;
    let count = r#"{"count": "c", "query": {"a": {"$gt": 190}, "b": 7}}"#;
    for command in [FIND, sorted, accents, count] {
        session.ok(command);
        session.ok(command);
        assert!(is_cached(&session, command), "{command}");
    }
    let clear = |more: &str, left: usize| {
        session.ok(&format!("{{\"planCacheClear\": \"c\", \"query\": {{{more}}}"));
        assert_eq!(entries(&session).len(), left, "{more}");
    };
    clear("\"a\": 1}, \"sort\": {\"c\": 1}", 4);
    clear("\"b\": 1, \"a\": 2}, \"sort\": {\"c\": 1}, \"projection\": {\"c\": 1}", 3);
    clear("\"a\": 1, \"b\": 2}, \"collation\": {\"locale\": \"en\"}", 2);
    clear("\"a\": 1, \"b\": 2}", 1);
    assert!(!is_cached(&session, FIND) && is_cached(&session, count));
    session.ok(r#"{"planCacheClear": "c"}"#);
    assert!(entries(&session).is_empty());
}

#[test]
fn what_changes_the_indexes_forgets() {
    let changes = [
        r#"{"createIndexes": "c", "indexes": [{"key": {"a": 1, "b": 1}, "name": "ab"}]}"#,
        r#"{"dropIndexes": "c", "index": "i2"}"#,
        r#"{"collMod": "c", "index": {"name": "i0", "hidden": true}}"#,
        r#"{"insert": "c", "documents": [{"_id": "x", "c": [1, 2]}]}"#,
        r#"{"drop": "c"}"#,
    ];
    for change in changes {
        let session = small();
        session.ok(FIND);
        session.ok(FIND);
        assert!(is_cached(&session, FIND), "{change}");
        session.ok(change);
        if change.contains("drop\"") {
            session.ok(r#"{"create": "c"}"#);
        }
        assert!(!is_cached(&session, FIND) && entries(&session).is_empty(), "{change}");
        let reply = session.batch(FIND);
        assert_eq!(reply.len(), usize::from(!change.contains("drop\"")), "{change}");
    }
}

#[test]
fn a_collection_of_another_size_is_planned_anew() {
    let session = small();
    session.ok(FIND);
    session.ok(FIND);
    assert!(is_cached(&session, FIND));
    let documents: Vec<String> = (1000..2000).map(|n| format!("{{\"_id\": {n}}}")).collect();
    session.ok(&format!("{{\"insert\": \"c\", \"documents\": [{}]}}", documents.join(", ")));
    assert!(!is_cached(&session, FIND));
}

/// The work that the profiler saw of each find, and whether its plan was one from memory.
fn profiled(session: &Session) -> Vec<(i64, bool)> {
    let rows = session.batch(
        r#"{"find": "system.profile", "filter": {"command.find": "c"}, "sort": {"$natural": 1}, "batchSize": 10000}"#,
    );
    let work = |row: &DocBuf| {
        let figure = |name| number(row.as_doc().get(name));
        (figure("keysExamined").max(figure("docsExamined")), flag(row.as_doc(), "fromPlanCache"))
    };
    rows.iter().map(work).collect()
}

#[test]
fn a_plan_from_memory_examines_little_more_than_one_chosen_anew() {
    let mut random = Random(0x2024_1122);
    let (mut workloads, mut recalled) = (0, 0);
    for _ in 0..10 {
        let spreads = spreads(&mut random);
        let rows = rows(&mut random, &spreads);
        let mut indexes: Vec<String> = (0..4).map(|_| index(&mut random)).collect();
        indexes.sort();
        indexes.dedup();
        let keys: Vec<&str> = indexes.iter().map(String::as_str).collect();
        let session = filled(documents(&rows), &keys);
        session.ok(r#"{"profile": 2}"#);
        let mut finds = Vec::new();
        for _ in 0..20 {
            // One shape, with values of rows taken at random: rare ones after frequent ones.
            let kinds: Vec<u64> = (0..4).map(|_| random.below(12)).collect();
            let sort = match random.below(3) {
                0 => format!(", \"sort\": {{\"{}\": 1}}", FIELDS[random.below(4) as usize]),
                _ => String::new(),
            };
            let limit = if random.below(4) == 0 { ", \"limit\": 10" } else { "" };
            for _ in 0..5 {
                let row = &rows[random.below(DOCUMENTS) as usize];
                let bound = FIELDS.iter().zip(row).zip(&kinds).filter(|(_, kind)| **kind < 6);
                let filter: Vec<String> = bound
                    .map(|((field, value), &kind)| {
                        format!("\"{field}\": {}", condition(&mut random, kind, *value))
                    })
                    .collect();
                let filter = filter.join(", ");
                finds.push(format!(
                    "{{\"find\": \"c\", \"filter\": {{{filter}}}{sort}{limit}, \"batchSize\": 10000}}"
                ));
            }
            workloads += 1;
        }
        finds.iter().for_each(|find| drop(session.ok(find)));
        let taken = profiled(&session);
        assert_eq!(taken.len(), finds.len());
        for (find, (work, from_memory)) in finds.iter().zip(taken) {
            let (keys, docs) = examined(&session, find);
            let anew = keys.max(docs);
            assert!(work <= 10 * anew.max(10), "{work} for {anew}: {spreads:?} {indexes:?} {find}");
            recalled += usize::from(from_memory);
        }
    }
    assert_eq!(workloads, 200);
    assert!(recalled > 200, "{recalled} of 1000 from memory");
}
