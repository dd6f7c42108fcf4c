//! What one index can do for a query: the ranges of its keys that have to be read, and whether they come in order.

use std::sync::Arc;

use super::eligible::{Eligible, KeyField};
use super::tree::FieldBounds;
use crate::bson::key::Direction;
use crate::collation::ValueOrder;
use crate::index::Index;
use crate::index::keys::KEY_BYTES_MAX;
use crate::query::bounds::{Bounds, Interval};
use crate::query::matcher::Matcher;
use crate::query::sort::SortPattern;

/// Ranges that one plan reads at most; beyond, an index is bounded by fewer of its fields.
const RANGES_MAX: usize = 10_000;
/// Bytes of a bound that are compared: longer keys are cut and hashed behind them.
const BOUND_BYTES_MAX: usize = KEY_BYTES_MAX - 16;

/// An index and what it would read.
pub(super) struct Candidate<'c> {
    /// The index.
    pub index: &'c Arc<Index>,
    /// Whole keys, lower included, upper excluded, ascending.
    pub ranges: Vec<(Vec<u8>, Vec<u8>)>,
    /// Leading fields that the filter binds to single values.
    pub equalities: usize,
    /// Whether the field behind them is bound to a range.
    pub range: bool,
    /// The order that is asked for: `Some(reverse)` if the index gives it.
    pub order: Option<bool>,
    /// The bounds of each field.
    pub fields: Vec<FieldBounds>,
    /// Leading fields whose bounds the ranges hold exactly.
    pub ranged: usize,
}

/// What an eligible index can do for a filter and an order; `None` if it is of no use. With `forced` that does not count.
pub(super) fn candidate<'c>(
    eligible: &Eligible<'c>,
    matcher: Option<&Matcher>,
    order_of_values: &ValueOrder,
    sort: Option<&SortPattern>,
    forced: bool,
) -> Option<Candidate<'c>> {
    let bounds = eligible.bounds(matcher, order_of_values);
    let mut candidate = ranges(eligible, &bounds);
    let single = bounds.iter().take_while(|b| b.as_ref().is_some_and(is_one_point)).count();
    candidate.order = sort.and_then(|sort| order(eligible, single, sort));
    let useful = candidate.equalities > 0 || candidate.range || candidate.order.is_some();
    (useful || forced).then_some(candidate)
}

fn is_one_point(bounds: &Bounds) -> bool {
    bounds.intervals.len() == 1 && bounds.is_points()
}

/// The ranges that the fields' bounds leave of the index: values as far as fields are bound to values, then one range.
fn ranges<'c>(eligible: &Eligible<'c>, bounds: &[Option<Bounds>]) -> Candidate<'c> {
    let index = eligible.index;
    let mut candidate = Candidate {
        index,
        ranges: Vec::new(),
        equalities: 0,
        range: false,
        order: None,
        fields: fields(eligible, bounds),
        ranged: 0,
    };
    let mut prefixes: Vec<Vec<u8>> = vec![Vec::new()];
    let mut whole: Option<Vec<Interval>> = None;
    for (bounds, field) in bounds.iter().zip(&eligible.fields) {
        let Some(bounds) = bounds else { break };
        let intervals = directed(&bounds.intervals, field.direction);
        if prefixes.len().saturating_mul(intervals.len()) > RANGES_MAX {
            break;
        }
        if !bounds.is_points() {
            candidate.range = true;
            candidate.ranged += 1;
            whole = Some(intervals);
            break;
        }
        let extend = |prefix: &Vec<u8>| {
            intervals.iter().map(|point| [&prefix[..], &point.lower].concat()).collect::<Vec<_>>()
        };
        prefixes = prefixes.iter().flat_map(extend).collect();
        candidate.equalities += 1;
        candidate.ranged += 1;
    }
    let id = index.id.to_be_bytes();
    for prefix in &prefixes {
        match &whole {
            None => candidate.ranges.push(range(&id, &Interval::starting_with(prefix.clone()))),
            Some(intervals) => candidate.ranges.extend(intervals.iter().map(|interval| {
                let lower = [&prefix[..], &interval.lower].concat();
                let upper = [&prefix[..], &interval.upper].concat();
                range(&id, &Interval { lower, upper })
            })),
        }
    }
    candidate
}

fn fields(eligible: &Eligible<'_>, bounds: &[Option<Bounds>]) -> Vec<FieldBounds> {
    let field = |(field, bounds): (&KeyField<'_>, &Option<Bounds>)| {
        let (path, direction) = (field.path.clone().into_owned(), field.direction);
        match bounds {
            Some(bounds) => FieldBounds { path, direction, intervals: bounds.intervals.clone() },
            None => FieldBounds::everything(path, direction),
        }
    };
    eligible.fields.iter().zip(bounds).map(field).collect()
}

fn directed(intervals: &[Interval], direction: Direction) -> Vec<Interval> {
    match direction {
        Direction::Ascending => intervals.to_vec(),
        Direction::Descending => intervals.iter().rev().map(Interval::inverted).collect(),
    }
}

/// An interval of an index's keys as whole keys. Bounds too long for the store are widened.
fn range(id: &[u8; 4], interval: &Interval) -> (Vec<u8>, Vec<u8>) {
    let (mut lower, mut upper) = (interval.lower.clone(), interval.upper.clone());
    lower.truncate(BOUND_BYTES_MAX);
    if upper.len() > BOUND_BYTES_MAX {
        upper.truncate(BOUND_BYTES_MAX);
        upper = Interval::starting_with(upper).upper;
    }
    let upper = match upper.as_slice() {
        [] => Interval::starting_with(id.to_vec()).upper,
        upper => [&id[..], upper].concat(),
    };
    ([&id[..], &lower].concat(), upper)
}

/// Whether the index gives the order of `sort` when its first `single` fields have one value each: `Some(reverse)`.
pub(super) fn order(eligible: &Eligible<'_>, single: usize, sort: &SortPattern) -> Option<bool> {
    let index = eligible.index;
    if index.is_multikey() || sort.collation() != index.order.collation() {
        return None;
    }
    let mut reverse = None;
    let mut at = 0;
    let fields = &eligible.fields;
    for (path, direction) in sort.fields()? {
        let is_it = |field: &KeyField<'_>| field.is_ordered() && *field.path == *path;
        while at < single && fields.get(at).is_some_and(|own| !is_it(own)) {
            at += 1;
        }
        let field = fields.get(at).filter(|field| is_it(field))?;
        if at >= single {
            let turned = field.direction != direction;
            if *reverse.get_or_insert(turned) != turned {
                return None;
            }
        }
        at += 1;
    }
    Some(reverse.unwrap_or(false))
}
