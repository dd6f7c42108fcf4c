//! The innermost loop of the walk: where an element's name and value start and end.
//!
//! Reads names eight bytes at a time and value lengths from a table. Knows nothing of what the values mean.

use super::Type;

/// Where the parts of an element stand. The byte before `value` is the NUL behind the name.
#[derive(Clone, Copy)]
pub(super) struct Span {
    pub(super) name: usize,
    pub(super) value: usize,
    pub(super) end: usize,
}

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// How the length of a type's value is found: the length itself, or [`PREFIXED`] plus what an int32 at its head does
/// not count, or one of the others.
const LENGTHS: [u8; 256] = {
    let mut table = [UNKNOWN; 256];
    table[Type::Int32 as usize] = 4;
    table[Type::Double as usize] = 8;
    table[Type::Date as usize] = 8;
    table[Type::Timestamp as usize] = 8;
    table[Type::Int64 as usize] = 8;
    table[Type::ObjectId as usize] = 12;
    table[Type::Bool as usize] = 1;
    table[Type::Undefined as usize] = 0;
    table[Type::Null as usize] = 0;
    table[Type::MinKey as usize] = 0;
    table[Type::MaxKey as usize] = 0;
    table[Type::Decimal as usize] = 16;
    table[Type::String as usize] = PREFIXED + 4;
    table[Type::Code as usize] = PREFIXED + 4;
    table[Type::Symbol as usize] = PREFIXED + 4;
    table[Type::Document as usize] = PREFIXED;
    table[Type::Array as usize] = PREFIXED;
    table[Type::CodeWithScope as usize] = PREFIXED;
    table[Type::Binary as usize] = PREFIXED + 5;
    table[Type::DbPointer as usize] = PREFIXED + 16;
    table[Type::Regex as usize] = TWO_TEXTS;
    table
};
const PREFIXED: u8 = 0x20;
const TWO_TEXTS: u8 = 0x40;
const UNKNOWN: u8 = 0x80;

/// The element at `at`; `None` at the terminator, and where something is cut short, of unknown type or lies.
#[inline(always)]
pub(super) fn element(bytes: &[u8], at: usize) -> Option<Span> {
    let length = LENGTHS[usize::from(*bytes.get(at)?)];
    if length == UNKNOWN {
        return None;
    }
    let name = at + 1;
    let value = text_end(bytes, name)? + 1;
    let len =
        if length < PREFIXED { usize::from(length) } else { counted_len(bytes, value, length)? };
    let end = value.checked_add(len)?;
    (end <= bytes.len()).then_some(Span { name, value, end })
}

/// The length of the value that starts at `value`, `None` if it is cut short or its length lies.
#[inline]
pub(super) fn value_len(kind: Type, bytes: &[u8]) -> Option<usize> {
    let length = LENGTHS[kind as usize];
    let len = if length < PREFIXED { usize::from(length) } else { counted_len(bytes, 0, length)? };
    (len <= bytes.len()).then_some(len)
}

/// The length of a value that is not of fixed size.
#[inline(always)]
fn counted_len(bytes: &[u8], value: usize, length: u8) -> Option<usize> {
    if length < TWO_TEXTS {
        let head = bytes.get(value..)?.first_chunk::<4>()?;
        let counted = usize::try_from(i32::from_le_bytes(*head)).ok()?;
        return counted.checked_add(usize::from(length - PREFIXED));
    }
    if length != TWO_TEXTS {
        return None;
    }
    let options = text_end(bytes, value)? + 1;
    Some(text_end(bytes, options)? + 1 - value)
}

/// The place of the first NUL from `at` on.
#[inline(always)]
fn text_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    while let Some(word) = bytes.get(at..)?.first_chunk::<8>() {
        let word = u64::from_le_bytes(*word);
        // The lowest bit set is that of the first zero byte.
        let zeros = word.wrapping_sub(LOW) & !word & HIGH;
        if zeros != 0 {
            return Some(at + (zeros.trailing_zeros() / 8) as usize);
        }
        at += 8;
    }
    bytes.get(at..)?.iter().position(|&b| b == 0).map(|offset| at + offset)
}

/// Whether all bytes are ASCII. Inlined for the short texts that names and most strings are.
#[inline(always)]
pub(super) fn is_ascii(text: &[u8]) -> bool {
    let (words, rest) = text.as_chunks::<8>();
    let bits = words.iter().fold(0, |bits, word| bits | u64::from_le_bytes(*word));
    let rest = rest.iter().fold(0, |bits, byte| bits | byte);
    bits & HIGH == 0 && rest < 0x80
}
