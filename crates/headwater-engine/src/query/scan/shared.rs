//! A walk through a whole collection by several threads, who take in its documents together.
//!
//! The collection is cut into pieces by record id; which thread walks which is for the crew to say. A crew that gives up
//! leaves the scan as it was.

use std::ops::Bound;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use headwater_store::{Direction, Read, Snapshot};

use super::{CHECK_EVERY, Scan};
use crate::bson::Doc;
use crate::catalog::tables;
use crate::collection::{RecordId, document_key, record_of};
use crate::error::Result;
use crate::query::crew::{Crew, Share};
use crate::query::exec::{Flow, Look};
use crate::query::plan::tree::{Access, Plan};

/// Documents of one piece, about.
const PIECE: u64 = 4096;
/// Threads of all such walks of the process at most, beside those that began them; who finds them taken walks alone.
const THREADS_MAX: usize = 8;

/// So many snapshots of the same moment, if they can be had.
pub(in crate::query) type Same<'s> = dyn Fn(usize) -> Result<Option<Vec<Snapshot>>> + 's;

/// What the threads of a walk share.
struct Pieces<'w> {
    plan: &'w Plan,
    check: &'w (dyn Fn() -> Result<()> + Sync),
    first: RecordId,
    /// Record ids of a piece.
    step: u64,
    pieces: u64,
    examined: AtomicU64,
}

/// Threads that were taken from those that the process has.
struct Taken(usize);

static WALKING: AtomicUsize = AtomicUsize::new(0);

impl Taken {
    fn take(threads: usize) -> Option<Taken> {
        let take =
            |walking: usize| walking.checked_add(threads).filter(|walking| *walking <= THREADS_MAX);
        let taken = WALKING.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        taken.is_ok().then_some(Taken(threads))
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        WALKING.fetch_sub(self.0, Ordering::Relaxed);
    }
}

impl Scan {
    /// Has a crew take in the collection, if the scan is a walk through one of at least `documents_min` documents, has not
    /// begun, and `same` gives each further thread a snapshot of what `read` shows. Says whether the crew took in all; the
    /// scan is at its end then, else it is as it was.
    ///
    /// # Errors
    /// Those of the store.
    pub(in crate::query) fn share(
        &mut self,
        (read, same): (&dyn Read, &Same<'_>),
        (threads, documents_min): (usize, u64),
        check: &(dyn Fn() -> Result<()> + Sync),
        crew: &dyn Crew,
    ) -> Result<bool> {
        let Access::Collection { reverse: false } = self.plan.access else { return Ok(false) };
        if threads < 2 || self.done || self.last.is_some() {
            return Ok(false);
        }
        let Some((first, last)) = ends(read, self.plan.collection.id)? else { return Ok(false) };
        let (from, to) = (self.key(first), self.key(last));
        let documents = read.estimate(tables::DOCUMENTS, &from, &to)? + 1;
        if documents < documents_min {
            return Ok(false);
        }
        let Some(_taken) = Taken::take(threads - 1) else { return Ok(false) };
        let Some(snapshots) = same(threads - 1)? else { return Ok(false) };
        let pieces = (documents / PIECE).max(threads as u64);
        let step = (last - first) / pieces + 1;
        let examined = AtomicU64::new(0);
        let walk = Pieces { plan: &self.plan, check, first, step, pieces, examined };
        if !walk.run(read, snapshots, crew) {
            return Ok(false);
        }
        let examined = walk.examined.into_inner();
        crate::profile::took(&self.plan, 0, examined);
        self.finder.docs_examined += examined;
        self.done = true;
        Ok(true)
    }

    fn key(&self, record: RecordId) -> [u8; 12] {
        document_key(self.plan.collection.id, record)
    }
}

/// The record ids of the first and the last document; `None` without documents, or if their keys are none.
fn ends(read: &dyn Read, collection: u32) -> Result<Option<(RecordId, RecordId)>> {
    let (lower, upper) = (document_key(collection, 0), document_key(collection + 1, 0));
    let end = |direction| -> Result<Option<RecordId>> {
        let bounds = (Bound::Included(&lower[..]), Bound::Excluded(&upper[..]));
        let mut cursor = read.range(tables::DOCUMENTS, bounds.0, bounds.1, direction)?;
        let key = cursor.next()?.map(|(key, _)| key).filter(|key| key.len() == lower.len());
        Ok(key.and_then(record_of))
    };
    let (first, last) = (end(Direction::Forward)?, end(Direction::Backward)?);
    Ok(first.zip(last).filter(|(first, last)| first <= last))
}

impl Pieces<'_> {
    /// Whether the crew took in all.
    fn run(&self, read: &dyn Read, snapshots: Vec<Snapshot>, crew: &dyn Crew) -> bool {
        let threads = snapshots.len() + 1;
        let work = |read: &dyn Read, thread: usize| {
            let share = Share { thread, threads, pieces: self.pieces };
            crew.work(share, &mut |piece, look| self.piece(read, piece, look))
        };
        std::thread::scope(|scope| {
            let mut others = Vec::with_capacity(threads);
            for (read, thread) in snapshots.into_iter().zip(1..) {
                let named = std::thread::Builder::new().name("headwater-crew".to_owned());
                match named.spawn_scoped(scope, move || work(&read, thread)) {
                    Ok(other) => others.push(other),
                    Err(_) => crew.give_up(),
                }
            }
            let own = work(read, 0);
            others.into_iter().fold(own, |all, other| all & other.join().unwrap_or(false))
        })
    }

    fn piece(&self, read: &dyn Read, piece: u64, look: &mut Look<'_>) -> Result<()> {
        let collection = self.plan.collection.id;
        let begin = |piece: u64| self.first.saturating_add(piece.saturating_mul(self.step));
        let lower = document_key(collection, begin(piece));
        let upper = match piece + 1 == self.pieces {
            true => document_key(collection + 1, 0),
            false => document_key(collection, begin(piece + 1)),
        };
        let (lower, upper) = (Bound::Included(&lower[..]), Bound::Excluded(&upper[..]));
        let mut cursor = read.range(tables::DOCUMENTS, lower, upper, Direction::Forward)?;
        let mut looked_at = 0;
        while let Some((_, value)) = cursor.next()? {
            if looked_at % u64::from(CHECK_EVERY) == 0 {
                (self.check)()?;
            }
            looked_at += 1;
            let doc = Doc::trusted(value);
            if self.plan.wants(doc, false)? && look(doc)? == Flow::Stop {
                break;
            }
        }
        self.examined.fetch_add(looked_at, Ordering::Relaxed);
        Ok(())
    }
}
