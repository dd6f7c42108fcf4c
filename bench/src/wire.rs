//! The server by its sockets: throughput, processor time and latency of each kind of request, beside an echo server with
//! the same framing. The server is pinned to one core, this client to the other.

pub(crate) mod bare;
pub(crate) mod echo;
mod load;
mod message;
mod process;
mod raw_store;
mod rows;
pub(crate) mod start;
mod streams;

use std::path::PathBuf;
use std::time::Duration;

use load::Figures;

const CLIENT_CORE: usize = 1;
const SERVER_CORE: usize = 0;
const PORT: u16 = 27_917;

/// What is measured, and how much of it.
pub(crate) struct Plan {
    pub(crate) server: PathBuf,
    pub(crate) data: PathBuf,
    pub(crate) documents: i32,
    pub(crate) connections: usize,
    pub(crate) time: Duration,
    /// The rows that are wanted, by the beginning of their names; all if there are none.
    pub(crate) only: Vec<String>,
}

/// `wire [--documents N] [--connections N] [--seconds N] [--only ROW,..] [--server PATH] [--data DIR]`
pub(crate) fn run(words: &[String]) -> Result<(), String> {
    let plan = Plan::parse(words)?;
    process::pin_self(CLIENT_CORE)?;
    println!(
        "{:<42} {:>9} {:>9} {:>7} {:>8} {:>8} {:>8}",
        "", "ops/s", "CPU us/op", "x echo", "syncs/op", "p50 us", "p99 us"
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(rows::measure(&plan))
}

/// Prints a row; `echo` is the processor time that the echo server took.
fn print(name: &str, row: &Figures, echo: f64) {
    let Figures { per_second, cpu_us, syncs, p50_us, p99_us } = row;
    let ratio = cpu_us / echo;
    println!(
        "{name:<42} {per_second:>9.0} {cpu_us:>9.2} {ratio:>7.2} {syncs:>8.3} {p50_us:>8} {p99_us:>8}"
    );
}

impl Plan {
    pub(crate) fn parse(words: &[String]) -> Result<Plan, String> {
        let beside = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut plan = Plan {
            server: beside.with_file_name("headwater"),
            data: beside.with_file_name("bench-data"),
            documents: 1_000_000,
            connections: 32,
            time: Duration::from_secs(5),
            only: Vec::new(),
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
                "--only" => plan.only = value.split(',').map(str::to_owned).collect(),
                _ => return Err(format!("no option is called {name}")),
            }
        }
        Ok(plan)
    }

    fn wants(&self, row: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| row.starts_with(only.as_str()))
    }
}
