//! The key pattern of an index: what it may be.

use crate::bson::key::Direction;
use crate::bson::{Doc, Number, Raw, Type};
use crate::error::{Code, Error, Result};
use crate::index::INDEX_KINDS;
use crate::limits::KEY_FIELDS_MAX;

/// How a wildcard's path ends.
pub(in crate::index) const WILDCARD: &str = "$**";
/// What the kind of index is called whose path ends so.
const WILDCARD_PLUGIN: &str = "wildcard";
/// Kinds of indexes that MongoDB once made.
const NO_LONGER: [&str; 3] = ["columnstore", "geoHaystack", "queryable_encrypted_range"];

/// The direction that a value of a key pattern asks for.
pub(super) fn direction(value: Raw<'_>) -> Direction {
    match Number::from_raw(value) {
        Some(number) if number.to_f64() < 0.0 => Direction::Descending,
        _ => Direction::Ascending,
    }
}

/// Whether a key pattern is that of an index on `_id` alone, ascending or descending, fractions cut off.
pub(super) fn is_on_id(key: Doc<'_>) -> bool {
    let whole = |value: Raw<'_>| Number::from_raw(value).map(Number::to_i64_truncated);
    let mut elements = key.iter();
    let first = elements.next();
    elements.next().is_none()
        && first.is_some_and(|e| e.name == b"_id" && matches!(whole(e.value), Some(Some(1 | -1))))
}

/// Whether a key pattern is that of the `_id` index.
pub(super) fn is_id(key: Doc<'_>) -> bool {
    let is_one = |value: Raw<'_>| Number::from_raw(value).is_some_and(|n| n.to_f64() == 1.0);
    is_on_id(key) && key.first().is_some_and(|e| is_one(e.value))
}

/// The path of a key pattern that stands for several, if it is that of a wildcard index.
pub(super) fn wildcard_path(key: Doc<'_>) -> Option<&str> {
    if plugin(key) != Some(WILDCARD_PLUGIN) {
        return None;
    }
    key.iter().map(|element| element.name_str()).find(|path| is_wildcard(path))
}

/// Whether a path of a key pattern stands for all paths, or all below one.
pub(in crate::index) fn is_wildcard(path: &str) -> bool {
    path == WILDCARD || path.strip_suffix(WILDCARD).is_some_and(|head| head.ends_with('.'))
}

/// The kind of index that a key pattern asks for; `None` for a plain one.
fn plugin(key: Doc<'_>) -> Option<&str> {
    let named = key.iter().filter_map(|element| match element.value.as_str() {
        None => is_wildcard(element.name_str()).then_some(WILDCARD_PLUGIN),
        named => named,
    });
    named.last()
}

/// Checks a key pattern by itself, and whether a wildcard in it needs a projection that is not there.
///
/// # Errors
/// `CannotCreateIndex` (67), 13103, and codes of wildcards in the wrong place; 'not supported' for kinds of later
/// versions.
pub(super) fn check(key: Doc<'_>, has_projection: bool) -> Result<()> {
    if key.is_empty() {
        return wrong("Index keys cannot be empty.");
    }
    if key.iter().count() > KEY_FIELDS_MAX {
        return Err(Error::location(13103, "too many compound keys"));
    }
    let plugin = plugin(key);
    let is_known = |kind: &str| {
        NO_LONGER.contains(&kind) || INDEX_KINDS.iter().any(|(known, _)| *known == kind)
    };
    if let Some(kind) = plugin.filter(|kind| !kind.is_empty() && !is_known(kind)) {
        return wrong(format!("Unknown index plugin '{kind}'"));
    }
    for element in key {
        check_value(element.value, plugin)?;
        check_path(element.name_str(), element.value)?;
    }
    check_wildcard(key, plugin, has_projection)?;
    match plugin {
        Some("") => wrong("Values in the index key pattern cannot be empty strings"),
        Some("geoHaystack") => {
            wrong("GeoHaystack indexes cannot be created in version 5.0 and above")
        }
        Some("queryable_encrypted_range") => wrong("EncryptedRange indexes cannot be created"),
        Some(kind) if INDEX_KINDS.contains(&(kind, false)) => {
            Err(Error::not_supported(format!("the index type '{kind}'")))
        }
        _ => Ok(()),
    }
}

/// Refuses kinds that are no longer made, once everything else is in order.
///
/// # Errors
/// `NotImplemented` (238).
pub(super) fn check_made(key: Doc<'_>) -> Result<()> {
    match plugin(key) {
        Some("columnstore") => {
            let why = "Columnstore indexes can no longer be created";
            Err(Error::new(Code::NOT_IMPLEMENTED, why))
        }
        _ => Ok(()),
    }
}

fn wrong<T>(why: impl Into<String>) -> Result<T> {
    Err(Error::new(Code::CANNOT_CREATE_INDEX, why))
}

fn check_value(value: Raw<'_>, plugin: Option<&str>) -> Result<()> {
    match value.kind {
        Type::String if value.as_str() != plugin => {
            wrong("Can't use more than one index plugin for a single index.")
        }
        Type::String => Ok(()),
        kind if kind.is_number() => match Number::from_raw(value).map(Number::to_f64) {
            Some(0.0) => wrong("Values in the index key pattern cannot be 0."),
            Some(number) if number.is_nan() => {
                wrong("Values in the index key pattern cannot be NaN.")
            }
            _ => Ok(()),
        },
        kind => wrong(format!(
            "Values in v:2 index key pattern cannot be of type {}. Only numbers > 0, numbers < 0, and strings are allowed.",
            kind.alias()
        )),
    }
}

fn check_path(path: &str, value: Raw<'_>) -> Result<()> {
    if path.is_empty() {
        return wrong("Index keys cannot be an empty field.");
    }
    if path == "_fts" && value.as_str() != Some("text") {
        return wrong("Index key contains an illegal field name: '_fts'");
    }
    let is_plugin = value.as_str().is_some();
    let of_wildcard =
        if is_wildcard(path) && !is_plugin { path.strip_suffix(WILDCARD) } else { None };
    let rest = match of_wildcard {
        Some("") => return Ok(()),
        Some(head) => head.strip_suffix('.').unwrap_or(head),
        None => path,
    };
    if rest.split('.').any(str::is_empty) {
        return wrong("Index keys cannot contain an empty field.");
    }
    // The names of a database reference are allowed below another.
    let of_reference = |at: usize, part: &str| at > 0 && matches!(part, "$id" | "$ref" | "$db");
    let illegal = |(at, part): (usize, &str)| part.starts_with('$') && !of_reference(at, part);
    if rest.split('.').enumerate().any(illegal) {
        return wrong("Index key contains an illegal field name: field name starts with '$'.");
    }
    Ok(())
}

fn check_wildcard(key: Doc<'_>, plugin: Option<&str>, has_projection: bool) -> Result<()> {
    let (wildcards, others): (Vec<&str>, Vec<&str>) =
        key.iter().map(|element| element.name_str()).partition(|path| is_wildcard(path));
    let head = match wildcards.as_slice() {
        [] if plugin == Some(WILDCARD_PLUGIN) => {
            let message = "No wildcard index field is specified for the wildcard index";
            return Err(Error::location(7_246_202, message));
        }
        [] => return Ok(()),
        [path] => path.strip_suffix(WILDCARD).and_then(|head| head.strip_suffix('.')),
        _ => {
            let message = "Index Key can contain only one wildcard index field";
            return Err(Error::location(7_246_201, message));
        }
    };
    if plugin != Some(WILDCARD_PLUGIN) {
        return wrong("Can't use more than one index plugin for a single index.");
    }
    let Some(head) = head else {
        return match others.is_empty() || has_projection {
            true => Ok(()),
            false => wrong(
                "Compound wildcard indexes on all fields must also specify 'wildcardProjection' option",
            ),
        };
    };
    match others.iter().find(|other| is_at_or_below(other, head)) {
        None => Ok(()),
        Some(other) => Err(Error::location(
            7_246_204,
            format!(
                "A wildcard index field should not overlap with and index key fields if wildcard projection is empty, however '{other}' is overlapping with the wildcard index field."
            ),
        )),
    }
}

/// Whether a path is `head` or below it.
pub(super) fn is_at_or_below(path: &str, head: &str) -> bool {
    path.strip_prefix(head).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
