//! The real `headwater serve` as a process on a fixed port and data folder: run, killed, run again. The tests of
//! applications include this file and `program.rs` by their paths.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::program;

/// A server that runs until this is dropped; its data folder goes then too.
pub(crate) struct Serve {
    address: SocketAddr,
    folder: PathBuf,
    words: Vec<String>,
    child: Option<Child>,
}

impl Serve {
    /// Runs a server with an empty data folder on a free port, and waits until it listens.
    pub(crate) fn start(words: &[&str]) -> Serve {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("headwater-it-serve-{}-{count}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let address = unused_address();
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        let mut serve = Serve { address, folder, words, child: None };
        serve.restart();
        serve
    }

    /// The address that it listens on, the same after every restart.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URI that leads to it.
    pub(crate) fn uri(&self) -> String {
        format!("mongodb://{}/?replicaSet=rs0", self.address())
    }

    /// Ends it without a chance to clean up (`kill -9`).
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Runs it again on the same port and folder, and waits until it listens. Kills it first if it runs.
    pub(crate) fn restart(&mut self) {
        self.kill();
        let mut command = Command::new(binary());
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.arg("serve").arg("--data").arg(self.folder.join("data"));
        command.args(["--listen", &self.address.to_string()]).args(&self.words);
        let mut child = command.spawn().unwrap();
        let log = child.stderr.take().unwrap();
        self.child = Some(child);
        wait_until_it_listens(log);
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// An address that nobody listens at. Its port is none of those that systems give to outgoing connections (from 32768
/// on, mostly): such a connection would take it while the server behind it is away.
pub(crate) fn unused_address() -> SocketAddr {
    loop {
        let random = RandomState::new().build_hasher().finish();
        let port = 12_000 + (random % 18_000) as u16;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        // The port is free again when the listener is dropped.
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

fn wait_until_it_listens(log: ChildStderr) {
    let mut log = BufReader::new(log).lines().map_while(Result::ok);
    let mut seen = Vec::new();
    while let Some(line) = log.next() {
        if line.contains("mongodb://") {
            // A log that nobody reads would block the server one day.
            std::thread::spawn(move || log.for_each(drop));
            return;
        }
        seen.push(line);
    }
    panic!("the server ended: {seen:#?}");
}

/// The binary of this build: `HEADWATER_BIN` if set, else the one beside the tests, built if it is missing or older
/// than a source file.
pub(crate) fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os("HEADWATER_BIN") {
        Some(path) => path.into(),
        None => program::built("headwater", &["-p", "headwater-cli", "--bin", "headwater"]),
    })
}
