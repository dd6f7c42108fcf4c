//! The lines that the program prints, and their counts. Knows no stage.

use std::fmt::{Debug, Display};

use command_line::output;
use headwater::Error;

/// The server knows what is asked, but does not have it (CommandNotSupported, NotImplemented).
const MISSING: [i32; 2] = [115, 238];

#[derive(Default)]
pub(crate) struct Report {
    stage: u32,
    /// What this server is known not to have, in the stage that runs.
    gap: Option<&'static str>,
    checks: u32,
    passed: u32,
    failed: Vec<String>,
    expected: Vec<String>,
}

impl Report {
    /// From now on checks belong to this stage. `gap` is why it is expected to break off here.
    pub(crate) fn stage(&mut self, number: u32, name: &str, gap: Option<&'static str>) {
        (self.stage, self.checks, self.gap) = (number, 0, gap);
        match number {
            0 => say(&format!("\n{name}")),
            _ => say(&format!("\nStage {number}: {name}")),
        }
    }

    /// Holds if what was found equals what is wanted.
    pub(crate) fn equal<T: PartialEq + Debug>(&mut self, what: impl Display, found: T, wanted: T) {
        let holds = found == wanted;
        let detail = format!("found {found:?}, wanted {wanted:?}");
        self.note(what, holds, detail);
    }

    /// Holds if it is true.
    pub(crate) fn holds(&mut self, what: impl Display, holds: bool, found: impl Debug) {
        self.note(what, holds, format!("found {found:?}"));
    }

    /// The stage ended with this error.
    pub(crate) fn broke(&mut self, error: &Error) {
        let missing = error.code().is_some_and(|code| MISSING.contains(&code));
        match self.gap {
            Some(gap) if missing => {
                say(&format!("{} expected failure: {error}", self.next()));
                self.expected.push(format!("stage {}: {gap}", self.stage));
            }
            _ => self.note("the stage ends without an error", false, error.to_string()),
        }
    }

    /// The stage ended as it should.
    pub(crate) fn completed(&mut self) {
        if let Some(gap) = self.gap {
            say(&format!("     this was expected to fail ({gap}); it need not be any more"));
        }
    }

    pub(crate) fn has_failures(&self) -> bool {
        !self.failed.is_empty()
    }

    /// The counts, and what failed once more.
    pub(crate) fn summary(&self) {
        say(&format!(
            "\nSummary: {} passed, {} failed, {} expected failures",
            self.passed,
            self.failed.len(),
            self.expected.len()
        ));
        for line in &self.expected {
            say(&format!("  expected  {line}"));
        }
        for line in &self.failed {
            say(&format!("  failed    {line}"));
        }
    }

    fn note(&mut self, what: impl Display, holds: bool, detail: String) {
        let number = self.next();
        if holds {
            self.passed += 1;
            say(&format!("{number} ok    {what}"));
        } else {
            say(&format!("{number} FAIL  {what}: {detail}"));
            self.failed.push(format!("{} {what}: {detail}", number.trim_end()));
        }
    }

    fn next(&mut self) -> String {
        self.checks += 1;
        match self.stage {
            0 => format!("C.{:<2}", self.checks),
            stage => format!("S{stage}.{:<2}", self.checks),
        }
    }
}

/// A reader that has gone does not keep the stages from running: what holds is in the exit code too.
fn say(text: &str) {
    let _ = output::line(text);
}
