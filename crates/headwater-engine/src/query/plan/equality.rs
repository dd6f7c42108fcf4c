//! The short way of a filter that asks for one value of one field: an index is found without compiling the filter.

use std::sync::Arc;

use super::Query;
use super::tree::{Access, IndexScan, Range};
use crate::bson::{Doc, Number, Raw, Type};
use crate::catalog::Collection;
use crate::collation::{ValueOrder, may_hold_texts};
use crate::index::Index;
use crate::index::keys::KEY_BYTES_MAX;
use crate::query::bounds::Interval;

/// The part of an index that holds all documents with one value, and no others.
#[derive(Debug)]
pub(super) struct Equality {
    index: Arc<Index>,
    range: Range,
}

impl Equality {
    /// Where the documents of `collection` stand that `filter` asks for, if that is one value of one field and an index
    /// begins with the field.
    pub(super) fn of(
        filter: Doc<'_>,
        order: &ValueOrder,
        collection: &Collection,
    ) -> Option<Equality> {
        let mut elements = filter.iter();
        let (only, None) = (elements.next()?, elements.next()) else { return None };
        let name = only.name_str();
        if name.starts_with('$') || !is_plain(only.value) {
            return None;
        }
        let texts = may_hold_texts(only.value.kind);
        let fits = |index: &&Arc<Index>| {
            !index.hidden
                && index.partial.is_none()
                && index.paths.paths().first().is_some_and(|path| path.as_str() == name)
                && (!texts || index.order == *order)
                && holds_values(index)
        };
        let found = collection.indexes.iter().filter(fits);
        let index = found.min_by_key(|index| index.directions.len())?;
        let mut key = Vec::with_capacity(32);
        index.order.append_key(only.value, *index.directions.first()?, &mut key);
        if key.len() >= KEY_BYTES_MAX / 2 {
            return None;
        }
        let Interval { lower, upper } = Interval::starting_with(key);
        let id = index.id.to_be_bytes();
        let range = ([&id[..], &lower].concat(), [&id[..], &upper].concat());
        Some(Equality { index: index.clone(), range })
    }

    /// Whether there is one such document at most.
    pub(super) fn is_point(&self) -> bool {
        self.index.unique && self.index.directions.len() == 1
    }

    /// The way to the documents.
    pub(super) fn access(self) -> Access {
        let points = self.is_point();
        let Equality { index, range } = self;
        Access::Index(IndexScan {
            index,
            ranges: vec![range],
            reverse: false,
            fields: Vec::new(),
            ranged: 0,
            merged_from: 0,
            points,
        })
    }
}

/// A value that nothing else equals: no absent field, no array, no pattern.
fn is_plain(value: Raw<'_>) -> bool {
    !matches!(value.kind, Type::Null | Type::Undefined | Type::Array | Type::Regex | Type::Document)
}

/// Whether the first field of the keys is the value at its path, of every document that has one.
fn holds_values(index: &Index) -> bool {
    let mut fields = index.key_pattern().iter();
    let mut paths = index.paths.paths().iter();
    fields.next().is_some_and(|first| Number::from_raw(first.value).is_some())
        && fields.all(|field| !field.name.ends_with(b"$**"))
        && paths.next().is_some_and(|path| path.parts().iter().all(|part| part.index().is_none()))
}

/// Whether a filter may ask for one document by a field of a unique index of `collection`: its one field begins one.
pub fn may_name_one(filter: Doc<'_>, collection: &Collection) -> bool {
    let mut elements = filter.iter();
    let (Some(only), None) = (elements.next(), elements.next()) else { return false };
    let is_it = |index: &Arc<Index>| {
        index.unique
            && matches!(index.paths.paths(), [path] if path.as_str().as_bytes() == only.name)
    };
    is_plain(only.value) && collection.indexes.iter().any(is_it)
}

impl Query {
    /// Whether the documents can be found without the filter, which was not compiled.
    pub fn is_express(&self) -> bool {
        self.id_only || self.equality.is_some()
    }

    /// Whether one document at most is asked for, which an entry of an index leads to.
    pub fn is_of_one_entry(&self) -> bool {
        self.id_only || self.equality.as_ref().is_some_and(Equality::is_point)
    }
}
