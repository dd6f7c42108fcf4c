//! What a stage wants of the documents before it, as far as the text of its expressions tells. Knows no stage: it takes
//! every string that begins with `$` for a field that is read, literals and names of accumulators' arguments included.

use crate::bson::{Doc, Raw, Type};
use crate::query::path::Path;
use crate::query::plan::Wants;

/// Operators that read fields which no path names: by plain name, or as the order of documents.
const READ_MORE: [&[u8]; 10] = [
    b"$accumulator",
    b"$bottom",
    b"$bottomN",
    b"$function",
    b"$getField",
    b"$meta",
    b"$setField",
    b"$top",
    b"$topN",
    b"$unsetField",
];
/// Values that are the whole document, and such as may be.
const WHOLE: [&str; 2] = ["$$ROOT", "$$CURRENT"];
/// Fields beyond which nobody asks an index for them.
const FIELDS_MAX: usize = 32;

/// What evaluating the expressions in `raw` reads of a document: the values at some paths, the most that may be of use, or
/// all of it.
pub(in crate::aggregate) fn by(raw: Raw<'_>) -> Wants {
    let mut paths = Vec::new();
    match collect(raw, &mut paths) {
        true if paths.is_empty() => Wants::Count,
        true => Wants::Fields(paths),
        false => Wants::Documents,
    }
}

/// Adds the paths that are read; false if more than paths tell is.
fn collect(raw: Raw<'_>, paths: &mut Vec<String>) -> bool {
    let inside = |doc: Doc<'_>, paths: &mut Vec<String>| {
        doc.iter().all(|e| !READ_MORE.contains(&e.name) && collect(e.value, paths))
    };
    match raw.kind {
        Type::String => raw.as_str().is_some_and(|text| read(text, paths)),
        Type::Document => raw.as_doc().is_some_and(|doc| inside(doc, paths)),
        Type::Array => {
            raw.as_array().is_some_and(|array| array.iter().all(|item| collect(item, paths)))
        }
        _ => true,
    }
}

fn read(text: &str, paths: &mut Vec<String>) -> bool {
    if text.starts_with("$$") {
        return !WHOLE.iter().any(|whole| text.starts_with(whole));
    }
    let Some(path) = text.strip_prefix('$') else { return true };
    if Path::parse(path).is_err() {
        return false;
    }
    if !paths.iter().any(|known| known == path) {
        paths.push(path.to_owned());
    }
    paths.len() <= FIELDS_MAX
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bson::extjson;

    fn of(text: &str) -> Wants {
        by(extjson::parse(text).unwrap().as_doc().as_raw())
    }

    #[test]
    fn every_field_that_may_be_read_is_named() {
        let fields = |paths: &[&str]| Wants::Fields(paths.iter().map(|&p| p.to_owned()).collect());
        assert_eq!(of(r#"{"_id": null, "n": {"$sum": 1}}"#), Wants::Count);
        assert_eq!(of(r#"{"_id": "$a.b", "n": {"$sum": "$c"}}"#), fields(&["a.b", "c"]));
        let nested = r#"{"_id": {"$cond": [{"$gt": ["$x", 1]}, "$$NOW", {"k": "$y"}]}, "m": {"$max": "$x"}}"#;
        assert_eq!(of(nested), fields(&["x", "y"]));
        let top = r#"{"$top": {"output": "$b", "sortBy": {"c": 1}}}"#;
        for whole in ["\"$$ROOT\"", "\"$$CURRENT.a\"", r#"{"$getField": "a"}"#, top] {
            let text = format!(r#"{{"_id": "$a", "m": {{"$push": {whole}}}}}"#);
            assert_eq!(of(&text), Wants::Documents, "{text}");
        }
    }
}
