//! The keys of a document in an index, encoded, and the values behind a key.

use super::Index;
use crate::bson::key::{Direction, Types};
use crate::bson::{Doc, DocBuf, DocWriter, Raw, Type};
use crate::collation::ValueOrder;
use crate::error::Result;
use crate::query::path::Multikey;

/// Longest key that is kept whole, in bytes; of a longer one the head and a hash are kept.
pub const KEY_BYTES_MAX: usize = 1800;

/// The encoded keys of one document, sorted and without repetition.
#[derive(Debug, Default)]
pub struct Keys {
    /// The keys, without index id and record id.
    pub keys: Vec<Vec<u8>>,
    /// What the key does not tell of its values, if there is one key.
    pub types: Vec<u8>,
    /// Whether the document makes the index multikey.
    pub multikey: bool,
}

/// The keys of `doc` in `index`.
///
/// # Errors
/// `CannotIndexParallelArrays` (171).
pub fn keys(index: &Index, doc: Doc<'_>) -> Result<Keys> {
    let mut keys = keys_alone(index, doc)?;
    if index.by_id {
        let id = id_key(doc.get("_id").unwrap_or(Raw::NULL), &index.order);
        let with_id = |key: Vec<u8>| cut([key, id.clone()].concat());
        keys.keys = keys.keys.into_iter().map(with_id).collect();
        keys.keys.sort_unstable();
    }
    Ok(keys)
}

fn keys_alone(index: &Index, doc: Doc<'_>) -> Result<Keys> {
    if let Some(filter) = &index.partial
        && !filter.matches(doc)?
    {
        return Ok(Keys::default());
    }
    if let [only] = index.paths.paths()
        && let [part] = only.parts()
    {
        return Ok(top_field(index, doc.get_bytes(part.name())));
    }
    let (mut keys, mut types) = (Vec::new(), Vec::new());
    let mut multikey = Multikey::default();
    let mut is_there = false;
    index.paths.each_key(doc, &mut multikey, &mut |values, missing| {
        is_there |= missing < values.len();
        let key = encode(index, values);
        if keys.is_empty() {
            types = types_of(index, &key, values);
        }
        keys.push(key);
        Ok(())
    })?;
    // A sparse index leaves out documents without any of the fields, not single keys.
    if index.sparse && !is_there {
        keys.clear();
    }
    let multikey = multikey.any();
    if multikey {
        keys.sort_unstable();
        keys.dedup();
        types.clear();
    }
    Ok(Keys { keys, types, multikey })
}

/// What the key of these values does not tell of them. Nothing is noted where the values cannot be told anyway: of a key
/// that was cut, and where texts are kept as collation keys.
fn types_of(index: &Index, key: &[u8], values: &[Raw<'_>]) -> Vec<u8> {
    match index.order.collation() {
        None if key.len() < KEY_BYTES_MAX => Types::of(values).as_bytes().to_vec(),
        _ => Vec::new(),
    }
}

/// The keys of a field at the top of the document: the common case, without any walk.
fn top_field(index: &Index, value: Option<Raw<'_>>) -> Keys {
    let Some(value) = value else {
        let keys = if index.sparse { vec![] } else { vec![encode(index, &[Raw::NULL])] };
        return Keys { keys, ..Keys::default() };
    };
    let Some(array) = value.as_array() else {
        let key = encode(index, &[value]);
        let types = types_of(index, &key, &[value]);
        return Keys { keys: vec![key], types, multikey: false };
    };
    let mut keys: Vec<_> = array.iter().map(|element| encode(index, &[element])).collect();
    if keys.is_empty() {
        keys.push(encode(index, &[Raw { kind: Type::Undefined, data: &[] }]));
    }
    keys.sort_unstable();
    keys.dedup();
    Keys { keys, multikey: true, ..Keys::default() }
}

/// Of the keys of `doc` that are inside the ranges of a scan (whole keys, lower included, upper excluded) the one that
/// the scan meets first: its values, named as in the key pattern. None if there is no such key.
pub fn key_inside(
    index: &Index,
    doc: Doc<'_>,
    ranges: &[(Vec<u8>, Vec<u8>)],
    reverse: bool,
) -> Option<DocBuf> {
    let mut found: Option<(Vec<u8>, DocBuf)> = None;
    let walked = index.paths.each_key(doc, &mut Multikey::default(), &mut |values, _| {
        let whole = [&index.id.to_be_bytes()[..], &encode(index, values)].concat();
        let inside = ranges.iter().any(|(lower, upper)| *lower <= whole && whole < *upper);
        let first = found.as_ref().is_none_or(|(first, _)| (whole < *first) != reverse);
        if inside && first {
            let mut shown = DocWriter::new();
            for (value, path) in values.iter().zip(index.paths.paths()) {
                shown.raw(path.as_str(), *value);
            }
            found = Some((whole, shown.finish()));
        }
        Ok(())
    });
    walked.ok()?;
    found.map(|(_, shown)| shown)
}

/// The values behind an encoded key of `doc`, named as in the key pattern: what a duplicate key error shows.
pub fn values_of(index: &Index, doc: Doc<'_>, encoded: &[u8]) -> DocBuf {
    let mut found = None;
    let walked = index.paths.each_key(doc, &mut Multikey::default(), &mut |values, _| {
        if found.is_none() && encode(index, values) == encoded {
            let mut shown = DocWriter::new();
            for (value, path) in values.iter().zip(index.paths.paths()) {
                shown.raw(path.as_str(), *value);
            }
            found = Some(shown.finish());
        }
        Ok(())
    });
    walked.ok().and(found).unwrap_or_default()
}

fn encode(index: &Index, values: &[Raw<'_>]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(24);
    for (value, direction) in values.iter().zip(&index.directions) {
        index.order.append_key(*value, *direction, &mut bytes);
    }
    cut(bytes)
}

/// Shortens a key that the store could not hold: its head and a hash of the whole.
pub fn cut(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.len() > KEY_BYTES_MAX {
        let hash = hash128(&bytes);
        bytes.truncate(KEY_BYTES_MAX - hash.len());
        bytes.extend_from_slice(&hash);
    }
    bytes
}

/// FNV-1a in 128 bits: stable across builds and machines, which the stored keys need.
fn hash128(bytes: &[u8]) -> [u8; 16] {
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013B;
    const OFFSET: u128 = 0x6C62_272E_07BB_0142_62B8_2175_6295_C58D;
    let step = |hash: u128, &byte: &u8| (hash ^ u128::from(byte)).wrapping_mul(PRIME);
    bytes.iter().fold(OFFSET, step).to_be_bytes()
}

/// The encoded key of an `_id` in an index of that order.
pub fn id_key(id: Raw<'_>, order: &ValueOrder) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(24);
    order.append_key(id, Direction::Ascending, &mut bytes);
    cut(bytes)
}
