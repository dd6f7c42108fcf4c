//! A program under test as a process: what it prints, and how it ends. The tests of applications include this file by
//! its path; what they start, and with which words, is their own affair.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long anything may take that has no limit of its own.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What a program that ended has printed, and its exit code.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Output {
    pub(crate) fn lines(&self) -> Vec<&str> {
        self.stdout.lines().collect()
    }
}

/// A program that runs; it is killed when this is dropped.
pub(crate) struct Running {
    child: Child,
    lines: mpsc::Receiver<(Instant, String)>,
    errors: Option<std::thread::JoinHandle<String>>,
}

impl Running {
    /// Starts a program and reads its lines as they come.
    pub(crate) fn start(mut command: Command) -> Running {
        let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send((Instant::now(), line)).is_err() {
                    return;
                }
            }
        });
        let errors = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            text
        });
        Running { child, lines, errors: Some(errors) }
    }

    /// The next line.
    pub(crate) fn line(&self) -> String {
        self.timed_line_where(|_| true).1
    }

    /// Reads until a line fits.
    pub(crate) fn line_where(&self, fits: impl Fn(&str) -> bool) -> String {
        self.timed_line_where(fits).1
    }

    /// Reads until a line fits; gives it with the moment when it came.
    pub(crate) fn timed_line_where(&self, fits: impl Fn(&str) -> bool) -> (Instant, String) {
        let mut seen = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok((at, line)) if fits(&line) => return (at, line),
                Ok((_, line)) => seen.push(line),
                Err(why) => panic!("no such line ({why}) among {seen:#?}"),
            }
        }
    }

    /// The lines that have come and that come within `time`.
    pub(crate) fn lines_for(&self, time: Duration) -> Vec<String> {
        let end = Instant::now() + time;
        let mut lines = Vec::new();
        while let Ok((_, line)) =
            self.lines.recv_timeout(end.saturating_duration_since(Instant::now()))
        {
            lines.push(line);
        }
        lines
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Interrupts the program and waits for its end.
    pub(crate) fn interrupt(self) -> Output {
        self.signal("INT");
        self.end()
    }

    /// True if the program has not ended.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for the end; gives the exit code, the lines not read yet and what went to standard error.
    pub(crate) fn end(mut self) -> Output {
        let begun = Instant::now();
        while self.is_running() {
            assert!(begun.elapsed() < PATIENCE, "the program does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
        let code = self.child.wait().unwrap().code();
        let lines: Vec<String> = self.lines.iter().map(|(_, line)| line).collect();
        let stderr = self.errors.take().unwrap().join().unwrap();
        Output { code, stdout: lines.join("\n"), stderr }
    }

    /// Kills the program without a chance to clean up.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}
