//! The server in front of nothing: every command is answered `{ok: 1.0}` at once. What the wire alone costs.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use headwater_engine::bson::DocWriter;
use headwater_engine::{Error, Mode, Request, Step, Wait};
use headwater_server::{ClientInfo, Server, Service};

struct Nothing;

impl Service for Nothing {
    type Client = ();

    fn client(&self, _: ClientInfo) {}

    fn start(&self, (): &(), _: &Request<'_>, _: Mode, _: Option<Instant>) -> Step {
        let mut reply = DocWriter::new();
        reply.f64("ok", 1.0);
        Step::Done(reply.finish())
    }

    fn poll(&self, _: &Wait, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn forget(&self, _: &Wait, _: &Waker) {}

    fn disconnect(&self, (): &()) {}
}

/// `bare ADDR`
pub(crate) fn run(words: &[String]) -> Result<(), String> {
    let [address] = words else { return Err("bare needs an address".to_owned()) };
    let address = address.parse().map_err(|_| format!("{address} is no address"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(async {
        let server = Server::builder().tcp(address).serve(Arc::new(Nothing)).await;
        let _server = server.map_err(|error| error.to_string())?;
        std::future::pending().await
    })
}
