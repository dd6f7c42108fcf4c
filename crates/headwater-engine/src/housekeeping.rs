//! What happens beside commands: bytes of dropped collections and indexes go, idle cursors and sessions end. One thread.

use std::ops::Bound;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use headwater_store::{Direction, Operation, Read, Table};

use crate::bson::{Doc, DocWriter, Raw, View};
use crate::catalog::{Catalog, Collection, tables};
use crate::engine::{Shared, clock_floor};
use crate::error::{Code, Error, Result};
use crate::index::Index;
use crate::namespace::Namespace;
use crate::session::retry;

/// Time between two rounds.
const ROUND: Duration = Duration::from_millis(200);
/// Rounds between two looks for idle cursors and sessions.
const EXPIRE_EVERY: u32 = 25;
/// Keys that one operation removes.
const KEYS_AT_ONCE: usize = 500;
/// Time between two looks whether a checkpoint has ended, and how many of them there are.
const CHECKPOINT_LOOK: Duration = Duration::from_millis(5);
const CHECKPOINT_LOOKS: u32 = 40;
/// The head of an orphan's record in the catalog table.
const ORPHAN: u8 = b'o';

/// Documents and index entries that nothing refers to any more.
#[derive(Debug, Clone, Default)]
pub struct Orphan {
    collection: Option<u32>,
    indexes: Vec<u32>,
    /// Of indexes that are being built: the namespace and their names, for the log.
    build: Option<String>,
}

impl Orphan {
    /// A dropped collection with its indexes.
    pub fn collection(collection: &Collection) -> Orphan {
        Orphan {
            collection: Some(collection.id),
            indexes: collection.indexes.iter().map(|index| index.id).collect(),
            build: None,
        }
    }

    /// Dropped indexes.
    pub fn indexes<'a>(indexes: impl Iterator<Item = &'a Index>) -> Orphan {
        let indexes = indexes.map(|index| index.id).collect();
        Orphan { collection: None, indexes, build: None }
    }

    /// The same as what a build leaves that does not come to its end.
    #[must_use]
    pub fn of_build(self, namespace: &Namespace, names: &str) -> Orphan {
        Orphan { build: Some(format!("{namespace}: {names}")), ..self }
    }

    fn key(&self) -> Vec<u8> {
        let id = self.collection.or(self.indexes.first().copied()).unwrap_or(0);
        [&[ORPHAN][..], &id.to_be_bytes()].concat()
    }

    fn parse(record: Doc<'_>) -> Orphan {
        let id = |raw: Raw<'_>| match raw.view() {
            View::Int64(id) => u32::try_from(id).ok(),
            _ => None,
        };
        Orphan {
            collection: record.get("c").and_then(id),
            indexes: record
                .get("i")
                .and_then(Raw::as_array)
                .map(|ids| ids.iter().filter_map(id).collect())
                .unwrap_or_default(),
            build: record.get("b").and_then(Raw::as_str).map(str::to_owned),
        }
    }

    /// The key prefixes of its bytes.
    fn prefixes(&self) -> Vec<(Table, u32)> {
        let documents = self.collection.iter().map(|&id| (tables::DOCUMENTS, id));
        documents.chain(self.indexes.iter().map(|&id| (tables::INDEX, id))).collect()
    }
}

/// Notes an orphan in the operation that makes it one, so that its bytes go even after a crash.
///
/// # Errors
/// Those of the store.
pub(crate) fn note_orphan(op: &mut Operation<'_, '_>, orphan: &Orphan) -> Result<()> {
    let mut record = DocWriter::new();
    if let Some(id) = orphan.collection {
        record.i64("c", i64::from(id));
    }
    record.array("i", |ids| {
        for id in &orphan.indexes {
            ids.raw(Raw { kind: crate::bson::Type::Int64, data: &i64::from(*id).to_le_bytes() });
        }
    });
    if let Some(build) = &orphan.build {
        record.str("b", build);
    }
    Ok(op.put(tables::CATALOG, &orphan.key(), record.finish().as_doc().as_bytes())?)
}

/// Takes back the note of an orphan in the operation that gives its bytes an owner.
///
/// # Errors
/// Those of the store.
pub(crate) fn forget_orphan(op: &mut Operation<'_, '_>, orphan: &Orphan) -> Result<()> {
    Ok(op.delete(tables::CATALOG, &orphan.key())?)
}

/// Orphans that wait until no reader has a catalog that shows them.
pub(crate) type Waiting = Vec<(Weak<Catalog>, Orphan)>;

/// The orphans that an earlier run left.
///
/// # Errors
/// Those of the store.
pub(crate) fn left_orphans(read: &dyn Read) -> Result<Waiting> {
    let mut waiting = Waiting::new();
    let (lower, upper) = ([ORPHAN], [ORPHAN + 1]);
    let (lower, upper) = (Bound::Included(&lower[..]), Bound::Excluded(&upper[..]));
    let mut cursor = read.range(tables::CATALOG, lower, upper, Direction::Forward)?;
    while let Some((_, value)) = cursor.next()? {
        let orphan = Orphan::parse(Doc::trusted(value));
        if let Some(build) = &orphan.build {
            tracing::warn!(build, "an index build was interrupted: what it left is removed");
        }
        waiting.push((Weak::new(), orphan));
    }
    Ok(waiting)
}

/// Starts the thread. It ends with the engine.
///
/// # Errors
/// The thread cannot be started.
pub(crate) fn start(shared: &Arc<Shared>) -> Result<JoinHandle<()>> {
    let weak = Arc::downgrade(shared);
    let thread = std::thread::Builder::new().name("housekeeping".to_owned());
    let started = thread.spawn(move || {
        let mut round = 0;
        loop {
            // Closing unparks it.
            std::thread::park_timeout(ROUND);
            let Some(shared) = weak.upgrade() else { return };
            if shared.is_closing() {
                return;
            }
            round += 1;
            // A failure here is the store's: every command says so from then on.
            let _ = purge(&shared);
            let _ = shared.profiler.flush(&shared);
            if round % EXPIRE_EVERY == 0 {
                shared.cursors.expire();
                shared.snapshots.expire();
                let _ = expire_sessions(&shared);
            }
        }
    });
    started.map_err(|error| {
        let message = format!("the housekeeping thread cannot be started: {error}");
        Error::new(Code::INTERNAL_ERROR, message)
    })
}

/// Removes the bytes of orphans that no reader can see any more.
fn purge(shared: &Shared) -> Result<()> {
    let ready: Vec<Orphan> = shared.take_orphans(|catalog| catalog.strong_count() == 0);
    for orphan in ready {
        for (table, id) in orphan.prefixes() {
            let (mut lower, upper) = (id.to_be_bytes().to_vec(), (id + 1).to_be_bytes());
            while !shared.is_closing() {
                let begun = Instant::now();
                let Some(last) = remove_some(shared, table, &lower, &upper)? else { break };
                lower = last;
                let_others_work(shared, begun);
            }
        }
        if shared.is_closing() {
            return Ok(());
        }
        let mut guard = shared.write()?;
        let mut op = guard.begin()?;
        op.delete(tables::CATALOG, &orphan.key())?;
        op.commit(clock_floor(), &[])?;
    }
    Ok(())
}

/// Gives whoever works beside twice the time that was taken since `begun`, and a checkpoint a while to end: what is removed
/// must not fill the memory that writers need meanwhile.
pub(crate) fn let_others_work(shared: &Shared, begun: Instant) {
    std::thread::sleep(begun.elapsed() * 2);
    let mut left = CHECKPOINT_LOOKS;
    while left > 0 && shared.store.stats().frozen_bytes > 0 && !shared.is_closing() {
        std::thread::sleep(CHECKPOINT_LOOK);
        left -= 1;
    }
}

/// Removes the first keys of a range (lower bound included, upper excluded) in one operation. Gives the last one of them
/// if there may be more: to go on from there, and not to walk again over what has just gone.
fn remove_some(
    shared: &Shared,
    table: Table,
    lower: &[u8],
    upper: &[u8],
) -> Result<Option<Vec<u8>>> {
    let mut guard = shared.write()?;
    let mut keys: Vec<Vec<u8>> = Vec::new();
    {
        let (lower, upper) = (Bound::Included(lower), Bound::Excluded(upper));
        let mut cursor = guard.read()?.range(table, lower, upper, Direction::Forward)?;
        while keys.len() < KEYS_AT_ONCE
            && let Some((key, _)) = cursor.next()?
        {
            keys.push(key.to_vec());
        }
    }
    if keys.is_empty() {
        return Ok(None);
    }
    let mut op = guard.begin()?;
    for key in &keys {
        op.delete(table, key)?;
    }
    op.commit(clock_floor(), &[])?;
    let more = keys.len() == KEYS_AT_ONCE;
    Ok(keys.pop().filter(|_| more))
}

fn expire_sessions(shared: &Shared) -> Result<()> {
    let old = shared.sessions.expire();
    if old.is_empty() {
        return Ok(());
    }
    shared.cursors.kill_sessions(|id| old.contains(id));
    for id in old {
        let (mut lower, mut upper) =
            (retry::key(&id, 0).to_vec(), retry::key(&id, i32::MAX).to_vec());
        upper.push(0);
        while let Some(last) = remove_some(shared, tables::SESSIONS, &lower, &upper)? {
            lower = last;
        }
    }
    Ok(())
}
