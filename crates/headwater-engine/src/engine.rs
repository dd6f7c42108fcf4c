//! The engine: store, catalog, cursors and sessions of one node, and the one way in for every command.

mod client;
mod node;
pub mod operations;
mod park;
pub mod snapshots;
mod writing;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::task::{Poll, Waker};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use headwater_store::{Snapshot, Store};
use parking_lot::{Mutex, RwLock};

pub use client::{Client, Connection};
pub use node::{Node, store_node};
use operations::Operations;
use park::park_until;
pub(crate) use park::unparker;
use snapshots::Snapshots;
pub use writing::WriteGuard;

use crate::aggregate::Aggregation;
use crate::bson::{DocBuf, DocWriter};
use crate::catalog::{self, Catalog};
use crate::change::watch::Watches;
use crate::commands;
use crate::error::{Code, Error, Result};
use crate::fail_point::FailPoints;
use crate::limits::STAGE_MEMORY_BYTES_MAX;
use crate::profile::Profiler;
use crate::request::{Mode, Request, Step, Wait};
use crate::session::Sessions;
use crate::session::cursors::Cursors;
use crate::status::Status;
use crate::ttl::Ttl;

/// How the engine presents itself and keeps its data.
#[derive(Clone)]
pub struct EngineOptions {
    /// The replica set's name that `hello` says. Default `rs0`.
    pub replica_set: String,
    /// Whether to answer as a router (`mongos`) does.
    pub as_mongos: bool,
    /// Whether `configureFailPoint` and its kind are there.
    pub test_commands: bool,
    /// Time between two looks for documents that have expired (`ttlMonitorSleepSecs`). Default 60 s.
    pub ttl_sleep: Duration,
    /// Memory that a sort, a group or another blocking stage may take before it uses the disk, in bytes. Default 100 MiB.
    pub stage_bytes_max: usize,
    /// How pipelines are run.
    pub aggregation: Aggregation,
    /// The store's own options.
    pub store: headwater_store::Options,
}

impl Default for EngineOptions {
    fn default() -> EngineOptions {
        EngineOptions {
            replica_set: "rs0".to_owned(),
            as_mongos: false,
            test_commands: false,
            ttl_sleep: Duration::from_secs(60),
            stage_bytes_max: STAGE_MEMORY_BYTES_MAX,
            aggregation: Aggregation::default(),
            store: headwater_store::Options::default(),
        }
    }
}

impl std::fmt::Debug for EngineOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineOptions")
            .field("replica_set", &self.replica_set)
            .field("as_mongos", &self.as_mongos)
            .field("test_commands", &self.test_commands)
            .finish_non_exhaustive()
    }
}

/// The part of the data folder for what does not fit into memory.
const SPILL: &str = "spill";

/// A document database: hands a command document in and gets a reply document out. Cheap to clone.
///
/// ```
/// use headwater_engine::{Engine, EngineOptions, Request};
/// use headwater_engine::bson::DocWriter;
///
/// let engine = Engine::open_in_memory(EngineOptions::default())?;
/// let client = engine.client("example", "example");
/// let mut ping = DocWriter::new();
/// ping.i32("ping", 1);
/// ping.str("$db", "admin");
/// let ping = ping.finish();
/// let reply = engine.run_command(&client, &Request { body: ping.as_doc(), sequences: &[] });
/// assert!(reply.as_doc().get("ok").is_some());
/// # Ok::<(), headwater_engine::Error>(())
/// ```
#[derive(Clone)]
pub struct Engine(Arc<Shared>);

/// Everything that commands share.
pub struct Shared {
    /// The bytes.
    pub store: Store,
    /// How the engine was opened.
    pub options: EngineOptions,
    /// Who this node says it is.
    pub node: Node,
    /// Open cursors.
    pub cursors: Cursors,
    /// Moments that reads share.
    pub snapshots: Snapshots,
    /// Change streams that wait.
    pub watches: Watches,
    /// Sessions and what their retryable writes did.
    pub sessions: Sessions,
    /// What is to fail, for tests of clients.
    pub fail_points: Arc<FailPoints>,
    /// Counters that `serverStatus` shows.
    pub status: Status,
    /// Which operations are kept and logged.
    pub profiler: Profiler,
    /// How documents expire.
    pub ttl: Ttl,
    /// When the engine was opened.
    pub started: Instant,
    /// The folder for what does not fit into memory.
    pub spill: PathBuf,
    catalog: RwLock<Arc<Catalog>>,
    writing: Mutex<writing::State>,
    /// Commands under way.
    pub operations: Operations,
    connections: AtomicI64,
    clients: Mutex<BTreeMap<i64, Connection>>,
    closing: AtomicBool,
    /// What works beside commands, until it is closed.
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("options", &self.0.options).finish_non_exhaustive()
    }
}

impl Engine {
    /// Opens the data folder, creating it if it is not there.
    ///
    /// # Errors
    /// A folder that cannot be opened, is in use by another process, or is of another format version.
    pub fn open(folder: &Path, options: EngineOptions) -> Result<Engine> {
        let store = Store::open(folder, options.store.clone())?;
        let spill = folder.join(SPILL);
        // What an earlier run has left is of no use.
        let _ = std::fs::remove_dir_all(&spill);
        Engine::on(store, options, spill)
    }

    /// Opens a database that lives in memory and ends with the engine.
    ///
    /// # Errors
    /// None today; kept for symmetry with [`Engine::open`].
    pub fn open_in_memory(options: EngineOptions) -> Result<Engine> {
        let store = Store::in_memory(options.store.clone());
        Engine::on(store, options, std::env::temp_dir().join("headwater"))
    }

    fn on(store: Store, options: EngineOptions, spill: PathBuf) -> Result<Engine> {
        let catalog = catalog::load(&store.snapshot()?)?;
        let (node, state) = node::start(&store)?;
        let ttl = Ttl::new(options.ttl_sleep);
        let shared = Arc::new_cyclic(|weak| Shared {
            store,
            options,
            node,
            cursors: Cursors::default(),
            snapshots: Snapshots::default(),
            watches: Watches::new(weak.clone()),
            sessions: Sessions::default(),
            fail_points: Arc::default(),
            status: Status::default(),
            profiler: Profiler::default(),
            ttl,
            started: Instant::now(),
            spill,
            catalog: RwLock::new(Arc::new(catalog)),
            writing: Mutex::new(state),
            operations: Operations::default(),
            connections: AtomicI64::new(0),
            clients: Mutex::default(),
            closing: AtomicBool::new(false),
            threads: Mutex::default(),
        });
        commands::drop_temporary(&shared)?;
        let threads = [crate::housekeeping::start(&shared)?, crate::ttl::start(&shared)?];
        shared.threads.lock().extend(threads);
        Ok(Engine(shared))
    }

    /// A client of the engine: `local` is the address that it dialled, `peer` where it came from.
    pub fn client(&self, local: &str, peer: &str) -> Client {
        let connection_id = self.0.connections.fetch_add(1, Ordering::Relaxed) + 1;
        self.0.status.connected();
        let client = Client::new(connection_id, local.to_owned(), peer.to_owned());
        self.0.clients.lock().insert(connection_id, client.connection());
        client
    }

    /// Says that the client has gone. What it reads ends soon, with the cursor that it waits at; what it writes, and
    /// the index that it builds, is finished, as MongoDB does.
    pub fn disconnect(&self, client: &Client) {
        let awaited = client.leave();
        self.0.clients.lock().remove(&client.connection_id);
        self.0.operations.leave(client);
        if let Some(cursor) = awaited {
            self.0.cursors.kill(cursor);
        }
        self.0.status.disconnected();
    }

    /// Runs a command to its end on this thread, waiting for durability and for awaited data.
    pub fn run_command(&self, client: &Client, request: &Request<'_>) -> DocBuf {
        let mut waiting_since = None;
        loop {
            match self.start(client, request, Mode::Blocking, waiting_since) {
                Step::Done(reply) => return reply,
                Step::Busy => {}
                Step::Close => {
                    let message = "the connection was closed by a fail point";
                    return self.error_reply(&Error::new(Code::HOST_UNREACHABLE, message));
                }
                Step::WhenDurable { seq, reply } => {
                    return match self.0.store.wait_durable(seq, None) {
                        Ok(_) => reply,
                        Err(error) => self.error_reply(&error.into()),
                    };
                }
                Step::Await { wait, deadline } => {
                    waiting_since = Some(deadline);
                    match park_until(deadline, |waker| self.poll(&wait, waker)) {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => return self.error_reply(&error),
                        Err(waker) => self.forget(&wait, &waker),
                    }
                }
            }
        }
    }

    /// Runs a command as far as `mode` lets it; see [`Step`]. `waiting_since` is the deadline of an earlier
    /// [`Step::Await`] of the same request.
    pub fn start(
        &self,
        client: &Client,
        request: &Request<'_>,
        mode: Mode,
        waiting_since: Option<Instant>,
    ) -> Step {
        commands::run(&self.0, client, request, mode, waiting_since)
    }

    /// Whether what is waited for is there; if not, `waker` is woken when it is, or when it never will be.
    ///
    /// # Errors
    /// The store failed or the engine is being closed: there is nothing to wait for any more.
    pub fn poll(&self, wait: &Wait, waker: &Waker) -> Poll<Result<()>> {
        match wait {
            Wait::Durable(seq) => match self.0.store.poll_durable(*seq, waker) {
                Ok(true) => Poll::Ready(Ok(())),
                Ok(false) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error.into())),
            },
            Wait::Events(ticket) => ticket.poll(waker).map(|()| self.0.check_open()),
            Wait::Deadline => Poll::Pending,
        }
    }

    /// Takes back the registration of [`Engine::poll`]: nobody waits with this waker any more.
    pub fn forget(&self, wait: &Wait, waker: &Waker) {
        match wait {
            Wait::Durable(seq) => self.0.store.forget_durable(*seq, waker),
            Wait::Events(ticket) => ticket.forget(waker),
            Wait::Deadline => {}
        }
    }

    /// The reply that tells of an error.
    pub fn error_reply(&self, error: &Error) -> DocBuf {
        let mut reply = DocWriter::new();
        error.write_reply(&mut reply);
        self.0.write_times(&mut reply, None);
        reply.finish()
    }

    /// Refuses new work, ends what waits, and closes the store: everything acknowledged is on disk. Afterwards no thread
    /// of the engine holds it: when its last handle has been dropped, the folder may be opened again at once.
    ///
    /// # Errors
    /// Those of the store's last sync.
    pub fn close(&self) -> Result<()> {
        self.0.closing.store(true, Ordering::Release);
        self.0.cursors.clear();
        self.0.snapshots.clear();
        self.0.watches.close();
        let closed = self.0.store.clone().close();
        for thread in std::mem::take(&mut *self.0.threads.lock()) {
            thread.thread().unpark();
            // It fails if the thread panicked, which has been told.
            let _ = thread.join();
        }
        Ok(closed?)
    }
}

impl Shared {
    /// The catalog of now, and a snapshot that is at least as new.
    ///
    /// # Errors
    /// Those of the store.
    pub fn read(&self) -> Result<(Arc<Catalog>, Snapshot)> {
        let catalog = self.catalog();
        Ok((catalog, self.store.snapshot()?))
    }

    /// The connections of now, the oldest first.
    pub fn connections(&self) -> Vec<Connection> {
        self.clients.lock().values().cloned().collect()
    }

    /// The catalog of now.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.catalog.read().clone()
    }

    /// Whether the engine is being closed.
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Fails while the engine is being closed.
    ///
    /// # Errors
    /// `ShutdownInProgress` (91).
    pub fn check_open(&self) -> Result<()> {
        if self.is_closing() {
            return Err(Error::new(Code::SHUTDOWN_IN_PROGRESS, "Headwater is shutting down"));
        }
        Ok(())
    }

    /// Appends `$clusterTime` and `operationTime` to a reply.
    pub fn write_times(&self, reply: &mut DocWriter, operation_time: Option<u64>) {
        let time = operation_time.unwrap_or_else(|| self.store.last());
        reply.document("$clusterTime", |cluster| {
            cluster.timestamp("clusterTime", time.max(self.store.last()));
            cluster.document("signature", |signature| {
                signature.binary("hash", 0, &[0; 20]);
                signature.i64("keyId", 0);
            });
        });
        reply.timestamp("operationTime", time);
    }
}

/// Milliseconds since 1970-01-01T00:00Z.
pub fn now_ms() -> i64 {
    i64::try_from(since_epoch().as_millis()).unwrap_or(i64::MAX)
}

/// The smallest sequence number of this second: sequence numbers are MongoDB timestamps, seconds in the high half.
pub fn clock_floor() -> u64 {
    (since_epoch().as_secs() << 32) | 1
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
