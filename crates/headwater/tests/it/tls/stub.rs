//! The end of TLS in front of a server without it. Knows nothing of what passes through.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::certificates::{Authority, Identity};

/// A stub that runs until it is dropped.
pub(super) struct Stub {
    address: SocketAddr,
    agreed: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Stub {
    /// Ends TLS with a certificate and passes on what comes in it.
    pub(super) async fn start(server: SocketAddr, identity: &Identity) -> Stub {
        let config = builder().with_no_client_auth();
        Stub::listen(server, config.with_single_cert(identity.chain(), identity.key()).unwrap())
            .await
    }

    /// The same, for clients with a certificate of the authority only.
    pub(super) async fn demanding(
        server: SocketAddr,
        identity: &Identity,
        clients: &Authority,
    ) -> Stub {
        let mut roots = RootCertStore::empty();
        roots.add(clients.certificate.clone()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let config = builder().with_client_cert_verifier(verifier.build().unwrap());
        Stub::listen(server, config.with_single_cert(identity.chain(), identity.key()).unwrap())
            .await
    }

    async fn listen(server: SocketAddr, config: ServerConfig) -> Stub {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let agreed = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&agreed);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, server, acceptor.clone(), Arc::clone(&count)));
            }
        });
        Stub { address, agreed, task }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many handshakes have come to their end.
    pub(super) fn agreed(&self) -> usize {
        self.agreed.load(Ordering::SeqCst)
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn builder()
-> tokio_rustls::rustls::ConfigBuilder<ServerConfig, tokio_rustls::rustls::WantsVerifier> {
    let provider = Arc::new(ring::default_provider());
    ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap()
}

async fn serve(
    client: TcpStream,
    server: SocketAddr,
    acceptor: TlsAcceptor,
    agreed: Arc<AtomicUsize>,
) {
    match acceptor.accept(client).into_fallible().await {
        Ok(mut client) => {
            agreed.fetch_add(1, Ordering::SeqCst);
            if let Ok(mut server) = TcpStream::connect(server).await {
                let _ = copy_bidirectional(&mut client, &mut server).await;
            }
        }
        // The client is to read why it was refused: a socket that is closed with bytes unread is reset, and takes the
        // alert along.
        Err((_, mut client)) => {
            let _ = client.shutdown().await;
            let mut waste = [0; 4096];
            while client.read(&mut waste).await.is_ok_and(|count| count > 0) {}
        }
    }
}
