//! Index specifications: what `createIndexes` accepts, normalised as `listIndexes` shows it.

mod key;
mod options;
mod partial;
mod read;
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
use read::Given;
pub(crate) use wildcard::normal_projection;
pub(super) use wildcard::wildcard_fields;

/// An index as `createIndexes` asks for it: each field of its specification is right by itself.
#[derive(Debug)]
pub struct Wanted {
    /// As the client wrote it.
    written: DocBuf,
}

impl Wanted {
    /// The normalised specification (`v`, options, `key`, `name`) in a collection that has `default` as its collation.
    ///
    /// # Errors
    /// `BadValue` (2) for an `_id` index whose collation differs from the collection's; `CannotCreateIndex` (67) and others
    /// for what does not go together; those of parsing a collation.
    pub fn in_collection(&self, default: Option<&Arc<Collation>>) -> Result<DocBuf> {
        let written = self.written.as_doc();
        let given = read::read(written)?;
        let collation = match written.get("collation").and_then(Raw::as_doc) {
            Some(collation) => Chosen::This(parse_collation(written, collation)?),
            // Such an index cannot have any.
            None if given.version == 1 => Chosen::This(None),
            None => Chosen::Inherited,
        };
        let collation = collation.or(default);
        check_id_collation(given.key, collation.as_ref(), default)?;
        let shown = || {
            let mut shown = options::versioned(written);
            if let Some(collation) = default.filter(|_| written.get("collation").is_none()) {
                shown.doc("collation", collation.spec());
            }
            shown.finish()
        };
        if given.clustered && default.is_some() {
            let shown = shown();
            let why = options::invalid("collation", "a clustered index", shown.as_doc());
            let code = Code::INVALID_INDEX_SPECIFICATION_OPTION;
            return Err(options::wrong(shown.as_doc(), code, &why));
        }
        check_fit(written, &given)
            .map_err(|(code, why)| options::wrong(shown().as_doc(), code, &why))?;
        key::check_made(given.key)?;
        let mut spec = match key::is_id(given.key) {
            true => options::versioned(Index::on_id(0, ValueOrder::default()).spec.as_doc()),
            false => self.normalised(&given),
        };
        if let Some(collation) = collation {
            spec.doc("collation", collation.spec());
        }
        Ok(spec.finish())
    }

    /// Checks the life time of documents that it asks for.
    ///
    /// # Errors
    /// `CannotCreateIndex` (67).
    pub fn check_expiry(&self) -> Result<()> {
        let spec = self.written.as_doc();
        let key = spec.get("key").and_then(Raw::as_doc).unwrap_or(Doc::EMPTY);
        options::check_expiry(spec, key)
    }

    /// What is stored but for the collation: the version and flags first, the others as the client ordered them.
    fn normalised(&self, given: &Given<'_>) -> DocWriter {
        let mut out = DocWriter::new();
        out.i32("v", given.version);
        let flags = [
            ("unique", given.unique),
            ("hidden", given.hidden),
            ("prepareUnique", given.prepare_unique),
            ("clustered", given.clustered),
        ];
        flags.iter().filter(|(_, on)| *on).for_each(|(name, _)| out.bool(name, true));
        out.doc("key", given.key);
        out.str("name", given.name);
        for element in self.written.as_doc() {
            let (name, value) = (element.name_str(), element.value);
            match name {
                // `background` changes nothing since 4.2, but it is shown.
                "background" | "sparse" => out.bool(name, options::truth(value) == Some(true)),
                "expireAfterSeconds" => {
                    options::seconds(value).iter().for_each(|seconds| out.i32(name, *seconds));
                }
                "bucketSize" => {
                    let size = Number::from_raw(value).map_or(0.0, Number::to_f64);
                    out.f64(name, if size.is_nan() { 0.0 } else { size });
                }
                // Languages are kept of indexes that hold no text too.
                "default_language"
                | "language_override"
                | "partialFilterExpression"
                | "storageEngine"
                | "wildcardProjection" => out.raw(name, value),
                _ => {}
            }
        }
        out
    }
}

/// Reads an entry of `createIndexes.indexes`.
///
/// # Errors
/// MongoDB's codes for specifications that are wrong by themselves; 'not supported' for kinds of later versions.
pub fn parse_spec(spec: Doc<'_>) -> Result<Wanted> {
    options::check_names(spec)?;
    let given = read::read(spec)?;
    check_name(spec, &given)?;
    Ok(Wanted { written: spec.to_buf() })
}

/// The names of the index on `_id` and of all indexes are taken.
fn check_name(spec: Doc<'_>, given: &Given<'_>) -> Result<()> {
    let shown = || document_text(given.key);
    let message = if key::is_on_id(given.key) {
        if !given.clustered {
            options::check_id(spec)?;
        }
        match key::is_id(given.key) {
            true => return Ok(()),
            false => {
                format!("The field 'key' for an _id index must be {{_id: 1}}, but got {}", shown())
            }
        }
    } else if given.name == "_id_" {
        format!(
            "The index name '_id_' is reserved for the _id index, which must have key pattern {{_id: 1}}, found key: {}",
            shown()
        )
    } else if given.name == "*" {
        "The index name '*' is not valid.".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::new(Code::BAD_VALUE, message))
}

/// What does not go together, though each field is right by itself.
fn check_fit(spec: Doc<'_>, given: &Given<'_>) -> Result<(), (Code, String)> {
    let unfit = |why: String| (Code::CANNOT_CREATE_INDEX, why);
    match given.name {
        "" => return Err(unfit("index name cannot be empty".to_owned())),
        name if name.contains('\0') => {
            return Err(unfit("index name cannot contain NUL bytes".to_owned()));
        }
        _ => {}
    }
    if key::wildcard_path(given.key).is_some() {
        wildcard::check_options(spec).map_err(unfit)?;
    }
    if let Some(filter) = spec.get("partialFilterExpression").and_then(Raw::as_doc) {
        partial::check_use(spec, filter).map_err(unfit)?;
    }
    spec.get("storageEngine").map_or(Ok(()), options::check_storage_engine)
}

fn check_id_collation(
    key: Doc<'_>,
    collation: Option<&Arc<Collation>>,
    default: Option<&Arc<Collation>>,
) -> Result<()> {
    if !key::is_id(key) || collation == default {
        return Ok(());
    }
    let shown = |collation: Option<&Arc<Collation>>| match collation {
        Some(collation) => document_text(collation.spec()),
        None => "{ locale: \"simple\" }".to_owned(),
    };
    let message = format!(
        "The _id index must have the same collation as the collection. Index collation: {}, collection collation: {}",
        shown(collation),
        shown(default)
    );
    Err(Error::new(Code::BAD_VALUE, message))
}

/// Refuses fields of hashes that no index can have, which only building it finds.
///
/// # Errors
/// 31303, 16764.
pub(crate) fn check_hashed(spec: Doc<'_>) -> Result<()> {
    let key = spec.get("key").and_then(Raw::as_doc).unwrap_or(Doc::EMPTY);
    let hashed = key.iter().filter(|e| e.value.as_str() == Some("hashed")).count();
    if hashed > 1 {
        let key = document_text(key);
        let why = format!(
            "A maximum of one index field is allowed to be hashed but found {hashed} for 'key' {key}"
        );
        return Err(Error::location(31303, why));
    }
    if hashed == 1 && spec.get("unique").and_then(Raw::as_bool) == Some(true) {
        let why = "Currently hashed indexes cannot guarantee uniqueness. Use a regular index.";
        return Err(Error::location(16764, why));
    }
    Ok(())
}

fn parse_collation(spec: Doc<'_>, collation: Doc<'_>) -> Result<Option<Arc<Collation>>> {
    collation::parse(collation, "collation").map_err(|error| {
        let shown = document_text(options::versioned(spec).finish().as_doc());
        error.with_prefix(format!(
            "failed to add collation information to index spec for index creation: {shown} :: caused by :: "
        ))
    })
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
