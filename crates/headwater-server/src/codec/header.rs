//! The 16 bytes that every message starts with.

use headwater_engine::limits::MESSAGE_BYTES_MAX;

use super::{Malformed, walk};

/// Length of a message header in bytes.
pub const HEADER_BYTES: usize = 16;

/// The opcodes of the protocol. Source: the wire protocol page of MongoDB's manual.
#[allow(missing_docs)]
pub mod opcode {
    pub const REPLY: i32 = 1;
    pub const QUERY: i32 = 2004;
    pub const COMPRESSED: i32 = 2012;
    pub const MSG: i32 = 2013;
}

/// A message's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Length of the whole message in bytes, these 16 included.
    pub length: usize,
    /// The sender's number of this message.
    pub request_id: i32,
    /// The number of the message that this one answers; 0 in a request.
    pub response_to: i32,
    /// What the message is, see [`opcode`].
    pub opcode: i32,
}

impl Header {
    /// Reads the header at the head of `bytes`; `None` while fewer than 16 bytes are there.
    ///
    /// # Errors
    /// [`Malformed::Length`] if the length is below 16 or above the limit of 48,000,000 bytes.
    pub fn parse(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
        let mut rest = bytes;
        let mut next = || walk::int32(&mut rest);
        let (Some(length), Some(request_id), Some(response_to), Some(opcode)) =
            (next(), next(), next(), next())
        else {
            return Ok(None);
        };
        match usize::try_from(length) {
            Ok(bytes) if (HEADER_BYTES..=MESSAGE_BYTES_MAX).contains(&bytes) => {
                Ok(Some(Header { length: bytes, request_id, response_to, opcode }))
            }
            _ => Err(Malformed::Length(length)),
        }
    }

    /// Appends the header.
    pub fn write(&self, out: &mut Vec<u8>) {
        let length = i32::try_from(self.length).unwrap_or(i32::MAX);
        for field in [length, self.request_id, self.response_to, self.opcode] {
            out.extend_from_slice(&field.to_le_bytes());
        }
    }

    /// Writes the length of the message that starts at `start` of `out` and ends where `out` ends.
    pub(crate) fn patch_length(out: &mut [u8], start: usize) {
        let length = i32::try_from(out.len().saturating_sub(start)).unwrap_or(i32::MAX);
        if let Some(field) = out.get_mut(start..start + 4) {
            field.copy_from_slice(&length.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_out_of_bounds_are_refused() {
        for (length, good) in [
            (-1, false),
            (0, false),
            (15, false),
            (16, true),
            (48_000_000, true),
            (48_000_001, false),
        ] {
            let mut bytes = Vec::new();
            [length, 1, 0, 2013].iter().for_each(|n: &i32| bytes.extend(n.to_le_bytes()));
            assert_eq!(Header::parse(&bytes).is_ok(), good, "{length}");
        }
        assert_eq!(Header::parse(&[0; 15]), Ok(None));
    }
}
