//! Stages that are watched while they run: what they gave and what that took, what is before them included.

use std::ops::{AddAssign, Sub};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::bson::{Doc, DocBuf};
use crate::error::Result;
use crate::profile::{Insight, Noted};
use crate::query::exec::{Environment, Look, Stage};
use crate::query::sort::runs::Spilled;

/// What a part of a run took.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Took {
    pub(super) time: Duration,
    /// Index entries looked at.
    pub(super) keys: u64,
    /// Documents looked at.
    pub(super) docs: u64,
    pub(super) spilled: Spilled,
}

/// What a stage gave so far, and what that took.
#[derive(Debug, Clone, Default)]
pub(super) struct Figures {
    pub(super) given: u64,
    /// The bytes of the documents given.
    pub(super) bytes: u64,
    pub(super) took: Took,
    pub(super) noted: Noted,
}

/// A moment of this thread.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    at: Instant,
    insight: Insight,
    spilled: Spilled,
}

impl Moment {
    pub(super) fn now() -> Moment {
        Moment { at: Instant::now(), insight: Insight::of_now(), spilled: Spilled::so_far() }
    }

    /// What this thread took since.
    pub(super) fn took(self) -> Took {
        let insight = Insight::of_now();
        Took {
            time: self.at.elapsed(),
            keys: insight.keys.saturating_sub(self.insight.keys),
            docs: insight.docs.saturating_sub(self.insight.docs),
            spilled: Spilled::so_far().since(self.spilled),
        }
    }
}

impl AddAssign for Took {
    fn add_assign(&mut self, other: Took) {
        self.time += other.time;
        self.keys += other.keys;
        self.docs += other.docs;
        self.spilled = self.spilled.and(other.spilled);
    }
}

impl Sub for Took {
    type Output = Took;

    fn sub(self, part: Took) -> Took {
        Took {
            time: self.time.saturating_sub(part.time),
            keys: self.keys.saturating_sub(part.keys),
            docs: self.docs.saturating_sub(part.docs),
            spilled: self.spilled.since(part.spilled),
        }
    }
}

/// A stage that is watched.
pub(super) struct Counting {
    stage: Box<dyn Stage>,
    count: Count,
}

/// Where a watched stage notes its figures.
#[derive(Debug, Clone, Default)]
pub(super) struct Count(Arc<Mutex<Figures>>);

impl Counting {
    /// A stage that gives what `stage` gives, and where it counts.
    pub(super) fn around(stage: Box<dyn Stage>) -> (Box<dyn Stage>, Count) {
        let count = Count::default();
        (Box::new(Counting { stage, count: count.clone() }), count)
    }
}

impl Count {
    pub(super) fn figures(&self) -> Figures {
        self.0.lock().clone()
    }

    fn gave(&self, doc: Doc<'_>) {
        let mut figures = self.0.lock();
        figures.given += 1;
        figures.bytes += doc.as_bytes().len() as u64;
    }

    fn took(&self, took: Took, noted: Option<Noted>) {
        let mut figures = self.0.lock();
        figures.took += took;
        noted.into_iter().for_each(|noted| figures.noted.add(noted));
    }
}

impl Stage for Counting {
    fn next(&mut self, env: &dyn Environment) -> Result<Option<DocBuf>> {
        let start = Moment::now();
        let mut aside = Some(Noted::default());
        Noted::exchange(&mut aside);
        let next = self.stage.next(env);
        Noted::exchange(&mut aside);
        self.count.took(start.took(), aside);
        let next = next?;
        next.iter().for_each(|doc| self.count.gave(doc.as_doc()));
        Ok(next)
    }

    fn is_done(&self) -> bool {
        self.stage.is_done()
    }

    fn stream(&mut self, env: &dyn Environment, show: &mut Look<'_>) -> Result<()> {
        let (start, mut behind) = (Moment::now(), Took::default());
        let count = self.count.clone();
        let mut aside = Some(Noted::default());
        Noted::exchange(&mut aside);
        let ended = self.stage.stream(env, &mut |doc| {
            count.gave(doc);
            let start = Moment::now();
            // What is told meanwhile is told by those behind.
            Noted::exchange(&mut aside);
            let shown = show(doc);
            Noted::exchange(&mut aside);
            behind += start.took();
            shown
        });
        Noted::exchange(&mut aside);
        self.count.took(start.took() - behind, aside);
        ended
    }
}
