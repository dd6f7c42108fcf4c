//! What a running command knows: its request, its client, the arguments that every command may have.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::concern::{Level, ReadConcern, WriteConcern};
use super::fields::{Fields, is_null};
use super::{Command, Needs, UNSUPPORTED, api, find_command};
use crate::bson::{Doc, DocBuf, DocWriter, Number, Raw, View};
use crate::engine::operations::{Interrupt, Running};
use crate::engine::{Client, Shared, WriteGuard};
use crate::error::{Code, Error, Result};
use crate::namespace::{Namespace, check_db};
use crate::query::run::{Run, time_is_up};
use crate::request::{Mode, Request, StableApi, Step};

/// A command on its way.
pub struct Context<'a> {
    /// The engine.
    pub shared: &'a Shared,
    /// Who asks.
    pub client: &'a Client,
    /// What is asked.
    pub request: &'a Request<'a>,
    /// The command's row.
    pub command: &'static Command,
    /// The database it runs on.
    pub db: &'a str,
    /// How far this thread may go.
    pub mode: Mode,
    /// When the command must have ended (`maxTimeMS`).
    pub deadline: Option<Instant>,
    /// The deadline of an earlier wait of this request.
    pub waiting_since: Option<Instant>,
    /// How far a write must come before its reply is sent.
    pub write_concern: WriteConcern,
    /// The id of the logical session.
    pub session: Option<[u8; 16]>,
    /// The transaction number of a retryable write.
    pub transaction: Option<i64>,
    /// What it says of the Stable API.
    pub api: StableApi,
    /// Its place in the list of operations, if its thread may block.
    pub running: Option<Running<'a>>,
    /// Whether the reply's `ok` is an int, as that of a `distinct` on a view is.
    pub int_ok: bool,
    /// Set where a fail point closes the connection; only with test commands.
    pub closes: Option<Arc<AtomicBool>>,
    fields: Fields<'a>,
    read_concern: ReadConcern,
    seq: Option<u64>,
}

impl<'a> Context<'a> {
    /// Finds the command's row and checks the arguments that all commands share.
    ///
    /// # Errors
    /// `CommandNotFound` (59), 'not supported', and MongoDB's codes for generic arguments that are wrong.
    pub fn new(
        shared: &'a Shared,
        client: &'a Client,
        request: &'a Request<'a>,
        mode: Mode,
        waiting_since: Option<Instant>,
    ) -> Result<Context<'a>> {
        let body = request.body;
        let Some(first) = body.first() else {
            return Err(Error::new(Code::FAILED_TO_PARSE, "an empty document is no command"));
        };
        let command = row(shared, first.name_str())?;
        let fields = Fields::new(body, command.name);
        fields.only_command(command.fields)?;
        check_sequences(request, command)?;
        let Some(db) = fields.raw("$db").and_then(Raw::as_str) else {
            return Err(fields.missing("$db"));
        };
        check_db(db)?;
        let mut context = Context {
            shared,
            client,
            request,
            command,
            db,
            mode,
            deadline: None,
            waiting_since,
            write_concern: WriteConcern::default(),
            session: None,
            transaction: None,
            api: StableApi::default(),
            running: None,
            int_ok: false,
            closes: shared.options.test_commands.then(Arc::default),
            fields,
            read_concern: ReadConcern::default(),
            seq: None,
        };
        context.read_generic(fields)?;
        if mode == Mode::Blocking {
            let (session, namespace) = (context.session, context.shown_namespace());
            let operations = &shared.operations;
            let outlives = context.outlives_client();
            let running =
                operations.begin(client, command.name, namespace, session, body, outlives);
            context.running = Some(running);
        }
        Ok(context)
    }

    /// The context of a command inside this one, whose document is the body of `request`. Its generic arguments are not
    /// read.
    pub(super) fn inner<'b>(
        &'b self,
        request: &'b Request<'b>,
        command: &'static Command,
    ) -> Context<'b> {
        Context {
            shared: self.shared,
            client: self.client,
            request,
            command,
            db: self.db,
            mode: self.mode,
            deadline: self.deadline,
            waiting_since: None,
            write_concern: WriteConcern::default(),
            session: self.session,
            transaction: None,
            api: self.api,
            running: None,
            closes: None,
            int_ok: false,
            fields: Fields::new(request.body, command.name),
            read_concern: ReadConcern::default(),
            seq: None,
        }
    }

    /// The command's arguments.
    pub fn fields(&self) -> Fields<'a> {
        self.fields
    }

    /// The value of the command's first field.
    pub fn target(&self) -> Raw<'a> {
        self.request.body.first().map_or(Raw::NULL, |e| e.value)
    }

    /// The namespace that the first field names.
    ///
    /// # Errors
    /// `InvalidNamespace` (73).
    pub fn namespace(&self) -> Result<Namespace> {
        Namespace::of_command(self.db, self.target())
    }

    /// Whether the read concern's level is `linearizable`.
    pub fn reads_linearizable(&self) -> bool {
        self.read_concern.level == Some(Level::Linearizable)
    }

    /// Whether the read concern's level is `snapshot`.
    pub fn reads_one_moment(&self) -> bool {
        self.read_concern.level == Some(Level::Snapshot)
    }

    /// A view of the database for reading, as fresh and as durable as the read concern asks; `None` if this thread may
    /// not wait for that.
    ///
    /// # Errors
    /// Those of the store; `MaxTimeMSExpired` (50) while waiting.
    pub fn read(&self) -> Result<Option<Run<'a>>> {
        if self.read_concern.level == Some(Level::Snapshot) {
            return self.read_at(self.read_concern.at);
        }
        let store = &self.shared.store;
        let last = store.last();
        if self.read_concern.durable && store.durable() < last {
            if self.mode == Mode::Inline {
                return Ok(None);
            }
            if !store.wait_durable(last, self.deadline)? {
                return Err(time_is_up());
            }
        }
        Run::now(self.shared, self.interrupt()).map(Some)
    }

    /// A view of a moment that reads share; `None` if this thread may not wait for it.
    ///
    /// # Errors
    /// Those of [`Snapshots::at`](crate::engine::snapshots::Snapshots::at).
    pub fn read_at(&self, time: Option<u64>) -> Result<Option<Run<'a>>> {
        if self.mode == Mode::Inline {
            return Ok(None);
        }
        let moment = self.shared.snapshots.at(self.shared, time, self.deadline)?;
        Ok(Some(Run::at(self.shared, moment, self.interrupt())))
    }

    /// What it says of how fresh and durable its reads are to be.
    pub(super) fn read_concern(&self) -> &ReadConcern {
        &self.read_concern
    }

    /// How long it may still take, if there is a limit.
    pub(super) fn time_left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// What may end this command before it is done.
    pub fn interrupt(&self) -> Interrupt {
        let operation = self.running.as_ref().map(|running| running.operation().clone());
        Interrupt::new(self.deadline, operation)
    }

    /// Whether it is finished when its client has gone: what writes is.
    fn outlives_client(&self) -> bool {
        let writes = |stage: Doc<'_>| {
            stage.first().is_some_and(|field| matches!(field.name_str(), "$merge" | "$out"))
        };
        let stages = || self.fields.raw("pipeline").and_then(Raw::as_array);
        match self.command.name {
            "aggregate" => {
                stages().is_some_and(|stages| stages.iter().filter_map(Raw::as_doc).any(writes))
            }
            _ => self.command.needs == Needs::Write,
        }
    }

    /// What the list of operations says that it works on.
    fn shown_namespace(&self) -> String {
        let name = match self.command.name {
            "getMore" => self.fields.raw("collection"),
            _ => Some(self.target()),
        };
        match name.and_then(Raw::as_str) {
            Some(name) => format!("{}.{name}", self.db),
            None if self.command.name == "aggregate" => format!("{}.$cmd.aggregate", self.db),
            None => format!("{}.$cmd", self.db),
        }
    }

    /// The right to write; `None` if this thread may not wait for it.
    ///
    /// # Errors
    /// Those of the store; what ended the command while it waited.
    pub fn write(&self) -> Result<Option<WriteGuard<'a>>> {
        match self.mode {
            Mode::Inline => self.shared.try_write(),
            Mode::Blocking => {
                let operation = self.running.as_ref().map(Running::operation);
                operation.inspect(|operation| operation.waits(true));
                let guard = self.shared.write()?;
                operation.inspect(|operation| operation.waits(false));
                self.interrupt().check()?;
                Ok(Some(guard))
            }
        }
    }

    /// Notes the last operation that the command's reply stands for.
    pub fn wrote(&mut self, seq: Option<u64>) {
        self.seq = self.seq.max(seq);
    }

    /// Whether a fail point closes the connection in place of an answer.
    pub fn is_to_close(&self) -> bool {
        self.closes.as_ref().is_some_and(|closes| closes.load(Ordering::Relaxed))
    }

    /// Whether the write concern asks for no reply at all.
    pub fn unacknowledged(&self) -> bool {
        self.write_concern.waits_for_nothing()
    }

    /// The documents of a write, as many as a write may have.
    ///
    /// # Errors
    /// Those of [`Context::documents`] and `check_batch`.
    pub fn batch(&self, name: &str) -> Result<Vec<Doc<'a>>> {
        let documents = self.documents(name)?;
        check_batch(documents.len())?;
        Ok(documents)
    }

    /// The document sequence of that name, or the array field.
    ///
    /// # Errors
    /// A missing field, wrong types.
    pub fn documents(&self, name: &str) -> Result<Vec<Doc<'a>>> {
        let request: &'a Request<'a> = self.request;
        if let Some(sequence) = request.sequences.iter().find(|s| s.name == name) {
            return Ok(sequence.documents.clone());
        }
        let fields = self.fields();
        let array = fields.array(name)?.ok_or_else(|| fields.missing(name))?;
        // MongoDB leaves out what is null.
        let said = array.iter().enumerate().filter(|(_, raw)| !is_null(*raw));
        let documents = said.map(|(at, raw)| {
            let wrong = || fields.wrong_type(&format!("{name}.{at}"), raw.kind, &["object"]);
            raw.as_doc().ok_or_else(wrong)
        });
        documents.collect()
    }

    /// Adds the labels that MongoDB puts on errors of this kind of command.
    pub fn label(&self, error: Error) -> Error {
        if self.transaction.is_some() && is_retryable(error.code().0) {
            return error.with_label("RetryableWriteError");
        }
        error
    }

    /// Ends a reply: `ok` and the times.
    pub fn finish(&self, mut reply: DocWriter) -> DocBuf {
        match self.int_ok {
            true => reply.i32("ok", 1),
            false => reply.f64("ok", 1.0),
        }
        self.shared.write_times(&mut reply, self.seq);
        reply.finish()
    }

    /// Ends the reply to a write and says when it may be sent.
    pub fn finish_write(&self, mut reply: DocWriter) -> Step {
        match super::configure_fail_point::in_reply(self) {
            Some(failure) => {
                let code =
                    failure.write_concern_error.as_ref().and_then(|e| e.as_doc().get("code"));
                let code = code.and_then(Number::from_raw).map_or(0, |code| code.to_f64() as i32);
                let retryable = self.transaction.is_some() && is_retryable(code);
                failure.write_beside(&mut reply, retryable.then_some("RetryableWriteError"));
            }
            None => self.write_concern.write_error(&mut reply),
        }
        let reply = self.finish(reply);
        // A write that changed nothing still stands for what it saw: that must be durable too.
        let seq = self.seq.unwrap_or_else(|| self.shared.store.last());
        if self.write_concern.waits_durable() {
            return Step::WhenDurable { seq, reply };
        }
        if !self.unacknowledged()
            && let Err(error) = self.shared.store.wait_written(seq)
        {
            return super::error_step(self.shared, &error.into());
        }
        Step::Done(reply)
    }

    fn read_generic(&mut self, fields: Fields<'a>) -> Result<()> {
        if let Some(limit_ms) = fields.count("maxTimeMS")?
            && limit_ms > 0
            && self.command.name != "getMore"
        {
            if limit_ms > i64::from(i32::MAX) {
                return Err(Error::new(
                    Code::BAD_VALUE,
                    format!(
                        "BSON field 'maxTimeMS' value must be <= {}, actual value '{limit_ms}'",
                        i32::MAX
                    ),
                ));
            }
            self.limit_time(Duration::from_millis(limit_ms.unsigned_abs()))?;
        }
        if let Some(concern) = fields.document("readConcern")? {
            self.read_concern = ReadConcern::parse(concern)?;
            self.read_concern.check_command(self.command)?;
        }
        if let Some(concern) = fields.document("writeConcern")? {
            if self.command.needs != Needs::Write && !self.command.fields.contains(&"pipeline") {
                return Err(Error::new(
                    Code::INVALID_OPTIONS,
                    format!("Command {} does not support writeConcern", self.command.name),
                ));
            }
            self.write_concern = WriteConcern::parse(concern)?;
        }
        self.read_session(fields)?;
        self.api = api::check(fields, self.command.name)?;
        // One node's time is the only time there is; a later one that a client gossips changes nothing.
        fields.document("$clusterTime")?;
        Ok(())
    }

    /// Sets how long the command may take from now on.
    ///
    /// # Errors
    /// `MaxTimeMSExpired` (50) if a fail point says that it is late already.
    pub(super) fn limit_time(&mut self, limit: Duration) -> Result<()> {
        if self.shared.options.test_commands {
            if self.shared.fail_points.always_late() {
                return Err(time_is_up());
            }
            if self.shared.fail_points.never_late() {
                return Ok(());
            }
        }
        self.deadline = Some(Instant::now() + limit);
        Ok(())
    }

    fn read_session(&mut self, fields: Fields<'a>) -> Result<()> {
        if let Some(lsid) = fields.document("lsid")? {
            let inner = Fields::new(lsid, "lsid");
            inner.only(&["id", "txnNumber", "txnUUID", "uid"])?;
            self.session = Some(uuid(inner, "id")?);
        }
        if let Some(number) = fields.get("txnNumber") {
            let View::Int64(number) = number.view() else {
                return Err(fields.wrong_type("txnNumber", number.kind, &["long"]));
            };
            if self.session.is_none() {
                let message = "Transaction number requires a session ID to also be specified";
                return Err(Error::new(Code::INVALID_OPTIONS, message));
            }
            if number < 0 {
                return Err(Error::new(
                    Code::INVALID_OPTIONS,
                    "Transaction number cannot be negative",
                ));
            }
            self.transaction = Some(number);
        }
        if fields.get("autocommit").is_some() || fields.get("startTransaction").is_some() {
            return Err(Error::not_supported("a multi-document transaction"));
        }
        const RETRYABLE: &[&str] = &["bulkWrite", "delete", "findAndModify", "insert", "update"];
        if self.transaction.is_some() && !RETRYABLE.contains(&self.command.name) {
            let name = self.command.name;
            return Err(Error::location(
                50768,
                format!(
                    "txnNumber may only be provided for multi-document transactions and retryable write commands. autocommit:false was not provided, and {name} is not a retryable write command."
                ),
            ));
        }
        Ok(())
    }
}

/// Checks the number of statements of a write.
///
/// # Errors
/// `InvalidLength` (16) for none or too many.
pub(super) fn check_batch(count: usize) -> Result<()> {
    let max = crate::limits::WRITE_BATCH_MAX;
    if count == 0 || count > max {
        return Err(Error::new(
            Code::INVALID_LENGTH,
            format!("Write batch sizes must be between 1 and {max}. Got {count} operations."),
        ));
    }
    Ok(())
}

/// Whether a write that failed with the code may be sent again, by MongoDB's list.
pub(super) fn is_retryable(code: i32) -> bool {
    matches!(code, 6 | 7 | 89 | 91 | 189 | 262 | 9001 | 10107 | 11600 | 11602 | 13435 | 13436)
}

/// A UUID in a binary field.
///
/// # Errors
/// A missing field, `TypeMismatch` (14), `InvalidUUID` (207).
pub(super) fn uuid(fields: Fields<'_>, name: &str) -> Result<[u8; 16]> {
    let raw = fields.get(name).ok_or_else(|| fields.missing(name))?;
    match raw.view() {
        View::Binary { subtype: 4, bytes } => match bytes.try_into() {
            Ok(uuid) => Ok(uuid),
            Err(_) => Err(Error::new(
                Code(207),
                "uuid must be a 16-byte binary field with UUID (4) subtype",
            )),
        },
        View::Binary { subtype, .. } => Err(Error::new(
            Code::TYPE_MISMATCH,
            format!(
                "BSON field 'OperationSessionInfo.lsid.{name}' is the wrong binData type '{subtype}', expected type 'UUID'"
            ),
        )),
        _ => Err(fields.wrong_type(name, raw.kind, &["binData"])),
    }
}

fn row(shared: &Shared, name: &str) -> Result<&'static Command> {
    let there = |row: &&Command| shared.options.test_commands || !row.is_for_tests();
    find_command(name).filter(there).ok_or_else(|| {
        if UNSUPPORTED.binary_search(&name).is_ok() {
            Error::not_supported(format!("the command '{name}'"))
        } else {
            Error::new(Code::COMMAND_NOT_FOUND, format!("no such command: '{name}'"))
        }
    })
}

fn check_sequences(request: &Request<'_>, command: &Command) -> Result<()> {
    for (at, sequence) in request.sequences.iter().enumerate() {
        let name = sequence.name;
        if command.fields.binary_search(&name).is_err() {
            return Err(Error::location(
                40415,
                format!("BSON field '{}.{name}' is an unknown field.", command.name),
            ));
        }
        let repeated = request.sequences.iter().take(at).any(|earlier| earlier.name == name);
        if repeated || request.body.get(name).is_some() {
            return Err(Error::location(
                40413,
                format!("BSON field '{}.{name}' is a duplicate field", command.name),
            ));
        }
    }
    Ok(())
}
