//! The keys of documents for which an expression is true that compares a field with a constant. Expressions compare values
//! of all types with each other, and do not open arrays: what is said holds for paths that met none.

use super::interval::{Interval, after, union};
use super::{Bounds, Candidate, Form, Question};
use crate::aggregate::expressions::Expression;
use crate::bson::key::{Direction, append_with};
use crate::bson::{Raw, Type};
use crate::collation::may_hold_texts;

/// Adds what has to hold of the path for the expression to be true.
pub(super) fn collect(
    expression: &Expression,
    question: &Question<'_>,
    found: &mut Vec<Candidate>,
) {
    let plain = question.parts.iter().all(|part| part.index().is_none());
    if question.multikey != 0 || question.form != Form::Values || !plain {
        return;
    }
    for condition in expression.conjuncts() {
        let Some((path, relation, value)) = condition.comparison() else { continue };
        let same = path.names().eq(question.parts.iter().map(|part| part.name()));
        let Some(value) = value.raw().filter(|_| same) else { continue };
        if let Some(intervals) = intervals(relation, value, question) {
            let bounds = Bounds { intervals, exact: false };
            found.push(Candidate { bounds, element: None });
        }
    }
}

fn intervals(relation: &str, value: Raw<'_>, question: &Question<'_>) -> Option<Vec<Interval>> {
    let unsure = matches!(value.kind, Type::Array | Type::Undefined | Type::MinKey | Type::MaxKey);
    if unsure || question.keys.foreign && may_hold_texts(value.kind) {
        return None;
    }
    let encode = |value| {
        let mut key = Vec::new();
        append_with(&mut key, value, Direction::Ascending, question.keys.collate);
        key
    };
    let key = encode(value);
    let Interval { lower: bottom, upper: top } = Interval::all();
    let interval = match relation {
        "$eq" => Interval::starting_with(key),
        "$gt" => Interval { lower: after(&key), upper: top },
        "$gte" => Interval { lower: key, upper: top },
        "$lt" => Interval { lower: bottom, upper: key },
        "$lte" => Interval { lower: bottom, upper: after(&key) },
        _ => return None,
    };
    // What is absent stands as null among the keys, but compares below everything.
    Some(union(vec![interval, Interval::starting_with(encode(Raw::NULL))]))
}
