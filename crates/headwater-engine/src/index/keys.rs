//! The keys of a document in an index, encoded, and the values behind a key.

use super::wildcard::{Entry, PATH_FIELD, Wildcard, path_key};
use super::{Index, hashed};
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
    /// Which names of the index's paths met arrays.
    pub multikey: Multikey,
    /// Of a wildcard index: the paths of arrays.
    pub arrays: Vec<String>,
}

/// The keys of `doc` in `index`.
///
/// # Errors
/// `CannotIndexParallelArrays` (171), 16766 and 7246301 for arrays where none may be.
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

/// Of an index that keeps documents of the same key in the order of `_id`: what such a key is without the `_id`. `None` if the
/// document does not have it.
///
/// # Errors
/// As [`keys`].
pub fn without_id(index: &Index, doc: Doc<'_>, key: &[u8]) -> Result<Option<Vec<u8>>> {
    let id = id_key(doc.get("_id").unwrap_or(Raw::NULL), &index.order);
    let alone = keys_alone(index, doc)?.keys.into_iter();
    Ok(alone.into_iter().find(|alone| cut([&alone[..], &id].concat()) == key))
}

/// Whether a document has a key, the `_id` behind it left out.
///
/// # Errors
/// As [`keys`].
pub fn has_alone(index: &Index, doc: Doc<'_>, alone: &[u8]) -> Result<bool> {
    Ok(keys_alone(index, doc)?.keys.iter().any(|key| key == alone))
}

/// What all keys start with that begin with `alone` and go on with an `_id`.
pub fn head_of(alone: &[u8]) -> &[u8] {
    alone.get(..KEY_BYTES_MAX - size_of::<u128>()).unwrap_or(alone)
}

fn keys_alone(index: &Index, doc: Doc<'_>) -> Result<Keys> {
    if let Some(filter) = &index.partial
        && !filter.matches(doc)?
    {
        return Ok(Keys::default());
    }
    if let Some(wildcard) = &index.wildcard {
        return of_wildcard(index, wildcard, doc);
    }
    if let [only] = index.paths.paths()
        && let [part] = only.parts()
    {
        return top_field(index, doc.get_bytes(part.name()));
    }
    let mut found = Keys::default();
    let mut is_there = false;
    let Keys { keys, types, multikey, .. } = &mut found;
    let walked = index.paths.each_key(doc, multikey, &mut |values, missing| {
        is_there |= missing < values.len();
        let key = encode(index, values);
        if keys.is_empty() {
            *types = types_of(index, &key, values);
        }
        keys.push(key);
        Ok(())
    });
    // That it may hold no array at all is told before that it may not hold two.
    if index.hashed.is_some() {
        hashed::check(index, multikey)?;
    }
    walked?;
    // A sparse index leaves out documents without any of the fields, not single keys.
    if index.sparse && !is_there {
        keys.clear();
    }
    if multikey.any() {
        keys.sort_unstable();
        keys.dedup();
        types.clear();
    }
    Ok(found)
}

/// What the key of these values does not tell of them. Nothing is noted where the values cannot be told anyway: of a key
/// that was cut, and where texts are kept as collation keys or values as hashes.
fn types_of(index: &Index, key: &[u8], values: &[Raw<'_>]) -> Vec<u8> {
    match index.order.collation() {
        None if key.len() < KEY_BYTES_MAX && index.hashed.is_none() => {
            Types::of(values).as_bytes().to_vec()
        }
        _ => Vec::new(),
    }
}

/// The keys of a field at the top of the document: the common case, without any walk.
fn top_field(index: &Index, value: Option<Raw<'_>>) -> Result<Keys> {
    let of = |keys: Vec<Vec<u8>>| Keys { keys, ..Keys::default() };
    let Some(value) = value else {
        return Ok(of(if index.sparse { vec![] } else { vec![encode(index, &[Raw::NULL])] }));
    };
    let Some(array) = value.as_array() else {
        let key = encode(index, &[value]);
        let types = types_of(index, &key, &[value]);
        return Ok(Keys { keys: vec![key], types, ..Keys::default() });
    };
    let multikey = Multikey(vec![1]);
    if index.hashed.is_some() {
        hashed::check(index, &multikey)?;
    }
    let mut keys: Vec<_> = array.iter().map(|element| encode(index, &[element])).collect();
    if keys.is_empty() {
        keys.push(encode(index, &[Raw { kind: Type::Undefined, data: &[] }]));
    }
    keys.sort_unstable();
    keys.dedup();
    Ok(Keys { keys, multikey, ..Keys::default() })
}

fn of_wildcard(index: &Index, wildcard: &Wildcard, doc: Doc<'_>) -> Result<Keys> {
    let mut found = Keys::default();
    wildcard.each_key(doc, &mut found.arrays, &mut |entry| {
        found.keys.push(encode_entry(index, wildcard, entry));
        Ok(())
    })?;
    found.keys.sort_unstable();
    found.keys.dedup();
    found.arrays.sort_unstable();
    found.arrays.dedup();
    Ok(found)
}

fn encode_entry(index: &Index, wildcard: &Wildcard, entry: &Entry<'_>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(48);
    let mut others = entry.others.iter();
    for (at, direction) in index.directions.iter().enumerate() {
        if at == wildcard.at {
            bytes.extend(path_key(entry.path));
            index.order.append_key(entry.value, *direction, &mut bytes);
        } else if let Some(value) = others.next() {
            index.order.append_key(*value, *direction, &mut bytes);
        }
    }
    cut(bytes)
}

/// Takes a key, encoded, and what shows its values.
type VisitShown<'f> = dyn FnMut(Vec<u8>, &dyn Fn() -> DocBuf) -> Result<()> + 'f;

/// Gives each key of a document to `visit`, encoded, and what shows its values named as in the key pattern.
fn each_shown(index: &Index, doc: Doc<'_>, visit: &mut VisitShown<'_>) -> Result<()> {
    let Some(wildcard) = &index.wildcard else {
        return index.paths.each_key(doc, &mut Multikey::default(), &mut |values, _| {
            visit(encode(index, values), &|| shown(index, values))
        });
    };
    wildcard.each_key(doc, &mut Vec::new(), &mut |entry| {
        visit(encode_entry(index, wildcard, entry), &|| shown_entry(index, wildcard, entry))
    })
}

fn shown(index: &Index, values: &[Raw<'_>]) -> DocBuf {
    let mut shown = DocWriter::new();
    for (at, (value, path)) in values.iter().zip(index.paths.paths()).enumerate() {
        match index.hashed == Some(at) {
            true => shown.i64(path.as_str(), hash_in(index, *value)),
            false => shown.raw(path.as_str(), *value),
        }
    }
    shown.finish()
}

fn shown_entry(index: &Index, wildcard: &Wildcard, entry: &Entry<'_>) -> DocBuf {
    let mut shown = DocWriter::new();
    let mut others = entry.others.iter();
    for (at, path) in index.paths.paths().iter().enumerate() {
        if at != wildcard.at {
            others.next().into_iter().for_each(|value| shown.raw(path.as_str(), *value));
            continue;
        }
        match entry.path {
            Some(path) => {
                shown.str(PATH_FIELD, path);
                shown.raw(path, entry.value);
            }
            None => shown.raw(PATH_FIELD, entry.value),
        }
    }
    shown.finish()
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
    let walked = each_shown(index, doc, &mut |encoded, shown| {
        let whole = [&index.id.to_be_bytes()[..], &encoded].concat();
        let inside = ranges.iter().any(|(lower, upper)| *lower <= whole && whole < *upper);
        let first = found.as_ref().is_none_or(|(first, _)| (whole < *first) != reverse);
        if inside && first {
            found = Some((whole, shown()));
        }
        Ok(())
    });
    walked.ok()?;
    found.map(|(_, shown)| shown)
}

/// The values behind an encoded key of `doc`, named as in the key pattern: what a duplicate key error shows.
pub fn values_of(index: &Index, doc: Doc<'_>, encoded: &[u8]) -> DocBuf {
    let mut found = None;
    let walked = each_shown(index, doc, &mut |own, shown| {
        if found.is_none() && own == encoded {
            found = Some(shown());
        }
        Ok(())
    });
    walked.ok().and(found).unwrap_or_default()
}

fn encode(index: &Index, values: &[Raw<'_>]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(24);
    for (at, (value, direction)) in values.iter().zip(&index.directions).enumerate() {
        if index.hashed == Some(at) {
            let hash = hash_in(index, *value).to_le_bytes();
            let hash = Raw { kind: Type::Int64, data: &hash };
            index.order.append_key(hash, *direction, &mut bytes);
        } else {
            index.order.append_key(*value, *direction, &mut bytes);
        }
    }
    cut(bytes)
}

fn hash_in(index: &Index, value: Raw<'_>) -> i64 {
    hashed::hash(value, index.order.collation().map(AsRef::as_ref))
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
