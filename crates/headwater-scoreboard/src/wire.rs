//! The `headwater` binary as a target: a process of its own, spoken to in `OP_MSG` over a socket. Own code on purpose,
//! so that a mistake in the server's codec cannot hide behind itself.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use headwater_engine::bson::{Doc, DocBuf, validate_command};
use tempfile::TempDir;

use crate::run::Target;

const OP_MSG: i32 = 2013;
const HEADER_BYTES: usize = 16;
/// Largest message that the wire allows.
const MESSAGE_BYTES_MAX: usize = 48_000_000;
const REPLY_WAIT: Duration = Duration::from_secs(20);
const START_WAIT: Duration = Duration::from_secs(20);

/// A server in memory and one connection to it. When the connection breaks, both are replaced.
#[derive(Debug)]
pub struct Wire {
    server: Server,
    connection: Connection,
    next_id: i32,
}

#[derive(Debug)]
struct Server {
    process: Child,
    /// Holds the socket and the server's output.
    folder: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A stream to the server.
#[derive(Debug)]
enum Connection {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// Over which kind of socket the cases run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Socket {
    /// A Unix socket.
    Unix,
    /// TCP on the loopback address.
    Tcp,
}

impl Wire {
    /// Starts a server and connects to it.
    ///
    /// # Errors
    /// What kept the server from starting.
    pub fn start(socket: Socket) -> Result<Wire, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let path = folder.path().join("s.sock");
        let port = free_port().map_err(|error| error.to_string())?;
        let log = std::fs::File::create(folder.path().join("log")).map_err(|e| e.to_string())?;
        let program = program()?;
        // the server reads its own options from HEADWATER_*: none of the caller's are for it
        let others = std::env::vars_os()
            .filter(|(name, _)| !name.to_string_lossy().starts_with("HEADWATER_"));
        let process = Command::new(&program)
            .env_clear()
            .envs(others)
            .args(["serve", "--data", ":memory:", "--socket"])
            .arg(&path)
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(|e| e.to_string())?)
            .stderr(log)
            .spawn()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        let mut server = Server { process, folder };
        let deadline = Instant::now() + START_WAIT;
        loop {
            let connection = match socket {
                Socket::Unix => UnixStream::connect(&path).map(Connection::Unix),
                Socket::Tcp => TcpStream::connect(("127.0.0.1", port)).map(Connection::Tcp),
            };
            match connection.and_then(Connection::prepared) {
                Ok(connection) => return Ok(Wire { server, connection, next_id: 1 }),
                Err(_) if Instant::now() < deadline && server.runs() => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(error) => return Err(format!("no server: {error}\n{}", server.log())),
            }
        }
    }

    fn kind(&self) -> Socket {
        match self.connection {
            Connection::Unix(_) => Socket::Unix,
            Connection::Tcp(_) => Socket::Tcp,
        }
    }

    fn exchange(&mut self, command: Doc<'_>) -> io::Result<DocBuf> {
        let body = command.as_bytes();
        let length = HEADER_BYTES + 4 + 1 + body.len();
        let mut message = Vec::with_capacity(length);
        for field in [length as i32, self.next_id, 0, OP_MSG, 0] {
            message.extend_from_slice(&field.to_le_bytes());
        }
        message.push(0);
        message.extend_from_slice(body);
        self.connection.write_all(&message)?;
        let mut header = [0; HEADER_BYTES];
        self.connection.read_exact(&mut header)?;
        let field = |at: usize| {
            let bytes = header.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            i32::from_le_bytes(bytes.unwrap_or_default())
        };
        let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let length = usize::try_from(field(0)).unwrap_or(0);
        if !(HEADER_BYTES + 5..=MESSAGE_BYTES_MAX).contains(&length) {
            return Err(wrong("the length of the reply"));
        }
        let mut rest = vec![0; length - HEADER_BYTES];
        self.connection.read_exact(&mut rest)?;
        if field(8) != self.next_id || field(12) != OP_MSG {
            return Err(wrong("the reply is not to this request"));
        }
        self.next_id = self.next_id.wrapping_add(1);
        match rest.get(..5) {
            Some([0, 0, 0, 0, 0]) => {}
            _ => return Err(wrong("flags or section kind of the reply")),
        }
        let body = rest.split_off(5);
        validate_command(&body).map_err(|error| wrong(error.message()))?;
        Ok(DocBuf::trusted(body))
    }
}

impl Target for Wire {
    fn command(&mut self, command: Doc<'_>) -> Result<DocBuf, String> {
        self.exchange(command).or_else(|error| {
            let log = self.server.log();
            let what = format!("the connection broke: {error}; the server said:\n{log}");
            *self = Wire::start(self.kind())?;
            Err(what)
        })
    }
}

impl Server {
    fn runs(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// The end of what the server printed.
    fn log(&self) -> String {
        let text = std::fs::read(self.folder.path().join("log")).unwrap_or_default();
        let tail = text.get(text.len().saturating_sub(2000)..).unwrap_or_default();
        String::from_utf8_lossy(tail).into_owned()
    }
}

impl Connection {
    fn prepared(self) -> io::Result<Connection> {
        match &self {
            Connection::Unix(stream) => stream.set_read_timeout(Some(REPLY_WAIT))?,
            Connection::Tcp(stream) => {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(REPLY_WAIT))?;
            }
        }
        Ok(self)
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Connection::Unix(stream) => stream.write_all(bytes),
            Connection::Tcp(stream) => stream.write_all(bytes),
        }
    }

    fn read_exact(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        match self {
            Connection::Unix(stream) => stream.read_exact(bytes),
            Connection::Tcp(stream) => stream.read_exact(bytes),
        }
    }
}

fn free_port() -> io::Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// The binary beside this one, or what `HEADWATER_BIN` names.
fn program() -> Result<PathBuf, String> {
    if let Some(named) = std::env::var_os("HEADWATER_BIN") {
        return Ok(named.into());
    }
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let beside = own.with_file_name("headwater");
    if beside.is_file() {
        return Ok(beside);
    }
    Err(format!("{} is missing: cargo build -p headwater-cli", beside.display()))
}
