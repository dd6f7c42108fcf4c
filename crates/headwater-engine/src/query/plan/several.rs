//! Ways through several indexes: one for each branch of an `$or`, and those whose documents are in two.

use std::cmp::Reverse;

use super::choose::{Choice, Weighed};
use super::cost::Reach;
use super::eligible::eligible;
use super::index::Candidate;
use super::tree::{Access, Gives, IndexScan};
use super::way::{Rank, Way};
use crate::error::Result;
use crate::query::sort::SortPattern;

/// Scans of one plan at most.
const SCANS_MAX: usize = 1000;
/// Documents below which an intersection is not thought of.
const INTERSECT_FROM: f64 = 10_000.0;
/// Documents that are noted at most for an intersection.
const NOTED_MAX: f64 = 1_000_000.0;

/// Scans that find together what an `$or` asks for.
pub(super) struct Several {
    scans: Vec<IndexScan>,
    reach: Reach,
    exact: bool,
    equalities: usize,
    /// Whether all of them give the order that is asked for, side by side.
    sorted: bool,
    /// Documents that they find.
    pub found: f64,
}

/// The scans for the branches of an `$or`: the best for each, and the best of those that give the order.
pub(super) fn branches(choice: &Choice<'_>) -> Result<Vec<Several>> {
    let sort = choice.query.sort.as_ref();
    let mut found = Vec::new();
    found.extend(of_order(choice, None)?);
    if let Some(sort) = sort {
        found.extend(of_order(choice, Some(sort))?);
    }
    Ok(found)
}

fn of_order(choice: &Choice<'_>, sort: Option<&SortPattern>) -> Result<Option<Several>> {
    let branches = &choice.query.branches;
    if branches.is_empty() {
        return Ok(None);
    }
    let mut several = Several {
        scans: Vec::new(),
        reach: Reach::default(),
        exact: true,
        equalities: usize::MAX,
        sorted: sort.is_some(),
        found: 0.0,
    };
    for branch in branches {
        let eligible = eligible(choice.collection, Some(branch));
        let mut best: Option<(Candidate<'_, '_>, Vec<IndexScan>, Reach)> = None;
        for one in &eligible {
            let candidate = Candidate::of(one, Some(branch), &choice.query.order);
            let scans = match sort {
                None => Some(vec![candidate.scan.clone()]),
                Some(sort) => candidate.mergeable(sort),
            };
            let Some(scans) = scans.filter(|_| candidate.is_bounded()) else { continue };
            let same_way = |scan: &IndexScan| {
                several.scans.first().is_none_or(|first| first.reverse == scan.reverse)
            };
            if !scans.iter().all(same_way) {
                continue;
            }
            let reach = choice.estimator.reach(&candidate.scan)?;
            if best.as_ref().is_none_or(|(_, _, other)| reach.found < other.found) {
                best = Some((candidate, scans, reach));
            }
        }
        let Some((candidate, scans, reach)) = best else { return Ok(None) };
        several.scans.extend(scans);
        several.reach = several.reach.and(reach);
        several.exact &= candidate.exact;
        several.equalities = several.equalities.min(candidate.points.len());
        if several.scans.len() > SCANS_MAX {
            return Ok(None);
        }
    }
    several.found = several.reach.found;
    Ok(Some(several))
}

impl Several {
    /// The way through all the scans.
    pub(super) fn ways(self, choice: &Choice<'_>, result: f64) -> Option<Way> {
        let sorted = self.sorted || choice.query.sort.is_none();
        let rank = Rank {
            unique: false,
            fetchless: false,
            equalities: self.equalities,
            range: self.equalities == 0,
            ordered: self.sorted,
            size: Reverse(self.scans.len()),
        };
        let cost = choice.cost(self.reach, sorted, true, result).noting(self.found);
        let access = match self.sorted {
            true => Access::Merge(self.scans),
            false => Access::Any(self.scans),
        };
        let (exact, gives, whole) = (self.exact, Gives::Documents, self.reach.keys);
        Some(Way { access, sorted, exact, gives, whole, cost, rank })
    }
}

/// The way through the two indexes that leave the fewest documents, where far fewer are in both than in either.
pub(super) fn intersection(
    choice: &Choice<'_>,
    weighed: &[Weighed<'_, '_>],
    documents: f64,
) -> Option<Way> {
    if choice.forced || choice.query.sort.is_some() || choice.query.limit.is_some() {
        return None;
    }
    if documents < INTERSECT_FROM {
        return None;
    }
    let mut useful: Vec<&Weighed<'_, '_>> =
        weighed.iter().filter(|one| one.candidate.is_bounded()).collect();
    useful.sort_by(|a, b| a.reach.found.total_cmp(&b.reach.found));
    let first = *useful.first()?;
    let fields = |one: &Weighed<'_, '_>| -> Vec<String> {
        let bounded = one.candidate.scan.fields.iter().filter(|field| !field.is_everything());
        bounded.map(|field| field.path.as_str().to_owned()).collect()
    };
    let known = fields(first);
    // Two indexes that say the same leave what each leaves.
    let second =
        *useful.iter().skip(1).find(|one| fields(one).iter().all(|f| !known.contains(f)))?;
    if first.reach.found > NOTED_MAX {
        return None;
    }
    let both = first.reach.found * second.reach.found / documents.max(1.0);
    let read = first.reach.and(second.reach);
    let reach = Reach { found: both, ..read };
    let cost = reach.cost(1.0, true).noting(read.found * 2.0);
    let rank = Rank {
        unique: false,
        fetchless: false,
        equalities: 0,
        range: true,
        ordered: false,
        size: Reverse(2),
    };
    let scans = vec![first.candidate.scan.clone(), second.candidate.scan.clone()];
    // The estimate takes the two conditions to have nothing to do with each other: it has to pay by a third.
    let alone = first.reach.cost(1.0, true).total;
    (cost.total * 1.5 < alone).then_some(Way {
        access: Access::All(scans),
        sorted: true,
        exact: first.candidate.exact && second.candidate.exact,
        gives: Gives::Documents,
        whole: read.keys,
        cost,
        rank,
    })
}
