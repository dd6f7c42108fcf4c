//! What the writing commands share: the collection to write to, statements that are retried, replies with write errors.

pub(super) mod chunks;
pub(super) mod first;
pub(super) mod turns;

use std::sync::Arc;

use headwater_store::Operation;
use parking_lot::{Mutex, MutexGuard};

use super::Context;
use super::create::create_collection;
use crate::bson::{Doc, DocBuf, DocWriter, Number, Type};
use crate::catalog::{Collection, Figures};
use crate::change::event::{EventWriter, Kind};
use crate::collection::load_next_record;
use crate::engine::{WriteGuard, clock_floor};
use crate::error::{Code, Error, Result};
use crate::fail_point::Hurdle;
use crate::namespace::Namespace;
use crate::session::retry::{Outcome, Session};

/// The session of a retryable write, taken up for one command.
pub struct Statement {
    session: Arc<Mutex<Session>>,
    id: [u8; 16],
    transaction: i64,
    hurdle: Option<Hurdle>,
}

impl Statement {
    /// What a statement did when it was sent before.
    pub fn done(&self, statement: i32) -> Option<Outcome> {
        self.session.lock().done(statement).cloned()
    }

    /// Goes on with the session after others were let in, who may have used it too.
    ///
    /// # Errors
    /// `TransactionTooOld` (225).
    fn go_on(&self, guard: &WriteGuard<'_>) -> Result<()> {
        self.lock().begin(guard.read()?, &self.id, self.transaction)
    }

    fn lock(&self) -> MutexGuard<'_, Session> {
        self.session.lock()
    }
}

impl Context<'_> {
    /// Takes up the session of a retryable write; `None` if the command is none.
    ///
    /// # Errors
    /// `TransactionTooOld` (225); those of the store.
    pub fn retry(&self, guard: &WriteGuard<'_>) -> Result<Option<Statement>> {
        let (Some(id), Some(transaction)) = (self.session, self.transaction) else {
            return Ok(None);
        };
        let session = self.shared.sessions.get(id)?;
        session.lock().begin(guard.read()?, &id, transaction)?;
        let hurdle = self.closes.as_ref();
        let hurdle = hurdle.map(|closes| Hurdle::new(&self.shared.fail_points, closes));
        Ok(Some(Statement { session, id, transaction, hurdle }))
    }

    /// The collection that a writing command names.
    ///
    /// # Errors
    /// `InvalidNamespace` (73).
    pub fn write_target(&self) -> Result<Namespace> {
        let namespace = self.namespace()?;
        check_writable(&namespace)?;
        Ok(namespace)
    }

    /// Checks that there are as many statement ids as statements.
    ///
    /// # Errors
    /// `InvalidLength` (16), `TypeMismatch` (14).
    pub fn check_statements(&self, statements: usize) -> Result<()> {
        let fields = self.fields();
        if let Some(id) = fields.get("stmtId").filter(|id| id.kind != Type::Int32) {
            return Err(fields.wrong_type("stmtId", id.kind, &["int"]));
        }
        let Some(ids) = fields.array("stmtIds")? else { return Ok(()) };
        let given = ids.iter().count();
        if given != statements {
            return Err(Error::new(
                Code::INVALID_LENGTH,
                format!(
                    "Number of statement ids must match the number of batch entries. Got {given} statement ids but {statements} operations."
                ),
            ));
        }
        Ok(())
    }

    /// The statement id of the `at`th statement.
    ///
    /// # Errors
    /// `TypeMismatch` (14), `InvalidOptions` (72).
    pub fn statement(&self, at: usize) -> Result<i32> {
        if self.transaction.is_none() {
            return Ok(0);
        }
        let fields = self.fields();
        let at_i32 = i32::try_from(at).unwrap_or(i32::MAX);
        if let Some(ids) = fields.array("stmtIds")? {
            let id = ids.get(at).and_then(Number::from_raw).and_then(|n| n.to_i64_exact());
            return id.and_then(|id| i32::try_from(id).ok()).ok_or_else(|| {
                Error::new(Code::INVALID_OPTIONS, "'stmtIds' must have an id for each statement")
            });
        }
        let first = fields.integer("stmtId")?.unwrap_or(0);
        Ok(i32::try_from(first).unwrap_or(i32::MAX).saturating_add(at_i32))
    }
}

impl WriteGuard<'_> {
    /// Runs one operation: its changes, its event, the note that the statement was done; all or nothing.
    ///
    /// # Errors
    /// Those of `change` and of the store.
    pub fn operation<T>(
        &mut self,
        retry: &mut Option<Statement>,
        statement: i32,
        outcome: Outcome,
        event: EventWriter,
        change: impl FnOnce(&mut Operation<'_, '_>) -> Result<T>,
    ) -> Result<T> {
        let hurdle = retry.as_ref().and_then(|retry| retry.hurdle.as_ref());
        hurdle.map_or(Ok(()), Hurdle::pass)?;
        let mut op = self.begin()?;
        let value = change(&mut op)?;
        if let Some(retry) = retry {
            let mut session = retry.lock();
            if let Err(error) = session.record(&mut op, &retry.id, statement, outcome) {
                session.undo(statement);
                return Err(error);
            }
        }
        let event = event.finish();
        match op.commit(clock_floor(), event.as_doc().as_bytes()) {
            Ok(seq) => {
                self.committed(seq);
                Ok(value)
            }
            Err(error) => {
                if let Some(retry) = retry {
                    retry.lock().undo(statement);
                }
                Err(error.into())
            }
        }
    }
}

impl Collection {
    /// The kind of a document's event: change streams show nothing of a time series, nor of what the
    /// profiler keeps.
    pub(super) fn kind_of(&self, kind: Kind) -> Kind {
        let hidden = self.settings.time_series.is_some() || self.namespace.is_profile();
        if hidden { Kind::Internal } else { kind }
    }
}

impl WriteGuard<'_> {
    /// Asks the collection's validator about a document that is to be written; `old` is the one whose place it takes.
    ///
    /// # Errors
    /// `DocumentValidationFailure` (121) with `errInfo`.
    pub fn validate(
        &self,
        collection: &Collection,
        old: Option<Doc<'_>>,
        new: Doc<'_>,
    ) -> Result<()> {
        match &collection.settings.validation {
            Some(validation) if !self.unvalidated => {
                validation.check(&collection.namespace, old, new)
            }
            _ => Ok(()),
        }
    }
}

impl Figures {
    /// Counts documents and bytes that came or went; only where the figures are known at all.
    pub fn add(&self, documents: i64, bytes: i64) {
        use std::sync::atomic::Ordering;
        if self.loaded.load(Ordering::Acquire) {
            self.documents.fetch_add(documents, Ordering::Relaxed);
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }
}

/// The collection to write to, created if it is not there.
///
/// # Errors
/// `CommandNotSupportedOnView` (166), `InvalidNamespace` (73) and those of creating.
pub(super) fn open_for_writing(
    context: &Context<'_>,
    guard: &mut WriteGuard<'_>,
    namespace: &Namespace,
) -> Result<Arc<Collection>> {
    let catalog = guard.catalog();
    if let Some(collection) = catalog.collection(namespace.db(), namespace.collection()) {
        load_next_record(guard.read()?, collection)?;
        return Ok(collection.clone());
    }
    catalog.refuse_view(namespace)?;
    check_writable(namespace)?;
    let collection = create_collection(context.shared, guard, namespace, DocBuf::new())?;
    load_next_record(guard.read()?, &collection)?;
    Ok(collection)
}

/// Refuses names that no collection has, and collections that MongoDB keeps for itself.
///
/// # Errors
/// `InvalidNamespace` (73).
pub(super) fn check_writable(namespace: &Namespace) -> Result<()> {
    let name = namespace.collection();
    if name.contains('$') {
        let message = format!("Invalid collection name: {name}");
        return Err(Error::new(Code::INVALID_NAMESPACE, message));
    }
    let Some(name) = name.strip_prefix("system.") else { return Ok(()) };
    if matches!(name, "js" | "users") {
        return Ok(());
    }
    let message = match name {
        "profile" | "views" => format!("cannot write to {namespace}"),
        _ => format!("Invalid system namespace: {namespace}"),
    };
    Err(Error::new(Code::INVALID_NAMESPACE, message))
}

/// Room for a reply without errors, the times that stand in every reply included.
const REPLY_BYTES: usize = 256;

/// The reply to a batch of write statements.
#[derive(Debug, Default)]
pub(super) struct WriteReply {
    /// Documents inserted, matched or deleted.
    pub n: i32,
    /// Documents changed.
    pub modified: i32,
    /// Index of the statement and `_id` of each upserted document.
    pub upserted: Vec<(usize, DocBuf)>,
    errors: Vec<DocBuf>,
    retried: Vec<i32>,
}

impl WriteReply {
    /// Adds a write error.
    pub(super) fn fail(&mut self, at: usize, error: &Error) {
        let mut row = DocWriter::new();
        row.i32("index", i32::try_from(at).unwrap_or(i32::MAX));
        row.i32("code", error.code().0);
        row.str("errmsg", error.message());
        row.extend(error.details());
        self.errors.push(row.finish());
    }

    /// Says that a statement had been done before.
    pub(super) fn retried(&mut self, statement: i32) {
        self.retried.push(statement);
    }

    /// The reply to an `insert` or a `delete`.
    pub(super) fn finish_insert(self) -> DocWriter {
        let mut reply = DocWriter::with_capacity(REPLY_BYTES);
        reply.i32("n", self.n);
        self.finish(reply)
    }

    /// The reply to an `update`.
    pub(super) fn finish_update(mut self) -> DocWriter {
        let mut reply = DocWriter::with_capacity(REPLY_BYTES);
        reply.i32("n", self.n);
        let (modified, upserted) = (self.modified, std::mem::take(&mut self.upserted));
        let mut reply = self.finish_errors(reply);
        if !upserted.is_empty() {
            reply.0.array("upserted", |rows| {
                for (at, id) in &upserted {
                    rows.document(|row| {
                        row.i32("index", i32::try_from(*at).unwrap_or(i32::MAX));
                        row.extend(id.as_doc());
                    });
                }
            });
        }
        reply.0.i32("nModified", modified);
        reply.finish()
    }

    fn finish(self, reply: DocWriter) -> DocWriter {
        self.finish_errors(reply).finish()
    }

    fn finish_errors(self, mut reply: DocWriter) -> Tail {
        if !self.errors.is_empty() {
            reply.array("writeErrors", |rows| {
                self.errors.iter().for_each(|row| rows.doc(row.as_doc()));
            });
        }
        Tail(reply, self.retried)
    }
}

/// The end of a write's reply.
struct Tail(DocWriter, Vec<i32>);

impl Tail {
    fn finish(mut self) -> DocWriter {
        if !self.1.is_empty() {
            self.0.array("retriedStmtIds", |ids| self.1.iter().for_each(|id| ids.i32(*id)));
        }
        self.0
    }
}
