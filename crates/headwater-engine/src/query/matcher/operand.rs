//! A constant that values are compared with, prepared so that the common comparisons touch raw bytes only.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::bson::{Raw, Texts, Type, compare, compare_with};
use crate::collation::{Collation, may_hold_texts};

/// A constant of a filter.
#[derive(Debug, Clone)]
pub(crate) struct Operand {
    kind: Type,
    data: Box<[u8]>,
    fast: Fast,
    /// How texts in it compare, if not by their bytes.
    collation: Option<Arc<Collation>>,
}

/// What is known of the constant beforehand.
#[derive(Debug, Clone, Copy)]
enum Fast {
    Int(i64),
    Float(f64),
    NaN,
    Text,
    /// Equal if the bytes are.
    Bytes,
    Other,
}

/// Every integer up to here is a double too.
const DOUBLE_EXACT_MAX: u64 = 1 << 53;

impl Operand {
    pub(super) fn new(value: Raw<'_>, collation: Option<&Arc<Collation>>) -> Operand {
        let collation = collation.filter(|_| may_hold_texts(value.kind)).cloned();
        let fast = match value.kind {
            Type::Int32 => Fast::Int(i64::from(i32_of(value.data))),
            Type::Int64 => Fast::Int(i64_of(value.data)),
            Type::Double => match f64::from_bits(i64_of(value.data).cast_unsigned()) {
                double if double.is_nan() => Fast::NaN,
                double => Fast::Float(double),
            },
            Type::Decimal if is_decimal_nan(value.data) => Fast::NaN,
            Type::String if collation.is_none() => Fast::Text,
            Type::Bool | Type::ObjectId | Type::Date => Fast::Bytes,
            _ => Fast::Other,
        };
        Operand { kind: value.kind, data: value.data.into(), fast, collation }
    }

    /// The constant.
    #[inline]
    pub(crate) fn raw(&self) -> Raw<'_> {
        Raw { kind: self.kind, data: &self.data }
    }

    /// How a value of the same class stands to the constant; `None` for a value of another class, and for NaN
    /// beside any other number.
    #[inline]
    pub(super) fn order(&self, value: Raw<'_>) -> Option<Ordering> {
        match (self.fast, value.kind) {
            (Fast::Int(constant), Type::Int32) => {
                Some(i64::from(i32_of(value.data)).cmp(&constant))
            }
            (Fast::Int(constant), Type::Int64) => Some(i64_of(value.data).cmp(&constant)),
            (Fast::Float(constant), Type::Double) => {
                f64::from_bits(i64_of(value.data).cast_unsigned()).partial_cmp(&constant)
            }
            (Fast::Int(constant), Type::Double) if is_exact(constant) => {
                match f64::from_bits(i64_of(value.data).cast_unsigned()) {
                    double if double.is_nan() => None,
                    double => double.partial_cmp(&(constant as f64)),
                }
            }
            (Fast::Float(constant), Type::Int32) => {
                f64::from(i32_of(value.data)).partial_cmp(&constant)
            }
            (Fast::Text, Type::String) => Some(text_of(value.data).cmp(text_of(&self.data))),
            _ => self.order_slow(value),
        }
    }

    /// Whether a value equals the constant.
    #[inline]
    pub(super) fn equals(&self, value: Raw<'_>) -> bool {
        match (self.fast, value.kind) {
            (Fast::Text, Type::String) => *self.data == *value.data,
            (Fast::Bytes, kind) => kind == self.kind && *self.data == *value.data,
            _ => self.order(value) == Some(Ordering::Equal),
        }
    }

    /// The place of a value beside the constant in the order of all values.
    pub(crate) fn compare(&self, value: Raw<'_>) -> Ordering {
        match &self.collation {
            None => compare(value, self.raw()),
            Some(collation) => {
                let order = |a: &str, b: &str| collation.compare(a, b);
                let texts = Texts { order: &order, symbols: true };
                compare_with(value, self.raw(), Some(texts))
            }
        }
    }

    /// How texts in it compare, if it may hold some and not by their bytes.
    pub(crate) fn collation(&self) -> Option<&Arc<Collation>> {
        self.collation.as_ref()
    }

    /// Whether texts in it compare by a collation.
    pub(crate) fn is_collated(&self) -> bool {
        self.collation.is_some()
    }

    fn order_slow(&self, value: Raw<'_>) -> Option<Ordering> {
        if class(value.kind) != class(self.kind) {
            return None;
        }
        if self.kind.is_number() {
            let nan = is_nan(value);
            if nan || matches!(self.fast, Fast::NaN) {
                return (nan && matches!(self.fast, Fast::NaN)).then_some(Ordering::Equal);
            }
        }
        Some(self.compare(value))
    }
}

fn is_exact(integer: i64) -> bool {
    integer.unsigned_abs() <= DOUBLE_EXACT_MAX
}

fn i32_of(data: &[u8]) -> i32 {
    i32::from_le_bytes(data.first_chunk().copied().unwrap_or_default())
}

fn i64_of(data: &[u8]) -> i64 {
    i64::from_le_bytes(data.first_chunk().copied().unwrap_or_default())
}

fn text_of(data: &[u8]) -> &[u8] {
    data.get(4..data.len().saturating_sub(1)).unwrap_or_default()
}

fn is_decimal_nan(data: &[u8]) -> bool {
    data.get(15).is_some_and(|byte| byte & 0x7C == 0x7C)
}

/// Whether a number is not a number.
pub(crate) fn is_nan(value: Raw<'_>) -> bool {
    match value.kind {
        Type::Double => f64::from_bits(i64_of(value.data).cast_unsigned()).is_nan(),
        Type::Decimal => is_decimal_nan(value.data),
        _ => false,
    }
}

/// The class within which values compare: all numbers are one, strings and symbols are one.
pub(crate) fn class(kind: Type) -> u8 {
    match kind {
        Type::Int32 | Type::Int64 | Type::Double | Type::Decimal => Type::Double as u8,
        Type::String | Type::Symbol => Type::String as u8,
        other => other as u8,
    }
}
