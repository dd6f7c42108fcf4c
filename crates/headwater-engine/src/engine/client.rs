//! Clients: what the engine knows of whoever is at the other end of a connection, and whether that one is still there.
//! Knows nothing of commands.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use parking_lot::Mutex;

use crate::bson::DocBuf;

/// What the engine knows of a client: one for each connection.
#[derive(Debug)]
pub struct Client {
    /// The connection's number.
    pub connection_id: i64,
    /// The address that the client dialled, as `hello` must show it.
    pub local: String,
    /// The address that the client came from.
    pub peer: String,
    /// What the client said of itself in its first `hello`.
    pub metadata: Arc<Mutex<Option<DocBuf>>>,
    gone: AtomicBool,
    /// The cursor whose data it waits for, 0 for none.
    awaited: AtomicI64,
}

/// A connection as others see it.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Its number.
    pub id: i64,
    /// The address that the client came from.
    pub peer: String,
    /// What the client said of itself.
    pub metadata: Arc<Mutex<Option<DocBuf>>>,
}

impl Client {
    pub(super) fn new(connection_id: i64, local: String, peer: String) -> Client {
        Client {
            connection_id,
            local,
            peer,
            metadata: Arc::default(),
            gone: AtomicBool::new(false),
            awaited: AtomicI64::new(0),
        }
    }

    /// The client's connection.
    pub(super) fn connection(&self) -> Connection {
        let metadata = self.metadata.clone();
        Connection { id: self.connection_id, peer: self.peer.clone(), metadata }
    }

    /// Whether the client has gone.
    pub fn has_gone(&self) -> bool {
        self.gone.load(Ordering::SeqCst)
    }

    /// Notes which cursor's data the client waits for, or that it waits no more. Tells whether it is there to wait.
    pub fn awaits(&self, cursor: Option<i64>) -> bool {
        self.awaited.store(cursor.unwrap_or(0), Ordering::SeqCst);
        !self.has_gone()
    }

    /// Notes that the client has gone; gives the cursor whose data it waited for.
    pub(super) fn leave(&self) -> Option<i64> {
        self.gone.store(true, Ordering::SeqCst);
        Some(self.awaited.swap(0, Ordering::SeqCst)).filter(|&cursor| cursor != 0)
    }
}
