//! The comparison accepts the recorded reply and refuses every other one.

use headwater_engine::bson::DocBuf;
use headwater_engine::bson::extjson::parse_commands;
use headwater_scoreboard::compare::{Leniency, reply};

fn doc(text: &str) -> DocBuf {
    parse_commands(text).expect("a document")
}

fn passes(recorded: &str, ours: &str, unordered: bool) -> bool {
    let leniency = Leniency { unordered, cursors: &[] };
    reply(doc(recorded).as_doc(), doc(ours).as_doc(), leniency).difference.is_none()
}

#[test]
fn types_and_order_count() {
    let one = r#"{"values": [{"a": 1, "b": 2}], "ok": 1.0}"#;
    assert!(passes(one, one, false));
    assert!(passes(one, r#"{"values": [{"a": 1, "b": 2}], "ok": 1.0, "$clusterTime": {}}"#, false));
    for other in [
        r#"{"values": [{"b": 2, "a": 1}], "ok": 1.0}"#,
        r#"{"values": [{"a": 1.0, "b": 2}], "ok": 1.0}"#,
        r#"{"values": [{"a": 1, "b": 2}, null], "ok": 1.0}"#,
        r#"{"ok": 1.0, "values": [{"a": 1, "b": 2}]}"#,
        r#"{"values": [{"a": 1, "b": 2}], "ok": 1.0, "n": 1}"#,
        r#"{"values": [{"a": 1, "b": 2}], "ok": 1}"#,
        r#"{"ok": 0.0, "code": 1, "codeName": "InternalError", "errmsg": "x"}"#,
    ] {
        assert!(!passes(one, other, false), "{other}");
        assert!(!passes(one, other, true), "{other}");
    }
}

#[test]
fn unordered_replies_are_multisets() {
    let reply =
        |batch: &str| format!(r#"{{"cursor": {{"firstBatch": [{batch}], "id": 0}}, "ok": 1.0}}"#);
    let recorded = reply("1, 2, 2");
    assert!(passes(&recorded, &reply("2, 1, 2"), true));
    assert!(!passes(&recorded, &reply("2, 1, 2"), false));
    assert!(!passes(&recorded, &reply("2, 1, 1"), true));
    assert!(!passes(&recorded, &reply("2, 1"), true));
    assert!(!passes(&recorded, &reply("2, 1, 2, 2"), true));
}

#[test]
fn messages_are_judged_apart() {
    let recorded = r#"{"ok": 0.0, "code": 2, "codeName": "BadValue", "errmsg": "x"}"#;
    let ours = r#"{"ok": 0.0, "errmsg": "y", "code": 2, "codeName": "BadValue"}"#;
    let verdict = reply(doc(recorded).as_doc(), doc(ours).as_doc(), Leniency::default());
    assert!(verdict.difference.is_none(), "{verdict:?}");
    assert_eq!(verdict.messages, 1);
    assert_eq!(verdict.wrong_messages, [("x".to_owned(), "y".to_owned())]);
    let code = r#"{"ok": 0.0, "errmsg": "x", "code": 9, "codeName": "FailedToParse"}"#;
    assert!(!passes(recorded, code, false));
}
