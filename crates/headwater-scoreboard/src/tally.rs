//! Counting: passes per file and folder, messages, and what the skip file says about each case.

use std::collections::BTreeMap;

use crate::compare::Verdict;
use crate::recording::Case;
use crate::skips::Skips;

/// The verdicts of one way of running.
#[derive(Debug)]
pub struct Lane {
    /// How the cases ran: `in-process`, `wire`.
    pub name: &'static str,
    /// One verdict for each case.
    pub verdicts: Vec<Verdict>,
}

/// What became of a case on all lanes together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Passes everywhere.
    Pass,
    /// Fails somewhere, and is not listed.
    Fail,
    /// Fails somewhere, and is listed.
    Skip,
    /// Passes everywhere, although it is listed.
    Alarm,
    /// Newer than 8.0: not required.
    Newer,
}

/// The fate of a case.
pub fn fate(case: &Case, at: usize, lanes: &[Lane], skips: &Skips) -> Fate {
    let passes = passes(at, lanes);
    match (passes, skips.reason(&case.name)) {
        _ if case.newer => Fate::Newer,
        (true, None) => Fate::Pass,
        (false, None) => Fate::Fail,
        (false, Some(_)) => Fate::Skip,
        (true, Some(_)) => Fate::Alarm,
    }
}

/// Whether a case passes on every lane.
pub fn passes(at: usize, lanes: &[Lane]) -> bool {
    lanes.iter().all(|lane| lane.verdicts.get(at).is_some_and(|v| v.difference.is_none()))
}

#[derive(Debug, Clone, Default)]
struct Row {
    cases: usize,
    passes: Vec<usize>,
}

impl Row {
    fn line(&self, name: &str) -> String {
        let mut line = format!("{name:<42}{:>7}", self.cases);
        for passes in &self.passes {
            let share = 100.0 * *passes as f64 / self.cases.max(1) as f64;
            line.push_str(&format!("{passes:>9} {share:>5.1} %"));
        }
        line
    }
}

/// The table of passes: a line for each folder, or for each file too.
pub fn table(cases: &[Case], lanes: &[Lane], with_files: bool) -> String {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for (at, case) in cases.iter().enumerate().filter(|(_, case)| !case.newer) {
        let folder = case.file.split('/').next().unwrap_or_default();
        let mut keys = vec![format!("{folder}/")];
        if with_files {
            keys.push(case.file.clone());
        }
        for key in keys {
            let row = rows.entry(key).or_default();
            row.cases += 1;
            row.passes.resize(lanes.len(), 0);
            for (passes, lane) in row.passes.iter_mut().zip(lanes) {
                *passes +=
                    usize::from(lane.verdicts.get(at).is_some_and(|v| v.difference.is_none()));
            }
        }
    }
    let mut all = Row { cases: 0, passes: vec![0; lanes.len()] };
    for (_, row) in rows.iter().filter(|(name, _)| name.ends_with('/')) {
        all.cases += row.cases;
        all.passes.iter_mut().zip(&row.passes).for_each(|(all, passes)| *all += passes);
    }
    let mut table = format!("{:<42}{:>7}", "recorded cases that 8.0 must answer so", "cases");
    lanes.iter().for_each(|lane| table.push_str(&format!("{:>17}", lane.name)));
    table.push('\n');
    for (name, row) in &rows {
        let name = if name.ends_with('/') { name.clone() } else { format!("  {name}") };
        table.push_str(&row.line(&name));
        table.push('\n');
    }
    table.push_str(&all.line("all"));
    table.push('\n');
    table
}

/// Of the messages of all cases that pass otherwise: how many there are and how many are as recorded.
pub fn messages(cases: &[Case], lane: &Lane) -> (usize, usize) {
    let judged = cases.iter().zip(&lane.verdicts).filter(|(case, _)| !case.newer);
    judged.fold((0, 0), |(all, right), (_, verdict)| {
        (all + verdict.messages, right + verdict.messages - verdict.wrong_messages.len())
    })
}
