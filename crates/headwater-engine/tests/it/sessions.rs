//! Sessions and cursors as clients see them: what is listed, what a `getMore` must repeat.

use headwater_engine::bson::{DocBuf, Raw};

use crate::commands::{Session, batch, cursor_id, text};

const LIST: &str =
    r#"{"aggregate": 1, "pipeline": [{"$listLocalSessions": {"allUsers": true}}], "cursor": {}}"#;

fn id_of(doc: &DocBuf, name: &str) -> Vec<u8> {
    let id = doc.as_doc().get(name).and_then(Raw::as_doc).and_then(|id| id.get("id"));
    id.unwrap().data.to_vec()
}

#[test]
fn started_sessions_are_listed_until_they_end() {
    let db = Session::new();
    assert!(db.batch(LIST).is_empty());
    let started = db.ok(r#"{"startSession": 1}"#);
    let listed = db.batch(LIST);
    assert_eq!(listed.len(), 1);
    assert_eq!(id_of(&listed[0], "_id"), id_of(&started, "id"));
    assert!(listed[0].as_doc().get("lastUse").is_some());
    let known =
        r#"{"refreshSessions": [{"id": {"$uuid": "00112233-4455-6677-8899-aabbccddeeff"}}]}"#;
    db.ok(known);
    assert_eq!(db.batch(LIST).len(), 2);
    db.ok(&known.replace("refreshSessions", "endSessions"));
    assert_eq!(db.batch(LIST).len(), 1);
    let of_user = LIST.replace(r#""allUsers": true"#, r#""users": [{"user": "a", "db": "b"}]"#);
    assert!(db.batch(&of_user).is_empty());
}

#[test]
fn local_sessions_are_of_no_collection() {
    let db = Session::new();
    let reply = db.run(&LIST.replace(r#""aggregate": 1"#, r#""aggregate": "c""#));
    assert_eq!(text(&reply, "codeName"), "InvalidNamespace", "{reply:?}");
}

#[test]
fn a_get_more_says_the_same_of_the_stable_api() {
    let db = Session::new();
    db.ok(r#"{"insert": "c", "documents": [{"_id": 1}, {"_id": 2}]}"#);
    let strict = r#""apiVersion": "1", "apiStrict": true"#;
    let reply = db.ok(&format!(r#"{{"find": "c", "batchSize": 1, {strict}}}"#));
    let id = cursor_id(&reply);
    let more = format!(r#""getMore": {{"$numberLong": "{id}"}}, "collection": "c""#);
    let refused = db.run(&format!("{{{more}}}"));
    assert_eq!(
        text(&refused, "errmsg"),
        "API parameter mismatch: getMore used params {}, the cursor-creating command used { apiVersion: \"1\", apiStrict: true }"
    );
    assert_eq!(text(&refused, "codeName"), "APIMismatchError");
    assert_eq!(batch(&db.ok(&format!("{{{more}, {strict}}}"))).len(), 1);
}

#[test]
fn all_sessions_stand_in_the_collection_of_sessions() {
    let db = Session::new();
    let list =
        r#"{"aggregate": "system.sessions", "pipeline": [{"$listSessions": {}}], "cursor": {}}"#;
    let started = db.ok(r#"{"startSession": 1}"#);
    let listed = batch(&db.run_in("config", list));
    assert_eq!(listed.len(), 1);
    assert_eq!(id_of(&listed[0], "_id"), id_of(&started, "id"));
    assert_eq!(text(&db.run(list), "codeName"), "InvalidNamespace");
    let behind = list.replace("[{", r#"[{"$match": {}}, {"#);
    assert_eq!(text(&db.run_in("config", &behind), "codeName"), "Location40602");
}

#[test]
fn what_was_never_recorded_is_not_listed() {
    let db = Session::new();
    for stage in ["$listSampledQueries", "$querySettings", "$queryStats"] {
        let list =
            format!(r#"{{"aggregate": 1, "pipeline": [{{"{stage}": {{}}}}], "cursor": {{}}}}"#);
        assert!(batch(&db.run_in("admin", &list)).is_empty());
        assert_eq!(text(&db.run(&list), "codeName"), "InvalidNamespace", "{stage}");
        let unknown = list.replace("{}}]", r#"{"x": 1}}]"#);
        assert_eq!(text(&db.run_in("admin", &unknown), "codeName"), "IDLUnknownField", "{stage}");
    }
}
