//! What a choice is remembered by: the shape of the query and the indexes that there are, each as a hash. Two queries of one
//! hash are planned well whether they are of one shape or not: what is remembered is looked at before it is taken.

use std::hash::{BuildHasher, Hasher};

use super::{PlanCache, SHAPES_MAX};
use crate::bson::{Array, Doc, Number, Raw, Type};
use crate::catalog::Collection;
use crate::limits::FILTER_DEPTH_MAX;
use crate::query::matcher::Matcher;
use crate::query::plan::{Query, Wants};
use crate::query::sort::SortPattern;

/// Longest filter of which a choice is remembered, in bytes.
const FILTER_BYTES_MAX: usize = 4096;

/// A shape and the indexes of a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::query::plan) struct Key {
    pub(super) shape: u64,
    /// Their numbers, whether they may be used, and where they met arrays.
    pub(super) indexes: u64,
}

impl Key {
    /// The place in the table.
    pub(super) fn place(self) -> usize {
        (self.mixed() % SHAPES_MAX as u64) as usize
    }

    /// What tells keys of one place apart, 40 bits.
    pub(super) fn rest(self) -> u64 {
        self.mixed() >> 24
    }

    fn mixed(self) -> u64 {
        self.shape ^ self.indexes.rotate_left(32)
    }
}

impl PlanCache {
    /// The key of a query; `None` for one that is not remembered.
    pub(in crate::query::plan) fn key(
        &self,
        query: &Query,
        matcher: Option<&Matcher>,
        collection: &Collection,
    ) -> Option<Key> {
        let filter = matcher.map_or(Doc::EMPTY, Matcher::filter);
        if filter.as_bytes().len() > FILTER_BYTES_MAX {
            return None;
        }
        let mut hash = self.hasher.build_hasher();
        write_filter(filter, 0, &mut hash);
        if let Some(sort) = &query.sort {
            hash.write(SortPattern::spec(sort).as_bytes());
        }
        if let Some(collation) = query.order.collation() {
            hash.write(collation.spec().as_bytes());
        }
        match &query.wants {
            Wants::Documents => hash.write_u8(0),
            Wants::Count => hash.write_u8(1),
            Wants::Distinct(path) => hash.write(path.as_bytes()),
            Wants::Fields(paths) => paths.iter().for_each(|path| hash.write(path.as_bytes())),
        }
        hash.write_u8(u8::from(query.limit.is_some()));
        Some(Key { shape: hash.finish(), indexes: self.indexes(collection) })
    }

    /// The hash of the indexes that a collection has.
    pub(in crate::query::plan) fn indexes(&self, collection: &Collection) -> u64 {
        let mut hash = self.hasher.build_hasher();
        for index in &collection.indexes {
            hash.write_u64(u64::from(index.id) << 1 | u64::from(index.hidden));
            if index.is_multikey() {
                (0..index.directions.len()).for_each(|at| hash.write_u64(index.arrays.of_path(at)));
            }
        }
        hash.finish()
    }
}

/// What of a filter is not a value: paths, operators, and the types of what they compare with.
fn write_filter(filter: Doc<'_>, depth: usize, out: &mut impl Hasher) {
    for field in filter {
        out.write(field.name);
        write_operand(field.name, field.value, depth, out);
    }
    out.write_u8(0xFF);
}

fn write_operand(name: &[u8], value: Raw<'_>, depth: usize, out: &mut impl Hasher) {
    let of_operator = name.starts_with(b"$");
    let is_number = Number::from_raw(value).is_some();
    out.write_u8(if is_number { Type::Int32 as u8 } else { value.kind as u8 });
    if depth > FILTER_DEPTH_MAX {
        return;
    }
    match value.kind {
        Type::Document => {
            let inner = value.as_doc().unwrap_or(Doc::EMPTY);
            if of_operator || inner.first().is_some_and(|first| first.name.starts_with(b"$")) {
                write_filter(inner, depth + 1, out);
            }
        }
        Type::Array if matches!(name, b"$in" | b"$nin" | b"$all") => {
            let several = value.as_array().is_some_and(|list| list.iter().nth(1).is_some());
            out.write_u8(u8::from(several));
        }
        Type::Array if of_operator => {
            let list = value.as_array().into_iter().flat_map(Array::iter);
            list.for_each(|element| write_operand(name, element, depth + 1, out));
        }
        Type::Bool => out.write_u8(u8::from(value.as_bool() == Some(true))),
        // A path of an expression.
        Type::String if value.as_str().is_some_and(|text| text.starts_with('$')) => {
            out.write(value.data);
        }
        _ => {}
    }
}
