//! A walk through a whole collection by several threads, for a pipeline that takes in all of it: they read, filter and hand
//! over what is wanted, in the order of the collection, so that whoever takes it cannot tell.
//!
//! The collection is cut into pieces by record id. Each thread has every so-manieth piece and is a few parts ahead at most.
//! An error comes where the walk of one thread would have met it.

use std::ops::Bound;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use headwater_store::{Direction, Read, Snapshot};

use super::{CHECK_EVERY, Scan};
use crate::bson::{Doc, DocWriter};
use crate::catalog::tables;
use crate::collection::{RecordId, document_key, record_of};
use crate::error::{Code, Error, Result};
use crate::query::exec::{Flow, Look};
use crate::query::plan::tree::{Access, Plan};

/// Documents of one piece, about.
const PIECE: u64 = 4096;
/// Bytes of documents that are handed over together, about.
const PART_BYTES: usize = 256 * 1024;
/// Parts that a thread is ahead, beside the one it works on.
const PARTS: usize = 2;
/// Threads of all such walks of the process at most; who finds them taken walks alone.
const THREADS_MAX: usize = 8;

/// What is handed over of each document: the first field of each of these names, of which there may be none. To copy whole
/// documents from thread to thread takes longer than to read them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Takes(Vec<Box<[u8]>>);

/// What a thread hands over.
enum Part {
    /// Documents behind each other, and how many were looked at.
    Documents(Vec<u8>, u64),
    /// The piece is done.
    End,
    Failed(Error),
}

/// So many snapshots of the same moment, if they can be had.
pub(in crate::query) type Same<'s> = dyn Fn(usize) -> Result<Option<Vec<Snapshot>>> + 's;

/// What the threads of a walk share.
struct Walk<'w> {
    plan: &'w Plan,
    takes: &'w Takes,
    check: &'w (dyn Fn() -> Result<()> + Sync),
    stopped: AtomicBool,
    first: RecordId,
    /// Record ids of a piece.
    step: u64,
    pieces: u64,
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
    /// Goes through the collection with several threads, if the scan is a walk through one of at least `documents_min`
    /// documents, has not begun, and `same` gives each thread a snapshot of what `read` shows; says whether it was. It is
    /// at its end then, even if `look` wanted no more.
    ///
    /// # Errors
    /// As [`Scan::run`].
    pub(in crate::query) fn run_ahead(
        &mut self,
        (read, same): (&dyn Read, &Same<'_>),
        (threads, documents_min): (usize, u64),
        takes: &Takes,
        check: &(dyn Fn() -> Result<()> + Sync),
        look: &mut Look<'_>,
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
        let Some(_taken) = Taken::take(threads) else { return Ok(false) };
        let Some(snapshots) = same(threads)? else { return Ok(false) };
        let pieces = (documents / PIECE).max(threads as u64);
        let step = (last - first) / pieces + 1;
        let stopped = AtomicBool::new(false);
        let plan = &self.plan;
        let walk = Walk { plan, takes, check, stopped, first, step, pieces };
        let mut examined = 0;
        let ended = walk.run(snapshots, &mut examined, look);
        crate::profile::took(&self.plan, 0, examined);
        self.finder.docs_examined += examined;
        self.done = true;
        ended.map(|()| true)
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

impl Walk<'_> {
    fn run(&self, snapshots: Vec<Snapshot>, examined: &mut u64, look: &mut Look<'_>) -> Result<()> {
        let threads = snapshots.len();
        std::thread::scope(|scope| {
            let mut parts = Vec::with_capacity(threads);
            for (read, at) in snapshots.into_iter().zip(0..) {
                let (send, receive) = sync_channel(PARTS);
                let thread = std::thread::Builder::new().name("headwater-ahead".to_owned());
                let spawned =
                    thread.spawn_scoped(scope, move || self.work(&read, (at, threads), &send));
                if spawned.is_err() {
                    self.stopped.store(true, Ordering::Relaxed);
                    return Err(Error::new(Code::INTERNAL_ERROR, "no thread could be started"));
                }
                parts.push(receive);
            }
            let taken = self.take(&parts, examined, look);
            self.stopped.store(true, Ordering::Relaxed);
            taken
        })
    }

    /// Looks at what the threads hand over, piece by piece.
    fn take(
        &self,
        parts: &[Receiver<Part>],
        examined: &mut u64,
        look: &mut Look<'_>,
    ) -> Result<()> {
        let turns = parts.iter().cycle();
        for (_, parts) in (0..self.pieces).zip(turns) {
            loop {
                (self.check)()?;
                let bytes = match parts.recv() {
                    Ok(Part::Documents(bytes, looked_at)) => {
                        *examined += looked_at;
                        bytes
                    }
                    Ok(Part::End) => break,
                    Ok(Part::Failed(error)) => return Err(error),
                    Err(_) => {
                        return Err(Error::new(Code::INTERNAL_ERROR, "a thread of a scan ended"));
                    }
                };
                let mut rest = &bytes[..];
                while let Some((doc, behind)) = split_first(rest) {
                    if look(doc)? == Flow::Stop {
                        return Ok(());
                    }
                    rest = behind;
                }
            }
        }
        Ok(())
    }

    /// Walks every so-manieth piece.
    fn work(&self, read: &Snapshot, (at, threads): (u64, usize), send: &SyncSender<Part>) {
        for piece in (at..self.pieces).step_by(threads) {
            let part = match self.piece(read, piece, send) {
                Ok(true) => Part::End,
                Ok(false) => return,
                Err(error) => Part::Failed(error),
            };
            let failed = matches!(part, Part::Failed(_));
            if send.send(part).is_err() || failed {
                return;
            }
        }
    }

    /// Walks a piece; false if nobody wants more.
    fn piece(&self, read: &Snapshot, piece: u64, send: &SyncSender<Part>) -> Result<bool> {
        let collection = self.plan.collection.id;
        let begin = |piece: u64| self.first.saturating_add(piece.saturating_mul(self.step));
        let lower = document_key(collection, begin(piece));
        let upper = match piece + 1 == self.pieces {
            true => document_key(collection + 1, 0),
            false => document_key(collection, begin(piece + 1)),
        };
        let (lower, upper) = (Bound::Included(&lower[..]), Bound::Excluded(&upper[..]));
        let mut cursor = read.range(tables::DOCUMENTS, lower, upper, Direction::Forward)?;
        let (mut bytes, mut looked_at) = (Vec::new(), 0);
        while let Some((_, value)) = cursor.next()? {
            if looked_at % u64::from(CHECK_EVERY) == 0 {
                (self.check)()?;
                if self.stopped.load(Ordering::Relaxed) {
                    return Ok(false);
                }
            }
            looked_at += 1;
            let doc = Doc::trusted(value);
            match self.plan.wants(doc, false) {
                Ok(true) => bytes = self.takes.append(doc, bytes),
                Ok(false) => {}
                Err(error) => {
                    // What stands before it may fail sooner.
                    let _ = send.send(Part::Documents(bytes, looked_at));
                    return Err(error);
                }
            }
            if bytes.len() > PART_BYTES {
                let part = Part::Documents(std::mem::take(&mut bytes), looked_at);
                looked_at = 0;
                if send.send(part).is_err() {
                    return Ok(false);
                }
            }
        }
        Ok(send.send(Part::Documents(bytes, looked_at)).is_ok())
    }
}

impl Takes {
    /// Most fields that are picked.
    const FIELDS_MAX: usize = 32;

    /// The first field of each of these names; `None` if they are too many.
    pub fn fields(names: Vec<Box<[u8]>>) -> Option<Takes> {
        (names.len() <= Takes::FIELDS_MAX).then_some(Takes(names))
    }

    fn append(&self, doc: Doc<'_>, bytes: Vec<u8>) -> Vec<u8> {
        let mut out = DocWriter::append_to(bytes);
        let mut left = self.0.len();
        let mut found = [false; Takes::FIELDS_MAX];
        for element in doc {
            if left == 0 {
                break;
            }
            let at = self.0.iter().position(|name| **name == *element.name);
            if let Some(found) = at.and_then(|at| found.get_mut(at)).filter(|found| !**found) {
                *found = true;
                left -= 1;
                out.raw_bytes(element.name, element.value);
            }
        }
        out.into_bytes()
    }
}

/// The first of the documents that stand behind each other, and the others.
fn split_first(bytes: &[u8]) -> Option<(Doc<'_>, &[u8])> {
    let len = usize::try_from(u32::from_le_bytes(*bytes.first_chunk()?)).ok()?;
    let (doc, rest) = bytes.split_at_checked(len)?;
    Some((Doc::trusted(doc), rest))
}
