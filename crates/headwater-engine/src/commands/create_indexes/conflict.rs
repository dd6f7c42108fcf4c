//! Whether a specification is that of an index which is there already, or is in its way.

use crate::aggregate::expressions::document_text;
use crate::bson::{Doc, Raw};
use crate::error::{Code, Error, Result};
use crate::index::{Index, index_of, normal_projection};
use crate::query::plan::eligible::implies;
use crate::query::plan::same_pattern;

/// How a specification stands to that of an index.
pub(super) enum Same {
    /// Both may be.
    No,
    /// They ask for the same.
    Identical,
}

/// The name that a specification gives.
pub(super) fn name_of(spec: Doc<'_>) -> &str {
    spec.get("name").and_then(Raw::as_str).unwrap_or_default()
}

/// The key pattern of a specification.
pub(super) fn key_of(spec: Doc<'_>) -> Doc<'_> {
    spec.get("key").and_then(Raw::as_doc).unwrap_or(Doc::EMPTY)
}

/// Compares a new specification with one that is there.
///
/// # Errors
/// `IndexOptionsConflict` (85), `IndexKeySpecsConflict` (86).
pub(super) fn conflict(new: Doc<'_>, old: Doc<'_>) -> Result<Same> {
    let same_name = name_of(new) == name_of(old);
    let same_identity = same_identity(new, old);
    let shown = || {
        let (new, old) = (document_text(new), document_text(old));
        format!("Requested index: {new}, existing index: {old}")
    };
    let options = |which: &str| {
        let message =
            format!("An equivalent index already exists with {which} options. {}", shown());
        Err(Error::new(Code::INDEX_OPTIONS_CONFLICT, message))
    };
    match (same_name, same_identity) {
        (true, true) if same_options(new, old) => Ok(Same::Identical),
        (true, true) => options("the same name but different"),
        (true, false) => Err(Error::new(
            Code::INDEX_KEY_SPECS_CONFLICT,
            format!(
                "An existing index has the same name as the requested index. When index names are not specified, they are auto generated and can cause conflicts. Please refer to our documentation. {}",
                shown()
            ),
        )),
        (false, true) if same_options(new, old) => Err(Error::new(
            Code::INDEX_OPTIONS_CONFLICT,
            format!("Index already exists with a different name: {}", name_of(old)),
        )),
        (false, true) => options("a different name and"),
        (false, false) => Ok(Same::No),
    }
}

fn on(spec: Doc<'_>, option: &str) -> bool {
    spec.get(option).and_then(Raw::as_bool).unwrap_or(false)
}

/// Whether two specifications agree in what tells one index from another.
fn same_identity(new: Doc<'_>, old: Doc<'_>) -> bool {
    // The collections that `$out` makes name the simple collation, which is the same as none.
    let collation = |spec: Doc<'_>| {
        let given = spec.get("collation").and_then(Raw::as_doc)?;
        let is_simple = given.get("locale").and_then(Raw::as_str) == Some("simple");
        (!is_simple).then(|| given.to_buf())
    };
    if !same_pattern(key_of(new), key_of(old))
        || collation(new) != collation(old)
        || ["unique", "sparse"].iter().any(|option| on(new, option) != on(old, option))
    {
        return false;
    }
    if normal_projection(new) != normal_projection(old) {
        return false;
    }
    if [new, old].iter().all(|spec| spec.get("partialFilterExpression").is_none()) {
        return true;
    }
    let (Some(new), Some(old)) = (index_of(0, new), index_of(0, old)) else { return false };
    same_filter(&new, &old)
}

/// Whether two indexes hold the same documents: the filter of each implies that of the other.
fn same_filter(new: &Index, old: &Index) -> bool {
    match (&new.partial, &old.partial) {
        (Some(new), Some(old)) => implies(Some(new), old) && implies(Some(old), new),
        (new, old) => new.is_none() && old.is_none(),
    }
}

/// Whether two specifications agree in what may be different only for different indexes.
fn same_options(new: Doc<'_>, old: Doc<'_>) -> bool {
    let value = |spec: Doc<'_>, option: &str| spec.get(option).map(|value| value.data.to_vec());
    let same = |option: &&str| value(new, option) == value(old, option);
    ["expireAfterSeconds", "storageEngine"].iter().all(same)
        && ["hidden", "prepareUnique"].iter().all(|option| on(new, option) == on(old, option))
}
