//! What is simpler for the same: flat conjunctions, lists instead of alternatives, and one order.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::{Condition, Constant, Pattern, Test};
use crate::bson::{Raw, compare};

/// Conditions among which repetitions are sought: each is compared with each.
const REPETITIONS_SOUGHT_MAX: usize = 256;

/// A condition that needs all of `conditions`.
pub(super) fn all_of(conditions: Vec<Condition<'_>>) -> Condition<'_> {
    let conditions = match only(conditions) {
        Ok(only) => return only,
        Err(several) => several,
    };
    let mut flat: Vec<Condition<'_>> = Vec::new();
    for condition in conditions {
        match condition {
            Condition::Always(true) => {}
            Condition::Always(false) => return condition,
            Condition::And(inner) => flat.extend(inner),
            Condition::Nor(inner) => flat.extend(inner.into_iter().map(not)),
            Condition::Not(inner) => match *inner {
                Condition::Or(any) => flat.extend(any.into_iter().map(not)),
                inner => flat.push(Condition::Not(Box::new(inner))),
            },
            other => flat.push(other),
        }
    }
    if flat.len() <= REPETITIONS_SOUGHT_MAX {
        let mut all: Vec<Condition<'_>> = Vec::new();
        for condition in flat {
            if !all.contains(&condition) {
                all.push(condition);
            }
        }
        flat = all;
    }
    only(flat).unwrap_or_else(Condition::And)
}

/// A condition that needs one of `conditions`.
pub(super) fn any_of(conditions: Vec<Condition<'_>>) -> Condition<'_> {
    let mut flat = Vec::new();
    for condition in conditions {
        match condition {
            Condition::Always(false) => {}
            Condition::Always(true) => return Condition::And(Vec::new()),
            Condition::And(inner) if inner.is_empty() => return Condition::And(inner),
            Condition::Or(inner) => flat.extend(inner),
            other => flat.push(other),
        }
    }
    match only(lists(flat)) {
        Ok(only) => only,
        Err(any) if any.is_empty() => Condition::Always(false),
        Err(any) => Condition::Or(any),
    }
}

/// A condition that needs none of `conditions`.
pub(super) fn none_of(conditions: Vec<Condition<'_>>) -> Condition<'_> {
    only(conditions).map_or_else(Condition::Nor, not)
}

/// The contrary.
pub(super) fn not(condition: Condition<'_>) -> Condition<'_> {
    match condition {
        Condition::Always(true) => Condition::Always(false),
        Condition::Always(false) => Condition::And(Vec::new()),
        other => Condition::Not(Box::new(other)),
    }
}

/// `$in`; of one value it is an equality.
pub(super) fn one_in<'f>(
    path: &'f str,
    values: Vec<Constant<'f>>,
    mut regexes: Vec<Pattern<'f>>,
) -> Condition<'f> {
    let test = match (values.as_slice(), regexes.len()) {
        ([], 0) => return Condition::Always(false),
        ([value], 0) => Test::Compare { relation: "$eq", value: *value },
        ([], 1) => match regexes.pop() {
            Some(pattern) => Test::Regex(pattern),
            None => return Condition::Always(false),
        },
        _ => Test::In { values, regexes },
    };
    Condition::Field { path, test }
}

/// The only one of a list, or the list.
fn only(mut conditions: Vec<Condition<'_>>) -> Result<Condition<'_>, Vec<Condition<'_>>> {
    match conditions.len() {
        1 => conditions.pop().ok_or_else(Vec::new),
        _ => Err(conditions),
    }
}

/// Alternatives with the equalities on one path, where there are several, as one list.
fn lists(conditions: Vec<Condition<'_>>) -> Vec<Condition<'_>> {
    let mut rest: Vec<Condition<'_>> = Vec::new();
    let mut groups: Vec<(&str, Vec<Condition<'_>>)> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for condition in conditions {
        let path = match &condition {
            Condition::Field { path, test: Test::Regex(_) } => *path,
            Condition::Field { path, test: Test::Compare { relation: "$eq", .. } } => *path,
            _ => {
                rest.push(condition);
                continue;
            }
        };
        let at = *places.entry(path).or_insert(groups.len());
        match groups.get_mut(at) {
            Some((_, group)) => group.push(condition),
            None => groups.push((path, vec![condition])),
        }
    }
    for (path, mut group) in groups {
        if group.len() == 1 {
            rest.append(&mut group);
            continue;
        }
        let (mut values, mut regexes) = (Vec::new(), Vec::new());
        for condition in group {
            match condition {
                Condition::Field { test: Test::Compare { value, .. }, .. } => values.push(value),
                Condition::Field { test: Test::Regex(regex), .. } => regexes.push(regex),
                _ => {}
            }
        }
        rest.push(one_in(path, values, regexes));
    }
    rest
}

/// The same with every conjunction and alternative in order.
pub(super) fn ordered(condition: Condition<'_>) -> Condition<'_> {
    let all = |conditions: Vec<_>| {
        let mut conditions: Vec<_> = conditions.into_iter().map(ordered).collect();
        conditions.sort_by(order);
        conditions
    };
    match condition {
        Condition::And(inner) => Condition::And(all(inner)),
        Condition::Or(inner) => Condition::Or(all(inner)),
        Condition::Nor(inner) => Condition::Nor(all(inner)),
        Condition::Not(inner) => Condition::Not(Box::new(ordered(*inner))),
        Condition::Field { path, test } => {
            let test = match test {
                Test::ElementDoc(inner) => Test::ElementDoc(Box::new(ordered(*inner))),
                Test::Element(inner) => Test::Element(Box::new(ordered(*inner))),
                other => other,
            };
            Condition::Field { path, test }
        }
        other => other,
    }
}

/// By kind, then path, then what stands inside.
fn order(one: &Condition<'_>, other: &Condition<'_>) -> Ordering {
    let by_turn = one.turn().cmp(&other.turn());
    by_turn.then_with(|| {
        let (one, other) = (one.inside(), other.inside());
        let inside = one.iter().zip(other).map(|(one, other)| order(one, other));
        inside.fold(Ordering::Equal, Ordering::then).then_with(|| one.len().cmp(&other.len()))
    })
}

impl Condition<'_> {
    /// The place of its kind, and its path.
    fn turn(&self) -> (u8, &str) {
        match self {
            Condition::And(_) => (0, ""),
            Condition::Or(_) => (1, ""),
            Condition::Field { path, test } => (test.turn(), path),
            Condition::Not(_) => (18, ""),
            Condition::Nor(_) => (19, ""),
            Condition::Always(false) => (22, ""),
            Condition::Always(true) => (23, ""),
            Condition::Whole { name, .. } => (24, name),
        }
    }

    fn inside(&self) -> &[Self] {
        match self {
            Condition::And(inner) | Condition::Or(inner) | Condition::Nor(inner) => inner,
            Condition::Not(inner) => std::slice::from_ref(inner),
            Condition::Field { test: Test::ElementDoc(inner) | Test::Element(inner), .. } => {
                std::slice::from_ref(inner)
            }
            _ => &[],
        }
    }
}

impl Test<'_> {
    /// The place of its kind, in the order in which MongoDB sorts them.
    fn turn(&self) -> u8 {
        match self {
            Test::ElementDoc(_) => 2,
            Test::Element(_) => 3,
            Test::Size(_) => 4,
            Test::Compare { relation, .. } => match *relation {
                "$eq" => 5,
                "$lte" => 6,
                "$lt" => 7,
                "$gt" => 8,
                _ => 9,
            },
            Test::Regex(_) => 10,
            Test::Mod(..) => 11,
            Test::Exists => 12,
            Test::In { .. } => 13,
            Test::Bits { name, .. } => match *name {
                "$bitsAllSet" => 14,
                "$bitsAllClear" => 15,
                "$bitsAnySet" => 16,
                _ => 17,
            },
            Test::Type(_) => 20,
        }
    }
}

/// Values in their order, each once.
pub(super) fn sorted<'f>(values: &[Constant<'f>]) -> Vec<Raw<'f>> {
    let mut values: Vec<Raw<'f>> = values.iter().map(|constant| constant.0).collect();
    values.sort_by(|one, other| compare(*one, *other));
    values.dedup_by(|one, other| compare(*one, *other).is_eq());
    values
}
