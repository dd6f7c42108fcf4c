//! Where connections come from: TCP and Unix sockets. Knows addresses and socket options, nothing of messages.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::server::Error;

/// A client that died without a word is found out after this time of silence, and a few probes.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(120);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(20);

/// A connection that has just come in, and both its addresses.
pub(crate) struct Accepted<T> {
    pub(crate) stream: T,
    pub(crate) local: String,
    pub(crate) peer: String,
}

/// Listens on a loopback address.
pub(crate) async fn bind_tcp(address: SocketAddr) -> Result<TcpListener, Error> {
    if !address.ip().to_canonical().is_loopback() {
        return Err(Error::not_loopback(address));
    }
    TcpListener::bind(address).await.map_err(|error| Error::bind(address.to_string(), error))
}

/// Listens on a Unix socket that only its owner may open. A socket file that nobody listens on is replaced.
pub(crate) fn bind_unix(path: &Path) -> Result<UnixSocket, Error> {
    let failed = |error| Error::bind(path.display().to_string(), error);
    let path = std::path::absolute(path).map_err(failed)?;
    match std::os::unix::net::UnixStream::connect(&path) {
        Ok(_) => return Err(failed(io::ErrorKind::AddrInUse.into())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && is_socket(&path) => {
            std::fs::remove_file(&path).map_err(failed)?;
        }
        Err(_) => {}
    }
    let listener = UnixListener::bind(&path).map_err(failed)?;
    let owner_only = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(&path, owner_only).map_err(failed)?;
    Ok(UnixSocket { listener, path })
}

fn is_socket(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket())
}

/// A listening Unix socket; its file goes when it does.
#[derive(Debug)]
pub(crate) struct UnixSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Something that connections come from.
pub(crate) trait Accept: Send + 'static {
    type Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static;

    fn accept(&self) -> impl Future<Output = io::Result<Accepted<Self::Stream>>> + Send;
}

impl Accept for TcpListener {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<Accepted<TcpStream>> {
        let (stream, peer) = TcpListener::accept(self).await?;
        stream.set_nodelay(true)?;
        let keepalive =
            TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(KEEPALIVE_EVERY);
        SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
        let local = stream.local_addr()?;
        Ok(Accepted { stream, local: local.to_string(), peer: peer.to_string() })
    }
}

impl Accept for UnixSocket {
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<Accepted<UnixStream>> {
        let (stream, _) = self.listener.accept().await?;
        let local = self.path.display().to_string();
        Ok(Accepted { stream, local, peer: "anonymous unix socket".to_owned() })
    }
}
