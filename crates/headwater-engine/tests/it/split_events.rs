//! Events that are larger than a document may be: in parts, going on between them, and where parts may not be asked for.

use std::collections::BTreeMap;

use headwater_engine::bson::{Doc, DocBuf, Raw};

use crate::commands::{Session, number, text_of};
use crate::streams::{Stream, code, inner, token_of_event, watch};

const SPLIT: &str = r#"{"$changeStreamSplitLargeEvent": {}}"#;
const BEFORE: &str = r#""fullDocumentBeforeChange": "required", "fullDocument": "required""#;
const BYTES: usize = 7 << 20;

/// A collection that keeps documents as they were, with one large document.
fn large() -> Session {
    let db = Session::new();
    db.ok(r#"{"create": "c", "changeStreamPreAndPostImages": {"enabled": true}}"#);
    let text = "a".repeat(BYTES);
    db.ok(&format!(r#"{{"insert": "c", "documents": [{{"_id": 1, "text": "{text}"}}]}}"#));
    db
}

/// Makes an event of three times the size.
fn change(db: &Session) {
    let text = "b".repeat(BYTES);
    db.ok(&format!(
        r#"{{"update": "c", "updates": [{{"q": {{"_id": 1}}, "u": {{"$set": {{"text": "{text}"}}}}}}]}}"#
    ));
}

fn open<'a>(db: &'a Session, argument: &str, rest: &str) -> Stream<'a> {
    watch(db, "test", "c", &format!("{{{argument}}}"), rest)
}

/// The next events, as many as were asked for.
fn events(stream: &mut Stream<'_>, count: usize) -> Vec<DocBuf> {
    let mut events = Vec::new();
    while events.len() < count {
        let more = stream.next(20_000);
        assert!(!more.is_empty(), "{} of {count} events came", events.len());
        events.extend(more);
    }
    events
}

fn part(event: &DocBuf) -> (i64, i64) {
    let split = inner(event.as_doc(), "splitEvent");
    (number(split.get("fragment")), number(split.get("of")))
}

/// The fields of all parts together.
fn joined(parts: &[DocBuf]) -> BTreeMap<String, usize> {
    let fields = |part: &DocBuf| -> Vec<(String, usize)> {
        let doc = part.as_doc();
        doc.iter().map(|field| (field.name_str().to_owned(), field.value.data.len())).collect()
    };
    let mut joined: BTreeMap<_, _> = parts.iter().flat_map(fields).collect();
    joined.retain(|name, _| name != "_id" && name != "splitEvent");
    joined
}

fn text_of_document<'a>(event: &'a DocBuf, name: &str) -> Option<&'a str> {
    let image: Doc<'a> = event.as_doc().get(name)?.as_doc()?;
    image.get("text").and_then(Raw::as_str)
}

#[test]
fn a_large_event_comes_in_parts_and_others_do_not() {
    let db = large();
    let mut stream = open(&db, BEFORE, SPLIT);
    change(&db);
    db.ok(r#"{"delete": "c", "deletes": [{"q": {"_id": 1}, "limit": 1}]}"#);
    let events = events(&mut stream, 3);
    assert_eq!((part(&events[0]), part(&events[1])), ((1, 2), (2, 2)));
    assert!(events[2].as_doc().get("splitEvent").is_none());
    assert!(events.iter().map(token_of_event).is_sorted());
    assert_eq!(stream.token, token_of_event(&events[2]));
    let names: Vec<String> = joined(&events[..2]).into_keys().collect();
    let expected = [
        "clusterTime",
        "documentKey",
        "fullDocument",
        "fullDocumentBeforeChange",
        "ns",
        "operationType",
        "updateDescription",
        "wallTime",
    ];
    assert_eq!(names, expected);
    let before: Vec<_> = events
        .iter()
        .filter_map(|event| text_of_document(event, "fullDocumentBeforeChange"))
        .collect();
    assert!(before[0].len() == BYTES && before[0].starts_with('a') && before[1].starts_with('b'));
}

#[test]
fn a_stream_goes_on_behind_each_part() {
    let db = large();
    let mut stream = open(&db, BEFORE, SPLIT);
    change(&db);
    db.ok(r#"{"insert": "c", "documents": [{"_id": 2}]}"#);
    let seen = events(&mut stream, 3);
    for at in 0..seen.len() {
        for option in ["resumeAfter", "startAfter"] {
            let token = token_of_event(&seen[at]);
            let argument = format!(r#""{option}": {{"_data": "{token}"}}, {BEFORE}"#);
            let mut again = open(&db, &argument, SPLIT);
            let rest = &seen[at + 1..];
            assert_eq!(events(&mut again, rest.len()), rest, "behind part {at}");
            assert!(again.next(1).is_empty());
        }
    }
}

#[test]
fn going_on_behind_a_part_needs_parts_again() {
    let db = large();
    let mut stream = open(&db, BEFORE, SPLIT);
    change(&db);
    let token = token_of_event(&events(&mut stream, 1)[0]);
    let argument = format!(r#"{{"resumeAfter": {{"_data": "{token}"}}, {BEFORE}}}"#);
    let refused = opened(&db, "c", &format!(r#"{{"$changeStream": {argument}}}"#));
    assert_eq!(code(&refused), 280);
    assert!(text_of(&refused).contains("To resume from a split event"), "{refused:?}");
    // With other images the event is small.
    let argument = format!(r#""resumeAfter": {{"_data": "{token}"}}"#);
    let mut smaller = open(&db, &argument, SPLIT);
    assert!(smaller.next(20_000).is_empty());
}

#[test]
fn an_event_is_split_behind_the_pipeline() {
    let db = large();
    let without = r#"{"$unset": "updateDescription"}, {"$match": {"operationType": "update"}}"#;
    let mut small =
        open(&db, BEFORE, &format!(r#"{{"$unset": "fullDocument"}}, {without}, {SPLIT}"#));
    let mut refused = open(&db, BEFORE, r#"{"$addFields": {"more": 1}}"#);
    change(&db);
    let whole = events(&mut small, 1);
    assert!(whole[0].as_doc().get("splitEvent").is_none());
    assert_eq!(code(&refused.get_more(20_000)), 10334);
    refused.cursor = 0;
}

fn opened(db: &Session, collection: &str, stages: &str) -> DocBuf {
    db.run_in(
        "test",
        &format!(r#"{{"aggregate": "{collection}", "pipeline": [{stages}], "cursor": {{}}}}"#),
    )
}

#[test]
fn the_stage_stands_last_and_without_arguments() {
    let db = Session::new();
    let stream = r#"{"$changeStream": {}}"#;
    let code_of = |stages: &str| code(&opened(&db, "c", stages));
    assert_eq!(
        code_of(&format!(r#"{stream}, {{"$changeStreamSplitLargeEvent": {{"a": 1}}}}"#)),
        7_182_800
    );
    assert_eq!(code_of(&format!(r#"{stream}, {SPLIT}, {{"$match": {{}}}}"#)), 7_182_802);
    assert_eq!(code_of(&format!("{stream}, {SPLIT}, {SPLIT}")), 7_182_802);
    assert_eq!(code_of(SPLIT), 20);
    assert_eq!(code_of(&format!(r#"{{"$facet": {{"a": [{SPLIT}]}}}}"#)), 40600);
}
