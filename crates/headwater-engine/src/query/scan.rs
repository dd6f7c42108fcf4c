//! Scans: walks a collection or indexes where a plan says, and hands on the documents that match. A scan remembers where
//! it is by key, so that it can go on later on another snapshot.

mod find;
mod keys;
mod merge;
mod seen;
mod shared;
mod stage;
mod taken;
mod walk;

use std::ops::Bound;

use headwater_store::{Direction, Read};

use super::plan::tree::{Access, Gives, IndexScan, Plan};
use crate::bson::Doc;
use crate::catalog::tables;
use crate::collection::{RecordId, document_key, find_by_entry, record_of};
use crate::error::Result;
use find::{Finder, Found};
use seen::Seen;
pub use stage::{ScanStage, split_record};
pub use taken::{Taken, Watch};
use walk::{Place, Walk};

/// Documents between two looks at the clock.
const CHECK_EVERY: u32 = 64;

/// Takes a document that matched.
pub type Visit<'f> = dyn FnMut(RecordId, Doc<'_>) -> Result<Next> + 'f;

/// What a visitor wants after a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The next one.
    Continue,
    /// No more for now; go on behind this document later.
    Stop,
    /// No more for now; give this document again later.
    StopBefore,
}

/// What reading one index took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Entries looked at.
    pub keys: u64,
    /// Those of them inside all bounds.
    pub inside: u64,
    /// Times that the walk was put to another place.
    pub seeks: u64,
    /// Whether there is nothing more to read.
    pub ended: bool,
}

/// A plan and how far it has come.
#[derive(Debug)]
pub struct Scan {
    plan: Plan,
    /// The last key of a walk through the collection.
    last: Option<Vec<u8>>,
    /// Where the walk through each index stands.
    places: Vec<Place>,
    /// The scan of several that is under way.
    current: usize,
    finder: Finder,
    /// The documents that the scans before the last of [`Access::All`] have found.
    common: Option<Seen>,
    /// Documents or index entries that one run looks at, at most.
    stretch: u64,
    done: bool,
    /// Entries looked at to find documents by `_id`.
    id_keys: u64,
}

/// What a run has at hand.
struct Run<'r, 'f> {
    read: &'r dyn Read,
    check: &'f dyn Fn() -> Result<()>,
    visit: &'f mut Visit<'f>,
    until_check: u32,
}

impl Run<'_, '_> {
    fn look_at_clock(&mut self) -> Result<()> {
        self.until_check -= 1;
        if self.until_check == 0 {
            (self.check)()?;
            self.until_check = CHECK_EVERY;
        }
        Ok(())
    }
}

impl Scan {
    /// A scan at its start.
    pub fn new(plan: Plan) -> Scan {
        plan.count_use();
        crate::profile::begun(&plan);
        Scan::on_trial(plan)
    }

    /// A scan that is not counted as a use of its indexes.
    pub fn on_trial(plan: Plan) -> Scan {
        let finder = Finder::of(&plan);
        let places = plan.access.scans().iter().map(|_| Place::default()).collect();
        Scan {
            plan,
            last: None,
            places,
            current: 0,
            finder,
            common: None,
            stretch: u64::MAX,
            done: false,
            id_keys: 0,
        }
    }

    /// A scan whose documents are changed on the way: one that a change moves ahead in an index is not met again.
    pub fn for_write(plan: Plan) -> Scan {
        let scan = Scan::new(plan);
        Scan { finder: scan.finder.for_write(), ..scan }
    }

    /// Ends every run after that many documents or index entries, matching or not.
    #[must_use]
    pub fn in_stretches(self, stretch: u64) -> Scan {
        Scan { stretch, ..self }
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Whether there is nothing more.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// The key of the last document that a walk through a collection looked at.
    pub fn position(&self) -> Option<&[u8]> {
        self.last.as_deref()
    }

    /// Makes a scan at its end look for more.
    pub fn reopen(&mut self) {
        self.done = false;
    }

    /// Index entries looked at.
    pub fn keys_examined(&self) -> u64 {
        self.id_keys + self.places.iter().map(|place| place.keys).sum::<u64>()
    }

    /// Documents looked at.
    pub fn docs_examined(&self) -> u64 {
        self.finder.docs_examined
    }

    /// What each scan of an index took, in the order of [`Access::scans`].
    pub fn counts(&self) -> impl ExactSizeIterator<Item = Counts> {
        let scans = self.plan.access.scans();
        self.places.iter().zip(scans).map(|(place, scan)| place.counts(scan.ranges.len()))
    }

    /// Goes on until the visitor stops or there is nothing more.
    ///
    /// # Errors
    /// Those of the store, of evaluating the filter, of `check` and of the visitor; 292 if too many documents have to be
    /// told apart.
    pub fn run(
        &mut self,
        read: &dyn Read,
        check: &dyn Fn() -> Result<()>,
        visit: &mut Visit<'_>,
    ) -> Result<()> {
        if self.done {
            return Ok(());
        }
        let (keys, docs) = (self.keys_examined(), self.docs_examined());
        let ended = self.run_on(read, check, visit);
        let (keys, docs) = (self.keys_examined() - keys, self.docs_examined() - docs);
        crate::profile::took(&self.plan, keys, docs);
        self.done = ended?;
        Ok(())
    }

    /// Goes on; says whether there is nothing more.
    fn run_on(
        &mut self,
        read: &dyn Read,
        check: &dyn Fn() -> Result<()>,
        visit: &mut Visit<'_>,
    ) -> Result<bool> {
        let mut visit = |record: RecordId, doc: Doc<'_>| visit(record, doc);
        let mut run = Run { read, check, visit: &mut visit, until_check: 1 };
        Ok(match &self.plan.access {
            Access::Nothing => true,
            Access::Id(_) => self.run_id(&mut run)?,
            Access::Collection { .. } => self.run_collection(&mut run)?,
            Access::Index(_) | Access::Any(_) => self.run_in_turn(&mut run)?,
            Access::All(_) => {
                self.collect_common(&mut run)?;
                self.run_in_turn(&mut run)?
            }
            Access::Merge(_) => self.run_merged(&mut run)?,
        })
    }

    fn run_id(&mut self, run: &mut Run<'_, '_>) -> Result<bool> {
        let Access::Id(key) = &self.plan.access else { return Ok(true) };
        self.id_keys += 1;
        let found = find_by_entry(run.read, &self.plan.collection, key)?;
        let Some((record, doc)) = found else { return Ok(true) };
        if self.plan.gives == Gives::Nothing && self.plan.exact {
            return Ok((run.visit)(record, Doc::EMPTY)? != Next::StopBefore);
        }
        self.finder.docs_examined += 1;
        if !self.plan.wants(doc, false)? {
            return Ok(true);
        }
        Ok((run.visit)(record, doc)? != Next::StopBefore)
    }

    fn run_collection(&mut self, run: &mut Run<'_, '_>) -> Result<bool> {
        let Access::Collection { reverse } = self.plan.access else { return Ok(true) };
        let (lower, upper) = (
            document_key(self.plan.collection.id, 0),
            document_key(self.plan.collection.id + 1, 0),
        );
        let (mut lower, mut upper) = (Bound::Included(&lower[..]), Bound::Excluded(&upper[..]));
        match &self.last {
            Some(last) if reverse => upper = Bound::Excluded(last),
            Some(last) => lower = Bound::Excluded(last),
            None => {}
        }
        let direction = if reverse { Direction::Backward } else { Direction::Forward };
        let mut cursor = run.read.range(tables::DOCUMENTS, lower, upper, direction)?;
        let docs_examined = &mut self.finder.docs_examined;
        let stop = docs_examined.saturating_add(self.stretch);
        let mut at: Option<&[u8]> = None;
        let mut ended = true;
        while let Some((key, bytes)) = cursor.next()? {
            run.look_at_clock()?;
            *docs_examined += 1;
            let doc = Doc::trusted(bytes);
            if self.plan.wants(doc, false)? {
                match (run.visit)(record_of(key).unwrap_or(0), doc)? {
                    Next::Continue => {}
                    Next::Stop => {
                        at = Some(key);
                        ended = false;
                        break;
                    }
                    Next::StopBefore => {
                        ended = false;
                        break;
                    }
                }
            }
            at = Some(key);
            if *docs_examined >= stop {
                ended = false;
                break;
            }
        }
        if let Some(key) = at {
            self.last = Some(key.to_vec());
        }
        Ok(ended)
    }

    /// Walks one index after the other.
    fn run_in_turn(&mut self, run: &mut Run<'_, '_>) -> Result<bool> {
        let Scan { plan, places, current, finder, common, stretch, .. } = self;
        let stop = places.iter().map(|place| place.keys).sum::<u64>().saturating_add(*stretch);
        let before = |places: &[Place]| places.iter().map(|place| place.keys).sum::<u64>();
        while let Some(scan) = plan.access.scans().get(*current) {
            let others = before(places) - places.get(*current).map_or(0, |place| place.keys);
            let Some(place) = places.get_mut(*current) else { break };
            let mut walk = Walk::new(scan, run.read, place);
            if common.is_none() && finder.fetches_all(plan, scan) {
                walk = walk.ahead(plan.collection.id);
            }
            while let Some(entry) = walk.next_fetched()? {
                run.look_at_clock()?;
                let (key, _) = entry.0;
                match finder.find(plan, scan, common.as_ref(), entry, run.read, run.visit)? {
                    Found::Nothing | Found::Given(Next::Continue) => walk.take(key),
                    Found::Given(Next::Stop) => {
                        walk.take(key);
                        return Ok(false);
                    }
                    Found::Given(Next::StopBefore) => return Ok(false),
                    Found::Value(fields) => {
                        walk.take(key);
                        walk.leap_values(key, fields)?;
                    }
                }
                if others + walk.keys() >= stop {
                    return Ok(false);
                }
            }
            drop(walk);
            *current += 1;
        }
        Ok(true)
    }

    /// Collects what all scans but the last find.
    fn collect_common(&mut self, run: &mut Run<'_, '_>) -> Result<()> {
        let Scan { plan, places, current, common, .. } = self;
        let scans = plan.access.scans();
        while *current + 1 < scans.len() {
            let (Some(scan), Some(place)) = (scans.get(*current), places.get_mut(*current)) else {
                break;
            };
            let mut found = Seen::default();
            let mut walk = Walk::new(scan, run.read, place);
            while let Some((key, value)) = walk.next()? {
                run.look_at_clock()?;
                let record = find::record(scan, (key, value));
                if common.as_ref().is_none_or(|common| common.contains(record)) {
                    found.insert(record)?;
                }
            }
            drop(walk);
            *common = Some(found);
            *current += 1;
        }
        Ok(())
    }
}

/// What the first keys of a scan tell of the rest.
#[derive(Debug, Default)]
pub(in crate::query) struct Probed {
    /// Keys looked at.
    pub(in crate::query) keys: u64,
    /// Of them those inside all bounds.
    pub(in crate::query) found: u64,
    /// Times that the cursor was put somewhere.
    pub(in crate::query) seeks: u64,
    /// The last key looked at; none if the scan ended.
    pub(in crate::query) last: Option<Vec<u8>>,
}

/// Looks at the first `keys` keys of a scan of an index, forwards.
///
/// # Errors
/// Those of the store.
pub(in crate::query) fn probe(scan: &IndexScan, read: &dyn Read, keys: u64) -> Result<Probed> {
    let mut place = Place::default();
    let mut walk = Walk::new(scan, read, &mut place).at_most(keys);
    let mut probed = Probed::default();
    while let Some((key, _)) = walk.next()? {
        walk.take(key);
        probed.found += 1;
    }
    probed.last = walk.cut_at().map(<[u8]>::to_vec);
    drop(walk);
    (probed.keys, probed.seeks) = (place.keys, place.seeks);
    Ok(probed)
}
