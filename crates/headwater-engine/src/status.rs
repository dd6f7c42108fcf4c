//! Counters of the running engine, as `serverStatus` shows them.

use std::sync::atomic::{AtomicI64, Ordering};

/// Counters; all relaxed, each exact by itself.
#[derive(Debug, Default)]
pub struct Status {
    connections: AtomicI64,
    connections_total: AtomicI64,
    /// Walks through collections whose documents several threads took in.
    pub shared_scans: AtomicI64,
    /// Commands by the classes of `opcounters`.
    pub operations: Operations,
}

/// `opcounters`.
#[derive(Debug, Default)]
pub struct Operations {
    /// Documents inserted.
    pub insert: AtomicI64,
    /// Finds and other queries.
    pub query: AtomicI64,
    /// Update statements.
    pub update: AtomicI64,
    /// Delete statements.
    pub delete: AtomicI64,
    /// `getMore`s.
    pub getmore: AtomicI64,
    /// All other commands.
    pub command: AtomicI64,
}

impl Operations {
    /// The counters with their names, in the order of `serverStatus`.
    pub fn rows(&self) -> [(&'static str, i64); 6] {
        let read = |counter: &AtomicI64| counter.load(Ordering::Relaxed);
        [
            ("insert", read(&self.insert)),
            ("query", read(&self.query)),
            ("update", read(&self.update)),
            ("delete", read(&self.delete)),
            ("getmore", read(&self.getmore)),
            ("command", read(&self.command)),
        ]
    }
}

/// The name of this machine.
pub fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}

/// Adds to a counter.
pub fn count(counter: &AtomicI64, by: usize) {
    counter.fetch_add(i64::try_from(by).unwrap_or(i64::MAX), Ordering::Relaxed);
}

impl Status {
    pub(crate) fn connected(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.connections_total.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn disconnected(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// Connections now and ever.
    pub fn connections(&self) -> (i64, i64) {
        (self.connections.load(Ordering::Relaxed), self.connections_total.load(Ordering::Relaxed))
    }
}
