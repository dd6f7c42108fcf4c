//! The engine as the service behind the server.

use std::task::{Context, Poll, Waker};
use std::time::Instant;

use headwater_engine::{Client, Engine, Error, Mode, Request, Step, Wait};

use crate::service::{ClientInfo, Service};

impl Service for Engine {
    type Client = Client;

    fn client(&self, info: ClientInfo) -> Client {
        Engine::client(self, &info.local, &info.peer)
    }

    fn start(
        &self,
        client: &Client,
        request: &Request<'_>,
        mode: Mode,
        waiting_since: Option<Instant>,
    ) -> Step {
        Engine::start(self, client, request, mode, waiting_since)
    }

    fn poll(&self, wait: &Wait, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Engine::poll(self, wait, cx.waker())
    }

    fn forget(&self, wait: &Wait, waker: &Waker) {
        Engine::forget(self, wait, waker);
    }

    fn disconnect(&self, client: &Client) {
        Engine::disconnect(self, client);
    }
}
