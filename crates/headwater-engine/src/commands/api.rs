//! The Stable API: `apiVersion`, `apiStrict` and `apiDeprecationErrors`, and what version 1 leaves out. Source: recorded
//! answers. Nothing in version 1 is deprecated, so `apiDeprecationErrors` refuses nothing.

use super::Fields;
use crate::aggregate::expressions::document_text;
use crate::aggregate::strict::check_pipeline;
use crate::bson::{Array, Doc, Raw};
use crate::error::{Code, Error, Result};
use crate::request::StableApi;

/// The commands of version 1, sorted.
const COMMANDS: &[&str] = &[
    "abortTransaction",
    "aggregate",
    "authenticate",
    "bulkWrite",
    "collMod",
    "commitTransaction",
    "count",
    "create",
    "createIndexes",
    "delete",
    "drop",
    "dropDatabase",
    "dropIndexes",
    "endSessions",
    "explain",
    "find",
    "findAndModify",
    "getMore",
    "hello",
    "insert",
    "isMaster",
    "killCursors",
    "listCollections",
    "listDatabases",
    "listIndexes",
    "ping",
    "refreshSessions",
    "saslContinue",
    "saslStart",
    "update",
];

/// The fields of these commands that are not in version 1; both sorted.
const UNSTABLE_FIELDS: &[(&str, &[&str])] = &[
    ("aggregate", &["explain", "isMapReduceCommand"]),
    ("count", &["fields"]),
    (
        "create",
        &[
            "changeStreamPreAndPostImages",
            "flags",
            "indexOptionDefaults",
            "max",
            "size",
            "storageEngine",
        ],
    ),
    ("createIndexes", &["ignoreUnknownIndexOptions"]),
    (
        "find",
        &[
            "awaitData",
            "max",
            "min",
            "noCursorTimeout",
            "oplogReplay",
            "readOnce",
            "returnKey",
            "showRecordId",
            "tailable",
            "term",
        ],
    ),
    ("getMore", &["term"]),
    ("listCollections", &["includePendingDrops"]),
    ("listIndexes", &["includeBuildUUIDs", "includeIndexBuildInfo"]),
];

/// Checks the arguments of the Stable API, and with `apiStrict` that the command keeps to it.
///
/// # Errors
/// 4886600 for the other arguments without a version, `APIVersionError` (322), `APIStrictError` (323).
pub(super) fn check(fields: Fields<'_>, command: &str) -> Result<StableApi> {
    let version = fields.str("apiVersion")?;
    let strict = fields.bool("apiStrict")?;
    let deprecation_errors = fields.bool("apiDeprecationErrors")?;
    match version {
        None | Some("1") => {}
        Some("2") => {
            return Err(Error::new(Code::API_VERSION_ERROR, "Cannot accept API version 2"));
        }
        Some(_) => {
            return Err(Error::new(Code::API_VERSION_ERROR, "API version must be \"1\""));
        }
    }
    if version.is_none() && (strict.is_some() || deprecation_errors.is_some()) {
        let message = "Provided apiStrict and/or apiDeprecationErrors without passing apiVersion";
        return Err(Error::location(4_886_600, message));
    }
    if strict == Some(true) {
        check_strict(fields.doc(), command)?;
    }
    Ok(StableApi { version_1: version.is_some(), strict, deprecation_errors })
}

fn check_strict(body: Doc<'_>, command: &str) -> Result<()> {
    if COMMANDS.binary_search(&command).is_err() {
        return Err(strict(format!(
            "Provided apiStrict:true, but the command {command} is not in API Version 1. Information on supported \
             commands and migrations in API Version 1 can be found at \
             https://dochub.mongodb.org/core/manual-versioned-api."
        )));
    }
    let row = UNSTABLE_FIELDS.binary_search_by_key(&command, |(name, _)| name);
    let unstable = row.map_or(&[][..], |at| UNSTABLE_FIELDS[at].1);
    let is_unstable = |name: &&str| unstable.binary_search(name).is_ok();
    // MongoDB names the last one.
    if let Some(name) = body.iter().skip(1).map(|field| field.name_str()).filter(is_unstable).last()
    {
        return Err(unstable_field(name));
    }
    let array = |name| body.get(name).and_then(Raw::as_array);
    match command {
        "aggregate" | "create" => array("pipeline").map_or(Ok(()), check_pipeline),
        "createIndexes" => array("indexes").map_or(Ok(()), check_indexes),
        "explain" => {
            let inner = body.get("explain").and_then(Raw::as_doc);
            let stages = inner.and_then(|inner| inner.get("pipeline")).and_then(Raw::as_array);
            stages.map_or(Ok(()), check_pipeline)
        }
        "update" => match documents(array("updates")).any(|u| u.get("sampleId").is_some()) {
            true => Err(unstable_field("sampleId")),
            false => Ok(()),
        },
        _ => Ok(()),
    }
}

fn check_indexes(indexes: Array<'_>) -> Result<()> {
    let is_text = |index: &Doc<'_>| {
        let key = index.get("key").and_then(Raw::as_doc);
        key.into_iter().flatten().any(|field| field.value.as_str() == Some("text"))
    };
    match documents(Some(indexes)).find(is_text) {
        Some(index) => Err(strict(format!(
            "Error in specification {} :: caused by :: text indexes cannot be created with apiStrict: true",
            document_text(index)
        ))),
        None => Ok(()),
    }
}

fn documents(array: Option<Array<'_>>) -> impl Iterator<Item = Doc<'_>> {
    array.into_iter().flat_map(Array::iter).filter_map(Raw::as_doc)
}

fn unstable_field(name: &str) -> Error {
    strict(format!("BSON field '{name}' is not allowed with apiStrict:true."))
}

fn strict(message: String) -> Error {
    Error::new(Code::API_STRICT_ERROR, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted() {
        assert!(COMMANDS.is_sorted());
        assert!(UNSTABLE_FIELDS.is_sorted());
        assert!(UNSTABLE_FIELDS.iter().all(|(_, fields)| fields.is_sorted()));
    }
}
