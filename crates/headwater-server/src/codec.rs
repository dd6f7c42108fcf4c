//! Bytes to messages and back: framing, sections, compression. Pure: no I/O, no state, nothing of the engine but
//! its documents. Nothing here panics or sizes an allocation by an unchecked number, whatever the bytes are.

pub mod compressed;
pub mod header;
pub mod msg;
pub mod query;
mod walk;

use std::fmt;

use headwater_engine::bson::Doc;
use headwater_engine::{Error, Sequence};

pub use compressed::Compressor;
pub use header::{Header, opcode};

/// A command as it stands in a message, borrowed from the message's bytes.
#[derive(Debug)]
pub struct Command<'a> {
    /// The command document.
    pub body: Doc<'a>,
    /// The document sequences beside it.
    pub sequences: Vec<Sequence<'a>>,
}

/// What makes a message unanswerable: the connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// The length in the header is below 16 or above the limit.
    Length(i32),
    /// No such opcode, or one that MongoDB no longer answers.
    Opcode(i32),
    /// The message is shorter than the fixed fields of its opcode.
    CutShort,
    /// A required flag bit of `OP_MSG` that nobody knows.
    Flags(u32),
    /// The CRC-32C of an `OP_MSG` does not match its bytes.
    Checksum,
    /// More document sequences than any command takes.
    Sequences,
    /// No such compressor.
    Compressor(u8),
    /// The compressed data is broken or does not have the declared length.
    Compressed,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Malformed::Length(length) => write!(f, "message length {length} is out of bounds"),
            Malformed::Opcode(code) => write!(f, "opcode {code} is not supported"),
            Malformed::CutShort => f.write_str("message is shorter than its fixed fields"),
            Malformed::Flags(flags) => write!(f, "unknown required OP_MSG flags {flags:#x}"),
            Malformed::Checksum => f.write_str("OP_MSG checksum does not match"),
            Malformed::Sequences => f.write_str("too many document sequences in OP_MSG"),
            Malformed::Compressor(id) => write!(f, "unknown compressor {id}"),
            Malformed::Compressed => f.write_str("compressed data does not have its length"),
        }
    }
}

impl std::error::Error for Malformed {}

/// Why a message holds no command.
#[derive(Debug)]
pub enum Fault {
    /// The connection is to be closed.
    Close(Malformed),
    /// The sender gets this error as the reply.
    Reply(Error),
}

impl From<Malformed> for Fault {
    fn from(malformed: Malformed) -> Fault {
        Fault::Close(malformed)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        Fault::Reply(error)
    }
}
