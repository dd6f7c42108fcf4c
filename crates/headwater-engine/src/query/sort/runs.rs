//! Sorted runs on the disk: what a sort cannot hold in memory. Knows entries of bytes; what they are is the sorter's
//! business.

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Code, Error, Result};

/// Bytes that are read at once of each run.
const READ_BYTES: usize = 64 * 1024;
/// Bytes before each entry: the lengths of key and document, and when the entry came.
const HEAD_BYTES: usize = 16;

/// An entry: what it is compared by, when it came, its document.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    /// The first bytes of the key, which decide nearly always without a look at it.
    head: [u64; 2],
    pub(crate) key: Vec<u8>,
    pub(crate) came: u64,
    pub(crate) doc: Vec<u8>,
}

impl Entry {
    pub(crate) fn new(key: Vec<u8>, came: u64, doc: Vec<u8>) -> Entry {
        let mut head = [0; 16];
        let known = key.len().min(head.len());
        if let (Some(head), Some(key)) = (head.get_mut(..known), key.get(..known)) {
            head.copy_from_slice(key);
        }
        let (first, rest) = head.split_at(8);
        let number = |bytes: &[u8]| bytes.first_chunk().map_or(0, |b| u64::from_be_bytes(*b));
        Entry { head: [number(first), number(rest)], key, came, doc }
    }
}

/// A file of sorted runs, removed when it is no longer needed.
#[derive(Debug)]
pub(crate) struct Runs {
    scratch: Scratch,
    /// Where each run begins; the last one ends where the file does.
    starts: Vec<u64>,
    end: u64,
}

/// The entries of all runs in order.
pub(crate) struct Merge {
    runs: Runs,
    readers: Vec<Reader>,
    /// The next entry of each run that has one, the smallest on top.
    next: BinaryHeap<Reverse<(Entry, usize)>>,
}

/// What went to the disk from this thread, for `explain`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Spilled {
    /// Runs that were written.
    pub(crate) runs: u64,
    /// Entries in them.
    pub(crate) records: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
}

thread_local! {
    static SPILLED: Cell<Spilled> = const { Cell::new(Spilled { runs: 0, records: 0, bytes: 0 }) };
}

impl Spilled {
    /// All that went to the disk from this thread so far.
    pub(crate) fn so_far() -> Spilled {
        SPILLED.get()
    }

    /// What went there behind an earlier moment.
    pub(crate) fn since(self, earlier: Spilled) -> Spilled {
        Spilled {
            runs: self.runs.saturating_sub(earlier.runs),
            records: self.records.saturating_sub(earlier.records),
            bytes: self.bytes.saturating_sub(earlier.bytes),
        }
    }

    /// Both together.
    pub(crate) fn and(self, other: Spilled) -> Spilled {
        Spilled {
            runs: self.runs + other.runs,
            records: self.records + other.records,
            bytes: self.bytes + other.bytes,
        }
    }

    fn note(records: u64, bytes: u64) {
        SPILLED.set(SPILLED.get().and(Spilled { runs: 1, records, bytes }));
    }
}

/// How far one run was read.
struct Reader {
    at: u64,
    end: u64,
    buffer: Vec<u8>,
    used: usize,
}

#[cold]
fn failed(error: &std::io::Error) -> Error {
    let code = match error.kind() {
        std::io::ErrorKind::StorageFull => Code::OUT_OF_DISK_SPACE,
        _ => Code(39),
    };
    Error::new(code, format!("a sort could not use its file: {error}"))
}

impl Runs {
    /// An empty file in a folder, which is made if it is not there.
    ///
    /// # Errors
    /// `FileStreamFailed` (39).
    pub(crate) fn create(folder: &Path) -> Result<Runs> {
        let scratch = Scratch::create(folder)?;
        Ok(Runs { scratch, starts: Vec::new(), end: 0 })
    }

    /// Appends a run: entries in order.
    ///
    /// # Errors
    /// `FileStreamFailed` (39), `OutOfDiskSpace` (14031).
    pub(crate) fn append(&mut self, entries: impl Iterator<Item = Entry>) -> Result<()> {
        let (start, mut records) = (self.end, 0);
        self.write(entries.inspect(|_| records += 1)).map_err(|error| failed(&error))?;
        Spilled::note(records, self.end - start);
        Ok(())
    }

    fn write(&mut self, entries: impl Iterator<Item = Entry>) -> std::io::Result<()> {
        self.starts.push(self.end);
        let mut out = BufWriter::with_capacity(READ_BYTES, &self.scratch.file);
        for entry in entries {
            for part in [entry.key.len(), entry.doc.len()] {
                out.write_all(&(part as u32).to_le_bytes())?;
            }
            out.write_all(&entry.came.to_le_bytes())?;
            out.write_all(&entry.key)?;
            out.write_all(&entry.doc)?;
            self.end += (HEAD_BYTES + entry.key.len() + entry.doc.len()) as u64;
        }
        out.flush()
    }

    /// Reads all runs as one.
    ///
    /// # Errors
    /// `FileStreamFailed` (39).
    pub(crate) fn merge(self) -> Result<Merge> {
        let ends = self.starts.iter().skip(1).copied().chain([self.end]);
        let reader = |(at, end)| Reader { at, end, buffer: Vec::new(), used: 0 };
        let readers = self.starts.iter().copied().zip(ends).map(reader).collect();
        let mut merge = Merge { runs: self, readers, next: BinaryHeap::new() };
        for run in 0..merge.readers.len() {
            merge.advance(run)?;
        }
        Ok(merge)
    }
}

/// A file for what memory has no room for, removed when it is no longer needed.
#[derive(Debug)]
pub(crate) struct Scratch {
    file: File,
    path: PathBuf,
}

impl Scratch {
    /// An empty file in a folder, which is made if it is not there.
    ///
    /// # Errors
    /// `FileStreamFailed` (39).
    pub(crate) fn create(folder: &Path) -> Result<Scratch> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        std::fs::create_dir_all(folder).map_err(|error| failed(&error))?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("sort-{}-{number}", std::process::id()));
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
        let file = file.map_err(|error| failed(&error))?;
        Ok(Scratch { file, path })
    }

    /// Writes bytes at a place of the file.
    ///
    /// # Errors
    /// `FileStreamFailed` (39), `OutOfDiskSpace` (14031).
    pub(crate) fn write_at(&self, at: u64, bytes: &[u8]) -> Result<()> {
        let mut file = &self.file;
        let written = file.seek(SeekFrom::Start(at)).and_then(|_| file.write_all(bytes));
        Spilled::note(1, bytes.len() as u64);
        written.map_err(|error| failed(&error))
    }

    /// Reads bytes from a place of the file.
    ///
    /// # Errors
    /// `FileStreamFailed` (39).
    pub(crate) fn read_at(&self, at: u64, bytes: &mut [u8]) -> Result<()> {
        let mut file = &self.file;
        let read = file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(bytes));
        read.map_err(|error| failed(&error))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now goes when the database is opened again.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Merge {
    fn advance(&mut self, run: usize) -> Result<()> {
        let Some(reader) = self.readers.get_mut(run) else { return Ok(()) };
        let entry = reader.entry(&mut self.runs.scratch.file).map_err(|error| failed(&error))?;
        self.next.extend(entry.map(|entry| Reverse((entry, run))));
        Ok(())
    }
}

impl Iterator for Merge {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Result<Entry>> {
        let Reverse((entry, run)) = self.next.pop()?;
        Some(self.advance(run).map(|()| entry))
    }
}

impl Reader {
    fn entry(&mut self, file: &mut File) -> std::io::Result<Option<Entry>> {
        if self.used == self.buffer.len() && self.at == self.end {
            return Ok(None);
        }
        let head = self.take(file, HEAD_BYTES)?;
        let number = |from: usize| {
            head.iter().skip(from).take(4).rev().fold(0, |n, b| n << 8 | usize::from(*b))
        };
        let (key, doc) = (number(0), number(4));
        let came = u64::from_le_bytes(head.last_chunk().copied().unwrap_or_default());
        let key = self.take(file, key)?;
        Ok(Some(Entry::new(key, came, self.take(file, doc)?)))
    }

    /// The next bytes of the run.
    fn take(&mut self, file: &mut File, count: usize) -> std::io::Result<Vec<u8>> {
        let mut taken = Vec::with_capacity(count.min(READ_BYTES));
        while taken.len() < count {
            if self.used == self.buffer.len() {
                self.refill(file)?;
            }
            let rest = self.buffer.get(self.used..).unwrap_or_default();
            let part = rest.get(..(count - taken.len()).min(rest.len())).unwrap_or_default();
            taken.extend_from_slice(part);
            self.used += part.len();
        }
        Ok(taken)
    }

    fn refill(&mut self, file: &mut File) -> std::io::Result<()> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX).min(READ_BYTES);
        if left == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        self.buffer.resize(left, 0);
        file.seek(SeekFrom::Start(self.at))?;
        file.read_exact(&mut self.buffer)?;
        self.at += left as u64;
        self.used = 0;
        Ok(())
    }
}
