//! Index specifications: what `createIndexes` accepts, normalised as `listIndexes` shows it.

mod key;
mod options;
mod partial;
mod wildcard;

use std::sync::Arc;

use super::wildcard::Wildcard;
use super::{Arrays, Index};
use crate::aggregate::expressions::document_text;
use crate::bson::key::Direction;
use crate::bson::{Doc, DocBuf, DocWriter, Number, Raw};
use crate::collation::{self, Chosen, Collation, ValueOrder};
use crate::error::{Code, Error, Result};
use crate::query::path::{KeyPaths, Path};
pub(super) use key::is_wildcard;
pub(crate) use options::{known_options, seconds as expire_seconds};
pub(crate) use wildcard::normal_projection;
pub(super) use wildcard::wildcard_fields;

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
        if self.spec.as_doc().get("key").and_then(Raw::as_doc).is_some_and(key::is_id)
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
/// MongoDB's codes for specifications that are wrong; 'not supported' for kinds of later versions.
pub fn parse_spec(spec: Doc<'_>) -> Result<Wanted> {
    options::check_names(spec)?;
    let key = required_key(spec)?;
    let name = required_name(spec)?;
    let version = options::version(spec)?;
    let collation = match spec.get("collation") {
        None => Chosen::Inherited,
        Some(value) => parse_collation(spec, value)?,
    };
    let mut written = DocWriter::new();
    written.i32("v", version);
    write_flags(spec, &mut written)?;
    check_for_kind(spec, key, version)?;
    let partial = partial::check(spec)?;
    let expire_after = options::expire_after(spec, key)?;
    check_name(spec, name, key)?;
    if key::is_id(key) {
        if !options::flag(spec, "clustered")? {
            options::check_id(spec)?;
        }
        let spec = Index::on_id(0, ValueOrder::default()).spec;
        return Ok(Wanted { spec, collation });
    }
    options::check_storage_engine(spec)?;
    written.doc("key", key);
    written.str("name", name);
    if let Some(sparse) = spec.get("sparse") {
        written.bool("sparse", sparse.as_bool() != Some(false) && options::flag(spec, "sparse")?);
    }
    if spec.get("background").is_some() {
        // It changes nothing since 4.2, but it is shown.
        written.bool("background", options::flag(spec, "background")?);
    }
    if let Some(seconds) = expire_after {
        written.i32("expireAfterSeconds", seconds);
    }
    if let Some(filter) = partial {
        written.doc("partialFilterExpression", filter);
    }
    if let Some(engines) = spec.get("storageEngine") {
        written.raw("storageEngine", engines);
    }
    if let Some(projection) = spec.get("wildcardProjection") {
        written.raw("wildcardProjection", projection);
    }
    Ok(Wanted { spec: written.finish(), collation })
}

fn required_key(spec: Doc<'_>) -> Result<Doc<'_>> {
    let key = spec.get("key").ok_or_else(|| missing(spec, "key"))?;
    let Some(key) = key.as_doc() else {
        let why = format!("The field 'key' must be an object, but got {}", key.kind.alias());
        return Err(options::wrong(spec, Code::TYPE_MISMATCH, &why));
    };
    key::check(key).map_err(|error| match error.code() {
        Code::NOT_IMPLEMENTED | Code::COMMAND_NOT_SUPPORTED | Code(13103) => error,
        code => options::wrong(spec, code, error.message()),
    })?;
    Ok(key)
}

fn required_name(spec: Doc<'_>) -> Result<&str> {
    let name = spec.get("name").ok_or_else(|| missing(spec, "name"))?;
    name.as_str().ok_or_else(|| {
        let why = format!("The field 'name' must be a string, but got {}", name.kind.alias());
        options::wrong(spec, Code::TYPE_MISMATCH, &why)
    })
}

fn missing(spec: Doc<'_>, name: &str) -> Error {
    let why = format!("The '{name}' field is a required property of an index specification");
    options::wrong(spec, Code::FAILED_TO_PARSE, &why)
}

/// The options that stand in front of the key in a stored specification.
fn write_flags(spec: Doc<'_>, out: &mut DocWriter) -> Result<()> {
    let unique = options::flag(spec, "unique")?;
    let prepare_unique = options::flag(spec, "prepareUnique")?;
    options::flag(spec, "background")?;
    options::flag(spec, "sparse")?;
    let flags = [
        ("unique", unique),
        ("hidden", options::strict_flag(spec, "hidden")?),
        ("prepareUnique", prepare_unique),
        ("clustered", options::flag(spec, "clustered")?),
    ];
    flags.iter().filter(|(_, on)| *on).for_each(|(name, _)| out.bool(name, true));
    if unique && prepare_unique {
        let shown = document_text(spec);
        let why = format!(
            "Invalid index specification {shown}; cannot create an index with the 'unique' option and the 'prepareUnique' option"
        );
        return Err(options::wrong(spec, Code::CANNOT_CREATE_INDEX, &why));
    }
    Ok(())
}

/// Refuses options that do not fit the kind of index.
fn check_for_kind(spec: Doc<'_>, key: Doc<'_>, version: i32) -> Result<()> {
    if spec.get("weights").is_some() {
        let shown = document_text(spec);
        let why = format!(
            "Invalid index specification {shown}; the field 'weights' can only be specified with text indexes"
        );
        return Err(options::wrong(spec, Code::CANNOT_CREATE_INDEX, &why));
    }
    wildcard::check(spec, key, version)?;
    let hashed = key.iter().filter(|e| e.value.as_str() == Some("hashed")).count();
    if hashed > 1 {
        let key = document_text(key);
        let why = format!(
            "A maximum of one index field is allowed to be hashed but found {hashed} for 'key' {key}"
        );
        return Err(Error::location(31303, why));
    }
    if hashed == 1 && options::flag(spec, "unique")? {
        let why = "Currently hashed indexes cannot guarantee uniqueness. Use a regular index.";
        return Err(Error::location(16764, why));
    }
    Ok(())
}

fn check_name(spec: Doc<'_>, name: &str, key: Doc<'_>) -> Result<()> {
    let bad = |message: String| Err(Error::new(Code::BAD_VALUE, message));
    if name == "*" {
        return bad("The index name '*' is not valid.".to_owned());
    }
    let shown = || document_text(key);
    let on_id = key.first().is_some_and(|e| e.name == b"_id" && e.value.kind.is_number());
    if on_id && key.iter().count() == 1 && !key::is_id(key) {
        return bad(format!(
            "The field 'key' for an _id index must be {{_id: 1}}, but got {}",
            shown()
        ));
    }
    if name == "_id_" && !key::is_id(key) {
        return bad(format!(
            "The index name '_id_' is reserved for the _id index, which must have key pattern {{_id: 1}}, found key: {}",
            shown()
        ));
    }
    let why = match name {
        "" => "index name cannot be empty",
        _ if name.contains('\0') => "index name cannot contain NUL bytes",
        _ => return Ok(()),
    };
    Err(options::unfit(spec, Code::CANNOT_CREATE_INDEX, why))
}

fn parse_collation(spec: Doc<'_>, value: Raw<'_>) -> Result<Chosen> {
    let Some(doc) = value.as_doc() else {
        let why =
            format!("The field 'collation' must be an object, but got {}", value.kind.alias());
        return Err(options::wrong(spec, Code::TYPE_MISMATCH, &why));
    };
    if doc.is_empty() {
        let why = "The field 'collation' cannot be an empty object.";
        return Err(options::wrong(spec, Code::BAD_VALUE, why));
    }
    let collation = collation::parse(doc, "collation").map_err(|error| {
        let shown = document_text(options::versioned(spec).finish().as_doc());
        error.with_prefix(format!(
            "failed to add collation information to index spec for index creation: {shown} :: caused by :: "
        ))
    })?;
    Ok(Chosen::This(collation))
}

/// The index of a normalised specification.
pub fn index_of(id: u32, spec: Doc<'_>) -> Option<Index> {
    let key = spec.get("key")?.as_doc()?;
    let paths: Option<Vec<_>> = key.iter().map(|e| Path::parse(e.name_str()).ok()).collect();
    let on = |option: &str| spec.get(option).and_then(Raw::as_bool).unwrap_or(false);
    let name = spec.get("name")?.as_str()?.to_owned();
    let collation = match spec.get("collation") {
        Some(collation) => collation::parse(collation.as_doc()?, "collation").ok()?,
        None => None,
    };
    let partial = match spec.get("partialFilterExpression").and_then(Raw::as_doc) {
        Some(filter) => Some(Arc::new(partial::compile(filter, collation.as_ref()).ok()?)),
        None => None,
    };
    let wildcard = match key.iter().any(|e| is_wildcard(e.name_str())) {
        true => Some(Arc::new(Wildcard::of_spec(spec)?)),
        false => None,
    };
    let directions: Vec<Direction> = key.iter().map(|e| key::direction(e.value)).collect();
    let expire_after = spec.get("expireAfterSeconds").and_then(Number::from_raw);
    Some(Index {
        id,
        partial,
        hashed: key.iter().position(|e| e.value.as_str() == Some("hashed")),
        wildcard,
        expire_after: expire_after.and_then(Number::to_i32_exact),
        prepare_unique: on("prepareUnique"),
        order: ValueOrder::new(collation),
        unique: on("unique") || name == "_id_",
        name,
        paths: KeyPaths::new(paths?),
        directions,
        sparse: on("sparse"),
        hidden: on("hidden"),
        clustered: on("clustered"),
        by_id: false,
        typed: true,
        spec: spec.to_buf(),
        arrays: Arc::new(Arrays::new(key.iter().count())),
        accesses: Arc::default(),
    })
}
