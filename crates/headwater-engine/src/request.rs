//! What a caller hands to the engine and what it gets back. Knows nothing of sockets or framing.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use crate::bson::{Doc, DocBuf};
use crate::change::watch::Ticket;

/// One command as it arrived: the command document and the document sequences that stood beside it.
///
/// All bytes are already validated BSON.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The command document; its first field names the command, `$db` the database.
    pub body: Doc<'a>,
    /// Document sequences (`OP_MSG` kind 1 sections), in the order in which they stood.
    pub sequences: &'a [Sequence<'a>],
}

/// A named sequence of documents beside the command document, such as `documents` of `insert`.
#[derive(Debug, Clone)]
pub struct Sequence<'a> {
    /// The name of the command's field that this sequence stands for.
    pub name: &'a str,
    /// The documents in order.
    pub documents: Vec<Doc<'a>>,
}

/// What a command says of the Stable API.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StableApi {
    /// Whether it names version 1, the only one.
    pub version_1: bool,
    /// `apiStrict`, if it is there.
    pub strict: Option<bool>,
    /// `apiDeprecationErrors`, if it is there.
    pub deprecation_errors: Option<bool>,
}

impl fmt::Display for StableApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.version_1 {
            return f.write_str("{}");
        }
        f.write_str("{ apiVersion: \"1\"")?;
        for (name, value) in
            [("apiStrict", self.strict), ("apiDeprecationErrors", self.deprecation_errors)]
        {
            if let Some(value) = value {
                write!(f, ", {name}: {value}")?;
            }
        }
        f.write_str(" }")
    }
}

/// How far a command may go on the calling thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Only work that is short and never blocks; anything else answers [`Step::Busy`] without effect.
    Inline,
    /// The thread may block and compute for as long as the command needs.
    Blocking,
}

/// What became of a command so far.
#[derive(Debug)]
pub enum Step {
    /// The reply, ready to be sent.
    Done(DocBuf),
    /// The reply, to be sent once the store's durable sequence number has reached `seq`. If the store fails before
    /// that, the reply must not be sent: [`crate::Error`] of the failed wait is sent instead.
    WhenDurable {
        /// The sequence number to wait for.
        seq: u64,
        /// The reply to send then.
        reply: DocBuf,
    },
    /// Nothing to answer yet (an awaiting `getMore` or `hello`). Run the same request again, with `waiting_since` set to
    /// `deadline`, when `wait` is over or the deadline has passed.
    Await {
        /// What may end the wait.
        wait: Wait,
        /// When to answer whatever there is.
        deadline: Instant,
    },
    /// No answer: the connection is to be closed, as a fail point says.
    Close,
    /// Nothing was done: run again in [`Mode::Blocking`] on a thread that may block.
    Busy,
}

/// What is waited for. [`crate::Engine::poll`] tells whether it is there.
#[derive(Debug, Clone)]
pub enum Wait {
    /// That everything up to this sequence number is durable.
    Durable(u64),
    /// That an event may concern a change stream.
    Events(Arc<Ticket>),
    /// Nothing: only the deadline ends the wait.
    Deadline,
}
