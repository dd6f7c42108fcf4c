//! Figures the store reports about itself.

use crate::Seq;

/// A store's figures at one moment; sizes in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Newest published operation.
    pub last: Seq,
    /// Newest operation handed to the operating system.
    pub written: Seq,
    /// Newest durable operation.
    pub durable: Seq,
    /// Newest operation that the tree has.
    pub applied: Seq,
    /// Oldest sequence number the history reaches back to.
    pub oldest: Seq,
    /// Changes in memory that new writes are added to.
    pub active_bytes: u64,
    /// Changes in memory that are being applied to the tree.
    pub frozen_bytes: u64,
    /// Keys in both.
    pub overlay_entries: u64,
    /// Segment files of the log.
    pub log_segments: u64,
    /// Their size, reserved room included.
    pub log_bytes: u64,
    /// Size of the tree's file.
    pub tree_bytes: u64,
    /// Address space of the tree.
    pub map_bytes: u64,
    /// Syncs of the log since the store was opened.
    pub syncs: u64,
    /// Checkpoints since the store was opened.
    pub checkpoints: u64,
    /// Records replayed when the store was opened.
    pub replayed: u64,
    /// Whether a write failed and nothing is acknowledged any more.
    pub poisoned: bool,
}

/// What [`Store::verify`](crate::Store::verify) read without finding damage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Values in the tree, each with a correct checksum.
    pub tree_values: u64,
    /// Records in the log, each with a correct checksum.
    pub log_records: u64,
    /// Puts and deletes in those records.
    pub log_changes: u64,
}
