//! The engine's one error type: code, code name, message, labels, further reply fields.

mod codes;

use std::fmt;

pub use codes::CODES;

use crate::bson::{Doc, DocBuf, DocWriter};

/// A result of the engine.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A MongoDB error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Code(pub i32);

impl Code {
    /// MongoDB's name of the code; an unnamed one is called `Location` and its number.
    pub fn name(self) -> String {
        match CODES.binary_search_by_key(&self.0, |&(code, _)| code) {
            Ok(at) => CODES.get(at).map_or_else(String::new, |&(_, name)| name.to_owned()),
            Err(_) => format!("Location{}", self.0),
        }
    }
}

/// An error as a client of MongoDB sees it.
///
/// ```
/// use headwater_engine::{Error, error::Code};
/// let error = Error::new(Code::BAD_VALUE, "unknown operator: $foo");
/// assert_eq!(error.code(), Code::BAD_VALUE);
/// assert_eq!(error.code().name(), "BadValue");
/// ```
#[derive(Debug, Clone)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    code: Code,
    message: String,
    labels: Vec<&'static str>,
    details: DocBuf,
}

impl Error {
    /// An error of a code with its message.
    #[cold]
    pub fn new(code: Code, message: impl Into<String>) -> Error {
        let message = message.into();
        Error(Box::new(Inner { code, message, labels: Vec::new(), details: DocBuf::new() }))
    }

    /// An error of an unnamed code (`Location…`).
    #[cold]
    pub fn location(code: i32, message: impl Into<String>) -> Error {
        Error::new(Code(code), message)
    }

    /// A known feature that this version does not support.
    #[cold]
    pub fn not_supported(what: impl fmt::Display) -> Error {
        Error::new(Code::COMMAND_NOT_SUPPORTED, format!("{what} is not supported by Headwater yet"))
    }

    /// Adds an error label, such as `RetryableWriteError`.
    #[must_use]
    pub fn with_label(mut self, label: &'static str) -> Error {
        if !self.0.labels.contains(&label) {
            self.0.labels.push(label);
        }
        self
    }

    /// Adds fields that stand beside the code in the reply, such as `keyPattern` and `keyValue`.
    #[must_use]
    pub fn with_details(mut self, fields: DocBuf) -> Error {
        self.0.details = fields;
        self
    }

    /// Puts text before the message, as MongoDB does when an error passes a layer.
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl fmt::Display) -> Error {
        self.0.message = format!("{prefix}{}", self.0.message);
        self
    }

    /// The code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// Whether it ends a whole command and not one of its statements: the time is up, or the command was killed.
    pub fn is_interruption(&self) -> bool {
        matches!(self.0.code.0, 50 | 237 | 11600 | 11601 | 11602)
    }

    /// The message.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The labels.
    pub fn labels(&self) -> &[&'static str] {
        &self.0.labels
    }

    /// The further fields.
    pub fn details(&self) -> Doc<'_> {
        self.0.details.as_doc()
    }

    /// Writes the fields of an error reply: `ok`, `errmsg`, `code`, `codeName`, details, labels.
    pub fn write_reply(&self, reply: &mut DocWriter) {
        reply.f64("ok", 0.0);
        reply.str("errmsg", &self.0.message);
        reply.i32("code", self.0.code.0);
        reply.str("codeName", &self.0.code.name());
        reply.extend(self.details());
        if !self.0.labels.is_empty() {
            reply.array("errorLabels", |labels| {
                self.0.labels.iter().for_each(|label| labels.str(label));
            });
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.0.code.name(), self.0.code.0, self.0.message)
    }
}

impl std::error::Error for Error {}

impl From<headwater_store::Error> for Error {
    #[cold]
    fn from(error: headwater_store::Error) -> Error {
        use headwater_store::ErrorKind;
        let code = match error.kind() {
            ErrorKind::HistoryLost => Code::CHANGE_STREAM_HISTORY_LOST,
            ErrorKind::Closed => Code::SHUTDOWN_IN_PROGRESS,
            ErrorKind::TooLarge => Code::BSON_OBJECT_TOO_LARGE,
            ErrorKind::TooManySnapshots => Code::EXCEEDED_MEMORY_LIMIT,
            ErrorKind::Locked => Code::DB_PATH_IN_USE,
            _ => Code::INTERNAL_ERROR,
        };
        Error::new(code, error.to_string())
    }
}
