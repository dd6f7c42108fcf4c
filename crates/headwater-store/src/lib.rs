//! Headwater store: ordered bytes, snapshots, the log. Knows bytes only: no BSON, no sockets, no async runtime.
//!
//! Writes go to an append-only log and an in-memory overlay; a checkpoint moves the overlay into a
//! memory-mapped tree. Readers see both as one, consistently, and never block the writer. The log
//! is also the change history. See [`Store`] for a first example.

mod arena;
mod change;
mod checkpoint;
mod cursor;
mod error;
mod estimate;
mod filter;
mod folder;
mod holder;
pub mod io;
mod log;
mod options;
mod overlay;
mod poison;
mod sorted;
mod stats;
mod store;
mod tree;
mod view;
mod waits;
mod writer;

pub use change::{Change, Changes};
pub use cursor::{Cursor, Direction};
pub use error::{Error, ErrorKind, Result};
pub use io::Io;
pub use log::history::{History, Record};
#[doc(hidden)]
pub use options::Controls;
pub use options::{KEY_BYTES_MAX, Options, RECORD_BYTES_MAX, TABLES};
pub use stats::{Report, Stats};
pub use store::Store;
pub use view::{Read, Snapshot};
pub use writer::{Operation, Writer};

/// A position in the log: strictly increasing, not dense.
pub type Seq = u64;

/// One of [`TABLES`] independent ordered maps; what is in which is the caller's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Table(pub u8);
