//! The stages above a plan, each with what it gave and what that took. Knows what was written and what was counted; what a
//! stage is called and shown with is [`super::stages`]' business.

use super::counting::Figures;
use super::node::millis;
use super::stages::{limit_sorts, paths, shown};
use crate::aggregate::pipeline::Pipeline;
use crate::bson::{Array, ArrayWriter, Doc, DocBuf, DocWriter, Raw};
use crate::query::sort::runs::Spilled;

/// The stages of a pipeline, in the order in which they run.
pub(super) struct Staged {
    stages: Vec<Entry>,
    /// What came to the first one, and what each did; `None` if they did not run.
    ran: Option<(Figures, Vec<Figures>)>,
}

struct Entry {
    shown: DocBuf,
    runs: Runs,
}

/// What a shown stage is in the run.
#[derive(Debug, Clone, Copy)]
enum Runs {
    /// The stage at this place.
    As(usize),
    /// What the stage at this place does with its documents before it begins.
    Within(usize),
}

impl Staged {
    /// The stages of a pipeline of which `written` is the whole. `ran` tells what came to the first and what each did.
    pub(super) fn new(
        written: Array<'_>,
        db: &str,
        pipeline: &Pipeline,
        ran: Option<(Figures, Vec<Figures>)>,
    ) -> Staged {
        let origins: Vec<usize> = pipeline.with_origins().map(|(_, origin)| origin).collect();
        let (mut stages, mut runs) = (Vec::new(), Vec::new());
        for (at, alike) in runs_of(&origins) {
            let Some(&origin) = origins.get(at) else { continue };
            let Some(stage) = written.get(origin).and_then(Raw::as_doc).and_then(Doc::first) else {
                continue;
            };
            let all = shown(stage, db);
            let more = all.len().saturating_sub(alike);
            let left_out = alike.saturating_sub(all.len());
            for (place, stage) in all.into_iter().enumerate() {
                runs.push(match place.checked_sub(more) {
                    Some(place) => Runs::As(at + left_out + place),
                    None => Runs::Within(at),
                });
                stages.push(stage);
            }
        }
        let gone = limit_sorts(&mut stages);
        let all = stages.into_iter().zip(runs).enumerate();
        let left = all.filter(|(at, _)| !gone.contains(at));
        let stages = left.map(|(_, (shown, runs))| Entry { shown, runs }).collect();
        Staged { stages, ran }
    }

    /// Appends all of them.
    pub(super) fn write(&self, out: &mut ArrayWriter) {
        for (at, entry) in self.stages.iter().enumerate() {
            let prepared = at > 0
                && matches!(self.stages.get(at - 1), Some(Entry { runs: Runs::Within(_), .. }));
            out.document(|out| {
                out.extend(entry.shown.as_doc());
                if let Some((input, figures)) = self.figures(entry.runs) {
                    let name = entry.shown.as_doc().first().map_or("", |stage| stage.name_str());
                    write_figures(out, name, (input, figures), (entry.runs, prepared));
                }
            });
        }
    }

    /// What came to a stage, and what it did.
    fn figures(&self, runs: Runs) -> Option<(&Figures, &Figures)> {
        let (first, all) = self.ran.as_ref()?;
        let (Runs::As(at) | Runs::Within(at)) = runs;
        let input = at.checked_sub(1).map_or(Some(first), |before| all.get(before))?;
        Some((input, all.get(at)?))
    }
}

/// Where each series of equal numbers begins, and how long it is.
fn runs_of(numbers: &[usize]) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (at, number) in numbers.iter().enumerate() {
        match runs.last_mut() {
            Some((begin, len)) if numbers.get(*begin) == Some(number) => *len += 1,
            _ => runs.push((at, 1)),
        }
    }
    runs
}

/// Appends what a stage took. `prepared` says that what it did before it began is shown as a stage of its own.
fn write_figures(
    out: &mut DocWriter,
    name: &str,
    (input, figures): (&Figures, &Figures),
    (runs, prepared): (Runs, bool),
) {
    let own = figures.took - input.took;
    let spilled = if prepared { Spilled::default() } else { own.spilled };
    if name == "$sort" {
        long(out, "totalDataSizeSortedBytesEstimate", input.bytes);
        out.bool("usedDisk", spilled.runs > 0);
        long(out, "spills", spilled.runs);
        long(out, "spilledBytes", spilled.bytes);
        long(out, "spilledRecords", spilled.records);
        long(out, "spilledDataStorageSize", spilled.bytes);
    }
    match runs {
        // It gives all that it gets.
        Runs::Within(_) => write_count(out, &Figures { given: input.given, ..figures.clone() }),
        Runs::As(_) => write_count(out, figures),
    }
    match name {
        "$lookup" => {
            long(out, "totalDocsExamined", own.docs);
            long(out, "totalKeysExamined", own.keys);
            long(out, "collectionScans", figures.noted.scans);
            out.array("indexesUsed", |out| {
                figures.noted.indexes.iter().for_each(|name| out.str(name));
            });
        }
        "$group" => {
            write_held(out, "maxAccumulatorMemoryUsageBytes", figures);
            long(out, "totalOutputDataSizeBytes", figures.bytes);
            write_spilled(out, spilled);
        }
        "$_internalSetWindowFields" => {
            write_held(out, "maxFunctionMemoryUsageBytes", figures);
            write_spilled(out, spilled);
        }
        "$bucketAuto" | "$graphLookup" => write_spilled(out, spilled),
        _ => {}
    }
}

fn write_held(out: &mut DocWriter, name: &str, figures: &Figures) {
    out.document(name, |out| {
        figures.noted.held.iter().for_each(|(output, bytes)| long(out, output, *bytes));
    });
}

fn write_spilled(out: &mut DocWriter, spilled: Spilled) {
    out.bool("usedDisk", spilled.runs > 0);
    long(out, "spills", spilled.runs);
    long(out, "spilledDataStorageSize", spilled.bytes);
    long(out, "spilledBytes", spilled.bytes);
    long(out, "spilledRecords", spilled.records);
}

/// Appends how many documents a stage gave, and the time that it took with those before it.
pub(super) fn write_count(out: &mut DocWriter, figures: &Figures) {
    long(out, "nReturned", figures.given);
    long(out, "executionTimeMillisEstimate", millis(figures.took.time));
}

fn long(out: &mut DocWriter, name: &str, value: u64) {
    out.i64(name, i64::try_from(value).unwrap_or(i64::MAX));
}

/// The projection of the first stage behind a plan, which MongoDB shows as a part of the plan.
pub(super) fn projection_ahead(written: Array<'_>, behind: &Pipeline) -> Option<DocBuf> {
    let (first, origin) = behind.with_origins().next()?;
    let stage = written.get(origin).and_then(Raw::as_doc).and_then(Doc::first)?;
    let paths = match stage.name {
        b"$project" => paths::projected(stage.value.as_doc()?),
        b"$unset" => paths::left_out(stage.value),
        _ => return None,
    };
    if first.metadata_needs().any() {
        return None;
    }
    let mut out = DocWriter::new();
    paths.write(&mut out);
    Some(out.finish())
}
