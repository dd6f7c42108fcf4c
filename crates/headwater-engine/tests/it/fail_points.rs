//! Fail points, as the drivers' specification tests use them.

use headwater_engine::EngineOptions;
use headwater_engine::bson::{DocBuf, Raw};

use crate::commands::{Session, cursor_id, number};

fn with_test_commands() -> Session {
    Session::with(EngineOptions { test_commands: true, ..EngineOptions::default() })
}

fn set(db: &Session, point: &str, mode: &str, data: &str) -> DocBuf {
    let command = format!(r#"{{"configureFailPoint": "{point}", "mode": {mode}, "data": {data}}}"#);
    let reply = db.run_in("admin", &command);
    assert_eq!(code(&reply), 0, "{reply:?}");
    reply
}

fn code(reply: &DocBuf) -> i64 {
    reply.as_doc().get("code").map_or(0, |code| number(Some(code)))
}

fn labels(reply: &DocBuf) -> Vec<&str> {
    let labels = reply.as_doc().get("errorLabels").and_then(Raw::as_array);
    labels.map(|labels| labels.iter().filter_map(Raw::as_str).collect()).unwrap_or_default()
}

const INSERT: &str = r#"{"insert": "c", "documents": [{"a": 1}],
    "lsid": {"id": {"$uuid": "00112233-4455-6677-8899-aabbccddeeff"}}, "txnNumber": {"$numberLong": "1"}}"#;

#[test]
fn there_are_none_without_test_commands() {
    let db = Session::new();
    let reply = db.run_in("admin", r#"{"configureFailPoint": "failCommand", "mode": "alwaysOn"}"#);
    assert_eq!(code(&reply), 59);
}

#[test]
fn a_command_fails_as_often_as_asked() {
    let db = with_test_commands();
    set(
        &db,
        "failCommand",
        r#"{"times": 2}"#,
        r#"{"failCommands": ["find", "findandmodify"], "errorCode": 10107}"#,
    );
    assert_eq!(code(&db.run(r#"{"find": "c"}"#)), 10107);
    assert_eq!(code(&db.run(r#"{"count": "c"}"#)), 0);
    assert_eq!(code(&db.run(r#"{"findAndModify": "c", "remove": true}"#)), 10107);
    assert_eq!(code(&db.run(r#"{"find": "c"}"#)), 0);
    let reply = set(&db, "failCommand", r#""off""#, "{}");
    assert_eq!(number(reply.as_doc().get("count")), 2);
}

#[test]
fn labels_follow_the_code_unless_given() {
    let db = with_test_commands();
    let fail = |more: &str| {
        set(
            &db,
            "failCommand",
            r#"{"times": 1}"#,
            &format!(r#"{{"failCommands": ["insert"], {more}}}"#),
        );
        db.run(INSERT)
    };
    assert_eq!(labels(&fail(r#""errorCode": 11600"#)), ["RetryableWriteError"]);
    assert!(labels(&fail(r#""errorCode": 11600, "errorLabels": []"#)).is_empty());
    assert!(labels(&fail(r#""errorCode": 2"#)).is_empty());
    assert_eq!(labels(&fail(r#""errorCode": 2, "errorLabels": ["Own"]"#)), ["Own"]);
    assert_eq!(number(db.ok(r#"{"count": "c"}"#).as_doc().get("n")), 0);
}

#[test]
fn a_write_concern_error_stands_beside_the_write() {
    let db = with_test_commands();
    set(
        &db,
        "failCommand",
        r#"{"times": 1}"#,
        r#"{"failCommands": ["insert"], "writeConcernError": {"code": 91, "errmsg": "stopping"}}"#,
    );
    let reply = db.ok(INSERT);
    let error = reply.as_doc().get("writeConcernError").and_then(Raw::as_doc).unwrap();
    assert_eq!(number(error.get("code")), 91);
    assert_eq!(labels(&reply), ["RetryableWriteError"]);
    let again = db.ok(INSERT);
    assert!(again.as_doc().get("retriedStmtIds").is_some(), "{again:?}");
    assert!(again.as_doc().get("writeConcernError").is_none());
    assert_eq!(number(db.ok(r#"{"count": "c"}"#).as_doc().get("n")), 1);
}

#[test]
fn a_command_waits_as_long_as_asked() {
    let db = with_test_commands();
    let data = r#"{"failCommands": ["ping"], "blockConnection": true, "blockTimeMS": 60}"#;
    set(&db, "failCommand", r#"{"times": 1}"#, data);
    let begun = std::time::Instant::now();
    db.ok(r#"{"ping": 1}"#);
    assert!(begun.elapsed() >= std::time::Duration::from_millis(60));
}

#[test]
fn a_failed_change_stream_may_be_resumed() {
    let db = with_test_commands();
    let id = cursor_id(
        &db.ok(r#"{"aggregate": "c", "pipeline": [{"$changeStream": {}}], "cursor": {}}"#),
    );
    set(
        &db,
        "failGetMoreAfterCursorCheckout",
        r#"{"times": 1}"#,
        r#"{"errorCode": 6, "closeConnection": false}"#,
    );
    let more =
        format!(r#"{{"getMore": {{"$numberLong": "{id}"}}, "collection": "c", "maxTimeMS": 1}}"#);
    let failed = db.run(&more);
    assert_eq!((code(&failed), labels(&failed)), (6, vec!["ResumableChangeStreamError"]));
    assert_eq!(code(&db.run(&more)), 43);
}

#[test]
fn a_retryable_write_is_done_or_not_while_its_connection_closes() {
    let db = with_test_commands();
    let closes = |data: &str| {
        set(&db, "onPrimaryTransactionalWrite", r#"{"times": 1}"#, data);
        code(&db.run(INSERT)) == 6
    };
    let count = || number(db.ok(r#"{"count": "c"}"#).as_doc().get("n"));
    assert!(closes(r#"{"failBeforeCommitExceptionCode": 1}"#));
    assert_eq!(count(), 0);
    assert!(closes("{}"));
    assert_eq!(count(), 1);
    let again = db.ok(INSERT);
    assert!(again.as_doc().get("retriedStmtIds").is_some(), "{again:?}");
    let data = r#"{"failBeforeCommitExceptionCode": 8, "closeConnection": false}"#;
    set(&db, "onPrimaryTransactionalWrite", r#""alwaysOn""#, data);
    let next = INSERT.replace(r#""1""#, r#""2""#);
    let refused = db.run(&next);
    let errors = refused.as_doc().get("writeErrors").and_then(Raw::as_array).unwrap();
    assert_eq!(number(errors.get(0).unwrap().as_doc().unwrap().get("code")), 8);
    db.ok(r#"{"insert": "c", "documents": [{"_id": 2}]}"#);
    assert_eq!(count(), 2);
}

#[test]
fn the_first_greeting_of_an_application_fails_too() {
    let db = with_test_commands();
    let data = r#"{"failCommands": ["hello"], "appName": "late", "errorCode": 91}"#;
    set(&db, "failCommand", r#""alwaysOn""#, data);
    let greet = |name: &str| {
        let client = format!(r#"{{"application": {{"name": "{name}"}}}}"#);
        code(&db.run_in("admin", &format!(r#"{{"hello": 1, "client": {client}}}"#)))
    };
    assert_eq!(greet("late"), 91);
    assert_eq!(greet("other"), 0);
}

#[test]
fn what_is_unknown_is_refused() {
    let db = with_test_commands();
    let run = |db_name: &str, command: &str| code(&db.run_in(db_name, command));
    assert_eq!(run("test", r#"{"configureFailPoint": "failCommand", "mode": "off"}"#), 13);
    assert_eq!(run("admin", r#"{"configureFailPoint": "failEverything", "mode": "off"}"#), 266);
    assert_eq!(run("admin", r#"{"configureFailPoint": "failCommand", "mode": "sometimes"}"#), 2);
    let data = r#"{"configureFailPoint": "failCommand", "mode": "off", "data": {"surprise": 1}}"#;
    assert_eq!(run("admin", data), 115);
}

#[test]
fn commands_with_a_time_limit_are_late_at_once() {
    let db = with_test_commands();
    db.ok(r#"{"insert": "c", "documents": [{"_id": 1}, {"_id": 2}, {"_id": 3}, {"_id": 4}]}"#);
    let open = |limit: &str| {
        let find = format!(r#"{{"find": "c", "batchSize": 1{limit}}}"#);
        cursor_id(&db.ok(&find))
    };
    let (limited, free) = (open(r#", "maxTimeMS": 60000"#), open(""));
    let more = |id: i64| {
        db.run(&format!(
            r#"{{"getMore": {{"$numberLong": "{id}"}}, "collection": "c", "batchSize": 1}}"#
        ))
    };
    assert_eq!((code(&more(limited)), code(&more(free))), (0, 0));
    set(&db, "maxTimeAlwaysTimeOut", r#""alwaysOn""#, "{}");
    assert_eq!(code(&db.run(r#"{"find": "c", "maxTimeMS": 60000}"#)), 50);
    assert_eq!(code(&db.run(r#"{"find": "c"}"#)), 0);
    // A cursor takes the limit of the command that opened it along, and ends with it.
    assert_eq!((code(&more(limited)), code(&more(free))), (50, 0));
    set(&db, "maxTimeAlwaysTimeOut", r#""off""#, "{}");
    assert_eq!((code(&more(limited)), code(&more(free))), (43, 0));
}
