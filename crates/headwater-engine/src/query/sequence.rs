//! Documents in the order they came, read by number as often as wanted: in memory, and all on the disk once memory ends.
//! Knows nothing of what the documents are.

use std::path::{Path, PathBuf};

use super::sort::runs::Scratch;
use crate::bson::{Doc, DocBuf};
use crate::error::Result;

/// Bytes that are written or read at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// Documents by number.
#[derive(Debug)]
pub(crate) struct Sequence {
    held: Vec<DocBuf>,
    bytes: usize,
    bytes_max: usize,
    folder: Option<PathBuf>,
    disk: Option<Disk>,
}

/// What is on the disk.
#[derive(Debug)]
struct Disk {
    file: Scratch,
    /// Where each document ends.
    ends: Vec<u64>,
    written: u64,
    /// What is not written yet.
    pending: Vec<u8>,
}

/// A part of the file, for whoever reads one document after the other.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    start: u64,
    bytes: Vec<u8>,
}

impl Sequence {
    /// No documents yet; from `bytes_max` on they go to a file in the folder, if there is one.
    pub(crate) fn new(bytes_max: usize, folder: Option<&Path>) -> Sequence {
        let folder = folder.map(Path::to_path_buf);
        Sequence { held: Vec::new(), bytes: 0, bytes_max, folder, disk: None }
    }

    /// How many documents there are.
    pub(crate) fn len(&self) -> usize {
        self.disk.as_ref().map_or(self.held.len(), |disk| disk.ends.len())
    }

    /// Whether the documents take more memory than they may, and cannot go to the disk.
    pub(crate) fn is_too_large(&self) -> bool {
        self.bytes > self.bytes_max
    }

    /// Appends a document. Without a folder it stays in memory, and the caller asks [`Sequence::is_too_large`].
    ///
    /// # Errors
    /// 39 and 14031 if the file cannot be used.
    pub(crate) fn push(&mut self, doc: DocBuf) -> Result<()> {
        if let Some(disk) = &mut self.disk {
            return disk.push(doc.as_doc());
        }
        self.bytes += doc.as_doc().as_bytes().len() + size_of::<DocBuf>();
        self.held.push(doc);
        match &self.folder {
            Some(folder) if self.is_too_large() => {
                let file = Scratch::create(folder)?;
                let mut disk = Disk { file, ends: Vec::new(), written: 0, pending: Vec::new() };
                for doc in std::mem::take(&mut self.held) {
                    disk.push(doc.as_doc())?;
                }
                self.bytes = 0;
                self.disk = Some(disk);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The document of a number, `None` behind the last one.
    ///
    /// # Errors
    /// 39 if the file cannot be read.
    pub(crate) fn get<'s>(&'s self, at: usize, chunk: &'s mut Chunk) -> Result<Option<Doc<'s>>> {
        match &self.disk {
            None => Ok(self.held.get(at).map(DocBuf::as_doc)),
            Some(disk) => disk.get(at, chunk),
        }
    }

    /// Shows all documents in order.
    ///
    /// # Errors
    /// Those of [`Sequence::get`], and what `visit` raises.
    pub(crate) fn each(&self, mut visit: impl FnMut(Doc<'_>) -> Result<()>) -> Result<()> {
        let mut chunk = Chunk::default();
        for at in 0..self.len() {
            if let Some(doc) = self.get(at, &mut chunk)? {
                visit(doc)?;
            }
        }
        Ok(())
    }
}

impl Disk {
    fn push(&mut self, doc: Doc<'_>) -> Result<()> {
        self.pending.extend_from_slice(doc.as_bytes());
        self.ends.push(self.written + self.pending.len() as u64);
        if self.pending.len() >= CHUNK_BYTES {
            self.file.write_at(self.written, &self.pending)?;
            self.written += self.pending.len() as u64;
            self.pending.clear();
        }
        Ok(())
    }

    fn get<'s>(&'s self, at: usize, chunk: &'s mut Chunk) -> Result<Option<Doc<'s>>> {
        let Some(&end) = self.ends.get(at) else { return Ok(None) };
        let start = at.checked_sub(1).and_then(|at| self.ends.get(at)).copied().unwrap_or(0);
        let bytes = match start.checked_sub(self.written) {
            // Documents are written whole.
            Some(from) => self.pending.get(from as usize..(end - self.written) as usize),
            None => {
                let held = chunk.start + chunk.bytes.len() as u64;
                if start < chunk.start || end > held {
                    let ahead = (start + CHUNK_BYTES as u64).clamp(end, self.written.max(end));
                    chunk.bytes.resize((ahead - start) as usize, 0);
                    chunk.start = start;
                    self.file.read_at(start, &mut chunk.bytes)?;
                }
                chunk.bytes.get((start - chunk.start) as usize..(end - chunk.start) as usize)
            }
        };
        Ok(bytes.map(Doc::trusted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bson::DocWriter;

    fn doc(number: i32) -> DocBuf {
        let mut doc = DocWriter::new();
        doc.i32("n", number);
        doc.str("text", &"x".repeat(number as usize * 37 % 900));
        doc.finish()
    }

    #[test]
    fn what_is_on_the_disk_reads_as_what_is_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        for count in [0, 1, 10, 1000] {
            for bytes_max in [0, 5_000, 1 << 30] {
                let mut sequence = Sequence::new(bytes_max, Some(folder.path()));
                (0..count).for_each(|number| sequence.push(doc(number)).unwrap());
                assert_eq!(sequence.len(), count as usize);
                let mut chunk = Chunk::default();
                for step in [1, 7, 333] {
                    for at in (0..count).map(|at| at * step % count) {
                        let found = sequence.get(at as usize, &mut chunk).unwrap().unwrap();
                        assert_eq!(found.as_bytes(), doc(at).as_doc().as_bytes());
                    }
                }
                assert!(sequence.get(count as usize, &mut chunk).unwrap().is_none());
            }
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "files are left");
    }

    #[test]
    fn without_a_folder_all_stays_in_memory() {
        let mut sequence = Sequence::new(0, None);
        (0..10).for_each(|number| sequence.push(doc(number)).unwrap());
        assert!(sequence.bytes > 10 * 16);
        assert_eq!(sequence.len(), 10);
    }
}
