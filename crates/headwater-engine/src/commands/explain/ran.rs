//! Running what is explained, without writing: how many documents each step gave, and what finding them took.

use std::time::{Duration, Instant};

use super::counting::Counting;
use super::question::Purpose;
use crate::bson::Doc;
use crate::commands::update::{apply, now};
use crate::error::Result;
use crate::query::exec::Environment;
use crate::query::matcher::Matcher;
use crate::query::plan::Chosen;
use crate::query::plan::tree::Plan;
use crate::query::run::Run;
use crate::query::scan::{Next, Scan, ScanStage, Taken, Watch};
use crate::query::sort::runs::Spilled;
use crate::query::sort::{Sort, SortPattern};

/// What running took.
#[derive(Debug, Clone, Default)]
pub(super) struct Ran {
    pub(super) taken: Taken,
    /// Documents that match, before they were sorted, left out and cut off.
    pub(super) found: u64,
    /// The bytes of the documents that came to the sort.
    pub(super) found_bytes: u64,
    /// Documents that the sort gave, or the scan where nothing had to be sorted.
    pub(super) sorted: u64,
    /// Documents that an update would change.
    pub(super) changed: u64,
    /// What the sort put on the disk.
    pub(super) spilled: Spilled,
    /// The time of finding the documents.
    pub(super) finding: Duration,
    /// The same with that of sorting them.
    pub(super) sorting: Duration,
    /// The time of all.
    pub(super) took: Duration,
}

/// How far a plan is run to see how it does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trial {
    /// Documents or index entries that are looked at, at most.
    pub(super) units: u64,
    /// Documents that are given, at most.
    pub(super) most: u64,
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
    let mut changing = Duration::ZERO;
    let mut change = |doc: Doc<'_>| -> Result<u64> {
        let started = Instant::now();
        let changed = changes(purpose, filter.as_deref(), doc)?;
        changing += started.elapsed();
        Ok(u64::from(changed))
    };
    if chosen.sorted || sort.is_none() {
        let mut scan = Scan::new(chosen.plan);
        if most != Some(0) {
            run.scan(&mut scan, &mut |_, doc| {
                ran.found += 1;
                ran.changed += change(doc)?;
                Ok(if Some(ran.found) == most { Next::Stop } else { Next::Continue })
            })?;
        }
        (ran.taken, ran.sorted) = (scan.taken(), ran.found);
        ran.took = started.elapsed();
        ran.finding = ran.took.saturating_sub(changing);
        ran.sorting = ran.finding;
    } else if let Some(pattern) = sort {
        let watch = Watch::default();
        let (source, found) =
            Counting::around(Box::new(ScanStage::new(chosen.plan).watched(&watch)));
        let needed = most.map(|most| usize::try_from(most).unwrap_or(usize::MAX));
        let (mut sorted, count) = Counting::around(Box::new(Sort::new(source, pattern, needed)));
        while Some(ran.sorted) != most
            && let Some(doc) = sorted.next(run)?
        {
            ran.sorted += 1;
            ran.changed += change(doc.as_doc())?;
        }
        let (found, sorted) = (found.figures(), count.figures());
        (ran.taken, ran.found, ran.found_bytes) = (watch.taken(), found.given, found.bytes);
        (ran.finding, ran.sorting) = (found.took.time, sorted.took.time);
        ran.spilled = (sorted.took - found.took).spilled;
        ran.took = started.elapsed();
    }
    Ok(ran)
}

/// Runs a plan a bit. What has to be sorted is counted as given only if all of it was found.
///
/// # Errors
/// Those of running.
pub(super) fn try_out(run: &Run<'_>, plan: Plan, sorted: bool, trial: Trial) -> Result<Ran> {
    let started = Instant::now();
    let mut ran = Ran::default();
    let mut scan = Scan::on_trial(plan).in_stretches(trial.units);
    run.scan(&mut scan, &mut |_, doc| {
        ran.found += 1;
        ran.found_bytes += doc.as_bytes().len() as u64;
        Ok(if sorted && ran.found == trial.most { Next::Stop } else { Next::Continue })
    })?;
    ran.taken = scan.taken();
    ran.sorted = match sorted || ran.taken.ended {
        true => ran.found.min(trial.most),
        false => 0,
    };
    ran.took = started.elapsed();
    (ran.finding, ran.sorting) = (ran.took, ran.took);
    Ok(ran)
}

/// Whether an update changes a document.
fn changes(purpose: &Purpose<'_>, filter: Option<&Matcher>, doc: Doc<'_>) -> Result<bool> {
    match purpose {
        Purpose::Update { update, .. } => Ok(apply(update, filter, doc, &now())?.is_some()),
        _ => Ok(false),
    }
}
