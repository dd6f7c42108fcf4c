//! Runs commands on the service: the only hop from asynchronous to synchronous code. Knows nothing of sockets.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use headwater_engine::bson::{DocBuf, DocWriter};
use headwater_engine::error::Code;
use headwater_engine::{Error, Mode, Request, Step, Wait};
use tokio::sync::Semaphore;

use crate::codec::{Command, Fault, Malformed, msg};
use crate::service::{ClientInfo, Service};

/// One client's way to the service.
pub(crate) struct Dispatch<S: Service> {
    service: Arc<S>,
    client: Arc<S::Client>,
    threads: Arc<Semaphore>,
}

/// A command that owns its bytes, so that it can outlive the receive buffer.
#[derive(Debug)]
pub(crate) struct Detached {
    bytes: Vec<u8>,
    form: Form,
}

#[derive(Debug)]
enum Form {
    /// A command document.
    Body,
    /// A whole `OP_MSG`, validated before.
    Msg { flags: u32 },
    /// A whole `OP_MSG` whose documents nobody has looked at.
    UncheckedMsg { flags: u32 },
}

impl Detached {
    pub(crate) fn body(body: DocBuf) -> Detached {
        Detached { bytes: body.into_bytes(), form: Form::Body }
    }

    pub(crate) fn msg(bytes: Vec<u8>, flags: u32, checked: bool) -> Detached {
        let form = if checked { Form::Msg { flags } } else { Form::UncheckedMsg { flags } };
        Detached { bytes, form }
    }

    /// The command, validated if it wasn't before.
    fn command(&self) -> Result<Command<'_>, Fault> {
        match self.form {
            Form::UncheckedMsg { flags } => msg::command(&self.bytes, flags),
            _ => self.trusted(),
        }
    }

    /// The command without validating it; of a message never validated, for looking at names only.
    pub(crate) fn trusted(&self) -> Result<Command<'_>, Fault> {
        match self.form {
            Form::Body => {
                let body = headwater_engine::bson::Doc::trusted(&self.bytes);
                Ok(Command { body, sequences: Vec::new() })
            }
            Form::Msg { flags } | Form::UncheckedMsg { flags } => {
                msg::trusted_command(&self.bytes, flags)
            }
        }
    }
}

impl<S: Service> Dispatch<S> {
    /// Begins a client. At most as many of all clients' commands run on blocking threads as `threads` has permits.
    pub(crate) fn new(service: Arc<S>, info: ClientInfo, threads: Arc<Semaphore>) -> Dispatch<S> {
        let client = Arc::new(service.client(info));
        Dispatch { service, client, threads }
    }

    /// Runs a command on this thread as far as that takes no time.
    pub(crate) fn inline(&self, command: &Command<'_>, waiting_since: Option<Instant>) -> Step {
        start(&*self.service, &self.client, command, Mode::Inline, waiting_since)
    }

    /// Runs a command on a thread that may block.
    pub(crate) async fn blocking(
        &self,
        request: Arc<Detached>,
        waiting_since: Option<Instant>,
    ) -> Result<Step, Malformed> {
        // The permit goes with the work, which goes on when nobody waits for it any more.
        let permit = Arc::clone(&self.threads).acquire_owned().await;
        let (service, client) = (Arc::clone(&self.service), Arc::clone(&self.client));
        let work = move || {
            let _permit = permit;
            match request.command() {
                Ok(command) => {
                    Ok(start(&*service, &client, &command, Mode::Blocking, waiting_since))
                }
                Err(Fault::Reply(error)) => Ok(Step::Done(error_reply(&error))),
                Err(Fault::Close(malformed)) => Err(malformed),
            }
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(step) => step,
            Err(_) => Ok(Step::Done(error_reply(&internal_error()))),
        }
    }

    /// Waits until what is waited for is there.
    pub(crate) async fn wait(&self, wait: &Wait) -> Result<(), Error> {
        crate::service::wait(&*self.service, wait).await
    }
}

impl<S: Service> Drop for Dispatch<S> {
    fn drop(&mut self) {
        let disconnect = || self.service.disconnect(&self.client);
        if catch_unwind(AssertUnwindSafe(disconnect)).is_err() {
            tracing::error!("ending a client panicked");
        }
    }
}

fn start<S: Service>(
    service: &S,
    client: &S::Client,
    command: &Command<'_>,
    mode: Mode,
    waiting_since: Option<Instant>,
) -> Step {
    let request = Request { body: command.body, sequences: &command.sequences };
    let run = || service.start(client, &request, mode, waiting_since);
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        let name = command.body.first().map_or("", |e| e.name_str());
        tracing::error!(command = name, "a command panicked");
        Step::Done(error_reply(&internal_error()))
    })
}

pub(crate) fn internal_error() -> Error {
    Error::new(Code::INTERNAL_ERROR, "the command failed inside the server; its log has more")
}

/// The reply that tells of an error.
pub(crate) fn error_reply(error: &Error) -> DocBuf {
    let mut reply = DocWriter::new();
    error.write_reply(&mut reply);
    reply.finish()
}
