//! The append-only log: the one truth of the write path, and the change history.
//! The writer encodes records ([`appender`]); whoever gets there first writes them ([`disk`]),
//! one thread syncs; [`recovery`] reads them back; [`history`] tails them.

pub(crate) mod appender;
pub(crate) mod disk;
pub(crate) mod history;
pub(crate) mod record;
pub(crate) mod recovery;
pub(crate) mod segment;
