//! Choosing: all ways that a query can take through a collection, and the cheapest of them.

use std::cmp::Reverse;
use std::sync::Arc;

use headwater_store::Read;

use super::cost::{Cost, Estimator, Reach};
use super::eligible::{self, Eligible};
use super::index::Candidate;
use super::memory::Memory;
use super::tree::{Access, Gives, IndexScan, Plan};
use super::way::{self, Rank, Way};
use super::{Chosen, Hint, Query, Rejected, Wants, hinted_index, ranged, several};
use crate::bson::key::Direction;
use crate::catalog::Collection;
use crate::collection::entry_key;
use crate::error::{Code, Result};
use crate::index::Index;
use crate::query::matcher::Matcher;

/// Documents below which an index that the filter bounds is taken before a walk through the collection, as MongoDB does
/// whatever the number.
const WALK_FROM: f64 = 10_000.0;
/// Documents from which on an index is thought of whose first field the filter says nothing about.
const LEAP_FROM: f64 = 1000.0;

/// Chooses the way to the documents of `query` in `collection`.
///
/// # Errors
/// `BadValue` (2) for a hint that names no index; those of the store.
pub fn choose(read: &dyn Read, collection: &Arc<Collection>, mut query: Query) -> Result<Chosen> {
    if let Some(equality) = query.equality.take() {
        let mut way = simple(equality.access(), true);
        way.exact = true;
        if query.wants == Wants::Count {
            way.gives = Gives::Nothing;
        }
        return Ok(query.take(collection, way));
    }
    let natural = match &query.hint {
        Some(Hint::Natural(direction)) => Some(*direction),
        _ => query.natural,
    };
    if !query.range.is_everything() {
        let (access, sorted) = ranged::access(collection, &query, natural)?;
        return Ok(query.take(collection, simple(access, sorted)));
    }
    if let Some(direction) = natural {
        let access = natural_order(collection, direction == Direction::Descending);
        let sorted = query.sort.is_none();
        return Ok(query.take(collection, simple(access, sorted)));
    }
    let hinted =
        query.hint.as_ref().map(|hint| hinted_index(collection, &query, hint)).transpose()?;
    if hinted.is_none_or(|index| index.is_id())
        && let Some(index) = collection.id_index()
        && let Some(id) = query.id_in(index)
    {
        let mut way = simple(Access::Id(entry_key(index, id, 0)), true);
        way.exact = query.id_only;
        if way.exact && query.wants == Wants::Count {
            way.gives = Gives::Nothing;
        }
        return Ok(query.take(collection, way));
    }
    if hinted.is_none_or(|index| index.wildcard.is_some()) && query.is_empty() {
        return Ok(query.take(collection, simple(Access::Nothing, true)));
    }
    let filter = query.matcher.clone();
    let memory = match hinted {
        Some(_) => None,
        None => Memory::of(&query, filter.as_deref(), collection),
    };
    let estimator = Estimator::new(read, collection);
    let choice = Choice { query: &query, collection, estimator, forced: hinted.is_some() };
    if let Some(memory) = &memory
        && !query.explains
        && let Some(way) = memory.recall(&choice)?
    {
        crate::profile::recalled();
        return Ok(Chosen { cached: true, ..query.take(collection, way) });
    }
    let eligible = match hinted {
        Some(index) => of_hint(&query, collection, index, filter.as_deref())?,
        None => eligible::eligible(collection, filter.as_deref()),
    };
    let ways = choice.ways(&eligible)?;
    let Some((best, rest)) = way::best(ways) else {
        let access = natural_order(collection, false);
        let sorted = query.sort.is_none();
        return Ok(query.take(collection, simple(access, sorted)));
    };
    let explains = query.explains;
    let cached = explains && memory.as_ref().is_some_and(|memory| memory.holds(&best));
    if let Some(memory) = memory.filter(|_| !explains) {
        memory.note(&choice, &best);
    }
    let mut chosen = Chosen { cached, ..query.take(collection, best) };
    if explains {
        chosen.rejected = rest.into_iter().map(Rejected::from).collect();
    }
    Ok(chosen)
}

/// What a hinted index can be asked; nothing if it could be asked for each branch of an `$or` only.
fn of_hint<'q>(
    query: &Query,
    collection: &Collection,
    index: &'q Arc<Index>,
    filter: Option<&'q Matcher>,
) -> Result<Vec<Eligible<'q>>> {
    eligible::hinted(index, filter).or_else(|why| {
        let answers = |branch: &Arc<Matcher>| eligible::hinted(index, Some(branch)).is_ok();
        match !query.branches.is_empty() && query.branches.iter().all(answers) {
            true => Ok(Vec::new()),
            false => Err(query.refused(collection, Code::NO_QUERY_EXECUTION_PLANS, why)),
        }
    })
}

impl Query {
    fn take(self, collection: &Arc<Collection>, way: Way) -> Chosen {
        let told_apart = self.told_apart(way.access.scans());
        let matcher = self.matcher;
        let plan = Plan {
            collection: collection.clone(),
            access: way.access,
            exact: way.exact || matcher.is_none(),
            matcher: matcher.clone(),
            gives: way.gives,
            told_apart,
        };
        Chosen { plan, sorted: way.sorted, filter: matcher, rejected: Vec::new(), cached: false }
    }
}

/// A way that needs no comparison.
fn simple(access: Access, sorted: bool) -> Way {
    let rank = Rank {
        unique: false,
        fetchless: false,
        equalities: 0,
        range: false,
        ordered: sorted,
        size: Reverse(0),
    };
    let cost = Cost::default();
    Way { access, sorted, exact: false, gives: Gives::Documents, whole: 0.0, cost, rank }
}

/// All documents in natural order: that of their insertion, or of `_id` in a clustered collection.
fn natural_order(collection: &Collection, reverse: bool) -> Access {
    match collection.id_index().filter(|index| index.clustered) {
        Some(index) => {
            let whole = (index.id.to_be_bytes().to_vec(), (index.id + 1).to_be_bytes().to_vec());
            Access::Index(IndexScan::of_range(index.clone(), whole, reverse))
        }
        None => Access::Collection { reverse },
    }
}

/// What is chosen for.
pub(super) struct Choice<'c> {
    pub query: &'c Query,
    pub collection: &'c Arc<Collection>,
    pub estimator: Estimator<'c>,
    /// Whether an index must be used.
    pub forced: bool,
}

/// A candidate and how much it reads.
pub(super) struct Weighed<'e, 'q> {
    pub candidate: Candidate<'e, 'q>,
    pub reach: Reach,
}

/// Documents that match, if an index tells: one whose bounds decide alone, and that is not leapt through.
fn found_exactly(weighed: &[Weighed<'_, '_>]) -> Option<f64> {
    let tells = |candidate: &Candidate<'_, '_>| {
        candidate.exact && !candidate.leaps() && !candidate.scan.index.is_multikey()
    };
    let found = weighed.iter().filter(|one| tells(&one.candidate)).map(|one| one.reach.found);
    found.min_by(f64::total_cmp)
}

impl Choice<'_> {
    fn ways(&self, eligible: &[Eligible<'_>]) -> Result<Vec<Way>> {
        let weighed = self.weigh(eligible)?;
        let several = if self.forced { Vec::new() } else { several::branches(self)? };
        let documents = self.estimator.documents()?;
        let result = match found_exactly(&weighed) {
            Some(found) => found.min(documents),
            None => {
                let least = weighed.iter().map(|one| one.reach.found);
                let least = several.iter().map(|one| one.found).chain(least);
                least.fold(documents, f64::min)
            }
        };
        let mut ways = Vec::new();
        ways.extend(several::intersection(self, &weighed, documents));
        self.through_each(weighed, result, &mut ways);
        for several in several {
            ways.extend(several.ways(self, result));
        }
        let has_index = ways.iter().any(|way| way.rank.equalities > 0 || way.rank.range);
        if !self.forced && (ways.is_empty() || documents >= WALK_FROM) {
            ways.push(self.walk(documents, result, has_index));
        }
        Ok(ways)
    }

    /// The indexes that are of use, and what they would read.
    fn weigh<'e, 'q>(&self, eligible: &'e [Eligible<'q>]) -> Result<Vec<Weighed<'e, 'q>>> {
        let query = self.query;
        let mut weighed = Vec::new();
        for one in eligible {
            let candidate = Candidate::of(one, query.matcher.as_deref(), &query.order);
            let ordered = query.sort.as_ref().is_some_and(|sort| candidate.order(sort).is_some());
            let distinct = !matches!(query.wants, Wants::Documents)
                && !matches!(candidate.gives(query, ordered), Gives::Documents | Gives::Keys)
                && matches!(query.wants, Wants::Distinct(_));
            let useful = candidate.is_bounded() || ordered || distinct || self.forced;
            if !useful && (!candidate.leaps() || self.estimator.documents()? < LEAP_FROM) {
                continue;
            }
            let reach = self.estimator.reach(&candidate.scan)?;
            let walk = || self.estimator.documents().map(|count| Cost::of_walk(count).total);
            if !useful && reach.cost(1.0, true).total > walk()? {
                continue;
            }
            weighed.push(Weighed { candidate, reach });
        }
        Ok(weighed)
    }

    /// The ways through what one index can be asked, none of them being compared with others.
    pub(super) fn ways_through(&self, eligible: &[Eligible<'_>]) -> Result<Vec<Way>> {
        let weighed = self.weigh(eligible)?;
        let result = weighed.iter().map(|one| one.reach.found).fold(f64::INFINITY, f64::min);
        let mut ways = Vec::new();
        self.through_each(weighed, result, &mut ways);
        Ok(ways)
    }

    fn through_each(&self, weighed: Vec<Weighed<'_, '_>>, result: f64, ways: &mut Vec<Way>) {
        for Weighed { candidate, reach } in weighed {
            self.through(candidate, reach, result, ways);
        }
    }

    /// The ways through one index: in its order, and in that of several scans merged.
    fn through(
        &self,
        mut candidate: Candidate<'_, '_>,
        reach: Reach,
        result: f64,
        ways: &mut Vec<Way>,
    ) {
        let order = self.query.sort.as_ref().map(|sort| candidate.order(sort));
        let reverse = order.flatten();
        candidate.scan.reverse = reverse.unwrap_or(false);
        let sorted = order.is_none() || reverse.is_some();
        if let Some(sort) = self.query.sort.as_ref().filter(|_| !sorted)
            && let Some(scans) = candidate.merged(sort)
        {
            let count = scans.len();
            let way = self.way(&candidate, count, true, reach, result);
            ways.push(Way { access: Access::Merge(scans), ..way });
        }
        let way = self.way(&candidate, 1, sorted, reach, result);
        ways.push(Way { access: Access::Index(candidate.scan), ..way });
    }

    /// What is to be said of a way through an index, but for the way itself.
    fn way(
        &self,
        candidate: &Candidate<'_, '_>,
        scans: usize,
        sorted: bool,
        reach: Reach,
        result: f64,
    ) -> Way {
        let gives = candidate.gives(self.query, sorted);
        let single = candidate.points.iter().filter(|&&one| one).count();
        let index = &candidate.scan.index;
        let unique = index.unique && single == index.directions.len();
        let rank = Rank {
            unique,
            fetchless: !matches!(gives, Gives::Documents) || candidate.covers(self.query, sorted),
            equalities: candidate.points.len(),
            range: candidate.range,
            ordered: sorted && self.query.sort.is_some(),
            size: Reverse(candidate.scan.fields.len() + scans),
        };
        let cost = self.cost(reach, sorted, matches!(gives, Gives::Documents), result);
        let access = Access::Nothing;
        let exact = candidate.exact;
        Way { access, sorted, exact, gives, whole: reach.keys, cost, rank }
    }

    /// What a way costs that has to go so far, of the documents that are wanted.
    pub(super) fn cost(&self, reach: Reach, sorted: bool, fetches: bool, result: f64) -> Cost {
        if !sorted {
            return reach.cost(1.0, fetches).sorting(result, self.query.limit);
        }
        reach.cost(self.part(result), fetches)
    }

    /// Which part of a way has to be gone until there are enough documents.
    fn part(&self, result: f64) -> f64 {
        self.query.limit.map_or(1.0, |limit| (limit as f64 / result.max(1.0)).min(1.0))
    }

    /// A walk through the collection.
    fn walk(&self, documents: f64, result: f64, bounded: bool) -> Way {
        let sorted = self.query.sort.is_none();
        let cost = if sorted {
            Cost::of_walk(documents * self.part(result))
        } else {
            let sorting = if bounded { result } else { documents };
            Cost::of_walk(documents).sorting(sorting, self.query.limit)
        };
        let access = natural_order(self.collection, false);
        Way { cost, whole: documents, ..simple(access, sorted) }
    }
}
