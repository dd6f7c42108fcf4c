//! How a store is opened: every size and limit of the store in one place.

use std::sync::Arc;
use std::time::Duration;

use crate::io::{Disk, Io};

/// Longest key in bytes. The tree's own limit is 1,982; callers cut longer keys.
pub const KEY_BYTES_MAX: usize = 1_900;

/// Largest log record in bytes: the changes of one operation and its event together.
pub const RECORD_BYTES_MAX: usize = 1 << 30;

/// Number of fixed tables.
pub const TABLES: usize = 8;

/// Sizes and limits of a store. Start from `Options::default()` and change single fields.
#[derive(Clone)]
pub struct Options {
    /// Bytes of changes held in memory (overlays) before [`writer`](crate::Store::writer) makes
    /// its caller wait for the checkpoint. A checkpoint starts at half of it, or at three quarters
    /// while a snapshot from before then is held: the tree can't use pages again that it sees, so
    /// fewer and larger checkpoints make it grow less. Also bounds how much log is replayed after
    /// a crash. Default 128 MiB.
    pub memory_bytes_max: usize,
    /// Size of a log segment file, allocated ahead and recycled. Default 64 MiB.
    pub segment_bytes: u64,
    /// Bytes of log kept as change history; the oldest segments beyond it are recycled.
    /// Default (`None`) 1 GiB on disk, 64 MiB in memory.
    pub retention_bytes: Option<u64>,
    /// Age after which a segment of the history is recycled even when there is room.
    /// Default none.
    pub retention_age: Option<Duration>,
    /// Address space reserved for the tree. It costs no memory; when it is used up the tree grows
    /// it, which has to wait for held snapshots. Default 1 TiB.
    pub map_bytes: u64,
    /// Snapshots that may be held at once. Default 4,096.
    pub snapshots_max: u32,
    /// Bytes of changes put into one tree transaction. Default 8 MiB.
    pub tree_transaction_bytes: usize,
    /// Log files are read and written through this seam. Default the operating system's files.
    pub io: Arc<dyn Io>,
    #[doc(hidden)]
    pub controls: Controls,
}

/// Negative controls: each removes one safeguard so that tests can show that they notice.
#[doc(hidden)]
#[derive(Clone, Copy, Default)]
pub struct Controls {
    /// Checkpoints apply changes to the tree before they are durable in the log.
    pub tree_does_not_wait: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            memory_bytes_max: 128 << 20,
            segment_bytes: 64 << 20,
            retention_bytes: None,
            retention_age: None,
            map_bytes: 1 << 40,
            snapshots_max: 4_096,
            tree_transaction_bytes: 8 << 20,
            io: Arc::new(Disk),
            controls: Controls::default(),
        }
    }
}
