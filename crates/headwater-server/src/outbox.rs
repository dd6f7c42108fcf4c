//! The bytes that a connection still has to send, and how a reply gets into them.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use headwater_engine::bson::Doc;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::codec::{Compressor, compressed, msg, query};

/// A buffer above this is given back once it is empty.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// How the reply to a request is to be wrapped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Envelope {
    /// The number of the message that is answered.
    pub(crate) response_to: i32,
    /// The kind of message that was asked with.
    pub(crate) kind: Kind,
    /// The compressor of the request, which the reply takes too.
    pub(crate) compressor: Option<Compressor>,
}

/// The kind of message that a request was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `OP_MSG` with its flags.
    Msg { flags: u32 },
    /// `OP_QUERY`, answered by `OP_REPLY`.
    Query,
}

impl Envelope {
    /// Whether the sender wants no reply, not even of an error.
    pub(crate) fn is_silent(&self) -> bool {
        matches!(self.kind, Kind::Msg { flags } if flags & msg::MORE_TO_COME != 0)
    }

    /// Whether replies may follow each other by themselves.
    pub(crate) fn is_exhaust(&self) -> bool {
        matches!(self.kind, Kind::Msg { flags } if flags & msg::EXHAUST_ALLOWED != 0)
    }
}

/// A connection's send buffer.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    bytes: Vec<u8>,
    last_id: i32,
}

impl Outbox {
    /// The number of bytes to be sent.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Appends a reply and returns its message number.
    pub(crate) fn reply(&mut self, envelope: &Envelope, more_to_come: bool, reply: Doc<'_>) -> i32 {
        self.last_id = self.last_id.wrapping_add(1);
        let (id, start) = (self.last_id, self.bytes.len());
        match envelope.kind {
            Kind::Msg { flags } => {
                let more = if more_to_come { msg::MORE_TO_COME } else { 0 };
                let flags = flags & msg::CHECKSUM_PRESENT | more;
                msg::start(&mut self.bytes, id, envelope.response_to, flags);
                self.bytes.extend_from_slice(reply.as_bytes());
                msg::finish(&mut self.bytes, start, flags);
            }
            Kind::Query => {
                let failed = query::is_failure(reply);
                query::start(&mut self.bytes, id, envelope.response_to, failed);
                self.bytes.extend_from_slice(reply.as_bytes());
                query::finish(&mut self.bytes, start);
            }
        }
        if let Some(compressor) = envelope.compressor {
            compressed::compress(&mut self.bytes, start, compressor);
        }
        id
    }

    /// Appends bytes that are no message.
    pub(crate) fn plain(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Sends everything. Gives up when the client takes no byte for as long as `stall`.
    pub(crate) async fn flush<T: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut T,
        stall: Duration,
    ) -> io::Result<()> {
        let mut sent = now(stream, &self.bytes).await?;
        while let Some(rest) = self.bytes.get(sent..).filter(|rest| !rest.is_empty()) {
            match tokio::time::timeout(stall, stream.write(rest)).await {
                Ok(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => sent += written?,
                Err(_) => return Err(io::ErrorKind::TimedOut.into()),
            }
        }
        if self.bytes.capacity() > KEPT_BYTES_MAX {
            self.bytes = Vec::new();
        } else {
            self.bytes.clear();
        }
        Ok(())
    }
}

/// Writes what the socket takes at once, without setting a timer.
async fn now<T: AsyncWrite + Unpin>(stream: &mut T, bytes: &[u8]) -> io::Result<usize> {
    poll_fn(|cx| match Pin::new(&mut *stream).poll_write(cx, bytes) {
        Poll::Pending => Poll::Ready(Ok(0)),
        ready => ready,
    })
    .await
}
