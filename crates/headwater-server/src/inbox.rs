//! The bytes that a connection has received and not yet handled. Memory follows the bytes that really came, never a
//! length that a client only promised.

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::codec::{Header, Malformed};

/// Room for a read while nothing larger is known to come.
const READ_BYTES: usize = 8 * 1024;
/// A buffer above this is given back once it is empty.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// A connection's receive buffer: handled bytes, then messages in order, the last one possibly incomplete.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    bytes: Vec<u8>,
    start: usize,
}

impl Inbox {
    /// The bytes received and not yet handled.
    pub(crate) fn unread(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// The header of the first message, if that message is complete.
    pub(crate) fn complete(&self) -> Result<Option<Header>, Malformed> {
        let header = Header::parse(self.unread())?;
        Ok(header.filter(|header| self.unread().len() >= header.length))
    }

    /// The first `len` bytes.
    pub(crate) fn message(&self, len: usize) -> &[u8] {
        self.unread().get(..len).unwrap_or_default()
    }

    /// Marks the first `len` bytes as handled.
    pub(crate) fn consume(&mut self, len: usize) {
        self.start += len;
        if self.start >= self.bytes.len() {
            self.start = 0;
            if self.bytes.capacity() > KEPT_BYTES_MAX {
                self.bytes = Vec::new();
            } else {
                self.bytes.clear();
            }
        }
    }

    /// Takes the first `len` bytes out as a message of their own.
    pub(crate) fn detach(&mut self, len: usize) -> Vec<u8> {
        let rest = self.unread().get(len..).unwrap_or_default().to_vec();
        let mut message = std::mem::replace(&mut self.bytes, rest);
        message.truncate(self.start + len);
        message.drain(..self.start);
        self.start = 0;
        message
    }

    /// Reads once. `false` at the end of the stream. Cancelling loses nothing.
    pub(crate) async fn read<T: AsyncRead + Unpin>(
        &mut self,
        stream: &mut T,
    ) -> std::io::Result<bool> {
        self.make_room();
        Ok(stream.read_buf(&mut self.bytes).await? > 0)
    }

    /// Room for the rest of the first message, but for no more than as much again as has already come.
    fn make_room(&mut self) {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        let have = self.bytes.len();
        let wanted = Header::parse(&self.bytes).ok().flatten().map_or(0, |header| header.length);
        let missing = wanted.saturating_sub(have).min(have.max(READ_BYTES));
        self.bytes.reserve(missing.max(READ_BYTES));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length: i32, content: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        [length, 1, 0, 2013].iter().for_each(|n| bytes.extend(n.to_le_bytes()));
        bytes.extend(content);
        bytes
    }

    #[tokio::test]
    async fn memory_follows_bytes_not_promises() {
        let mut inbox = Inbox::default();
        assert!(inbox.read(&mut message(48_000_000, b"abc").as_slice()).await.unwrap());
        inbox.make_room();
        assert!(inbox.bytes.capacity() < 64 * 1024, "{}", inbox.bytes.capacity());
    }

    #[tokio::test]
    async fn a_detached_message_leaves_the_rest() {
        let mut inbox = Inbox::default();
        let two = [message(17, b"a"), message(18, b"bc"), message(40, b"")].concat();
        inbox.read(&mut two.as_slice()).await.unwrap();
        inbox.consume(17);
        assert_eq!(inbox.complete().unwrap().unwrap().length, 18);
        assert_eq!(inbox.detach(18), message(18, b"bc"));
        assert_eq!(inbox.complete(), Ok(None));
        assert_eq!(inbox.unread(), message(40, b""));
    }
}
