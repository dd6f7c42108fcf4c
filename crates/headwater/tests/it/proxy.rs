//! A TCP proxy that does to clients what networks do, in front of a server that it starts or is given. It understands
//! frames and the names of commands, nothing else of what it passes on.
//!
//! ```text
//! let proxy = Proxy::start();                                  // engine in memory, test commands, server, proxy
//! proxy.inject(Fault::ResetAfter.on("insert").times(2));       // the server runs it, the client hears nothing
//! proxy.inject(Fault::Delay(Duration::from_millis(50)).chance(0.05));
//! let headwater = Headwater::connect(proxy.uri()).await?;
//! assert_eq!(proxy.requests("insert"), 3);
//! ```
//!
//! It has a thread of its own, so a test may block the one it runs on.

// Not every kind of fault has its test yet.
#![allow(dead_code)]

mod backend;
mod fault;
mod frame;
mod relay;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::backend::Backend;
pub(crate) use self::fault::{Fault, Rule};
use crate::serve::unused_address;

/// A proxy that runs until it is dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Mutex<Option<JoinHandle<()>>>,
    backend: Option<Arc<tokio::sync::Mutex<Backend>>>,
    runtime: Option<Runtime>,
}

/// What connections share.
#[derive(Debug)]
struct Shared {
    /// Where requests go. `None` while the server is away.
    server: Mutex<Option<SocketAddr>>,
    rules: Mutex<Vec<Rule>>,
    counts: Mutex<Counts>,
    /// Raised to cut every connection.
    cuts: watch::Sender<u64>,
}

/// What has come through.
#[derive(Debug, Default)]
struct Counts {
    connections: usize,
    open: usize,
    open_max: usize,
    arrived: BTreeMap<String, usize>,
    forwarded: BTreeMap<String, usize>,
    faults: usize,
    under_way: usize,
    under_way_max: usize,
}

impl Proxy {
    /// A proxy in front of a new server with an empty engine in memory, which has the test commands. The server tells
    /// drivers that the proxy's address is its own, so none finds a way around the proxy.
    pub(crate) fn start() -> Proxy {
        let mut proxy = Proxy::new(None);
        let backend = Backend::new(proxy.address.to_string());
        proxy.backend = Some(Arc::new(tokio::sync::Mutex::new(backend)));
        proxy.run_here(proxy.start_server());
        proxy
    }

    /// A proxy in front of a server that runs elsewhere.
    pub(crate) fn before(server: SocketAddr) -> Proxy {
        Proxy::new(Some(server))
    }

    /// A proxy in front of nothing yet, for a server that has to be told the proxy's address when it starts.
    pub(crate) fn waiting() -> Proxy {
        Proxy::new(None)
    }

    /// Names the server that runs elsewhere.
    pub(crate) fn lead_to(&self, server: SocketAddr) {
        *self.shared.server.lock().unwrap() = Some(server);
    }

    fn new(server: Option<SocketAddr>) -> Proxy {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.unwrap();
        let shared = Arc::new(Shared {
            server: Mutex::new(server),
            rules: Mutex::default(),
            counts: Mutex::default(),
            cuts: watch::channel(0).0,
        });
        let listener = {
            let _inside = runtime.enter();
            listen(unused_address())
        };
        let address = listener.local_addr().unwrap();
        let proxy = Proxy {
            address,
            shared,
            listening: Mutex::default(),
            backend: None,
            runtime: Some(runtime),
        };
        proxy.accept_on(listener);
        proxy
    }

    /// The address that clients dial.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URI that leads through the proxy.
    pub(crate) fn uri(&self) -> String {
        format!("mongodb://{}/?replicaSet=rs0", self.address)
    }

    /// As [`Proxy::uri`], with more options: `uri_with("maxPoolSize=1&retryReads=false")`.
    pub(crate) fn uri_with(&self, options: &str) -> String {
        format!("{}&{options}", self.uri())
    }

    /// The URI of the server behind the proxy, for a look at what really happened.
    pub(crate) fn direct_uri(&self) -> String {
        let server = self.shared.server.lock().unwrap().expect("the server is up");
        format!("mongodb://{server}/?directConnection=true")
    }

    /// Adds a rule. The first rule that fits a request applies to it.
    pub(crate) fn inject(&self, rule: impl Into<Rule>) {
        self.shared.rules.lock().unwrap().push(rule.into());
    }

    /// Drops all rules.
    pub(crate) fn clear(&self) {
        self.shared.rules.lock().unwrap().clear();
    }

    /// Refuses new connections from now on, until [`Proxy::accept`]. Open ones stay.
    pub(crate) async fn refuse(&self) {
        let listening = self.listening.lock().unwrap().take();
        if let Some(listening) = listening {
            listening.abort();
            let _ = listening.await;
        }
    }

    /// Takes connections again.
    pub(crate) fn accept(&self) {
        if self.listening.lock().unwrap().is_none() {
            let _inside = self.runtime.as_ref().unwrap().enter();
            self.accept_on(listen(self.address));
        }
    }

    /// Resets every open connection.
    pub(crate) fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Stops the server, keeps it away for a time and starts it again with the data it had. Meanwhile connections are
    /// refused. What the server was doing it does to the end; no request is handed on twice.
    pub(crate) async fn restart(&self, away: Duration) {
        self.refuse().await;
        *self.shared.server.lock().unwrap() = None;
        self.cut();
        let backend = self.backend.clone().expect("a server of its own");
        let runtime = self.runtime.as_ref().unwrap();
        let stopped = runtime.spawn(async move {
            backend.lock().await.stop().await;
            tokio::time::sleep(away).await;
        });
        stopped.await.unwrap();
        runtime.spawn(self.start_server()).await.unwrap();
        self.accept();
    }

    /// How many connections have been made since the start, and how many there are and were at most at a time.
    pub(crate) fn connections(&self) -> Connections {
        let counts = self.shared.counts();
        Connections { made: counts.connections, open: counts.open, open_max: counts.open_max }
    }

    /// How many requests of a command have arrived.
    pub(crate) fn requests(&self, command: &str) -> usize {
        self.shared.counts().arrived.get(command).copied().unwrap_or(0)
    }

    /// How many requests of a command the server was handed.
    pub(crate) fn forwarded(&self, command: &str) -> usize {
        self.shared.counts().forwarded.get(command).copied().unwrap_or(0)
    }

    /// How many requests of all commands have arrived, those of handshakes and monitoring left out.
    pub(crate) fn requests_all(&self) -> usize {
        let counts = self.shared.counts();
        let data = counts.arrived.iter().filter(|(command, _)| !fault::is_monitoring(command));
        data.map(|(_, count)| count).sum()
    }

    /// How many requests the server was handed at most at a time without its reply having been passed on; those of
    /// handshakes and monitoring left out.
    pub(crate) fn under_way_max(&self) -> usize {
        self.shared.counts().under_way_max
    }

    /// How many requests a fault has hit.
    pub(crate) fn faults(&self) -> usize {
        self.shared.counts().faults
    }

    /// Counts from zero again; open connections and requests under way stay counted.
    pub(crate) fn reset_counts(&self) {
        let mut counts = self.shared.counts();
        let (open, under_way) = (counts.open, counts.under_way);
        *counts = Counts {
            open,
            open_max: open,
            under_way,
            under_way_max: under_way,
            ..Counts::default()
        };
    }

    fn accept_on(&self, listener: TcpListener) {
        let task = relay::accept(listener, Arc::clone(&self.shared));
        let task = self.runtime.as_ref().unwrap().spawn(task);
        *self.listening.lock().unwrap() = Some(task);
    }

    fn start_server(&self) -> impl Future<Output = ()> + Send + 'static {
        let backend = self.backend.clone().expect("a server of its own");
        let shared = Arc::clone(&self.shared);
        async move {
            let address = backend.lock().await.start().await;
            *shared.server.lock().unwrap() = Some(address);
        }
    }

    /// Runs on the proxy's runtime and blocks until done, within a runtime or not.
    fn run_here(&self, work: impl Future<Output = ()> + Send + 'static) {
        let (done, wait) = std::sync::mpsc::channel();
        self.runtime.as_ref().unwrap().spawn(async move {
            work.await;
            let _ = done.send(());
        });
        wait.recv().unwrap();
    }
}

/// Connections through a proxy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Connections {
    pub(crate) made: usize,
    pub(crate) open: usize,
    pub(crate) open_max: usize,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Within another runtime a blocking shutdown is not allowed.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Shared {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap()
    }
}

/// Listens, also where a connection of before lingers.
fn listen(address: SocketAddr) -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket.listen(1024).unwrap()
}
