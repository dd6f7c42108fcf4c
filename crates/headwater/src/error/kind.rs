//! What kinds of errors there are. Names only.

use std::fmt;

/// What went wrong, coarsely: what a caller decides by.
///
/// ```
/// use headwater::{ConnectionFailure, ErrorKind};
/// let kind = ErrorKind::Connection(ConnectionFailure::Authentication);
/// assert_eq!(kind.to_string(), "authentication failed");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The connection to a server failed, or could not be made.
    Connection(ConnectionFailure),
    /// No suitable server was found in time; the message lists the servers with their last errors.
    ServerSelection,
    /// The circuit breaker is open: the servers were not asked. [`Error::retry_after`](crate::Error::retry_after) says
    /// when the next probe may go out.
    CircuitOpen,
    /// The call took longer than its deadline allows.
    Deadline,
    /// The call was given up because another one failed or the caller said so.
    Cancelled,
    /// A unique index has the key already; see [`Error::duplicate_key`](crate::Error::duplicate_key).
    DuplicateKey,
    /// The write was applied but not acknowledged as demanded; see
    /// [`Error::write_concern`](crate::Error::write_concern).
    WriteConcern,
    /// Some of several writes failed; see [`Error::bulk`](crate::Error::bulk).
    Bulk,
    /// What was asked makes no sense, or the collection's validator refused the document (code 121).
    Validation,
    /// Any other error of a query or a write.
    Query,
    /// Any other error of an index operation.
    Index,
    /// Any other error of an aggregation.
    Aggregation,
    /// Any other error of a change stream.
    ChangeStream(ChangeStreamFailure),
    /// An error of the file store.
    GridFs(GridFsFailure),
    /// A transaction could not begin, commit or abort.
    Transaction,
    /// The configuration makes no sense, or a connection string cannot be understood.
    Config,
    /// The database inside this process cannot start or stopped.
    Embedded,
    /// The data folder of the embedded database is in use by someone else.
    FolderInUse,
}

/// How a connection failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectionFailure {
    /// Nobody listens at the address.
    Refused,
    /// The connection broke: reset, closed, or its pool was cleared because of another one.
    Reset,
    /// The name of a server cannot be resolved.
    NameResolution,
    /// TLS cannot be agreed on.
    Tls,
    /// A server did not answer in time.
    Timeout,
    /// No connection became free in time.
    PoolWait,
    /// The server does not accept the credentials.
    Authentication,
    /// The connector was closed.
    Closed,
    /// Anything else that a socket may say.
    Other,
}

/// How the file store failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GridFsFailure {
    /// There is no such file.
    FileNotFound,
    /// There is such a file, but not this revision.
    RevisionNotFound,
    /// A chunk is missing or has the wrong size.
    Corrupt,
    /// Anything else.
    Other,
}

/// How a change stream failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChangeStreamFailure {
    /// The server no longer has what came after the token (code 286): changes were missed for good.
    HistoryLost,
    /// The token is none, or none of this stream (code 260).
    InvalidToken,
    /// The stream can never go on from here (code 280), such as after an event that is too large.
    Fatal,
    /// The deployment has no change streams, or not what was asked of this one.
    NotSupported,
    /// The token could not be loaded or saved.
    TokenStore,
    /// The worker's own callback failed; its error is the `source()`.
    Callback,
    /// Anything else.
    Other,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ErrorKind::Connection(failure) => return failure.fmt(f),
            ErrorKind::GridFs(failure) => return failure.fmt(f),
            ErrorKind::ChangeStream(failure) => return failure.fmt(f),
            ErrorKind::ServerSelection => "no suitable server",
            ErrorKind::CircuitOpen => "circuit open",
            ErrorKind::Deadline => "deadline passed",
            ErrorKind::Cancelled => "cancelled",
            ErrorKind::DuplicateKey => "duplicate key",
            ErrorKind::WriteConcern => "write concern not met",
            ErrorKind::Bulk => "some writes failed",
            ErrorKind::Validation => "not valid",
            ErrorKind::Query => "operation failed",
            ErrorKind::Index => "index operation failed",
            ErrorKind::Aggregation => "aggregation failed",
            ErrorKind::Transaction => "transaction failed",
            ErrorKind::Config => "wrong configuration",
            ErrorKind::Embedded => "embedded database failed",
            ErrorKind::FolderInUse => "data folder in use",
        })
    }
}

impl fmt::Display for ConnectionFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ConnectionFailure::Refused => "connection refused",
            ConnectionFailure::Reset => "connection broken",
            ConnectionFailure::NameResolution => "name not resolved",
            ConnectionFailure::Tls => "TLS failed",
            ConnectionFailure::Timeout => "no answer in time",
            ConnectionFailure::PoolWait => "no connection free in time",
            ConnectionFailure::Authentication => "authentication failed",
            ConnectionFailure::Closed => "connector closed",
            ConnectionFailure::Other => "connection failed",
        })
    }
}

impl fmt::Display for GridFsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            GridFsFailure::FileNotFound => "file not found",
            GridFsFailure::RevisionNotFound => "revision not found",
            GridFsFailure::Corrupt => "file damaged",
            GridFsFailure::Other => "file store failed",
        })
    }
}

impl fmt::Display for ChangeStreamFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ChangeStreamFailure::HistoryLost => "history of the change stream lost",
            ChangeStreamFailure::InvalidToken => "resume token not valid",
            ChangeStreamFailure::Fatal => "change stream cannot go on",
            ChangeStreamFailure::NotSupported => "change stream not supported",
            ChangeStreamFailure::TokenStore => "resume token not kept",
            ChangeStreamFailure::Callback => "change not handled",
            ChangeStreamFailure::Other => "change stream failed",
        })
    }
}
