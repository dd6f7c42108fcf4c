//! The other collection of a `$lookup` in memory, by the values of the field that it is asked for. It gives what may
//! match: whoever asks looks at each document again.

use std::collections::HashMap;

use crate::bson::key::Direction;
use crate::bson::{Doc, DocBuf, Raw, Type};
use crate::collation::ValueOrder;
use crate::error::Result;
use crate::query::exec::Environment;
use crate::query::path::{KeyPaths, Multikey, Path};

/// Documents by the values of a field.
#[derive(Debug, Default)]
pub(super) struct Hash {
    docs: Vec<DocBuf>,
    places: HashMap<Vec<u8>, Vec<u32>>,
}

impl Hash {
    /// Reads a collection; `None` if it does not fit into memory, has more than `docs_max` documents, or the field cannot
    /// be asked for in this way.
    ///
    /// # Errors
    /// Those of opening and reading the collection.
    pub(super) fn build(
        env: &dyn Environment,
        (db, from): (&str, &str),
        field: &str,
        order: &ValueOrder,
        docs_max: usize,
    ) -> Result<Option<Hash>> {
        let Ok(path) = Path::parse(field) else { return Ok(None) };
        let is_position = |name: &str| name.starts_with(|c: char| c.is_ascii_digit());
        if field.split('.').any(is_position) {
            return Ok(None);
        }
        let paths = KeyPaths::new(vec![path]);
        let mut hash = Hash::default();
        let mut bytes = 0;
        let mut source = env.open(db, from, Doc::EMPTY, order)?;
        while let Some(doc) = source.next(env)? {
            let Ok(at) = u32::try_from(hash.docs.len()) else { return Ok(None) };
            if hash.docs.len() >= docs_max {
                return Ok(None);
            }
            bytes += doc.as_doc().as_bytes().len() + size_of::<DocBuf>();
            let mut key = Vec::new();
            let known = paths.each_key(doc.as_doc(), &mut Multikey::default(), &mut |values, _| {
                key.clear();
                order.append_key(
                    values.first().copied().unwrap_or(Raw::NULL),
                    Direction::Ascending,
                    &mut key,
                );
                bytes += key.len() + 2 * size_of::<Vec<u8>>();
                let places = hash.places.entry(key.clone()).or_default();
                if places.last() != Some(&at) {
                    places.push(at);
                }
                Ok(())
            });
            if known.is_err() || bytes > env.stage_bytes_max() {
                return Ok(None);
            }
            hash.docs.push(doc);
        }
        Ok(Some(hash))
    }

    /// The documents that match a value and no others, in the order of the collection; `None` if the value is one of which
    /// the hash cannot tell. `key` is only space.
    pub(super) fn equal<'h>(
        &'h self,
        value: Raw<'_>,
        key: &mut Vec<u8>,
        order: &ValueOrder,
    ) -> Option<impl Iterator<Item = Doc<'h>>> {
        // Of these equality is equality of keys; null also stands for what is missing, and an array for its values.
        let plain = match value.kind {
            Type::String => order.collation().is_none(),
            Type::Int32 | Type::Int64 | Type::Double | Type::Decimal => true,
            Type::ObjectId | Type::Date | Type::Bool | Type::Binary => true,
            _ => false,
        };
        if !plain {
            return None;
        }
        key.clear();
        order.append_key(value, Direction::Ascending, key);
        let places = self.places.get(key.as_slice()).map_or(&[][..], Vec::as_slice);
        Some(places.iter().filter_map(|at| self.docs.get(*at as usize)).map(DocBuf::as_doc))
    }

    /// The documents that may have one of the values, in the order of the collection; `None` if it cannot tell.
    pub(super) fn find<'a>(
        &self,
        values: impl Iterator<Item = Raw<'a>>,
        order: &ValueOrder,
    ) -> Option<Vec<Doc<'_>>> {
        let mut found = Vec::new();
        for value in values {
            if matches!(value.kind, Type::Array | Type::Undefined) {
                return None;
            }
            let mut key = Vec::new();
            order.append_key(value, Direction::Ascending, &mut key);
            found.extend(self.places.get(&key).into_iter().flatten().copied());
        }
        found.sort_unstable();
        found.dedup();
        let doc = |at: u32| self.docs.get(at as usize).map(DocBuf::as_doc);
        Some(found.into_iter().filter_map(doc).collect())
    }
}
