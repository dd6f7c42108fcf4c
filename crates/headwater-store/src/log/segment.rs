//! One segment file of the log: its header, how far it is filled, and a sparse index from sequence
//! numbers to offsets. Layout in docs/format.md.

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
            && header.segment == number;
        valid.then_some(header)
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
    pub(crate) records: u64,
    /// Sequence number of the last record, or the header's `previous` when there is none.
    pub(crate) last: Seq,
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

    /// A segment of an earlier run; `None` when it has no valid header.
    pub(crate) fn found(path: &Path, number: u64, file: Box<dyn File>) -> Result<Option<Segment>> {
        let failed = |error| Error::io("reading", path, error);
        let mut bytes = [0; HEADER];
        if read_full(&*file, &mut bytes, 0).map_err(failed)? < HEADER {
            return Ok(None);
        }
        let Some(header) = Header::decode(&bytes, number) else { return Ok(None) };
        let size = file.length().map_err(failed)?;
        let segment = Segment::begun(header, path.to_path_buf(), file, size);
        segment.scanned.store(false, Ordering::Relaxed);
        Ok(Some(segment))
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
            self.scan(|_| {})?;
        }
        Ok(())
    }

    /// Reads every record up to the first that isn't one, and remembers where they are.
    pub(crate) fn scan(&self, mut each: impl FnMut(&RawRecord<'_>)) -> Result<Scanned> {
        let mut reader = RecordReader::new(HEADER as u64);
        let mut found = Scanned { records: 0, last: self.header.previous, end: HEADER as u64 };
        let mut marks: Vec<Mark> = Vec::new();
        let size = self.file.length().map_err(|error| Error::io("reading", &self.path, error))?;
        while let Some(record) = reader.next(self, size)? {
            if record.seq <= found.last && (found.records > 0 || found.last > 0) {
                break;
            }
            if marks.last().is_none_or(|mark| found.end - mark.offset >= MARK_EVERY) {
                marks.push(Mark { seq: record.seq, offset: found.end });
            }
            found.records += 1;
            found.last = record.seq;
            found.end += record.length as u64;
            each(&record);
        }
        let mut known = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.scanned.load(Ordering::Relaxed) {
            *known = marks;
            self.end.store(found.end, Ordering::Release);
            self.scanned.store(true, Ordering::Release);
        }
        Ok(found)
    }
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

    /// Goes back to a record that was read before.
    pub(crate) fn rewind(&mut self, offset: u64) {
        self.offset = offset;
    }

    /// The next record that ends at or before `limit`, or `None` when there is none.
    pub(crate) fn next(&mut self, segment: &Segment, limit: u64) -> Result<Option<RawRecord<'_>>> {
        let mut wanted = record::RECORD_HEADER;
        loop {
            if self.offset + wanted as u64 > limit {
                return Ok(None);
            }
            match self.peek(segment.number()) {
                Ok(_) => break,
                Err(Unreadable::Invalid) => return Ok(None),
                Err(Unreadable::Needs(bytes)) => {
                    wanted = wanted.max(bytes);
                    if self.offset + wanted as u64 > limit || !self.fill(segment, limit, wanted)? {
                        return Ok(None);
                    }
                }
            }
        }
        let at = (self.offset - self.start) as usize;
        let bytes = self.window.get(at..).unwrap_or_default();
        let found = record::decode(bytes, segment.number()).ok();
        self.offset += found.map_or(0, |record| record.length as u64);
        Ok(found)
    }

    fn peek(&self, segment: u64) -> Result<usize, Unreadable> {
        let at = self.offset.checked_sub(self.start).map(|at| at as usize);
        let bytes = at.and_then(|at| self.window.get(at..)).unwrap_or_default();
        record::decode(bytes, segment).map(|record| record.length)
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
