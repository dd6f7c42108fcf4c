//! The server as its owner sees it: built, listening, shut down.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinHandle};

use crate::connection::{Closed, Connection};
use crate::dispatch::Dispatch;
use crate::listener::{Accept, Accepted, UnixSocket, bind_tcp, bind_unix};
use crate::service::{ClientInfo, Service};
use crate::shutdown::{Shutdown, Watch};

const CONNECTIONS_MAX: usize = 10_000;
const BLOCKING_THREADS_MAX: usize = 64;
const STALL: Duration = Duration::from_secs(60);
/// The pause after an accept that failed, usually for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a server is to be like.
#[derive(Debug, Clone)]
pub struct Builder {
    tcp: Vec<SocketAddr>,
    unix: Vec<PathBuf>,
    advertise: Option<String>,
    connections_max: usize,
    blocking_threads_max: usize,
    stall: Duration,
}

/// A running server. Dropping it stops it at once; [`Server::shutdown`] lets commands under way finish.
#[derive(Debug)]
pub struct Server {
    tcp: Vec<SocketAddr>,
    listeners: Vec<JoinHandle<()>>,
    shared: Arc<Shared>,
}

/// What all connections have in common.
#[derive(Debug)]
struct Shared {
    settings: Builder,
    shutdown: Arc<Shutdown>,
    slots: Arc<Semaphore>,
    threads: Arc<Semaphore>,
    last_id: AtomicI64,
    connections: Mutex<HashMap<i64, AbortHandle>>,
}

impl Default for Builder {
    fn default() -> Builder {
        Builder {
            tcp: Vec::new(),
            unix: Vec::new(),
            advertise: None,
            connections_max: CONNECTIONS_MAX,
            blocking_threads_max: BLOCKING_THREADS_MAX,
            stall: STALL,
        }
    }
}

impl Builder {
    /// Listens on a loopback TCP address as well. Port 0 takes any free one, see [`Server::tcp_addresses`].
    #[must_use]
    pub fn tcp(mut self, address: SocketAddr) -> Builder {
        self.tcp.push(address);
        self
    }

    /// Listens on a Unix socket as well.
    #[must_use]
    pub fn unix(mut self, path: impl Into<PathBuf>) -> Builder {
        self.unix.push(path.into());
        self
    }

    /// The `host:port` that clients are told to dial, instead of the address that each has dialled.
    #[must_use]
    pub fn advertise(mut self, address: impl Into<String>) -> Builder {
        self.advertise = Some(address.into());
        self
    }

    /// Most connections at a time; further ones are closed as they come. 10,000 unless set.
    #[must_use]
    pub fn connections_max(mut self, connections: usize) -> Builder {
        self.connections_max = connections.min(Semaphore::MAX_PERMITS);
        self
    }

    /// Most commands at a time that run on threads which may block. 64 unless set.
    #[must_use]
    pub fn blocking_threads_max(mut self, threads: usize) -> Builder {
        self.blocking_threads_max = threads.clamp(1, Semaphore::MAX_PERMITS);
        self
    }

    /// How long a client may rest within a message or while it takes a reply, and how long before its first message.
    /// 60 s unless set.
    #[must_use]
    pub fn stall(mut self, stall: Duration) -> Builder {
        self.stall = stall;
        self
    }

    /// Takes the addresses, so that they are known to be free; connections wait until [`Bound::serve`]. Must be called
    /// within a tokio runtime.
    ///
    /// # Errors
    /// An address that is not a loopback one, or that cannot be listened on.
    pub async fn bind(self) -> Result<Bound, Error> {
        let mut tcp = Vec::new();
        for &address in &self.tcp {
            tcp.push(bind_tcp(address).await?);
        }
        let unix: Result<Vec<_>, Error> = self.unix.iter().map(|path| bind_unix(path)).collect();
        let unix = unix?;
        let addresses: io::Result<Vec<SocketAddr>> =
            tcp.iter().map(TcpListener::local_addr).collect();
        let addresses = addresses.map_err(|error| Error::bind("TCP".to_owned(), error))?;
        Ok(Bound { settings: self, tcp, unix, addresses })
    }

    /// Starts to listen. Must be called within a tokio runtime, on which the connections then run.
    ///
    /// # Errors
    /// Those of [`Builder::bind`].
    pub async fn serve<S: Service>(self, service: Arc<S>) -> Result<Server, Error> {
        Ok(self.bind().await?.serve(service))
    }
}

/// The addresses of a server that does not answer yet.
#[derive(Debug)]
pub struct Bound {
    settings: Builder,
    tcp: Vec<TcpListener>,
    unix: Vec<UnixSocket>,
    addresses: Vec<SocketAddr>,
}

impl Bound {
    /// Starts to answer. Must be called within the tokio runtime of [`Builder::bind`].
    pub fn serve<S: Service>(self, service: Arc<S>) -> Server {
        let Bound { settings, tcp, unix, addresses } = self;
        let shared = Arc::new(Shared {
            shutdown: Arc::default(),
            slots: Arc::new(Semaphore::new(settings.connections_max)),
            threads: Arc::new(Semaphore::new(settings.blocking_threads_max)),
            last_id: AtomicI64::new(0),
            connections: Mutex::default(),
            settings,
        });
        let mut listeners = Vec::new();
        for listener in tcp {
            listeners.push(tokio::spawn(accept(listener, Arc::clone(&service), shared.clone())));
        }
        for listener in unix {
            listeners.push(tokio::spawn(accept(listener, Arc::clone(&service), shared.clone())));
        }
        Server { tcp: addresses, listeners, shared }
    }
}

impl Server {
    /// A server that listens nowhere yet.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The TCP addresses that it listens on, in the order in which they were given.
    pub fn tcp_addresses(&self) -> &[SocketAddr] {
        &self.tcp
    }

    /// The number of open connections.
    pub fn connections(&self) -> usize {
        self.shared.connections().len()
    }

    /// Stops listening, closes idle connections, lets every command that has arrived finish and its reply go out, for no
    /// longer than `grace`; then cuts off the rest. Returns whether everything finished in time.
    pub async fn shutdown(mut self, grace: Duration) -> bool {
        self.listeners.iter().for_each(JoinHandle::abort);
        self.shared.shutdown.begin();
        // An aborted listener lets go of its address, and of its socket file, only once its task has ended.
        for listener in std::mem::take(&mut self.listeners) {
            let _ = listener.await;
        }
        let all = u32::try_from(self.shared.settings.connections_max).unwrap_or(u32::MAX);
        let finished = async {
            let _ = self.shared.slots.acquire_many(all).await;
            // Work whose client has gone goes on until it is done.
            let threads = self.shared.settings.blocking_threads_max;
            let threads = u32::try_from(threads).unwrap_or(u32::MAX);
            let _ = self.shared.threads.acquire_many(threads).await;
        };
        tokio::time::timeout(grace, finished).await.is_ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.listeners.iter().for_each(JoinHandle::abort);
        self.shared.shutdown.begin();
        self.shared.connections().values().for_each(AbortHandle::abort);
    }
}

impl Shared {
    fn connections(&self) -> MutexGuard<'_, HashMap<i64, AbortHandle>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn accept<S: Service, L: Accept>(listener: L, service: Arc<S>, shared: Arc<Shared>) {
    loop {
        let accepted = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(slot) = Arc::clone(&shared.slots).try_acquire_owned() else {
            tracing::warn!(peer = accepted.peer, "connection refused: too many are open");
            continue;
        };
        let id = shared.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let (service, owner) = (Arc::clone(&service), Arc::clone(&shared));
        // Held until the connection is listed, so that it cannot be unlisted before.
        let mut connections = shared.connections();
        let task = tokio::spawn(async move {
            serve(id, accepted, service, &owner).await;
            owner.connections().remove(&id);
            drop(slot);
        });
        connections.insert(id, task.abort_handle());
    }
}

async fn serve<S, T>(id: i64, accepted: Accepted<T>, service: Arc<S>, shared: &Shared)
where
    S: Service,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let Accepted { stream, local, peer } = accepted;
    let local = shared.settings.advertise.clone().unwrap_or(local);
    tracing::debug!(connection = id, peer, local, "connection accepted");
    let info = ClientInfo { connection_id: id, local, peer };
    let dispatch = Dispatch::new(service, info, Arc::clone(&shared.threads));
    let watch = Watch::new(Arc::clone(&shared.shutdown));
    let closed = Connection::new(stream, dispatch, watch, shared.settings.stall).run().await;
    match closed {
        Closed::Malformed(why) => tracing::warn!(connection = id, %why, "connection closed"),
        Closed::Io(error) => tracing::debug!(connection = id, %error, "connection closed"),
        why => tracing::debug!(connection = id, ?why, "connection closed"),
    }
}

/// Why a server cannot listen.
#[derive(Debug)]
pub struct Error(Reason);

#[derive(Debug)]
enum Reason {
    NotLoopback(SocketAddr),
    Bind { address: String, source: io::Error },
}

impl Error {
    pub(crate) fn not_loopback(address: SocketAddr) -> Error {
        Error(Reason::NotLoopback(address))
    }

    pub(crate) fn bind(address: String, source: io::Error) -> Error {
        Error(Reason::Bind { address, source })
    }

    /// Whether the address was refused because clients from elsewhere could reach it without authentication.
    pub fn is_not_loopback(&self) -> bool {
        matches!(self.0, Reason::NotLoopback(_))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Reason::NotLoopback(address) => write!(
                f,
                "refusing to listen on {address}: there is no authentication yet, so only loopback addresses \
                 (127.0.0.1, [::1]) are allowed"
            ),
            Reason::Bind { address, source } => write!(f, "cannot listen on {address}: {source}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0 {
            Reason::NotLoopback(_) => None,
            Reason::Bind { source, .. } => Some(source),
        }
    }
}
