//! The options of an index specification that are values by themselves: flags, version, life time, storage engine.

use crate::aggregate::expressions::{bson_text, document_text};
use crate::bson::{Doc, DocBuf, DocWriter, Number, Raw, Type};
use crate::error::{Code, Error, Result};

/// Options that are understood, or passed over as MongoDB does.
const KNOWN: &[&str] = &[
    "2dsphereIndexVersion",
    "background",
    "bits",
    "bucketSize",
    "clustered",
    "collation",
    "comment",
    "default_language",
    "dropDups",
    "expireAfterSeconds",
    "hidden",
    "key",
    "language_override",
    "max",
    "min",
    "name",
    "ns",
    "partialFilterExpression",
    "prepareUnique",
    "sparse",
    "storageEngine",
    "textIndexVersion",
    "unique",
    "v",
    "weights",
    "wildcardProjection",
];
/// Options that an index on `_id` may have.
const OF_ID: &[&str] = &["collation", "key", "name", "ns", "v"];

/// An error in a specification as the client wrote it.
pub(super) fn wrong(spec: Doc<'_>, code: Code, why: &str) -> Error {
    let shown = document_text(spec);
    Error::new(code, format!("Error in specification {shown} :: caused by :: {why}"))
}

/// An error in a specification that was understood: it is shown with its version.
pub(super) fn unfit(spec: Doc<'_>, code: Code, why: &str) -> Error {
    wrong(versioned(spec).finish().as_doc(), code, why)
}

/// A specification with its version at the end, if the client named none.
pub(super) fn versioned(spec: Doc<'_>) -> DocWriter {
    let mut shown = DocWriter::new();
    shown.extend(spec);
    if spec.get("v").is_none() {
        shown.i32("v", 2);
    }
    shown
}

/// Refuses names that are no options.
///
/// # Errors
/// `InvalidIndexSpecificationOption` (197).
pub(super) fn check_names(spec: Doc<'_>) -> Result<()> {
    match spec.iter().find(|element| KNOWN.binary_search(&element.name_str()).is_err()) {
        None => Ok(()),
        Some(element) => {
            let (name, shown) = (element.name_str(), document_text(spec));
            let why = format!(
                "The field '{name}' is not valid for an index specification. Specification: {shown}"
            );
            Err(wrong(spec, Code::INVALID_INDEX_SPECIFICATION_OPTION, &why))
        }
    }
}

/// A specification without the names that are no options.
pub(crate) fn known_options(spec: Doc<'_>) -> DocBuf {
    let mut out = DocWriter::new();
    for element in spec.iter().filter(|e| KNOWN.binary_search(&e.name_str()).is_ok()) {
        out.raw_bytes(element.name, element.value);
    }
    out.finish()
}

/// Refuses what an index on `_id` must not have.
///
/// # Errors
/// `InvalidIndexSpecificationOption` (197).
pub(super) fn check_id(spec: Doc<'_>) -> Result<()> {
    match spec.iter().find(|element| OF_ID.binary_search(&element.name_str()).is_err()) {
        None => Ok(()),
        Some(element) => {
            let shown = document_text(versioned(spec).finish().as_doc());
            let message = format!(
                "The field '{}' is not valid for an _id index specification. Specification: {shown}",
                element.name_str()
            );
            Err(Error::new(Code::INVALID_INDEX_SPECIFICATION_OPTION, message))
        }
    }
}

/// A bool, or a number that is not zero.
///
/// # Errors
/// `TypeMismatch` (14).
pub(super) fn flag(spec: Doc<'_>, option: &str) -> Result<bool> {
    let Some(value) = spec.get(option) else { return Ok(false) };
    if let Some(on) = value.as_bool() {
        return Ok(on);
    }
    match Number::from_raw(value) {
        Some(number) => Ok(!number.is_zero()),
        None => {
            let shown = format!("{option}: {}", bson_text(value));
            let why =
                format!("The field '{option} has value {shown}, which is not convertible to bool");
            Err(wrong(spec, Code::TYPE_MISMATCH, &why))
        }
    }
}

/// A bool and nothing else.
///
/// # Errors
/// `TypeMismatch` (14).
pub(super) fn strict_flag(spec: Doc<'_>, option: &str) -> Result<bool> {
    let Some(value) = spec.get(option) else { return Ok(false) };
    value.as_bool().ok_or_else(|| {
        let why = format!("The field '{option}' must be a bool, but got {}", value.kind.alias());
        wrong(spec, Code::TYPE_MISMATCH, &why)
    })
}

/// The version, 1 or 2.
///
/// # Errors
/// `TypeMismatch` (14), `BadValue` (2), `CannotCreateIndex` (67).
pub(super) fn version(spec: Doc<'_>) -> Result<i32> {
    let Some(value) = spec.get("v") else { return Ok(2) };
    let Some(number) = Number::from_raw(value) else {
        let why = format!("The field 'v' must be a number, but got {}", value.kind.alias());
        return Err(wrong(spec, Code::TYPE_MISMATCH, &why));
    };
    let Some(version) = number.to_i32_exact() else {
        let shown = bson_text(value);
        let why =
            format!("Index version must be representable as a 32-bit integer, but got {shown}");
        return Err(wrong(spec, Code::BAD_VALUE, &why));
    };
    let with = match version {
        1 if spec.get("collation").is_some() => "the 'collation' option and v=1".to_owned(),
        1 | 2 => return Ok(version),
        _ => format!("v={version}"),
    };
    let shown = document_text(spec);
    let why = format!("Invalid index specification {shown}; cannot create an index with {with}");
    Err(wrong(spec, Code::CANNOT_CREATE_INDEX, &why))
}

/// The life time of documents by an index, in seconds.
///
/// # Errors
/// `CannotCreateIndex` (67).
pub(super) fn expire_after(spec: Doc<'_>, key: Doc<'_>) -> Result<Option<i32>> {
    let Some(value) = spec.get("expireAfterSeconds") else { return Ok(None) };
    let shown = document_text(spec);
    let wrong = |message: String| Err(Error::new(Code::CANNOT_CREATE_INDEX, message));
    let seconds = match seconds(value) {
        Ok(seconds) => seconds,
        Err(why) => return wrong(format!(". Index spec: {shown} :: caused by :: {why}")),
    };
    if key.iter().count() > 1 {
        return wrong(format!(
            "TTL indexes are single-field indexes, compound indexes do not support TTL. Index spec: {shown}"
        ));
    }
    Ok(Some(seconds))
}

/// A number of seconds that a document may live; fractions are cut off. The error is the message.
pub(crate) fn seconds(value: Raw<'_>) -> Result<i32, String> {
    let option = "TTL index 'expireAfterSeconds' option";
    let Some(number) = Number::from_raw(value) else {
        let kind = value.kind.alias();
        return Err(format!("{option} must be numeric, but received a type of '{kind}"));
    };
    if number.is_nan() {
        return Err(format!("{option} must not be NaN"));
    }
    let whole = number.to_i64_saturating();
    if whole < 0 {
        return Err(format!("{option} cannot be less than 0"));
    }
    let out_of_range =
        "TTL index 'expireAfterSeconds' must be within the range of a 32-bit integer";
    i32::try_from(whole).map_err(|_| out_of_range.to_owned())
}

/// Checks the options for a storage engine: MongoDB's own is the only one whose options clients may name.
///
/// # Errors
/// `CannotCreateIndex` (67), `BadValue` (2), `InvalidOptions` (72).
pub(super) fn check_storage_engine(spec: Doc<'_>) -> Result<()> {
    let Some(value) = spec.get("storageEngine") else { return Ok(()) };
    let Some(options) = value.as_doc() else {
        let why = "\"storageEngine\" options must be a document if present";
        return Err(unfit(spec, Code::CANNOT_CREATE_INDEX, why));
    };
    if options.is_empty() {
        let why = "Empty \"storageEngine\" options are invalid. Please remove the field or include valid options.";
        return Err(unfit(spec, Code::CANNOT_CREATE_INDEX, why));
    }
    for element in options {
        let name = element.name_str();
        if element.value.kind != Type::Document {
            let why = format!("'storageEngine.{name}' has to be an embedded document.");
            return Err(unfit(spec, Code::BAD_VALUE, &why));
        }
        if name != "wiredTiger" {
            let why = format!("{name} is not a registered storage engine for this server");
            return Err(unfit(spec, Code::INVALID_OPTIONS, &why));
        }
    }
    Ok(())
}
