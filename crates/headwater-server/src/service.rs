//! What the server needs of whoever answers commands. The engine is one; tests bring their own.

use std::future::poll_fn;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use headwater_engine::{Error, Mode, Request, Step, Wait};

/// What a connection knows about its client when it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientInfo {
    /// Unique among the connections of this process; counted from 1.
    pub connection_id: i64,
    /// The address that the client dialled, or the advertised one: `host:port` or the path of a Unix socket.
    pub local: String,
    /// The client's own address.
    pub peer: String,
}

/// Answers commands.
///
/// A connection has one command under way at a time, so `start` is never called twice at once for the same client;
/// [`Service::disconnect`] however may come while a `start` of that client still runs on another thread.
pub trait Service: Send + Sync + 'static {
    /// What is kept for each connection.
    type Client: Send + Sync + 'static;

    /// Begins a connection.
    fn client(&self, info: ClientInfo) -> Self::Client;

    /// Runs a command as far as `mode` allows; see [`Step`] for what is to be done next.
    fn start(
        &self,
        client: &Self::Client,
        request: &Request<'_>,
        mode: Mode,
        waiting_since: Option<Instant>,
    ) -> Step;

    /// Ready once what is waited for is there; wakes the context's waker when that may have changed.
    fn poll(&self, wait: &Wait, cx: &mut Context<'_>) -> Poll<Result<(), Error>>;

    /// Takes back the registration that [`Service::poll`] made: nobody waits with this waker any more.
    fn forget(&self, wait: &Wait, waker: &Waker);

    /// Ends a connection: its client has gone.
    fn disconnect(&self, client: &Self::Client);
}

/// Waits until what is waited for is there. Giving up leaves nothing behind.
pub(crate) async fn wait<S: Service>(service: &S, wait: &Wait) -> Result<(), Error> {
    let mut registered = Registered { service, wait, waker: None };
    poll_fn(|cx| {
        let polled = service.poll(wait, cx);
        registered.waker = polled.is_pending().then(|| cx.waker().clone());
        polled
    })
    .await
}

/// A waker that the service holds.
struct Registered<'a, S: Service> {
    service: &'a S,
    wait: &'a Wait,
    waker: Option<Waker>,
}

impl<S: Service> Drop for Registered<'_, S> {
    fn drop(&mut self) {
        if let Some(waker) = &self.waker {
            self.service.forget(self.wait, waker);
        }
    }
}
