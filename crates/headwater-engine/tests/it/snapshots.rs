//! Reads at one moment: the read concern `snapshot` and `atClusterTime`, outside transactions.

use headwater_engine::bson::{DocBuf, Raw, View};

use crate::commands::{Session, batch, cursor_id, number, text};

fn filled() -> Session {
    let db = Session::new();
    db.ok(r#"{"insert": "c", "documents": [{"_id": 1, "a": 1}, {"_id": 2, "a": 1}, {"_id": 3, "a": 1}]}"#);
    db
}

fn change(db: &Session) {
    db.ok(r#"{"update": "c", "updates": [{"q": {}, "u": {"$set": {"a": 2}}, "multi": true}]}"#);
}

fn at_cluster_time(reply: &DocBuf) -> Option<u64> {
    let reply = reply.as_doc();
    let cursor = reply.get("cursor").and_then(Raw::as_doc).unwrap_or(reply);
    match cursor.get("atClusterTime").map(Raw::view) {
        Some(View::Timestamp(time)) => Some(time),
        _ => None,
    }
}

fn concern(time: Option<u64>) -> String {
    let at = time.map_or_else(String::new, |time| {
        let (seconds, nth) = (time >> 32, time & 0xffff_ffff);
        format!(r#", "atClusterTime": {{"$timestamp": {{"t": {seconds}, "i": {nth}}}}}"#)
    });
    format!(r#""readConcern": {{"level": "snapshot"{at}}}"#)
}

fn values(reply: &DocBuf) -> Vec<i64> {
    batch(reply).iter().map(|doc| number(doc.as_doc().get("a"))).collect()
}

#[test]
fn reads_at_a_moment_see_nothing_of_what_came_later() {
    let db = filled();
    let first = db.ok(&format!(r#"{{"find": "c", {}}}"#, concern(None)));
    let time = at_cluster_time(&first).unwrap();
    change(&db);
    db.ok(r#"{"insert": "c", "documents": [{"_id": 4, "a": 2}]}"#);
    let at = concern(Some(time));
    let again = db.ok(&format!(r#"{{"find": "c", {at}}}"#));
    assert_eq!((values(&again), at_cluster_time(&again)), (vec![1, 1, 1], Some(time)));
    let by_id = db.ok(&format!(r#"{{"find": "c", "filter": {{"_id": 2}}, {at}}}"#));
    assert_eq!((values(&by_id), at_cluster_time(&by_id)), (vec![1], Some(time)));
    let none = db.ok(&format!(r#"{{"find": "c", "filter": {{"_id": 4}}, {at}}}"#));
    assert_eq!(values(&none).len(), 0);
    let count = db.ok(&format!(
        r#"{{"aggregate": "c", "pipeline": [{{"$group": {{"_id": 1, "a": {{"$sum": 1}}}}}}], "cursor": {{}}, {at}}}"#
    ));
    assert_eq!((values(&count), at_cluster_time(&count)), (vec![3], Some(time)));
    let distinct = db.ok(&format!(r#"{{"distinct": "c", "key": "a", {at}}}"#));
    assert_eq!(at_cluster_time(&distinct), Some(time));
    let found = distinct.as_doc().get("values").and_then(Raw::as_array).unwrap();
    assert_eq!(found.iter().map(|value| number(Some(value))).collect::<Vec<_>>(), [1]);
    let now = db.ok(&format!(r#"{{"find": "c", {}}}"#, concern(None)));
    assert_eq!(values(&now), [2, 2, 2, 2]);
    assert!(at_cluster_time(&now).unwrap() > time);
}

#[test]
fn later_batches_are_of_the_moment_of_the_first() {
    let db = filled();
    let first = db.ok(&format!(r#"{{"find": "c", "batchSize": 1, {}}}"#, concern(None)));
    let time = at_cluster_time(&first);
    change(&db);
    let id = cursor_id(&first);
    let more = |rest: &str| {
        let command = format!(
            r#"{{"getMore": {{"$numberLong": "{id}"}}, "collection": "c", "batchSize": 1{rest}}}"#
        );
        let reply = db.ok(&command);
        (values(&reply), at_cluster_time(&reply))
    };
    assert_eq!(more(""), (vec![1], time));
    // Drivers repeat the concern, which says nothing new.
    assert_eq!(more(&format!(", {}", concern(time))), (vec![1], time));
}

#[test]
fn a_dropped_collection_and_a_view_are_there_at_their_moment() {
    let db = filled();
    db.ok(r#"{"create": "v", "viewOn": "c", "pipeline": [{"$match": {"_id": {"$lt": 3}}}]}"#);
    let first = db.ok(&format!(r#"{{"find": "v", {}}}"#, concern(None)));
    let time = at_cluster_time(&first);
    assert_eq!(values(&first), [1, 1]);
    change(&db);
    let at = concern(time);
    assert_eq!(values(&db.ok(&format!(r#"{{"find": "v", {at}}}"#))), [1, 1]);
    let distinct = db.ok(&format!(r#"{{"distinct": "v", "key": "a", {at}}}"#));
    assert_eq!(at_cluster_time(&distinct), time);
    db.ok(r#"{"drop": "c"}"#);
    assert_eq!(values(&db.ok(&format!(r#"{{"find": "c", {at}}}"#))), [1, 1, 1]);
}

#[test]
fn moments_that_are_not_kept_are_too_old_and_others_have_not_come() {
    let db = filled();
    let before = db.ok(r#"{"ping": 1}"#);
    let Some(View::Timestamp(before)) = before.as_doc().get("operationTime").map(Raw::view) else {
        panic!("no operationTime in {before:?}");
    };
    let now = db.ok(&format!(r#"{{"find": "c", {}}}"#, concern(Some(before))));
    assert_eq!((values(&now), at_cluster_time(&now)), (vec![1, 1, 1], Some(before)));
    change(&db);
    for (time, name) in [(before - 1, "SnapshotTooOld"), (before + (1 << 40), "InvalidOptions")] {
        let reply = db.run(&format!(r#"{{"find": "c", {}}}"#, concern(Some(time))));
        assert_eq!(text(&reply, "codeName"), name, "{reply:?}");
    }
}

#[test]
fn what_cannot_be_read_at_a_moment_is_refused() {
    let db = filled();
    for command in [
        format!(r#"{{"count": "c", {}}}"#, concern(None)),
        format!(r#"{{"insert": "c", "documents": [{{}}], {}}}"#, concern(None)),
        format!(
            r#"{{"aggregate": "c", "pipeline": [{{"$changeStream": {{}}}}], "cursor": {{}}, {}}}"#,
            concern(None)
        ),
        format!(r#"{{"find": "c", {}}}"#, concern(Some(0))),
        format!(r#"{{"find": "c", {}}}"#, concern(Some(1)).replace("snapshot", "majority")),
    ] {
        let reply = db.run(&command);
        assert_eq!(text(&reply, "codeName"), "InvalidOptions", "{command}: {reply:?}");
    }
}
