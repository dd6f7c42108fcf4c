//! A value that is borrowed from a document, computed, or missing: what expressions and updates pass around.

use super::{Array, Doc, DocBuf, Raw, Type, View};

/// A BSON value, borrowed where it can be and owned where it was computed, or the absence of one.
#[derive(Debug, Clone)]
pub struct Value<'a>(Repr<'a>);

#[derive(Debug, Clone)]
enum Repr<'a> {
    Missing,
    Ref(Raw<'a>),
    Inline { kind: Type, len: u8, bytes: [u8; 16] },
    Heap { kind: Type, bytes: Vec<u8> },
}

impl<'a> Value<'a> {
    /// No value at all: an absent field, `$$REMOVE`.
    pub const MISSING: Value<'static> = Value(Repr::Missing);
    /// Null.
    pub const NULL: Value<'static> = Value(Repr::Ref(Raw::NULL));

    /// A computed value from its bytes.
    pub fn owned(kind: Type, data: &[u8]) -> Value<'static> {
        if data.len() <= 16 {
            let mut bytes = [0; 16];
            bytes[..data.len()].copy_from_slice(data);
            Value(Repr::Inline { kind, len: data.len() as u8, bytes })
        } else {
            Value(Repr::Heap { kind, bytes: data.to_vec() })
        }
    }

    /// A computed value that keeps `bytes`.
    pub fn from_vec(kind: Type, bytes: Vec<u8>) -> Value<'static> {
        Value(Repr::Heap { kind, bytes })
    }

    /// A double.
    pub fn f64(value: f64) -> Value<'static> {
        Value::owned(Type::Double, &value.to_le_bytes())
    }

    /// An int32.
    pub fn i32(value: i32) -> Value<'static> {
        Value::owned(Type::Int32, &value.to_le_bytes())
    }

    /// An int64.
    pub fn i64(value: i64) -> Value<'static> {
        Value::owned(Type::Int64, &value.to_le_bytes())
    }

    /// A bool.
    pub fn bool(value: bool) -> Value<'static> {
        Value::owned(Type::Bool, &[u8::from(value)])
    }

    /// A date in milliseconds since 1970-01-01T00:00Z.
    pub fn date(value: i64) -> Value<'static> {
        Value::owned(Type::Date, &value.to_le_bytes())
    }

    /// A Decimal128 in its BID encoding, little endian.
    pub fn decimal(value: [u8; 16]) -> Value<'static> {
        Value::owned(Type::Decimal, &value)
    }

    /// A string.
    pub fn str(value: &str) -> Value<'static> {
        let mut bytes = Vec::with_capacity(value.len() + 5);
        bytes.extend_from_slice(&u32::try_from(value.len() + 1).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend_from_slice(value.as_bytes());
        bytes.push(0);
        Value::from_vec(Type::String, bytes)
    }

    /// A document.
    pub fn doc(value: DocBuf) -> Value<'static> {
        Value::from_vec(Type::Document, value.into_bytes())
    }

    /// An array of the bytes that an [`super::ArrayWriter`] wrote.
    pub fn array(bytes: Vec<u8>) -> Value<'static> {
        Value::from_vec(Type::Array, bytes)
    }

    /// The value as BSON, `None` if it is missing.
    #[inline]
    pub fn raw(&self) -> Option<Raw<'_>> {
        match &self.0 {
            Repr::Missing => None,
            Repr::Ref(raw) => Some(*raw),
            Repr::Inline { kind, len, bytes } => {
                Some(Raw { kind: *kind, data: bytes.get(..usize::from(*len)).unwrap_or_default() })
            }
            Repr::Heap { kind, bytes } => Some(Raw { kind: *kind, data: bytes }),
        }
    }

    /// The value with the life of the document it was borrowed from, `None` if it was computed or is missing.
    pub fn borrowed(&self) -> Option<Raw<'a>> {
        match &self.0 {
            Repr::Ref(raw) => Some(*raw),
            _ => None,
        }
    }

    /// The value taken apart, `None` if it is missing.
    pub fn view(&self) -> Option<View<'_>> {
        self.raw().map(Raw::view)
    }

    /// The type, `None` if it is missing.
    pub fn kind(&self) -> Option<Type> {
        self.raw().map(|raw| raw.kind)
    }

    /// Whether there is no value.
    pub fn is_missing(&self) -> bool {
        matches!(self.0, Repr::Missing)
    }

    /// Whether the value is missing, null or undefined, which most expressions treat alike.
    pub fn is_nullish(&self) -> bool {
        matches!(self.kind(), None | Some(Type::Null | Type::Undefined))
    }

    /// The document, if it is one.
    pub fn as_doc(&self) -> Option<Doc<'_>> {
        self.raw().and_then(Raw::as_doc)
    }

    /// The array, if it is one.
    pub fn as_array(&self) -> Option<Array<'_>> {
        self.raw().and_then(Raw::as_array)
    }

    /// A copy that borrows nothing.
    pub fn into_owned(self) -> Value<'static> {
        match self.0 {
            Repr::Missing => Value(Repr::Missing),
            Repr::Ref(raw) => Value::owned(raw.kind, raw.data),
            Repr::Inline { kind, len, bytes } => Value(Repr::Inline { kind, len, bytes }),
            Repr::Heap { kind, bytes } => Value(Repr::Heap { kind, bytes }),
        }
    }
}

impl<'a> From<Raw<'a>> for Value<'a> {
    #[inline]
    fn from(raw: Raw<'a>) -> Value<'a> {
        Value(Repr::Ref(raw))
    }
}

impl<'a> From<Option<Raw<'a>>> for Value<'a> {
    fn from(raw: Option<Raw<'a>>) -> Value<'a> {
        raw.map_or(Value::MISSING, Value::from)
    }
}
