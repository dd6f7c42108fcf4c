//! An address under which a server comes back: connections are passed on to the real one. Knows bytes only.

use std::net::SocketAddr;

use headwater::options::ServerAddress;
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::JoinHandle;

/// Passes connections on until it is stopped or dropped.
pub(super) struct Relay {
    task: JoinHandle<()>,
}

impl Relay {
    /// An address at which nobody listens.
    pub(super) fn free_address() -> std::io::Result<SocketAddr> {
        // The port is free again when the listener is dropped.
        std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()
    }

    /// Listens at `address` and passes on to `server`.
    pub(super) async fn start(
        address: SocketAddr,
        server: ServerAddress,
    ) -> std::io::Result<Relay> {
        let listener = TcpListener::bind(address).await?;
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = server.clone();
                // A connection that breaks is the driver's affair.
                tokio::spawn(async move {
                    let _ = pass_on(client, &server).await;
                });
            }
        });
        Ok(Relay { task })
    }

    /// Takes no more connections.
    pub(super) fn stop(self) {
        self.task.abort();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass_on(client: TcpStream, server: &ServerAddress) -> std::io::Result<()> {
    match server {
        ServerAddress::Unix { path } => join(client, UnixStream::connect(path).await?).await,
        ServerAddress::Tcp { host, port } => {
            let port = port.unwrap_or(27_017);
            join(client, TcpStream::connect((host.as_str(), port)).await?).await
        }
        _ => Err(std::io::Error::other("an unknown kind of address")),
    }
}

async fn join(
    mut client: TcpStream,
    mut server: impl AsyncRead + AsyncWrite + Unpin,
) -> std::io::Result<()> {
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}
