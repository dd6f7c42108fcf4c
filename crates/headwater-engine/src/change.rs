//! Changes: what the log says of each write beside its puts and deletes, and the streams that tell of it.

pub mod event;
