//! The options of an index specification that are values by themselves: flags, version, life time, storage engine.

use super::read::mistyped;
use crate::aggregate::expressions::{bson_text, document_text};
use crate::bson::{Doc, DocBuf, DocWriter, Number, Raw, Type};
use crate::error::{Code, Error, Result};

/// Options that are understood, or passed over as MongoDB does.
const KNOWN: &[&str] = &[
    "2dsphereIndexVersion",
    "_id",
    "background",
    "bits",
    "bucketSize",
    "clustered",
    "coarsestIndexedLevel",
    "collation",
    "default_language",
    "dropDups",
    "expireAfterSeconds",
    "finestIndexedLevel",
    "hidden",
    "key",
    "language_override",
    "max",
    "min",
    "name",
    "ns",
    "originalSpec",
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
/// Options that the order of a clustered collection may have.
const OF_CLUSTERED: &[&str] = &["clustered", "expireAfterSeconds", "key", "name", "unique", "v"];
/// Options that an index on `_id` may have.
const OF_ID: &[&str] = &["_id", "collation", "key", "name", "ns", "v"];

/// An error in a specification as the client wrote it.
pub(super) fn wrong(spec: Doc<'_>, code: Code, why: &str) -> Error {
    let shown = document_text(spec);
    Error::new(code, format!("Error in specification {shown} :: caused by :: {why}"))
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
    let (known, which) = match spec.get("clustered") {
        Some(_) => (OF_CLUSTERED, "a clustered index"),
        None => (KNOWN, "an index"),
    };
    match spec.iter().find(|element| known.binary_search(&element.name_str()).is_err()) {
        None => Ok(()),
        Some(element) => Err(wrong(
            spec,
            Code::INVALID_INDEX_SPECIFICATION_OPTION,
            &invalid(element.name_str(), which, spec),
        )),
    }
}

/// What is said of an option that some specification cannot have.
pub(super) fn invalid(name: &str, which: &str, spec: Doc<'_>) -> String {
    let shown = document_text(spec);
    format!("The field '{name}' is not valid for {which} specification. Specification: {shown}")
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
    let Some(element) = spec.iter().find(|e| OF_ID.binary_search(&e.name_str()).is_err()) else {
        return Ok(());
    };
    // By now a life time that is none has become one without end.
    let mut shown = DocWriter::new();
    for element in spec {
        match element.name {
            b"expireAfterSeconds" if seconds(element.value).is_err() => {
                shown.i32("expireAfterSeconds", i32::MAX);
            }
            _ => shown.raw_bytes(element.name, element.value),
        }
    }
    let shown = versioned(shown.finish().as_doc()).finish();
    let message = invalid(element.name_str(), "an _id index", shown.as_doc());
    Err(Error::new(Code::INVALID_INDEX_SPECIFICATION_OPTION, message))
}

/// A bool, or a number that is not zero.
///
/// # Errors
/// `TypeMismatch` (14).
pub(super) fn flag(spec: Doc<'_>, option: &str, value: Raw<'_>) -> Result<bool> {
    truth(value).ok_or_else(|| {
        let shown = format!("{option}: {}", bson_text(value));
        let why =
            format!("The field '{option} has value {shown}, which is not convertible to bool");
        wrong(spec, Code::TYPE_MISMATCH, &why)
    })
}

/// What a bool or a number says.
pub(super) fn truth(value: Raw<'_>) -> Option<bool> {
    value.as_bool().or_else(|| Number::from_raw(value).map(|number| !number.is_zero()))
}

/// The version, 1 or 2.
///
/// # Errors
/// `TypeMismatch` (14), `BadValue` (2), `CannotCreateIndex` (67).
pub(super) fn version(spec: Doc<'_>, value: Raw<'_>) -> Result<i32> {
    let number = Number::from_raw(value);
    let number = number.ok_or_else(|| mistyped(spec, "v", "a number", value))?;
    let Some(version) = number.to_i32_exact() else {
        let shown = bson_text(value);
        let why =
            format!("Index version must be representable as a 32-bit integer, but got {shown}");
        return Err(wrong(spec, Code::BAD_VALUE, &why));
    };
    if matches!(version, 1 | 2) {
        return Ok(version);
    }
    let shown = document_text(spec);
    let why =
        format!("Invalid index specification {shown}; cannot create an index with v={version}");
    Err(wrong(spec, Code::CANNOT_CREATE_INDEX, &why))
}

/// Checks the life time of documents by an index.
///
/// # Errors
/// `CannotCreateIndex` (67).
pub(super) fn check_expiry(spec: Doc<'_>, key: Doc<'_>) -> Result<()> {
    let Some(value) = spec.get("expireAfterSeconds") else { return Ok(()) };
    let shown = document_text(spec);
    let message = match seconds(value) {
        Err(why) => format!(". Index spec: {shown} :: caused by :: {why}"),
        Ok(_) if key.iter().count() > 1 => format!(
            "TTL indexes are single-field indexes, compound indexes do not support TTL. Index spec: {shown}"
        ),
        Ok(_) => return Ok(()),
    };
    Err(Error::new(Code::CANNOT_CREATE_INDEX, message))
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
    match i32::try_from(number.to_i64_saturating()) {
        Ok(..0) => Err(format!("{option} cannot be less than 0")),
        Ok(whole) => Ok(whole),
        Err(_) => {
            let option = "TTL index 'expireAfterSeconds'";
            Err(format!("{option} must be within the range of a 32-bit integer"))
        }
    }
}

/// Checks the options for a storage engine: MongoDB's own is the only one whose options clients may name. The error is the
/// code and the message.
pub(super) fn check_storage_engine(value: Raw<'_>) -> Result<(), (Code, String)> {
    let Some(options) = value.as_doc() else {
        let why = "\"storageEngine\" options must be a document if present";
        return Err((Code::CANNOT_CREATE_INDEX, why.to_owned()));
    };
    if options.is_empty() {
        let why = "Empty \"storageEngine\" options are invalid. Please remove the field or include valid options.";
        return Err((Code::CANNOT_CREATE_INDEX, why.to_owned()));
    }
    for element in options {
        let name = element.name_str();
        if element.value.kind != Type::Document {
            let why = format!("'storageEngine.{name}' has to be an embedded document.");
            return Err((Code::BAD_VALUE, why));
        }
        if name != "wiredTiger" {
            let why = format!("{name} is not a registered storage engine for this server");
            return Err((Code::INVALID_OPTIONS, why));
        }
    }
    Ok(())
}
