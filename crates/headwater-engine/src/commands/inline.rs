//! What a connection's own thread leaves to others: commands that compute. One that names a document by its `_id` and
//! takes or changes fields of it is over at once; an expression may take any time, and nobody could see or end it there.
//! Knows nothing of what the expressions do: that there may be some is enough.

use super::Fields;
use crate::bson::{Doc, Type};

/// Whether a filter has operators at its top: `$expr` is one, and may hide in others.
pub(super) fn filter_computes(filter: Doc<'_>) -> bool {
    filter.iter().any(|field| field.name.starts_with(b"$"))
}

/// Whether a command that names its documents may evaluate expressions: in its projection, in an update that is a
/// pipeline, or in variables.
pub(super) fn computes(fields: Fields<'_>) -> bool {
    let shapes = |name| {
        let projection = fields.raw(name).and_then(|raw| raw.as_doc());
        projection.is_some_and(|spec| {
            spec.iter().any(|field| matches!(field.value.kind, Type::Document | Type::String))
        })
    };
    let is_pipeline = || fields.raw("update").is_some_and(|update| update.kind == Type::Array);
    fields.raw("let").is_some() || shapes("projection") || shapes("fields") || is_pipeline()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bson::extjson::parse as parse_document;

    #[test]
    fn whatever_may_hold_an_expression_computes() {
        let computing = [
            r#"{"find": "c", "projection": {"a": {"$add": [1, 2]}}}"#,
            r#"{"find": "c", "projection": {"a": "$b"}}"#,
            r#"{"find": "c", "let": {"a": 1}}"#,
            r#"{"findAndModify": "c", "fields": {"a": "$b"}}"#,
            r#"{"findAndModify": "c", "update": [{"$set": {"a": 1}}]}"#,
        ];
        let plain = [
            r#"{"find": "c", "projection": {"a": 1}}"#,
            r#"{"findAndModify": "c", "update": {"$set": {"a": 1}}}"#,
        ];
        for (commands, expected) in [(&computing[..], true), (&plain[..], false)] {
            for command in commands {
                let command = parse_document(command).unwrap();
                assert_eq!(computes(Fields::new(command.as_doc(), "find")), expected);
            }
        }
        let computes = |filter| filter_computes(parse_document(filter).unwrap().as_doc());
        assert!(computes(r#"{"_id": 1, "$expr": true}"#));
        assert!(computes(r#"{"_id": 1, "$and": [{"$expr": true}]}"#));
        assert!(!computes(r#"{"_id": 1, "a": {"$gt": 1}}"#));
    }
}
