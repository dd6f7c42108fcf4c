//! Runs many cases on several threads and gives up on a case that hangs. Knows no recordings and no rules.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::compare::Verdict;
use crate::recording::Case;
use crate::run::{Target, case};

/// How long a case may take.
const CASE_TIME: Duration = Duration::from_secs(60);

/// What every thread shares.
struct Work {
    cases: Arc<Vec<Case>>,
    next: AtomicUsize,
}

/// Makes a target, on the thread that uses it.
pub type Open = fn() -> Result<Box<dyn Target>, String>;

/// Runs all cases on `threads` targets; the verdicts are in the order of the cases.
///
/// # Errors
/// If no target can be made.
pub fn run(cases: &Arc<Vec<Case>>, threads: usize, open: Open) -> Result<Vec<Verdict>, String> {
    let work = Arc::new(Work { cases: Arc::clone(cases), next: AtomicUsize::new(0) });
    let (sender, receiver) = channel();
    let mut verdicts: Vec<Option<Verdict>> = cases.iter().map(|_| None).collect();
    let mut workers = Vec::new();
    for _ in 0..threads {
        workers.push(Worker::start(&work, open, &sender));
    }
    let mut open_cases = cases.len();
    while open_cases > 0 {
        match receiver.recv_timeout(Duration::from_secs(1)) {
            Ok(Report::Done(at, verdict)) => {
                if let Some(slot @ None) = verdicts.get_mut(at) {
                    *slot = Some(verdict);
                    open_cases -= 1;
                }
            }
            Ok(Report::NoTarget(why)) => return Err(why),
            Err(RecvTimeoutError::Disconnected) => return Err("the workers are gone".to_owned()),
            Err(RecvTimeoutError::Timeout) => {}
        }
        for worker in &mut workers {
            let hung = worker.since().filter(|(_, since)| since.elapsed() > CASE_TIME);
            if let Some((at, _)) = hung {
                if let Some(slot @ None) = verdicts.get_mut(at) {
                    let difference = Some(format!("no answer in {} s", CASE_TIME.as_secs()));
                    *slot = Some(Verdict { difference, ..Verdict::default() });
                    open_cases -= 1;
                }
                *worker = Worker::start(&work, open, &sender);
            }
        }
    }
    Ok(verdicts.into_iter().map(Option::unwrap_or_default).collect())
}

enum Report {
    Done(usize, Verdict),
    NoTarget(String),
}

/// A thread; one that hangs is left alone and replaced.
struct Worker {
    current: Arc<Mutex<Option<(usize, Instant)>>>,
}

impl Worker {
    fn start(work: &Arc<Work>, open: Open, sender: &Sender<Report>) -> Worker {
        let current = Arc::new(Mutex::new(None));
        let (work, shared, sender) = (Arc::clone(work), Arc::clone(&current), sender.clone());
        let body = move || {
            let mut target = match open() {
                Ok(target) => target,
                Err(why) => return drop(sender.send(Report::NoTarget(why))),
            };
            loop {
                let at = work.next.fetch_add(1, Ordering::Relaxed);
                let Some(next) = work.cases.get(at) else { return };
                *shared.lock().unwrap_or_else(PoisonError::into_inner) = Some((at, Instant::now()));
                let verdict = case(target.as_mut(), next);
                let started = shared.lock().unwrap_or_else(PoisonError::into_inner).take();
                let late = started.is_none_or(|(_, since)| since.elapsed() > CASE_TIME);
                if sender.send(Report::Done(at, verdict)).is_err() || late {
                    return;
                }
            }
        };
        let spawned = std::thread::Builder::new().stack_size(16 << 20).spawn(body);
        if let Err(error) = spawned {
            eprintln!("no thread: {error}");
        }
        Worker { current }
    }

    fn since(&self) -> Option<(usize, Instant)> {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
