//! Choosing by what was chosen before: an index that served a query of the same shape is taken without weighing the others,
//! if what it reads for these values is so little that no other can be much better. See decision 7.

use super::Query;
use super::cache::{Entry, Key, Known};
use super::choose::Choice;
use super::eligible;
use super::tree::{Access, IndexScan};
use super::way::{self, Way};
use crate::bson::{Doc, DocBuf};
use crate::catalog::Collection;
use crate::engine::now_ms;
use crate::error::Result;
use crate::query::matcher::Matcher;
use crate::query::sort::SortPattern;

/// Indexes from which on choices are remembered: one beside `_id` leaves nothing to choose.
const INDEXES_FROM: usize = 3;
/// Entries that a way looks at at most to be taken unweighed, unless each of them is of a document that is asked for. The
/// best of all ways looks at one.
const ENTRIES_FEW: f64 = 10.0;
/// The part of a collection that a way looks at at most to be taken unweighed: of more, a walk through the collection may
/// be better.
const PART_MOST: f64 = 0.25;

/// What is known of the choice for one query.
pub(super) struct Memory<'c> {
    collection: &'c Collection,
    key: Key,
    documents: Option<i64>,
    known: Option<Known>,
}

impl<'c> Memory<'c> {
    /// What is remembered for a query; `None` for one whose choice is not.
    pub(super) fn of(
        query: &Query,
        matcher: Option<&Matcher>,
        collection: &'c Collection,
    ) -> Option<Memory<'c>> {
        if collection.indexes.len() < INDEXES_FROM || !query.branches.is_empty() {
            return None;
        }
        let key = collection.plans.key(query, matcher, collection)?;
        let figures = &collection.figures;
        let documents = figures.is_loaded().then(|| figures.get().0);
        let known = collection.plans.get(key, documents);
        Some(Memory { collection, key, documents, known })
    }

    /// The way through the index that is remembered, if it serves this query well.
    pub(super) fn recall(&self, choice: &Choice<'_>) -> Result<Option<Way>> {
        let Some(known) = self.known.filter(|known| known.is_active) else { return Ok(None) };
        let Some(index) = self.collection.indexes.get(known.index) else { return Ok(None) };
        let eligible = eligible::of_index(index, choice.query.matcher.as_deref());
        let ways = choice.ways_through(&eligible)?;
        Ok(way::best(ways).map(|(best, _)| best).filter(|way| self.serves(way, choice)))
    }

    /// Whether no way can be much better.
    fn serves(&self, way: &Way, choice: &Choice<'_>) -> bool {
        if way.whole <= ENTRIES_FEW {
            return true;
        }
        // Nothing that is looked at is for nothing, and what is not asked for is not looked at.
        let Access::Index(scan) = &way.access else { return false };
        let documents = self.documents.map_or(0.0, |documents| documents as f64);
        let is_lean = way.exact && way.sorted && !leaps(scan) && !scan.index.is_multikey();
        is_lean && (choice.query.limit.is_some() || way.whole <= documents * PART_MOST)
    }

    /// Whether a way goes through the index that is remembered and taken.
    pub(super) fn holds(&self, way: &Way) -> bool {
        self.known.is_some_and(|known| known.is_active && self.index(way) == Some(known.index))
    }

    /// Remembers the way that was chosen, if it would be taken unweighed the next time.
    pub(super) fn note(&self, choice: &Choice<'_>, way: &Way) {
        let Some(index) = self.index(way).filter(|_| self.serves(way, choice)) else { return };
        if self.holds(way) {
            return;
        }
        let query = choice.query;
        let filter = query.matcher.as_deref().map_or(Doc::EMPTY, Matcher::filter);
        let entry = Entry {
            filter: filter.to_buf(),
            sort: query.sort.as_ref().map_or(Doc::EMPTY, SortPattern::spec).to_buf(),
            projection: query.asked.as_ref().map_or_else(DocBuf::new, |a| a.projection.clone()),
            collation: query.order.collation().cloned(),
            index,
            is_active: self.known.is_some(),
            works: way.cost.keys.max(way.cost.documents).ceil() as u64,
            created_ms: now_ms(),
        };
        self.collection.plans.put(self.key, self.documents, entry);
    }

    /// The place of the one index that a way goes through.
    fn index(&self, way: &Way) -> Option<usize> {
        let first = way.access.scans().first()?.index.id;
        let one = match &way.access {
            Access::Index(_) => true,
            Access::Merge(scans) => scans.iter().all(|scan| scan.index.id == first),
            _ => false,
        };
        let place = || self.collection.indexes.iter().position(|index| index.id == first);
        one.then(place).flatten()
    }
}

/// Whether keys are looked at that lie outside the bounds of a field.
fn leaps(scan: &IndexScan) -> bool {
    scan.fields.iter().skip(scan.ranged).any(|field| !field.is_everything())
}
