//! The bounds of an index scan as values, as `explain` shows them: from the bytes of keys back to what a filter names.
//!
//! Bytes do not tell `[2, ..` from `(1, ..` where 2 is the next value after 1: what the filter itself names comes first.

use std::collections::HashMap;

use super::tree::FieldBounds;
use crate::bson::key::{Direction, Types, class_bounds, decode};
use crate::bson::print::value as value_text;
use crate::bson::{Doc, DocWriter, Raw, Type, Value};
use crate::collation::ValueOrder;
use crate::query::bounds::Interval;
use crate::query::matcher::{Canonical, Matcher};

/// One end of an interval.
#[derive(Debug, Clone)]
pub struct End {
    /// The value.
    pub value: Value<'static>,
    /// Whether it is inside.
    pub inclusive: bool,
}

/// Reads bounds of scans that answer one filter.
#[derive(Debug)]
pub struct Ends {
    /// Keys of what the filter names, and the bytes behind each.
    named: HashMap<Vec<u8>, (Value<'static>, Side)>,
}

/// Where bytes are, seen from a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    At,
    Behind,
}

/// Bytes that a key may have lost at its end when the bytes behind it were made.
const LOST_MAX: usize = 9;

impl Ends {
    /// A reader of the bounds that were made of a filter, of keys in that order of values.
    pub fn of(filter: Option<&Matcher>, order: &ValueOrder) -> Ends {
        let mut named = HashMap::new();
        let filter = filter.map_or(Doc::EMPTY, Matcher::filter);
        for value in Canonical::of(filter).values() {
            let Some(raw) = value.raw() else { continue };
            let mut key = Vec::new();
            order.append_key(raw, Direction::Ascending, &mut key);
            if let Some(behind) = crate::bson::key::successor(&key) {
                named.entry(behind).or_insert((value.clone(), Side::Behind));
            }
            named.insert(key, (value, Side::At));
        }
        Ends { named }
    }

    /// The intervals of a field in the order in which they are read.
    pub fn intervals(&self, field: &FieldBounds, reverse: bool) -> Vec<(End, End)> {
        let mut intervals: Vec<_> = field.intervals.iter().map(|one| self.interval(one)).collect();
        if (field.direction == Direction::Descending) != reverse {
            intervals.reverse();
            intervals.iter_mut().for_each(|(from, to)| std::mem::swap(from, to));
        }
        intervals
    }

    fn interval(&self, interval: &Interval) -> (End, End) {
        let (value, side) = self.place(&interval.lower);
        let lower = End { value, inclusive: side == Side::At };
        let (value, side) = self.place(&interval.upper);
        let upper = End { value, inclusive: side == Side::Behind };
        (lower, upper)
    }

    /// Where bytes are among values.
    fn place(&self, bytes: &[u8]) -> (Value<'static>, Side) {
        match bytes {
            [] => return (Value::owned(Type::MinKey, &[]), Side::At),
            [0xFF] => return (Value::owned(Type::MaxKey, &[]), Side::Behind),
            _ => {}
        }
        if let Some(named) = self.named.get(bytes) {
            return named.clone();
        }
        if let [byte] = bytes
            && let Some(place) = class_end(*byte)
        {
            return place;
        }
        if let Some(value) = read(bytes).or_else(|| read(&[bytes, &[0]].concat())) {
            return (value, Side::At);
        }
        match before(bytes).and_then(|key| read(&key).or_else(|| read(&[&key[..], &[0]].concat())))
        {
            Some(value) => (value, Side::Behind),
            None => (unread(bytes), Side::At),
        }
    }
}

/// An interval as MongoDB prints it: `[1, 5)`.
pub fn text((from, to): &(End, End)) -> String {
    let shown = |end: &End| {
        let raw = end.value.raw().unwrap_or(Raw::NULL);
        value_text(raw)
    };
    let (open, close) =
        (if from.inclusive { '[' } else { '(' }, if to.inclusive { ']' } else { ')' });
    format!("{open}{}, {}{close}", shown(from), shown(to))
}

fn read(key: &[u8]) -> Option<Value<'static>> {
    decode(key, &[Direction::Ascending], &Types::default())?.pop()
}

/// The key of which these are the bytes behind, as far as that can be told.
fn before(bytes: &[u8]) -> Option<Vec<u8>> {
    let (last, head) = bytes.split_last()?;
    let mut key = [head, &[last.checked_sub(1)?]].concat();
    for _ in 0..LOST_MAX {
        if read(&key).is_some() {
            return Some(key);
        }
        key.push(0xFF);
    }
    key.truncate(bytes.len());
    Some(key)
}

/// Bytes that are no value's: of a text in a collation, or of a key that was cut.
fn unread(bytes: &[u8]) -> Value<'static> {
    let len = u32::try_from(bytes.len()).unwrap_or(0);
    Value::from_vec(Type::Binary, [&len.to_le_bytes()[..], &[0], bytes].concat())
}

/// The end of all values of a type that begins or ends with a byte.
fn class_end(byte: u8) -> Option<(Value<'static>, Side)> {
    // Behind the number that is none stand all others.
    if byte == class_bounds(Type::Double).0 + 1 {
        return Some((Value::f64(f64::NEG_INFINITY), Side::At));
    }
    CLASSES.iter().find_map(|&(kind, next)| {
        let (lower, upper) = class_bounds(kind);
        match next {
            _ if byte == lower => Some((least(kind), Side::At)),
            Some(next) if byte == upper => Some((least(next), Side::At)),
            None if byte == upper => Some((greatest(kind), Side::Behind)),
            _ => None,
        }
    })
}

/// The types whose values have one, and for those without a greatest value the type that follows.
const CLASSES: [(Type, Option<Type>); 14] = [
    (Type::Undefined, None),
    (Type::Null, None),
    (Type::Double, None),
    (Type::String, Some(Type::Document)),
    (Type::Document, Some(Type::Array)),
    (Type::Array, Some(Type::Binary)),
    (Type::Binary, Some(Type::ObjectId)),
    (Type::ObjectId, None),
    (Type::Bool, None),
    (Type::Date, None),
    (Type::Timestamp, None),
    (Type::Regex, Some(Type::DbPointer)),
    (Type::Code, Some(Type::CodeWithScope)),
    (Type::MaxKey, None),
];

fn least(kind: Type) -> Value<'static> {
    let empty = || Value::owned(Type::Document, Doc::EMPTY.as_bytes());
    match kind {
        Type::Double => Value::f64(f64::NAN),
        Type::String => Value::owned(Type::String, &[1, 0, 0, 0, 0]),
        Type::Document => empty(),
        Type::Array => Value::owned(Type::Array, Doc::EMPTY.as_bytes()),
        Type::Binary => Value::owned(Type::Binary, &[0; 5]),
        Type::ObjectId => Value::owned(Type::ObjectId, &[0; 12]),
        Type::Bool => Value::bool(false),
        Type::Date => Value::date(i64::MIN),
        Type::Timestamp => Value::owned(Type::Timestamp, &[0; 8]),
        Type::Regex => Value::owned(Type::Regex, &[0; 2]),
        Type::DbPointer => {
            Value::from_vec(Type::DbPointer, [&[1, 0, 0, 0, 0][..], &[0; 12]].concat())
        }
        Type::Code => Value::owned(Type::Code, &[1, 0, 0, 0, 0]),
        Type::CodeWithScope => {
            let scope = DocWriter::new().finish();
            let bytes = [&[14, 0, 0, 0, 1, 0, 0, 0, 0][..], scope.as_doc().as_bytes()].concat();
            Value::from_vec(Type::CodeWithScope, bytes)
        }
        other => Value::owned(other, &[]),
    }
}

fn greatest(kind: Type) -> Value<'static> {
    match kind {
        Type::Double => Value::f64(f64::INFINITY),
        Type::ObjectId => Value::owned(Type::ObjectId, &[0xFF; 12]),
        Type::Bool => Value::bool(true),
        Type::Date => Value::date(i64::MAX),
        Type::Timestamp => Value::owned(Type::Timestamp, &[0xFF; 8]),
        other => Value::owned(other, &[]),
    }
}
