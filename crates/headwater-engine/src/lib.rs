//! Headwater's engine: a command document goes in, a reply document comes out.
//!
//! Knows documents, queries, indexes, changes and sessions. Knows no sockets and no async runtime: whoever
//! calls decides where to wait (see [`Step`]).

pub mod aggregate;
pub mod bson;
pub mod error;
pub mod limits;
pub mod query;
pub mod request;
pub mod update;

pub use error::{Error, Result};
pub use request::{Mode, Request, Sequence, Step};
