//! Change streams beside writers: many that wait in vain, and one that is timed.

use std::time::{Duration, Instant};

use headwater_engine::bson::View;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::load::{Figures, Load, check, document, receive};
use super::message;

/// Longer than any measurement.
const WAIT_MS: i32 = 3_600_000;

/// Opens streams that wait for documents which never come, all for the same or each for its own.
pub(super) async fn idle(
    address: &str,
    collection: &str,
    count: u64,
    different: bool,
) -> Result<Vec<TcpStream>, String> {
    let mut waiting = Vec::new();
    for at in 0..count {
        let n = if different { -1 - at.cast_signed() } else { -1 };
        let (mut stream, cursor) = open(address, collection, Some(n)).await?;
        let request = message::get_more(cursor, collection, WAIT_MS);
        stream.write_all(&request).await.map_err(|error| error.to_string())?;
        waiting.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    Ok(waiting)
}

/// Inserts one document after the other and takes the time until the insert was acknowledged, and until a stream had its
/// event.
pub(super) async fn latency(load: &Load<'_>) -> Result<(Figures, Figures), String> {
    const COLLECTION: &str = "timed";
    let (watcher, cursor) = open(load.address, COLLECTION, None).await?;
    let (stop, mut events) = (Instant::now() + load.time, tokio::sync::mpsc::channel(1));
    let tasks = tokio::task::LocalSet::new();
    let watch = tasks.spawn_local(watch(watcher, cursor, COLLECTION, events.0));
    let insert = async {
        let mut stream = connect(load.address).await?;
        let (mut acknowledged, mut told) = (Vec::new(), Vec::new());
        let mut reply = Vec::new();
        for number in 0.. {
            let begin = Instant::now();
            if begin > stop {
                break;
            }
            let insert = message::insert(COLLECTION, number, 1, 256);
            stream.write_all(&insert).await.map_err(|error| error.to_string())?;
            receive(&mut stream, &mut reply).await?;
            check(&reply)?;
            acknowledged.push(micros(begin.elapsed()));
            let received: Instant = events.1.recv().await.ok_or("the stream has ended")?;
            told.push(micros(received.duration_since(begin)));
        }
        Ok::<_, String>((acknowledged, told))
    };
    let (cpu_before, syncs_before) = (load.server.cpu_us()?, load.syncs().await?);
    let (acknowledged, told) = tasks.run_until(insert).await?;
    watch.abort();
    let (cpu_us, syncs) = (load.server.cpu_us()? - cpu_before, load.syncs().await? - syncs_before);
    let elapsed = load.time.as_secs_f64();
    let figures = |latencies| Figures::of(latencies, elapsed, cpu_us, syncs);
    Ok((figures(acknowledged), figures(told)))
}

/// Says when each event came.
async fn watch(
    mut stream: TcpStream,
    cursor: i64,
    collection: &str,
    events: tokio::sync::mpsc::Sender<Instant>,
) -> Result<(), String> {
    let request = message::get_more(cursor, collection, 1_000);
    let mut reply = Vec::new();
    loop {
        stream.write_all(&request).await.map_err(|error| error.to_string())?;
        receive(&mut stream, &mut reply).await?;
        let received = Instant::now();
        check(&reply)?;
        let cursor = document(&reply).get("cursor").and_then(|cursor| cursor.as_doc());
        let batch = cursor.and_then(|cursor| cursor.get("nextBatch")).and_then(|it| it.as_array());
        for _ in batch.into_iter().flat_map(|batch| batch.iter()) {
            events.send(received).await.map_err(|error| error.to_string())?;
        }
    }
}

/// A stream on its own connection, and its cursor.
async fn open(address: &str, collection: &str, n: Option<i64>) -> Result<(TcpStream, i64), String> {
    let mut stream = connect(address).await?;
    let request = message::watch(collection, n);
    stream.write_all(&request).await.map_err(|error| error.to_string())?;
    let mut reply = Vec::new();
    receive(&mut stream, &mut reply).await?;
    check(&reply)?;
    let cursor = document(&reply).get("cursor").and_then(|cursor| cursor.as_doc());
    match cursor.and_then(|cursor| cursor.get("id")).map(|id| id.view()) {
        Some(View::Int64(id)) => Ok((stream, id)),
        _ => Err(format!("no cursor in {:?}", document(&reply))),
    }
}

async fn connect(address: &str) -> Result<TcpStream, String> {
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    Ok(stream)
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}
