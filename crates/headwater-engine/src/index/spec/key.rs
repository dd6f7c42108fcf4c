//! The key pattern of an index: what it may be.

use std::collections::BTreeSet;

use crate::bson::key::Direction;
use crate::bson::{Doc, Number, Raw, Type};
use crate::error::{Code, Error, Result};
use crate::index::INDEX_KINDS;
use crate::limits::KEY_FIELDS_MAX;

/// How a wildcard's path ends.
pub(in crate::index) const WILDCARD: &str = "$**";

/// The direction that a value of a key pattern asks for.
pub(super) fn direction(value: Raw<'_>) -> Direction {
    match Number::from_raw(value) {
        Some(number) if number.to_f64() < 0.0 => Direction::Descending,
        _ => Direction::Ascending,
    }
}

/// Whether a key pattern is that of the `_id` index.
pub(super) fn is_id(key: Doc<'_>) -> bool {
    let mut elements = key.iter();
    let first = elements.next();
    elements.next().is_none()
        && first.is_some_and(|e| {
            e.name == b"_id" && Number::from_raw(e.value).is_some_and(|n| n.to_f64() == 1.0)
        })
}

/// Whether a path of a key pattern stands for all paths, or all below one.
pub(in crate::index) fn is_wildcard(path: &str) -> bool {
    path == WILDCARD || path.strip_suffix(WILDCARD).is_some_and(|head| head.ends_with('.'))
}

/// Checks a key pattern by itself.
///
/// # Errors
/// `CannotCreateIndex` (67), 13103, and codes of wildcards in the wrong place; 'not supported' for kinds of later
/// versions.
pub(super) fn check(key: Doc<'_>) -> Result<()> {
    if key.is_empty() {
        return wrong("Index keys cannot be an empty object.");
    }
    if key.iter().count() > KEY_FIELDS_MAX {
        return Err(Error::location(13103, "too many compound keys"));
    }
    for element in key {
        check_value(element.value)?;
        check_path(element.name_str(), element.value.as_str().is_some())?;
    }
    let plugins: BTreeSet<&str> = key.iter().filter_map(|e| e.value.as_str()).collect();
    let wildcards = key.iter().filter(|e| is_wildcard(e.name_str())).count();
    if wildcards > 1 {
        let message = "Index Key can contain only one wildcard index field";
        return Err(Error::location(7_246_201, message));
    }
    if plugins.contains("wildcard") && wildcards == 0 {
        let message = "No wildcard index field is specified for the wildcard index";
        return Err(Error::location(7_246_202, message));
    }
    if plugins.len() + wildcards > 1 {
        return wrong("Can't use more than one index plugin for a single index.");
    }
    Ok(())
}

fn wrong<T>(why: impl Into<String>) -> Result<T> {
    Err(Error::new(Code::CANNOT_CREATE_INDEX, why))
}

fn check_value(value: Raw<'_>) -> Result<()> {
    match value.kind {
        Type::String => match value.as_str().unwrap_or_default() {
            "" => wrong("Values in the index key pattern cannot be empty strings"),
            "geoHaystack" => {
                wrong("GeoHaystack indexes cannot be created in version 5.0 and above")
            }
            "columnstore" => {
                let why = "Columnstore indexes can no longer be created";
                Err(Error::new(Code::NOT_IMPLEMENTED, why))
            }
            "queryable_encrypted_range" => wrong("EncryptedRange indexes cannot be created"),
            plugin => match INDEX_KINDS.iter().find(|(kind, _)| *kind == plugin) {
                Some((_, true)) => Ok(()),
                Some(_) => Err(Error::not_supported(format!("the index type '{plugin}'"))),
                None => wrong(format!("Unknown index plugin '{plugin}'")),
            },
        },
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

fn check_path(path: &str, is_plugin: bool) -> Result<()> {
    if path.is_empty() {
        return wrong("Index keys cannot be an empty field.");
    }
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
