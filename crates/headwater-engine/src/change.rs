//! Changes: what the log says of each write beside its puts and deletes, and the streams that tell of it.

pub(crate) mod arrivals;
mod document;
pub mod event;
mod options;
mod paths;
mod scope;
mod split;
pub mod stream;
pub mod token;
pub mod watch;
