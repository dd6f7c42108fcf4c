//! MongoDB's wire protocol in front of the engine; the only crate that knows tokio, sockets and TLS.
//!
//! In layers, each knowing only the one below: [`codec`] turns bytes into messages and back without any I/O;
//! a connection reads, keeps its place and writes; its dispatch runs the command on a [`Service`], which is the
//! only hop from asynchronous to synchronous code; the [`Server`] listens, counts and shuts down.

pub mod codec;
mod connection;
mod dispatch;
mod engine;
mod exhaust;
mod inbox;
mod listener;
mod negotiation;
mod outbox;
pub mod server;
pub mod service;
mod shutdown;

pub use server::{Bound, Builder, Error, Server};
pub use service::{ClientInfo, Service};
