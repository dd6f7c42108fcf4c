//! Finding the one document that a statement changes. A long walk lets others write in between; the document that it gives
//! was found, or found to be as it was, under the hold of the writer that goes on.

use std::sync::Arc;

use super::Statement;
use super::chunks::{STRETCH, find, still_there};
use super::turns::let_others_in;
use crate::bson::DocBuf;
use crate::catalog::Collection;
use crate::collection::{RecordId, document};
use crate::commands::Context;
use crate::engine::WriteGuard;
use crate::error::Result;
use crate::query::plan::Chosen;
use crate::query::plan::tree::Plan;
use crate::query::scan::Scan;
use crate::query::sort::SortPattern;
use crate::session::retry::Outcome;

/// Documents that are found in one go to be compared.
const CHUNK: usize = 1000;

/// What a walk has come to.
#[derive(Debug)]
pub(in crate::commands) enum First {
    /// No document matches.
    Nothing,
    /// This one is the first.
    Document(Found),
    /// The statement was sent again and done by another connection, while others were let in.
    Done(Outcome),
}

/// A document and the collection that it is in, as it is now.
#[derive(Debug)]
pub(in crate::commands) struct Found {
    /// The collection.
    pub collection: Arc<Collection>,
    /// The document's place.
    pub record: RecordId,
    /// The document.
    pub document: DocBuf,
}

/// A statement that looks for one document.
pub(in crate::commands) struct Search<'s, 'c> {
    /// Its command.
    pub context: &'s Context<'c>,
    /// The session that it is retried in.
    pub retry: Option<&'s Statement>,
    /// Its number there.
    pub statement: i32,
}

impl Search<'_, '_> {
    /// The first document of a plan, in an order if one is given that the plan does not have.
    ///
    /// # Errors
    /// Those of scanning and of [`let_others_in`]; `QueryPlanKilled` (175) if the collection or the index that is walked
    /// goes away.
    pub(in crate::commands) fn first(
        &self,
        guard: &mut WriteGuard<'_>,
        chosen: Chosen,
        sort: Option<SortPattern>,
    ) -> Result<First> {
        match sort {
            Some(pattern) if !chosen.sorted => self.first_by(guard, chosen.plan, &pattern),
            _ => self.first_met(guard, chosen.plan),
        }
    }

    fn first_met(&self, guard: &mut WriteGuard<'_>, plan: Plan) -> Result<First> {
        let mut collection = plan.collection.clone();
        let mut scan = Scan::for_write(plan).in_stretches(STRETCH);
        loop {
            if let Some((record, document)) = find(self.context, guard, &mut scan, 1)?.pop() {
                return Ok(First::Document(Found { collection, record, document }));
            }
            if scan.is_done() {
                return Ok(First::Nothing);
            }
            if let_others_in(self.context, guard, self.retry)? {
                if let Some(done) = self.done() {
                    return Ok(First::Done(done));
                }
                collection = still_there(&guard.catalog(), scan.plan())?;
            }
        }
    }

    /// What was found while others wrote counts if it is still the same. If it is not, the walk is done again, and
    /// nobody is let in.
    fn first_by(
        &self,
        guard: &mut WriteGuard<'_>,
        plan: Plan,
        pattern: &SortPattern,
    ) -> Result<First> {
        let again = plan.clone();
        let (best, let_in) = self.best(guard, plan, pattern, true)?;
        if !let_in {
            return Ok(best.map_or(First::Nothing, First::Document));
        }
        if let Some(done) = self.done() {
            return Ok(First::Done(done));
        }
        let Some(found) = best else { return Ok(First::Nothing) };
        let now = document(guard.read()?, &found.collection, found.record)?;
        if now.is_some_and(|now| now.as_bytes() == found.document.as_doc().as_bytes()) {
            return Ok(First::Document(found));
        }
        let again = Plan { collection: found.collection, ..again };
        let (best, _) = self.best(guard, again, pattern, false)?;
        Ok(best.map_or(First::Nothing, First::Document))
    }

    /// The document that comes first, and whether others were let in.
    fn best(
        &self,
        guard: &mut WriteGuard<'_>,
        plan: Plan,
        pattern: &SortPattern,
        in_turns: bool,
    ) -> Result<(Option<Found>, bool)> {
        let mut collection = plan.collection.clone();
        let mut scan = Scan::for_write(plan).in_stretches(STRETCH);
        let mut best: Option<(Vec<u8>, RecordId, DocBuf)> = None;
        let mut let_in = false;
        while !scan.is_done() {
            for (record, document) in find(self.context, guard, &mut scan, CHUNK)? {
                let mut key = Vec::new();
                pattern.write_key(document.as_doc(), &mut key)?;
                if best.as_ref().is_none_or(|(first, ..)| key < *first) {
                    best = Some((key, record, document));
                }
            }
            let pauses = in_turns && !scan.is_done();
            if pauses && let_others_in(self.context, guard, self.retry)? {
                let_in = true;
                collection = still_there(&guard.catalog(), scan.plan())?;
            }
        }
        let found = best.map(|(_, record, document)| Found { collection, record, document });
        Ok((found, let_in))
    }

    fn done(&self) -> Option<Outcome> {
        self.retry.and_then(|retry| retry.done(self.statement))
    }
}
