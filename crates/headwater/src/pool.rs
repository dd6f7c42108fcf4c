//! What the driver's connection pools tell of themselves: live numbers, one set per server. Changes nothing in them.

use std::sync::Arc;
use std::time::Duration;

use mongodb::event::cmap::{CmapEvent, ConnectionClosedReason};
use mongodb::options::{ClientOptions, ServerAddress};
use parking_lot::Mutex;

use crate::events::heard_by;
use crate::histogram::{Histogram, Reading};
use crate::observe;
use crate::resilience::trace;

/// The connection pools at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct PoolStats {
    /// One entry per server, sorted by address.
    pub servers: Vec<ServerPool>,
}

/// The connection pool of one server.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct ServerPool {
    /// The server, as `host:port`.
    pub address: String,
    /// Connections that exist, those being made included.
    pub size: u64,
    /// Connections that run an operation.
    pub in_use: u64,
    /// Connections that wait for work.
    pub idle: u64,
    /// Operations that wait for a connection.
    pub waiting: u64,
    /// Connections made since the start.
    pub created: u64,
    /// Connections closed since the start, by reason.
    pub closed: ClosedConnections,
    /// How often the pool was emptied because of an error.
    pub cleared: u64,
    /// Operations that got a connection since the start.
    pub checkouts: u64,
    /// Operations that asked in vain.
    pub failed_checkouts: u64,
    /// How long operations waited for a connection, in all.
    pub wait_total: Duration,
    /// The longest wait of one operation.
    pub wait_max: Duration,
}

/// Connections closed, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ClosedConnections {
    /// The pool was emptied since they were made.
    pub stale: u64,
    /// Unused for longer than `maxIdleTimeMS`.
    pub idle: u64,
    /// They failed.
    pub error: u64,
    /// Their operation was given up half-way.
    pub dropped: u64,
    /// The pool was closed.
    pub pool_closed: u64,
}

impl PoolStats {
    /// Connections of all servers.
    pub fn size(&self) -> u64 {
        self.servers.iter().map(|server| server.size).sum()
    }

    /// Connections of all servers that run an operation.
    pub fn in_use(&self) -> u64 {
        self.servers.iter().map(|server| server.in_use).sum()
    }

    /// Connections made since the start, to all servers.
    pub fn created(&self) -> u64 {
        self.servers.iter().map(|server| server.created).sum()
    }
}

/// Listens to the events of the driver's pools.
#[derive(Default)]
pub(crate) struct PoolWatch {
    /// A few at most: looked through, not hashed.
    servers: Mutex<Vec<(ServerAddress, ServerPool)>>,
    waits: Histogram,
}

impl PoolWatch {
    /// Listens to the client that will be made of the options.
    pub(crate) fn listen(options: &mut ClientOptions) -> Arc<PoolWatch> {
        let watch = Arc::new(PoolWatch::default());
        let ours = watch.clone();
        let theirs = options.cmap_event_handler.take();
        options.cmap_event_handler = Some(heard_by(move |event| ours.note(event), theirs));
        watch
    }

    pub(crate) fn stats(&self) -> PoolStats {
        let servers = self.servers.lock();
        let mut servers: Vec<ServerPool> = servers.iter().map(|(_, pool)| pool.clone()).collect();
        servers.sort_by(|one, other| one.address.cmp(&other.address));
        PoolStats { servers }
    }

    /// How long operations waited for a connection, to any server.
    pub(crate) fn waits(&self) -> Reading {
        self.waits.read()
    }

    fn note(&self, event: &CmapEvent) {
        match event {
            CmapEvent::PoolCreated(event) => self.change(&event.address, |_| {}),
            CmapEvent::PoolCleared(event) => self.change(&event.address, |pool| pool.cleared += 1),
            CmapEvent::ConnectionCreated(event) => {
                self.change(&event.address, |pool| {
                    pool.created += 1;
                    pool.size += 1;
                });
                observe::open_connections(1.0);
            }
            CmapEvent::ConnectionReady(event) => {
                self.change(&event.address, |pool| pool.idle += 1);
            }
            CmapEvent::ConnectionClosed(event) => {
                self.change(&event.address, |pool| closed(pool, event.reason.clone()));
                observe::open_connections(-1.0);
            }
            CmapEvent::ConnectionCheckoutStarted(event) => {
                trace::note_asked();
                self.change(&event.address, |pool| pool.waiting += 1);
            }
            CmapEvent::ConnectionCheckoutFailed(event) => self.change(&event.address, |pool| {
                pool.waiting = pool.waiting.saturating_sub(1);
                pool.failed_checkouts += 1;
            }),
            CmapEvent::ConnectionCheckedOut(event) => {
                trace::note_got();
                self.change(&event.address, |pool| {
                    pool.waiting = pool.waiting.saturating_sub(1);
                    pool.idle = pool.idle.saturating_sub(1);
                    pool.in_use += 1;
                    pool.checkouts += 1;
                    pool.wait_total += event.duration;
                    pool.wait_max = pool.wait_max.max(event.duration);
                });
                observe::connections_in_use(1.0);
                self.waits.record(event.duration);
                observe::pool_wait(event.duration);
            }
            CmapEvent::ConnectionCheckedIn(event) => {
                self.change(&event.address, |pool| {
                    pool.in_use = pool.in_use.saturating_sub(1);
                    pool.idle += 1;
                });
                observe::connections_in_use(-1.0);
            }
            _ => {}
        }
    }

    fn change(&self, address: &ServerAddress, change: impl FnOnce(&mut ServerPool)) {
        let mut servers = self.servers.lock();
        match servers.iter_mut().find(|(of, _)| of == address) {
            Some((_, pool)) => change(pool),
            None => {
                let mut pool = ServerPool { address: address.to_string(), ..ServerPool::default() };
                change(&mut pool);
                servers.push((address.clone(), pool));
            }
        }
    }
}

fn closed(pool: &mut ServerPool, reason: ConnectionClosedReason) {
    pool.size = pool.size.saturating_sub(1);
    match reason {
        ConnectionClosedReason::Stale => pool.closed.stale += 1,
        ConnectionClosedReason::Idle => pool.closed.idle += 1,
        ConnectionClosedReason::Error => pool.closed.error += 1,
        ConnectionClosedReason::Dropped => pool.closed.dropped += 1,
        _ => pool.closed.pool_closed += 1,
    }
    // A connection leaves either the idle ones or, given up half-way, those in use.
    pool.idle = pool.idle.min(pool.size.saturating_sub(pool.in_use));
}
