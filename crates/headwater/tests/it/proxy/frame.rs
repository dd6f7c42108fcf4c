//! One message of the wire protocol as a proxy sees it: its numbers, and the name of the command in it.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

const HEADER: usize = 16;
/// Above what any driver or server sends.
const MESSAGE_MAX: usize = 64 << 20;
const OP_MSG: u32 = 2013;
const OP_QUERY: u32 = 2004;

pub(super) struct Frame {
    pub(super) bytes: Vec<u8>,
}

impl Frame {
    /// The next message, `None` at the end of the stream.
    pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Frame>> {
        let mut bytes = vec![0; HEADER];
        match stream.read_exact(&mut bytes).await {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        let length = u32_at(&bytes, 0) as usize;
        if !(HEADER..=MESSAGE_MAX).contains(&length) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "no message"));
        }
        bytes.resize(length, 0);
        stream.read_exact(&mut bytes[HEADER..]).await?;
        Ok(Some(Frame { bytes }))
    }

    pub(super) fn request_id(&self) -> u32 {
        u32_at(&self.bytes, 4)
    }

    pub(super) fn response_to(&self) -> u32 {
        u32_at(&self.bytes, 8)
    }

    /// The name of the command: the first field of the body. `query` for what drivers of old begin with.
    pub(super) fn command(&self) -> &str {
        match u32_at(&self.bytes, 12) {
            OP_QUERY => "hello",
            // Flags, the kind of the first section, the document's length, the first element's type.
            OP_MSG => name_at(&self.bytes, HEADER + 4 + 1 + 4 + 1),
            _ => "",
        }
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].try_into().map_or(0, u32::from_le_bytes)
}

fn name_at(bytes: &[u8], at: usize) -> &str {
    let rest = bytes.get(at..).unwrap_or_default();
    let end = rest.iter().position(|byte| *byte == 0).unwrap_or(0);
    std::str::from_utf8(&rest[..end]).unwrap_or_default()
}
