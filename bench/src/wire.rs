//! The server by its sockets: throughput, processor time and latency of each kind of request, beside an echo server with
//! the same framing. The server is pinned to one core, this client to the other.

pub(crate) mod bare;
pub(crate) mod echo;
mod load;
mod message;
mod process;

use std::path::PathBuf;
use std::time::Duration;

use load::{Figures, Load};
use process::Child;

const SERVER_CORE: usize = 0;
const CLIENT_CORE: usize = 1;
const PORT: u16 = 27_917;

/// What is measured, and how much of it.
struct Plan {
    server: PathBuf,
    data: PathBuf,
    documents: i32,
    connections: usize,
    time: Duration,
}

/// `wire [--documents N] [--connections N] [--seconds N] [--server PATH] [--data DIR]`
pub(crate) fn run(words: &[String]) -> Result<(), String> {
    let plan = plan(words)?;
    process::pin_self(CLIENT_CORE)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let rows = runtime.block_on(measure(&plan))?;
    println!(
        "{:<34} {:>9} {:>9} {:>7} {:>8} {:>8} {:>8}",
        "", "ops/s", "CPU us/op", "x echo", "syncs/op", "p50 us", "p99 us"
    );
    let echo = rows.first().map_or(f64::NAN, |(_, row)| row.cpu_us);
    for (name, row) in &rows {
        let Figures { per_second, cpu_us, syncs, p50_us, p99_us } = row;
        let ratio = cpu_us / echo;
        println!(
            "{name:<34} {per_second:>9.0} {cpu_us:>9.2} {ratio:>7.2} {syncs:>8.3} {p50_us:>8} {p99_us:>8}"
        );
    }
    Ok(())
}

fn plan(words: &[String]) -> Result<Plan, String> {
    let beside = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut plan = Plan {
        server: beside.with_file_name("headwater"),
        data: beside.with_file_name("bench-data"),
        documents: 1_000_000,
        connections: 32,
        time: Duration::from_secs(5),
    };
    for pair in words.chunks(2) {
        let [name, value] = pair else { return Err("an option needs a value".to_owned()) };
        let wrong = |_| format!("{name} {value}: not a number");
        match name.as_str() {
            "--server" => plan.server = value.into(),
            "--data" => plan.data = value.into(),
            "--documents" => plan.documents = value.parse().map_err(wrong)?,
            "--connections" => plan.connections = value.parse().map_err(wrong)?,
            "--seconds" => plan.time = Duration::from_secs(value.parse().map_err(wrong)?),
            _ => return Err(format!("no option is called {name}")),
        }
    }
    Ok(plan)
}

async fn measure(plan: &Plan) -> Result<Vec<(String, Figures)>, String> {
    let address = format!("127.0.0.1:{PORT}");
    let mut rows = Vec::new();
    let all = plan.connections;
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    for name in ["echo", "bare"] {
        let server = Child::start(&this, &[name, &address], SERVER_CORE)?;
        process::await_listener(&address).await?;
        let load = Load { address: &address, server: &server, connections: all, time: plan.time };
        rows.push((format!("{name}, {all} connections"), load.run(|_| message::ping()).await?));
    }
    if !plan.server.exists() {
        println!("{} is not built: no more than the wire is measured", plan.server.display());
        return Ok(rows);
    }
    let _ = std::fs::remove_dir_all(&plan.data);
    let data = plan.data.to_string_lossy().into_owned();
    let arguments = ["serve", "--data", &data, "--listen", &address, "--log-level", "warn"];
    let server = Child::start(&plan.server, &arguments, SERVER_CORE)?;
    process::await_listener(&address).await?;
    let load = Load { address: &address, server: &server, connections: all, time: plan.time };
    rows.push((format!("ping, {all} connections"), load.run(|_| message::ping()).await?));

    let batches = u64::from(plan.documents.unsigned_abs()).div_ceil(1_000);
    load.count(batches, |batch| message::insert("found", batch, 1_000, 1_000)).await?;
    let documents = plan.documents;
    let find = move |n| message::find_by_id("found", scattered(n, documents));
    rows.push((format!("find by _id of {documents}, {all} conn."), load.run(find).await?));

    let insert = |n| message::insert("one", n, 1, 256);
    rows.push((format!("insertOne durable, {all} connections"), load.run(insert).await?));
    let one = Load { connections: 1, ..load };
    let insert = |n| message::insert("single", n, 1, 256);
    rows.push(("insertOne durable, 1 connection".to_owned(), one.run(insert).await?));
    let many = |n| message::insert("many", n, 1_000, 275);
    rows.push(("insertMany of 1000 x 275 B, 1 conn.".to_owned(), one.run(many).await?));
    Ok(rows)
}

/// A number below `below` that jumps about as `n` counts up.
fn scattered(n: u64, below: i32) -> i32 {
    (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33) as i32 % below.max(1)
}
