//! The log's files: pending chunks are written by whoever takes them first and made durable by one
//! sync thread, so that one sync acknowledges everything written before it. In-memory stores use
//! the same code over files in memory, without the thread.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::appender::Chunk;
use super::recovery::Start;
use super::segment::{self, Header, Segment};
use crate::io::{Io, write_full};
use crate::poison::Poison;
use crate::waits::Waits;
use crate::{Error, ErrorKind, Result, Seq};

const BUFFER_KEEP_BYTES: usize = 4 << 20;
/// The longest that a sync waits for writers to join it.
const GATHER_MAX: Duration = Duration::from_millis(1);

pub(crate) struct Log {
    io: Arc<dyn Io>,
    folder: PathBuf,
    segment_bytes: u64,
    retention: Retention,
    pub(crate) poison: Arc<Poison>,
    pending: Mutex<Pending>,
    work: Condvar,
    writing: Mutex<Option<Arc<Segment>>>,
    segments: Mutex<VecDeque<Arc<Segment>>>,
    pub(crate) written: Waits,
    pub(crate) durable: Waits,
    syncs: AtomicU64,
    /// Without a sync thread, writers write and "sync" themselves: files in memory.
    threaded: bool,
    one_processor: bool,
}

/// How much history is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retention {
    pub(crate) bytes: u64,
    pub(crate) age: Option<Duration>,
}

#[derive(Default)]
struct Pending {
    chunks: VecDeque<Chunk>,
    /// Emptied buffers for reuse.
    spare: Vec<u8>,
    idle: bool,
    closing: bool,
    /// Writers that have handed something over since the last sync began.
    writers: usize,
    /// How many of them the sync thread waits for; 0 when it doesn't.
    awaited: usize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Log {
    pub(crate) fn new(
        io: Arc<dyn Io>,
        folder: PathBuf,
        segment_bytes: u64,
        retention: Retention,
        threaded: bool,
        start: Start,
    ) -> Log {
        let poison = Arc::new(Poison::new());
        Log {
            io,
            folder,
            segment_bytes,
            retention,
            pending: Mutex::default(),
            work: Condvar::new(),
            writing: Mutex::new(None),
            segments: Mutex::new(start.segments),
            written: Waits::new(start.last, Arc::clone(&poison)),
            durable: Waits::new(start.last, Arc::clone(&poison)),
            poison,
            syncs: AtomicU64::new(0),
            threaded,
            one_processor: thread::available_parallelism().is_ok_and(|count| count.get() == 1),
        }
    }

    pub(crate) fn durable(&self) -> Seq {
        self.durable.mark()
    }

    pub(crate) fn is_threaded(&self) -> bool {
        self.threaded
    }

    pub(crate) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    /// Takes chunks over for writing; gives an empty buffer back.
    pub(crate) fn submit(&self, chunks: impl Iterator<Item = Chunk>) -> Vec<u8> {
        let (spare, wake) = {
            let mut pending = lock(&self.pending);
            for chunk in chunks.filter(|chunk| !chunk.bytes.is_empty()) {
                pending.push(chunk);
            }
            pending.writers += 1;
            let all = pending.awaited != 0 && pending.writers >= pending.awaited;
            let wake = std::mem::take(&mut pending.idle) || all;
            (std::mem::take(&mut pending.spare), wake)
        };
        if !self.threaded {
            let _ = self.flush();
        } else if wake {
            self.work.notify_one();
        }
        spare
    }

    /// Blocks until `seq` is written, writing it on this thread when nobody else has yet.
    pub(crate) fn wait_written(&self, seq: Seq) -> Result<()> {
        while self.written.mark() < seq {
            self.poison.check_writes()?;
            let mut writing = lock(&self.writing);
            if self.written.mark() >= seq {
                break;
            }
            if !self.write_pending(&mut writing)? {
                drop(writing);
                self.written.wait(seq, None)?;
            }
        }
        Ok(())
    }

    /// The sync thread: writes and syncs until the log is closed and everything is durable.
    pub(crate) fn run(&self) {
        let (mut before, mut usual) = (0, Duration::ZERO);
        while self.await_work() {
            before = self.gather(before, usual.min(GATHER_MAX));
            let begin = Instant::now();
            if self.flush().is_err() {
                return;
            }
            usual = (usual * 3 + begin.elapsed()) / 4;
        }
    }

    /// Lets writers join the coming sync: those of the one `before` are likely to be back at once, and one sync for all
    /// costs less than two that miss half of them each. Waits no longer than `time`, what a sync
    /// takes. Gives the number that joined.
    fn gather(&self, before: usize, time: Duration) -> usize {
        if before > 1 {
            match self.one_processor {
                true => self.await_writers(before, time),
                false => self.give_way(time),
            }
        }
        std::mem::take(&mut lock(&self.pending).writers)
    }

    /// Where there is one processor, the writers need it: waiting for them costs nothing.
    fn await_writers(&self, before: usize, time: Duration) {
        let mut pending = lock(&self.pending);
        let wanted = before + pending.writers.saturating_sub(1);
        pending.awaited = wanted;
        let missing = |pending: &mut Pending| pending.writers < wanted && !pending.closing;
        pending = self
            .work
            .wait_timeout_while(pending, time, missing)
            .map_or_else(|poisoned| poisoned.into_inner().0, |(pending, _)| pending);
        pending.awaited = 0;
    }

    /// Where there are several, one of them may be idle: goes on as soon as giving way brings no writer.
    fn give_way(&self, time: Duration) {
        let begin = Instant::now();
        let mut joined = 0;
        loop {
            let writers = lock(&self.pending).writers;
            if writers == joined || begin.elapsed() > time {
                return;
            }
            joined = writers;
            thread::yield_now();
        }
    }

    /// Lets the sync thread end once everything pending is durable.
    pub(crate) fn stop(&self) {
        lock(&self.pending).closing = true;
        self.work.notify_one();
    }

    /// Wakes every waiter to see that the store has ended.
    pub(crate) fn release(&self) {
        self.written.release();
        self.durable.release();
    }

    /// Ends the store because of `error`.
    pub(crate) fn poison(&self, error: &Error) {
        self.poison.poison(error);
        self.release();
    }

    fn await_work(&self) -> bool {
        let mut pending = lock(&self.pending);
        loop {
            if !pending.chunks.is_empty() || self.written.mark() > self.durable.mark() {
                pending.idle = false;
                return true;
            }
            if pending.closing {
                return false;
            }
            pending.idle = true;
            pending = self.work.wait(pending).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Writes what is pending and makes it durable.
    fn flush(&self) -> Result<()> {
        let result = self.write_and_sync();
        if let Err(error) = &result {
            self.poison(error);
        }
        result
    }

    fn write_and_sync(&self) -> Result<()> {
        self.poison.check_writes()?;
        let (segment, written) = {
            let mut writing = lock(&self.writing);
            self.write_pending(&mut writing)?;
            (writing.clone(), self.written.mark())
        };
        if let Some(segment) = segment
            && written > self.durable.mark()
        {
            self.sync(&segment)?;
            self.durable.reach(written);
        }
        Ok(())
    }

    fn sync(&self, segment: &Segment) -> Result<()> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        segment.file.sync().map_err(|error| Error::io("syncing", &segment.path, error))
    }

    /// Appends every pending chunk to its segment; false when there was none. The caller holds the
    /// writing lock, which keeps chunks in order.
    fn write_pending(&self, writing: &mut Option<Arc<Segment>>) -> Result<bool> {
        let chunks = std::mem::take(&mut lock(&self.pending).chunks);
        let any = !chunks.is_empty();
        for chunk in chunks {
            if let Err(error) = self.write_chunk(writing, chunk) {
                self.poison(&error);
                return Err(error);
            }
        }
        Ok(any)
    }

    fn write_chunk(&self, writing: &mut Option<Arc<Segment>>, chunk: Chunk) -> Result<()> {
        self.poison.check_writes()?;
        let segment = match writing {
            Some(segment) if segment.number() == chunk.segment => Arc::clone(segment),
            _ => self.begin_segment(writing, &chunk)?,
        };
        let Chunk { offset, mut bytes, marks, last, .. } = chunk;
        write_full(&*segment.file, &bytes, offset)
            .map_err(|error| Error::io("appending to", &segment.path, error))?;
        segment.extend(offset + bytes.len() as u64, marks);
        self.written.reach(last);
        if bytes.capacity() <= BUFFER_KEEP_BYTES {
            bytes.clear();
            lock(&self.pending).spare = bytes;
        }
        Ok(())
    }

    /// Goes on to the next segment. The one before is synced first, so that a segment with a valid
    /// header proves that everything before it is complete.
    fn begin_segment(
        &self,
        writing: &mut Option<Arc<Segment>>,
        chunk: &Chunk,
    ) -> Result<Arc<Segment>> {
        if let Some(full) = writing.as_deref() {
            self.sync(full)?;
        }
        let path = segment::path(&self.folder, chunk.segment);
        let failed = |error| Error::io("beginning log segment", &path, error);
        let size = self.segment_bytes.max(chunk.offset + chunk.bytes.len() as u64);
        let spare = self.spare_path();
        match self.io.rename(&spare, &path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed(error));
            }
            Ok(()) | Err(_) => {}
        }
        let file = self.io.open(&path, true).map_err(failed)?;
        file.allocate(size).map_err(failed)?;
        // The name is durable before the content changes: else a power cut could bring a recycled
        // file back under its old name with the new content.
        self.io.sync_folder(&self.folder).map_err(failed)?;
        let (number, previous) = (chunk.segment, chunk.previous);
        let base = segment::base_after(previous)
            .ok_or_else(|| Error::corrupt("sequence numbers ended"))?;
        let header = Header { segment: number, base, previous, created_ms: now_ms() };
        write_full(&*file, &header.encode(), 0).map_err(failed)?;
        let segment = Arc::new(Segment::begun(header, path.clone(), file, size));
        lock(&self.segments).push_back(Arc::clone(&segment));
        *writing = Some(Arc::clone(&segment));
        Ok(segment)
    }

    fn spare_path(&self) -> PathBuf {
        self.folder.join("spare")
    }

    /// Lets go of the oldest segments that neither recovery (`applied`) nor retention needs.
    pub(crate) fn retire(&self, applied: Seq) -> Result<()> {
        while let Some(old) = self.pop_retired(applied) {
            let failed = |error| Error::io("recycling log segment", &old.path, error);
            // A history that still reads the file keeps it open; it must not be overwritten then.
            let unread = Arc::strong_count(&old) == 1;
            match unread && old.size == self.segment_bytes && self.threaded {
                true => self.io.rename(&old.path, &self.spare_path()).map_err(failed)?,
                false => self.io.remove(&old.path).map_err(failed)?,
            }
        }
        Ok(())
    }

    fn pop_retired(&self, applied: Seq) -> Option<Arc<Segment>> {
        let mut segments = lock(&self.segments);
        let total: u64 = segments.iter().map(|segment| segment.size).sum();
        let next = segments.get(1)?.header;
        let too_much = total > self.retention.bytes;
        let too_old = self.retention.age.is_some_and(|age| {
            u128::from(now_ms().saturating_sub(next.created_ms)) > age.as_millis()
        });
        let needed = next.previous > applied || next.previous > self.durable();
        (!needed && (too_much || too_old)).then(|| segments.pop_front())?
    }

    /// Every change from this sequence number on is still there.
    pub(crate) fn oldest(&self) -> Seq {
        lock(&self.segments).front().map_or(0, |segment| segment.header.base)
    }

    /// The segment that holds `seq`, or will.
    pub(crate) fn segment_of(&self, seq: Seq) -> Result<Option<Arc<Segment>>> {
        let segments = lock(&self.segments);
        let after = segments.partition_point(|segment| segment.header.base <= seq);
        match after.checked_sub(1).and_then(|at| segments.get(at)) {
            Some(segment) => Ok(Some(Arc::clone(segment))),
            None if segments.is_empty() => Ok(None),
            None => Err(history_lost(seq)),
        }
    }

    /// The segment after `number`, when it was begun.
    pub(crate) fn segment_after(&self, number: u64) -> Result<Option<Arc<Segment>>> {
        let segments = lock(&self.segments);
        match segments.iter().find(|segment| segment.number() > number) {
            Some(segment) if segment.number() == number + 1 => Ok(Some(Arc::clone(segment))),
            Some(segment) => Err(history_lost(segment.header.previous)),
            None => Ok(None),
        }
    }

    /// All segments, oldest first.
    pub(crate) fn segments(&self) -> Vec<Arc<Segment>> {
        lock(&self.segments).iter().cloned().collect()
    }

    pub(crate) fn wait_durable(&self, seq: Seq, deadline: Option<Instant>) -> Result<bool> {
        self.durable.wait(seq, deadline)
    }
}

impl Pending {
    /// Queues a chunk, joined to the one before when it continues it.
    fn push(&mut self, mut chunk: Chunk) {
        if let Some(before) = self.chunks.back_mut()
            && before.segment == chunk.segment
        {
            before.bytes.extend_from_slice(&chunk.bytes);
            before.marks.append(&mut chunk.marks);
            before.last = chunk.last;
            chunk.bytes.clear();
            self.spare = chunk.bytes;
            return;
        }
        self.chunks.push_back(chunk);
    }
}

#[cold]
fn history_lost(seq: Seq) -> Error {
    Error::new(ErrorKind::HistoryLost, format!("the history at {seq} was recycled"))
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}
