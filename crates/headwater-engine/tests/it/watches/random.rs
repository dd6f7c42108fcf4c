//! Streams against the log: while writers do anything to a few collections, streams with all kinds of filters are opened,
//! waited on, left and resumed at random. In the end each has seen what one reading of the whole log shows, in order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use headwater_engine::bson::DocBuf;
use headwater_engine::{Engine, EngineOptions};

use crate::commands::{Session, batch, cursor_id, number, text};
use crate::streams::{inner, token_of_event};

const WRITERS: u64 = 2;
const WRITES: usize = 150;
const DATABASES: [&str; 2] = ["a", "b"];
const COLLECTIONS: [&str; 3] = ["x", "y", "z"];

/// Scope (database and collection), argument of the stage, filter and the command's variables.
const STREAMS: &[(&str, &str, &str, &str)] = &[
    ("a", "x", "", ""),
    ("a", "x", "", r#"{"$match": {"fullDocument.k": 1}}"#),
    ("a", "x", "", r#"{"$match": {"fullDocument.k": {"$numberDecimal": "2"}}}"#),
    ("a", "", "", r#"{"$match": {"fullDocument.k": {"$in": [3, "k4", null]}}}"#),
    (
        "a",
        "",
        "",
        r#"{"$match": {"fullDocument.d.e": {"$in": [1, 5]}, "operationType": "insert"}}"#,
    ),
    ("a", "y", "", r#"{"$match": {"operationType": "update"}}, {"$project": {"ns": 1}}"#),
    ("a", "y", r#""fullDocument": "updateLookup""#, r#"{"$match": {"operationType": "update"}}"#),
    ("b", "x", "", r#"{"$match": {"fullDocument.k": {"$gt": 3}}}"#),
    ("b", "x", "", r#"{"$match": {"documentKey._id": {"$lt": 100}}}"#),
    ("b", "", r#""showExpandedEvents": true"#, ""),
    ("b", "", "", r#"{"$match": {"operationType": {"$in": ["rename", "drop"]}}}"#),
    ("b", "z", "", r#"{"$match": {"fullDocument.k": [1, 2]}}"#),
    ("admin", "", r#""allChangesForCluster": true"#, ""),
    ("admin", "", r#""allChangesForCluster": true"#, r#"{"$match": {"to.coll": "x"}}"#),
    (
        "admin",
        "",
        r#""allChangesForCluster": true"#,
        r#"{"$match": {"$expr": {"$eq": ["$fullDocument.k", "$$wanted"]}}}"#,
    ),
];

/// splitmix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % n as u64) as usize
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

fn write(db: &Session, dice: &mut Dice) {
    const VALUES: &[&str] =
        &["1", "2.0", r#"{"$numberLong": "3"}"#, "[1, 2]", "[5, 3]", r#""k4""#, "null", "7"];
    let (database, collection) = (dice.of(&DATABASES), dice.of(&COLLECTIONS));
    let (id, k) = (dice.below(20), dice.of(VALUES));
    let command = match dice.below(40) {
        0 => format!(r#"{{"drop": "{collection}"}}"#),
        1 => r#"{"dropDatabase": 1}"#.to_owned(),
        2 | 3 => {
            let (to, kept) = (dice.of(&COLLECTIONS), dice.below(2) == 0);
            let rename = format!(
                r#"{{"renameCollection": "{database}.{collection}", "to": "{database}.{to}", "dropTarget": {kept}}}"#
            );
            db.run_in("admin", &rename);
            return;
        }
        4 => format!(
            r#"{{"createIndexes": "{collection}", "indexes": [{{"key": {{"k": 1}}, "name": "k"}}]}}"#
        ),
        5..=9 => format!(
            r#"{{"delete": "{collection}", "deletes": [{{"q": {{"_id": {id}}}, "limit": 1}}]}}"#
        ),
        10..=18 => format!(
            r#"{{"update": "{collection}", "updates": [{{"q": {{"_id": {id}}}, "u": {{"$set": {{"k": {k}}}}}}}]}}"#
        ),
        19..=22 => format!(
            r#"{{"update": "{collection}", "updates": [{{"q": {{"_id": {id}}}, "u": {{"k": {k}, "d": {{"e": {id}}}}}}}]}}"#
        ),
        _ => format!(
            r#"{{"insert": "{collection}", "documents": [{{"_id": {id}, "k": {k}, "d": [{{"e": {id}}}, {{"e": 1}}]}}]}}"#
        ),
    };
    db.run_in(database, &command);
}

/// Opens stream `which` with the option that says where. Its cursor, and the token it begins behind.
fn open(db: &Session, which: usize, place: &str) -> (i64, String) {
    let (database, collection, argument, rest) = STREAMS[which];
    let comma = if argument.is_empty() { "" } else { ", " };
    let rest = if rest.is_empty() { String::new() } else { format!(", {rest}") };
    let target = if collection.is_empty() { "1".to_owned() } else { format!("\"{collection}\"") };
    let reply = db.run_in(
        database,
        &format!(
            r#"{{"aggregate": {target}, "let": {{"wanted": {which}}}, "cursor": {{"batchSize": 0}},
                "pipeline": [{{"$changeStream": {{{place}{comma}{argument}}}}}{rest}]}}"#
        ),
    );
    assert_eq!(number(reply.as_doc().get("ok")), 1, "{which} {place}: {reply:?}");
    (cursor_id(&reply), token(&reply))
}

fn token(reply: &DocBuf) -> String {
    let token = inner(inner(reply.as_doc(), "cursor"), "postBatchResumeToken");
    token.get("_data").and_then(|raw| raw.as_str()).unwrap().to_owned()
}

fn behind(token: &str) -> String {
    format!(r#""startAfter": {{"_data": "{token}"}}"#)
}

fn get_more(db: &Session, which: usize, cursor: i64, wait_ms: usize, size: usize) -> DocBuf {
    let (database, collection, ..) = STREAMS[which];
    let collection = if collection.is_empty() { "$cmd.aggregate" } else { collection };
    let reply = db.run_in(
        database,
        &format!(
            r#"{{"getMore": {{"$numberLong": "{cursor}"}}, "collection": "{collection}", "maxTimeMS": {wait_ms}, "batchSize": {size}}}"#
        ),
    );
    assert_eq!(number(reply.as_doc().get("ok")), 1, "{which}: {reply:?}");
    reply
}

fn event(doc: &DocBuf) -> (String, String) {
    (token_of_event(doc), text(doc, "operationType").to_owned())
}

/// Reads a stream by cursors that end at random, each resumed behind the token of the one before.
fn follow(
    db: &Session,
    which: usize,
    dice: &mut Dice,
    begin: &str,
    writing: &AtomicUsize,
) -> Vec<(String, String)> {
    let mut seen = Vec::new();
    let mut last = begin.to_owned();
    loop {
        let (mut cursor, mut at) = open(db, which, &behind(&last));
        for _ in 0..1 + dice.below(8) {
            let done = writing.load(Ordering::SeqCst) == 0;
            let (wait, size) = (dice.of(&[1, 3, 20, 100]), dice.of(&[0, 0, 1, 2, 5]));
            let reply = get_more(db, which, cursor, if done { 1 } else { wait }, size);
            let events = batch(&reply);
            seen.extend(events.iter().map(event));
            assert!(token(&reply) >= at, "{which}: a token goes back");
            (cursor, at) = (cursor_id(&reply), token(&reply));
            if done && events.is_empty() && cursor != 0 {
                return seen;
            }
            if cursor == 0 {
                break;
            }
        }
        last = at;
    }
}

/// One reading of the whole log, by streams that never wait for anything.
fn read_all(db: &Session, which: usize, begin: &str) -> Vec<(String, String)> {
    let mut seen = Vec::new();
    let mut last = begin.to_owned();
    loop {
        let (cursor, _) = open(db, which, &behind(&last));
        let reply = get_more(db, which, cursor, 0, 0);
        let events = batch(&reply);
        seen.extend(events.iter().map(event));
        if events.is_empty() && cursor_id(&reply) != 0 {
            return seen;
        }
        last = token(&reply);
    }
}

fn everybody_sees_everything(engine: Engine, seed: u64) {
    let db = Session::on(engine);
    db.run_in("begin", r#"{"insert": "c", "documents": [{}]}"#);
    let (_, begin) = open(&db, 0, "");
    let writing = AtomicUsize::new(WRITERS as usize);
    let followed = thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (db, writing) = (&db, &writing);
            scope.spawn(move || {
                let mut dice = Dice(seed ^ writer);
                for _ in 0..WRITES {
                    write(db, &mut dice);
                    thread::sleep(Duration::from_micros(dice.below(1500) as u64));
                }
                writing.fetch_sub(1, Ordering::SeqCst);
            });
        }
        let streams = (0..STREAMS.len()).map(|which| {
            let (db, writing, begin) = (&db, &writing, &begin);
            let mut dice = Dice(seed.wrapping_add(1000 + which as u64));
            scope.spawn(move || follow(db, which, &mut dice, begin, writing))
        });
        let streams: Vec<_> = streams.collect();
        streams.into_iter().map(|stream| stream.join().unwrap()).collect::<Vec<_>>()
    });
    let mut all = 0;
    for (which, seen) in followed.iter().enumerate() {
        let expected = read_all(&db, which, &begin);
        assert_eq!(*seen, expected, "stream {which} of seed {seed}");
        all += expected.len();
    }
    assert!(all > 100, "only {all} events in all: the test tests nothing");
}

#[test]
fn everybody_sees_everything_in_memory() {
    for seed in 1..=3 {
        everybody_sees_everything(Engine::open_in_memory(EngineOptions::default()).unwrap(), seed);
    }
}

#[test]
fn everybody_sees_everything_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    everybody_sees_everything(Engine::open(folder.path(), EngineOptions::default()).unwrap(), 7);
}
