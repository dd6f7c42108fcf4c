//! Hashed indexes: the hash that stands in the place of a value. Stored in indexes and shown by `$toHashedIndexKey`, so it
//! is MongoDB's own: MD5 of the value in a canonical form. Source: the server's `hasher.cpp`; recorded replies.

use md5::{Digest, Md5};

use crate::bson::{Doc, Number, Raw, Type};
use crate::collation::Collation;
use crate::error::{Error, Result};
use crate::index::Index;
use crate::query::path::Multikey;

/// What every hash starts with.
const SEED: i32 = 0;

/// The hash of a value; numbers that differ in their fractions alone have the same.
///
/// ```
/// use headwater_engine::bson::Value;
/// use headwater_engine::index::hashed::hash;
/// assert_eq!(hash(Value::i32(1).raw().unwrap(), None), 5_902_408_780_260_971_510);
/// assert_eq!(hash(Value::f64(1.9).raw().unwrap(), None), 5_902_408_780_260_971_510);
/// ```
pub fn hash(value: Raw<'_>, collation: Option<&Collation>) -> i64 {
    let mut md5 = Md5::new();
    md5.update(SEED.to_le_bytes());
    add(&mut md5, value, None, collation);
    let digest = md5.finalize();
    digest.first_chunk().copied().map(i64::from_le_bytes).unwrap_or_default()
}

/// The error of a document that has an array on a path of a hashed index, whose paths met `arrays`.
///
/// # Errors
/// 16766.
pub(super) fn check(index: &Index, arrays: &Multikey) -> Result<()> {
    let Some((path, bits)) =
        index.paths.paths().iter().zip(&arrays.0).find(|(_, bits)| **bits != 0)
    else {
        return Ok(());
    };
    let names = bits.trailing_zeros() as usize + 1;
    let names: Vec<&str> = path.parts().iter().take(names).map(|part| part.as_str()).collect();
    let message = format!(
        "Error: hashed indexes do not currently support array values. Found array at path: {}",
        names.join(".")
    );
    Err(Error::location(16766, message))
}

fn add(md5: &mut Md5, value: Raw<'_>, name: Option<&[u8]>, collation: Option<&Collation>) {
    md5.update(canonical(value.kind).to_le_bytes());
    if let Some(name) = name {
        md5.update(name);
        md5.update([0]);
    }
    match value.kind {
        kind if kind.is_number() => md5.update(whole(value).to_le_bytes()),
        Type::Document | Type::Array => inside(md5, Doc::trusted(value.data), collation),
        Type::CodeWithScope => {
            // The length of all, then the code, then the scope.
            let code = value.data.get(4..).unwrap_or_default();
            let length = code.first_chunk().copied().map_or(0, u32::from_le_bytes) as usize;
            let code = code.get(4..).unwrap_or_default();
            let (code, scope) = code.split_at_checked(length).unwrap_or((code, &[]));
            md5.update(code);
            inside(md5, Doc::trusted(scope), collation);
        }
        Type::String if collation.is_some() => {
            let mut key = Vec::new();
            if let (Some(collation), Some(text)) = (collation, value.as_str()) {
                collation.append_key(text, &mut key);
            }
            key.push(0);
            md5.update((key.len() as u32).to_le_bytes());
            md5.update(key);
        }
        _ => md5.update(value.data),
    }
}

fn inside(md5: &mut Md5, doc: Doc<'_>, collation: Option<&Collation>) {
    for element in doc {
        add(md5, element.value, Some(element.name), collation);
    }
    // The end of the document is an element of its own, without a name.
    md5.update(0_i32.to_le_bytes());
}

/// The number of a type's class, by which types stand in order.
fn canonical(kind: Type) -> i32 {
    match kind {
        Type::MinKey => -1,
        Type::MaxKey => 127,
        Type::Undefined => 0,
        Type::Null => 5,
        kind if kind.is_number() => 10,
        Type::String | Type::Symbol => 15,
        Type::Document => 20,
        Type::Array => 25,
        Type::Binary => 30,
        Type::ObjectId => 35,
        Type::Bool => 40,
        Type::Date => 45,
        Type::Timestamp => 47,
        Type::Regex => 50,
        Type::DbPointer => 55,
        Type::Code => 60,
        _ => 65,
    }
}

/// A number without its fraction, as near as 64 bits allow; NaN is 0.
fn whole(value: Raw<'_>) -> i64 {
    match Number::from_raw(value) {
        Some(number) if number.is_nan() => 0,
        // The first double beyond 64 bits has wrapped around ever since.
        Some(Number::Double(number)) if number == -(i64::MIN as f64) => i64::MIN,
        Some(number) => number.to_i64_saturating(),
        None => 0,
    }
}
