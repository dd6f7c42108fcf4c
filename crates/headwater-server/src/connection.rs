//! One connection: reads messages, has each answered before the next, writes the replies. Knows nothing of what
//! commands mean beyond the handshake and replies that follow each other.
//!
//! The short way of a request: one read into the [`Inbox`], the command borrowed from there, run on this very task,
//! the reply appended to the [`Outbox`], one write. Only a command that has to wait leaves it.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use headwater_engine::bson::{Doc, DocBuf};
use headwater_engine::{Error, Step, Wait};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout, timeout_at};

use crate::codec::{Compressor, Fault, Header, Malformed, compressed, msg, opcode, query};
use crate::dispatch::{Detached, Dispatch, error_reply, internal_error};
use crate::exhaust;
use crate::inbox::Inbox;
use crate::negotiation::{is_hello, offer, stays_plain};
use crate::outbox::{Envelope, Kind, Outbox};
use crate::service::Service;
use crate::shutdown::Watch;

/// Messages above this are unpacked, validated and run on a thread that may block.
const INLINE_BYTES_MAX: usize = 64 * 1024;
/// Replies are sent before more requests are handled once this much waits to be sent.
const UNSENT_BYTES_MAX: usize = 64 * 1024;
/// While a command runs, no more than this is received of those behind it.
const READ_AHEAD_BYTES_MAX: usize = 64 * 1024;
/// A client that sends a message slower than this is cut off.
const SLOWEST_BYTES_PER_SECOND: usize = 16 * 1024;

/// What a browser is told, as MongoDB tells it.
const HTTP_ANSWER: &[u8] =
    b"HTTP/1.0 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\n\
    This is the port of a database, for MongoDB's drivers. It does not answer HTTP here.\n";

/// One connection.
pub(crate) struct Connection<S: Service, T> {
    stream: T,
    inbox: Inbox,
    outbox: Outbox,
    dispatch: Dispatch<S>,
    shutdown: Watch,
    stall: Duration,
}

/// Why a connection ended.
#[derive(Debug)]
pub(crate) enum Closed {
    /// The client closed it.
    Gone,
    /// A command is to be answered by closing it.
    Asked,
    /// The server stops.
    Shutdown,
    /// The client sent or took no bytes for too long.
    Stalled,
    /// The client sent something that cannot be answered.
    Malformed(Malformed),
    /// The socket failed.
    Io(io::Error),
}

impl From<Malformed> for Closed {
    fn from(malformed: Malformed) -> Closed {
        Closed::Malformed(malformed)
    }
}

impl From<io::Error> for Closed {
    fn from(error: io::Error) -> Closed {
        if error.kind() == io::ErrorKind::TimedOut { Closed::Stalled } else { Closed::Io(error) }
    }
}

/// What became of a message on the short way.
enum Begun {
    Answered(DocBuf),
    Unfinished(Step),
    /// As `Unfinished`, with the command document that the message was turned into.
    Converted(Step, DocBuf),
    /// Nothing was done: too long for the short way.
    Long,
}

impl<S, T> Connection<S, T>
where
    S: Service,
    T: AsyncRead + AsyncWrite + Unpin,
{
    /// A connection on `stream`. A client may rest between messages for as long as it likes, but within a message, and
    /// while it takes a reply, for no longer than `stall`.
    pub(crate) fn new(stream: T, dispatch: Dispatch<S>, shutdown: Watch, stall: Duration) -> Self {
        let (inbox, outbox) = (Inbox::default(), Outbox::default());
        Connection { stream, inbox, outbox, dispatch, shutdown, stall }
    }

    /// Answers messages until the connection ends, and says why it did.
    pub(crate) async fn run(mut self) -> Closed {
        let Err(closed) = self.answer_all().await;
        if is_http(self.inbox.unread()) {
            self.outbox.plain(HTTP_ANSWER);
        }
        if matches!(closed, Closed::Malformed(_) | Closed::Shutdown) {
            // What was answered before is still owed.
            let _ = self.send().await;
            let _ = timeout(self.stall, tokio::io::AsyncWriteExt::shutdown(&mut self.stream)).await;
        }
        closed
    }

    async fn answer_all(&mut self) -> Result<std::convert::Infallible, Closed> {
        timeout(self.stall, self.receive()).await.unwrap_or(Err(Closed::Stalled))?;
        loop {
            match self.inbox.complete()? {
                Some(header) => self.answer(&header).await?,
                None => {
                    self.send().await?;
                    self.receive().await?;
                }
            }
            if self.outbox.len() > UNSENT_BYTES_MAX {
                self.send().await?;
            }
        }
    }

    async fn send(&mut self) -> Result<(), Closed> {
        if self.outbox.len() > 0 {
            self.outbox.flush(&mut self.stream, self.stall).await?;
        }
        Ok(())
    }

    /// Reads at least once; within a message no longer than its length allows.
    async fn receive(&mut self) -> Result<(), Closed> {
        if self.inbox.unread().is_empty() {
            return self.read().await;
        }
        let header = Header::parse(self.inbox.unread())?;
        let length = header.map_or(0, |header| header.length);
        let allowance = Duration::from_secs((length / SLOWEST_BYTES_PER_SECOND) as u64);
        let limit = self.stall + allowance;
        let rest = async {
            while self.inbox.unread().len() < length.max(crate::codec::header::HEADER_BYTES) {
                self.read().await?;
            }
            Ok(())
        };
        timeout(limit, rest).await.unwrap_or(Err(Closed::Stalled))
    }

    async fn read(&mut self) -> Result<(), Closed> {
        let shutdown = &mut self.shutdown;
        let mut read = pin!(self.inbox.read(&mut self.stream));
        poll_fn(|cx| {
            if shutdown.poll(cx) {
                return Poll::Ready(Err(Closed::Shutdown));
            }
            read.as_mut().poll(cx).map(received)
        })
        .await
    }

    async fn answer(&mut self, header: &Header) -> Result<(), Closed> {
        if header.opcode == opcode::COMPRESSED {
            return self.answer_compressed(header).await;
        }
        let message = self.inbox.message(header.length);
        let envelope = envelope(header, message, None)?;
        match begin(&self.dispatch, &envelope, message)? {
            Begun::Answered(reply) => {
                self.inbox.consume(header.length);
                self.push(&envelope, &reply);
                Ok(())
            }
            // The request isn't needed any more: only its reply has to wait.
            Begun::Unfinished(Step::WhenDurable { seq, reply }) if !envelope.is_exhaust() => {
                self.inbox.consume(header.length);
                if !envelope.is_silent() {
                    let reply = self.when_durable(seq, reply).await?;
                    self.push(&envelope, &reply);
                }
                Ok(())
            }
            begun => {
                let message = self.inbox.detach(header.length);
                self.finish(envelope, begun, message).await
            }
        }
    }

    async fn answer_compressed(&mut self, header: &Header) -> Result<(), Closed> {
        let message = self.inbox.message(header.length);
        let (message, compressor) = if compressed::declared_bytes(message) <= INLINE_BYTES_MAX {
            let unpacked = compressed::decompress(header, message)?;
            self.inbox.consume(header.length);
            unpacked
        } else {
            let (header, packed) = (*header, self.inbox.detach(header.length));
            let unpack = move || compressed::decompress(&header, &packed);
            let unpacked = tokio::task::spawn_blocking(unpack).await;
            unpacked.map_err(|_| Malformed::Compressed)??
        };
        let header = Header::parse(&message)?.ok_or(Malformed::CutShort)?;
        let envelope = envelope(&header, &message, Some(compressor))?;
        match begin(&self.dispatch, &envelope, &message)? {
            Begun::Answered(reply) => self.push(&envelope, &reply),
            begun => self.finish(envelope, begun, message).await?,
        }
        Ok(())
    }

    fn push(&mut self, envelope: &Envelope, reply: &DocBuf) {
        if !envelope.is_silent() {
            self.outbox.reply(envelope, false, reply.as_doc());
        }
    }

    /// The long way of a request that was not answered at once.
    async fn finish(
        &mut self,
        mut envelope: Envelope,
        begun: Begun,
        message: Vec<u8>,
    ) -> Result<(), Closed> {
        let flags = match envelope.kind {
            Kind::Msg { flags } => flags,
            Kind::Query => 0,
        };
        let (mut step, request) = match begun {
            Begun::Answered(reply) => (Step::Done(reply), Detached::msg(message, flags, true)),
            Begun::Unfinished(step) => (step, Detached::msg(message, flags, true)),
            Begun::Converted(step, body) => (step, Detached::body(body)),
            Begun::Long if matches!(envelope.kind, Kind::Query) => match converted(message).await {
                Ok(body) => (Step::Busy, Detached::body(body)),
                Err(error) => {
                    self.push(&envelope, &query::error_reply(&error));
                    return Ok(());
                }
            },
            Begun::Long => (Step::Busy, Detached::msg(message, flags, false)),
        };
        let mut request = Arc::new(request);
        loop {
            let reply = self.complete(&request, step, envelope.is_silent()).await?;
            if envelope.is_silent() {
                return Ok(());
            }
            let Ok(command) = request.trusted() else {
                self.push(&envelope, &reply);
                return Ok(());
            };
            let plain = Envelope { compressor: None, ..envelope };
            let reply = finished(command.body, reply);
            let wrap = if stays_plain(command.body) { &plain } else { &envelope };
            let next = exhaust::next(command.body, reply.as_doc());
            let Some(next) = next.filter(|_| envelope.is_exhaust()) else {
                self.push(wrap, &reply);
                return Ok(());
            };
            let id = self.outbox.reply(wrap, true, reply.as_doc());
            self.send().await?;
            if self.shutdown.has_begun() {
                return Err(Closed::Shutdown);
            }
            envelope.response_to = id;
            request = Arc::new(Detached::body(next));
            step = self.again(&request, None);
        }
    }

    /// Takes a command from its first step to its reply.
    async fn complete(
        &mut self,
        request: &Arc<Detached>,
        mut step: Step,
        silent: bool,
    ) -> Result<DocBuf, Closed> {
        let mut waiting_since = None;
        loop {
            step = match step {
                Step::Done(reply) => return Ok(reply),
                Step::Close => return Err(Closed::Asked),
                Step::WhenDurable { reply, .. } if silent => return Ok(reply),
                Step::WhenDurable { seq, reply } => return self.when_durable(seq, reply).await,
                Step::Await { wait, deadline } => {
                    self.send().await?;
                    if let Err(error) = self.wait(&wait, deadline.into()).await? {
                        return Ok(error_reply(&error));
                    }
                    waiting_since = Some(deadline);
                    self.again(request, waiting_since)
                }
                Step::Busy => {
                    self.send().await?;
                    let dispatch = &self.dispatch;
                    let run = dispatch.blocking(Arc::clone(request), waiting_since);
                    unless_gone(&mut self.stream, &mut self.inbox, None, run).await??
                }
            };
        }
    }

    /// The reply once everything up to `seq` is durable, or what became of the store instead.
    async fn when_durable(&mut self, seq: u64, reply: DocBuf) -> Result<DocBuf, Closed> {
        self.send().await?;
        let durable = self.dispatch.wait(&Wait::Durable(seq)).await;
        Ok(durable.map_or_else(|error| error_reply(&error), |()| reply))
    }

    fn again(&self, request: &Detached, waiting_since: Option<std::time::Instant>) -> Step {
        match request.trusted() {
            Ok(command) => self.dispatch.inline(&command, waiting_since),
            Err(_) => Step::Busy,
        }
    }

    /// Waits until what is waited for is there or the deadline has passed.
    async fn wait(&mut self, wait: &Wait, deadline: Instant) -> Result<Result<(), Error>, Closed> {
        let wait = timeout_at(deadline, self.dispatch.wait(wait));
        let shutdown = Some(&mut self.shutdown);
        let waited = unless_gone(&mut self.stream, &mut self.inbox, shutdown, wait).await?;
        Ok(waited.unwrap_or(Ok(())))
    }
}

/// Waits for `work`, but no longer than the client stays; with `shutdown`, no longer than the server runs either.
async fn unless_gone<T: AsyncRead + Unpin, F: Future>(
    stream: &mut T,
    inbox: &mut Inbox,
    mut shutdown: Option<&mut Watch>,
    work: F,
) -> Result<F::Output, Closed> {
    let mut work = pin!(work);
    loop {
        let listens = inbox.unread().len() < READ_AHEAD_BYTES_MAX;
        let mut read = pin!(inbox.read(stream));
        let done = poll_fn(|cx| {
            if let Poll::Ready(output) = work.as_mut().poll(cx) {
                return Poll::Ready(Ok(Some(output)));
            }
            if shutdown.as_mut().is_some_and(|shutdown| shutdown.poll(cx)) {
                return Poll::Ready(Err(Closed::Shutdown));
            }
            if !listens {
                return Poll::Pending;
            }
            read.as_mut().poll(cx).map(|read| received(read).map(|()| None))
        });
        if let Some(output) = done.await? {
            return Ok(output);
        }
    }
}

/// Whether the bytes are a browser's, which the length of a message can't be.
fn is_http(unread: &[u8]) -> bool {
    unread.starts_with(b"GET ")
}

fn received(read: io::Result<bool>) -> Result<(), Closed> {
    match read {
        Ok(true) => Ok(()),
        Ok(false) => Err(Closed::Gone),
        Err(error) => Err(Closed::Io(error)),
    }
}

fn envelope(
    header: &Header,
    message: &[u8],
    compressor: Option<Compressor>,
) -> Result<Envelope, Malformed> {
    let kind = match header.opcode {
        opcode::MSG => Kind::Msg { flags: msg::flags(message)? },
        opcode::QUERY => Kind::Query,
        other => return Err(Malformed::Opcode(other)),
    };
    Ok(Envelope { response_to: header.request_id, kind, compressor })
}

/// The short way: parses, validates and runs a message without waiting for anything.
fn begin<S: Service>(
    dispatch: &Dispatch<S>,
    envelope: &Envelope,
    message: &[u8],
) -> Result<Begun, Malformed> {
    if message.len() > INLINE_BYTES_MAX {
        return Ok(Begun::Long);
    }
    let Kind::Msg { flags } = envelope.kind else {
        return Ok(begin_query(dispatch, message));
    };
    let command = match msg::command(message, flags) {
        Ok(command) => command,
        Err(Fault::Reply(error)) => return Ok(Begun::Answered(error_reply(&error))),
        Err(Fault::Close(malformed)) => return Err(malformed),
    };
    Ok(match dispatch.inline(&command, None) {
        Step::Done(reply) if is_short(envelope, command.body) => Begun::Answered(reply),
        step => Begun::Unfinished(step),
    })
}

fn begin_query<S: Service>(dispatch: &Dispatch<S>, message: &[u8]) -> Begun {
    let body = match query::command(message) {
        Ok(body) => body,
        Err(error) => return Begun::Answered(query::error_reply(&error)),
    };
    let command = crate::codec::Command { body: body.as_doc(), sequences: Vec::new() };
    let step = dispatch.inline(&command, None);
    Begun::Converted(step, body)
}

/// The command of a long `OP_QUERY`, validated on a thread that may block.
async fn converted(message: Vec<u8>) -> Result<DocBuf, Error> {
    let converted = tokio::task::spawn_blocking(move || query::command(&message)).await;
    converted.unwrap_or_else(|_| Err(internal_error()))
}

/// Whether the reply goes out as it is: nothing to negotiate, to leave uncompressed or to go on with.
fn is_short(envelope: &Envelope, body: Doc<'_>) -> bool {
    !is_hello(body) && envelope.compressor.is_none() && !envelope.is_exhaust()
}

fn finished(body: Doc<'_>, reply: DocBuf) -> DocBuf {
    if is_hello(body) { offer(body, reply) } else { reply }
}
