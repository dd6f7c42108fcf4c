//! The store itself: opens the parts, hands out snapshots and the writer, and joins the threads
//! again. Public face of the crate.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::Waker;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crate::checkpoint::{self, Checkpointer};
use crate::folder::Folder;
use crate::holder::Holder;
use crate::io::memory::Memory;
use crate::log::appender::Appender;
use crate::log::disk::{Log, Retention};
use crate::log::history::History;
use crate::log::recovery::{self, Applied, Recovered};
use crate::options::{Options, TABLES};
use crate::overlay::{Draft, Overlay};
use crate::stats::{Report, Stats};
use crate::tree::lmdb::Lmdb;
use crate::tree::map::Map;
use crate::tree::{Tree, TreeReader};
use crate::view::{Snapshot, View};
use crate::writer::{Writer, WriterState};
use crate::{Error, ErrorKind, Result, Seq, Table};

const DISK_RETENTION_BYTES: u64 = 1 << 30;
const MEMORY_RETENTION_BYTES: u64 = 64 << 20;
const MEMORY_SEGMENT_BYTES: u64 = 4 << 20;
/// Brief writers that publish at once after a reader had to do it for one.
const EAGER_WRITERS: u32 = 64;

/// An ordered store of bytes with one writer, consistent snapshots, a durable log and its history.
/// Clones are handles on the same store; the last one dropped closes it.
///
/// ```
/// use headwater_store::{Options, Read, Store, Table};
///
/// # fn main() -> headwater_store::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// let store = Store::open(folder.path(), Options::default())?;
/// let seq = {
///     let mut writer = store.writer()?;
///     let mut operation = writer.begin();
///     operation.put(Table(0), b"key", b"value")?;
///     operation.commit(0, b"event")?
/// };
/// store.wait_durable(seq, None)?;
/// assert_eq!(store.snapshot()?.get(Table(0), b"key")?, Some(&b"value"[..]));
/// store.close()?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Store {
    handle: Arc<Handle>,
}

/// What all handles and threads share.
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) tree: Tree,
    pub(crate) log: Arc<Log>,
    pub(crate) checkpointer: Checkpointer,
    pub(crate) holder: Holder,
    writer: Mutex<WriterState>,
    view: Mutex<Arc<View>>,
    /// The newest committed operation that a snapshot must see.
    last: AtomicU64,
    /// Whether the writer's state is newer than the view.
    ahead: AtomicBool,
    epoch: AtomicU64,
    replayed: u64,
}

struct Handle {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    /// Opens the store in `folder`, creating it when it is missing. Replays what the log has and
    /// the tree hasn't.
    ///
    /// # Errors
    /// [`Locked`](crate::ErrorKind::Locked) with the owner's process id,
    /// [`FormatVersion`](crate::ErrorKind::FormatVersion),
    /// [`Corrupt`](crate::ErrorKind::Corrupt) when acknowledged data is damaged or missing,
    /// [`Io`](crate::ErrorKind::Io).
    pub fn open(folder: &Path, options: Options) -> Result<Store> {
        let folder = Folder::open(folder)?;
        let (log_folder, tree_folder) = (folder.log(), folder.tree());
        let io = Arc::clone(&options.io);
        io.create_folder(&log_folder).map_err(|error| Error::io("creating", &log_folder, error))?;
        let (tree, applied) = Lmdb::open(folder, &tree_folder, &options)?;
        let recovered = recovery::recover(&*io, &log_folder, applied)?;
        let retention_bytes = options.retention_bytes.unwrap_or(DISK_RETENTION_BYTES);
        let retention = Retention { bytes: retention_bytes, age: options.retention_age };
        let segment_bytes = options.segment_bytes;
        let log = |start| Log::new(io, log_folder, segment_bytes, retention, true, start);
        Store::start(options, Tree::Lmdb(tree), recovered, applied.seq, segment_bytes, log)
    }

    /// A store that lives in memory alone, with the same interface: everything is durable at once
    /// and gone when the last handle is dropped.
    pub fn in_memory(options: Options) -> Store {
        let retention_bytes = options.retention_bytes.unwrap_or(MEMORY_RETENTION_BYTES);
        let retention = Retention { bytes: retention_bytes, age: options.retention_age };
        let segment_bytes = options.segment_bytes.min(MEMORY_SEGMENT_BYTES);
        let io = Arc::new(Memory::default());
        let recovered = Recovered::nothing();
        let log = |start| Log::new(io, PathBuf::new(), segment_bytes, retention, false, start);
        Store::start(options, Tree::Map(Map::new()), recovered, 0, segment_bytes, log)
            .unwrap_or_else(|error| unreachable!("threads of an in-memory store: {error}"))
    }

    fn start(
        options: Options,
        tree: Tree,
        recovered: Recovered,
        applied: Seq,
        segment_bytes: u64,
        log: impl FnOnce(recovery::Start) -> Log,
    ) -> Result<Store> {
        let Recovered { start, overlay, next_segment, place, replayed } = recovered;
        let last = start.last;
        let log = Arc::new(log(start));
        let view = View { active: overlay.clone(), frozen: None, epoch: 0, last };
        let state = WriterState {
            active: overlay,
            frozen: None,
            last,
            appender: Appender::new(next_segment, last, place, segment_bytes),
            draft: Draft::new(),
            committing: false,
            eager: 0,
            half_full: false,
        };
        let shared = Arc::new(Shared {
            options,
            tree,
            log,
            checkpointer: Checkpointer::new(applied),
            holder: Holder::default(),
            writer: Mutex::new(state),
            view: Mutex::new(Arc::new(view)),
            last: AtomicU64::new(last),
            ahead: AtomicBool::new(false),
            epoch: AtomicU64::new(0),
            replayed,
        });
        shared.checkpoint_when_full();
        let handle = Handle { shared, threads: Mutex::default() };
        handle.spawn("headwater-checkpoint", |shared| checkpoint::run(&shared))?;
        if handle.shared.log.is_threaded() {
            handle.spawn("headwater-log", |shared| shared.log.run())?;
        }
        Ok(Store { handle: Arc::new(handle) })
    }

    /// The newest committed state. Waits for no writer but a [brief one](Store::try_brief_writer).
    ///
    /// # Errors
    /// [`TooManySnapshots`](crate::ErrorKind::TooManySnapshots) when
    /// [`snapshots_max`](Options::snapshots_max) are held, [`Io`](crate::ErrorKind::Io),
    /// [`WriterHeld`](crate::ErrorKind::WriterHeld) to the holder of a brief writer.
    pub fn snapshot(&self) -> Result<Snapshot> {
        self.handle.shared.snapshot()
    }

    /// The exclusive right to write. Waits for its turn and, at the memory cap, for the
    /// checkpoint.
    ///
    /// # Errors
    /// [`Poisoned`](crate::ErrorKind::Poisoned) after a failed write,
    /// [`WriterHeld`](crate::ErrorKind::WriterHeld) on a thread that has a writer already,
    /// [`Closed`](crate::ErrorKind::Closed).
    pub fn writer(&self) -> Result<Writer<'_>> {
        let shared = &*self.handle.shared;
        shared.holder.refuse("a second writer")?;
        loop {
            shared.log.poison.check()?;
            let state = lock(&shared.writer);
            shared.check_whole(&state)?;
            if !shared.is_full(&state) {
                return Ok(Writer::new(shared, state, false));
            }
            drop(state);
            shared.checkpointer.wait(shared.checkpointer.current());
        }
    }

    /// As [`writer`](Store::writer), but `None` where that would wait.
    ///
    /// # Errors
    /// As [`writer`](Store::writer).
    pub fn try_writer(&self) -> Result<Option<Writer<'_>>> {
        self.handle.shared.try_writer(false)
    }

    /// As [`try_writer`](Store::try_writer), for one operation that reads little. Taking a snapshot may wait for
    /// it: what it commits is published by whoever next wants to see it, so that a row of such
    /// operations needn't copy what nobody looks at.
    ///
    /// # Errors
    /// As [`writer`](Store::writer).
    pub fn try_brief_writer(&self) -> Result<Option<Writer<'_>>> {
        self.handle.shared.try_writer(true)
    }

    /// Sequence number of the newest published operation.
    pub fn last(&self) -> Seq {
        self.handle.shared.last.load(Ordering::Acquire)
    }

    /// Everything up to this sequence number was handed to the operating system.
    pub fn written(&self) -> Seq {
        self.handle.shared.log.written.mark()
    }

    /// Everything up to this sequence number survives a power cut.
    pub fn durable(&self) -> Seq {
        self.handle.shared.log.durable()
    }

    /// Every change from this sequence number on is still in the history.
    pub fn oldest(&self) -> Seq {
        self.handle.shared.log.oldest()
    }

    /// Blocks until `seq` was handed to the operating system; it then survives the death of this
    /// process, not of the machine.
    ///
    /// # Errors
    /// As [`wait_durable`](Store::wait_durable).
    pub fn wait_written(&self, seq: Seq) -> Result<()> {
        self.handle.shared.refuse_own(seq)?;
        self.handle.shared.log.wait_written(seq)
    }

    /// Blocks until `seq` is durable; false when `deadline` came first.
    ///
    /// # Errors
    /// [`Poisoned`](crate::ErrorKind::Poisoned) when it may never become durable,
    /// [`WriterHeld`](crate::ErrorKind::WriterHeld) when there is no deadline and it is what this
    /// thread's own [`Writer`] has not published yet, [`Closed`](crate::ErrorKind::Closed).
    pub fn wait_durable(&self, seq: Seq, deadline: Option<Instant>) -> Result<bool> {
        if deadline.is_none() {
            self.handle.shared.refuse_own(seq)?;
        }
        self.handle.shared.log.wait_durable(seq, deadline)
    }

    /// Whether `seq` is durable. When it isn't, `waker` is woken once it is, or once the store is
    /// poisoned or closed. Polling again with the same waker replaces its registration; call
    /// [`forget_durable`](Store::forget_durable) when the wait is given up.
    ///
    /// # Errors
    /// As [`wait_durable`](Store::wait_durable).
    pub fn poll_durable(&self, seq: Seq, waker: &Waker) -> Result<bool> {
        self.handle.shared.log.durable.poll(seq, waker)
    }

    /// Takes back the registration of a [`poll_durable`](Store::poll_durable).
    pub fn forget_durable(&self, seq: Seq, waker: &Waker) {
        self.handle.shared.log.durable.forget(seq, waker);
    }

    /// The durable operations with `seq >= from`, oldest first, going on as more become durable.
    ///
    /// # Errors
    /// [`HistoryLost`](crate::ErrorKind::HistoryLost) when `from` is older than
    /// [`oldest`](Store::oldest).
    pub fn history(&self, from: Seq) -> Result<History> {
        History::new(Arc::clone(&self.handle.shared.log), from)
    }

    /// Figures for monitoring.
    pub fn stats(&self) -> Stats {
        self.handle.shared.stats()
    }

    /// Reads everything: the checksum of every value in the tree and of every record of the log.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) at the first damage.
    pub fn verify(&self) -> Result<Report> {
        self.handle.shared.verify()
    }

    /// Moves everything published so far into the tree and waits until that is done. Happens by
    /// itself as memory fills. Waits for a writer held by another thread; what a held writer has
    /// committed is not published, so a checkpoint asked for by its own thread could never end
    /// and is refused.
    ///
    /// ```
    /// # use headwater_store::{ErrorKind, Options, Store};
    /// # fn main() -> headwater_store::Result<()> {
    /// let store = Store::in_memory(Options::default());
    /// let writer = store.writer()?;
    /// assert_eq!(store.checkpoint().unwrap_err().kind(), ErrorKind::WriterHeld);
    /// drop(writer);
    /// store.checkpoint()?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`writer`](Store::writer).
    pub fn checkpoint(&self) -> Result<()> {
        let shared = &*self.handle.shared;
        shared.holder.refuse("a checkpoint")?;
        shared.log.poison.check()?;
        let ticket = shared.checkpointer.request();
        shared.checkpointer.wait(ticket);
        shared.log.poison.check()
    }

    /// Makes everything durable, moves it into the tree and stops. Other handles get
    /// [`Closed`](crate::ErrorKind::Closed) from then on; snapshots stay readable.
    ///
    /// # Errors
    /// [`Poisoned`](crate::ErrorKind::Poisoned) when a write failed;
    /// [`WriterHeld`](crate::ErrorKind::WriterHeld) when this thread still holds a writer (of
    /// another handle), and the store stays open.
    pub fn close(self) -> Result<()> {
        self.handle.close()
    }
}

impl Handle {
    fn spawn(&self, name: &str, run: fn(Arc<Shared>)) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || run(shared));
        let thread =
            thread.map_err(|error| Error::io("starting thread", Path::new(name), error))?;
        lock(&self.threads).push(thread);
        Ok(())
    }

    fn close(&self) -> Result<()> {
        let shared = &*self.shared;
        shared.holder.refuse("closing")?;
        let threads = std::mem::take(&mut *lock(&self.threads));
        let ended = shared.log.poison.check();
        if threads.is_empty() {
            return ended;
        }
        if ended.is_ok() && shared.log.is_threaded() {
            let ticket = shared.checkpointer.request();
            shared.checkpointer.wait(ticket);
        }
        let result = shared.log.poison.check();
        shared.log.poison.close();
        // A writer that was let in before comes out before the log is stopped.
        drop(lock(&shared.writer));
        shared.checkpointer.stop();
        shared.log.stop();
        for thread in threads {
            let _ = thread.join();
        }
        shared.log.release();
        result
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let _ = self.close();
    }
}

impl Shared {
    fn try_writer(&self, brief: bool) -> Result<Option<Writer<'_>>> {
        self.log.poison.check()?;
        let state = match self.writer.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(state)) => state.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(None),
        };
        self.check_whole(&state)?;
        let full = self.is_full(&state);
        Ok((!full).then(|| Writer::new(self, state, brief)))
    }

    fn snapshot(&self) -> Result<Snapshot> {
        if self.ahead.load(Ordering::Acquire) {
            self.holder.refuse("a snapshot")?;
            let mut state = lock(&self.writer);
            if self.ahead.load(Ordering::Relaxed) {
                state.eager = EAGER_WRITERS;
                self.publish(&state);
            }
        }
        loop {
            let view = Arc::clone(&lock(&self.view));
            let tree = self.tree.reader()?;
            // The tree only moves on while an overlay covers what is applied; a view from before
            // that overlay was frozen must not be paired with a later tree.
            if self.epoch.load(Ordering::SeqCst) == view.epoch {
                return Ok(Snapshot::new(view, tree));
            }
        }
    }

    /// Makes the writer's state visible to new snapshots.
    pub(crate) fn publish(&self, state: &WriterState) {
        let view = Arc::new(View {
            active: state.active.clone(),
            frozen: state.frozen.clone(),
            epoch: self.epoch.load(Ordering::SeqCst),
            last: state.last,
        });
        let old = std::mem::replace(&mut *lock(&self.view), view);
        self.last.store(state.last, Ordering::Release);
        self.ahead.store(false, Ordering::Release);
        drop(old);
    }

    /// Leaves it to the next reader to publish the writer's state, unless readers were there lately.
    pub(crate) fn publish_for_readers(&self, state: &mut WriterState) {
        match state.eager.checked_sub(1) {
            Some(left) => {
                state.eager = left;
                self.publish(state);
            }
            None => {
                self.last.store(state.last, Ordering::Release);
                self.ahead.store(true, Ordering::Release);
            }
        }
    }

    /// Publishes what was left to readers, before a writer that may keep them waiting.
    pub(crate) fn publish_ahead(&self, state: &WriterState) {
        if self.ahead.load(Ordering::Relaxed) {
            self.publish(state);
        }
    }

    fn publish_next_epoch(&self, state: &WriterState) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        self.publish(state);
    }

    /// Sets the active overlay aside for a checkpoint; `None` when it has nothing new.
    pub(crate) fn freeze(&self, applied: Seq) -> Option<(Overlay, Applied)> {
        let mut state = lock(&self.writer);
        if state.active.last() <= applied {
            return None;
        }
        let frozen = std::mem::replace(&mut state.active, Overlay::new());
        state.frozen = Some(frozen.clone());
        state.half_full = false;
        self.publish_next_epoch(&state);
        let applied = Applied { seq: frozen.last(), place: state.appender.place() };
        Some((frozen, applied))
    }

    /// Drops the frozen overlay: the tree has it all.
    pub(crate) fn unfreeze(&self) {
        let mut state = lock(&self.writer);
        let frozen = state.frozen.take();
        self.publish_next_epoch(&state);
        drop(state);
        drop(frozen);
    }

    /// Asks for a checkpoint when it is time for one.
    pub(crate) fn checkpoint_when_full(&self) {
        self.request_when_full(&mut lock(&self.writer));
    }

    /// Half of the memory filled is when; three quarters while a snapshot from before that moment
    /// is held, since every checkpoint then adds the pages it replaces to the tree's file.
    pub(crate) fn request_when_full(&self, state: &mut WriterState) {
        let (bytes, max) = (state.active.bytes(), self.options.memory_bytes_max);
        if state.frozen.is_some() || bytes < max / 2 {
            return;
        }
        if !std::mem::replace(&mut state.half_full, true) {
            self.tree.begin_era();
        }
        if bytes >= max / 4 * 3 || !self.tree.holds_earlier() {
            self.checkpointer.request();
        }
    }

    /// Refuses to let a writer wait for what it has not published.
    fn refuse_own(&self, seq: Seq) -> Result<()> {
        match self.holder.is_here() && seq > self.last.load(Ordering::Acquire) {
            true => self.holder.refuse("waiting for an operation that isn't published"),
            false => Ok(()),
        }
    }

    fn is_full(&self, state: &WriterState) -> bool {
        let frozen = state.frozen.as_ref().map_or(0, Overlay::bytes);
        state.active.bytes() + frozen >= self.options.memory_bytes_max
    }

    /// Refuses to go on after a panic in the middle of a commit.
    fn check_whole(&self, state: &WriterState) -> Result<()> {
        if state.committing {
            self.log.poison(&Error::corrupt("a writer panicked in the middle of a commit"));
        }
        self.log.poison.check()
    }

    fn stats(&self) -> Stats {
        let view = Arc::clone(&lock(&self.view));
        let segments = self.log.segments();
        let (tree_bytes, map_bytes) = match &self.tree {
            Tree::Lmdb(tree) => (tree.file_bytes(), tree.map_bytes()),
            Tree::Map(_) => (0, 0),
        };
        Stats {
            last: self.last.load(Ordering::Acquire),
            written: self.log.written.mark(),
            durable: self.log.durable(),
            applied: self.checkpointer.applied(),
            oldest: self.log.oldest(),
            active_bytes: view.active.bytes() as u64,
            frozen_bytes: view.frozen.as_ref().map_or(0, Overlay::bytes) as u64,
            overlay_entries: (view.active.entries()
                + view.frozen.as_ref().map_or(0, Overlay::entries))
                as u64,
            log_segments: segments.len() as u64,
            log_bytes: segments.iter().map(|segment| segment.size).sum(),
            tree_bytes,
            map_bytes,
            syncs: self.log.syncs(),
            checkpoints: self.checkpointer.completed(),
            replayed: self.replayed,
            poisoned: self.log.poison.is_poisoned(),
        }
    }

    fn verify(&self) -> Result<Report> {
        let mut report = Report::default();
        if let TreeReader::Lmdb(reader) = self.tree.reader()? {
            for table in 0..TABLES {
                report.tree_values += reader.verify(Table(table as u8))?;
            }
        }
        (report.log_records, report.log_changes) = loop {
            match self.verify_log() {
                // Retention overtook the reading; what is left is read again.
                Err(error) if error.kind() == ErrorKind::HistoryLost => {}
                result => break result?,
            }
        };
        Ok(report)
    }

    /// Records of the log and their changes.
    fn verify_log(&self) -> Result<(u64, u64)> {
        let mut history = History::new(Arc::clone(&self.log), self.log.oldest())?;
        let (mut records, mut changes) = (0, 0);
        while let Some(record) = history.next()? {
            records += 1;
            changes += record.changes().count() as u64;
        }
        Ok((records, changes))
    }
}
