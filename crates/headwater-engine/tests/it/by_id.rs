//! Documents by `_id`: the right one of the moment, whatever has been written in between.

use std::collections::BTreeMap;

use headwater_engine::bson::{Raw, View};

use crate::commands::{Session, batch, number};
use crate::query::model::Source;

/// Ways to write the same few ids: equal ones stand beside each other, whatever their type or letter case.
const IDS: [[&str; 2]; 4] =
    [["1", "1.0"], ["2", r#"{"$numberLong": "2"}"#], [r#""a""#, r#""A""#], ["null", "null"]];

/// What a collection holds, by the place of the id in [`IDS`].
type Model = BTreeMap<usize, i64>;

fn find(db: &Session, collection: &str, id: &str, concern: &str) -> Option<i64> {
    let find = format!(r#"{{"find": "{collection}", "filter": {{"_id": {id}}}{concern}}}"#);
    batch(&db.ok(&find)).first().map(|found| number(found.as_doc().get("n")))
}

/// The moment of now, for reading at it later.
fn moment(db: &Session) -> String {
    let reply = db.ok(r#"{"find": "c", "readConcern": {"level": "snapshot"}}"#);
    let cursor = reply.as_doc().get("cursor").and_then(Raw::as_doc).unwrap();
    let Some(View::Timestamp(time)) = cursor.get("atClusterTime").map(Raw::view) else {
        panic!("no time: {reply:?}")
    };
    let (seconds, nth) = (time >> 32, time & 0xffff_ffff);
    format!(
        r#", "readConcern": {{"level": "snapshot", "atClusterTime": {{"$timestamp": {{"t": {seconds}, "i": {nth}}}}}}}"#
    )
}

#[test]
fn the_document_of_an_id_is_that_of_the_moment() {
    let db = Session::new();
    let collections = ["c", "d"];
    let strength = r#""collation": {"locale": "en", "strength": 2}"#;
    for name in collections {
        db.ok(&format!(r#"{{"create": "{name}", {strength}}}"#));
    }
    let mut random = Source(7);
    let mut models = [Model::new(), Model::new()];
    let mut past: Option<(String, [Model; 2])> = None;
    for n in 0..2000_i64 {
        let at = random.below(collections.len());
        let (name, model) = (collections[at], &mut models[at]);
        let which = random.below(IDS.len());
        let id = IDS[which][random.below(2)];
        match random.below(5) {
            0 if !model.contains_key(&which) => {
                let insert =
                    format!(r#"{{"insert": "{name}", "documents": [{{"_id": {id}, "n": {n}}}]}}"#);
                assert_eq!(number(db.ok(&insert).as_doc().get("n")), 1, "{insert}");
                model.insert(which, n);
            }
            1 => {
                let delete = format!(
                    r#"{{"delete": "{name}", "deletes": [{{"q": {{"_id": {id}}}, "limit": 1}}]}}"#
                );
                let gone = i64::from(model.remove(&which).is_some());
                assert_eq!(number(db.ok(&delete).as_doc().get("n")), gone, "{delete}");
            }
            2 => {
                let update = format!(
                    r#"{{"update": "{name}", "updates": [{{"q": {{"_id": {id}}}, "u": {{"$set": {{"n": {n}}}}}}}]}}"#
                );
                let met = model.get_mut(&which).map(|held| *held = n).is_some();
                assert_eq!(number(db.ok(&update).as_doc().get("n")), i64::from(met), "{update}");
            }
            3 if n % 100 < 5 => past = Some((moment(&db), models.clone())),
            _ => assert_eq!(find(&db, name, id, ""), model.get(&which).copied(), "{name} {id}"),
        }
        if let Some((concern, models)) = &past {
            assert_eq!(
                find(&db, name, id, concern),
                models[at].get(&which).copied(),
                "{name} {id}"
            );
        }
    }
}
