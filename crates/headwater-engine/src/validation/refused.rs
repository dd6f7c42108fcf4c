//! Operators that a validator must not have, with MongoDB's codes. Source: recorded replies.

use crate::bson::{Doc, Element, Raw};
use crate::error::{Code, Error, Result};
use crate::limits::COMMAND_DEPTH_MAX;

/// Refuses what may stand in a filter but not in a validator. `encrypts` says that the validator may name what clients
/// encrypt.
///
/// # Errors
/// `BadValue` (2), `QueryFeatureNotAllowed` (224), 3040500, 4660800, 5626500.
pub(super) fn check(filter: Doc<'_>, encrypts: bool) -> Result<()> {
    conditions(filter, encrypts, COMMAND_DEPTH_MAX)
}

fn conditions(filter: Doc<'_>, encrypts: bool, left: usize) -> Result<()> {
    filter.iter().try_for_each(|element| condition(element, encrypts, left.saturating_sub(1)))
}

fn condition(element: Element<'_>, encrypts: bool, left: usize) -> Result<()> {
    if left == 0 {
        return Err(Error::new(Code::OVERFLOW, "the validator nests too deep"));
    }
    let inner = |value: Raw<'_>| match value.as_doc() {
        Some(doc) => conditions(doc, encrypts, left),
        None => Ok(()),
    };
    match element.name_str() {
        name @ ("$where" | "$text") => {
            let message = format!("{name} is not allowed in this context");
            Err(Error::new(Code::BAD_VALUE, message))
        }
        "$near" | "$nearSphere" | "$geoNear" => Err(Error::location(
            5_626_500,
            "$geoNear, $near, and $nearSphere are not allowed in this context, as these operators require sorting geospatial data. If you do not need sort, consider using $geoWithin instead. Check out https://dochub.mongodb.org/core/near-sort-operation and https://dochub.mongodb.org/core/nearSphere-sort-operationfor more details.",
        )),
        "$sampleRate" => Err(no_rand()),
        "$expr" => expression(element.value, left),
        "$jsonSchema" if !encrypts && names_encryption(element.value, left) => Err(Error::new(
            Code::QUERY_FEATURE_NOT_ALLOWED,
            "Encryption-related validator keywords are not allowed in this context",
        )),
        "$jsonSchema" | "$eq" | "$ne" | "$gt" | "$gte" | "$lt" | "$lte" | "$in" | "$nin" => Ok(()),
        "$and" | "$or" | "$nor" => match element.value.as_array() {
            Some(branches) => branches.iter().try_for_each(inner),
            None => Ok(()),
        },
        _ => inner(element.value),
    }
}

fn no_rand() -> Error {
    Error::location(3_040_500, "$rand not allowed inside collection validators")
}

fn expression(value: Raw<'_>, left: usize) -> Result<()> {
    if left == 0 {
        return Err(Error::new(Code::OVERFLOW, "the validator nests too deep"));
    }
    if let Some(doc) = value.as_doc() {
        return doc.iter().try_for_each(|element| match element.name_str() {
            "$rand" => Err(no_rand()),
            name @ ("$function" | "$accumulator") => Err(Error::location(
                4_660_800,
                format!("{name} cannot be used inside a validator."),
            )),
            "$literal" => Ok(()),
            _ => expression(element.value, left - 1),
        });
    }
    match value.as_array() {
        Some(array) => array.iter().try_for_each(|element| expression(element, left - 1)),
        None => Ok(()),
    }
}

/// Whether a schema has a keyword that tells clients what to encrypt.
fn names_encryption(schema: Raw<'_>, left: usize) -> bool {
    let (Some(left), Some(schema)) = (left.checked_sub(1), schema.as_doc()) else { return false };
    schema.iter().any(|keyword| match keyword.name_str() {
        "encrypt" | "encryptMetadata" => true,
        "properties" | "patternProperties" | "dependencies" => keyword
            .value
            .as_doc()
            .is_some_and(|named| named.iter().any(|one| names_encryption(one.value, left))),
        "items"
        | "allOf"
        | "anyOf"
        | "oneOf"
        | "not"
        | "additionalItems"
        | "additionalProperties" => match keyword.value.as_array() {
            Some(all) => all.iter().any(|one| names_encryption(one, left)),
            None => names_encryption(keyword.value, left),
        },
        _ => false,
    })
}
