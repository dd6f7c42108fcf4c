//! Headwater's engine: a command document goes in, a reply document comes out.
//!
//! Knows documents, queries, indexes, changes and sessions. Knows no sockets and no async runtime: whoever
//! calls decides where to wait (see [`Step`]).

pub mod aggregate;
pub mod bson;
pub mod catalog;
pub mod change;
pub mod collation;
pub mod collection;
pub mod commands;
pub mod engine;
pub mod error;
pub mod fail_point;
mod housekeeping;
pub mod index;
mod interrupt;
pub mod limits;
pub mod namespace;
pub mod object_id;
pub mod profile;
pub mod query;
pub mod request;
pub mod session;
pub mod sizes;
pub mod status;
mod ttl;
pub mod update;
pub mod validation;

pub use aggregate::Aggregation;
pub use engine::{Client, Engine, EngineOptions};
pub use error::{Error, Result};
pub use request::{Mode, Request, Sequence, Step, Wait};
