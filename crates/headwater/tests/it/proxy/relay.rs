//! One connection through the proxy: requests one way, replies the other, faults in between.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};

use super::Shared;
use super::fault::{Fault, is_monitoring};
use super::frame::Frame;

/// Takes connections until aborted; those that are open go on.
pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        tokio::spawn(serve(client, Arc::clone(&shared)));
    }
}

/// How a connection ends for its client.
enum End {
    Close,
    Reset,
    /// Nothing comes any more, whatever the client sends.
    Silence,
    /// As [`End::Silence`], after the proxy has said that it will send nothing more.
    HalfClose,
}

async fn serve(mut client: TcpStream, shared: Arc<Shared>) {
    {
        let mut counts = shared.counts();
        counts.connections += 1;
        counts.open += 1;
        counts.open_max = counts.open_max.max(counts.open);
    }
    let mut cuts = shared.cuts.subscribe();
    let end = tokio::select! {
        end = relay_to_the_end(&mut client, &shared) => end,
        _ = cuts.changed() => End::Reset,
    };
    if matches!(end, End::Reset) {
        let _ = client.set_zero_linger();
    }
    shared.counts().open -= 1;
}

async fn relay_to_the_end(client: &mut TcpStream, shared: &Shared) -> End {
    let end = relay(client, shared).await.unwrap_or(End::Reset);
    if matches!(end, End::HalfClose) {
        let _ = client.shutdown().await;
    }
    if matches!(end, End::HalfClose | End::Silence) {
        let mut waste = vec![0; 64 << 10];
        while client.read(&mut waste).await.is_ok_and(|count| count > 0) {}
    }
    end
}

/// The requests of a connection that wait for their replies.
struct UnderWay<'a> {
    shared: &'a Shared,
    requests: Mutex<HashMap<u32, Request>>,
}

#[derive(Default)]
struct Request {
    /// What is to happen to its reply.
    fault: Option<Fault>,
    is_counted: bool,
}

impl UnderWay<'_> {
    fn begin(&self, frame: &Frame, fault: Option<Fault>) {
        let is_counted = !is_monitoring(frame.command());
        let mut counts = self.shared.counts();
        *counts.forwarded.entry(frame.command().to_owned()).or_default() += 1;
        counts.under_way += usize::from(is_counted);
        counts.under_way_max = counts.under_way_max.max(counts.under_way);
        let request = Request { fault, is_counted };
        self.requests.lock().unwrap().insert(frame.request_id(), request);
    }

    /// The fault for a reply.
    fn fault(&self, request_id: u32) -> Option<Fault> {
        self.requests.lock().unwrap().get(&request_id)?.fault
    }

    fn end(&self, request_id: u32) {
        let request = self.requests.lock().unwrap().remove(&request_id).unwrap_or_default();
        self.shared.counts().under_way -= usize::from(request.is_counted);
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let requests = self.requests.lock().unwrap();
        let left = requests.values().filter(|request| request.is_counted).count();
        self.shared.counts().under_way -= left;
    }
}

async fn relay(client: &mut TcpStream, shared: &Shared) -> io::Result<End> {
    let Some(server) = *shared.server.lock().unwrap() else { return Ok(End::Reset) };
    let mut server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let under_way = UnderWay { shared, requests: Mutex::default() };
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    tokio::select! {
        end = requests(from_client, to_server, shared, &under_way) => end,
        end = replies(from_server, to_client, &under_way) => end,
    }
}

async fn requests(
    mut client: ReadHalf<'_>,
    mut server: WriteHalf<'_>,
    shared: &Shared,
    under_way: &UnderWay<'_>,
) -> io::Result<End> {
    while let Some(frame) = Frame::read(&mut client).await? {
        let fault = arrived(shared, frame.command());
        match fault {
            Some(Fault::ResetBefore) => return Ok(End::Reset),
            Some(Fault::BlackHole) => return Ok(End::Silence),
            Some(Fault::Delay(time)) => tokio::time::sleep(time).await,
            _ => {}
        }
        under_way.begin(&frame, fault);
        server.write_all(&frame.bytes).await?;
    }
    Ok(End::Close)
}

async fn replies(
    mut server: ReadHalf<'_>,
    mut client: WriteHalf<'_>,
    under_way: &UnderWay<'_>,
) -> io::Result<End> {
    while let Some(frame) = Frame::read(&mut server).await? {
        match under_way.fault(frame.response_to()) {
            Some(Fault::ResetAfter) => return Ok(End::Reset),
            Some(Fault::HalfClose) => return Ok(End::HalfClose),
            Some(Fault::BlackHoleAfter) => return Ok(End::Silence),
            Some(Fault::Slices) => {
                let (last, others) = frame.bytes.split_last().expect("a frame has a header");
                for byte in others {
                    client.write_all(&[*byte]).await?;
                    tokio::task::yield_now().await;
                }
                under_way.end(frame.response_to());
                client.write_all(&[*last]).await?;
                continue;
            }
            Some(Fault::DelayReply(time)) => tokio::time::sleep(time).await,
            _ => {}
        }
        // Before the client can hear of it: what it sends next is not beside this one.
        under_way.end(frame.response_to());
        client.write_all(&frame.bytes).await?;
    }
    // The server has gone.
    Ok(End::Close)
}

fn arrived(shared: &Shared, command: &str) -> Option<Fault> {
    let fault = shared.rules.lock().unwrap().iter_mut().find_map(|rule| rule.strike(command));
    let mut counts = shared.counts();
    *counts.arrived.entry(command.to_owned()).or_default() += 1;
    counts.faults += usize::from(fault.is_some());
    fault
}
