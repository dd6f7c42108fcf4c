//! Why a command failed, and with which exit code it says so.

use std::fmt;
use std::process::ExitCode;

/// A failure that ends the process.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    usage: bool,
}

impl Failure {
    /// The options are wrong: exit code 2.
    pub(crate) fn usage(message: impl Into<String>) -> Failure {
        Failure { message: message.into(), usage: true }
    }

    /// Something went wrong while running: exit code 1.
    pub(crate) fn running(what: &str, error: impl fmt::Display) -> Failure {
        Failure { message: format!("{what}: {error}"), usage: false }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        if self.usage { ExitCode::from(2) } else { ExitCode::FAILURE }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
