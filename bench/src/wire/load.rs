//! The load: connections that each send a request, wait for its reply and send the next.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use headwater_engine::bson::{Doc, View};
use headwater_server::codec::Header;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, LocalSet};

use super::message;
use super::process::Child;

/// Where the document of an `OP_MSG` reply begins: header, flags, section kind.
const DOCUMENT_AT: usize = 21;
const WARM_UP: Duration = Duration::from_millis(500);

/// What one kind of request came to.
pub(super) struct Figures {
    pub(super) per_second: f64,
    /// Processor time of the server per request, in microseconds.
    pub(super) cpu_us: f64,
    /// Syncs of the server's log per request.
    pub(super) syncs: f64,
    pub(super) p50_us: u32,
    pub(super) p99_us: u32,
}

impl Figures {
    /// The figures of requests that took so long each, `elapsed` seconds and `cpu_us` in all.
    pub(super) fn of(mut latencies_us: Vec<u32>, elapsed: f64, cpu_us: f64, syncs: i64) -> Figures {
        latencies_us.sort_unstable();
        let count = latencies_us.len().max(1);
        let at = |per_mille: usize| latencies_us.get(count * per_mille / 1_000).copied();
        Figures {
            per_second: count as f64 / elapsed,
            cpu_us: cpu_us / count as f64,
            syncs: syncs as f64 / count as f64,
            p50_us: at(500).unwrap_or(0),
            p99_us: at(990).unwrap_or(0),
        }
    }
}

/// How a load is put on.
#[derive(Clone, Copy)]
pub(super) struct Load<'a> {
    pub(super) address: &'a str,
    pub(super) server: &'a Child,
    pub(super) connections: usize,
    pub(super) time: Duration,
}

/// What the connections of a run share.
struct Run<R> {
    request: R,
    next: Cell<u64>,
    count_max: u64,
    measured_from: Instant,
    end: Instant,
    latencies_us: RefCell<Vec<u32>>,
}

impl Load<'_> {
    /// Sends requests for the time of the load; `request` makes each from its number.
    pub(super) async fn run(
        &self,
        request: impl Fn(u64) -> Vec<u8> + 'static,
    ) -> Result<Figures, String> {
        let measured_from = Instant::now() + WARM_UP;
        let run = Rc::new(Run {
            request,
            next: Cell::new(0),
            count_max: u64::MAX,
            measured_from,
            end: measured_from + self.time,
            latencies_us: RefCell::default(),
        });
        let before = async {
            tokio::time::sleep_until(measured_from.into()).await;
            (self.server.cpu_us(), self.syncs().await)
        };
        let ((cpu_before, syncs_before), sent) = tokio::join!(before, self.send(&run));
        let cpu_us = self.server.cpu_us()? - cpu_before?;
        sent?;
        let syncs = self.syncs().await? - syncs_before?;
        let elapsed = measured_from.elapsed().as_secs_f64();
        Ok(Figures::of(run.latencies_us.take(), elapsed, cpu_us, syncs))
    }

    /// Sends so many requests.
    pub(super) async fn count(
        &self,
        count: u64,
        request: impl Fn(u64) -> Vec<u8> + 'static,
    ) -> Result<(), String> {
        let now = Instant::now();
        let run = Rc::new(Run {
            request,
            next: Cell::new(0),
            count_max: count,
            measured_from: now,
            end: now + Duration::from_secs(3_600),
            latencies_us: RefCell::default(),
        });
        self.send(&run).await
    }

    /// The syncs that the server says it has made; 0 of one that doesn't say.
    pub(super) async fn syncs(&self) -> Result<i64, String> {
        let mut stream =
            TcpStream::connect(self.address).await.map_err(|error| error.to_string())?;
        let request = message::server_status();
        stream.write_all(&request).await.map_err(|error| error.to_string())?;
        let mut reply = Vec::new();
        receive(&mut stream, &mut reply).await?;
        let own = document(&reply).get("headwater").and_then(|own| own.as_doc());
        Ok(match own.and_then(|own| own.get("syncs")).map(|syncs| syncs.view()) {
            Some(View::Int64(syncs)) => syncs,
            _ => 0,
        })
    }

    async fn send<R: Fn(u64) -> Vec<u8> + 'static>(&self, run: &Rc<Run<R>>) -> Result<(), String> {
        let tasks = LocalSet::new();
        let mut all = Vec::new();
        for _ in 0..self.connections {
            let stream = TcpStream::connect(self.address).await.map_err(|e| e.to_string())?;
            stream.set_nodelay(true).map_err(|e| e.to_string())?;
            all.push(tasks.spawn_local(connection(stream, Rc::clone(run))));
        }
        tasks.run_until(awake(all)).await
    }
}

/// Waits for the connections without ever putting the client's core to sleep: waking it would be on the server's bill, and
/// all the more, the longer the server takes.
async fn awake(all: Vec<JoinHandle<Result<(), String>>>) -> Result<(), String> {
    while !all.iter().all(JoinHandle::is_finished) {
        tokio::task::yield_now().await;
    }
    for task in all {
        task.await.map_err(|error| error.to_string())??;
    }
    Ok(())
}

async fn connection<R: Fn(u64) -> Vec<u8>>(
    mut stream: TcpStream,
    run: Rc<Run<R>>,
) -> Result<(), String> {
    let mut reply = Vec::new();
    loop {
        let number = run.next.get();
        if number == run.count_max || Instant::now() >= run.end {
            return Ok(());
        }
        run.next.set(number + 1);
        let request = (run.request)(number);
        let begin = Instant::now();
        stream.write_all(&request).await.map_err(|error| error.to_string())?;
        receive(&mut stream, &mut reply).await?;
        if begin >= run.measured_from {
            let latency = u32::try_from(begin.elapsed().as_micros()).unwrap_or(u32::MAX);
            run.latencies_us.borrow_mut().push(latency);
        }
        check(&reply)?;
    }
}

pub(super) async fn receive(stream: &mut TcpStream, reply: &mut Vec<u8>) -> Result<(), String> {
    reply.clear();
    loop {
        let header = Header::parse(reply).map_err(|error| error.to_string())?;
        if header.is_some_and(|header| reply.len() >= header.length) {
            return Ok(());
        }
        reply.reserve(4_096);
        if stream.read_buf(reply).await.map_err(|error| error.to_string())? == 0 {
            return Err("the server has closed the connection".to_owned());
        }
    }
}

/// Fails unless the reply says that all went well.
pub(super) fn check(reply: &[u8]) -> Result<(), String> {
    let document = document(reply);
    let ok = document.get("ok").map(|ok| ok.view());
    if matches!(ok, Some(View::Double(1.0))) && document.get("writeErrors").is_none() {
        return Ok(());
    }
    Err(format!("the server answered {document:?}"))
}

/// The document of a reply.
pub(super) fn document(reply: &[u8]) -> Doc<'_> {
    Doc::trusted(reply.get(DOCUMENT_AT..).unwrap_or_default())
}
