//! One physical change (put or delete) as bytes: the form shared by the log's payload and the
//! overlays. Layout in docs/format.md.

use crate::Table;
use crate::options::{KEY_BYTES_MAX, TABLES};

/// Bytes before the key: value length, key length, table, zero.
pub(crate) const CHANGE_HEADER: usize = 8;
const DELETED: u32 = u32::MAX;

/// A change read back: `value` is `None` for a delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change<'a> {
    /// The table changed.
    pub table: Table,
    /// The key changed.
    pub key: &'a [u8],
    /// The new value, or `None` for a delete.
    pub value: Option<&'a [u8]>,
}

impl Change<'_> {
    /// Whether an operation could have made it.
    pub(crate) fn is_valid(&self) -> bool {
        usize::from(self.table.0) < TABLES && (1..=KEY_BYTES_MAX).contains(&self.key.len())
    }
}

/// Appends a change. Lengths were checked by the caller.
pub(crate) fn encode(bytes: &mut Vec<u8>, table: Table, key: &[u8], value: Option<&[u8]>) {
    let length = value.map_or(DELETED, |value| value.len() as u32);
    bytes.reserve(CHANGE_HEADER + key.len() + value.map_or(0, <[u8]>::len));
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&(key.len() as u16).to_le_bytes());
    bytes.extend_from_slice(&[table.0, 0]);
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(value.unwrap_or_default());
}

/// Reads the change that starts `bytes` and says how long it is; `None` when the bytes lie.
#[inline]
pub(crate) fn decode(bytes: &[u8]) -> Option<(Change<'_>, usize)> {
    let (&[a, b, c, d, e, f, table, _], rest) = bytes.split_first_chunk::<CHANGE_HEADER>()?;
    let length = u32::from_le_bytes([a, b, c, d]);
    let (key, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([e, f])))?;
    let value = match length {
        DELETED => None,
        length => Some(rest.get(..length as usize)?),
    };
    let total = CHANGE_HEADER + key.len() + value.map_or(0, <[u8]>::len);
    Some((Change { table: Table(table), key, value }, total))
}

/// The changes of a payload in order.
#[derive(Debug, Clone)]
pub struct Changes<'a> {
    rest: &'a [u8],
}

impl<'a> Changes<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Changes<'a> {
        Changes { rest: bytes }
    }
}

impl<'a> Iterator for Changes<'a> {
    type Item = Change<'a>;

    fn next(&mut self) -> Option<Change<'a>> {
        let (change, length) = decode(self.rest)?;
        self.rest = self.rest.get(length..)?;
        Some(change)
    }
}
