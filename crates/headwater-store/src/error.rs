//! The store's one error type. Knows kinds and causes, not where they are turned into replies.

use std::fmt;
use std::io;
use std::path::Path;

/// What went wrong, coarse enough to branch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The operating system refused a read or an open. Failures of writes and syncs become
    /// [`ErrorKind::Poisoned`].
    Io,
    /// Bytes on disk contradict their checksum or each other.
    Corrupt,
    /// Another process (or another `Store` in this one) owns the folder.
    Locked,
    /// The folder was written in another format version, or isn't a store at all.
    FormatVersion,
    /// An append, a sync or a tree commit failed earlier: nothing is acknowledged any more until
    /// the store is opened again.
    Poisoned,
    /// The history asked for is older than what retention kept.
    HistoryLost,
    /// The key is empty or longer than [`KEY_BYTES_MAX`](crate::KEY_BYTES_MAX).
    InvalidKey,
    /// One operation is larger than [`RECORD_BYTES_MAX`](crate::RECORD_BYTES_MAX).
    TooLarge,
    /// More snapshots are held than the tree has reader slots.
    TooManySnapshots,
    /// The call would wait for the [`Writer`](crate::Writer) that its own thread holds, for ever.
    WriterHeld,
    /// The store was closed.
    Closed,
}

/// A failed call of the store: a kind, a sentence and, where there is one, the cause.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The result of every fallible call of the store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The kind to branch on.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    #[cold]
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error { kind, message: message.into(), source: None }
    }

    #[cold]
    pub(crate) fn io(what: &str, path: &Path, source: io::Error) -> Error {
        let message = format!("{what} {}", path.display());
        Error { kind: ErrorKind::Io, message, source: Some(Box::new(source)) }
    }

    #[cold]
    pub(crate) fn tree(what: &str, source: heed::Error) -> Error {
        let kind = match &source {
            heed::Error::Mdb(heed::MdbError::ReadersFull) => ErrorKind::TooManySnapshots,
            heed::Error::Mdb(
                heed::MdbError::Corrupted
                | heed::MdbError::PageNotFound
                | heed::MdbError::Invalid
                | heed::MdbError::VersionMismatch,
            ) => ErrorKind::Corrupt,
            _ => ErrorKind::Io,
        };
        Error { kind, message: format!("tree: {what}"), source: Some(Box::new(source)) }
    }

    #[cold]
    pub(crate) fn corrupt(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Corrupt, message)
    }

    #[cold]
    pub(crate) fn closed() -> Error {
        Error::new(ErrorKind::Closed, "the store is closed")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
