//! The connector's one error: what went wrong and the questions a caller asks about it. Its text never holds a secret.

use std::fmt;

use mongodb::error::ErrorKind;

/// The result of an operation of the connector.
pub type Result<T> = std::result::Result<T, Error>;

/// Why the connector could not do what it was asked.
///
/// Credentials appear neither in its text nor in its `Debug` form.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    InvalidUri,
    Unreachable,
    FolderInUse,
    Embedded,
    Driver,
}

impl Error {
    #[cfg(feature = "embedded")]
    #[cold]
    pub(crate) fn embedded(
        message: impl Into<String>,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Error {
        let mut error = Error::new(Kind::Embedded, message);
        error.0.source = Some(Box::new(source));
        error
    }

    #[cfg(feature = "embedded")]
    #[cold]
    pub(crate) fn folder_in_use(
        message: impl Into<String>,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Error {
        let mut error = Error::embedded(message, source);
        error.0.kind = Kind::FolderInUse;
        error
    }

    fn new(kind: Kind, message: impl Into<String>) -> Error {
        Error(Box::new(Inner { kind, message: message.into(), source: None }))
    }

    /// True if the URI makes no sense.
    pub fn is_invalid_uri(&self) -> bool {
        self.0.kind == Kind::InvalidUri
    }

    /// True if no server could be reached, or it did not let us in.
    pub fn is_unreachable(&self) -> bool {
        self.0.kind == Kind::Unreachable
    }

    /// True if another process, or another [`Headwater`](crate::Headwater) in this one, has the data folder open.
    pub fn is_folder_in_use(&self) -> bool {
        self.0.kind == Kind::FolderInUse
    }
}

impl From<mongodb::error::Error> for Error {
    fn from(error: mongodb::error::Error) -> Error {
        let kind = match error.kind.as_ref() {
            ErrorKind::InvalidArgument { .. } => Kind::InvalidUri,
            ErrorKind::ServerSelection { .. }
            | ErrorKind::Io(_)
            | ErrorKind::DnsResolve { .. }
            | ErrorKind::Authentication { .. } => Kind::Unreachable,
            _ => Kind::Driver,
        };
        let mut ours = Error::new(kind, error.kind.to_string());
        ours.0.source = Some(Box::new(error));
        ours
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}
