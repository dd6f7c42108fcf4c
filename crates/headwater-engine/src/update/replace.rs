//! Replacement: the whole document but its `_id`.

use super::{Now, Outcome, UpdateOptions, text, upsert};
use crate::bson::{Doc, DocBuf, DocWriter, Raw, Type, equal};
use crate::error::{Code, Error, Result};

/// A document to replace others with.
#[derive(Debug)]
pub(super) struct Replacement {
    document: DocBuf,
}

impl Replacement {
    pub(super) fn parse(document: Doc<'_>, options: &UpdateOptions<'_>) -> Result<Replacement> {
        if options.multi {
            return Err(Error::new(
                Code::FAILED_TO_PARSE,
                "multi update is not supported for replacement-style update",
            ));
        }
        Ok(Replacement { document: document.to_buf() })
    }

    pub(super) fn apply(&self, old: Doc<'_>, now: &Now) -> Result<Outcome> {
        let document = self.insert(old, now)?;
        Ok(if document.as_doc() == old {
            Outcome::Unchanged
        } else {
            Outcome::Changed { document, description: None }
        })
    }

    /// The document that an upsert inserts: the replacement with the `_id` of its filter.
    pub(super) fn upsert(&self, seed: Doc<'_>, now: &Now) -> Result<DocBuf> {
        check_upserted_id(seed.get("_id"), self.document.as_doc().get("_id"))?;
        self.insert(seed, now)
    }

    /// The replacement with the `_id` of `old`, first; its own `_id` where `old` has none.
    fn insert(&self, old: Doc<'_>, now: &Now) -> Result<DocBuf> {
        let new = self.document.as_doc();
        check_names(new)?;
        let id = kept_id(old.get("_id"), new.get("_id"))?;
        let mut out = DocWriter::append_to(Vec::with_capacity(new.as_bytes().len() + 32));
        if let Some(id) = id {
            out.raw("_id", id);
        }
        for element in new.iter().filter(|element| element.name != b"_id") {
            let unset = element.value.kind == Type::Timestamp
                && element.value.data.iter().all(|byte| *byte == 0);
            if unset {
                out.timestamp(element.name_str(), now.timestamp);
            } else {
                out.raw_bytes(element.name, element.value);
            }
        }
        Ok(out.finish())
    }
}

/// The `_id` that the new document gets, if the new document's own agrees with the old one's.
pub(super) fn kept_id<'a>(old: Option<Raw<'a>>, new: Option<Raw<'a>>) -> Result<Option<Raw<'a>>> {
    let Some(id) = new else { return Ok(old) };
    upsert::check_id(id)?;
    match old {
        Some(old) if !equal(old, id) => Err(altered(id)),
        _ => Ok(Some(id)),
    }
}

/// Checks the `_id` of a document that an upsert makes against the one its filter says: before it is looked at itself.
///
/// # Errors
/// `NotSingleValueField` (54) for an array, `ImmutableField` (66).
pub(super) fn check_upserted_id(said: Option<Raw<'_>>, made: Option<Raw<'_>>) -> Result<()> {
    match (said, made) {
        (_, Some(made)) if made.kind == Type::Array => Err(Error::new(
            Code::NOT_SINGLE_VALUE_FIELD,
            "After applying the update to the document, the (immutable) field '_id' was found to be an array or array \
             descendant.",
        )),
        (Some(said), Some(made)) if !equal(said, made) => Err(altered(made)),
        _ => Ok(()),
    }
}

#[cold]
fn altered(id: Raw<'_>) -> Error {
    Error::new(
        Code::IMMUTABLE_FIELD,
        format!(
            "After applying the update, the (immutable) field '_id' was found to have been altered to {}",
            text::element("_id", id)
        ),
    )
}

fn check_names(doc: Doc<'_>) -> Result<()> {
    match doc.iter().find(|element| element.name.first() == Some(&b'$')) {
        Some(element) => Err(dollar_name(element.name_str(), element.name_str())),
        None => Ok(()),
    }
}

/// The error of a field whose name starts with `$` where none may.
#[cold]
pub(super) fn dollar_name(name: &str, path: &str) -> Error {
    Error::new(
        Code::DOLLAR_PREFIXED_FIELD_NAME,
        format!(
            "The dollar ($) prefixed field '{name}' in '{path}' is not allowed in the context of an update's \
             replacement document. Consider using an aggregation pipeline with $replaceWith."
        ),
    )
}
