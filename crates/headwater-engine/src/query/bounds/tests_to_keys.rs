//! The keys of the values that pass one test.

use super::interval::{Interval, after, union};
use super::{Bounds, Form, Question};
use crate::bson::key::{Direction, append_with, class_bounds};
use crate::bson::{Doc, Raw, Type};
use crate::collation::may_hold_texts;
use crate::query::matcher::{Comparison, Operand, Regex, Relation, Test, is_nan, is_special};

const NULL: Raw<'static> = Raw::NULL;
const UNDEFINED: Raw<'static> = Raw { kind: Type::Undefined, data: &[] };
const NAN: Raw<'static> = Raw { kind: Type::Double, data: &[0, 0, 0, 0, 0, 0, 0xF8, 0x7F] };

/// The keys of values that pass; `None` if any key could be theirs.
pub(super) fn bounds(test: &Test, question: &Question<'_>) -> Option<Bounds> {
    let has_keys = match question.form {
        Form::Values => true,
        Form::Leaves => passes_leaves_alone(test, question.in_element),
        Form::Hashes => return hashes(test, question),
    };
    if !has_keys || is_foreign(test, question) {
        return None;
    }
    match test {
        Test::Compare(comparison) => compare(comparison, question),
        Test::In(list) => {
            let mut intervals = Vec::new();
            let mut exact = true;
            for value in &list.values {
                let bounds = equal(value.raw(), question);
                exact &= bounds.exact;
                intervals.extend(bounds.intervals);
            }
            for regex in &list.regexes {
                let bounds = regular(regex, question);
                exact &= bounds.exact;
                intervals.extend(bounds.intervals);
            }
            Some(Bounds { intervals: union(intervals), exact })
        }
        Test::Regex(regex) => Some(regular(regex, question)),
        Test::Type(types) => {
            let mut intervals = Vec::new();
            let numbers = [Type::Double, Type::Int32, Type::Int64, Type::Decimal];
            let all_numbers = numbers.iter().all(|kind| types.contains(*kind));
            let exact = types.iter().all(|kind| is_alone(kind) || all_numbers && kind.is_number());
            for kind in types.iter() {
                // Of an array that is not empty the keys are its elements.
                intervals.push(if kind == Type::Array { Interval::all() } else { class(kind) });
            }
            Some(Bounds { intervals: union(intervals), exact })
        }
        Test::Mod(_) => Some(Bounds { intervals: vec![class(Type::Double)], exact: false }),
        Test::Exists => Some(anything()),
        Test::Bits(_) | Test::Size(_) | Test::ElementDoc(_) | Test::Element(_) => None,
    }
}

/// Whether the keys of a type are of no other type, nor of what is absent.
fn is_alone(kind: Type) -> bool {
    matches!(kind, Type::Date | Type::Timestamp | Type::Bool | Type::ObjectId | Type::Binary)
}

/// The hashes of the values that pass: equality alone can tell them.
fn hashes(test: &Test, question: &Question<'_>) -> Option<Bounds> {
    if is_foreign(test, question) {
        return None;
    }
    let values: Vec<Raw<'_>> = match test {
        Test::Compare(comparison) if comparison.relation == Relation::Eq => {
            vec![comparison.operand.raw()]
        }
        Test::In(list) if list.regexes.is_empty() => list.values.iter().map(Operand::raw).collect(),
        Test::Exists => return Some(anything()),
        _ => return None,
    };
    // An array has no hash: the index holds no document with one.
    if values.iter().any(|value| value.kind == Type::Array) {
        return None;
    }
    let point = |value: &Raw<'_>| {
        let hash = question.keys.hash.map_or(0, |hash| hash(*value)).to_le_bytes();
        point(Raw { kind: Type::Int64, data: &hash }, question)
    };
    question.keys.hash?;
    Some(Bounds { intervals: union(values.iter().map(point).collect()), exact: false })
}

/// Whether every document that passes has a value that passes and holds neither fields nor elements. An element is there
/// where a null may stand for what is not.
fn passes_leaves_alone(test: &Test, in_element: bool) -> bool {
    let is_leaf = |value: Raw<'_>| match value.kind {
        Type::Null => in_element,
        Type::Array => value.as_array().is_some_and(|array| array.is_empty()),
        Type::Document => value.as_doc().is_some_and(Doc::is_empty),
        _ => true,
    };
    match test {
        Test::Compare(comparison) => {
            let value = comparison.operand.raw();
            match (value.kind, comparison.relation) {
                // Nothing is below the least value or above the greatest, and nothing is less than null or greater.
                (Type::MinKey, relation) => !matches!(relation, Relation::Gt | Relation::Gte),
                (Type::MaxKey, relation) => !matches!(relation, Relation::Lt | Relation::Lte),
                (Type::Null, Relation::Gt | Relation::Lt) => true,
                (Type::Array, relation) if relation != Relation::Eq => false,
                (Type::Document, Relation::Lt | Relation::Gt | Relation::Gte) => false,
                _ => is_leaf(value),
            }
        }
        Test::In(list) => list.values.iter().all(|value| is_leaf(value.raw())),
        Test::Type(types) => !types.contains(Type::Document) && !types.contains(Type::Array),
        Test::Regex(_) | Test::Mod(_) => true,
        Test::Exists | Test::Size(_) | Test::Bits(_) | Test::ElementDoc(_) | Test::Element(_) => {
            false
        }
    }
}

/// Whether texts in a test compare otherwise than those in the keys.
fn is_foreign(test: &Test, question: &Question<'_>) -> bool {
    let keys = question.keys;
    let is_foreign = |operand: &Operand| {
        keys.foreign && may_hold_texts(operand.raw().kind)
            || keys.collate.is_none() && operand.is_collated()
    };
    match test {
        Test::Compare(comparison) => is_foreign(&comparison.operand),
        Test::In(list) => list.values.iter().any(is_foreign),
        _ => false,
    }
}

/// The keys of documents that have nothing at the path.
pub(super) fn absent(question: &Question<'_>) -> Bounds {
    Bounds { intervals: vec![point(NULL, question)], exact: false }
}

/// Any key: an index is walked for what it does not tell, as MongoDB does.
fn anything() -> Bounds {
    Bounds { intervals: vec![Interval::all()], exact: false }
}

/// Whether null passes because a test names it. MongoDB asks no index with arrays for the negation.
pub(super) fn is_of_null(test: &Test) -> bool {
    let is_null = |operand: &Operand| operand.raw().kind == Type::Null;
    match test {
        Test::Compare(comparison) => is_null(&comparison.operand),
        Test::In(list) => list.values.iter().any(is_null),
        _ => false,
    }
}

fn encode(value: Raw<'_>, question: &Question<'_>) -> Vec<u8> {
    let mut key = Vec::new();
    append_with(&mut key, value, Direction::Ascending, question.keys.collate);
    key
}

fn point(value: Raw<'_>, question: &Question<'_>) -> Interval {
    Interval::starting_with(encode(value, question))
}

fn class(kind: Type) -> Interval {
    let (lower, upper) = class_bounds(kind);
    Interval { lower: vec![lower], upper: vec![upper] }
}

fn equal(value: Raw<'_>, question: &Question<'_>) -> Bounds {
    let mut intervals = vec![point(value, question)];
    let mut exact = true;
    match value.kind {
        // Absent values are null too, and so are, below arrays, some elements in which nothing is absent.
        Type::Null => exact = question.multikey == 0 || question.parts.len() == 1,
        Type::Array => {
            let first = value.as_array().and_then(|array| array.get(0)).unwrap_or(UNDEFINED);
            intervals.push(point(first, question));
            exact = false;
        }
        _ => {}
    }
    Bounds { intervals: union(intervals), exact }
}

fn compare(comparison: &Comparison, question: &Question<'_>) -> Option<Bounds> {
    let value = comparison.operand.raw();
    let relation = comparison.relation;
    if relation == Relation::Eq {
        return Some(equal(value, question));
    }
    let or_equal = matches!(relation, Relation::Lte | Relation::Gte);
    let below = matches!(relation, Relation::Lt | Relation::Lte);
    if value.kind == Type::Null || is_nan(value) {
        let none = Bounds { intervals: Vec::new(), exact: true };
        return Some(if or_equal { equal(value, question) } else { none });
    }
    let whole = match value.kind {
        Type::Array => return Some(beside_array(value, below, question)),
        Type::MinKey | Type::MaxKey => Interval::all(),
        kind if kind.is_number() => {
            Interval { lower: after(&encode(NAN, question)), ..class(kind) }
        }
        kind => class(kind),
    };
    let key = encode(value, question);
    let edge = if below == or_equal { after(&key) } else { key };
    let interval = match below {
        true => Interval { upper: edge.min(whole.upper), ..whole },
        false => Interval { lower: edge.max(whole.lower), ..whole },
    };
    // MinKey and MaxKey compare with whole arrays as well, and with what is absent.
    let exact = !matches!(value.kind, Type::MinKey | Type::MaxKey);
    Some(Bounds { intervals: union(vec![interval]), exact })
}

/// The keys of what is not above an array, or not below: of its first element, or of arrays in arrays.
fn beside_array(value: Raw<'_>, below: bool, question: &Question<'_>) -> Bounds {
    let Some(first) = value.as_array().and_then(|array| array.get(0)) else { return anything() };
    let (whole, first) = (encode(value, question), encode(first, question));
    let all = Interval::all();
    let interval = match below {
        true => Interval { upper: after(&whole.max(first)), ..all },
        false => Interval { lower: whole.min(first), ..all },
    };
    Bounds { intervals: vec![interval], exact: false }
}

fn regular(regex: &Regex, question: &Question<'_>) -> Bounds {
    let (prefix, whole) = match question.keys.collate {
        None => literal_prefix(regex.pattern(), regex.options()),
        Some(_) => (String::new(), false),
    };
    let texts = if prefix.is_empty() {
        class(Type::String)
    } else {
        let prefix = crate::bson::Value::str(&prefix);
        let mut key = prefix.raw().map(|text| encode(text, question)).unwrap_or_default();
        // Without the end of the text.
        key.pop();
        Interval::starting_with(key)
    };
    let mut same = Vec::new();
    for part in [regex.pattern(), regex.options()] {
        same.extend_from_slice(part.as_bytes());
        same.push(0);
    }
    let same = point(Raw { kind: Type::Regex, data: &same }, question);
    Bounds { intervals: union(vec![texts, same]), exact: whole }
}

/// The text that every match starts with, and whether everything that starts with it matches.
fn literal_prefix(pattern: &str, options: &str) -> (String, bool) {
    let none = (String::new(), false);
    if options.contains(['i', 'm', 'u', 'x']) || pattern.contains('|') {
        return none;
    }
    let Some(rest) = pattern.strip_prefix('^').or_else(|| pattern.strip_prefix("\\A")) else {
        return none;
    };
    let mut prefix = String::new();
    let mut chars = rest.chars().peekable();
    let mut whole = true;
    while let Some(c) = chars.next() {
        let literal = match c {
            '\\' => match chars.next() {
                Some(escaped) if !escaped.is_alphanumeric() => escaped,
                _ => {
                    whole = false;
                    break;
                }
            },
            c if is_special(c) => {
                // `x*`, `x?` and `x{0}` need no `x`.
                if matches!(c, '*' | '?' | '{') {
                    prefix.pop();
                }
                whole = false;
                break;
            }
            c => c,
        };
        prefix.push(literal);
    }
    whole &= !prefix.is_empty();
    (prefix, whole)
}

#[cfg(test)]
mod tests {
    use super::literal_prefix;

    #[test]
    fn prefixes_are_what_every_match_starts_with() {
        let prefix = |pattern| literal_prefix(pattern, "");
        assert_eq!(prefix("^abc"), ("abc".into(), true));
        assert_eq!(prefix("^ab*c"), ("a".into(), false));
        assert_eq!(prefix("^a\\.b$"), ("a.b".into(), false));
        assert_eq!(prefix("^a|b"), (String::new(), false));
        assert_eq!(prefix("abc"), (String::new(), false));
        assert_eq!(prefix("^a\\d"), ("a".into(), false));
        assert_eq!(literal_prefix("^abc", "i"), (String::new(), false));
    }
}
