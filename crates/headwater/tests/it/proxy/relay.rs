//! One connection through the proxy: requests one way, replies the other, faults in between.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};

use super::Shared;
use super::fault::Fault;
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

/// The faults that wait for the replies of requests under way.
type Pending = Mutex<HashMap<u32, Fault>>;

async fn relay(client: &mut TcpStream, shared: &Shared) -> io::Result<End> {
    let Some(server) = *shared.server.lock().unwrap() else { return Ok(End::Reset) };
    let mut server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let pending = Pending::default();
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    tokio::select! {
        end = requests(from_client, to_server, shared, &pending) => end,
        end = replies(from_server, to_client, &pending) => end,
    }
}

async fn requests(
    mut client: ReadHalf<'_>,
    mut server: WriteHalf<'_>,
    shared: &Shared,
    pending: &Pending,
) -> io::Result<End> {
    while let Some(frame) = Frame::read(&mut client).await? {
        match arrived(shared, frame.command()) {
            Some(Fault::ResetBefore) => return Ok(End::Reset),
            Some(Fault::BlackHole) => return Ok(End::Silence),
            Some(Fault::Delay(time)) => tokio::time::sleep(time).await,
            Some(fault) => {
                pending.lock().unwrap().insert(frame.request_id(), fault);
            }
            None => {}
        }
        let command = frame.command().to_owned();
        *shared.counts().forwarded.entry(command).or_default() += 1;
        server.write_all(&frame.bytes).await?;
    }
    Ok(End::Close)
}

async fn replies(
    mut server: ReadHalf<'_>,
    mut client: WriteHalf<'_>,
    pending: &Pending,
) -> io::Result<End> {
    while let Some(frame) = Frame::read(&mut server).await? {
        let fault = pending.lock().unwrap().remove(&frame.response_to());
        match fault {
            Some(Fault::ResetAfter) => return Ok(End::Reset),
            Some(Fault::HalfClose) => return Ok(End::HalfClose),
            Some(Fault::BlackHoleAfter) => return Ok(End::Silence),
            Some(Fault::Slices) => {
                for byte in frame.bytes {
                    client.write_all(&[byte]).await?;
                    tokio::task::yield_now().await;
                }
                continue;
            }
            Some(Fault::DelayReply(time)) => tokio::time::sleep(time).await,
            _ => {}
        }
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
