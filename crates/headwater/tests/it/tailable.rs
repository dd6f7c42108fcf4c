//! Cursors that wait for news, against a server that plays them: the embedded database has no capped collections. The
//! stub answers `find` and `getMore` from a script and hands everything else to the engine.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use headwater::bson::{Document, doc};
use headwater::mongodb::options::CursorType;
use headwater::{Collection, ErrorKind, Headwater};
use headwater_engine::bson::DocBuf;
use headwater_engine::{Engine, EngineOptions, Error, Mode, Request, Step, Wait};
use headwater_server::{ClientInfo, Server, Service};

use crate::proxy::{Fault, Proxy};

struct Stub {
    engine: Engine,
    /// The batches of the one cursor that there is; empty ones when they have been given.
    batches: Mutex<VecDeque<Vec<Document>>>,
}

impl Stub {
    fn batch(&self, name: &str) -> Step {
        let batch = self.batches.lock().unwrap().pop_front().unwrap_or_default();
        let reply = doc! { "cursor": { "id": 7_i64, "ns": "test.news", name: batch }, "ok": 1.0 };
        Step::Done(DocBuf::trusted(reply.to_vec().unwrap()))
    }
}

impl Service for Stub {
    type Client = <Engine as Service>::Client;

    fn client(&self, info: ClientInfo) -> Self::Client {
        Service::client(&self.engine, info)
    }

    fn start(
        &self,
        client: &Self::Client,
        request: &Request<'_>,
        mode: Mode,
        waiting_since: Option<Instant>,
    ) -> Step {
        match request.body.first().map(|command| command.name_str()) {
            Some("find") => self.batch("firstBatch"),
            Some("getMore") => self.batch("nextBatch"),
            _ => Service::start(&self.engine, client, request, mode, waiting_since),
        }
    }

    fn poll(&self, wait: &Wait, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Service::poll(&self.engine, wait, cx)
    }

    fn forget(&self, wait: &Wait, waker: &Waker) {
        Service::forget(&self.engine, wait, waker);
    }

    fn disconnect(&self, client: &Self::Client) {
        Service::disconnect(&self.engine, client);
    }
}

/// How long a call may take, and how much longer the server waits for news.
const LIMIT: Duration = Duration::from_secs(2);
const WAIT: Duration = Duration::from_secs(3);

/// A server that says only after a while that there is nothing new, twice, and then has news.
async fn news() -> (Server, Proxy, Collection<Document>) {
    let engine = Engine::open_in_memory(EngineOptions::default()).unwrap();
    let news = [vec![doc! { "_id": 1 }], vec![], vec![], vec![doc! { "_id": 2 }]];
    let stub = Arc::new(Stub { engine, batches: Mutex::new(news.into()) });
    let proxy = Proxy::waiting();
    let builder = Server::builder().tcp("127.0.0.1:0".parse().unwrap());
    let server = builder.advertise(proxy.address().to_string()).serve(stub).await.unwrap();
    proxy.lead_to(server.tcp_addresses()[0]);
    let headwater = Headwater::connect(proxy.uri()).await.unwrap();
    headwater.ping().await.unwrap();
    proxy.inject(Fault::DelayReply(WAIT).on("getMore").times(2));
    (server, proxy, headwater.collection("news"))
}

#[tokio::test]
async fn r10_a_stream_that_waits_for_news_outlives_its_deadline() {
    let (_server, _proxy, news) = news().await;
    let find = news.find(doc! {}).cursor_type(CursorType::TailableAwait).max_await_time(WAIT);
    let mut chunks = find.deadline(LIMIT).chunks(10).await.unwrap();
    assert_eq!(chunks.next().await.unwrap().unwrap(), [doc! { "_id": 1 }]);
    let begun = Instant::now();
    assert_eq!(chunks.next().await.unwrap().unwrap(), [doc! { "_id": 2 }]);
    assert!(begun.elapsed() > LIMIT);
}

#[tokio::test]
async fn r10_a_cursor_that_waits_for_news_outlives_its_deadline() {
    let (_server, _proxy, news) = news().await;
    let find = news.find(doc! {}).cursor_type(CursorType::TailableAwait).max_await_time(WAIT);
    let mut cursor = find.deadline(LIMIT).await.unwrap();
    for id in 1..=2 {
        assert_eq!(cursor.next().await.unwrap().unwrap(), doc! { "_id": id });
    }
}

#[tokio::test]
async fn r10_a_server_that_does_not_even_say_that_there_is_nothing_ends_the_stream() {
    let (_server, proxy, news) = news().await;
    let find = news.find(doc! {}).cursor_type(CursorType::TailableAwait).max_await_time(WAIT);
    let mut chunks = find.deadline(LIMIT).chunks(10).await.unwrap();
    assert_eq!(chunks.next().await.unwrap().unwrap(), [doc! { "_id": 1 }]);
    proxy.clear();
    proxy.inject(Fault::BlackHole.on("getMore"));
    let begun = Instant::now();
    let error = chunks.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline);
    assert!(begun.elapsed() >= LIMIT + WAIT);
    assert!(chunks.next().await.is_none());
}
