//! The connector's one error: what went wrong and the questions a caller asks about it. Its text never holds a secret.

pub(crate) mod classify;
pub(crate) mod details;
pub(crate) mod kind;
mod reply;

use std::fmt;
use std::time::Duration;

use mongodb::bson::{Document, RawDocument};

use self::classify::Family;
use self::details::{BulkFailure, Details, DuplicateKey, WriteConcernFailure};
use self::kind::{ChangeStreamFailure, ConnectionFailure, ErrorKind};

/// The result of an operation of the connector.
pub type Result<T> = std::result::Result<T, Error>;

/// Why the connector could not do what it was asked.
///
/// Credentials appear neither in its text nor in its `Debug` form. The driver's error, if there was one, is its
/// `source()`.
///
/// ```
/// # #[cfg(feature = "embedded")]
/// # #[tokio::main]
/// # async fn main() -> headwater::Result<()> {
/// use headwater::{ErrorKind, Headwater};
/// use headwater::bson::{Document, doc};
///
/// let headwater = Headwater::open_in_memory().await?;
/// let users = headwater.collection::<Document>("users");
/// users.insert_one(doc! { "_id": 1 }).await?;
/// let error = users.insert_one(doc! { "_id": 1 }).await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::DuplicateKey);
/// assert_eq!(error.duplicate_key().unwrap().key_value, Some(doc! { "_id": 1 }));
/// assert!(!error.is_retryable());
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "embedded"))]
/// # fn main() {}
/// ```
pub struct Error(pub(crate) Box<Inner>);

pub(crate) struct Inner {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
    code: Option<i32>,
    code_name: Option<String>,
    labels: Vec<String>,
    details: Details,
    operation: Option<&'static str>,
    namespace: Option<String>,
    attempts: u32,
    outcome_unknown: bool,
    sent_before: bool,
    /// A server answered, though not with a code.
    answered: bool,
}

impl Error {
    #[cold]
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error(Box::new(Inner {
            kind,
            message: message.into(),
            source: None,
            code: None,
            code_name: None,
            labels: Vec::new(),
            details: Details::None,
            operation: None,
            namespace: None,
            attempts: 0,
            outcome_unknown: false,
            sent_before: false,
            answered: false,
        }))
    }

    #[cold]
    pub(crate) fn validation(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Validation, message)
    }

    #[cold]
    pub(crate) fn connection(failure: ConnectionFailure, message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Connection(failure), message)
    }

    #[cold]
    pub(crate) fn circuit_open(probe_in: Duration) -> Error {
        let message = "the circuit is open after failures of the connection";
        let mut error = Error::new(ErrorKind::CircuitOpen, message);
        error.0.details = Details::RetryAfter(probe_in);
        error
    }

    #[cold]
    pub(crate) fn several(failure: BulkFailure) -> Error {
        let message = format!(
            "{} of the writes failed, {} were not tried, the outcome of {} is not known",
            failure.items.len(),
            failure.unprocessed.len(),
            failure.unknown.len()
        );
        let mut error = Error::new(ErrorKind::Bulk, message);
        error.0.code = failure.items.first().map(|item| item.code);
        error.0.outcome_unknown = !failure.unknown.is_empty();
        error.0.details = Details::Bulk(Box::new(failure));
        error
    }

    /// The error that a driver's operation of the family gives.
    #[cold]
    pub(crate) fn of_driver(error: mongodb::error::Error, family: Family) -> Error {
        classify::of_driver(error, family)
    }

    #[cold]
    pub(crate) fn of_code(code: i32, family: Family, message: impl Into<String>) -> Error {
        let mut error = Error::new(classify::kind_of_code(code, family), message);
        error.0.code = Some(code);
        if error.0.kind == ErrorKind::WriteConcern {
            error.0.details = Details::WriteConcern(WriteConcernFailure {
                timed_out: code == 64,
                unsatisfiable: code == 100,
                applied: None,
                modified: None,
            });
        }
        error
    }

    /// The error of a write concern that was not met, from the `writeConcernError` of a reply.
    #[cold]
    pub(crate) fn unmet_write_concern(code: i32, message: &str, problem: &Document) -> Error {
        let info = problem.get_document("errInfo").ok();
        let mut error = Error::new(ErrorKind::WriteConcern, message);
        error.0.code = Some(code);
        error.0.details = Details::WriteConcern(WriteConcernFailure {
            timed_out: code == 64
                || info.is_some_and(|info| info.get_bool("wtimeout").unwrap_or(false)),
            unsatisfiable: code == 100,
            applied: None,
            modified: None,
        });
        error
    }

    #[cfg(feature = "embedded")]
    #[cold]
    pub(crate) fn embedded(
        message: impl Into<String>,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Error {
        let mut error = Error::new(ErrorKind::Embedded, message);
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
        error.0.kind = ErrorKind::FolderInUse;
        error
    }

    /// Adds what a reply of the server tells about this error.
    pub(crate) fn completed_by(mut self, reply: &RawDocument) -> Error {
        reply::complete(&mut self, reply);
        self
    }

    pub(crate) fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        self.0.source = Some(source.into());
        self
    }

    pub(crate) fn with_kind(mut self, kind: ErrorKind) -> Error {
        self.0.kind = kind;
        self
    }

    pub(crate) fn with_message(mut self, message: String) -> Error {
        self.0.message = message;
        self
    }

    pub(crate) fn with_labels(mut self, labels: impl IntoIterator<Item = String>) -> Error {
        self.0.labels.extend(labels);
        self
    }

    pub(crate) fn with_code_name(mut self, name: impl Into<String>) -> Error {
        self.0.code_name = Some(name.into());
        self
    }

    /// Where it happened.
    pub(crate) fn at(mut self, operation: &'static str, namespace: String) -> Error {
        self.0.operation = Some(operation);
        self.0.namespace = Some(namespace);
        self
    }

    /// What the layer that tries again knows about it.
    pub(crate) fn after(
        mut self,
        attempts: u32,
        outcome_unknown: bool,
        sent_before: bool,
    ) -> Error {
        self.0.attempts = attempts;
        self.0.outcome_unknown = outcome_unknown;
        self.0.sent_before = sent_before;
        self
    }

    /// What became of the single writes of a call of several.
    pub(crate) fn with_bulk(mut self, failure: BulkFailure) -> Error {
        let whole = Error::several(failure);
        if self.0.kind == ErrorKind::Bulk {
            self.0.message = whole.0.message;
        }
        self.0.outcome_unknown = whole.0.outcome_unknown;
        self.0.details = whole.0.details;
        self
    }

    /// It turned out that nothing was applied.
    pub(crate) fn with_outcome_known(mut self) -> Error {
        self.0.outcome_unknown = false;
        self
    }

    /// What went wrong, coarsely.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The server's code, if a server answered.
    pub fn code(&self) -> Option<i32> {
        self.0.code
    }

    /// The server's name of its code, if it said so.
    pub fn code_name(&self) -> Option<&str> {
        self.0.code_name.as_deref()
    }

    /// The labels that server and driver gave the error, such as `TransientTransactionError`.
    pub fn labels(&self) -> &[String] {
        &self.0.labels
    }

    /// True if the error has the label.
    pub fn has_label(&self, label: &str) -> bool {
        self.0.labels.iter().any(|own| own == label)
    }

    /// True if the same call may succeed later without any change. Whether calling again is *safe* is another question:
    /// see [`Error::is_outcome_unknown`].
    pub fn is_retryable(&self) -> bool {
        use ConnectionFailure::{Authentication, Closed, Tls};
        match self.0.kind {
            ErrorKind::Connection(Authentication | Closed | Tls) => false,
            ErrorKind::Connection(_) | ErrorKind::ServerSelection | ErrorKind::CircuitOpen => true,
            _ => {
                self.0.code.is_some_and(classify::is_transient)
                    || ["RetryableWriteError", "RetryableError", "TransientTransactionError"]
                        .iter()
                        .any(|label| self.has_label(label))
            }
        }
    }

    /// True if a change stream cannot go on from its place: the server no longer has what came after it, or does not
    /// take it for a place. Changes were missed, or may have been.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// use headwater::ResumeToken;
    /// use headwater::bson::{Document, doc};
    ///
    /// let headwater = headwater::Headwater::open_in_memory().await?;
    /// let orders = headwater.collection::<Document>("orders");
    /// let strange = ResumeToken::from(doc! { "_data": "8200" });
    /// assert!(orders.watch().start_after(strange).await.unwrap_err().is_history_lost());
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub fn is_history_lost(&self) -> bool {
        use ChangeStreamFailure::{Fatal, HistoryLost, InvalidToken};
        let lost = ErrorKind::ChangeStream;
        let kinds = [lost(HistoryLost), lost(InvalidToken), lost(Fatal)];
        self.0.code.is_some() && kinds.contains(&self.0.kind)
    }

    /// True if time ran out: the call's, the server's, or that of the write concern.
    pub fn is_timeout(&self) -> bool {
        match self.0.kind {
            ErrorKind::Deadline | ErrorKind::ServerSelection => true,
            ErrorKind::Connection(failure) => {
                matches!(failure, ConnectionFailure::Timeout | ConnectionFailure::PoolWait)
            }
            ErrorKind::WriteConcern => self.write_concern().is_some_and(|unmet| unmet.timed_out),
            _ => self.0.code.is_some_and(classify::is_timeout),
        }
    }

    /// True if a write was sent and nobody knows whether it was applied: no answer came. False means that it was not
    /// applied, or that the error itself says what was.
    pub fn is_outcome_unknown(&self) -> bool {
        self.0.outcome_unknown
    }

    /// How often the operation was tried, the driver's attempts included; 0 if nothing was tried.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// The name of the operation, such as `insert_one`.
    pub fn operation(&self) -> Option<&'static str> {
        self.0.operation
    }

    /// The database, or database and collection with a dot between.
    pub fn namespace(&self) -> Option<&str> {
        self.0.namespace.as_deref()
    }

    /// The key that a unique index has already; of kind [`ErrorKind::DuplicateKey`].
    pub fn duplicate_key(&self) -> Option<&DuplicateKey> {
        match &self.0.details {
            Details::DuplicateKey(key) => Some(key),
            _ => None,
        }
    }

    /// What became of a write whose write concern was not met; of kind [`ErrorKind::WriteConcern`].
    pub fn write_concern(&self) -> Option<&WriteConcernFailure> {
        match &self.0.details {
            Details::WriteConcern(failure) => Some(failure),
            _ => None,
        }
    }

    /// Which of several writes failed: of kind [`ErrorKind::Bulk`], and of any other that ended a call of several
    /// writes half-way.
    pub fn bulk(&self) -> Option<&BulkFailure> {
        match &self.0.details {
            Details::Bulk(failure) => Some(failure),
            _ => None,
        }
    }

    /// When the next probe may go out, or how long to stay away while one is under way; of kind
    /// [`ErrorKind::CircuitOpen`].
    pub fn retry_after(&self) -> Option<Duration> {
        match self.0.details {
            Details::RetryAfter(pause) => Some(pause),
            _ => None,
        }
    }

    /// Which rules of the collection's validator the document broke (code 121).
    pub fn validation_details(&self) -> Option<&Document> {
        match &self.0.details {
            Details::Validation(details) => Some(details),
            _ => None,
        }
    }

    /// True if the connection string or the configuration makes no sense.
    pub fn is_invalid_uri(&self) -> bool {
        self.0.kind == ErrorKind::Config
    }

    /// True if no server could be reached, or it did not let us in.
    pub fn is_unreachable(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Connection(_) | ErrorKind::ServerSelection)
    }

    /// True if another process, or another [`Headwater`](crate::Headwater) in this one, has the data folder open.
    pub fn is_folder_in_use(&self) -> bool {
        self.0.kind == ErrorKind::FolderInUse
    }

    /// True if a server answered, whatever it said.
    pub(crate) fn is_reply(&self) -> bool {
        self.0.code.is_some() || self.0.answered
    }

    /// True if what was sent, if it was, got no answer.
    pub(crate) fn lacks_answer(&self) -> bool {
        !self.is_reply() && self.0.kind != ErrorKind::Validation
    }

    /// An answer came, but it cannot be read as asked.
    #[cold]
    pub(crate) fn unreadable(
        error: mongodb::bson::error::Error,
        family: Family,
        what: &str,
    ) -> Error {
        let mut ours = Error::new(family.kind(), format!("{what}: {error}"));
        ours.0.answered = true;
        ours.with_source(error)
    }

    /// True if the server said that it did nothing.
    pub(crate) fn is_not_done(&self) -> bool {
        self.0.code.is_some_and(classify::is_not_done)
            || self.has_label("NoWritesPerformed")
            || (self.has_label("SystemOverloadedError") && self.is_reply())
    }

    /// True if an attempt before the last one may have done what was asked.
    pub(crate) fn was_sent_before(&self) -> bool {
        self.0.sent_before
    }
}

impl From<mongodb::error::Error> for Error {
    fn from(error: mongodb::error::Error) -> Error {
        Error::of_driver(error, Family::Query)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(operation), Some(namespace)) = (self.0.operation, &self.0.namespace) {
            write!(f, "{operation} on {namespace}: ")?;
        }
        match self.0.kind {
            // Their messages are whole sentences.
            ErrorKind::Config | ErrorKind::Validation => f.write_str(&self.0.message)?,
            kind => write!(f, "{kind}: {}", self.0.message)?,
        }
        if self.0.outcome_unknown {
            f.write_str(" (whether it was applied is not known)")?;
        }
        match self.0.attempts {
            0 | 1 => Ok(()),
            attempts => write!(f, " (tried {attempts} times)"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.0;
        f.debug_struct("Error")
            .field("kind", &inner.kind)
            .field("message", &inner.message)
            .field("code", &inner.code)
            .field("labels", &inner.labels)
            .field("operation", &inner.operation)
            .field("namespace", &inner.namespace)
            .field("attempts", &inner.attempts)
            .field("outcome_unknown", &inner.outcome_unknown)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}
