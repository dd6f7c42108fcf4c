//! Validates bytes from outside, once, so that everything behind may trust them.

use super::scan::{self, value_len};
use super::{Doc, Type};
use crate::error::{Code, Error, Result};
use crate::limits::{COMMAND_DEPTH_MAX, DEPTH_MAX};

/// Checks that `bytes` is exactly one BSON document of at most [`DEPTH_MAX`] levels: exact lengths, known types,
/// terminators, UTF-8 in every name and string.
///
/// # Errors
/// `InvalidBSON` (22) naming what is wrong; `Overflow` (15) for a nesting that is too deep.
pub fn validate(bytes: &[u8]) -> Result<Doc<'_>> {
    document(bytes, DEPTH_MAX)?;
    Ok(Doc::trusted(bytes))
}

/// As [`validate`], with the depth that a command may have: [`COMMAND_DEPTH_MAX`].
///
/// # Errors
/// As [`validate`].
pub fn validate_command(bytes: &[u8]) -> Result<Doc<'_>> {
    document(bytes, COMMAND_DEPTH_MAX)?;
    Ok(Doc::trusted(bytes))
}

#[cold]
fn invalid(what: &str) -> Error {
    Error::new(Code::INVALID_BSON, format!("Invalid BSON: {what}"))
}

fn document(bytes: &[u8], depth_left: usize) -> Result<()> {
    if depth_left == 0 {
        return Err(Error::new(Code::OVERFLOW, "BSON nesting is deeper than the limit"));
    }
    let Some((head, _)) = bytes.split_first_chunk::<4>() else {
        return Err(invalid("a document is cut short"));
    };
    if usize::try_from(i32::from_le_bytes(*head)) != Ok(bytes.len()) {
        return Err(invalid("a document's length is not that of its bytes"));
    }
    let mut at = 4;
    while let Some(span) = scan::element(bytes, at) {
        let kind = bytes.get(at).and_then(|&kind| Type::from_byte(kind));
        let name = bytes.get(span.name..span.value - 1);
        let data = bytes.get(span.value..span.end);
        let (Some(kind), Some(name), Some(data)) = (kind, name, data) else {
            return Err(invalid("an element is cut short"));
        };
        utf8(name)?;
        content(kind, data, depth_left)?;
        at = span.end;
    }
    match bytes.get(at..) {
        Some([0]) => Ok(()),
        Some([0, ..]) => Err(invalid("bytes after the terminator")),
        None | Some([]) => Err(invalid("a document has no terminator")),
        Some([kind, ..]) if Type::from_byte(*kind).is_none() => Err(invalid("unknown type")),
        Some(_) => Err(invalid("an element is cut short")),
    }
}

fn content(kind: Type, data: &[u8], depth_left: usize) -> Result<()> {
    match kind {
        Type::String | Type::Code | Type::Symbol => string(data),
        Type::Document | Type::Array => document(data, depth_left - 1),
        Type::Binary => match data.get(4..9) {
            Some([2, inner @ ..]) => {
                let inner: [u8; 4] = inner.try_into().unwrap_or_default();
                if usize::try_from(i32::from_le_bytes(inner)) == Ok(data.len() - 9) {
                    Ok(())
                } else {
                    Err(invalid("the inner length of binary subtype 2"))
                }
            }
            None if data.get(4) == Some(&2) => Err(invalid("binary subtype 2 is cut short")),
            _ => Ok(()),
        },
        Type::Bool if data.first().is_none_or(|&b| b > 1) => Err(invalid("a bool is 0 or 1")),
        Type::Regex => utf8(data),
        Type::DbPointer => string(data.get(..data.len().saturating_sub(12)).unwrap_or_default()),
        Type::CodeWithScope => {
            let rest = data.get(4..).unwrap_or_default();
            let len = value_len(Type::Code, rest);
            let len = len.ok_or_else(|| invalid("a code's length"))?;
            let (code, scope) = rest.split_at(len);
            string(code)?;
            document(scope, depth_left - 1)
        }
        _ => Ok(()),
    }
}

fn string(data: &[u8]) -> Result<()> {
    match data.get(4..).and_then(<[u8]>::split_last) {
        Some((0, text)) => utf8(text),
        _ => Err(invalid("a string has no terminator")),
    }
}

#[inline]
fn utf8(text: &[u8]) -> Result<()> {
    if scan::is_ascii(text) {
        return Ok(());
    }
    match std::str::from_utf8(text) {
        Ok(_) => Ok(()),
        Err(_) => Err(invalid("a string is not UTF-8")),
    }
}
