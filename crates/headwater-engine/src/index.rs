//! Indexes: their specification, their kinds, and what they say of themselves. The keys of a document are made in
//! [`keys`]; entries are written by `collection.rs` alone.

mod accesses;
mod arrays;
pub mod hashed;
pub mod keys;
mod spec;
pub mod wildcard;

use std::sync::Arc;

use crate::bson::key::Direction;
use crate::bson::{Doc, DocBuf, DocWriter, Raw, View};
use crate::collation::ValueOrder;
use crate::error::{Code, Error, Result};
use crate::query::matcher::Matcher;
use crate::query::path::{KeyPaths, Path};

pub use accesses::Accesses;
pub use arrays::Arrays;
pub(crate) use spec::normal_projection;
pub use spec::{Wanted, index_of, parse_spec};
pub(crate) use spec::{check_hashed, expire_seconds, known_options};
use wildcard::Wildcard;

/// What is known of index kinds: the string that a key pattern names, whether this version builds it.
pub const INDEX_KINDS: &[(&str, bool)] =
    &[("2d", false), ("2dsphere", false), ("hashed", true), ("text", false), ("wildcard", true)];

/// An index of one collection.
#[derive(Debug)]
pub struct Index {
    /// The number that its entries' keys start with. Never used twice.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// The indexed paths in order.
    pub paths: KeyPaths,
    /// Their directions.
    pub directions: Vec<Direction>,
    /// How values compare in it.
    pub order: ValueOrder,
    /// Whether two documents may not share a key.
    pub unique: bool,
    /// Whether documents without any of the fields are left out.
    pub sparse: bool,
    /// Which documents alone are in it.
    pub partial: Option<Arc<Matcher>>,
    /// The field that holds hashes, by its place.
    pub hashed: Option<usize>,
    /// What it holds, if one of its paths stands for many.
    pub wildcard: Option<Arc<Wildcard>>,
    /// Seconds after the dates in it that documents are removed, if they are.
    pub expire_after: Option<i32>,
    /// Whether no document may be added or changed to a key that another has, although some may share one already.
    pub prepare_unique: bool,
    /// Whether the planner must not use it.
    pub hidden: bool,
    /// Whether it is the order of a clustered collection's documents.
    pub clustered: bool,
    /// Whether documents with the same key stand in the order of `_id`, as in a clustered collection.
    pub by_id: bool,
    /// Whether its entries tell the types of the values, so that documents can be made of them: not those of an index
    /// from before it was so.
    pub typed: bool,
    /// The specification as `listIndexes` shows it.
    pub spec: DocBuf,
    /// Where its documents have, or had, arrays.
    pub arrays: Arc<Arrays>,
    /// How often it was used.
    pub accesses: Arc<Accesses>,
}

impl Index {
    /// The `_id` index, in the order that the collection has by default.
    pub fn on_id(id: u32, order: ValueOrder) -> Index {
        let mut spec = DocWriter::new();
        spec.i32("v", 2);
        spec.document("key", |key| key.i32("_id", 1));
        spec.str("name", "_id_");
        if let Some(collation) = order.collation() {
            spec.doc("collation", collation.spec());
        }
        Index {
            id,
            name: "_id_".to_owned(),
            paths: KeyPaths::new(Path::parse("_id").into_iter().collect::<Vec<_>>()),
            directions: vec![Direction::Ascending],
            order,
            unique: true,
            sparse: false,
            partial: None,
            hashed: None,
            wildcard: None,
            expire_after: None,
            prepare_unique: false,
            hidden: false,
            clustered: false,
            by_id: false,
            typed: true,
            spec: spec.finish(),
            arrays: Arc::new(Arrays::new(1)),
            accesses: Arc::default(),
        }
    }

    /// Whether it is the `_id` index, whatever its name.
    pub fn is_id(&self) -> bool {
        self.name == "_id_" || self.clustered
    }

    /// The same index with documents of the same key in the order of `_id`, or in that of their insertion.
    #[must_use]
    pub fn in_order_of_id(self, by_id: bool) -> Index {
        Index { by_id: by_id && !self.unique, ..self }
    }

    /// The same index with a flag of its specification set or taken away, one that does not tell what its keys are.
    ///
    /// # Errors
    /// `InternalError` (1) if the specification does not parse any more.
    pub fn with_flag(&self, name: &str, on: bool) -> Result<Index> {
        let mut spec = DocWriter::new();
        for element in self.spec.as_doc().iter().filter(|element| element.name_str() != name) {
            if on && element.name == b"key" {
                spec.bool(name, true);
            }
            spec.raw_bytes(element.name, element.value);
        }
        self.with_spec(spec.finish())
    }

    /// The same index with another life time of documents.
    ///
    /// # Errors
    /// As [`Index::with_flag`].
    pub fn with_expire_after(&self, seconds: i32) -> Result<Index> {
        let mut spec = DocWriter::new();
        let mut is_new = true;
        for element in self.spec.as_doc() {
            match element.name {
                b"expireAfterSeconds" => {
                    spec.i32("expireAfterSeconds", seconds);
                    is_new = false;
                }
                _ => spec.raw_bytes(element.name, element.value),
            }
        }
        if is_new {
            spec.i32("expireAfterSeconds", seconds);
        }
        self.with_spec(spec.finish())
    }

    /// An index of the same keys that is unique, under another number.
    ///
    /// # Errors
    /// As [`Index::with_flag`].
    pub fn as_unique(&self, id: u32) -> Result<Index> {
        let mut spec = DocWriter::new();
        for element in self.spec.as_doc().iter().filter(|e| e.name != b"prepareUnique") {
            spec.raw_bytes(element.name, element.value);
            if element.name == b"v" {
                spec.bool("unique", true);
            }
        }
        Index { id, ..self.with_spec(self.spec.clone())? }.with_spec(spec.finish())
    }

    fn with_spec(&self, spec: DocBuf) -> Result<Index> {
        let index = index_of(self.id, spec.as_doc()).ok_or_else(|| {
            Error::new(Code::INTERNAL_ERROR, "a stored index specification does not parse")
        })?;
        let (arrays, accesses) = (self.arrays.clone(), self.accesses.clone());
        Ok(Index { arrays, accesses, typed: self.typed, ..index.in_order_of_id(self.by_id) })
    }

    /// The key pattern.
    pub fn key_pattern(&self) -> Doc<'_> {
        self.spec.as_doc().get("key").and_then(Raw::as_doc).unwrap_or(Doc::EMPTY)
    }

    /// Its row in `listIndexes`, in the order of the reply's fields there.
    pub fn describe(&self) -> DocBuf {
        const ORDER: [&str; 15] = [
            "v",
            "key",
            "name",
            "background",
            "unique",
            "hidden",
            "partialFilterExpression",
            "sparse",
            "expireAfterSeconds",
            "storageEngine",
            "bucketSize",
            "collation",
            "wildcardProjection",
            "clustered",
            "prepareUnique",
        ];
        let spec = self.spec.as_doc();
        let mut row = DocWriter::new();
        for name in ORDER {
            spec.get(name).into_iter().for_each(|value| row.raw(name, value));
        }
        row.finish()
    }

    /// Whether some document has, or had, an array on a path of it.
    pub fn is_multikey(&self) -> bool {
        self.arrays.any()
    }

    /// Whether a document may have several keys in it.
    pub fn repeats(&self) -> bool {
        self.is_multikey() || self.wildcard.is_some()
    }

    /// Its row in `$indexStats`, with the name of this machine.
    pub fn describe_uses(&self, host: &str) -> DocBuf {
        let mut row = DocWriter::new();
        row.str("name", &self.name);
        row.doc("key", self.key_pattern());
        row.str("host", host);
        row.document("accesses", |accesses| {
            accesses.i64("ops", self.accesses.operations());
            accesses.date("since", self.accesses.since_ms);
        });
        row.doc("spec", self.describe().as_doc());
        row.finish()
    }

    /// Its part of the collection's catalog record.
    pub fn to_record(&self) -> DocBuf {
        let mut record = DocWriter::new();
        record.i64("id", i64::from(self.id));
        self.arrays.write(&mut record);
        record.bool("typed", self.typed);
        record.doc("spec", self.spec.as_doc());
        record.finish()
    }

    /// The index that a catalog record describes.
    pub fn from_record(record: Doc<'_>) -> Option<Index> {
        let id = match record.get("id")?.view() {
            View::Int64(id) => u32::try_from(id).ok()?,
            _ => return None,
        };
        let spec = record.get("spec")?.as_doc()?;
        let mut index = index_of(id, spec)?;
        index.typed = record.get("typed").and_then(Raw::as_bool).unwrap_or(false);
        index.arrays = Arc::new(Arrays::read(record, index.directions.len())?);
        Some(index)
    }
}
