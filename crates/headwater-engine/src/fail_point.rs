//! Fail points: errors, delays and closed connections on demand, so that clients can be tested against them. There only
//! with the engine's test commands; knows nothing of what commands do.
//!
//! Source: MongoDB's driver specification tests and its description of `failCommand`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::bson::{DocBuf, DocWriter};
use crate::error::{Code, Error, Result};

/// Which fail point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// `failCommand`: before a command runs, or in the reply to a write.
    Command,
    /// `failGetMoreAfterCursorCheckout`: a `getMore` that has found its cursor.
    GetMore,
    /// `onPrimaryTransactionalWrite`: each retryable write as it is done.
    RetryableWrite,
    /// `maxTimeAlwaysTimeOut`: every command with a time limit is late at once.
    AlwaysLate,
    /// `maxTimeNeverTimeOut`: no command is ever late.
    NeverLate,
    /// `hangAfterStartingIndexBuild`: a build of an index waits before it reads the first document.
    BuildBegun,
    /// `hangAfterIndexBuildDumpsInsertsFromBulk`: a build waits before it completes what writers have changed.
    BuildFilled,
}

/// When a fail point takes effect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// Never.
    #[default]
    Off,
    /// Every time.
    AlwaysOn,
    /// So many more times.
    Times(i64),
    /// Every time after so many more.
    Skip(i64),
}

/// What a fail point does.
#[derive(Debug, Clone, Default)]
pub struct Failure {
    /// The commands it is for, by the names of their rows.
    pub commands: Vec<String>,
    /// The only application it is for.
    pub app_name: Option<String>,
    /// The only namespace it is for.
    pub namespace: Option<String>,
    /// The code to answer with.
    pub code: Option<i32>,
    /// The labels to answer with in place of those that the code brings.
    pub labels: Option<Vec<String>>,
    /// The error to put into the reply to a write that is done.
    pub write_concern_error: Option<DocBuf>,
    /// Whether to close the connection without an answer.
    pub closes: bool,
    /// How long to wait first.
    pub delay: Option<Duration>,
}

/// Who asks for what, as far as fail points look at it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The name of the command's row.
    pub command: &'a str,
    /// The name of the client's application.
    pub app_name: &'a str,
    /// The namespace that the command is on.
    pub namespace: &'a str,
}

/// All fail points of an engine.
#[derive(Debug, Default)]
pub struct FailPoints {
    command: Mutex<Slot>,
    get_more: Mutex<Slot>,
    retryable_write: Mutex<Slot>,
    always_late: Mutex<Slot>,
    never_late: Mutex<Slot>,
    build_begun: Mutex<Slot>,
    build_filled: Mutex<Slot>,
}

#[derive(Debug, Default)]
struct Slot {
    mode: Mode,
    entered: i32,
    failure: Failure,
}

impl FailPoints {
    /// Sets a fail point and tells how often it has taken effect so far.
    pub fn set(&self, point: Point, mode: Mode, failure: Failure) -> i32 {
        let mut slot = self.slot(point).lock();
        slot.mode = mode;
        slot.failure = failure;
        slot.entered
    }

    fn slot(&self, point: Point) -> &Mutex<Slot> {
        match point {
            Point::Command => &self.command,
            Point::GetMore => &self.get_more,
            Point::RetryableWrite => &self.retryable_write,
            Point::AlwaysLate => &self.always_late,
            Point::NeverLate => &self.never_late,
            Point::BuildBegun => &self.build_begun,
            Point::BuildFilled => &self.build_filled,
        }
    }

    /// Whether a fail point is on, without using it up.
    pub fn is_on(&self, point: Point) -> bool {
        self.slot(point).lock().mode != Mode::Off
    }

    /// Whether `failCommand` is on for the command, without using it up.
    pub fn is_on_for(&self, asked: &Asked<'_>) -> bool {
        let slot = self.command.lock();
        slot.mode != Mode::Off && slot.failure.is_for(asked)
    }

    /// What the command is to fail with before it runs.
    pub fn before(&self, asked: &Asked<'_>) -> Option<Failure> {
        let fits = |failure: &Failure| failure.is_for(asked) && !failure.is_of_reply();
        self.command.lock().enter(fits)
    }

    /// What the reply to a write that is done is to tell.
    pub fn in_reply(&self, asked: &Asked<'_>) -> Option<Failure> {
        let fits = |failure: &Failure| failure.is_for(asked) && failure.is_of_reply();
        self.command.lock().enter(fits)
    }

    /// Whether a command with a time limit is late at once.
    pub fn always_late(&self) -> bool {
        self.always_late.lock().enter(|_| true).is_some()
    }

    /// Whether a command with a time limit is never late.
    pub fn never_late(&self) -> bool {
        self.never_late.lock().enter(|_| true).is_some()
    }

    /// What a `getMore` that has its cursor is to fail with.
    pub fn in_get_more(&self) -> Option<Failure> {
        self.get_more.lock().enter(|_| true)
    }
}

/// What a command with retryable writes has to get past.
#[derive(Debug, Clone)]
pub struct Hurdle {
    points: Arc<FailPoints>,
    closes: Arc<AtomicBool>,
}

impl Hurdle {
    /// The hurdle of a command; `closes` is set if its connection is to be closed without an answer.
    pub fn new(points: &Arc<FailPoints>, closes: &Arc<AtomicBool>) -> Hurdle {
        Hurdle { points: Arc::clone(points), closes: Arc::clone(closes) }
    }

    /// Passes a write that is about to be done.
    ///
    /// # Errors
    /// That of the fail point: the write is not to be done.
    pub fn pass(&self) -> Result<()> {
        let Some(failure) = self.points.retryable_write.lock().enter(|_| true) else {
            return Ok(());
        };
        self.closes.fetch_or(failure.closes, Ordering::Relaxed);
        match failure.code {
            Some(code) => Err(Error::new(
                Code(code),
                "Failing write due to failpoint. The write must not be reflected.",
            )),
            None => Ok(()),
        }
    }
}

impl Slot {
    fn enter(&mut self, fits: impl Fn(&Failure) -> bool) -> Option<Failure> {
        if self.mode == Mode::Off || !fits(&self.failure) {
            return None;
        }
        match &mut self.mode {
            Mode::Skip(left) if *left > 0 => {
                *left -= 1;
                return None;
            }
            Mode::Times(left) => {
                *left -= 1;
                if *left <= 0 {
                    self.mode = Mode::Off;
                }
            }
            _ => {}
        }
        self.entered = self.entered.saturating_add(1);
        Some(self.failure.clone())
    }
}

impl Failure {
    fn is_for(&self, asked: &Asked<'_>) -> bool {
        let only = |wanted: &Option<String>, found| wanted.as_ref().is_none_or(|w| w == found);
        self.commands.iter().any(|command| command == asked.command)
            && only(&self.app_name, asked.app_name)
            && only(&self.namespace, asked.namespace)
    }

    fn is_of_reply(&self) -> bool {
        self.write_concern_error.is_some() && self.code.is_none() && !self.closes
    }

    /// Waits as long as the fail point says.
    pub fn wait(&self) {
        if let Some(delay) = self.delay {
            std::thread::sleep(delay);
        }
    }

    /// Writes the error reply, if there is one: `ok`, message, code and labels.
    pub fn write_error(&self, out: &mut DocWriter, own_label: Option<&str>) -> bool {
        let Some(code) = self.code.map(Code) else { return false };
        out.f64("ok", 0.0);
        out.str("errmsg", "Failing command via 'failCommand' failpoint");
        out.i32("code", code.0);
        out.str("codeName", &code.name());
        self.write_labels(out, own_label);
        true
    }

    /// Writes `writeConcernError` and the labels it brings into the reply to a write.
    pub fn write_beside(&self, out: &mut DocWriter, own_label: Option<&str>) {
        if let Some(error) = &self.write_concern_error {
            out.doc("writeConcernError", error.as_doc());
        }
        self.write_labels(out, own_label);
    }

    fn write_labels(&self, out: &mut DocWriter, own_label: Option<&str>) {
        let labels: Vec<&str> = match &self.labels {
            Some(labels) => labels.iter().map(String::as_str).collect(),
            None => own_label.into_iter().collect(),
        };
        if !labels.is_empty() {
            out.array("errorLabels", |array| labels.iter().for_each(|label| array.str(label)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIND: Asked<'static> = Asked { command: "find", app_name: "a", namespace: "d.c" };

    fn of_find() -> Failure {
        Failure { commands: vec!["find".to_owned()], code: Some(6), ..Failure::default() }
    }

    fn hits(mode: Mode, failure: Failure) -> Vec<bool> {
        let points = FailPoints::default();
        points.set(Point::Command, mode, failure);
        (0..4).map(|_| points.before(&FIND).is_some()).collect()
    }

    #[test]
    fn modes_count_what_they_hit() {
        assert_eq!(hits(Mode::Off, of_find()), [false; 4]);
        assert_eq!(hits(Mode::AlwaysOn, of_find()), [true; 4]);
        assert_eq!(hits(Mode::Times(2), of_find()), [true, true, false, false]);
        assert_eq!(hits(Mode::Skip(3), of_find()), [false, false, false, true]);
    }

    #[test]
    fn others_are_not_hit() {
        let other = Failure { commands: vec!["insert".to_owned()], ..of_find() };
        assert_eq!(hits(Mode::AlwaysOn, other), [false; 4]);
        let app = Failure { app_name: Some("b".to_owned()), ..of_find() };
        assert_eq!(hits(Mode::AlwaysOn, app), [false; 4]);
        let namespace = Failure { namespace: Some("d.e".to_owned()), ..of_find() };
        assert_eq!(hits(Mode::AlwaysOn, namespace), [false; 4]);
    }
}
