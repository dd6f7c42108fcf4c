//! The server behind a proxy: an engine in memory with the test commands, whose server can be stopped and started.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use headwater_engine::{Engine, EngineOptions};
use headwater_server::Server;

const GRACE: Duration = Duration::from_secs(5);

pub(super) struct Backend {
    engine: Arc<Engine>,
    server: Option<Server>,
    advertise: String,
}

impl Backend {
    pub(super) fn new(advertise: String) -> Backend {
        let options = EngineOptions { test_commands: true, ..EngineOptions::default() };
        let engine = Arc::new(Engine::open_in_memory(options).unwrap());
        Backend { engine, server: None, advertise }
    }

    pub(super) async fn start(&mut self) -> SocketAddr {
        let builder = Server::builder().tcp("127.0.0.1:0".parse().unwrap());
        let builder = builder.advertise(&self.advertise);
        let server = builder.serve(Arc::clone(&self.engine)).await.unwrap();
        let address = server.tcp_addresses()[0];
        self.server = Some(server);
        address
    }

    pub(super) async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.shutdown(GRACE).await;
        }
    }
}
