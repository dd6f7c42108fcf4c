//! How long the server takes from its start to its first answer, and what it then weighs.

use std::path::Path;
use std::time::{Duration, Instant};

use super::load::{Load, receive};
use super::process::{Child, pin_self};
use super::{CLIENT_CORE, PORT, Plan, SERVER_CORE, message};

const TIMES: usize = 5;

/// `start [--documents N] [--server PATH] [--data DIR]`
pub(crate) fn run(words: &[String]) -> Result<(), String> {
    let plan = Plan::parse(words)?;
    pin_self(CLIENT_CORE)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let binary = std::fs::metadata(&plan.server).map_err(|error| error.to_string())?;
    println!("binary {:.1} MB", binary.len() as f64 / 1e6);
    runtime.block_on(measure(&plan))
}

async fn measure(plan: &Plan) -> Result<(), String> {
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let _ = std::fs::remove_dir_all(&plan.data);
        let (server, time) = start(plan).await?;
        times.push(time);
        tokio::time::sleep(Duration::from_millis(500)).await;
        if times.len() == TIMES {
            println!(
                "idle resident memory {:.1} MiB",
                server.resident_bytes()? / f64::from(1 << 20)
            );
        }
    }
    report("empty", &times);
    let address = format!("127.0.0.1:{PORT}");
    let (server, _) = start(plan).await?;
    let load = Load { address: &address, server: &server, connections: 4, time: plan.time };
    let batches = u64::from(plan.documents.unsigned_abs()).div_ceil(1_000);
    load.count(batches, |at| message::insert("found", at, 1_000, 239)).await?;
    server.stop()?;
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let (server, time) = start(plan).await?;
        times.push(time);
        server.stop()?;
    }
    report(&format!("{} documents", plan.documents), &times);
    let mut times = Vec::new();
    let (mut server, _) = start(plan).await?;
    for round in 0..TIMES {
        let load = Load { address: &address, server: &server, connections: 32, time: plan.time };
        let collection = format!("killed{round}");
        let insert = load.run(move |n| message::insert(&collection, n, 1, 256));
        let killed = tokio::time::timeout(Duration::from_secs(3), insert).await;
        if killed.is_ok() {
            return Err("--seconds must be above 3".to_owned());
        }
        drop(server);
        let time;
        (server, time) = start(plan).await?;
        times.push(time);
    }
    report("after kill -9 under load", &times);
    Ok(())
}

/// Starts the server and waits for its first answer; milliseconds.
async fn start(plan: &Plan) -> Result<(Child, f64), String> {
    let address = format!("127.0.0.1:{PORT}");
    let data = plan.data.to_string_lossy().into_owned();
    let arguments = ["serve", "--data", &data, "--listen", &address, "--log-level", "error"];
    let begin = Instant::now();
    let server = Child::start(Path::new(&plan.server), &arguments, SERVER_CORE)?;
    let until = begin + Duration::from_secs(60);
    while ping(&address).await.is_err() {
        if Instant::now() > until {
            return Err("no answer within a minute".to_owned());
        }
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    Ok((server, begin.elapsed().as_secs_f64() * 1_000.0))
}

async fn ping(address: &str) -> Result<(), String> {
    use tokio::io::AsyncWriteExt;
    let mut stream =
        tokio::net::TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    stream.write_all(&message::ping()).await.map_err(|error| error.to_string())?;
    receive(&mut stream, &mut Vec::new()).await
}

fn report(what: &str, times: &[f64]) {
    let all: Vec<_> = times.iter().map(|time| format!("{time:.1}")).collect();
    println!("start to first ping, {what}: {} ms", all.join(" / "));
}
