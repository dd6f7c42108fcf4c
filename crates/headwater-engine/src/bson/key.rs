//! Order-preserving keys: the bytes of two keys compare (memcmp) as [`super::compare`] compares the values.
//!
//! Index keys, sort keys, group keys, `distinct` and sets use them. Every key is self-delimiting and no key is a prefix
//! of another, so keys of several values are simply written one behind the other. A descending key is the ascending
//! one with every bit inverted. Equal numbers of different types have equal keys; what is needed to get the types back
//! is written beside the key if the caller asks for it ([`Types`]).
//!
//! # Layout
//! A key is a class byte and a payload. Integers are big endian.
//!
//! | class | value | payload |
//! |---|---|---|
//! | `04` | MinKey | |
//! | `08` | undefined | |
//! | `0C` | null | |
//! | `10` .. `25` | number | see below |
//! | `30` | string, symbol | text |
//! | `34` | document | for each field: class byte (`10` for all numbers), name, `00`, payload (of a number the whole key); at the end `00` |
//! | `38` | array | the key of each element; at the end `00` |
//! | `3C` | binary | length (4 bytes, as the BSON value has it), subtype, bytes |
//! | `40` | ObjectId | 12 bytes |
//! | `44` | bool | `00` or `01` |
//! | `48` | date | 8 bytes, sign bit inverted |
//! | `4C` | timestamp | 8 bytes |
//! | `50` | regex | pattern, `00`, options, `00` |
//! | `54` | DBPointer | length of the name (4 bytes, as the BSON value has it), name, `00`, 12 bytes |
//! | `58` | code | text |
//! | `5C` | code with scope | text, the payload of the scope document |
//! | `F0` | MaxKey | |
//!
//! A text is its UTF-8 bytes (or its collation key) with `00` written as `01 01` and `01` as `01 02`, then `00`.
//!
//! Numbers, by magnitude; the payload of a negative number is inverted:
//!
//! | class | value | payload |
//! |---|---|---|
//! | `10` | NaN | |
//! | `11` | -2^63 and below, -infinity | as `25` |
//! | `12` .. `19` | below -1, 8 .. 1 bytes | as `24` .. `1D` |
//! | `1A` | between -1 and 0 | as `1C` |
//! | `1B` | zero | |
//! | `1C` | between 0 and 1 | a double's bits without the upper two, then two bits: `00` exact, `01` the tail follows |
//! | `1D` .. `24` | 1 to 2^63, 1 .. 8 bytes | the integer part and one bit, whether there is a fraction. If so, in the bytes left of eight: the first bits of the fraction and one bit, whether the tail follows (with no bytes left it does) |
//! | `25` | 2^63 and above, infinity | as `1C` |
//!
//! The tail is for decimals that no double equals; the double or fraction before it is cut towards zero. It is the
//! decimal exponent of the first digit plus 16384 (2 bytes), then the digits in pairs, each as its value plus one,
//! trailing zeros left out, then `00`.

mod decode;
mod number;

use super::number::Number;
use super::{Array, Doc, Raw, Type, View};
use crate::limits::COMMAND_DEPTH_MAX;

pub use decode::{decode, split};

/// Writes the collation key of a text: what is compared in place of the text.
pub type Collate<'a> = &'a dyn Fn(&str, &mut Vec<u8>);

/// The direction of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Smallest value first.
    Ascending,
    /// Largest value first.
    Descending,
}

/// What a key does not tell of its values: types of numbers, zeros behind a decimal point, symbols. One code for each
/// number and text in order, empty if all have the usual type: int32 or int64 of integers by their size, double of
/// fractions, string.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Types(Vec<u8>);

/// Writes a key of one or more values.
///
/// ```
/// use headwater_engine::bson::Value;
/// use headwater_engine::bson::key::{Direction, KeyWriter};
/// let key = |a: i32, b: &str| {
///     let mut key = KeyWriter::new();
///     key.push(Value::i32(a).raw().unwrap(), Direction::Ascending);
///     key.push(Value::str(b).raw().unwrap(), Direction::Descending);
///     key.into_bytes()
/// };
/// assert!(key(1, "b") < key(1, "a"));
/// assert!(key(1, "a") < key(2, "b"));
/// ```
#[derive(Default)]
pub struct KeyWriter<'a> {
    bytes: Vec<u8>,
    types: Option<Types>,
    collate: Option<Collate<'a>>,
}

/// Class bytes.
mod class {
    pub(super) const END: u8 = 0x00;
    pub(super) const MIN_KEY: u8 = 0x04;
    pub(super) const UNDEFINED: u8 = 0x08;
    pub(super) const NULL: u8 = 0x0C;
    pub(super) const NUMBER: u8 = 0x10;
    pub(super) const NUMBER_LAST: u8 = 0x25;
    pub(super) const STRING: u8 = 0x30;
    pub(super) const DOCUMENT: u8 = 0x34;
    pub(super) const ARRAY: u8 = 0x38;
    pub(super) const BINARY: u8 = 0x3C;
    pub(super) const OBJECT_ID: u8 = 0x40;
    pub(super) const BOOL: u8 = 0x44;
    pub(super) const DATE: u8 = 0x48;
    pub(super) const TIMESTAMP: u8 = 0x4C;
    pub(super) const REGEX: u8 = 0x50;
    pub(super) const DB_POINTER: u8 = 0x54;
    pub(super) const CODE: u8 = 0x58;
    pub(super) const CODE_WITH_SCOPE: u8 = 0x5C;
    pub(super) const MAX_KEY: u8 = 0xF0;
}

/// Codes of [`Types`].
mod code {
    pub(super) const USUAL: u8 = 0;
    pub(super) const INT64: u8 = 1;
    pub(super) const DOUBLE: u8 = 2;
    pub(super) const NEGATIVE_ZERO: u8 = 3;
    /// Two bytes follow: exponent plus 6176, in the upper bit the sign.
    pub(super) const DECIMAL: u8 = 4;
    pub(super) const SYMBOL: u8 = 5;
}

/// Appends the ascending key of a value.
#[inline]
pub fn append(out: &mut Vec<u8>, value: Raw<'_>) {
    Encoder { out, types: None, collate: None }.value(value, 0);
}

/// As [`append`], in a direction and with the collation of texts.
pub fn append_with(
    out: &mut Vec<u8>,
    value: Raw<'_>,
    direction: Direction,
    collate: Option<Collate<'_>>,
) {
    let start = out.len();
    Encoder { out, types: None, collate }.value(value, 0);
    if direction == Direction::Descending {
        invert(out, start);
    }
}

/// The ascending key of a value.
pub fn encode(value: Raw<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(16);
    append(&mut out, value);
    out
}

/// The smallest bytes above everything that starts with `prefix`; `None` if there are none (`prefix` is all `FF`).
///
/// ```
/// use headwater_engine::bson::key::successor;
/// assert_eq!(successor(&[1, 2, 0xFF]), Some(vec![1, 3]));
/// assert_eq!(successor(&[0xFF]), None);
/// ```
pub fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let (last, head) = prefix.iter().rposition(|&b| b != 0xFF).and_then(|at| {
        let (head, _) = prefix.split_at_checked(at + 1)?;
        head.split_last()
    })?;
    let mut next = head.to_vec();
    next.push(last + 1);
    Some(next)
}

/// The bounds of the ascending keys of all values that compare with values of a type by value (for a number: all
/// numbers): the first byte of the lowest, and the byte below which the first byte of each stays.
pub fn class_bounds(kind: Type) -> (u8, u8) {
    match class_of(kind) {
        class::NUMBER => (class::NUMBER, class::NUMBER_LAST + 1),
        class => (class, class + 1),
    }
}

impl<'a> KeyWriter<'a> {
    /// An empty key.
    pub fn new() -> KeyWriter<'a> {
        KeyWriter::default()
    }

    /// An empty key whose texts are written by a collation. Such keys cannot be decoded.
    pub fn with_collation(collate: Option<Collate<'a>>) -> KeyWriter<'a> {
        KeyWriter { collate, ..KeyWriter::default() }
    }

    /// Notes the types beside the key, so that [`decode`] gives the very values back.
    #[must_use]
    pub fn with_types(mut self) -> KeyWriter<'a> {
        self.types = Some(Types::default());
        self
    }

    /// Appends a value.
    pub fn push(&mut self, value: Raw<'_>, direction: Direction) {
        let start = self.bytes.len();
        let (out, types) = (&mut self.bytes, self.types.as_mut());
        Encoder { out, types, collate: self.collate }.value(value, 0);
        if direction == Direction::Descending {
            invert(&mut self.bytes, start);
        }
    }

    /// The key so far.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Empties the key, keeping its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        if let Some(types) = &mut self.types {
            types.0.clear();
        }
    }

    /// The key.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The key and the types beside it.
    pub fn into_parts(self) -> (Vec<u8>, Types) {
        let mut types = self.types.unwrap_or_default();
        types.trim();
        (self.bytes, types)
    }
}

impl Types {
    /// What the ascending or descending keys of these values do not tell, texts compared by their bytes.
    pub fn of(values: &[Raw<'_>]) -> Types {
        if values.iter().all(|value| is_usual(*value)) {
            return Types::default();
        }
        let mut writer = KeyWriter::new().with_types();
        values.iter().for_each(|value| writer.push(*value, Direction::Ascending));
        writer.into_parts().1
    }

    /// The types that were stored as bytes.
    pub fn from_bytes(bytes: &[u8]) -> Types {
        Types(bytes.to_vec())
    }

    /// The bytes to be stored beside the key.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Drops the usual ones at the end, which need not be told.
    fn trim(&mut self) {
        // A decimal's exponent may end in a zero byte: walk from the front to tell codes from exponents.
        let (mut at, mut keep) = (0, 0);
        while let Some(&code) = self.0.get(at) {
            at += if code == code::DECIMAL { 3 } else { 1 };
            if code != code::USUAL {
                keep = at;
            }
        }
        self.0.truncate(keep);
    }
}

/// Whether the key of a value tells all of it; `false` where that takes a closer look.
fn is_usual(value: Raw<'_>) -> bool {
    match value.kind {
        Type::Int64 => match value.view() {
            View::Int64(number) => i32::try_from(number).is_err(),
            _ => false,
        },
        Type::Double => match value.view() {
            View::Double(number) => number.fract() != 0.0,
            _ => false,
        },
        Type::Decimal | Type::Symbol | Type::Document | Type::Array | Type::CodeWithScope => false,
        _ => true,
    }
}

fn invert(bytes: &mut [u8], start: usize) {
    bytes.iter_mut().skip(start).for_each(|b| *b = !*b);
}

fn class_of(kind: Type) -> u8 {
    match kind {
        Type::MinKey => class::MIN_KEY,
        Type::Undefined => class::UNDEFINED,
        Type::Null => class::NULL,
        Type::Double | Type::Int32 | Type::Int64 | Type::Decimal => class::NUMBER,
        Type::String | Type::Symbol => class::STRING,
        Type::Document => class::DOCUMENT,
        Type::Array => class::ARRAY,
        Type::Binary => class::BINARY,
        Type::ObjectId => class::OBJECT_ID,
        Type::Bool => class::BOOL,
        Type::Date => class::DATE,
        Type::Timestamp => class::TIMESTAMP,
        Type::Regex => class::REGEX,
        Type::DbPointer => class::DB_POINTER,
        Type::Code => class::CODE,
        Type::CodeWithScope => class::CODE_WITH_SCOPE,
        Type::MaxKey => class::MAX_KEY,
    }
}

struct Encoder<'o, 'c> {
    out: &'o mut Vec<u8>,
    types: Option<&'o mut Types>,
    collate: Option<Collate<'c>>,
}

impl Encoder<'_, '_> {
    fn value(&mut self, value: Raw<'_>, depth: usize) {
        match Number::from_raw(value) {
            Some(number) => self.number(number),
            None => {
                self.out.push(class_of(value.kind));
                self.payload(value, depth);
            }
        }
    }

    fn number(&mut self, number: Number) {
        number::append(self.out, number);
        if let Some(types) = &mut self.types {
            number::note_type(&mut types.0, number);
        }
    }

    /// What follows the class byte, of all but numbers.
    fn payload(&mut self, value: Raw<'_>, depth: usize) {
        if let Some(text) = value.str_bytes() {
            if let Some(types) = &mut self.types {
                let symbol = value.kind == Type::Symbol;
                types.0.push(if symbol { code::SYMBOL } else { code::USUAL });
            }
            return match value.kind {
                Type::Symbol => escape(self.out, text),
                _ => self.text(text),
            };
        }
        let tail = value.data.get(4..).unwrap_or_default();
        match value.view_unless_text() {
            View::ObjectId(id) => self.out.extend_from_slice(&id),
            View::Bool(value) => self.out.push(u8::from(value)),
            View::Date(millis) => {
                let flipped = millis.cast_unsigned() ^ (1 << 63);
                self.out.extend_from_slice(&flipped.to_be_bytes());
            }
            View::Timestamp(value) => self.out.extend_from_slice(&value.to_be_bytes()),
            View::Document(doc) => self.document(doc, depth + 1),
            View::Array(array) => self.array(array, depth + 1),
            View::Regex { pattern, options } => {
                for text in [pattern, options] {
                    self.out.extend_from_slice(text.as_bytes());
                    self.out.push(0);
                }
            }
            View::CodeWithScope { code, scope } => {
                escape(self.out, code.as_bytes());
                let collate = self.collate.take();
                self.document(scope, depth + 1);
                self.collate = collate;
            }
            _ => match value.kind {
                Type::Code => escape(self.out, tail.split_last().map_or(tail, |(_, text)| text)),
                Type::Binary | Type::DbPointer => {
                    self.out.extend(value.data.iter().take(4).rev());
                    self.out.extend_from_slice(tail);
                }
                _ => {}
            },
        }
    }

    fn text(&mut self, text: &[u8]) {
        match self.collate {
            Some(collate) => {
                let mut key = Vec::new();
                collate(std::str::from_utf8(text).unwrap_or("\u{FFFD}"), &mut key);
                escape(self.out, &key);
            }
            None => escape(self.out, text),
        }
    }

    fn document(&mut self, doc: Doc<'_>, depth: usize) {
        if depth > COMMAND_DEPTH_MAX {
            return escape(self.out, doc.as_bytes());
        }
        for element in doc {
            self.out.push(class_of(element.value.kind));
            self.out.extend_from_slice(element.name);
            self.out.push(0);
            match Number::from_raw(element.value) {
                Some(number) => self.number(number),
                None => self.payload(element.value, depth),
            }
        }
        self.out.push(class::END);
    }

    fn array(&mut self, array: Array<'_>, depth: usize) {
        if depth > COMMAND_DEPTH_MAX {
            return escape(self.out, array.as_bytes());
        }
        array.iter().for_each(|value| self.value(value, depth));
        self.out.push(class::END);
    }
}

/// Appends bytes so that the end is told from the content.
fn escape(out: &mut Vec<u8>, mut text: &[u8]) {
    while let Some((head, rest)) =
        text.iter().position(|&b| b <= 1).and_then(|at| text.split_at_checked(at))
    {
        out.extend_from_slice(head);
        if let Some((&byte, rest)) = rest.split_first() {
            out.extend_from_slice(&[1, byte + 1]);
            text = rest;
        }
    }
    out.extend_from_slice(text);
    out.push(0);
}
