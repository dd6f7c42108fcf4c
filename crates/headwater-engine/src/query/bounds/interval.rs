//! Intervals of keys, as bytes.

use crate::bson::key::{Direction, split, successor};

/// The keys from `lower` (included) to `upper` (excluded).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interval {
    /// The first bytes inside.
    pub lower: Vec<u8>,
    /// The first bytes behind.
    pub upper: Vec<u8>,
}

/// Above every key.
const TOP: &[u8] = &[0xFF];

impl Interval {
    /// Every key.
    pub fn all() -> Interval {
        Interval { lower: Vec::new(), upper: TOP.to_vec() }
    }

    /// The keys that start with `prefix`: of one value, if it is the whole key of one.
    pub fn starting_with(prefix: Vec<u8>) -> Interval {
        let upper = after(&prefix);
        Interval { lower: prefix, upper }
    }

    /// Whether it holds the keys that start with one value, whose bytes are of `direction`. The texts with one beginning
    /// and the values of one type start with the same bytes too, but of no whole value.
    pub fn is_point(&self, direction: Direction) -> bool {
        after(&self.lower) == self.upper
            && split(&self.lower, direction).is_some_and(|(_, rest)| rest.is_empty())
    }

    /// Whether nothing is inside.
    pub fn is_empty(&self) -> bool {
        self.lower >= self.upper
    }

    /// The interval of the same values' descending keys. Of several intervals the order turns around too.
    #[must_use]
    pub fn inverted(&self) -> Interval {
        let invert = |bytes: &[u8]| bytes.iter().map(|byte| !byte).collect::<Vec<u8>>();
        // What starts with one run of bytes starts with the inverse of all of them, a last 0xFF included.
        if after(&self.lower) == self.upper {
            return Interval::starting_with(invert(&self.lower));
        }
        let upper = match self.lower.as_slice() {
            [] => TOP.to_vec(),
            lower => after(&invert(lower)),
        };
        let lower = match self.upper.as_slice() {
            TOP => Vec::new(),
            upper => after(&invert(upper)),
        };
        Interval { lower, upper }
    }
}

/// The smallest bytes above all that start with `prefix`.
pub(super) fn after(prefix: &[u8]) -> Vec<u8> {
    successor(prefix).unwrap_or_else(|| TOP.to_vec())
}

/// Sorts intervals and joins those that meet.
pub(super) fn union(mut intervals: Vec<Interval>) -> Vec<Interval> {
    intervals.retain(|interval| !interval.is_empty());
    intervals.sort_by(|a, b| a.lower.cmp(&b.lower));
    let mut joined: Vec<Interval> = Vec::with_capacity(intervals.len());
    for interval in intervals {
        match joined.last_mut() {
            // Points that merely touch stay points.
            Some(last) if interval.lower < last.upper => {
                if last.upper < interval.upper {
                    last.upper = interval.upper;
                }
            }
            _ => joined.push(interval),
        }
    }
    joined
}

/// What is in both lists, which are sorted and disjoint.
pub(super) fn intersect(a: &[Interval], b: &[Interval]) -> Vec<Interval> {
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    let mut both = Vec::new();
    while let (Some(left), Some(right)) = (a.peek(), b.peek()) {
        let lower = left.lower.as_slice().max(&right.lower);
        let upper = left.upper.as_slice().min(&right.upper);
        if lower < upper {
            both.push(Interval { lower: lower.to_vec(), upper: upper.to_vec() });
        }
        if left.upper < right.upper {
            a.next();
        } else {
            b.next();
        }
    }
    both
}

/// What is in none of the intervals, which are sorted and disjoint.
pub(super) fn complement(intervals: Vec<Interval>) -> Vec<Interval> {
    let mut gaps = Vec::with_capacity(intervals.len() + 1);
    let mut lower = Vec::new();
    for interval in intervals {
        gaps.push(Interval { lower, upper: interval.lower });
        lower = interval.upper;
    }
    gaps.push(Interval { lower, upper: TOP.to_vec() });
    gaps.retain(|gap| !gap.is_empty());
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bson::{Type, Value};

    fn interval(lower: u8, upper: u8) -> Interval {
        Interval { lower: vec![lower], upper: vec![upper] }
    }

    #[test]
    fn intervals_join_meet_and_leave_gaps() {
        let joined = union(vec![interval(5, 9), interval(1, 3), interval(2, 4), interval(7, 7)]);
        assert_eq!(joined, [interval(1, 4), interval(5, 9)]);
        assert_eq!(intersect(&joined, &[interval(3, 6)]), [interval(3, 4), interval(5, 6)]);
        let gaps = complement(joined.clone());
        assert_eq!(complement(gaps), joined);
    }

    #[test]
    fn a_point_is_one_whole_value() {
        let text = |text: &str| crate::bson::key::encode(Value::str(text).raw().unwrap());
        let whole = Interval::starting_with(text("ab"));
        assert!(whole.is_point(Direction::Ascending));
        assert!(whole.inverted().is_point(Direction::Descending));
        let date =
            Interval::starting_with(crate::bson::key::encode(Value::date(0xFF).raw().unwrap()));
        assert!(date.lower.ends_with(&[0xFF]) && date.inverted().is_point(Direction::Descending));
        let beginning = Interval::starting_with(text("ab")[..3].to_vec());
        assert!(!beginning.is_point(Direction::Ascending));
        let (class, next) = crate::bson::key::class_bounds(Type::String);
        assert!(!interval(class, next).is_point(Direction::Ascending));
        assert!(!Interval::all().is_point(Direction::Ascending));
    }

    #[test]
    fn inverting_twice_changes_nothing_for_keys_that_are_no_prefixes() {
        let keys: Vec<Vec<u8>> = (1..20).map(|n| vec![n, n, 0]).collect();
        let inside = Interval { lower: vec![5, 5, 0], upper: after(&[9, 9, 0]) };
        let inverted = inside.inverted();
        for key in keys {
            let flipped: Vec<u8> = key.iter().map(|byte| !byte).collect();
            let is_inside = inside.lower <= key && key < inside.upper;
            assert_eq!(is_inside, inverted.lower <= flipped && flipped < inverted.upper);
        }
    }
}
