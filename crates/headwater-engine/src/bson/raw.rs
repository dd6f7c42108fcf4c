//! One BSON value as its type and its bytes. Knows nothing of what holds it.

use super::{Array, Doc};

/// A BSON type. The discriminant is the type byte of the format.
///
/// Source: the BSON specification 1.1, bsonspec.org.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Type {
    Double = 0x01,
    String = 0x02,
    Document = 0x03,
    Array = 0x04,
    Binary = 0x05,
    Undefined = 0x06,
    ObjectId = 0x07,
    Bool = 0x08,
    Date = 0x09,
    Null = 0x0A,
    Regex = 0x0B,
    DbPointer = 0x0C,
    Code = 0x0D,
    Symbol = 0x0E,
    CodeWithScope = 0x0F,
    Int32 = 0x10,
    Timestamp = 0x11,
    Int64 = 0x12,
    Decimal = 0x13,
    MinKey = 0xFF,
    MaxKey = 0x7F,
}

const TYPES: [Option<Type>; 256] = {
    let mut table = [None; 256];
    let mut i = 0;
    while i < Type::ALL.len() {
        table[Type::ALL[i] as usize] = Some(Type::ALL[i]);
        i += 1;
    }
    table
};

impl Type {
    /// Every type.
    pub const ALL: [Type; 21] = [
        Type::Double,
        Type::String,
        Type::Document,
        Type::Array,
        Type::Binary,
        Type::Undefined,
        Type::ObjectId,
        Type::Bool,
        Type::Date,
        Type::Null,
        Type::Regex,
        Type::DbPointer,
        Type::Code,
        Type::Symbol,
        Type::CodeWithScope,
        Type::Int32,
        Type::Timestamp,
        Type::Int64,
        Type::Decimal,
        Type::MinKey,
        Type::MaxKey,
    ];

    /// The type of a type byte, `None` if the format has no such type.
    #[inline]
    pub fn from_byte(byte: u8) -> Option<Type> {
        TYPES[byte as usize]
    }

    /// MongoDB's alias of the type, as `$type` takes it and error messages print it.
    pub fn alias(self) -> &'static str {
        match self {
            Type::Double => "double",
            Type::String => "string",
            Type::Document => "object",
            Type::Array => "array",
            Type::Binary => "binData",
            Type::Undefined => "undefined",
            Type::ObjectId => "objectId",
            Type::Bool => "bool",
            Type::Date => "date",
            Type::Null => "null",
            Type::Regex => "regex",
            Type::DbPointer => "dbPointer",
            Type::Code => "javascript",
            Type::Symbol => "symbol",
            Type::CodeWithScope => "javascriptWithScope",
            Type::Int32 => "int",
            Type::Timestamp => "timestamp",
            Type::Int64 => "long",
            Type::Decimal => "decimal",
            Type::MinKey => "minKey",
            Type::MaxKey => "maxKey",
        }
    }

    /// Whether values of the type are numbers (int32, int64, double, Decimal128).
    #[inline]
    pub fn is_number(self) -> bool {
        matches!(self, Type::Double | Type::Int32 | Type::Int64 | Type::Decimal)
    }
}

/// A value in a document: its type and its bytes, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct Raw<'a> {
    /// The type.
    pub kind: Type,
    /// The bytes of the value, without type byte and name.
    pub data: &'a [u8],
}

/// A value taken apart. Strings and names in a validated document are UTF-8.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub enum View<'a> {
    Double(f64),
    String(&'a str),
    Document(Doc<'a>),
    Array(Array<'a>),
    Binary {
        subtype: u8,
        bytes: &'a [u8],
    },
    Undefined,
    ObjectId([u8; 12]),
    Bool(bool),
    /// Milliseconds since 1970-01-01T00:00Z.
    Date(i64),
    Null,
    Regex {
        pattern: &'a str,
        options: &'a str,
    },
    DbPointer {
        namespace: &'a str,
        id: [u8; 12],
    },
    Code(&'a str),
    Symbol(&'a str),
    CodeWithScope {
        code: &'a str,
        scope: Doc<'a>,
    },
    Int32(i32),
    /// Seconds in the high, increment in the low 32 bits.
    Timestamp(u64),
    Int64(i64),
    /// The 16 bytes of the BID encoding, little endian.
    Decimal([u8; 16]),
    MinKey,
    MaxKey,
}

#[inline]
fn prefix(bytes: &[u8]) -> Option<usize> {
    let (head, _) = bytes.split_first_chunk::<4>()?;
    usize::try_from(i32::from_le_bytes(*head)).ok()
}

fn chunk<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.first_chunk::<N>().copied().unwrap_or([0; N])
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or("\u{FFFD}")
}

/// The text of a length-prefixed string value.
fn prefixed_text(data: &[u8]) -> &str {
    text(data.get(4..data.len().saturating_sub(1)).unwrap_or_default())
}

impl<'a> Raw<'a> {
    /// A null.
    pub const NULL: Raw<'static> = Raw { kind: Type::Null, data: &[] };

    /// The value taken apart.
    pub fn view(self) -> View<'a> {
        let data = self.data;
        match self.kind {
            Type::Double => View::Double(f64::from_le_bytes(chunk(data))),
            Type::String => View::String(prefixed_text(data)),
            Type::Document => View::Document(Doc::trusted(data)),
            Type::Array => View::Array(Array(Doc::trusted(data))),
            Type::Binary => {
                let (subtype, bytes) = self.binary_parts();
                View::Binary { subtype, bytes }
            }
            Type::Undefined => View::Undefined,
            Type::ObjectId => View::ObjectId(chunk(data)),
            Type::Bool => View::Bool(data.first() == Some(&1)),
            Type::Date => View::Date(i64::from_le_bytes(chunk(data))),
            Type::Null => View::Null,
            Type::Regex => {
                let split = data.iter().position(|&b| b == 0).unwrap_or(0);
                let options = data.get(split + 1..data.len().saturating_sub(1));
                View::Regex {
                    pattern: text(data.get(..split).unwrap_or_default()),
                    options: text(options.unwrap_or_default()),
                }
            }
            Type::DbPointer => {
                let split = data.len().saturating_sub(12);
                View::DbPointer {
                    namespace: prefixed_text(data.get(..split).unwrap_or_default()),
                    id: chunk(data.get(split..).unwrap_or_default()),
                }
            }
            Type::Code => View::Code(prefixed_text(data)),
            Type::Symbol => View::Symbol(prefixed_text(data)),
            Type::CodeWithScope => {
                let rest = data.get(4..).unwrap_or_default();
                let len = prefix(rest).unwrap_or(0).saturating_add(4).min(rest.len());
                let (code, scope) = rest.split_at(len);
                View::CodeWithScope { code: prefixed_text(code), scope: Doc::trusted(scope) }
            }
            Type::Int32 => View::Int32(i32::from_le_bytes(chunk(data))),
            Type::Timestamp => View::Timestamp(u64::from_le_bytes(chunk(data))),
            Type::Int64 => View::Int64(i64::from_le_bytes(chunk(data))),
            Type::Decimal => View::Decimal(chunk(data)),
            Type::MinKey => View::MinKey,
            Type::MaxKey => View::MaxKey,
        }
    }

    /// As [`Raw::view`], but leaves strings, symbols, code and binary data alone (a null stands for them): comparing
    /// needs their bytes only.
    #[inline]
    pub(super) fn view_unless_text(self) -> View<'a> {
        match self.kind {
            Type::String | Type::Symbol | Type::Code | Type::Binary | Type::DbPointer => View::Null,
            _ => self.view(),
        }
    }

    /// The bytes of a binary value as they stand, of the old subtype 2 with its inner length.
    pub(crate) fn binary(self) -> &'a [u8] {
        self.data.get(5..).unwrap_or_default()
    }

    /// Subtype and bytes of a binary value; of the old subtype 2 without its inner length.
    pub(super) fn binary_parts(self) -> (u8, &'a [u8]) {
        let subtype = self.data.get(4).copied().unwrap_or(0);
        let bytes = self.binary();
        (subtype, if subtype == 2 { bytes.get(4..).unwrap_or_default() } else { bytes })
    }

    /// The bytes of a string or symbol, without checking that they are UTF-8 again.
    #[inline]
    pub fn str_bytes(self) -> Option<&'a [u8]> {
        matches!(self.kind, Type::String | Type::Symbol)
            .then(|| self.data.get(4..self.data.len().saturating_sub(1)).unwrap_or_default())
    }

    /// The text of a string.
    pub fn as_str(self) -> Option<&'a str> {
        (self.kind == Type::String).then(|| prefixed_text(self.data))
    }

    /// The document, if it is one.
    #[inline]
    pub fn as_doc(self) -> Option<Doc<'a>> {
        (self.kind == Type::Document).then(|| Doc::trusted(self.data))
    }

    /// The array, if it is one.
    #[inline]
    pub fn as_array(self) -> Option<Array<'a>> {
        (self.kind == Type::Array).then(|| Array(Doc::trusted(self.data)))
    }

    /// The bool, if it is one.
    pub fn as_bool(self) -> Option<bool> {
        (self.kind == Type::Bool).then(|| self.data.first() == Some(&1))
    }
}
