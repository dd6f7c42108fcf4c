//! Why a document fails a validator: the recorded details, without a collection.

use headwater_engine::aggregate::expressions::Scope;
use headwater_engine::bson::Doc;
use headwater_engine::query::matcher::Matcher;

use super::recorded::{cases, doc, text};

/// The first document of an array.
fn first<'a>(doc: Doc<'a>, list: &str) -> Option<Doc<'a>> {
    doc.get(list)?.as_array()?.get(0)?.as_doc()
}

#[test]
fn recorded_details_are_given() {
    let mut tried = 0;
    for case in cases("write/validation") {
        let case = case.as_doc();
        let name = text(case, "name").unwrap_or_default();
        if !name.starts_with("write/validation/details/") {
            continue;
        }
        let validator = first(case, "setup").and_then(|create| doc(create, "validator")).unwrap();
        let inserted = doc(case, "command").and_then(|insert| first(insert, "documents")).unwrap();
        let error = doc(case, "reply").and_then(|reply| first(reply, "writeErrors")).unwrap();
        let details = doc(error, "errInfo").and_then(|info| doc(info, "details"));

        let mut scope = Scope::new(None, 0).unwrap();
        let matcher = Matcher::parse(validator, &mut scope).unwrap();
        assert!(!matcher.matches(inserted).unwrap(), "{name}");
        tried += 1;
        let failure = matcher.failure(inserted, &mut scope);
        assert_eq!(Some(failure.as_doc()), details, "{name}");
    }
    assert!(tried > 30, "only {tried} cases");
}
