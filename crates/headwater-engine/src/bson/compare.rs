//! MongoDB's order over values of every type. Knows no collation but through the caller's order of strings.

use std::cmp::Ordering;

use super::number::Number;
use super::{Array, Doc, Raw, Type, Value, View};
use crate::limits::COMMAND_DEPTH_MAX;

/// An order of texts: a collation's.
#[derive(Clone, Copy)]
pub struct Texts<'a> {
    /// The order of two texts.
    pub order: &'a dyn Fn(&str, &str) -> Ordering,
    /// Whether symbols are texts too. In filters they are, in expressions and keys they compare as bytes.
    pub symbols: bool,
}

/// Compares two values in MongoDB's order.
///
/// ```
/// use headwater_engine::bson::{Value, compare};
/// let (one, text) = (Value::f64(1.0), Value::str("1"));
/// assert!(compare(one.raw().unwrap(), text.raw().unwrap()).is_lt());
/// ```
#[inline]
pub fn compare(a: Raw<'_>, b: Raw<'_>) -> Ordering {
    values(a, b, None, 0)
}

/// As [`compare`], with texts in the order of a collation.
pub fn compare_with(a: Raw<'_>, b: Raw<'_>, texts: Option<Texts<'_>>) -> Ordering {
    values(a, b, texts, 0)
}

/// As [`compare`] for values that may be missing, as expressions do: missing ties with undefined, below null.
pub fn compare_values(a: &Value<'_>, b: &Value<'_>) -> Ordering {
    const UNDEFINED: Raw<'static> = Raw { kind: Type::Undefined, data: &[] };
    compare(a.raw().unwrap_or(UNDEFINED), b.raw().unwrap_or(UNDEFINED))
}

/// Whether [`compare`] finds the values equal; faster where the bytes alone can tell.
#[inline]
pub fn equal(a: Raw<'_>, b: Raw<'_>) -> bool {
    if a.kind == b.kind {
        if a.data == b.data {
            return true;
        }
        if !may_be_equal_in_other_bytes(a.kind) {
            return false;
        }
    }
    compare(a, b).is_eq()
}

/// Compares two documents: field by field the class of the value, the name, the value; then the number of fields.
pub fn compare_docs(a: Doc<'_>, b: Doc<'_>) -> Ordering {
    documents(a, b, None, 0)
}

/// The place of a type in the order of types. Types of the same class compare by value, such as all numbers.
#[inline]
pub fn canonical_class(kind: Type) -> u8 {
    match kind {
        Type::MinKey => 0,
        Type::Undefined => 1,
        Type::Null => 2,
        Type::Double | Type::Int32 | Type::Int64 | Type::Decimal => 3,
        Type::String | Type::Symbol => 4,
        Type::Document => 5,
        Type::Array => 6,
        Type::Binary => 7,
        Type::ObjectId => 8,
        Type::Bool => 9,
        Type::Date => 10,
        Type::Timestamp => 11,
        Type::Regex => 12,
        Type::DbPointer => 13,
        Type::Code => 14,
        Type::CodeWithScope => 15,
        Type::MaxKey => 16,
    }
}

/// Whether two values of the type can be equal although their bytes differ.
fn may_be_equal_in_other_bytes(kind: Type) -> bool {
    matches!(
        kind,
        Type::Double | Type::Decimal | Type::Document | Type::Array | Type::CodeWithScope
    )
}

fn values(a: Raw<'_>, b: Raw<'_>, texts: Option<Texts<'_>>, depth: usize) -> Ordering {
    if a.kind == b.kind {
        return same_type(a, b, texts, depth);
    }
    let classes = canonical_class(a.kind).cmp(&canonical_class(b.kind));
    classes.then_with(|| match (Number::from_raw(a), Number::from_raw(b)) {
        (Some(a), Some(b)) => a.compare(b),
        _ => strings(a.str_bytes(), b.str_bytes(), texts.filter(|texts| texts.symbols)),
    })
}

fn same_type(a: Raw<'_>, b: Raw<'_>, texts: Option<Texts<'_>>, depth: usize) -> Ordering {
    match (a.view_unless_text(), b.view_unless_text()) {
        (View::Int32(a), View::Int32(b)) => a.cmp(&b),
        (View::Int64(a), View::Int64(b)) | (View::Date(a), View::Date(b)) => a.cmp(&b),
        (View::Timestamp(a), View::Timestamp(b)) => a.cmp(&b),
        (View::Bool(a), View::Bool(b)) => a.cmp(&b),
        (View::ObjectId(a), View::ObjectId(b)) => a.cmp(&b),
        (View::Double(_), _) | (View::Decimal(_), _) => {
            match (Number::from_raw(a), Number::from_raw(b)) {
                (Some(a), Some(b)) => a.compare(b),
                _ => Ordering::Equal,
            }
        }
        (View::Document(a), View::Document(b)) => documents(a, b, texts, depth + 1),
        (View::Array(a), View::Array(b)) => arrays(a, b, texts, depth + 1),
        (View::CodeWithScope { code, scope }, View::CodeWithScope { code: c, scope: s }) => {
            // A scope's strings compare as bytes whatever the collation.
            code.cmp(c).then_with(|| documents(scope, s, None, depth + 1))
        }
        (View::Regex { pattern, options }, View::Regex { pattern: p, options: o }) => {
            pattern.cmp(p).then_with(|| options.cmp(o))
        }
        _ => match a.kind {
            Type::String => strings(a.str_bytes(), b.str_bytes(), texts),
            Type::Symbol => {
                strings(a.str_bytes(), b.str_bytes(), texts.filter(|texts| texts.symbols))
            }
            Type::Binary | Type::DbPointer => {
                a.data.len().cmp(&b.data.len()).then_with(|| tail(a).cmp(tail(b)))
            }
            Type::Code => tail(a).cmp(tail(b)),
            _ => Ordering::Equal,
        },
    }
}

/// The bytes behind a value's length.
fn tail(raw: Raw<'_>) -> &[u8] {
    raw.data.get(4..).unwrap_or_default()
}

fn strings(a: Option<&[u8]>, b: Option<&[u8]>, texts: Option<Texts<'_>>) -> Ordering {
    match (texts, a, b) {
        (Some(texts), Some(a), Some(b)) => {
            let text = |bytes| std::str::from_utf8(bytes).unwrap_or("\u{FFFD}");
            (texts.order)(text(a), text(b))
        }
        _ => a.cmp(&b),
    }
}

fn documents(a: Doc<'_>, b: Doc<'_>, texts: Option<Texts<'_>>, depth: usize) -> Ordering {
    if depth > COMMAND_DEPTH_MAX {
        return a.as_bytes().cmp(b.as_bytes());
    }
    let (mut left, mut right) = (a.iter(), b.iter());
    loop {
        let (l, r) = match (left.next(), right.next()) {
            (Some(l), Some(r)) => (l, r),
            (l, r) => return l.is_some().cmp(&r.is_some()),
        };
        let order = canonical_class(l.value.kind)
            .cmp(&canonical_class(r.value.kind))
            .then_with(|| l.name.cmp(r.name))
            .then_with(|| values(l.value, r.value, texts, depth));
        if order.is_ne() {
            return order;
        }
    }
}

fn arrays(a: Array<'_>, b: Array<'_>, texts: Option<Texts<'_>>, depth: usize) -> Ordering {
    if depth > COMMAND_DEPTH_MAX {
        return a.as_bytes().cmp(b.as_bytes());
    }
    let (mut left, mut right) = (a.iter(), b.iter());
    loop {
        let (l, r) = match (left.next(), right.next()) {
            (Some(l), Some(r)) => (l, r),
            (l, r) => return l.is_some().cmp(&r.is_some()),
        };
        let order = values(l, r, texts, depth);
        if order.is_ne() {
            return order;
        }
    }
}
