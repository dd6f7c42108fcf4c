//! The binary of the lessons, started on a deployment.

use std::process::Command;

use crate::process::{Output, Running};

/// The binary, without the environment of whoever runs the tests.
pub(crate) fn lessons(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lessons"));
    command.args(words).env_clear();
    command
}

/// Runs a command on a deployment to its end.
pub(crate) fn run(uri: &str, words: &[&str]) -> Output {
    Running::on(uri, words).end()
}

impl Running {
    /// Starts a command on a deployment.
    pub(crate) fn on(uri: &str, words: &[&str]) -> Running {
        let mut command = lessons(words);
        command.args(["--uri", uri]);
        Running::start(command)
    }
}
