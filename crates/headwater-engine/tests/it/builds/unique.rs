//! Indexes that become unique while others write.

use std::thread;
use std::time::{Duration, Instant};

use headwater_engine::bson::{DocBuf, Raw};

use super::{Node, PATIENCE, assert_valid};
use crate::commands::{Session, number};

const UNIQUE: &str = r#"{"collMod": "c", "index": {"name": "a", "unique": true}}"#;
const HELD: &str = "hangAfterIndexBuildDumpsInsertsFromBulk";

/// Documents with a key of their own, one with two, and an index that is to become unique.
fn prepared(session: &Session, options: &str) {
    session.ok(&format!(r#"{{"create": "c"{options}}}"#));
    session.ok(r#"{"createIndexes": "c", "indexes": [{"key": {"a": 1}, "name": "a"}]}"#);
    let rows: Vec<String> =
        (0..3000).map(|id| format!(r#"{{"_id": {id}, "a": [{id}, "x{id}"]}}"#)).collect();
    session.ok(&format!(r#"{{"insert": "c", "documents": [{}]}}"#, rows.join(", ")));
    session.ok(r#"{"collMod": "c", "index": {"name": "a", "prepareUnique": true}}"#);
}

fn code(reply: &DocBuf) -> i64 {
    let reply = reply.as_doc();
    let errors = reply.get("writeErrors").and_then(Raw::as_array);
    let first = errors.and_then(|errors| errors.get(0)).and_then(Raw::as_doc);
    number(first.unwrap_or(reply).get("code"))
}

/// Waits until the command is under way, and has begun to build.
fn await_conversion(node: &Node) {
    let begun = Instant::now();
    loop {
        let reply = node.session().run_in("admin", r#"{"currentOp": 1}"#);
        let rows = reply.as_doc().get("inprog").and_then(Raw::as_array).unwrap();
        let builds = rows.iter().filter_map(Raw::as_doc).any(|row| {
            let command = row.get("command").and_then(Raw::as_doc);
            command.is_some_and(|command| command.get("collMod").is_some())
                && row.get("progress").is_some()
        });
        if builds {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "no index becomes unique: {reply:?}");
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn an_index_becomes_unique_beside_writers() {
    for options in ["", r#", "clusteredIndex": {"key": {"_id": 1}, "unique": true}"#] {
        let node = Node::new();
        let session = node.session();
        prepared(&session, options);
        node.set(HELD, "alwaysOn");
        thread::scope(|scope| {
            let conversion = scope.spawn(|| node.session().run(UNIQUE));
            await_conversion(&node);
            assert_eq!(session.batch(r#"{"listIndexes": "c"}"#).len(), 2, "it is listed once");
            session.ok(r#"{"insert": "c", "documents": [{"_id": 5000, "a": 5000}]}"#);
            session.ok(
                r#"{"update": "c", "updates": [{"q": {"_id": 7}, "u": {"$set": {"a": "new"}}}]}"#,
            );
            session.ok(r#"{"delete": "c", "deletes": [{"q": {"_id": 8}, "limit": 1}]}"#);
            session.ok(r#"{"insert": "c", "documents": [{"_id": 5001, "a": "x7"}]}"#);
            for taken in ["9", "\"x9\"", "\"new\"", "5000"] {
                let insert =
                    format!(r#"{{"insert": "c", "documents": [{{"_id": 0.5, "a": {taken}}}]}}"#);
                assert_eq!(code(&session.run(&insert)), 11000, "{options} {taken}");
            }
            node.set(HELD, "off");
            let reply = conversion.join().unwrap();
            assert_eq!(
                reply.as_doc().get("unique_new").and_then(Raw::as_bool),
                Some(true),
                "{reply:?}"
            );
        });
        assert_valid(&session);
        let listed = session.batch(r#"{"listIndexes": "c"}"#);
        let of = |name: &str| listed[1].as_doc().get(name).and_then(Raw::as_bool);
        assert_eq!((listed.len(), of("unique"), of("prepareUnique")), (2, Some(true), None));
        for (taken, is_free) in [("9", false), ("\"x7\"", false), ("7", true), ("8", true)] {
            let insert = format!(r#"{{"insert": "c", "documents": [{{"a": {taken}}}]}}"#);
            let reply = session.run(&insert);
            assert_eq!(number(reply.as_doc().get("n")) == 1, is_free, "{insert} {reply:?}");
        }
        let found = session.batch(r#"{"find": "c", "filter": {"a": "new"}, "hint": "a"}"#);
        assert_eq!(number(found[0].as_doc().get("_id")), 7);
    }
}

#[test]
fn documents_that_share_a_key_are_named_and_nothing_changes() {
    for options in ["", r#", "clusteredIndex": {"key": {"_id": 1}, "unique": true}"#] {
        let node = Node::new();
        let session = node.session();
        session.ok(&format!(r#"{{"create": "c"{options}}}"#));
        let long = "y".repeat(2000);
        session.ok(&format!(
            r#"{{"insert": "c", "documents": [{{"_id": 1, "a": [1, 2]}}, {{"_id": 2, "a": "{long}"}}, {{"_id": 3, "a": 2}}, {{"_id": 4, "a": "{long}z"}},
                {{"_id": 5, "a": "{long}"}}, {{"_id": 6, "a": 3}}]}}"#
        ));
        session.ok(r#"{"createIndexes": "c", "indexes": [{"key": {"a": 1}, "name": "a"}]}"#);
        session.ok(r#"{"collMod": "c", "index": {"name": "a", "prepareUnique": true}}"#);
        // Who shares a key already may change otherwise; nobody may come to share one.
        session.ok(r#"{"update": "c", "updates": [{"q": {"_id": 3}, "u": {"$set": {"b": 1}}}]}"#);
        for (id, value) in [(6, "2".to_owned()), (4, format!("\"{long}\""))] {
            let update = format!(
                r#"{{"update": "c", "updates": [{{"q": {{"_id": {id}}}, "u": {{"$set": {{"a": {value}}}}}}}]}}"#
            );
            assert_eq!(code(&session.run(&update)), 11000, "{options} {id}");
        }
        let dry = r#"{"collMod": "c", "index": {"name": "a", "unique": true}, "dryRun": true}"#;
        for command in [dry, UNIQUE] {
            let reply = session.run(command);
            let reply = reply.as_doc();
            assert_eq!(number(reply.get("code")), 359, "{reply:?}");
            let rows = reply.get("violations").and_then(Raw::as_array).unwrap();
            let ids = |row: Raw<'_>| {
                let ids = row.as_doc().and_then(|row| row.get("ids")).and_then(Raw::as_array);
                ids.unwrap().iter().map(|id| number(Some(id))).collect::<Vec<_>>()
            };
            assert_eq!(rows.iter().map(ids).collect::<Vec<_>>(), [[1, 3], [2, 5]], "{options}");
        }
        session.ok(r#"{"delete": "c", "deletes": [{"q": {"_id": {"$in": [1, 2]}}, "limit": 0}]}"#);
        assert!(session.ok(dry).as_doc().get("unique_new").is_none());
        session.ok(UNIQUE);
        assert_valid(&session);
    }
}

#[test]
fn what_takes_the_index_away_ends_its_conversion() {
    for (command, expected) in [
        (r#"{"dropIndexes": "c", "index": "a"}"#, 276),
        (r#"{"drop": "c"}"#, 276),
        (r#"{"collMod": "c", "index": {"name": "a", "prepareUnique": false}}"#, 72),
    ] {
        let node = Node::new();
        let session = node.session();
        prepared(&session, "");
        node.set(HELD, "alwaysOn");
        thread::scope(|scope| {
            let conversion = scope.spawn(|| node.session().run(UNIQUE));
            await_conversion(&node);
            session.ok(command);
            node.set(HELD, "off");
            assert_eq!(code(&conversion.join().unwrap()), expected, "{command}");
        });
        if expected == 72 {
            assert_valid(&session);
            session.ok(r#"{"insert": "c", "documents": [{"_id": "again", "a": 1}]}"#);
        }
    }
}
