//! Reading a specification as the client wrote it: every field by itself, in the order in which it stands there. What only the
//! collection can tell is not known here. Source: recorded replies.

use super::options::{self, wrong};
use super::{key, partial, wildcard};
use crate::aggregate::expressions::document_text;
use crate::bson::{Doc, Raw, Type};
use crate::error::{Code, Error, Result};

/// What a specification says.
#[derive(Debug)]
pub(super) struct Given<'a> {
    pub(super) key: Doc<'a>,
    pub(super) name: &'a str,
    pub(super) version: i32,
    pub(super) unique: bool,
    pub(super) hidden: bool,
    pub(super) prepare_unique: bool,
    pub(super) clustered: bool,
}

/// Reads all fields, whose names are options.
///
/// # Errors
/// `TypeMismatch` (14), `BadValue` (2), `CannotCreateIndex` (67), `FailedToParse` (9) and others for what a field may not
/// be; 'not supported' for kinds of later versions.
pub(super) fn read(spec: Doc<'_>) -> Result<Given<'_>> {
    let mut given = Given {
        key: Doc::EMPTY,
        name: "",
        version: 2,
        unique: false,
        hidden: false,
        prepare_unique: false,
        clustered: false,
    };
    let (mut has_key, mut has_name) = (false, false);
    for element in spec {
        let (name, value) = (element.name_str(), element.value);
        match name {
            "key" => {
                (has_key, given.key) = (true, read_key(spec, value)?);
            }
            "name" => {
                has_name = true;
                given.name =
                    value.as_str().ok_or_else(|| mistyped(spec, name, "a string", value))?;
            }
            "v" => given.version = options::version(spec, value)?,
            "unique" => given.unique = options::flag(spec, name, value)?,
            "prepareUnique" => given.prepare_unique = options::flag(spec, name, value)?,
            "hidden" => {
                let hidden = value.as_bool();
                given.hidden = hidden.ok_or_else(|| mistyped(spec, name, "a bool", value))?;
            }
            "clustered" => {
                given.clustered = options::flag(spec, name, value)?;
                check_clustered(spec, given.clustered)?;
            }
            "background" | "dropDups" | "sparse" => {
                options::flag(spec, name, value)?;
            }
            "collation" => check_collation(spec, value)?,
            "partialFilterExpression" => partial::check_shape(spec, value)?,
            "wildcardProjection" => wildcard::check_projection(spec, value)?,
            "originalSpec" => check_original(spec, value)?,
            "weights" if !matches!(value.kind, Type::Document | Type::Array | Type::String) => {
                return Err(mistyped(spec, name, "an object", value));
            }
            "default_language" | "language_override" if value.as_str().is_none() => {
                return Err(mistyped(spec, name, "a string", value));
            }
            "2dsphereIndexVersion"
            | "bits"
            | "bucketSize"
            | "coarsestIndexedLevel"
            | "finestIndexedLevel"
            | "max"
            | "min"
            | "textIndexVersion"
                if !value.kind.is_number() =>
            {
                return Err(mistyped(spec, name, "a number", value));
            }
            _ => {}
        }
    }
    for (name, is_there) in [("key", has_key), ("name", has_name)] {
        if !is_there {
            let why =
                format!("The '{name}' field is a required property of an index specification");
            return Err(wrong(spec, Code::FAILED_TO_PARSE, &why));
        }
    }
    check_together(spec, &given)?;
    Ok(given)
}

/// The error of a value of the wrong type.
pub(super) fn mistyped(spec: Doc<'_>, name: &str, what: &str, value: Raw<'_>) -> Error {
    let why = format!("The field '{name}' must be {what}, but got {}", value.kind.alias());
    wrong(spec, Code::TYPE_MISMATCH, &why)
}

fn read_key<'a>(spec: Doc<'_>, value: Raw<'a>) -> Result<Doc<'a>> {
    let key = value.as_doc().ok_or_else(|| mistyped(spec, "key", "an object", value))?;
    let has_projection = spec.get("wildcardProjection").is_some();
    key::check(key, has_projection).map_err(|error| match error.code() {
        Code::COMMAND_NOT_SUPPORTED | Code(13103) => error,
        code => wrong(spec, code, error.message()),
    })?;
    Ok(key)
}

fn check_clustered(spec: Doc<'_>, clustered: bool) -> Result<()> {
    if !clustered {
        let why = "Value 'false' for field 'clustered' is invalid";
        return Err(wrong(spec, Code(6_492_800), why));
    }
    if spec.get("unique").and_then(Raw::as_bool) != Some(true) {
        let why = "The 'unique' field is required when 'clustered' is specified";
        return Err(wrong(spec, Code::CANNOT_CREATE_INDEX, why));
    }
    Ok(())
}

fn check_collation(spec: Doc<'_>, value: Raw<'_>) -> Result<()> {
    let collation = value.as_doc();
    if collation.ok_or_else(|| mistyped(spec, "collation", "an object", value))?.is_empty() {
        let why = "The field 'collation' cannot be an empty object.";
        return Err(wrong(spec, Code::BAD_VALUE, why));
    }
    Ok(())
}

/// The specification that a time series' index was made from: old versions kept it, none does any more.
fn check_original(spec: Doc<'_>, value: Raw<'_>) -> Result<()> {
    let original = value.as_doc();
    if original.ok_or_else(|| mistyped(spec, "originalSpec", "an object", value))?.is_empty() {
        let why = "The field 'originalSpec' cannot be an empty object.";
        return Err(wrong(spec, Code::BAD_VALUE, why));
    }
    Err(Error::not_supported("the index option 'originalSpec'"))
}

/// Refuses fields that exclude each other.
fn check_together(spec: Doc<'_>, given: &Given<'_>) -> Result<()> {
    let why = if given.version == 1 && spec.get("collation").is_some() {
        "cannot create an index with the 'collation' option and v=1"
    } else if spec.get("weights").is_some() {
        "the field 'weights' can only be specified with text indexes"
    } else if given.unique && given.prepare_unique {
        "cannot create an index with the 'unique' option and the 'prepareUnique' option"
    } else if given.version == 1 && key::wildcard_path(given.key).is_some() {
        let why = "Index type 'wildcard' is not allowed with index version v: 1";
        return Err(wrong(spec, Code::CANNOT_CREATE_INDEX, why));
    } else {
        return Ok(());
    };
    let shown = document_text(spec);
    let why = format!("Invalid index specification {shown}; {why}");
    Err(wrong(spec, Code::CANNOT_CREATE_INDEX, &why))
}
