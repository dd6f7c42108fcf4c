//! Processes on a core of their own, and the processor time they have taken.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Clock ticks per second of `/proc/PID/stat`; the kernel's interface fixes it at 100.
const TICK_US: f64 = 10_000.0;

/// A child process, ended when dropped.
pub(super) struct Child(std::process::Child);

impl Child {
    /// Starts `program` pinned to `core`.
    pub(super) fn start(program: &Path, arguments: &[&str], core: usize) -> Result<Child, String> {
        let child = Command::new("taskset")
            .args(["-c", &core.to_string()])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null())
            .spawn();
        child.map(Child).map_err(|error| format!("{}: {error}", program.display()))
    }

    /// User and system time of all its threads so far, in microseconds.
    pub(super) fn cpu_us(&self) -> Result<f64, String> {
        let path = format!("/proc/{}/stat", self.0.id());
        let stat = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        // The name in parentheses may hold anything; utime and stime are the 12th and 13th field behind it.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
        Ok(ticks.sum::<Result<f64, _>>().map_err(|error| error.to_string())? * TICK_US)
    }

    /// Memory that is resident now.
    pub(super) fn resident_bytes(&self) -> Result<f64, String> {
        let path = format!("/proc/{}/status", self.0.id());
        let status = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()).map(str::parse::<f64>);
        match kib {
            Some(Ok(kib)) => Ok(kib * 1024.0),
            _ => Err(format!("{path} does not say VmRSS")),
        }
    }

    /// Asks the process to end and waits until it has.
    pub(super) fn stop(mut self) -> Result<(), String> {
        let asked = Command::new("kill").arg(self.0.id().to_string()).status();
        asked.map_err(|error| format!("kill: {error}"))?;
        self.0.wait().map(drop).map_err(|error| error.to_string())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Pins this process to `core`. To be called before it has threads.
pub(super) fn pin_self(core: usize) -> Result<(), String> {
    let pid = std::process::id().to_string();
    let pinned = Command::new("taskset")
        .args(["-cp", &core.to_string(), &pid])
        .stdout(Stdio::null())
        .status();
    match pinned {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("taskset: {status}")),
        Err(error) => Err(format!("taskset: {error}")),
    }
}

/// Waits until somebody listens.
pub(super) async fn await_listener(address: &str) -> Result<(), String> {
    for _ in 0..1_000 {
        if tokio::net::TcpStream::connect(address).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Err(format!("nobody listens on {address}"))
}
