//! Reading the log as history: records in order, up to what is durable, going on as more becomes
//! durable.

use std::sync::Arc;

use super::disk::Log;
use super::record::RawRecord;
use super::segment::{HEADER, Located, RecordReader, Segment};
use crate::change::Changes;
use crate::{Error, ErrorKind, Result, Seq};

/// One operation of the history.
#[derive(Debug, Clone)]
pub struct Record<'h> {
    /// Its sequence number.
    pub seq: Seq,
    /// The event bytes given to [`Operation::commit`](crate::Operation::commit).
    pub event: &'h [u8],
    changes: &'h [u8],
}

impl<'h> Record<'h> {
    /// The puts and deletes; each key at most once per table.
    pub fn changes(&self) -> Changes<'h> {
        Changes::new(self.changes)
    }
}

/// The durable operations from a sequence number on, oldest first. After the end,
/// [`next`](History::next) goes on when more has become durable.
pub struct History {
    log: Arc<Log>,
    from: Seq,
    place: Option<(Arc<Segment>, RecordReader)>,
}

impl History {
    pub(crate) fn new(log: Arc<Log>, from: Seq) -> Result<History> {
        let oldest = log.oldest();
        if from < oldest {
            let message = format!("the history at {from} was recycled; it begins at {oldest}");
            return Err(Error::new(ErrorKind::HistoryLost, message));
        }
        let mut history = History { log, from, place: None };
        history.find_place()?;
        Ok(history)
    }

    /// The next operation, or `None` when there is no durable one yet.
    ///
    /// # Errors
    /// [`ErrorKind::HistoryLost`] when retention overtook this reader, [`ErrorKind::Corrupt`] when
    /// the log was damaged, [`ErrorKind::Io`] when it can't be read.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Record<'_>>> {
        let Some(located) = self.advance()? else { return Ok(None) };
        let Some((_, reader)) = &mut self.place else { return Ok(None) };
        self.from = located.seq + 1;
        reader.pass(&located);
        let RawRecord { seq, changes, event, .. } = reader.record(&located);
        Ok(Some(Record { seq, event, changes }))
    }

    /// Goes on behind `seq`. What is passed over is read only as far as the log's index does not tell where to go on.
    pub fn pass(&mut self, seq: Seq) {
        if seq < self.from {
            return;
        }
        self.from = seq + 1;
        let Some((segment, reader)) = &self.place else { return };
        let is_near = match self.log.segment_of(self.from) {
            Ok(Some(next)) if next.number() == segment.number() => {
                segment.seek(self.from).is_ok_and(|offset| offset <= reader.offset())
            }
            _ => false,
        };
        if !is_near {
            // Found again, or found lost, when it is asked for.
            self.place = None;
        }
    }

    /// Finds the next record to return; `None` when there is none yet.
    fn advance(&mut self) -> Result<Option<Located>> {
        if self.place.is_none() && !self.find_place()? {
            return Ok(None);
        }
        let durable = self.log.durable();
        while let Some((segment, reader)) = &mut self.place {
            // Looked up before the end is read: once there is a next segment the end is final.
            let next = self.log.segment_after(segment.number())?;
            let (offset, end) = (reader.offset(), segment.end());
            if offset < end {
                match reader.locate(segment, end)? {
                    Some(located) if located.seq > durable => return Ok(None),
                    Some(located) if located.seq >= self.from => return Ok(Some(located)),
                    Some(located) => reader.pass(&located),
                    None => {
                        let path = segment.path.display();
                        return Err(Error::corrupt(format!("{path}: damaged at {offset}")));
                    }
                }
            } else if let Some(next) = next {
                next.ensure_scanned()?;
                let reader = RecordReader::new(HEADER as u64);
                self.place = Some((next, reader));
            } else {
                return Ok(None);
            }
        }
        Ok(None)
    }

    fn find_place(&mut self) -> Result<bool> {
        if let Some(segment) = self.log.segment_of(self.from)? {
            let offset = segment.seek(self.from)?;
            self.place = Some((segment, RecordReader::new(offset)));
        }
        Ok(self.place.is_some())
    }
}
