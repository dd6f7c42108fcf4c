//! The database inside the process: engine and server on threads of their own, behind a private Unix socket. Knows
//! how to start, share and stop them, nothing of documents or of the driver.

mod engine;
mod socket;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use headwater_server::Server;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{oneshot, watch};

use self::engine::Engine;
use self::socket::SocketFolder;
use crate::error::{Error, Result};
use crate::uri;

const SERVER_THREADS: usize = 2;
/// How long commands that have arrived may take to finish when the database is told to stop.
const GRACE: Duration = Duration::from_secs(5);
/// How long the owner of a shared folder may take from locking the folder to listening.
const OWNER_START_MAX: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A running database, or the share in one that another process runs.
pub(crate) struct Node {
    socket: PathBuf,
    owner: Arc<AtomicBool>,
    stop: watch::Sender<bool>,
    thread: Mutex<Option<Ended>>,
}

/// The thread that hosts the database, and its last word.
struct Ended {
    thread: std::thread::JoinHandle<()>,
    ended: oneshot::Receiver<()>,
}

/// Where the data is and who may come.
enum Place {
    Private(PathBuf),
    Memory,
    Shared(PathBuf),
}

impl Node {
    pub(crate) async fn open(folder: &Path) -> Result<Node> {
        Node::start(Place::Private(folder.to_path_buf())).await
    }

    pub(crate) async fn open_in_memory() -> Result<Node> {
        Node::start(Place::Memory).await
    }

    pub(crate) async fn open_shared(folder: &Path) -> Result<Node> {
        Node::start(Place::Shared(folder.to_path_buf())).await
    }

    async fn start(place: Place) -> Result<Node> {
        let folder = match &place {
            Place::Private(_) | Place::Memory => SocketFolder::private(),
            Place::Shared(data) => SocketFolder::of(data),
        };
        let folder = folder
            .map_err(|error| Error::embedded("cannot make a folder for the socket", error))?;
        let socket = folder.socket();
        let owner = Arc::new(AtomicBool::new(false));
        let (stop, stopped) = watch::channel(false);
        let (say_ready, ready) = oneshot::channel();
        let (say_ended, ended) = oneshot::channel();
        let host = Host { place, folder, owner: owner.clone(), stopped };
        let failed = |error| Error::embedded("cannot start a thread for the database", error);
        let thread = std::thread::Builder::new()
            .name("headwater".to_owned())
            .spawn(move || {
                host.run(say_ready);
                let _ = say_ended.send(());
            })
            .map_err(failed)?;
        let thread = Mutex::new(Some(Ended { thread, ended }));
        let node = Node { socket, owner, stop, thread };
        match ready.await {
            Ok(result) => result.map(|()| node),
            Err(_) => Err(Error::embedded(
                "the thread of the database ended",
                std::io::Error::other("it panicked"),
            )),
        }
    }

    pub(crate) fn uri(&self) -> String {
        uri::of_socket(&self.socket.to_string_lossy())
    }

    pub(crate) fn is_owner(&self) -> bool {
        self.owner.load(Ordering::SeqCst)
    }

    /// Stops the database and returns when its folder is free again.
    pub(crate) async fn stop(&self) {
        let _ = self.stop.send(true);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Ended { thread, ended }) = thread {
            let _ = ended.await;
            let _ = thread.join();
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Ended { thread, .. }) = thread {
            let _ = thread.join();
        }
    }
}

/// What the thread needs.
struct Host {
    place: Place,
    folder: SocketFolder,
    owner: Arc<AtomicBool>,
    stopped: watch::Receiver<bool>,
}

type Ready = oneshot::Sender<Result<()>>;

impl Host {
    fn run(mut self, ready: Ready) {
        let runtime = Builder::new_multi_thread()
            .worker_threads(SERVER_THREADS)
            .thread_name("headwater-server")
            .enable_all()
            .build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => {
                let _ = ready.send(Err(Error::embedded("cannot start a runtime", error)));
                return;
            }
        };
        let opened = match &self.place {
            Place::Private(data) => engine::open(data),
            Place::Memory => engine::open_in_memory(),
            Place::Shared(data) => {
                let data = data.clone();
                match self.own_or_follow(&data, &runtime, ready) {
                    Some((engine, ready)) => return self.serve(engine, runtime, ready),
                    None => return,
                }
            }
        };
        match opened {
            Ok(engine) => self.serve(engine, runtime, Some(ready)),
            Err(error) => {
                let _ = ready.send(Err(error));
            }
        }
    }

    /// Runs the database until told to stop.
    fn serve(mut self, engine: Engine, runtime: Runtime, ready: Option<Ready>) {
        let engine = Arc::new(engine);
        runtime.block_on(async {
            let listening =
                Server::builder().unix(self.folder.socket()).serve(engine.clone()).await;
            let server = match listening {
                Ok(server) => server,
                Err(error) => {
                    if let Some(ready) = ready {
                        let _ =
                            ready.send(Err(Error::embedded("cannot listen on the socket", error)));
                    }
                    return;
                }
            };
            self.owner.store(true, Ordering::SeqCst);
            if let Some(ready) = ready {
                let _ = ready.send(Ok(()));
            }
            let _ = self.stopped.wait_for(|stopped| *stopped).await;
            server.shutdown(GRACE).await;
        });
        // The order matters: no connection uses the engine any more when it closes and frees the folder.
        runtime.shutdown_timeout(GRACE);
        engine::close(&engine);
        self.owner.store(false, Ordering::SeqCst);
    }

    /// Waits as a follower of the folder's owner until this process owns it, if ever. Says that it is ready as soon as
    /// the owner answers on the socket.
    fn own_or_follow(
        &mut self,
        data: &Path,
        runtime: &Runtime,
        ready: Ready,
    ) -> Option<(Engine, Option<Ready>)> {
        let begun = Instant::now();
        let mut ready = Some(ready);
        let socket = self.folder.socket();
        loop {
            if *self.stopped.borrow() {
                return None;
            }
            match engine::open(data) {
                Ok(engine) => return Some((engine, ready)),
                Err(error) if !error.is_folder_in_use() || is_overdue(&ready, begun) => {
                    // A follower that cannot take over leaves that to others.
                    if let Some(ready) = ready {
                        let _ = ready.send(Err(error));
                        return None;
                    }
                }
                Err(_) => {}
            }
            runtime.block_on(async {
                tokio::select! {
                    _ = self.stopped.wait_for(|stopped| *stopped) => {}
                    () = follow(&socket, &mut ready) => tokio::time::sleep(LOOK_EVERY).await,
                }
            });
        }
    }
}

fn is_overdue(ready: &Option<Ready>, begun: Instant) -> bool {
    ready.is_some() && begun.elapsed() > OWNER_START_MAX
}

/// Holds a connection to the owner for as long as there is one.
async fn follow(socket: &Path, ready: &mut Option<Ready>) {
    let Ok(mut owner) = UnixStream::connect(socket).await else { return };
    if let Some(ready) = ready.take() {
        let _ = ready.send(Ok(()));
    }
    // Nothing is ever sent, so nothing comes but the end.
    let _ = owner.read(&mut [0]).await;
}
