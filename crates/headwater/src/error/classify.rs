//! From the driver's errors to ours: by codes and labels, as a table. Decides nothing about trying again.

use std::io;

use mongodb::error::{
    Error as DriverError, ErrorKind as DriverKind, GridFsErrorKind, WriteConcernError, WriteFailure,
};

use super::details::{Details, WriteConcernFailure};
use super::kind::{ChangeStreamFailure, ConnectionFailure, ErrorKind, GridFsFailure};
use super::{Error, reply};

/// What a code means, where it means more than that the operation failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Meaning {
    DuplicateKey,
    WriteConcern,
    Validation,
    Authentication,
    /// The same call may succeed later.
    Transient,
    /// The same call may succeed later, and nothing was done yet.
    NotDone,
    /// The server's own time limit was reached.
    Timeout,
    /// Both: a limit was reached, and the same call may succeed later.
    TransientTimeout,
}

/// Sorted by code. Names are those of MongoDB's `error_codes.yml`; what may be tried again is from the driver
/// specification "Retryable Reads".
const CODES: &[(i32, Meaning)] = &[
    (6, Meaning::Transient),          // HostUnreachable
    (7, Meaning::Transient),          // HostNotFound
    (18, Meaning::Authentication),    // AuthenticationFailed
    (50, Meaning::Timeout),           // MaxTimeMSExpired
    (64, Meaning::WriteConcern),      // WriteConcernTimeout
    (79, Meaning::WriteConcern),      // UnknownReplWriteConcern
    (89, Meaning::TransientTimeout),  // NetworkTimeout
    (91, Meaning::Transient),         // ShutdownInProgress
    (100, Meaning::WriteConcern),     // UnsatisfiableWriteConcern
    (121, Meaning::Validation),       // DocumentValidationFailure
    (134, Meaning::Transient),        // ReadConcernMajorityNotAvailableYet
    (189, Meaning::Transient),        // PrimarySteppedDown
    (262, Meaning::TransientTimeout), // ExceededTimeLimit
    (9001, Meaning::Transient),       // SocketException
    (10058, Meaning::NotDone),        // LegacyNotPrimary
    (10107, Meaning::NotDone),        // NotWritablePrimary
    (11000, Meaning::DuplicateKey),   // DuplicateKey
    (11001, Meaning::DuplicateKey),   // the same from an update of old servers
    (11600, Meaning::Transient),      // InterruptedAtShutdown
    (11602, Meaning::Transient),      // InterruptedDueToReplStateChange
    (12582, Meaning::DuplicateKey),   // the same through a router of old servers
    (13435, Meaning::NotDone),        // NotPrimaryNoSecondaryOk
    (13436, Meaning::NotDone),        // NotPrimaryOrSecondary
];

/// What the operation was about, which names the kind of whatever has no kind of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Family {
    Query,
    Index,
    Aggregation,
    ChangeStream,
    #[allow(dead_code)]
    GridFs,
    Transaction,
}

impl Family {
    pub(super) fn kind(self) -> ErrorKind {
        match self {
            Family::Query => ErrorKind::Query,
            Family::Index => ErrorKind::Index,
            Family::Aggregation => ErrorKind::Aggregation,
            Family::ChangeStream => ErrorKind::ChangeStream(ChangeStreamFailure::Other),
            Family::GridFs => ErrorKind::GridFs(GridFsFailure::Other),
            Family::Transaction => ErrorKind::Transaction,
        }
    }
}

fn meaning(code: i32) -> Option<Meaning> {
    CODES.binary_search_by_key(&code, |(code, _)| *code).ok().map(|at| CODES[at].1)
}

pub(crate) fn is_duplicate_key(code: i32) -> bool {
    meaning(code) == Some(Meaning::DuplicateKey)
}

pub(super) fn is_transient(code: i32) -> bool {
    use Meaning::{NotDone, Transient, TransientTimeout};
    matches!(meaning(code), Some(Transient | NotDone | TransientTimeout))
}

pub(super) fn is_not_done(code: i32) -> bool {
    meaning(code) == Some(Meaning::NotDone)
}

pub(super) fn is_timeout(code: i32) -> bool {
    matches!(meaning(code), Some(Meaning::Timeout | Meaning::TransientTimeout))
}

/// The kind that a server's code gives an operation of the family.
pub(super) fn kind_of_code(code: i32, family: Family) -> ErrorKind {
    match meaning(code) {
        Some(Meaning::DuplicateKey) => ErrorKind::DuplicateKey,
        Some(Meaning::WriteConcern) => ErrorKind::WriteConcern,
        Some(Meaning::Validation) => ErrorKind::Validation,
        Some(Meaning::Authentication) => ErrorKind::Connection(ConnectionFailure::Authentication),
        _ if family == Family::ChangeStream => ErrorKind::ChangeStream(of_change_stream(code)),
        _ => family.kind(),
    }
}

fn of_change_stream(code: i32) -> ChangeStreamFailure {
    match code {
        286 => ChangeStreamFailure::HistoryLost,
        260 => ChangeStreamFailure::InvalidToken,
        280 => ChangeStreamFailure::Fatal,
        // CommandNotFound, CommandNotSupported, NotImplemented, an unknown stage, no replica set.
        59 | 115 | 238 | 40_324 | 40_573 => ChangeStreamFailure::NotSupported,
        _ => ChangeStreamFailure::Other,
    }
}

pub(super) fn of_driver(error: DriverError, family: Family) -> Error {
    let mut ours = match error.kind.as_ref() {
        DriverKind::Command(command) => {
            let mut ours = Error::of_code(command.code, family, command.message.clone());
            ours.0.code_name = Some(command.code_name.clone()).filter(|name| !name.is_empty());
            ours
        }
        DriverKind::Write(WriteFailure::WriteError(write)) => {
            let mut ours = Error::of_code(write.code, family, write.message.clone());
            ours.0.code_name = write.code_name.clone();
            if let (ErrorKind::Validation, Some(details)) = (ours.0.kind, &write.details) {
                ours.0.details = Details::Validation(details.clone());
            }
            ours
        }
        DriverKind::Write(WriteFailure::WriteConcernError(unmet)) => of_write_concern(unmet),
        DriverKind::InsertMany(failure) => match &failure.write_concern_error {
            Some(unmet) if failure.write_errors.is_none() => of_write_concern(unmet),
            _ => Error::new(ErrorKind::Bulk, "some of the documents were not inserted"),
        },
        DriverKind::GridFs(failure) => of_grid_fs(failure),
        DriverKind::Bson(error) => {
            Error::unreadable(error.clone(), family, "the document cannot be read as asked")
        }
        other => {
            let (kind, message) = of_trouble(other, family);
            Error::new(kind, message)
        }
    };
    if let Some(response) = error.server_response() {
        reply::complete(&mut ours, response);
    }
    ours.0.labels.extend(error.labels().iter().cloned());
    ours.0.source = Some(Box::new(error));
    ours
}

fn of_grid_fs(failure: &GridFsErrorKind) -> Error {
    let (failure, message) = match failure {
        GridFsErrorKind::FileNotFound { .. } => (GridFsFailure::FileNotFound, "file not found"),
        GridFsErrorKind::RevisionNotFound { .. } => {
            (GridFsFailure::RevisionNotFound, "revision not found")
        }
        GridFsErrorKind::MissingChunk { .. } => (GridFsFailure::Corrupt, "a chunk is missing"),
        GridFsErrorKind::WrongSizeChunk { .. } => {
            (GridFsFailure::Corrupt, "a chunk has the wrong size")
        }
        GridFsErrorKind::WrongNumberOfChunks { .. } => {
            (GridFsFailure::Corrupt, "chunks are missing or too many")
        }
        GridFsErrorKind::AbortError { .. } => {
            (GridFsFailure::Other, "the upload could not be undone")
        }
        _ => (GridFsFailure::Other, "the file's stream is closed or busy"),
    };
    Error::new(ErrorKind::GridFs(failure), message)
}

/// What is neither a server's answer nor about files.
fn of_trouble(kind: &DriverKind, family: Family) -> (ErrorKind, String) {
    use ConnectionFailure as Failure;
    match kind {
        DriverKind::Io(error) => {
            (ErrorKind::Connection(of_io(error)), format!("I/O error: {error}"))
        }
        DriverKind::ConnectionPoolCleared { message, .. } => {
            (ErrorKind::Connection(Failure::Reset), message.clone())
        }
        DriverKind::DnsResolve { message, .. } => {
            (ErrorKind::Connection(Failure::NameResolution), message.clone())
        }
        DriverKind::InvalidTlsConfig { message, .. } => {
            (ErrorKind::Connection(Failure::Tls), message.clone())
        }
        DriverKind::Authentication { message, .. } => {
            (ErrorKind::Connection(Failure::Authentication), message.clone())
        }
        DriverKind::Shutdown => {
            (ErrorKind::Connection(Failure::Closed), "the connector was closed".to_owned())
        }
        DriverKind::ServerSelection { message, .. } => {
            (ErrorKind::ServerSelection, message.clone())
        }
        DriverKind::InvalidArgument { message, .. } => (ErrorKind::Validation, message.clone()),
        DriverKind::Transaction { message, .. } => (ErrorKind::Transaction, message.clone()),
        DriverKind::MissingResumeToken => {
            (ErrorKind::ChangeStream(ChangeStreamFailure::Fatal), kind.to_string())
        }
        other => (family.kind(), other.to_string()),
    }
}

fn of_io(error: &io::Error) -> ConnectionFailure {
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => ConnectionFailure::Refused,
        io::ErrorKind::TimedOut => ConnectionFailure::Timeout,
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected
        | io::ErrorKind::UnexpectedEof => ConnectionFailure::Reset,
        _ if is_tls(error) => ConnectionFailure::Tls,
        _ if error.to_string().contains("failed to lookup address") => {
            ConnectionFailure::NameResolution
        }
        _ => ConnectionFailure::Other,
    }
}

/// TLS libraries report through `io::Error`; their own type is not ours to name.
fn is_tls(error: &io::Error) -> bool {
    let says_so = |text: String| {
        let text = text.to_ascii_lowercase();
        // "received fatal alert: UnknownCA" is the other side's word.
        ["certificate", "tls", "handshake", "fatal alert"].iter().any(|word| text.contains(word))
    };
    error.get_ref().is_some_and(|inner| {
        says_so(inner.to_string())
            || inner.source().is_some_and(|deeper| says_so(deeper.to_string()))
    })
}

pub(super) fn of_write_concern(unmet: &WriteConcernError) -> Error {
    let timed_out = unmet.code == 64
        || unmet.details.as_ref().is_some_and(|info| info.get_bool("wtimeout").unwrap_or(false));
    let mut ours = Error::new(ErrorKind::WriteConcern, unmet.message.clone());
    ours.0.code = Some(unmet.code);
    ours.0.code_name = Some(unmet.code_name.clone()).filter(|name| !name.is_empty());
    ours.0.details = Details::WriteConcern(WriteConcernFailure {
        timed_out,
        unsatisfiable: unmet.code == 100,
        applied: None,
        modified: None,
    });
    ours
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_has_no_code_twice() {
        assert!(CODES.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn r3_codes_give_kinds() {
        for (code, kind) in [
            (11000, ErrorKind::DuplicateKey),
            (11001, ErrorKind::DuplicateKey),
            (12582, ErrorKind::DuplicateKey),
            (64, ErrorKind::WriteConcern),
            (100, ErrorKind::WriteConcern),
            (121, ErrorKind::Validation),
            (18, ErrorKind::Connection(ConnectionFailure::Authentication)),
            (2, ErrorKind::Index),
        ] {
            assert_eq!(kind_of_code(code, Family::Index), kind, "{code}");
        }
        assert!(is_transient(10107) && is_transient(91) && !is_transient(11000));
        assert!(is_not_done(10107) && !is_not_done(11602));
        assert!(is_timeout(50) && is_timeout(262) && !is_timeout(11000));
    }

    #[test]
    fn r3_sockets_give_sub_kinds() {
        for (io, failure) in [
            (io::ErrorKind::ConnectionRefused, ConnectionFailure::Refused),
            (io::ErrorKind::ConnectionReset, ConnectionFailure::Reset),
            (io::ErrorKind::UnexpectedEof, ConnectionFailure::Reset),
            (io::ErrorKind::TimedOut, ConnectionFailure::Timeout),
        ] {
            assert_eq!(of_io(&io.into()), failure);
        }
        for text in ["invalid peer certificate: UnknownIssuer", "received fatal alert: UnknownCA"] {
            let tls = io::Error::new(io::ErrorKind::InvalidData, text);
            assert_eq!(of_io(&tls), ConnectionFailure::Tls, "{text}");
        }
    }
}
