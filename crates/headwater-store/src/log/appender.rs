//! The writer's end of the log: encodes records for the segment they will land in. Runs under the
//! writer lock and touches no file.

use super::disk::Log;
use super::record;
use super::recovery::Place;
use super::segment::{HEADER, MARK_EVERY, Mark};
use crate::Seq;

/// Records for one place in one segment.
#[derive(Default)]
pub(crate) struct Chunk {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    pub(crate) bytes: Vec<u8>,
    pub(crate) marks: Vec<Mark>,
    pub(crate) last: Seq,
    /// The last record before this chunk.
    pub(crate) previous: Seq,
}

pub(crate) struct Appender {
    chunk: Chunk,
    /// Chunks for segments that are full.
    full: Vec<Chunk>,
    segment_bytes: u64,
    /// Where the last record starts.
    place: Place,
    /// Offset of the newest entry of the segment's sparse index.
    marked: Option<u64>,
}

impl Appender {
    /// Appends from the beginning of segment `segment` on; `previous` is the last record before,
    /// `place` where it is.
    pub(crate) fn new(segment: u64, previous: Seq, place: Place, segment_bytes: u64) -> Appender {
        let chunk = Chunk { segment, offset: HEADER as u64, previous, ..Chunk::default() };
        Appender { chunk, full: Vec::new(), segment_bytes, place, marked: None }
    }

    /// Encodes one operation.
    pub(crate) fn append(&mut self, log: &Log, seq: Seq, changes: &[u8], event: &[u8]) {
        let length = record::length(changes.len(), event.len());
        let end = self.end();
        if end + length as u64 > self.segment_bytes && end > HEADER as u64 {
            let Chunk { segment, last, previous, .. } = self.chunk;
            let previous = if last > 0 { last } else { previous };
            let offset = HEADER as u64;
            let next = Chunk { segment: segment + 1, offset, previous, ..Chunk::default() };
            let full = std::mem::replace(&mut self.chunk, next);
            if !full.bytes.is_empty() {
                self.full.push(full);
            }
            self.marked = None;
        }
        let offset = self.end();
        if self.marked.is_none_or(|marked| offset - marked >= MARK_EVERY) {
            self.marked = Some(offset);
            self.chunk.marks.push(Mark { seq, offset });
        }
        self.place = Place { segment: self.chunk.segment, offset };
        let bytes = &mut self.chunk.bytes;
        record::encode(bytes, self.chunk.segment, seq, log.durable(), changes, event);
        self.chunk.last = seq;
    }

    /// Hands everything encoded so far to the log.
    pub(crate) fn submit(&mut self, log: &Log) {
        if self.chunk.bytes.is_empty() && self.full.is_empty() {
            return;
        }
        let Chunk { segment, last, .. } = self.chunk;
        let rest = Chunk { segment, offset: self.end(), previous: last, ..Chunk::default() };
        self.full.push(std::mem::replace(&mut self.chunk, rest));
        self.chunk.bytes = log.submit(self.full.drain(..));
    }

    /// Where the last record starts.
    pub(crate) fn place(&self) -> Place {
        self.place
    }

    fn end(&self) -> u64 {
        self.chunk.offset + self.chunk.bytes.len() as u64
    }
}
