//! The ways that a query can take, each with its cost, and which of them is taken. Knows how ways compare, not what they
//! are made of.

use std::cmp::Reverse;

use super::Rejected;
use super::cost::Cost;
use super::tree::{Access, Gives};

/// A way to the documents of a query.
#[derive(Debug)]
pub(super) struct Way {
    pub access: Access,
    /// Whether documents come in the order that is asked for.
    pub sorted: bool,
    /// Whether the bounds decide alone.
    pub exact: bool,
    pub gives: Gives,
    /// Entries that it looks at if it is gone to its end.
    pub whole: f64,
    pub cost: Cost,
    pub rank: Rank,
}

/// Which of two ways of about the same cost is better: the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    /// At most one document is found.
    pub unique: bool,
    /// Nothing is fetched.
    pub fetchless: bool,
    /// Leading fields with one value.
    pub equalities: usize,
    pub range: bool,
    pub ordered: bool,
    /// The fewer fields and scans the better.
    pub size: Reverse<usize>,
}

/// Ways whose costs differ by less are told apart by their ranks: by this factor, or by so many steps.
const ALIKE: (f64, f64) = (1.15, 24.0);

/// The best of several ways, and the rest with the cheapest first.
pub(super) fn best(mut ways: Vec<Way>) -> Option<(Way, Vec<Way>)> {
    ways.sort_by(|a, b| a.cost.total.total_cmp(&b.cost.total));
    let (factor, steps) = ALIKE;
    let least = ways.first()?.cost.total;
    let alike = |way: &Way| way.cost.total <= (least * factor).max(least + steps);
    let mut at = 0;
    for (other, way) in ways.iter().enumerate().take_while(|(_, way)| alike(way)) {
        // Of several that are the same in all, the first is taken.
        if ways.get(at).is_some_and(|best| way.rank > best.rank) {
            at = other;
        }
    }
    let way = ways.remove(at);
    Some((way, ways))
}

impl From<Way> for Rejected {
    fn from(way: Way) -> Rejected {
        let Way { access, sorted, exact, gives, cost, .. } = way;
        Rejected { access, sorted, exact, gives, cost }
    }
}
