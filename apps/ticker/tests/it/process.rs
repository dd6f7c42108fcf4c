//! The binary under test as a process, and what it prints.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long anything may take that has no limit of its own.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What a command that ended has printed, and its exit code.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The binary, without the environment of whoever runs the tests.
pub(crate) fn ticker(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ticker"));
    command.args(words).env_remove("MONGODB_URL").env_remove("TICKER_DATA").env_remove("NO_COLOR");
    command
}

/// Runs a command on a data folder to its end.
pub(crate) fn run(data: &Path, words: &[&str]) -> Output {
    let output = ticker(words).arg("--data").arg(data).output().unwrap();
    Output {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A command that runs; it is killed when this is dropped.
pub(crate) struct Running {
    child: Child,
    lines: mpsc::Receiver<(Instant, String)>,
    errors: Option<std::thread::JoinHandle<String>>,
}

impl Running {
    /// Starts a command and reads its lines as they come.
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

    /// Starts a command on a data folder.
    pub(crate) fn on(data: &Path, words: &[&str]) -> Running {
        let mut command = ticker(words);
        command.arg("--data").arg(data);
        Running::start(command)
    }

    /// The next line and when it came.
    pub(crate) fn line(&self) -> (Instant, String) {
        self.lines.recv_timeout(PATIENCE).expect("a line in time")
    }

    /// Reads until a line fits; gives it and when it came.
    pub(crate) fn line_where(&self, fits: impl Fn(&str) -> bool) -> (Instant, String) {
        loop {
            let (at, line) = self.line();
            if fits(&line) {
                return (at, line);
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

    /// True if the command has not ended.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for the end; gives the exit code, the lines not read yet and what went to standard error.
    pub(crate) fn end(mut self) -> Output {
        let begun = Instant::now();
        while self.is_running() {
            assert!(begun.elapsed() < PATIENCE, "the command does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
        let code = self.child.wait().unwrap().code();
        let lines: Vec<String> = self.lines_for(Duration::from_millis(200));
        let stderr = self.errors.take().unwrap().join().unwrap();
        Output { code, stdout: lines.join("\n"), stderr }
    }

    /// Kills the command without a chance to clean up.
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
