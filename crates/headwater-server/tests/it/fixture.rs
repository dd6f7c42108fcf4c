//! A server on a free port and the service behind it, whose commands do what a test needs.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use headwater_engine::bson::{Doc, DocBuf, DocWriter, View};
use headwater_engine::error::Code;
use headwater_engine::{Error, Mode, Request, Step, Wait};
use headwater_server::{ClientInfo, Server, Service, server};
use tokio::runtime::Runtime;

use crate::raw::Raw;

/// The commands: `ping`; `echo` (what arrived); `hello`; `slow` (ms on a blocking thread);
/// `held` (on a blocking thread until it is let go); `write` (acknowledged when
/// `seq` is durable); `getMore` (as many batches as its value says); `await` (until beyond `seq` or ms have passed);
/// `big` (a reply with so many bytes); `mode` (whether it was begun on a blocking thread); `panic`.
#[derive(Debug, Default)]
pub(crate) struct Fake {
    pub(crate) durable: AtomicU64,
    pub(crate) poisoned: std::sync::atomic::AtomicBool,
    wakers: Mutex<Vec<(u64, Waker)>>,
    pub(crate) started: AtomicUsize,
    pub(crate) finished: AtomicUsize,
    pub(crate) disconnected: AtomicUsize,
    batches: AtomicUsize,
    let_go: Mutex<bool>,
    released: Condvar,
}

impl Fake {
    pub(crate) fn advance(&self, seq: u64) {
        self.durable.store(seq, Ordering::SeqCst);
        self.wakers.lock().unwrap().drain(..).for_each(|(_, waker)| waker.wake());
    }

    pub(crate) fn waiting(&self) -> usize {
        self.wakers.lock().unwrap().len()
    }

    /// Lets the commands that are held end.
    pub(crate) fn let_go(&self) {
        *self.let_go.lock().unwrap() = true;
        self.released.notify_all();
    }

    pub(crate) fn poison(&self) {
        self.poisoned.store(true, Ordering::SeqCst);
        self.wakers.lock().unwrap().drain(..).for_each(|(_, waker)| waker.wake());
    }
}

pub(crate) fn int(doc: Doc<'_>, name: &str) -> i64 {
    match doc.get(name).map(|value| value.view()) {
        Some(View::Int32(n)) => n.into(),
        Some(View::Int64(n)) => n,
        Some(View::Double(n)) => n as i64,
        _ => 0,
    }
}

pub(crate) fn ok(fill: impl FnOnce(&mut DocWriter)) -> DocBuf {
    let mut reply = DocWriter::new();
    fill(&mut reply);
    reply.f64("ok", 1.0);
    reply.finish()
}

fn millis(n: i64) -> Duration {
    Duration::from_millis(n.unsigned_abs())
}

impl Service for Fake {
    type Client = ClientInfo;

    fn client(&self, info: ClientInfo) -> ClientInfo {
        info
    }

    fn start(
        &self,
        client: &ClientInfo,
        request: &Request<'_>,
        mode: Mode,
        waiting_since: Option<Instant>,
    ) -> Step {
        self.started.fetch_add(1, Ordering::SeqCst);
        let body = request.body;
        let name = body.first().map_or("", |e| e.name_str());
        let argument = int(body, name);
        Step::Done(match name {
            "ping" => ok(|_| {}),
            "whoami" => ok(|r| {
                r.i64("id", client.connection_id);
                r.str("local", &client.local);
                r.str("peer", &client.peer);
            }),
            "echo" => ok(|r| {
                r.doc("body", body);
                request.sequences.iter().for_each(|s| r.i32(s.name, s.documents.len() as i32));
            }),
            "hello" | "isMaster" | "ismaster" => {
                let counter = body.get("topologyVersion").and_then(|v| v.as_doc());
                let counter = counter.map(|v| int(v, "counter"));
                let wait = int(body, "maxAwaitTimeMS");
                if counter == Some(7) && wait > 0 && waiting_since.is_none() {
                    let deadline = Instant::now() + millis(wait);
                    return Step::Await { wait: Wait::Deadline, deadline };
                }
                ok(|r| r.document("topologyVersion", |v| v.i64("counter", 7)))
            }
            "slow" | "held" | "saslStart" if mode == Mode::Inline => return Step::Busy,
            "slow" => {
                std::thread::sleep(millis(argument));
                self.finished.fetch_add(1, Ordering::SeqCst);
                ok(|r| r.i64("slow", argument))
            }
            "held" => {
                let held = self.let_go.lock().unwrap();
                drop(self.released.wait_while(held, |gone| !*gone).unwrap());
                self.finished.fetch_add(1, Ordering::SeqCst);
                ok(|_| {})
            }
            "saslStart" => ok(|_| {}),
            "write" => {
                let reply = ok(|r| r.i64("n", 1));
                return Step::WhenDurable { seq: argument.unsigned_abs(), reply };
            }
            "getMore" => {
                let id = argument - 1 - self.batches.fetch_add(1, Ordering::SeqCst) as i64;
                ok(|r| r.document("cursor", |c| c.i64("id", id)))
            }
            "await" => match waiting_since {
                None => {
                    let deadline = Instant::now() + millis(int(body, "ms"));
                    let wait = Wait::Durable(argument.unsigned_abs() + 1);
                    return Step::Await { wait, deadline };
                }
                Some(_) => ok(|r| r.bool("woke", true)),
            },
            "big" => ok(|r| r.binary("data", 0, &vec![7; argument.unsigned_abs() as usize])),
            "mode" => ok(|r| r.bool("blocking", mode == Mode::Blocking)),
            "panic" => panic!("as the test wants it"),
            _ => {
                let mut reply = DocWriter::new();
                Error::new(Code::COMMAND_NOT_FOUND, format!("no such command: '{name}'"))
                    .write_reply(&mut reply);
                reply.finish()
            }
        })
    }

    fn poll(&self, wait: &Wait, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let Wait::Durable(seq) = *wait else { return Poll::Pending };
        let mut wakers = self.wakers.lock().unwrap();
        if self.poisoned.load(Ordering::SeqCst) {
            return Poll::Ready(Err(Error::new(Code::INTERNAL_ERROR, "the store failed")));
        }
        if self.durable.load(Ordering::SeqCst) >= seq {
            return Poll::Ready(Ok(()));
        }
        wakers.push((seq, cx.waker().clone()));
        Poll::Pending
    }

    fn forget(&self, wait: &Wait, waker: &Waker) {
        let Wait::Durable(seq) = wait else { return };
        self.wakers.lock().unwrap().retain(|(s, w)| s != seq || !w.will_wake(waker));
    }

    fn disconnect(&self, _: &ClientInfo) {
        self.disconnected.fetch_add(1, Ordering::SeqCst);
    }
}

/// A running server in a runtime of its own.
pub(crate) struct Fixture {
    pub(crate) runtime: Runtime,
    pub(crate) server: Option<Server>,
    pub(crate) fake: Arc<Fake>,
    pub(crate) address: SocketAddr,
}

impl Fixture {
    pub(crate) fn start() -> Fixture {
        Fixture::with(|builder| builder)
    }

    pub(crate) fn with(settings: impl FnOnce(server::Builder) -> server::Builder) -> Fixture {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.unwrap();
        let fake = Arc::new(Fake::default());
        let builder = settings(Server::builder().tcp("127.0.0.1:0".parse().unwrap()));
        let server = runtime.block_on(builder.serve(Arc::clone(&fake))).unwrap();
        let address = server.tcp_addresses()[0];
        Fixture { runtime, server: Some(server), fake, address }
    }

    pub(crate) fn connect(&self) -> Raw {
        Raw::connect(self.address)
    }

    pub(crate) fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }
}

/// Waits for something that happens soon, and fails if it doesn't.
pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < Duration::from_secs(60), "in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
