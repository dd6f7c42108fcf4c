//! A `$group` of several threads. Each reads pieces of the collection and copies what the group takes of their documents;
//! each has a part of the groups, by the hash of their keys, and takes in the documents of its groups in the order of the
//! pieces. So every group meets its documents in the order in which one thread would have shown them, and sums of doubles
//! come to the same bits.
//!
//! What does not go smoothly, an error or memory that ends, is left to one thread.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use hashbrown::DefaultHashBuilder;
use parking_lot::{Condvar, Mutex};

use super::GroupSpec;
use super::filling::{Columns, Filling};
use super::groups::{Groups, Part};
use super::rows::Rows;
use crate::bson::Fields;
use crate::error::Result;
use crate::query::crew::{Crew, Share, Walk};
use crate::query::exec::{Environment, Flow, Stage};

/// Pieces for each thread that are read ahead of those that are taken in.
const AHEAD: u64 = 4;
/// Bytes of the rows of one piece at most.
const PIECE_BYTES_MAX: usize = 8 << 20;

/// The groups of a stage's documents, if several threads could take them in.
pub(super) fn fill(
    spec: &GroupSpec,
    source: &mut dyn Stage,
    env: &dyn Environment,
) -> Result<Option<Groups>> {
    let team = Team {
        spec,
        hasher: DefaultHashBuilder::default(),
        bytes_max: env.stage_bytes_max(),
        bytes: AtomicUsize::new(0),
        turns: Mutex::default(),
        changed: Condvar::new(),
        parts: Mutex::default(),
    };
    if !source.share(env, &team)? {
        return Ok(None);
    }
    Ok(Some(Groups::new(team.parts.into_inner(), spec.statements.len())))
}

/// How many documents a stage has left.
pub(super) fn count(source: &mut dyn Stage, env: &dyn Environment) -> Result<u64> {
    let counting = Counting::default();
    if source.share(env, &counting)? {
        return Ok(counting.count.into_inner());
    }
    let mut count = 0;
    source.each(env, &mut |_| {
        count += 1;
        Ok(())
    })?;
    Ok(count)
}

/// Threads that count.
#[derive(Default)]
struct Counting {
    /// The next piece.
    next: AtomicU64,
    count: AtomicU64,
    given_up: AtomicBool,
}

impl Crew for Counting {
    fn work(&self, share: Share, walk: &mut Walk<'_>) -> bool {
        loop {
            let piece = self.next.fetch_add(1, Ordering::Relaxed);
            if self.given_up.load(Ordering::Relaxed) || piece >= share.pieces {
                return !self.given_up.load(Ordering::Relaxed);
            }
            let mut count = 0;
            let walked = walk(piece, &mut |_| {
                count += 1;
                Ok(Flow::Continue)
            });
            if walked.is_err() {
                self.give_up();
            }
            self.count.fetch_add(count, Ordering::Relaxed);
        }
    }

    fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }
}

/// Threads that group.
struct Team<'s> {
    spec: &'s GroupSpec,
    hasher: DefaultHashBuilder,
    bytes_max: usize,
    /// What the groups of all threads take.
    bytes: AtomicUsize,
    turns: Mutex<Turns>,
    changed: Condvar,
    parts: Mutex<Vec<Part>>,
}

/// Who has done what.
#[derive(Default)]
struct Turns {
    given_up: bool,
    /// Pieces that somebody reads or has read.
    begun: u64,
    /// By thread: the piece whose rows it takes in next, and rows that wait for it.
    threads: Vec<(u64, BTreeMap<u64, Rows>)>,
}

/// What a thread does next.
enum Turn {
    Read(u64),
    TakeIn(u64, Rows),
    Done,
    GivenUp,
}

/// Gives up unless told otherwise, so that nobody waits for a thread that is no more.
struct Guard<'t, 's>(Option<&'t Team<'s>>);

impl Drop for Guard<'_, '_> {
    fn drop(&mut self) {
        if let Some(team) = self.0 {
            team.give_up();
        }
    }
}

impl Crew for Team<'_> {
    fn work(&self, share: Share, walk: &mut Walk<'_>) -> bool {
        let mut guard = Guard(Some(self));
        let done = self.take_part(share, walk);
        if done {
            guard.0 = None;
        }
        done
    }

    fn give_up(&self) {
        self.turns.lock().given_up = true;
        self.changed.notify_all();
    }
}

impl Team<'_> {
    fn take_part(&self, share: Share, walk: &mut Walk<'_>) -> bool {
        let mut filling = Filling::with_hasher(self.hasher.clone());
        loop {
            match self.next(share) {
                Turn::Read(piece) => match self.read(piece, share.threads, walk) {
                    Some(rows) => self.hand_out(piece, rows),
                    None => return false,
                },
                Turn::TakeIn(piece, rows) => {
                    let before = filling.bytes();
                    if filling.take(self.spec, &rows, Some(piece)).is_err() {
                        return false;
                    }
                    let more = filling.bytes().saturating_sub(before);
                    if self.bytes.fetch_add(more, Ordering::Relaxed) + more > self.bytes_max {
                        return false;
                    }
                }
                Turn::Done => {
                    self.parts.lock().push(filling.into_part());
                    return true;
                }
                Turn::GivenUp => return false,
            }
        }
    }

    /// Waits until there is something to do. Rows that wait come first; whoever waits does so for a piece that another
    /// thread is reading.
    fn next(&self, share: Share) -> Turn {
        let mut turns = self.turns.lock();
        turns.threads.resize_with(share.threads, Default::default);
        loop {
            if turns.given_up {
                return Turn::GivenUp;
            }
            let Some((next, waiting)) = turns.threads.get_mut(share.thread) else {
                return Turn::GivenUp;
            };
            if *next >= share.pieces {
                return Turn::Done;
            }
            if let Some(rows) = waiting.remove(next) {
                let piece = *next;
                *next += 1;
                self.changed.notify_all();
                return Turn::TakeIn(piece, rows);
            }
            let slowest = turns.threads.iter().map(|(next, _)| *next).min().unwrap_or(0);
            let piece = turns.begun;
            if piece < share.pieces && piece < slowest + AHEAD * share.threads as u64 {
                turns.begun += 1;
                return Turn::Read(piece);
            }
            self.changed.wait(&mut turns);
        }
    }

    /// The rows of a piece by the thread that has their groups; `None` if something is wrong with it.
    fn read(&self, piece: u64, threads: usize, walk: &mut Walk<'_>) -> Option<Vec<Rows>> {
        let columns = Columns::of(self.spec);
        let mut rows: Vec<Rows> = (0..threads).map(|_| Rows::default()).collect();
        let (mut key, mut number, mut fits) = (Vec::new(), 0, true);
        let walked = walk(piece, &mut |doc| {
            let fields = &mut Fields::new(doc);
            let id = columns.id.read(doc, fields)?;
            self.spec.key(&id, &mut key);
            let hash = self.hasher.hash_one(&key[..]);
            // Tables of groups use the bits at both ends.
            let owner = (hash >> 32) as usize % threads;
            if let Some(rows) = rows.get_mut(owner) {
                rows.begin(hash, number, &key);
                columns.copy((doc, fields), &id, rows)?;
                fits = rows.bytes() < PIECE_BYTES_MAX;
            }
            number += 1;
            Ok(if fits { Flow::Continue } else { Flow::Stop })
        });
        (walked.is_ok() && fits).then_some(rows)
    }

    fn hand_out(&self, piece: u64, rows: Vec<Rows>) {
        let mut turns = self.turns.lock();
        for ((_, waiting), rows) in turns.threads.iter_mut().zip(rows) {
            waiting.insert(piece, rows);
        }
        self.changed.notify_all();
    }
}
