//! Index specifications: what `createIndexes` accepts, normalised as `listIndexes` shows it.

use std::sync::Arc;

use super::{INDEX_KINDS, Index};
use crate::aggregate::expressions::{bson_text, document_text};
use crate::bson::key::Direction;
use crate::bson::{Doc, DocBuf, DocWriter, Number, Raw, Type};
use crate::collation::{self, Chosen, Collation, ValueOrder};
use crate::error::{Code, Error, Result};
use crate::limits::KEY_FIELDS_MAX;
use crate::query::path::{KeyPaths, Path};

/// Options that this version honours or ignores as MongoDB does.
const KNOWN: &[&str] = &[
    "background",
    "clustered",
    "collation",
    "comment",
    "dropDups",
    "hidden",
    "key",
    "name",
    "ns",
    "sparse",
    "unique",
    "v",
];
/// Options that MongoDB knows and this version does not build yet.
const UNSUPPORTED: &[&str] = &[
    "2dsphereIndexVersion",
    "bits",
    "bucketSize",
    "default_language",
    "expireAfterSeconds",
    "language_override",
    "max",
    "min",
    "partialFilterExpression",
    "prepareUnique",
    "storageEngine",
    "textIndexVersion",
    "weights",
    "wildcardProjection",
];

/// An index as `createIndexes` asks for it.
#[derive(Debug)]
pub struct Wanted {
    /// The normalised specification (`v`, options, `key`, `name`) but for the collation.
    pub spec: DocBuf,
    /// What it says of the collation.
    pub collation: Chosen,
}

impl Wanted {
    /// The specification in a collection that has `default` as its collation.
    ///
    /// # Errors
    /// `BadValue` (2) for an `_id` index whose collation differs from the collection's.
    pub fn in_collection(&self, default: Option<&Arc<Collation>>) -> Result<DocBuf> {
        let collation = self.collation.or(default);
        if self.spec.as_doc().get("key").and_then(Raw::as_doc).is_some_and(is_id_key)
            && collation.as_ref() != default
        {
            let shown = |collation: Option<&Arc<Collation>>| match collation {
                Some(collation) => document_text(collation.spec()),
                None => "{ locale: \"simple\" }".to_owned(),
            };
            let message = format!(
                "The _id index must have the same collation as the collection. Index collation: {}, collection \
                 collation: {}",
                shown(collation.as_ref()),
                shown(default)
            );
            return Err(Error::new(Code::BAD_VALUE, message));
        }
        let mut spec = DocWriter::new();
        spec.extend(self.spec.as_doc());
        if let Some(collation) = collation {
            spec.doc("collation", collation.spec());
        }
        Ok(spec.finish())
    }
}

/// Reads an entry of `createIndexes.indexes`.
///
/// # Errors
/// MongoDB's codes for specifications that are wrong; 'not supported' for kinds and options of later versions.
pub fn parse_spec(spec: Doc<'_>) -> Result<Wanted> {
    let wrong = |code: Code, why: String| {
        let shown = document_text(spec);
        Error::new(code, format!("Error in specification {shown} :: caused by :: {why}"))
    };
    for element in spec {
        let name = element.name_str();
        if UNSUPPORTED.binary_search(&name).is_ok() {
            return Err(Error::not_supported(format!("the index option '{name}'")));
        }
        if KNOWN.binary_search(&name).is_err() && UNSUPPORTED.binary_search(&name).is_err() {
            let why = format!(
                "The field '{name}' is not valid for an index specification. Specification: {}",
                document_text(spec)
            );
            return Err(wrong(Code::INVALID_INDEX_SPECIFICATION_OPTION, why));
        }
    }
    let required = |name: &str| {
        let why = format!("The '{name}' field is a required property of an index specification");
        wrong(Code::FAILED_TO_PARSE, why)
    };
    let key = spec.get("key").ok_or_else(|| required("key"))?;
    let Some(key) = key.as_doc() else {
        let kind = key.kind.alias();
        let why = format!("The field 'key' must be an object, but got {kind}");
        return Err(wrong(Code::TYPE_MISMATCH, why));
    };
    check_key(key).map_err(|error| match error.code() {
        Code::CANNOT_CREATE_INDEX => wrong(error.code(), error.message().to_owned()),
        _ => error,
    })?;
    let name = spec.get("name").ok_or_else(|| required("name"))?;
    let Some(name) = name.as_str() else {
        let kind = name.kind.alias();
        let why = format!("The field 'name' must be a string, but got {kind}");
        return Err(wrong(Code::TYPE_MISMATCH, why));
    };
    check_version(spec).map_err(|why| wrong(Code::CANNOT_CREATE_INDEX, why))?;
    let collation = match spec.get("collation") {
        None => Chosen::Inherited,
        Some(value) => parse_collation(spec, value).map_err(|error| match error.code() {
            Code::TYPE_MISMATCH if value.as_doc().is_none() => {
                wrong(error.code(), error.message().to_owned())
            }
            _ => error,
        })?,
    };
    if name.is_empty() {
        let mut shown = DocWriter::new();
        shown.extend(spec);
        if spec.get("v").is_none() {
            shown.i32("v", 2);
        }
        let shown = document_text(shown.finish().as_doc());
        return Err(Error::new(
            Code::CANNOT_CREATE_INDEX,
            format!("Error in specification {shown} :: caused by :: index name cannot be empty"),
        ));
    }
    if is_id_key(key) {
        let spec = Index::on_id(0, ValueOrder::default()).spec;
        return Ok(Wanted { spec, collation });
    }
    if key.first().is_some_and(|e| e.name == b"_id") && key.iter().count() == 1 {
        return Err(Error::new(
            Code::BAD_VALUE,
            format!(
                "The field 'key' for an _id index must be {{_id: 1}}, but got {}",
                document_text(key)
            ),
        ));
    }
    let mut out = DocWriter::new();
    out.i32("v", 2);
    for option in ["unique", "sparse", "hidden", "clustered"] {
        let on = flag(spec, option)?;
        if on || option == "sparse" && spec.get(option).is_some() {
            out.bool(option, on);
        }
    }
    out.doc("key", key);
    out.str("name", name);
    if spec.get("background").is_some() {
        // It changes nothing since 4.2, but it is shown.
        out.bool("background", flag(spec, "background")?);
    }
    Ok(Wanted { spec: out.finish(), collation })
}

fn parse_collation(spec: Doc<'_>, value: Raw<'_>) -> Result<Chosen> {
    let Some(doc) = value.as_doc() else {
        let kind = value.kind.alias();
        let why = format!("The field 'collation' must be an object, but got {kind}");
        return Err(Error::new(Code::TYPE_MISMATCH, why));
    };
    if doc.is_empty() {
        let shown = document_text(spec);
        let why = "The field 'collation' cannot be an empty object.";
        let why = format!("Error in specification {shown} :: caused by :: {why}");
        return Err(Error::new(Code::BAD_VALUE, why));
    }
    let collation = collation::parse(doc, "collation").map_err(|error| {
        let mut shown = DocWriter::new();
        shown.extend(spec);
        if spec.get("v").is_none() {
            shown.i32("v", 2);
        }
        error.with_prefix(format!(
            "failed to add collation information to index spec for index creation: {} :: caused by :: ",
            document_text(shown.finish().as_doc())
        ))
    })?;
    Ok(Chosen::This(collation))
}

/// The index of a normalised specification.
pub fn index_of(id: u32, spec: Doc<'_>) -> Option<Index> {
    let key = spec.get("key")?.as_doc()?;
    let paths: Option<Vec<_>> = key.iter().map(|e| Path::parse(e.name_str()).ok()).collect();
    let directions = key.iter().map(|e| direction(e.value)).collect();
    let on = |option: &str| spec.get(option).and_then(Raw::as_bool).unwrap_or(false);
    let name = spec.get("name")?.as_str()?.to_owned();
    let collation = match spec.get("collation") {
        Some(collation) => collation::parse(collation.as_doc()?, "collation").ok()?,
        None => None,
    };
    Some(Index {
        id,
        order: ValueOrder::new(collation),
        unique: on("unique") || name == "_id_",
        name,
        paths: KeyPaths::new(paths?),
        directions,
        sparse: on("sparse"),
        hidden: on("hidden"),
        clustered: on("clustered"),
        by_id: false,
        spec: spec.to_buf(),
        multikey: Arc::default(),
        accesses: Arc::default(),
    })
}

fn direction(value: Raw<'_>) -> Direction {
    match Number::from_raw(value) {
        Some(number) if number.to_f64() < 0.0 => Direction::Descending,
        _ => Direction::Ascending,
    }
}

fn is_id_key(key: Doc<'_>) -> bool {
    let mut elements = key.iter();
    let first = elements.next();
    elements.next().is_none()
        && first.is_some_and(|e| {
            e.name == b"_id" && Number::from_raw(e.value).is_some_and(|n| n.to_f64() == 1.0)
        })
}

fn flag(spec: Doc<'_>, option: &str) -> Result<bool> {
    let Some(value) = spec.get(option) else { return Ok(false) };
    if let Some(on) = value.as_bool() {
        return Ok(on);
    }
    match Number::from_raw(value) {
        Some(number) => Ok(number.to_f64() != 0.0),
        None => {
            let kind = value.kind.alias();
            let why =
                format!("The field '{option}' has value {kind}, which is not convertible to bool");
            Err(Error::new(Code::TYPE_MISMATCH, why))
        }
    }
}

fn check_version(spec: Doc<'_>) -> Result<(), String> {
    let Some(version) = spec.get("v") else { return Ok(()) };
    match Number::from_raw(version).map(|n| n.to_f64()) {
        Some(1.0) if spec.get("collation").is_some() => Err(format!(
            "Invalid index specification {}; cannot create an index with the 'collation' option and v=1",
            document_text(spec)
        )),
        Some(2.0 | 1.0) => Ok(()),
        _ => Err(format!(
            "Invalid index specification {}; cannot create an index with v={}",
            document_text(spec),
            bson_text(version)
        )),
    }
}

fn check_key(key: Doc<'_>) -> Result<()> {
    let wrong = |why: String| Error::new(Code::CANNOT_CREATE_INDEX, why);
    if key.is_empty() {
        return Err(wrong("Index keys cannot be an empty object.".to_owned()));
    }
    if key.iter().count() > KEY_FIELDS_MAX {
        return Err(Error::location(13103, "too many compound keys"));
    }
    for element in key {
        let (path, value) = (element.name_str(), element.value);
        match value.kind {
            Type::String => {
                let plugin = value.as_str().unwrap_or_default();
                return Err(match INDEX_KINDS.iter().find(|(kind, _)| *kind == plugin) {
                    Some(_) => Error::not_supported(format!("the index type '{plugin}'")),
                    None => wrong(format!("Unknown index plugin '{plugin}'")),
                });
            }
            kind if kind.is_number() => {
                if Number::from_raw(value).is_some_and(|n| n.to_f64() == 0.0) {
                    return Err(wrong("Values in the index key pattern cannot be 0.".to_owned()));
                }
            }
            kind => {
                return Err(wrong(format!(
                    "Values in v:2 index key pattern cannot be of type {}. Only numbers > 0, numbers < 0, and strings are allowed.",
                    kind.alias()
                )));
            }
        }
        if path.is_empty() {
            return Err(wrong("Index keys cannot be an empty field.".to_owned()));
        }
        if path.split('.').any(str::is_empty) {
            return Err(wrong("Index keys cannot contain an empty field.".to_owned()));
        }
        if path.split('.').any(|part| part == "$**") {
            return Err(Error::not_supported("a wildcard index"));
        }
        if path.split('.').any(|part| part.starts_with('$')) {
            let why = "Index key contains an illegal field name: field name starts with '$'.";
            return Err(wrong(why.to_owned()));
        }
    }
    Ok(())
}
