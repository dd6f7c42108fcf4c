//! Transactions against a server that plays them: the embedded database has none yet. The stub answers what belongs to a
//! transaction from a script and hands everything else to the engine.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use headwater::bson::{Document, doc};
use headwater::{ErrorKind, Headwater};
use headwater_engine::bson::DocBuf;
use headwater_engine::{Engine, EngineOptions, Error, Mode, Request, Step, Wait};
use headwater_server::{ClientInfo, Server, Service};

/// How the next command of the name is answered: with a document, or not at all.
type Script = VecDeque<(&'static str, Option<Document>)>;

struct Stub {
    engine: Engine,
    script: Mutex<Script>,
    seen: Mutex<Vec<String>>,
}

impl Stub {
    fn answer(&self, command: &str) -> Step {
        self.seen.lock().unwrap().push(command.to_owned());
        let mut script = self.script.lock().unwrap();
        let answer = match script.front() {
            Some((name, _)) if *name == command => script.pop_front().unwrap().1,
            _ => Some(doc! { "n": 1, "ok": 1.0 }),
        };
        match answer {
            Some(reply) => Step::Done(DocBuf::trusted(reply.to_vec().unwrap())),
            None => Step::Close,
        }
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
        match (request.body.get("autocommit"), request.body.first()) {
            (Some(_), Some(command)) => self.answer(command.name_str()),
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

/// What a transaction with one insert gave, and the commands that the server saw.
async fn played(script: Script, fails: bool) -> (headwater::Result<u32>, Vec<String>) {
    let engine = Engine::open_in_memory(EngineOptions::default()).unwrap();
    let stub = Arc::new(Stub { engine, script: script.into(), seen: Mutex::default() });
    let builder = Server::builder().tcp("127.0.0.1:0".parse().unwrap());
    let server = builder.serve(stub.clone()).await.unwrap();
    let uri = format!("mongodb://{}/?replicaSet=rs0", server.tcp_addresses()[0]);
    let headwater = Headwater::connect(uri).await.unwrap();
    let things = headwater.collection::<Document>("things");
    let runs = Mutex::new(0);
    let result = headwater
        .transaction(None, |session| {
            let things = things.driver().clone();
            *runs.lock().unwrap() += 1;
            Box::pin(async move {
                things.insert_one(doc! { "_id": 1 }).session(&mut *session).await?;
                if fails {
                    things.insert_one(doc! { "$no": 1 }).session(&mut *session).await?;
                }
                Ok(())
            })
        })
        .await;
    let runs = *runs.lock().unwrap();
    server.shutdown(Duration::from_secs(1)).await;
    (result.map(|()| runs), stub.seen.lock().unwrap().clone())
}

fn failure(code: i32, labels: &[&str]) -> Option<Document> {
    Some(doc! { "ok": 0.0, "code": code, "errmsg": "as scripted", "errorLabels": labels })
}

#[tokio::test]
async fn d30_a_transaction_runs_and_commits() {
    let (result, seen) = played(Script::new(), false).await;
    assert_eq!(
        (result.unwrap(), seen.as_slice()),
        (1, &["insert", "commitTransaction"].map(String::from)[..])
    );
}

#[tokio::test]
async fn d30_a_commit_without_an_answer_is_sent_again_until_there_is_one() {
    // The driver sends it twice by itself; the third is ours.
    let script = [("insert", Some(doc! { "n": 1, "ok": 1.0 })), ("commitTransaction", None)];
    let script = script.into_iter().chain([("commitTransaction", None)]).collect();
    let (result, seen) = played(script, false).await;
    assert_eq!(result.unwrap(), 1);
    assert_eq!(seen[1..], ["commitTransaction"; 3]);
}

#[tokio::test]
async fn d30_a_passing_trouble_runs_the_body_again() {
    let transient = failure(112, &["TransientTransactionError"]);
    let (result, seen) = played([("insert", transient.clone())].into(), false).await;
    assert_eq!(result.unwrap(), 2);
    assert_eq!(seen, ["insert", "abortTransaction", "insert", "commitTransaction"]);

    let insert = ("insert", Some(doc! { "n": 1, "ok": 1.0 }));
    let (result, seen) = played([insert, ("commitTransaction", transient)].into(), false).await;
    assert_eq!(result.unwrap(), 2);
    assert_eq!(seen, ["insert", "commitTransaction", "insert", "commitTransaction"]);
}

#[tokio::test]
async fn d30_a_commit_out_of_time_is_not_sent_again_and_its_outcome_is_unknown() {
    let insert = ("insert", Some(doc! { "n": 1, "ok": 1.0 }));
    let expired = failure(50, &["UnknownTransactionCommitResult"]);
    let (result, seen) = played([insert, ("commitTransaction", expired)].into(), false).await;
    let error = result.unwrap_err();
    assert!(error.is_outcome_unknown() && error.is_timeout(), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::Transaction);
    assert_eq!(seen.len(), 2);
}

#[tokio::test]
async fn d30_an_error_of_the_body_aborts_and_comes_back() {
    let insert = ("insert", Some(doc! { "n": 1, "ok": 1.0 }));
    let (result, seen) = played([insert, ("insert", failure(2, &[]))].into(), true).await;
    assert_eq!(result.unwrap_err().code(), Some(2));
    assert_eq!(seen, ["insert", "insert", "abortTransaction"]);
}
