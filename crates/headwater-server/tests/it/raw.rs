//! A client that writes and reads bytes, built here from the protocol's description and not with the server's codec.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use headwater_engine::bson::{Doc, DocBuf, DocWriter, validate};

/// No reply takes longer, whatever else the machine does.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const REPLY: i32 = 1;
pub(crate) const QUERY: i32 = 2004;
pub(crate) const COMPRESSED: i32 = 2012;
pub(crate) const MSG: i32 = 2013;

/// A connection.
pub(crate) struct Raw<T = TcpStream>(pub(crate) T);

/// A message as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) bytes: Vec<u8>,
}

impl Raw {
    pub(crate) fn connect(address: SocketAddr) -> Raw {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Raw(stream)
    }

    /// Fails if a reply comes within a short while.
    pub(crate) fn expect_silence(&mut self) {
        self.0.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let read = self.0.read(&mut [0]);
        assert!(matches!(&read, Err(e) if e.kind() == ErrorKind::WouldBlock), "{read:?}");
        self.0.set_read_timeout(Some(PATIENCE)).unwrap();
    }
}

impl<T: Read + Write> Raw<T> {
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    pub(crate) fn receive(&mut self) -> Message {
        let mut head = [0; 4];
        self.0.read_exact(&mut head).unwrap();
        let length = u32::from_le_bytes(head) as usize;
        let mut bytes = head.to_vec();
        (&mut self.0).take(length as u64 - 4).read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len(), length);
        Message { bytes }
    }

    pub(crate) fn ask(&mut self, bytes: &[u8]) -> DocBuf {
        self.send(bytes);
        self.receive().document()
    }

    pub(crate) fn expect_ping(&mut self) {
        let reply = self.ask(&msg(99, 0, &command("ping", 1)));
        assert_eq!(crate::fixture::int(reply.as_doc(), "ok"), 1, "{reply:?}");
    }

    /// Fails unless the server closes without another byte.
    pub(crate) fn expect_closed(&mut self) {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Ok(_) => assert_eq!(rest, [], "bytes before the end"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
        }
    }
}

impl Message {
    fn field(&self, at: usize) -> i32 {
        i32::from_le_bytes(self.bytes[at..at + 4].try_into().unwrap())
    }

    pub(crate) fn id(&self) -> i32 {
        self.field(4)
    }

    pub(crate) fn response_to(&self) -> i32 {
        self.field(8)
    }

    pub(crate) fn opcode(&self) -> i32 {
        self.field(12)
    }

    /// Flags of an `OP_MSG` or an `OP_REPLY`.
    pub(crate) fn flags(&self) -> i32 {
        self.field(16)
    }

    /// The one document of an `OP_MSG` or an `OP_REPLY`.
    pub(crate) fn document(&self) -> DocBuf {
        let from = match self.opcode() {
            MSG => {
                assert_eq!(self.bytes[20], 0, "the section is a body");
                21
            }
            REPLY => {
                assert_eq!(self.bytes[20..36], [[0; 12].as_slice(), &[1, 0, 0, 0]].concat());
                36
            }
            other => panic!("a reply of opcode {other}"),
        };
        let checksum = if self.opcode() == MSG && self.flags() & 1 != 0 { 4 } else { 0 };
        let document = &self.bytes[from..self.bytes.len() - checksum];
        validate(document).unwrap().to_buf()
    }
}

pub(crate) fn message(opcode: i32, id: i32, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for field in [16 + content.len() as i32, id, 0, opcode] {
        bytes.extend(field.to_le_bytes());
    }
    bytes.extend(content);
    bytes
}

pub(crate) fn command(name: &str, argument: i32) -> DocBuf {
    doc(|d| {
        d.i32(name, argument);
        d.str("$db", "test");
    })
}

pub(crate) fn doc(fill: impl FnOnce(&mut DocWriter)) -> DocBuf {
    let mut doc = DocWriter::new();
    fill(&mut doc);
    doc.finish()
}

pub(crate) fn body_section(body: Doc<'_>) -> Vec<u8> {
    [&[0], body.as_bytes()].concat()
}

pub(crate) fn sequence_section(name: &str, documents: &[DocBuf]) -> Vec<u8> {
    let mut content = name.as_bytes().to_vec();
    content.push(0);
    documents.iter().for_each(|d| content.extend(d.as_doc().as_bytes()));
    let mut section = vec![1];
    section.extend((content.len() as i32 + 4).to_le_bytes());
    section.extend(content);
    section
}

pub(crate) fn msg_of(id: i32, flags: u32, sections: &[Vec<u8>]) -> Vec<u8> {
    message(MSG, id, &[flags.to_le_bytes().to_vec(), sections.concat()].concat())
}

pub(crate) fn msg(id: i32, flags: u32, body: &DocBuf) -> Vec<u8> {
    msg_of(id, flags, &[body_section(body.as_doc())])
}

/// Adds a checksum: its flag, its length, itself.
pub(crate) fn with_checksum(mut message: Vec<u8>) -> Vec<u8> {
    let length = message.len() as i32 + 4;
    message[..4].copy_from_slice(&length.to_le_bytes());
    message[16] |= 1;
    let sum = crc32c::crc32c(&message);
    message.extend(sum.to_le_bytes());
    message
}

pub(crate) fn query(id: i32, namespace: &str, count: i32, body: &DocBuf) -> Vec<u8> {
    let mut content = vec![0; 4];
    content.extend(namespace.as_bytes());
    content.push(0);
    content.extend(0_i32.to_le_bytes());
    content.extend(count.to_le_bytes());
    content.extend(body.as_doc().as_bytes());
    message(QUERY, id, &content)
}
