//! Change streams that wait together: who is called, how much is read for whom, and that nobody misses anything.

mod cost;
mod random;

use std::thread;
use std::time::{Duration, Instant};

use headwater_engine::bson::Raw;

use crate::commands::{Session, number};
use crate::streams::{Stream, code, inner, insert, watch};

/// What the tail has done so far: records read, filters asked, streams called.
fn figures(db: &Session) -> [i64; 3] {
    let status = db.run_in("admin", r#"{"serverStatus": 1}"#);
    let figures = inner(inner(status.as_doc(), "headwater"), "changeStreams");
    ["recordsRead", "filtersAsked", "streamsCalled"].map(|name| number(figures.get(name)))
}

/// Inserts, and waits until the tail has read it all. What it did for that.
fn insert_and_count(db: &Session, count: i32, k: impl Fn(i32) -> String) -> [i64; 3] {
    let before = figures(db);
    for at in 0..count {
        let k = k(at);
        db.ok(&format!(r#"{{"insert": "c", "documents": [{{"k": {k}, "n": {at}}}]}}"#));
    }
    let begun = Instant::now();
    loop {
        let now = figures(db);
        let done = [0, 1, 2].map(|at| now[at] - before[at]);
        if done[0] >= i64::from(count) {
            return done;
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "the tail stands still: {done:?}");
        thread::sleep(Duration::from_millis(1));
    }
}

fn waiting<'a>(db: &'a Session, filter: impl Fn(i32) -> String, count: i32) -> Vec<Stream<'a>> {
    let mut streams: Vec<_> = (0..count)
        .map(|at| watch(db, "test", "c", "{}", &format!(r#"{{"$match": {}}}"#, filter(at))))
        .collect();
    for stream in &mut streams {
        assert!(stream.next(1).is_empty());
    }
    streams
}

#[test]
fn different_idle_filters_are_neither_asked_nor_called() {
    let db = Session::new();
    insert(&db, "test", "c", -1);
    let mut streams = waiting(
        &db,
        |at| format!(r#"{{"fullDocument.k": {at}, "fullDocument.n": {{"$gt": 5}}}}"#),
        60,
    );
    let lists = |at: i32| format!(r#"{{"fullDocument.k": {{"$in": ["a{at}", "b{at}"]}}}}"#);
    streams.extend(waiting(&db, lists, 40));
    assert_eq!(insert_and_count(&db, 200, |_| "-1".to_owned()), [200, 0, 0]);
    let before = streams[0].token.clone();
    assert!(streams[0].next(1).is_empty() && streams[0].token > before);
    // One of them is asked, and does not match; one is, and does.
    assert_eq!(insert_and_count(&db, 1, |_| "7".to_owned()), [1, 1, 0]);
    assert_eq!(insert_and_count(&db, 1, |_| r#"["x", "b3"]"#.to_owned()), [1, 1, 1]);
    assert_eq!(streams[63].next(20_000).len(), 1);
}

#[test]
fn the_same_idle_filter_is_asked_once_for_all() {
    let db = Session::new();
    insert(&db, "test", "c", -1);
    let filter = |_| r#"{"fullDocument.n": {"$gt": 1000}}"#.to_owned();
    let mut streams = waiting(&db, filter, 100);
    assert_eq!(insert_and_count(&db, 200, |_| "1".to_owned()), [200, 200, 0]);
    insert(&db, "test", "c", 1);
    db.ok(r#"{"insert": "c", "documents": [{"n": 2000}]}"#);
    assert!(streams.iter_mut().all(|stream| stream.next(20_000).len() == 1));
}

#[test]
fn nobody_reads_while_nobody_waits() {
    let db = Session::new();
    insert(&db, "test", "c", -1);
    let stream = &waiting(&db, |_| r#"{"operationType": "drop"}"#.to_owned(), 1)[0];
    insert_and_count(&db, 1, |_| "1".to_owned());
    let cursor = stream.cursor;
    db.ok(&format!(r#"{{"killCursors": "c", "cursors": [{{"$numberLong": "{cursor}"}}]}}"#));
    let before = figures(&db);
    for id in 0..50 {
        insert(&db, "test", "c", id);
    }
    thread::sleep(Duration::from_millis(50));
    assert!(figures(&db)[0] <= before[0] + 1);
}

/// Waits on a stream while `idle` and then `event` happen. How many events came; they must not come late.
fn called_by(db: &Session, stream: &mut Stream<'_>, idle: &str, event: (&str, &str)) -> usize {
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let begun = Instant::now();
            (stream.next(30_000).len(), begun.elapsed())
        });
        thread::sleep(Duration::from_millis(20));
        db.ok(idle);
        thread::sleep(Duration::from_millis(10));
        assert!(!waiting.is_finished(), "called by {idle}");
        let reply = db.run_in(event.0, event.1);
        assert_eq!(number(reply.as_doc().get("ok")), 1, "{event:?}: {reply:?}");
        let (count, after) = waiting.join().unwrap();
        assert!(after < Duration::from_secs(15), "{event:?} after {after:?}");
        count
    })
}

#[test]
fn streams_of_every_kind_are_called() {
    const IDLE: &str = r#"{"insert": "other", "documents": [{"k": 1}]}"#;
    const INSERT: &str = r#"{"insert": "c", "documents": [{"k": [3, {"e": 1}], "t": "x"}]}"#;
    const UPDATE: &str =
        r#"{"update": "c", "updates": [{"q": {"_id": 0}, "u": {"$set": {"k": 3}}}]}"#;
    const RENAME: (&str, &str) = ("admin", r#"{"renameCollection": "test.d", "to": "test.c"}"#);
    const LOOK_UP: &str = r#"{"fullDocument": "updateLookup"}"#;
    for (argument, filter, event) in [
        ("{}", "", ("test", INSERT)),
        ("{}", r#"{"fullDocument.k": 3}"#, ("test", INSERT)),
        ("{}", r#"{"fullDocument.k": {"$numberDecimal": "3.0"}}"#, ("test", INSERT)),
        ("{}", r#"{"fullDocument.k.e": {"$in": [1, 2]}}"#, ("test", INSERT)),
        ("{}", r#"{"fullDocument.k": {"$gt": 2}}"#, ("test", INSERT)),
        ("{}", r#"{"fullDocument.none": null}"#, ("test", INSERT)),
        ("{}", r#"{"fullDocument.t": {"$regex": "^x"}}"#, ("test", INSERT)),
        ("{}", r#"{"$expr": {"$eq": ["$fullDocument.t", "x"]}}"#, ("test", INSERT)),
        ("{}", r#"{"$expr": {"$gte": ["$wallTime", "$$NOW"]}}"#, ("test", INSERT)),
        ("{}", r#"{"updateDescription.updatedFields.k": 3}"#, ("test", UPDATE)),
        (LOOK_UP, r#"{"fullDocument.k": 3}"#, ("test", UPDATE)),
        ("{}", r#"{"operationType": "drop"}"#, ("test", r#"{"drop": "c"}"#)),
        ("{}", r#"{"operationType": "drop"}"#, ("test", r#"{"dropDatabase": 1}"#)),
        ("{}", r#"{"to.coll": "c"}"#, RENAME),
    ] {
        let db = Session::new();
        insert(&db, "test", if event == RENAME { "d" } else { "c" }, 0);
        let rest =
            if filter.is_empty() { String::new() } else { format!(r#"{{"$match": {filter}}}"#) };
        let mut stream = watch(&db, "test", "c", argument, &rest);
        assert!(called_by(&db, &mut stream, IDLE, event) > 0, "{filter} {event:?}");
    }
}

#[test]
fn an_end_that_the_filter_hides_is_told_at_once() {
    let db = Session::new();
    insert(&db, "test", "c", 0);
    let mut stream = watch(&db, "test", "c", "{}", r#"{"$match": {"operationType": "insert"}}"#);
    let idle = r#"{"insert": "other", "documents": [{}]}"#;
    assert_eq!(called_by(&db, &mut stream, idle, ("test", r#"{"drop": "c"}"#)), 0);
    assert_eq!(stream.cursor, 0);
}

#[test]
fn an_image_that_is_missing_is_told_at_once() {
    let db = Session::new();
    insert(&db, "test", "c", 0);
    let argument = r#"{"fullDocument": "required"}"#;
    let stream = watch(&db, "test", "c", argument, r#"{"$match": {"fullDocument.k": 1}}"#);
    let begun = Instant::now();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| stream.get_more(30_000));
        thread::sleep(Duration::from_millis(20));
        db.ok(r#"{"update": "c", "updates": [{"q": {"_id": 0}, "u": {"$set": {"k": 3}}}]}"#);
        assert_eq!(code(&waiting.join().unwrap()), 47);
    });
    assert!(begun.elapsed() < Duration::from_secs(15));
}

#[test]
fn a_killed_cursor_and_a_closed_engine_end_the_wait() {
    let db = Session::new();
    insert(&db, "test", "c", 0);
    let [one, two] = [(); 2].map(|()| watch(&db, "test", "c", "{}", ""));
    let begun = Instant::now();
    thread::scope(|scope| {
        let killed = scope.spawn(|| one.get_more(30_000));
        let closed = scope.spawn(|| two.get_more(30_000));
        thread::sleep(Duration::from_millis(20));
        let cursor = one.cursor;
        db.ok(&format!(r#"{{"killCursors": "c", "cursors": [{{"$numberLong": "{cursor}"}}]}}"#));
        assert_eq!(code(&killed.join().unwrap()), 43);
        assert!(!closed.is_finished());
        db.close();
        let reply = closed.join().unwrap();
        assert_eq!(
            reply.as_doc().get("codeName").and_then(Raw::as_str),
            Some("ShutdownInProgress")
        );
    });
    assert!(begun.elapsed() < Duration::from_secs(15));
}
