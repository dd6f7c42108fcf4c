//! What `validate` finds: index entries that are missing or too many, put there behind the engine's back.

use std::ops::Bound;
use std::path::Path;

use headwater_engine::bson::{Doc, DocBuf, Raw};
use headwater_engine::{Engine, EngineOptions};
use headwater_store::{Direction, Operation, Options, Read, Store, Table};

use crate::commands::{Session, number, text_of};

const INDEX: Table = Table(2);

fn open(folder: &Path) -> Session {
    let options = EngineOptions::default();
    Session::on(Engine::open(folder, options).unwrap())
}

/// Changes the entries of the newest index: all its keys with their values, in order.
fn tamper(folder: &Path, change: impl FnOnce(&mut Operation<'_, '_>, &[(Vec<u8>, Vec<u8>)])) {
    let store = Store::open(folder, Options::default()).unwrap();
    {
        let mut all = Vec::new();
        let snapshot = store.snapshot().unwrap();
        let both = (Bound::Unbounded, Bound::Unbounded);
        let mut cursor = snapshot.range(INDEX, both.0, both.1, Direction::Forward).unwrap();
        while let Some((key, value)) = cursor.next().unwrap() {
            all.push((key.to_vec(), value.to_vec()));
        }
        let last = all.last().unwrap().0[..4].to_vec();
        all.retain(|(key, _)| key.starts_with(&last));
        let mut writer = store.writer().unwrap();
        let mut op = writer.begin();
        change(&mut op, &all);
        op.commit(0, b"").unwrap();
    }
    store.close().unwrap();
}

fn texts(reply: &DocBuf, name: &str) -> Vec<String> {
    let rows = reply.as_doc().get(name).and_then(Raw::as_array).unwrap();
    rows.iter().filter_map(Raw::as_str).map(str::to_owned).collect()
}

fn rows(reply: &DocBuf, name: &str) -> Vec<String> {
    let rows = reply.as_doc().get(name).and_then(Raw::as_array).unwrap();
    rows.iter().filter_map(Raw::as_doc).map(|row| text_of(&row.to_buf())).collect()
}

fn is_valid(doc: Option<Doc<'_>>) -> bool {
    doc.unwrap().get("valid").and_then(Raw::as_bool).unwrap()
}

/// Both ways for each kind of index whose entries are kept in another form.
#[test]
fn missing_and_extra_entries_are_named() {
    for (spec, unique) in [
        (r#""key": {"a": 1}, "name": "i""#, false),
        (r#""key": {"a": -1}, "name": "i", "unique": true"#, true),
        (r#""key": {"a": 1}, "name": "i", "partialFilterExpression": {"a": {"$gt": 0}}"#, false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let session = open(folder.path());
        session.ok(r#"{"insert": "c", "documents": [{"_id": 1, "a": 10}, {"_id": 2, "a": 20}, {"_id": 3, "a": 30}]}"#);
        session.ok(&format!(r#"{{"createIndexes": "c", "indexes": [{{{spec}}}]}}"#));
        let reply = session.ok(r#"{"validate": "c", "full": true}"#);
        assert!(is_valid(Some(reply.as_doc())), "{reply:?}");
        session.close();
        drop(session);
        // The entry of 20 goes; that of the last in order comes again for a record that is not there.
        tamper(folder.path(), |op, all| {
            assert_eq!(all.len(), 3);
            op.delete(INDEX, &all[1].0).unwrap();
            let (mut key, mut value) = all[2].clone();
            match unique {
                true => {
                    // Another key: the same one is there once only.
                    let at = key.len() - 2;
                    key[at] ^= 1;
                    *value.last_mut().unwrap() = 77;
                }
                false => *key.last_mut().unwrap() = 77,
            }
            op.put(INDEX, &key, &value).unwrap();
        });
        let session = open(folder.path());
        let reply = session.ok(r#"{"validate": "c"}"#);
        let doc = reply.as_doc();
        assert!(!is_valid(Some(doc)), "{reply:?}");
        let missing = r#"{"indexName":"i","recordId":{"$numberLong":"2"},"idKey":{"_id":{"$numberInt":"2"}},"indexKey":{"a":{"$numberInt":"20"}}}"#;
        assert_eq!(rows(&reply, "missingIndexEntries"), [missing]);
        let extra = rows(&reply, "extraIndexEntries");
        assert_eq!(extra.len(), 1, "{reply:?}");
        let begins = r#"{"indexName":"i","recordId":{"$numberLong":"77"},"indexKey":{"#;
        assert!(extra[0].starts_with(begins), "{extra:?}");
        assert!(unique || extra[0].contains(r#""a":{"$numberInt":"30"}"#), "{extra:?}");
        assert_eq!(texts(&reply, "errors"), ["Index with name 'i' has inconsistencies."]);
        let warned = ["Detected 1 missing index entries.", "Detected 1 extra index entries."];
        assert_eq!(texts(&reply, "warnings"), warned);
        let details = doc.get("indexDetails").and_then(Raw::as_doc).unwrap();
        assert!(!is_valid(details.get("i").and_then(Raw::as_doc)));
        assert!(is_valid(details.get("_id_").and_then(Raw::as_doc)));
        let keys = doc.get("keysPerIndex").and_then(Raw::as_doc).unwrap();
        assert_eq!(number(keys.get("i")), 3);
    }
}

#[test]
fn options_that_exclude_each_other_are_refused() {
    let session = Session::new();
    session.ok(r#"{"create": "c"}"#);
    for options in [r#""full": true, "background": true"#, r#""metadata": true, "full": true"#] {
        let reply = session.run(&format!(r#"{{"validate": "c", {options}}}"#));
        assert_eq!(number(reply.as_doc().get("code")), 72, "{reply:?}");
    }
    session.ok(r#"{"validate": "c", "background": true, "checkBSONConformance": true}"#);
}

#[test]
fn options_that_exclude_each_other_are_refused_and_the_catalog_is_checked_alone() {
    let db = Session::new();
    db.ok(r#"{"insert": "c", "documents": [{"_id": 1, "a": 1}]}"#);
    let code = |options: &str| {
        let reply = db.run(&format!(r#"{{"validate": "c", {options}}}"#));
        reply.as_doc().get("code").map_or(0, |code| number(Some(code)))
    };
    for (options, expected) in [
        (r#""full": true"#, 0),
        (r#""background": true"#, 0),
        (r#""enforceFastCount": true"#, 0),
        (r#""full": true, "background": true"#, 72),
        (r#""enforceFastCount": true, "background": true"#, 72),
        (r#""metadata": true, "full": true"#, 72),
        (r#""metadata": true, "checkBSONConformance": true"#, 72),
        (r#""checkBSONConformance": true, "repair": true"#, 72),
        (r#""checkBSONConformance": true, "background": true"#, 0),
        (r#""repair": true"#, 72),
        (r#""fixMultikey": true, "background": true"#, 72),
        (r#""fixMultikey": true"#, 115),
        (r#""foo": true"#, 40415),
    ] {
        assert_eq!(code(options), expected, "{options}");
    }
    let reply = db.ok(r#"{"validate": "c", "metadata": true}"#);
    assert_eq!(reply.as_doc().get("valid").and_then(Raw::as_bool), Some(true), "{reply:?}");
    assert!(reply.as_doc().get("nrecords").is_none(), "no document is looked at: {reply:?}");
}

#[test]
fn documents_that_break_rules_of_bson_are_counted_when_that_is_asked() {
    let db = Session::new();
    db.ok(
        r#"{"insert": "c", "documents": [{"_id": 1, "a": [1, {"b": [2]}], "u": {"$uuid": "00112233-4455-6677-8899-aabbccddeeff"}},
            {"_id": 2, "u": {"$binary": {"base64": "AAE=", "subType": "04"}}}, {"_id": 3, "a": [{"m": {"$binary": {"base64": "AAE=", "subType": "05"}}}]}]}"#,
    );
    for (option, expected) in [("", 0), (r#", "checkBSONConformance": true"#, 2)] {
        let reply = db.ok(&format!(r#"{{"validate": "c"{option}}}"#));
        assert_eq!(number(reply.as_doc().get("nNonCompliantDocuments")), expected, "{reply:?}");
        assert_eq!(reply.as_doc().get("valid").and_then(Raw::as_bool), Some(true));
        assert_eq!(texts(&reply, "warnings").len(), usize::from(expected > 0));
    }
}
