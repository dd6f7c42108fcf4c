//! The tree on disk: LMDB in its default durable mode. The only module with `unsafe` code: opening
//! a memory map and growing it. Values carry a crc32c trailer over value and key.
#![allow(unsafe_code)]

mod pages;

use std::fs;
use std::ops::Bound;
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use heed::types::Bytes;
use heed::{
    CommitOrAbort, Database, Env, EnvOpenOptions, MdbError, PutFlags, RoRange, RoRevRange, RoTxn,
    RwTxn, WithoutTls,
};

use super::{Bounds, Pair};
use crate::folder::Folder;
use crate::log::recovery::{Applied, Place};
use crate::options::{Options, TABLES};
use crate::overlay::Overlay;
use crate::{Direction, Error, Result, Table};

type Rows = Database<'static, Bytes, Bytes>;

const TRAILER: usize = 4;
const APPLIED: &[u8] = b"applied";
/// One read in this many has its checksum checked.
const CHECK_EVERY: u32 = 64;
const MAP_BYTES_MIN: u64 = 1 << 30;
/// Entries of a walk after which it is worth looking for the pages themselves.
const LONG_WALK: u32 = 32;
const IDLE_READERS_MAX: usize = 16;
/// How long new readers are held back, and let through again, while the map waits to grow.
const GROWTH_WINDOW: Duration = Duration::from_millis(50);

pub(crate) struct Lmdb {
    env: Env<WithoutTls>,
    tables: [Rows; TABLES],
    meta: Rows,
    /// The tables themselves, by name.
    names: Rows,
    readers: Mutex<Readers>,
    readers_changed: Condvar,
    transaction_bytes: usize,
    reads: AtomicU32,
    map_bytes: AtomicU64,
    /// Given back only when the last snapshot has let go of the map.
    _owner: Folder,
}

/// Read transactions: idle ones belong to the newest commit.
struct Readers {
    idle: Vec<RoTxn<'static, WithoutTls>>,
    live: usize,
    /// Of the live ones, those that began before the era.
    earlier: usize,
    era: u64,
    commits: u64,
    growing: bool,
}

impl Lmdb {
    /// Opens or creates the tree in `path`; also says up to which sequence number the log has
    /// been applied to it.
    pub(crate) fn open(
        owner: Folder,
        path: &Path,
        options: &Options,
    ) -> Result<(Arc<Lmdb>, Applied)> {
        fs::create_dir_all(path).map_err(|error| Error::io("creating", path, error))?;
        let (env, map_bytes) = open_env(path, options)?;
        let failed = |error| Error::tree("opening its tables", error);
        let write = env.write_txn().map_err(failed)?;
        let opened = env.create_databases_and_commit(write, |opener, write| {
            let mut all: Vec<Database<'_, Bytes, Bytes>> = Vec::with_capacity(TABLES + 1);
            for name in ["0", "1", "2", "3", "4", "5", "6", "7", "meta"] {
                all.push(opener.create_database(write, Some(name))?);
            }
            let [a, b, c, d, e, f, g, h, meta] = all.try_into().map_err(|_| MdbError::Invalid)?;
            Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit([a, b, c, d, e, f, g, h, meta]))
        });
        let CommitOrAbort::Commit([a, b, c, d, e, f, g, h, meta]) = opened.map_err(failed)? else {
            return Err(Error::corrupt("tree: its tables could not be opened"));
        };
        let tables = [a, b, c, d, e, f, g, h];
        let names = {
            let read = env.read_txn().map_err(failed)?;
            let opened = env.open_databases_and_commit(read, |opener, read| {
                let names: Option<Database<'_, Bytes, Bytes>> = opener.open_database(read, None)?;
                Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(names))
            });
            match opened.map_err(failed)? {
                CommitOrAbort::Commit(Some(names)) => names,
                _ => return Err(Error::corrupt("tree: its list of tables could not be opened")),
            }
        };
        let applied = {
            let read = env.read_txn().map_err(failed)?;
            match meta.get(&read, APPLIED).map_err(failed)? {
                None => Applied::default(),
                Some(bytes) => decode_applied(bytes)
                    .ok_or_else(|| Error::corrupt("tree: bad position in the log"))?,
            }
        };
        let readers =
            Readers { idle: Vec::new(), live: 0, earlier: 0, era: 0, commits: 0, growing: false };
        let tree = Lmdb {
            env,
            tables,
            meta,
            names,
            readers: Mutex::new(readers),
            readers_changed: Condvar::new(),
            transaction_bytes: options.tree_transaction_bytes,
            reads: AtomicU32::new(0),
            map_bytes: AtomicU64::new(map_bytes),
            _owner: owner,
        };
        Ok((Arc::new(tree), applied))
    }

    fn readers(&self) -> MutexGuard<'_, Readers> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A read transaction on the newest commit, or on one that was newest during this call.
    pub(crate) fn reader(self: &Arc<Lmdb>) -> Result<LmdbReader> {
        let mut readers = self.readers();
        while readers.growing {
            readers = self.readers_changed.wait(readers).unwrap_or_else(PoisonError::into_inner);
        }
        let read = match readers.idle.pop() {
            Some(read) => read,
            None => self
                .env
                .clone()
                .static_read_txn()
                .map_err(|error| Error::tree("starting a snapshot", error))?,
        };
        readers.live += 1;
        let Readers { era, commits, .. } = *readers;
        Ok(LmdbReader { read: Some(read), era, commits, tree: Arc::clone(self) })
    }

    /// Begins the next era: the snapshots held now are its earlier ones.
    pub(crate) fn begin_era(&self) {
        let mut readers = self.readers();
        readers.era += 1;
        readers.earlier = readers.live;
    }

    /// Whether a snapshot from before this era is still held.
    pub(crate) fn holds_earlier(&self) -> bool {
        self.readers().earlier > 0
    }

    /// Applies in key order, in transactions of about `transaction_bytes`; the last one records
    /// `applied`, so that a crash in between replays the log over what was applied.
    pub(crate) fn apply(&self, overlay: &Overlay, applied: Applied) -> Result<()> {
        let mut from = Some((0, Vec::new()));
        while let Some((table, key)) = from.take() {
            from = loop {
                match self.apply_some(overlay, applied, (table, &key)) {
                    Ok(next) => break next,
                    Err(heed::Error::Mdb(MdbError::MapFull)) => self.grow()?,
                    Err(error) => return Err(Error::tree("applying a checkpoint", error)),
                }
            };
            let mut readers = self.readers();
            readers.commits += 1;
            readers.idle.clear();
        }
        Ok(())
    }

    /// One transaction's worth, from a table and key on; says where to go on.
    fn apply_some(
        &self,
        overlay: &Overlay,
        applied: Applied,
        (first, from): (u8, &[u8]),
    ) -> heed::Result<Option<(u8, Vec<u8>)>> {
        let mut write = self.env.write_txn()?;
        let (mut bytes, mut value) = (0, Vec::new());
        for (number, rows) in (0..).zip(&self.tables).skip(usize::from(first)) {
            let Some(mut walk) = overlay.walk(Table(number)) else { continue };
            match number == first {
                true => walk.seek(from, false),
                false => walk.first(),
            }
            let mut appending = false;
            while let Some(change) = walk.get() {
                if bytes >= self.transaction_bytes {
                    let next = (number, change.key.to_vec());
                    write.commit()?;
                    return Ok(Some(next));
                }
                match change.value {
                    Some(new) => {
                        seal(&mut value, change.key, new);
                        appending = appending || is_past_end(rows, &write, change.key)?;
                        let flags = if appending { PutFlags::APPEND } else { PutFlags::empty() };
                        rows.put_with_flags(&mut write, flags, change.key, &value)?;
                    }
                    None => {
                        rows.delete(&mut write, change.key)?;
                    }
                }
                bytes += change.key.len() + change.value.map_or(0, <[u8]>::len);
                walk.step();
            }
        }
        self.meta.put(&mut write, APPLIED, &encode_applied(applied))?;
        write.commit()?;
        Ok(None)
    }

    /// Doubles the map. LMDB demands that no transaction is alive meanwhile, so new readers are
    /// held back in short windows until the live ones have ended.
    fn grow(&self) -> Result<()> {
        let bytes = self.map_bytes.load(Ordering::Relaxed).saturating_mul(2);
        let size = usize::try_from(bytes)
            .map_err(|_| Error::corrupt("tree: the address space is used up"))?;
        loop {
            let mut readers = self.readers();
            readers.growing = true;
            readers.idle.clear();
            let (mut readers, _) = self
                .readers_changed
                .wait_timeout_while(readers, GROWTH_WINDOW, |readers| readers.live > 0)
                .unwrap_or_else(PoisonError::into_inner);
            let grown = (readers.live == 0).then(|| {
                // SAFETY: the readers' lock is held and counts no live read transaction, idle
                // ones were dropped, and the only write transaction is the caller's, aborted.
                unsafe { self.env.resize(size) }
            });
            readers.growing = false;
            self.readers_changed.notify_all();
            drop(readers);
            match grown {
                Some(Ok(())) => {
                    self.map_bytes.store(bytes, Ordering::Relaxed);
                    return Ok(());
                }
                Some(Err(error)) => return Err(Error::tree("growing its map", error)),
                None => std::thread::sleep(GROWTH_WINDOW),
            }
        }
    }

    /// Bytes of the data file in use, free pages included.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.env.real_disk_size().unwrap_or(0)
    }

    pub(crate) fn map_bytes(&self) -> u64 {
        self.map_bytes.load(Ordering::Relaxed)
    }
}

fn open_env(folder: &Path, options: &Options) -> Result<(Env<WithoutTls>, u64)> {
    let page = rustix::param::page_size() as u64;
    let mut bytes = options.map_bytes.max(page).next_multiple_of(page);
    loop {
        let size = usize::try_from(bytes).unwrap_or(usize::MAX / 2 / page as usize * page as usize);
        let mut opening = EnvOpenOptions::new().read_txn_without_tls();
        opening.map_size(size).max_dbs(TABLES as u32 + 1).max_readers(options.snapshots_max);
        // SAFETY: the store's folder lock keeps every other process (and a second `Store` of this
        // one) away from the file, and nothing in this process writes to it but LMDB.
        match unsafe { opening.open(folder) } {
            Ok(env) => return Ok((env, bytes)),
            Err(heed::Error::Io(error))
                if error.kind() == std::io::ErrorKind::OutOfMemory && bytes > MAP_BYTES_MIN =>
            {
                bytes = (bytes / 2).next_multiple_of(page);
            }
            Err(error) => return Err(Error::tree("opening", error)),
        }
    }
}

fn is_past_end(rows: &Rows, write: &RwTxn<'_>, key: &[u8]) -> heed::Result<bool> {
    Ok(rows.last(write)?.is_none_or(|(last, _)| last < key))
}

/// Sequence number, segment and offset, then a checksum over them.
fn encode_applied(Applied { seq, place }: Applied) -> Vec<u8> {
    let mut bytes = [seq, place.segment, place.offset].map(u64::to_le_bytes).concat();
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    bytes
}

fn decode_applied(bytes: &[u8]) -> Option<Applied> {
    let (body, sum) = bytes.split_last_chunk::<4>()?;
    let word = |at: usize| Some(u64::from_le_bytes(*body.get(at..)?.first_chunk()?));
    let (seq, segment, offset) = (word(0)?, word(8)?, word(16)?);
    let whole = crc32c::crc32c(body) == u32::from_le_bytes(*sum);
    whole.then_some(Applied { seq, place: Place { segment, offset } })
}

fn is_empty_key(bound: Bound<&[u8]>) -> bool {
    matches!(bound, Bound::Included([]) | Bound::Excluded([]))
}

fn checksum(key: &[u8], value: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(value), key)
}

/// Writes `value` with its trailer into `sealed`.
fn seal(sealed: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    sealed.clear();
    sealed.extend_from_slice(value);
    sealed.extend_from_slice(&checksum(key, value).to_le_bytes());
}

/// Strips the trailer and, when asked, checks it.
#[inline]
fn unseal<'a>(key: &[u8], sealed: &'a [u8], check: bool) -> Result<&'a [u8]> {
    match sealed.split_last_chunk::<TRAILER>() {
        Some((value, trailer))
            if !check || u32::from_le_bytes(*trailer) == checksum(key, value) =>
        {
            Ok(value)
        }
        _ => Err(Error::corrupt(format!("tree: the value of key {key:02x?} fails its checksum"))),
    }
}

/// One read transaction; returned to the pool when dropped.
pub(crate) struct LmdbReader {
    read: Option<RoTxn<'static, WithoutTls>>,
    era: u64,
    commits: u64,
    tree: Arc<Lmdb>,
}

impl Drop for LmdbReader {
    fn drop(&mut self) {
        let Some(read) = self.read.take() else { return };
        let mut readers = self.tree.readers();
        let newest = readers.commits == self.commits;
        match newest && !readers.growing && readers.idle.len() < IDLE_READERS_MAX {
            true => readers.idle.push(read),
            false => drop(read),
        }
        readers.live -= 1;
        readers.earlier -= usize::from(self.era < readers.era);
        if readers.growing && readers.live == 0 {
            self.tree.readers_changed.notify_all();
        }
    }
}

impl LmdbReader {
    fn read(&self) -> Result<&RoTxn<'static, WithoutTls>> {
        self.read.as_ref().ok_or_else(Error::closed)
    }

    fn rows(&self, table: Table) -> Result<&Rows> {
        let rows = self.tree.tables.get(usize::from(table.0));
        rows.ok_or_else(|| crate::view::no_table(table))
    }

    #[inline]
    pub(crate) fn get(&self, table: Table, key: &[u8]) -> Result<Option<&[u8]>> {
        let found = self.rows(table)?.get(self.read()?, key);
        let Some(sealed) = found.map_err(|error| Error::tree("reading", error))? else {
            return Ok(None);
        };
        self.unseal(key, sealed).map(Some)
    }

    #[inline]
    fn unseal<'s>(&self, key: &[u8], sealed: &'s [u8]) -> Result<&'s [u8]> {
        let reads = self.tree.reads.fetch_add(1, Ordering::Relaxed);
        unseal(key, sealed, reads.is_multiple_of(CHECK_EVERY))
    }

    /// The values of several keys, in their order, appended to `found`.
    pub(crate) fn get_each<'s>(
        &'s self,
        table: Table,
        keys: &[&[u8]],
        found: &mut Vec<Option<&'s [u8]>>,
    ) -> Result<()> {
        let pages = self.pages(table)?;
        for keys in keys.chunks(pages::LANES) {
            let looked = pages.as_ref().and_then(|(pages, root)| pages.look_up(root, keys));
            let looked = looked.unwrap_or([pages::Looked::Elsewhere; pages::LANES]);
            for (key, looked) in keys.iter().zip(looked) {
                found.push(match looked {
                    pages::Looked::Found(sealed) => Some(self.unseal(key, sealed)?),
                    pages::Looked::Absent => None,
                    pages::Looked::Elsewhere => self.get(table, key)?,
                });
            }
        }
        Ok(())
    }

    pub(crate) fn walk(
        &self,
        table: Table,
        bounds: Bounds<'_>,
        direction: Direction,
    ) -> Result<LmdbWalk<'_>> {
        let (rows, read) = (self.rows(table)?, self.read()?);
        // LMDB has no empty keys and refuses to look for them.
        let (lower, upper) = bounds;
        let walk = LmdbWalk {
            range: Range::Empty,
            reader: self,
            table,
            steps: 0,
            check_every: CHECK_EVERY,
            end: upper.map(<[u8]>::to_vec),
        };
        let lower = if is_empty_key(lower) { Bound::Unbounded } else { lower };
        if is_empty_key(upper) {
            return Ok(LmdbWalk { range: Range::Empty, ..walk });
        }
        let bounds = (lower, upper);
        let range = match direction {
            Direction::Forward => rows.range(read, &bounds).map(Range::Forward),
            Direction::Backward => rows.rev_range(read, &bounds).map(Range::Backward),
        };
        let range = range.map_err(|error| Error::tree("opening a cursor", error))?;
        Ok(LmdbWalk { range, ..walk })
    }

    /// About how many entries there are from `lower` (included) to `upper` (excluded).
    pub(crate) fn estimate(&self, table: Table, lower: &[u8], upper: &[u8]) -> Result<u64> {
        let pages = self.pages(table)?;
        let found = pages.and_then(|(pages, root)| pages.estimate(root, lower, upper));
        found.map_or_else(|| self.count_some(table, lower, upper), Ok)
    }

    /// The pages as this transaction sees them, and what the list of tables says of a table; `None` if they are laid out in
    /// a way that is not known here.
    fn pages(&self, table: Table) -> Result<Option<(pages::Pages<'_>, &[u8])>> {
        let (rows, read) = (self.rows(table)?, self.read()?);
        let failed = |error| Error::tree("looking for a table", error);
        let name = [b'0' + table.0];
        let root = self.tree.names.get(read, &name).map_err(failed)?;
        let page_bytes = rows.stat(read).map_err(failed)?.page_size as usize;
        let info = self.tree.env.info();
        let count = info.last_page_number.saturating_add(1).min(info.map_size / page_bytes.max(1));
        Ok(root.and_then(|root| {
            // SAFETY: `root` is a value that LMDB gave out for the read transaction `read`, which lives as long as this
            // reader is borrowed.
            let pages = unsafe { pages::Pages::around(root, page_bytes, count) }?;
            Some((pages, root))
        }))
    }

    /// Entries of a range, counted up to a limit: where the pages cannot be read.
    fn count_some(&self, table: Table, lower: &[u8], upper: &[u8]) -> Result<u64> {
        const MOST: u64 = 1000;
        let bounds = (Bound::Included(lower), Bound::Excluded(upper));
        let mut walk = self.walk(table, bounds, Direction::Forward)?;
        let mut count = 0;
        while count < MOST && walk.next()?.is_some() {
            count += 1;
        }
        Ok(count)
    }

    /// Checks every value of a table; says how many there are.
    pub(crate) fn verify(&self, table: Table) -> Result<u64> {
        let everything = (Bound::Unbounded, Bound::Unbounded);
        let mut walk = self.walk(table, everything, Direction::Forward)?;
        walk.check_every = 1;
        let mut count = 0;
        while walk.next()?.is_some() {
            count += 1;
        }
        Ok(count)
    }
}

enum Range<'s> {
    Empty,
    Forward(RoRange<'s, Bytes, Bytes>),
    Backward(RoRevRange<'s, Bytes, Bytes>),
    /// What is left of a long walk forwards.
    Leaves(pages::Leaves<'s>),
}

pub(crate) struct LmdbWalk<'s> {
    range: Range<'s>,
    reader: &'s LmdbReader,
    table: Table,
    steps: u32,
    check_every: u32,
    end: Bound<Vec<u8>>,
}

impl<'s> LmdbWalk<'s> {
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<Pair<'s>>> {
        let Range::Leaves(leaves) = &mut self.range else { return self.next_of_lmdb() };
        match leaves.next() {
            pages::Entry::Pair(key, sealed) => self.open(key, sealed).map(Some),
            pages::Entry::End => Ok(None),
            pages::Entry::Elsewhere(key) => self.open_elsewhere(key).map(Some),
            pages::Entry::Unknown => self.leave_leaves(),
        }
    }

    #[inline]
    fn open(&mut self, key: &'s [u8], sealed: &'s [u8]) -> Result<Pair<'s>> {
        self.steps = self.steps.wrapping_add(1);
        let check = self.steps.is_multiple_of(self.check_every);
        Ok((key, unseal(key, sealed, check)?))
    }

    fn next_of_lmdb(&mut self) -> Result<Option<Pair<'s>>> {
        let next = match &mut self.range {
            Range::Forward(range) => range.next(),
            Range::Backward(range) => range.next(),
            Range::Empty | Range::Leaves(_) => None,
        };
        let Some(pair) = next else { return Ok(None) };
        let (key, sealed) = pair.map_err(|error| Error::tree("reading a range", error))?;
        if self.steps == LONG_WALK && matches!(self.range, Range::Forward(_)) {
            let leaves = self.reader.pages(self.table)?.and_then(|(pages, root)| {
                pages::Leaves::behind(pages, root, key, self.end.as_ref().map(Vec::as_slice))
            });
            if let Some(leaves) = leaves {
                self.range = Range::Leaves(leaves);
            }
        }
        self.open(key, sealed).map(Some)
    }

    /// The value that a leaf does not hold.
    #[cold]
    fn open_elsewhere(&mut self, key: &'s [u8]) -> Result<Pair<'s>> {
        let found = self.reader.rows(self.table)?.get(self.reader.read()?, key);
        let sealed = found.map_err(|error| Error::tree("reading a range", error))?;
        let missing = || Error::corrupt(format!("tree: the value of key {key:02x?} is missing"));
        self.open(key, sealed.ok_or_else(missing)?)
    }

    /// Goes on as LMDB does where a page is not what it has to be.
    #[cold]
    fn leave_leaves(&mut self) -> Result<Option<Pair<'s>>> {
        let Range::Leaves(leaves) = &self.range else { return Ok(None) };
        let last = leaves.last_key();
        let last = last.ok_or_else(|| Error::corrupt("tree: an entry is not inside its page"))?;
        let bounds = (Bound::Excluded(last), self.end.as_ref().map(Vec::as_slice));
        let range = self.reader.rows(self.table)?.range(self.reader.read()?, &bounds);
        let range = range.map_err(|error| Error::tree("opening a cursor", error))?;
        self.range = Range::Forward(range);
        self.next_of_lmdb()
    }
}
