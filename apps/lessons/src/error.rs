//! The one error of this program: a line for the user and the exit code that goes with it.

use std::fmt;

use headwater::mongodb;

/// The result of a scenario.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a scenario ended early.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Failed,
    Usage,
    Refused,
    Unreachable,
    OutputClosed,
}

impl Error {
    /// The command line is wrong: exit code 2, usage is printed.
    pub fn usage(message: impl Into<String>) -> Error {
        Error { kind: Kind::Usage, message: message.into() }
    }

    /// What is asked for cannot be done here: exit code 3.
    pub fn refused(message: impl Into<String>) -> Error {
        Error { kind: Kind::Refused, message: message.into() }
    }

    /// Anything else, an expectation that does not hold among them: exit code 1.
    pub fn failed(message: impl Into<String>) -> Error {
        Error { kind: Kind::Failed, message: message.into() }
    }

    /// The exit code of the process: 4 if no server could be reached, 0 when nobody reads the output any more, else as
    /// the constructors say.
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::OutputClosed => 0,
            Kind::Failed => 1,
            Kind::Usage => 2,
            Kind::Refused => 3,
            Kind::Unreachable => 4,
        }
    }

    /// True if the usage block belongs below the message.
    pub fn is_usage(&self) -> bool {
        self.kind == Kind::Usage
    }

    /// True if a scenario cannot be shown here.
    pub fn is_refusal(&self) -> bool {
        self.kind == Kind::Refused
    }

    /// True if the reader of the output has gone, which is no failure.
    pub fn is_output_closed(&self) -> bool {
        self.kind == Kind::OutputClosed
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = if self.kind == Kind::Refused { "" } else { "Error: " };
        write!(f, "{prefix}{}", self.message)
    }
}

impl std::error::Error for Error {}

impl From<headwater::Error> for Error {
    fn from(error: headwater::Error) -> Error {
        let kind = if error.is_unreachable() { Kind::Unreachable } else { Kind::Failed };
        let text = error.to_string();
        Error { kind, message: text.split_whitespace().collect::<Vec<_>>().join(" ") }
    }
}

impl From<mongodb::error::Error> for Error {
    fn from(error: mongodb::error::Error) -> Error {
        headwater::Error::from(error).into()
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Error {
        let kind = match error.kind() {
            std::io::ErrorKind::BrokenPipe => Kind::OutputClosed,
            _ => Kind::Failed,
        };
        Error { kind, message: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_exit_code() {
        assert_eq!(Error::failed("").exit_code(), 1);
        assert_eq!(Error::usage("").exit_code(), 2);
        assert_eq!(Error::refused("").exit_code(), 3);
        let closed = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert_eq!(Error::from(closed).exit_code(), 0);
        let away = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        assert_eq!(Error::from(mongodb::error::Error::from(away)).exit_code(), 4);
    }
}
