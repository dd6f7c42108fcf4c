//! One segment file of the log: its header, how far it is filled, and a sparse index from sequence
//! numbers to offsets. Layout in docs/format.md.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::record::{self, RawRecord, Unreadable};
use crate::io::{File, read_full};
use crate::{Error, Result, Seq};

pub(crate) const HEADER: usize = 64;
const MAGIC: &[u8; 8] = b"HEADWLOG";
const VERSION: u32 = 1;
/// Bytes between two entries of the sparse index.
pub(crate) const MARK_EVERY: u64 = 64 << 10;
const WINDOW: usize = 256 << 10;
/// How far behind an unreadable record later ones are looked for.
const SEARCH: usize = 256 << 10;

/// What a segment's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) segment: u64,
    /// No record in it is older.
    pub(crate) base: Seq,
    /// The last record of the segment before.
    pub(crate) previous: Seq,
    /// Milliseconds since 1970 when it was begun.
    pub(crate) created_ms: u64,
}

impl Header {
    pub(crate) fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&(HEADER as u32).to_le_bytes());
        let words = [self.segment, self.base, self.previous, self.created_ms];
        for (room, word) in bytes[16..48].chunks_exact_mut(8).zip(words) {
            room.copy_from_slice(&word.to_le_bytes());
        }
        let sum = crc32c::crc32c(&bytes[..HEADER - 4]);
        bytes[HEADER - 4..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// `None` when the bytes are no header of segment `number`.
    pub(crate) fn decode(bytes: &[u8; HEADER], number: u64) -> Option<Header> {
        let (body, sum) = bytes.split_last_chunk::<4>()?;
        let word = |at: usize| Some(u64::from_le_bytes(*body.get(at..)?.first_chunk()?));
        let header = Header {
            segment: word(16)?,
            base: word(24)?,
            previous: word(32)?,
            created_ms: word(40)?,
        };
        let valid = body.starts_with(MAGIC)
            && body.get(8..12)? == VERSION.to_le_bytes()
            && crc32c::crc32c(body) == u32::from_le_bytes(*sum)
            && header.segment == number
            && Some(header.base) == base_after(header.previous);
        valid.then_some(header)
    }
}

/// The base of a segment that follows the record `previous`; `None` when no record can follow.
pub(crate) fn base_after(previous: Seq) -> Option<Seq> {
    match previous {
        0 => Some(0),
        Seq::MAX => None,
        previous => Some(previous + 1),
    }
}

/// Where a record starts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    pub(crate) seq: Seq,
    pub(crate) offset: u64,
}

pub(crate) struct Segment {
    pub(crate) header: Header,
    pub(crate) path: PathBuf,
    pub(crate) file: Box<dyn File>,
    /// Bytes reserved on disk.
    pub(crate) size: u64,
    /// End of the records written so far.
    end: AtomicU64,
    marks: Mutex<Vec<Mark>>,
    /// Whether `end` and `marks` are known: not yet for segments of earlier runs.
    scanned: AtomicBool,
}

/// The end of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scanned {
    /// Sequence number of the last record, or what it was before when there is none.
    pub(crate) last: Seq,
    /// Where the last record starts.
    pub(crate) last_at: Option<u64>,
    pub(crate) end: u64,
}

pub(crate) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:016x}.log"))
}

pub(crate) fn number(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?.strip_suffix(".log")?;
    (name.len() == 16).then(|| u64::from_str_radix(name, 16).ok())?
}

impl Segment {
    /// A segment just begun by this process.
    pub(crate) fn begun(header: Header, path: PathBuf, file: Box<dyn File>, size: u64) -> Segment {
        let end = AtomicU64::new(HEADER as u64);
        let (marks, scanned) = (Mutex::new(Vec::new()), AtomicBool::new(true));
        Segment { header, path, file, size, end, marks, scanned }
    }

    /// A segment of an earlier run, and whether its header is valid.
    pub(crate) fn found(path: &Path, number: u64, file: Box<dyn File>) -> Result<(Segment, bool)> {
        let failed = |error| Error::io("reading", path, error);
        let mut bytes = [0; HEADER];
        read_full(&*file, &mut bytes, 0).map_err(failed)?;
        let size = file.length().map_err(failed)?;
        let header = Header::decode(&bytes, number);
        let nothing = Header { segment: number, base: 0, previous: 0, created_ms: 0 };
        let path = path.to_path_buf();
        let segment = Segment::begun(header.unwrap_or(nothing), path, file, size);
        segment.scanned.store(false, Ordering::Relaxed);
        Ok((segment, header.is_some()))
    }

    pub(crate) fn number(&self) -> u64 {
        self.header.segment
    }

    /// End of the records written so far.
    pub(crate) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    /// Makes records up to `end` readable.
    pub(crate) fn extend(&self, end: u64, marks: impl IntoIterator<Item = Mark>) {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner).extend(marks);
        self.end.store(end, Ordering::Release);
    }

    /// An offset at or before the first record with `seq` or more.
    pub(crate) fn seek(&self, seq: Seq) -> Result<u64> {
        self.ensure_scanned()?;
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let after = marks.partition_point(|mark| mark.seq <= seq);
        let mark = after.checked_sub(1).and_then(|at| marks.get(at));
        Ok(mark.map_or(HEADER as u64, |mark| mark.offset))
    }

    /// Finds the records of a segment of an earlier run, once.
    pub(crate) fn ensure_scanned(&self) -> Result<()> {
        if !self.scanned.load(Ordering::Acquire) {
            self.scan()?;
        }
        Ok(())
    }

    /// Reads every record up to the first that isn't one, and remembers where they are.
    fn scan(&self) -> Result<()> {
        let mut marks: Vec<Mark> = Vec::new();
        let found = self.read_from(HEADER as u64, self.header.previous, |at, record| {
            if marks.last().is_none_or(|mark| at - mark.offset >= MARK_EVERY) {
                marks.push(Mark { seq: record.seq, offset: at });
            }
        })?;
        let mut known = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.scanned.load(Ordering::Relaxed) {
            *known = marks;
            self.end.store(found.end, Ordering::Release);
            self.scanned.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Reads the records from `offset` on, which follow `last`, up to the first that isn't one.
    pub(crate) fn read_from(
        &self,
        offset: u64,
        last: Seq,
        mut each: impl FnMut(u64, &RawRecord<'_>),
    ) -> Result<Scanned> {
        let mut reader = RecordReader::new(offset);
        let mut found = Scanned { last, last_at: None, end: offset };
        let limit = self.file.length().map_err(|error| Error::io("reading", &self.path, error))?;
        while let Some(located) = reader.locate(self, limit)? {
            let record = reader.record(&located);
            if record.seq <= found.last {
                break;
            }
            each(located.offset, &record);
            found.last = record.seq;
            found.last_at = Some(located.offset);
            found.end = located.offset + located.length as u64;
            reader.pass(&located);
        }
        Ok(found)
    }

    /// Whether a record behind `end` proves that something after `last` was durable, so that what
    /// is unreadable at `end` is damage and not the torn end of what was never acknowledged.
    pub(crate) fn proves_loss(&self, end: u64, last: Seq) -> Result<bool> {
        let mut window = vec![0; SEARCH];
        let read = read_full(&*self.file, &mut window, end);
        let read = read.map_err(|error| Error::io("reading", &self.path, error))?;
        window.truncate(read);
        let length = window.first_chunk::<4>().map_or(0, |length| u32::from_le_bytes(*length));
        let declared = end + record::framed(length as usize) as u64;
        let mut reader = RecordReader::new(declared);
        if let Some(located) = reader.locate(self, self.size)? {
            let record = reader.record(&located);
            if record.seq > last && record.durable > last {
                return Ok(true);
            }
        }
        let mut budget = SEARCH * 16;
        for at in (0..window.len()).step_by(record::ALIGNMENT) {
            let bytes = window.get(at..).unwrap_or_default();
            let Some(spent) = record::plausible(bytes, last) else { continue };
            budget = budget.saturating_sub(spent);
            if budget == 0 {
                break;
            }
            let found = record::decode(bytes, self.number());
            if found.is_ok_and(|record| record.seq > last && record.durable > last) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// A record found in a reader's window.
#[derive(Debug, Clone)]
pub(crate) struct Located {
    pub(crate) offset: u64,
    pub(crate) seq: Seq,
    pub(crate) durable: Seq,
    pub(crate) length: usize,
    changes: Range<usize>,
    event: Range<usize>,
}

/// Reads records one after the other through a window.
pub(crate) struct RecordReader {
    window: Vec<u8>,
    start: u64,
    offset: u64,
}

impl RecordReader {
    pub(crate) fn new(offset: u64) -> RecordReader {
        RecordReader { window: Vec::new(), start: offset, offset }
    }

    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The record at the offset when it ends at or before `limit`; `None` when there is none.
    pub(crate) fn locate(&mut self, segment: &Segment, limit: u64) -> Result<Option<Located>> {
        let mut wanted = record::RECORD_HEADER;
        loop {
            if self.offset.saturating_add(wanted as u64) > limit {
                return Ok(None);
            }
            let at = (self.offset - self.start) as usize;
            let known = limit.saturating_sub(self.start).min(self.window.len() as u64) as usize;
            let bytes = self.window.get(at..known).unwrap_or_default();
            match record::decode(bytes, segment.number()) {
                Ok(record) => {
                    let changes = at + record::CHANGES_AT;
                    let event = changes + record.changes.len();
                    return Ok(Some(Located {
                        offset: self.offset,
                        seq: record.seq,
                        durable: record.durable,
                        length: record.length,
                        changes: changes..event,
                        event: event..event + record.event.len(),
                    }));
                }
                Err(Unreadable::Invalid) => return Ok(None),
                Err(Unreadable::Needs(bytes)) => {
                    wanted = wanted.max(bytes);
                    if self.offset.saturating_add(wanted as u64) > limit
                        || !self.fill(segment, limit, wanted)?
                    {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// The record that was just located.
    pub(crate) fn record(&self, located: &Located) -> RawRecord<'_> {
        RawRecord {
            seq: located.seq,
            durable: located.durable,
            changes: self.window.get(located.changes.clone()).unwrap_or_default(),
            event: self.window.get(located.event.clone()).unwrap_or_default(),
            length: located.length,
        }
    }

    /// Moves behind a located record.
    pub(crate) fn pass(&mut self, located: &Located) {
        self.offset = located.offset + located.length as u64;
    }

    /// Reads a window of at least `wanted` bytes from the offset; false when the file is shorter.
    fn fill(&mut self, segment: &Segment, limit: u64, wanted: usize) -> Result<bool> {
        let room = (limit - self.offset).min(wanted.max(WINDOW) as u64) as usize;
        self.window.resize(room, 0);
        self.start = self.offset;
        let read = read_full(&*segment.file, &mut self.window, self.offset);
        let read = read.map_err(|error| Error::io("reading", &segment.path, error))?;
        self.window.truncate(read);
        Ok(read >= wanted)
    }
}
