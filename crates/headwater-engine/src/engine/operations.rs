//! Commands under way: what `currentOp` shows and `killOp` ends. Knows nothing of what they do.

mod rows;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
pub use rows::{Wanted, rows};

use super::Client;
use crate::bson::{Doc, DocBuf, DocWriter, Raw};
use crate::error::{Code, Error, Result};
use crate::query::run::time_is_up;

/// Bytes of a command that are kept to be shown; of a longer one only its plain fields are.
const SHOWN_BYTES_MAX: usize = 4096;

/// All commands that run on threads that may block; the short ones on a connection's own thread are over before anybody
/// can ask for them.
#[derive(Debug, Default)]
pub struct Operations {
    next: AtomicI32,
    running: Mutex<BTreeMap<i32, Arc<Operation>>>,
}

/// One command under way.
#[derive(Debug)]
pub struct Operation {
    /// Its number, as `killOp` names it.
    pub id: i32,
    /// The number of its connection.
    pub connection_id: i64,
    /// The session it belongs to.
    pub session: Option<[u8; 16]>,
    /// When it began.
    pub started: Instant,
    /// The command's name.
    pub name: &'static str,
    /// What it works on.
    pub namespace: String,
    /// The command document, shortened if it is long.
    pub command: DocBuf,
    /// Whether it goes on when its client has gone.
    outlives_client: bool,
    yields: AtomicI32,
    waiting: AtomicBool,
    cursor: AtomicI64,
    progress: Mutex<Option<Progress>>,
    /// The code of the error that ends it, 0 as long as it may go on.
    killed: AtomicI32,
}

/// How far an operation is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// What it is at.
    pub message: &'static str,
    /// What is done of it.
    pub done: u64,
    /// What there is to be done.
    pub total: u64,
}

/// An operation that is listed until this is dropped.
#[derive(Debug)]
pub struct Running<'a> {
    operations: &'a Operations,
    operation: Arc<Operation>,
}

impl Operations {
    /// Lists a command; one that does not outlive its client ends soon if the client has gone already.
    pub fn begin(
        &self,
        client: &Client,
        name: &'static str,
        namespace: String,
        session: Option<[u8; 16]>,
        body: Doc<'_>,
        outlives_client: bool,
    ) -> Running<'_> {
        let id = self.next.fetch_add(1, Ordering::Relaxed).wrapping_add(1) & i32::MAX;
        let operation = Arc::new(Operation {
            id,
            connection_id: client.connection_id,
            session,
            started: Instant::now(),
            name,
            namespace,
            command: shown(body),
            outlives_client,
            yields: AtomicI32::new(0),
            waiting: AtomicBool::new(false),
            cursor: AtomicI64::new(0),
            progress: Mutex::default(),
            killed: AtomicI32::new(0),
        });
        self.running.lock().insert(id, operation.clone());
        // Whoever says that the client goes says so before looking here: one of both sees the other.
        if client.has_gone() {
            operation.leave();
        }
        Running { operations: self, operation }
    }

    /// The operations of now, the oldest number first.
    pub fn list(&self) -> Vec<Arc<Operation>> {
        self.running.lock().values().cloned().collect()
    }

    /// Ends an operation at the next point where it looks, if it is still there.
    pub fn kill(&self, id: i32) {
        if let Some(operation) = self.running.lock().get(&id) {
            operation.kill(Code::INTERRUPTED);
        }
    }

    /// Ends those operations of sessions that `belongs` picks, but for `own`.
    pub fn kill_sessions(&self, own: Option<i32>, belongs: impl Fn(&[u8; 16]) -> bool) {
        for operation in self.running.lock().values() {
            if Some(operation.id) != own && operation.session.as_ref().is_some_and(&belongs) {
                operation.kill(Code::INTERRUPTED);
            }
        }
    }

    /// Ends what a client that has gone was to read.
    pub(super) fn leave(&self, client: &Client) {
        let running = self.running.lock();
        let of_client =
            running.values().filter(|operation| operation.connection_id == client.connection_id);
        of_client.for_each(|operation| operation.leave());
    }

    /// Ends the operation that runs a cursor.
    pub fn kill_cursor(&self, cursor: i64) {
        for operation in self.running.lock().values() {
            if operation.cursor.load(Ordering::Relaxed) == cursor {
                operation.kill(Code::CURSOR_KILLED);
            }
        }
    }
}

impl Operation {
    fn kill(&self, code: Code) {
        self.killed.store(code.0, Ordering::Release);
    }

    fn leave(&self) {
        if !self.outlives_client {
            self.kill(Code::CLIENT_DISCONNECT);
        }
    }

    /// How often it let others go first.
    pub fn yields(&self) -> i32 {
        self.yields.load(Ordering::Relaxed)
    }

    /// Counts that it let others go first.
    pub fn yielded(&self) {
        self.yields.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether it waits for the right to write.
    pub fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Notes whether it waits for the right to write.
    pub fn waits(&self, waiting: bool) {
        self.waiting.store(waiting, Ordering::Relaxed);
    }

    /// The cursor that it runs, 0 for none.
    pub fn cursor(&self) -> i64 {
        self.cursor.load(Ordering::Relaxed)
    }

    /// Notes the cursor that it runs.
    pub fn runs(&self, cursor: i64) {
        self.cursor.store(cursor, Ordering::Relaxed);
    }

    /// How far it is, if it says so.
    pub fn progress(&self) -> Option<Progress> {
        *self.progress.lock()
    }

    /// Says how far it is.
    pub fn progresses(&self, message: &'static str, done: u64, total: u64) {
        *self.progress.lock() = Some(Progress { message, done, total });
    }

    /// Fails if it was killed.
    fn check(&self) -> Result<()> {
        match self.killed.load(Ordering::Acquire) {
            0 => Ok(()),
            code if code == Code::CURSOR_KILLED.0 => {
                Err(Error::new(Code::CURSOR_KILLED, "cursor was killed"))
            }
            code if code == Code::CLIENT_DISCONNECT.0 => Err(Error::new(
                Code::CLIENT_DISCONNECT,
                "operation was interrupted because a client disconnected",
            )),
            code => Err(Error::new(Code(code), "operation was interrupted")),
        }
    }
}

impl Running<'_> {
    /// The operation.
    pub fn operation(&self) -> &Arc<Operation> {
        &self.operation
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.operations.running.lock().remove(&self.operation.id);
    }
}

/// A command as it is shown and kept.
pub fn shown(body: Doc<'_>) -> DocBuf {
    if body.as_bytes().len() <= SHOWN_BYTES_MAX {
        return body.to_buf();
    }
    let short = |raw: Raw<'_>| raw.data.len() <= SHOWN_BYTES_MAX / 16;
    let mut command = DocWriter::new();
    for field in body.iter().take(64).filter(|field| field.name.len() <= 64 && short(field.value)) {
        command.raw_bytes(field.name, field.value);
    }
    command.bool("$truncated", true);
    command.finish()
}

/// What may end a running command before it is done.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    deadline: Option<Instant>,
    operation: Option<Arc<Operation>>,
}

impl Interrupt {
    /// A deadline, and whoever kills the operation.
    pub fn new(deadline: Option<Instant>, operation: Option<Arc<Operation>>) -> Interrupt {
        Interrupt { deadline, operation }
    }

    /// Fails if the time is up or the operation was killed.
    ///
    /// # Errors
    /// `MaxTimeMSExpired` (50), `Interrupted` (11601), `CursorKilled` (237), `ClientDisconnect` (279).
    pub fn check(&self) -> Result<()> {
        if let Some(operation) = &self.operation {
            operation.check()?;
        }
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(time_is_up()),
            _ => Ok(()),
        }
    }
}

impl From<Option<Instant>> for Interrupt {
    fn from(deadline: Option<Instant>) -> Interrupt {
        Interrupt { deadline, operation: None }
    }
}
