//! L1 in transactions. The embedded database may have none: then the scenario says so. What it does where there are
//! some is run against a server that plays them for one client: what belongs to a transaction is applied at once.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use headwater::bson::{Document, doc};
use headwater::{ErrorKind, Headwater};
use headwater_engine::bson::DocBuf;
use headwater_engine::{Engine, EngineOptions, Error, Mode, Request, Step, Wait};
use headwater_server::{ClientInfo, Server, Service};

use crate::binary::run;
use crate::inventory::Node;
use crate::shipments::check_steps;

struct Stub(Engine);

impl Service for Stub {
    type Client = <Engine as Service>::Client;

    fn client(&self, info: ClientInfo) -> Self::Client {
        Service::client(&self.0, info)
    }

    fn start(
        &self,
        client: &Self::Client,
        request: &Request<'_>,
        mode: Mode,
        waiting_since: Option<Instant>,
    ) -> Step {
        if request.body.get("autocommit").is_none() {
            return Service::start(&self.0, client, request, mode, waiting_since);
        }
        let mut body = Document::from_reader(request.body.as_bytes()).unwrap();
        if ["commitTransaction", "abortTransaction"].iter().any(|name| body.contains_key(*name)) {
            return Step::Done(DocBuf::trusted(doc! { "ok": 1.0 }.to_vec().unwrap()));
        }
        for field in ["autocommit", "startTransaction", "txnNumber", "readConcern"] {
            body.remove(field);
        }
        let body = DocBuf::trusted(body.to_vec().unwrap());
        let plain = Request { body: body.as_doc(), sequences: request.sequences };
        Service::start(&self.0, client, &plain, mode, waiting_since)
    }

    fn poll(&self, wait: &Wait, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Service::poll(&self.0, wait, cx)
    }

    fn forget(&self, wait: &Wait, waker: &Waker) {
        Service::forget(&self.0, wait, waker);
    }

    fn disconnect(&self, client: &Self::Client) {
        Service::disconnect(&self.0, client);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn l1_in_transactions_the_lines_are_the_same() {
    let engine = Engine::open_in_memory(EngineOptions::default()).unwrap();
    let builder = Server::builder().tcp("127.0.0.1:0".parse().unwrap());
    let server = builder.serve(Arc::new(Stub(engine))).await.unwrap();
    let uri = format!("mongodb://{}/?replicaSet=rs0", server.tcp_addresses()[0]);
    let output = run(&uri, &["shipments", "--transaction", "--verbose"]);
    check_steps(&output);
    assert!(output.stderr.contains("1 attempts"), "{output:?}");
    // One after the other: the stub keeps nobody from seeing what others have not committed.
    let words = ["shipments", "--transaction", "--clients", "1", "--trucks", "6", "--busy", "5"];
    let output = run(&uri, &words);
    assert_eq!(output.code, Some(0), "{output:?}");
    let sent = ["1 shipments sent, 0 without a truck", "every truck at most once: yes"];
    assert_eq!(output.lines(), sent);
    server.shutdown(Duration::from_secs(1)).await;
}

/// Whether the embedded database has transactions by now.
async fn has_transactions(headwater: &Headwater) -> bool {
    let asked = headwater.transaction(None, |session| {
        let things = headwater.collection::<Document>("things").driver().clone();
        Box::pin(async move {
            things.find_one(doc! {}).session(&mut *session).await?;
            Ok(())
        })
    });
    match asked.await {
        Err(error) if error.kind() == ErrorKind::Transaction => false,
        asked => {
            asked.unwrap();
            true
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn l1_a_deployment_without_transactions_is_told_and_nothing_is_changed() {
    let node = Node::start().await;
    let kept = doc! { "_id": 1, "truck_id": 4 };
    node.collection("shipments").insert_one(&kept).await.unwrap();
    let words = ["shipments", "--transaction", "--clients", "200", "--trucks", "50"];
    let output = run(node.uri(), &words);
    if has_transactions(&node.headwater).await {
        assert_eq!(output.code, Some(0), "{output:?}");
        let sent = ["20 shipments sent, 180 without a truck", "every truck at most once: yes"];
        assert_eq!(output.lines(), sent);
        return;
    }
    assert_eq!((output.code, output.stdout.as_str()), (Some(3), ""), "{output:?}");
    let told = "shipments --transaction needs transactions, which this deployment does not have: ";
    assert!(output.stderr.starts_with(told), "{output:?}");
    assert_eq!(output.stderr.lines().count(), 1, "{output:?}");
    let there = node.collection("shipments").find_many(doc! {}).await.unwrap();
    assert_eq!(there, [kept]);
}
