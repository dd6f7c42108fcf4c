//! The ticker's binary, started on a data folder.

use std::path::Path;
use std::process::Command;

use crate::process::{Output, Running};

/// The binary, without the environment of whoever runs the tests.
pub(crate) fn ticker(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ticker"));
    command.args(words).env_remove("MONGODB_URL").env_remove("TICKER_DATA").env_remove("NO_COLOR");
    command
}

/// Runs a command on a data folder to its end; gives its output to the letter.
pub(crate) fn run(data: &Path, words: &[&str]) -> Output {
    let output = ticker(words).arg("--data").arg(data).output().unwrap();
    Output {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Running {
    /// Starts a command on a data folder.
    pub(crate) fn on(data: &Path, words: &[&str]) -> Running {
        let mut command = ticker(words);
        command.arg("--data").arg(data);
        Running::start(command)
    }
}
