//! Runs the binary, reads its log, sends it signals and speaks to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use headwater_engine::bson::{Doc, DocBuf, DocWriter};
use headwater_server::codec::msg;

/// A folder that goes when the test ends.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Folder {
        let path =
            std::env::temp_dir().join(format!("headwater-cli-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub(crate) fn data(&self) -> String {
        self.0.join("data").to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headwater"));
    command.env_clear().stdin(Stdio::null());
    command
}

/// Runs the binary to its end.
pub(crate) fn output(words: &[&str]) -> Output {
    binary().args(words).output().unwrap()
}

/// A server that is up.
pub(crate) struct Running {
    child: Child,
    log: BufReader<ChildStderr>,
    pub(crate) lines: Vec<String>,
    pub(crate) address: String,
}

impl Running {
    pub(crate) fn start(words: &[&str], environment: &[(&str, &str)]) -> Running {
        let mut command = binary();
        command.arg("serve").args(words).envs(environment.iter().copied());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut lines = Vec::new();
        let address = loop {
            let mut line = String::new();
            assert!(log.read_line(&mut line).unwrap() > 0, "it ended: {lines:?}");
            lines.push(line.clone());
            if let Some((_, uri)) = line.split_once("mongodb://") {
                break uri.split('/').next().unwrap().to_owned();
            }
        };
        Running { child, log, lines, address }
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    /// Waits for the end; the rest of the log is in `lines` then.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begin.elapsed() < Duration::from_secs(120), "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        };
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).unwrap();
        self.lines.extend(rest.lines().map(str::to_owned));
        status
    }

    pub(crate) fn ask(&self, fill: impl FnOnce(&mut DocWriter)) -> DocBuf {
        ask(&mut TcpStream::connect(&self.address).unwrap(), fill)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a command and reads its reply.
pub(crate) fn ask<T: Read + Write>(stream: &mut T, fill: impl FnOnce(&mut DocWriter)) -> DocBuf {
    ask_in(stream, "test", fill)
}

/// Sends a command to a database and reads its reply.
pub(crate) fn ask_in<T: Read + Write>(
    stream: &mut T,
    db: &str,
    fill: impl FnOnce(&mut DocWriter),
) -> DocBuf {
    send(stream, db, fill);
    let mut head = [0; 4];
    stream.read_exact(&mut head).unwrap();
    let mut rest = vec![0; u32::from_le_bytes(head) as usize - 4];
    stream.read_exact(&mut rest).unwrap();
    Doc::trusted(&rest[17..]).to_buf()
}

/// Sends a command.
pub(crate) fn send<T: Write>(stream: &mut T, db: &str, fill: impl FnOnce(&mut DocWriter)) {
    let mut body = DocWriter::new();
    fill(&mut body);
    body.str("$db", db);
    let mut message = Vec::new();
    msg::start(&mut message, 1, 0, 0);
    message.extend_from_slice(body.finish().as_doc().as_bytes());
    msg::finish(&mut message, 0, 0);
    stream.write_all(&message).unwrap();
}

/// Whether a path is there.
pub(crate) fn exists(path: &str) -> bool {
    Path::new(path).exists()
}
