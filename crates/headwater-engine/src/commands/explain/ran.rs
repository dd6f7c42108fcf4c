//! Running what is explained, without writing: how many documents each step gave, and what finding them took.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::question::Purpose;
use crate::bson::{Doc, DocBuf};
use crate::commands::update::{apply, now};
use crate::error::Result;
use crate::query::exec::{Environment, Stage};
use crate::query::matcher::Matcher;
use crate::query::plan::Chosen;
use crate::query::run::Run;
use crate::query::scan::{Next, Scan, ScanStage, Taken, Watch};
use crate::query::sort::{Sort, SortPattern};

/// What running took.
#[derive(Debug, Clone, Default)]
pub(super) struct Ran {
    pub(super) taken: Taken,
    /// Documents that match, before they were sorted, left out and cut off.
    pub(super) found: u64,
    /// Documents that the sort gave, or the scan where nothing had to be sorted.
    pub(super) sorted: u64,
    /// Documents that an update would change.
    pub(super) changed: u64,
    pub(super) took: Duration,
}

/// Runs the finding, and of an update the changing without the storing.
///
/// # Errors
/// Those of running.
pub(super) fn run(
    run: &Run<'_>,
    purpose: &Purpose<'_>,
    chosen: Chosen,
    sort: Option<SortPattern>,
) -> Result<Ran> {
    let started = Instant::now();
    let (most, filter) = (purpose.most(), chosen.filter.clone());
    let mut ran = Ran::default();
    if chosen.sorted || sort.is_none() {
        let mut scan = Scan::new(chosen.plan);
        if most != Some(0) {
            run.scan(&mut scan, &mut |_, doc| {
                ran.found += 1;
                ran.changed += u64::from(changes(purpose, filter.as_deref(), doc)?);
                Ok(if Some(ran.found) == most { Next::Stop } else { Next::Continue })
            })?;
        }
        (ran.taken, ran.sorted) = (scan.taken(), ran.found);
    } else if let Some(pattern) = sort {
        let watch = Watch::default();
        let (source, found) =
            Counting::around(Box::new(ScanStage::new(chosen.plan).watched(&watch)));
        let needed = most.map(|most| usize::try_from(most).unwrap_or(usize::MAX));
        let mut sorted = Sort::new(source, pattern, needed);
        while Some(ran.sorted) != most
            && let Some(doc) = sorted.next(run)?
        {
            ran.sorted += 1;
            ran.changed += u64::from(changes(purpose, filter.as_deref(), doc.as_doc())?);
        }
        (ran.taken, ran.found) = (watch.taken(), found.count());
    }
    ran.took = started.elapsed();
    Ok(ran)
}

/// Whether an update changes a document.
fn changes(purpose: &Purpose<'_>, filter: Option<&Matcher>, doc: Doc<'_>) -> Result<bool> {
    match purpose {
        Purpose::Update { update, .. } => Ok(apply(update, filter, doc, &now())?.is_some()),
        _ => Ok(false),
    }
}

/// A stage whose documents are counted.
pub(super) struct Counting {
    stage: Box<dyn Stage>,
    count: Count,
}

/// How many documents passed so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Count(Arc<AtomicU64>);

impl Counting {
    /// A stage that gives what `stage` gives, and where it counts.
    pub(super) fn around(stage: Box<dyn Stage>) -> (Box<dyn Stage>, Count) {
        let count = Count::default();
        (Box::new(Counting { stage, count: count.clone() }), count)
    }
}

impl Count {
    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Stage for Counting {
    fn next(&mut self, env: &dyn Environment) -> Result<Option<DocBuf>> {
        let next = self.stage.next(env)?;
        next.iter().for_each(|_| self.count.add());
        Ok(next)
    }

    fn is_done(&self) -> bool {
        self.stage.is_done()
    }

    fn each(
        &mut self,
        env: &dyn Environment,
        visit: &mut dyn FnMut(Doc<'_>) -> Result<()>,
    ) -> Result<()> {
        let count = self.count.clone();
        self.stage.each(env, &mut |doc| {
            count.add();
            visit(doc)
        })
    }
}
