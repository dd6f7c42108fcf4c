//! Reading the log back when a store is opened: what the tree doesn't have yet goes into an
//! overlay, a torn tail is cut, damage in front of acknowledged records is refused.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use super::segment::{self, HEADER, Segment};
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
    /// Where the last record starts.
    pub(crate) place: Place,
    pub(crate) replayed: u64,
}

impl Recovered {
    /// A log that begins now.
    pub(crate) fn nothing() -> Recovered {
        let start = Start { segments: VecDeque::new(), last: 0 };
        Recovered {
            start,
            overlay: Overlay::new(),
            next_segment: 1,
            place: Place::default(),
            replayed: 0,
        }
    }
}

/// Where the record starts up to which the tree has everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Place {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
}

/// How far the tree is: everything up to `seq`, whose record is at `place`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Applied {
    pub(crate) seq: Seq,
    pub(crate) place: Place,
}

/// Reads the log in `folder` from what the tree has already.
pub(crate) fn recover(io: &dyn Io, folder: &Path, applied: Applied) -> Result<Recovered> {
    let Found { segments, unbegun, next_segment } = find_segments(io, folder)?;
    let mut overlay = Overlay::new();
    let mut replayed = 0;
    let (mut last, mut place) = (0, applied.place);
    for (at, segment) in segments.iter().enumerate().skip(first_needed(&segments, applied)?) {
        let (from, before) = match segment.number() == applied.place.segment {
            true => (applied.place.offset, applied.seq.saturating_sub(1)),
            false => (HEADER as u64, segment.header.previous),
        };
        let found = segment.read_from(from, before, |_, record| {
            if record.seq > applied.seq {
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
        if segment.proves_loss(found.end, found.last)? {
            return Err(Error::corrupt(format!(
                "{}: damaged at {}, in front of acknowledged records",
                segment.path.display(),
                found.end
            )));
        }
        last = found.last;
        if let Some(offset) = found.last_at {
            place = Place { segment: segment.number(), offset };
        }
        // What the tree has was durable before; what was only found in the page cache isn't.
        if found.last > applied.seq {
            segment.file.sync().map_err(|error| Error::io("syncing", &segment.path, error))?;
        }
    }
    if last < applied.seq {
        return Err(Error::corrupt(format!(
            "the log in {} ends at {last} but the tree is at {}: log files are missing or damaged",
            folder.display(),
            applied.seq
        )));
    }
    if let Some(unbegun) = unbegun {
        if unbegun.proves_loss(HEADER as u64, last)? {
            return Err(damaged_header(&unbegun.path));
        }
        // Its number is used again, and its records must not be found behind the new ones.
        let failed = |error| Error::io("removing", &unbegun.path, error);
        io.remove(&unbegun.path).map_err(failed)?;
    }
    let start = Start { segments, last };
    Ok(Recovered { start, overlay, next_segment, place, replayed })
}

struct Found {
    /// The segments in order.
    segments: VecDeque<Arc<Segment>>,
    /// A last file without a valid header: a crash came before anything in it was acknowledged.
    unbegun: Option<Segment>,
    next_segment: u64,
}

fn find_segments(io: &dyn Io, folder: &Path) -> Result<Found> {
    let paths = io.list(folder).map_err(|error| Error::io("listing", folder, error))?;
    let mut numbered: Vec<_> =
        paths.iter().filter_map(|path| Some((segment::number(path)?, path))).collect();
    numbered.sort_unstable();
    let mut segments: VecDeque<Arc<Segment>> = VecDeque::new();
    let mut unbegun: Option<Segment> = None;
    for (number, path) in numbered {
        if let Some(before) = unbegun {
            return Err(damaged_header(&before.path));
        }
        let file = io.open(path, false).map_err(|error| Error::io("opening", path, error))?;
        let (segment, begun) = Segment::found(path, number, file)?;
        if segments.back().is_some_and(|before| before.number() + 1 != number) {
            let path = path.display();
            return Err(Error::corrupt(format!("{path}: the segment before it is missing")));
        }
        match begun {
            true => segments.push_back(Arc::new(segment)),
            false => unbegun = Some(segment),
        }
    }
    let next_segment = segments.back().map_or(1, |segment| segment.number() + 1);
    Ok(Found { segments, unbegun, next_segment })
}

#[cold]
fn damaged_header(path: &Path) -> Error {
    Error::corrupt(format!("{}: the segment's header is damaged", path.display()))
}

/// The segment that holds the record of `applied`, or the first after it.
fn first_needed(segments: &VecDeque<Arc<Segment>>, applied: Applied) -> Result<usize> {
    match segments.front() {
        Some(first) if first.header.previous > applied.seq => Err(Error::corrupt(format!(
            "the log begins after {} but the tree is at {}: log files are missing",
            first.header.previous, applied.seq
        ))),
        _ => Ok(segments.partition_point(|segment| segment.number() < applied.place.segment)),
    }
}
