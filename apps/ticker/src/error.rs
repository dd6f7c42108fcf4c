//! The one error of this program: a line for the user and the exit code that goes with it.

use std::fmt;

use headwater::mongodb;
use headwater::mongodb::error::ErrorKind;

/// The result of a command.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a command ended early.
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

/// `AuthenticationFailed`, `Unauthorized` and `AtlasError` (what Atlas answers to a wrong password).
const AUTHORISATION_CODES: [i32; 3] = [18, 13, 8000];

impl Error {
    /// The command line is wrong: exit code 2, usage is printed.
    pub fn usage(message: impl Into<String>) -> Error {
        Error { kind: Kind::Usage, message: message.into() }
    }

    /// The data is not in the state that the command needs: exit code 3.
    pub fn refused(message: impl Into<String>) -> Error {
        Error { kind: Kind::Refused, message: message.into() }
    }

    /// The server cannot be reached or does not let us in: exit code 4.
    pub fn unreachable(message: impl Into<String>) -> Error {
        Error { kind: Kind::Unreachable, message: message.into() }
    }

    /// Anything else: exit code 1.
    pub fn failed(message: impl Into<String>) -> Error {
        Error { kind: Kind::Failed, message: message.into() }
    }

    /// The exit code of the process: 0 when nobody reads the output any more, else as the constructors say.
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

    /// True if a command found its precondition unmet.
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
        // A refusal is a whole text of its own.
        let prefix = if self.kind == Kind::Refused { "" } else { "Error: " };
        write!(f, "{prefix}{}", self.message)
    }
}

impl std::error::Error for Error {}

impl From<mongodb::error::Error> for Error {
    fn from(error: mongodb::error::Error) -> Error {
        let message = one_line(&error);
        if is_unreachable(&error) { Error::unreachable(message) } else { Error::failed(message) }
    }
}

impl From<headwater::Error> for Error {
    fn from(error: headwater::Error) -> Error {
        let message = error.to_string();
        if error.is_unreachable() { Error::unreachable(message) } else { Error::failed(message) }
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

/// The code that the server gave, if it was the server who refused.
pub fn server_code(error: &mongodb::error::Error) -> Option<i32> {
    match error.kind.as_ref() {
        ErrorKind::Command(command) => Some(command.code),
        ErrorKind::Write(mongodb::error::WriteFailure::WriteError(write)) => Some(write.code),
        _ => None,
    }
}

fn is_unreachable(error: &mongodb::error::Error) -> bool {
    match error.kind.as_ref() {
        ErrorKind::ServerSelection { .. }
        | ErrorKind::Io(_)
        | ErrorKind::DnsResolve { .. }
        | ErrorKind::Authentication { .. } => true,
        ErrorKind::Command(command) => AUTHORISATION_CODES.contains(&command.code),
        _ => false,
    }
}

/// What the error says, without line breaks, labels and reply dumps.
pub fn one_line(error: &mongodb::error::Error) -> String {
    let text = match error.kind.as_ref() {
        ErrorKind::Command(command) => {
            format!("{} (code {} {})", command.message, command.code, command.code_name)
        }
        kind => kind.to_string(),
    };
    shortened(&text)
}

/// The driver nests errors in their debug form; the innermost text without its attributes is the cause.
fn shortened(text: &str) -> String {
    let text = match text.rsplit_once("Error: Kind: ") {
        Some((_, cause)) => cause.split(", labels: {").next().unwrap_or(cause),
        None => text,
    };
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b5_every_kind_has_its_exit_code() {
        assert_eq!(Error::failed("").exit_code(), 1);
        assert_eq!(Error::usage("").exit_code(), 2);
        assert_eq!(Error::refused("").exit_code(), 3);
        assert_eq!(Error::unreachable("").exit_code(), 4);
        let closed = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert_eq!(Error::from(closed).exit_code(), 0);
    }

    #[test]
    fn b5_an_error_is_one_line_that_names_the_cause() {
        let driver = "Server selection timeout: No available servers. Topology: { Type: Single, Servers: [ { Address: \
                      h:1, Type: Unknown, Error: Kind: I/O error: Connection refused (os error 111), labels: {\"a\"}, \
                      source: None, server response: None } ] }";
        assert_eq!(shortened(driver), "I/O error: Connection refused (os error 111)");
        assert_eq!(shortened("two\n lines"), "two lines");
        assert_eq!(Error::failed("so").to_string(), "Error: so");
        assert_eq!(Error::refused("-- so").to_string(), "-- so");
    }

    #[test]
    fn b5_network_trouble_is_unreachable() {
        let broken = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        assert_eq!(Error::from(mongodb::error::Error::from(broken)).exit_code(), 4);
    }
}
