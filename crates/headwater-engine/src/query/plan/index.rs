//! What one index can do for a query: the ranges of its keys that have to be read, and whether they come in order.

use super::eligible::{Eligible, KeyField};
use super::tree::{FieldBounds, IndexScan, Range};
use crate::collation::ValueOrder;
use crate::index::keys::KEY_BYTES_MAX;
use crate::query::bounds::{Bounds, Interval};
use crate::query::matcher::Matcher;
use crate::query::path::Path;
use crate::query::sort::SortPattern;

/// Ranges that one plan reads at most; beyond, an index is bounded by fewer of its fields.
const RANGES_MAX: usize = 10_000;
/// Scans that are merged at most to give an order.
const MERGED_MAX: usize = 200;
/// Bytes of a bound that are compared: longer keys are cut and hashed behind them.
const BOUND_BYTES_MAX: usize = KEY_BYTES_MAX - 16;

/// An index and what it would read.
#[derive(Debug)]
pub(super) struct Candidate<'e, 'q> {
    pub eligible: &'e Eligible<'q>,
    /// What is read, forwards.
    pub scan: IndexScan,
    /// For each of the leading fields that are bound to values, whether it is one value.
    pub points: Vec<bool>,
    /// Whether the field behind them is bound to a range.
    pub range: bool,
    /// Whether the bounds decide alone which documents match.
    pub exact: bool,
    /// Bytes behind the number of the index that all keys of the same values of those fields begin with, and the ranges
    /// for each.
    prefixes: Vec<usize>,
    each: usize,
}

impl<'e, 'q> Candidate<'e, 'q> {
    pub(super) fn of(
        eligible: &'e Eligible<'q>,
        matcher: Option<&Matcher>,
        order: &ValueOrder,
    ) -> Candidate<'e, 'q> {
        let bounds = eligible.bounds(matcher, order);
        let exact = eligible.decides(matcher, order, &bounds);
        let scan = IndexScan {
            index: eligible.index.clone(),
            ranges: Vec::new(),
            reverse: false,
            fields: Vec::new(),
            ranged: 0,
            merged_from: 0,
            points: false,
        };
        let (points, prefixes) = (Vec::new(), Vec::new());
        let mut candidate =
            Candidate { eligible, scan, points, range: false, exact, prefixes, each: 1 };
        let points: Vec<Option<bool>> =
            bounds.iter().map(|bounds| bounds.as_ref().map(Bounds::is_points)).collect();
        candidate.scan.fields = fields(eligible, bounds);
        candidate.bound(&points);
        candidate
    }

    /// Whether it reads less than the whole index.
    pub(super) fn is_bounded(&self) -> bool {
        self.range || !self.points.is_empty()
    }

    /// Whether a field behind one that is not bound is.
    pub(super) fn leaps(&self) -> bool {
        self.scan.fields.iter().skip(self.scan.ranged).any(|field| !field.is_everything())
    }

    /// Whether it gives the order that is asked for: `Some(reverse)`.
    pub(super) fn order(&self, sort: &SortPattern) -> Option<bool> {
        let single = self.points.iter().take_while(|&&one| one).count();
        order(self.eligible, self.points.get(..single)?, sort)
    }

    /// Scans side by side, one for each value of the leading fields, that give the order together.
    pub(super) fn merged(&self, sort: &SortPattern) -> Option<Vec<IndexScan>> {
        if self.each == 0 || self.prefixes.len() > MERGED_MAX {
            return None;
        }
        let reverse = order(self.eligible, &self.points, sort)?;
        let scans = self.scan.ranges.chunks(self.each).zip(&self.prefixes);
        let scans = scans.map(|(ranges, prefix)| IndexScan {
            ranges: ranges.to_vec(),
            reverse,
            merged_from: size_of_val(&self.scan.index.id) + prefix,
            ..self.scan.clone()
        });
        Some(scans.collect())
    }

    /// As [`Candidate::merged`] for one scan among those of other indexes: the part of its keys behind the values has to
    /// begin with the fields of the order.
    pub(super) fn mergeable(&self, sort: &SortPattern) -> Option<Vec<IndexScan>> {
        let at_once = sort.fields()?.zip(self.scan.fields.iter().skip(self.points.len()));
        let mut fields = at_once.len();
        for ((path, _), field) in at_once {
            fields -= usize::from(*path == field.path);
        }
        let all = sort.fields()?.len() <= self.scan.fields.len().checked_sub(self.points.len())?;
        if all && fields == 0 { self.merged(sort) } else { None }
    }

    /// The ranges that the fields' bounds leave of the index: values as far as fields are bound to values, then one range.
    fn bound(&mut self, points: &[Option<bool>]) {
        let mut prefixes: Vec<Vec<u8>> = vec![Vec::new()];
        let mut whole: Option<Vec<Interval>> = None;
        for (points, field) in points.iter().zip(&self.scan.fields) {
            let Some(points) = points else { break };
            let intervals = field.directed();
            if prefixes.len().saturating_mul(intervals.len()) > RANGES_MAX {
                break;
            }
            self.scan.ranged += 1;
            if !points {
                self.range = true;
                whole = Some(intervals.into_owned());
                break;
            }
            let extend = |prefix: &Vec<u8>| {
                let points = intervals.iter().map(|point| [&prefix[..], &point.lower].concat());
                points.collect::<Vec<_>>()
            };
            prefixes = prefixes.iter().flat_map(extend).collect();
            self.points.push(intervals.len() == 1);
        }
        let id = self.scan.index.id.to_be_bytes();
        let mut cut = false;
        for prefix in &prefixes {
            let every = [Interval { lower: Vec::new(), upper: Vec::new() }];
            for interval in whole.as_deref().unwrap_or(&every) {
                let lower = [&prefix[..], &interval.lower].concat();
                let upper = match interval.upper.as_slice() {
                    [] => Interval::starting_with(prefix.clone()).upper,
                    upper => [&prefix[..], upper].concat(),
                };
                cut |= lower.len().max(upper.len()) > BOUND_BYTES_MAX;
                self.scan.ranges.push(range(&id, lower, upper));
            }
        }
        // What was cut says less than the filter.
        self.exact &= !cut;
        let is_key = self.points.len() == self.scan.index.directions.len();
        self.scan.points = self.scan.index.unique && is_key && !cut;
        self.each = whole.map_or(1, |whole| whole.len());
        self.prefixes = prefixes.iter().map(Vec::len).collect();
        if cut {
            self.each = 0;
        }
    }
}

fn fields(eligible: &Eligible<'_>, bounds: Vec<Option<Bounds>>) -> Vec<FieldBounds> {
    let field = |(field, bounds): (&KeyField<'_>, Option<Bounds>)| {
        let (path, direction) = (field.path.clone().into_owned(), field.direction);
        match bounds {
            Some(bounds) => FieldBounds { path, direction, intervals: bounds.intervals },
            None => FieldBounds::everything(path, direction),
        }
    };
    eligible.fields.iter().zip(bounds).map(field).collect()
}

/// An interval of an index's keys as whole keys. Bounds too long for the store are widened.
fn range(id: &[u8; 4], mut lower: Vec<u8>, mut upper: Vec<u8>) -> Range {
    lower.truncate(BOUND_BYTES_MAX);
    if upper.len() > BOUND_BYTES_MAX {
        upper.truncate(BOUND_BYTES_MAX);
        upper = Interval::starting_with(upper).upper;
    }
    ([&id[..], &lower].concat(), [&id[..], &upper].concat())
}

/// Whether an index gives the order of `sort` when its first fields have the values of `points` each, one by one: some
/// of them one value (true), some one of several (false). `Some(reverse)` if it does.
pub(super) fn order(eligible: &Eligible<'_>, points: &[bool], sort: &SortPattern) -> Option<bool> {
    if sort.collation() != eligible.index.order.collation() {
        return None;
    }
    let is_it = |field: &KeyField<'_>, path: &Path| field.is_ordered() && *field.path == *path;
    let mut reverse = None;
    let mut at = points.len();
    for (path, direction) in sort.fields()? {
        let place = eligible.fields.iter().position(|field| is_it(field, path))?;
        let field = eligible.fields.get(place).filter(|field| field.multikey == 0)?;
        if points.get(place) == Some(&true) {
            continue;
        }
        if place != at {
            return None;
        }
        let turned = field.direction != direction;
        if *reverse.get_or_insert(turned) != turned {
            return None;
        }
        at += 1;
    }
    Some(reverse.unwrap_or(false))
}
