//! The one error of a program: a line for the user and the exit code that goes with it.

use std::fmt;

/// The result of what a program does.
pub type Result<T> = std::result::Result<T, Error>;

/// `Unauthorized`, `AuthenticationFailed` and `AtlasError` (what Atlas answers to a wrong password).
const NOT_AUTHORISED: [i32; 3] = [13, 18, 8000];

/// Why a program ended early.
///
/// ```
/// use command_line::error::Error;
/// let error = Error::usage("there is no command dance");
/// assert_eq!((error.to_string().as_str(), error.exit_code()), ("Error: there is no command dance", 2));
/// ```
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
    /// Anything that has no exit code of its own: 1.
    pub fn failed(message: impl Into<String>) -> Error {
        Error { kind: Kind::Failed, message: message.into() }
    }

    /// The command line is wrong: exit code 2, usage is printed.
    pub fn usage(message: impl Into<String>) -> Error {
        Error { kind: Kind::Usage, message: message.into() }
    }

    /// What is asked for cannot be done here, or not with the data as they are: exit code 3. The message is a whole text
    /// of its own.
    pub fn refused(message: impl Into<String>) -> Error {
        Error { kind: Kind::Refused, message: message.into() }
    }

    /// The server cannot be reached or does not let us in: exit code 4.
    pub fn unreachable(message: impl Into<String>) -> Error {
        Error { kind: Kind::Unreachable, message: message.into() }
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

    /// True if what was asked for is refused.
    pub fn is_refusal(&self) -> bool {
        self.kind == Kind::Refused
    }

    /// True if the server cannot be reached or does not let us in.
    pub fn is_unreachable(&self) -> bool {
        self.kind == Kind::Unreachable
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
        let refused = error.code().is_some_and(|code| NOT_AUTHORISED.contains(&code));
        let away = error.is_unreachable() || error.kind() == headwater::ErrorKind::CircuitOpen;
        let kind = if away || refused { Kind::Unreachable } else { Kind::Failed };
        Error { kind, message: one_line(&error) }
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

/// What an error says, without line breaks.
pub fn one_line(error: &impl fmt::Display) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
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
        assert_eq!(Error::failed("so").to_string(), "Error: so");
        assert_eq!(Error::refused("-- so").to_string(), "-- so");
        assert_eq!(one_line(&"two\n lines"), "two lines");
    }

    #[tokio::test]
    async fn b5_a_server_that_is_away_is_unreachable() {
        let away = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=50&directConnection=true";
        let config = headwater::Config::builder().uri(away).retry_attempts(1).build().unwrap();
        let headwater = headwater::Headwater::from_config(config).await.unwrap();
        let error = Error::from(headwater.ping().await.unwrap_err());
        assert_eq!(error.exit_code(), 4, "{error}");
        assert_eq!(error.to_string().lines().count(), 1, "{error}");
    }
}
