//! One log record as bytes: everything one operation changed, plus its event. Layout in
//! docs/format.md. Knows no files.

use crate::Seq;
use crate::change;

pub(crate) const RECORD_HEADER: usize = 24;
const CHANGES_LENGTH: usize = 4;
pub(crate) const ALIGNMENT: usize = 8;

/// A record read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RawRecord<'a> {
    pub(crate) seq: Seq,
    /// What the writer knew to be durable when it appended this.
    pub(crate) durable: Seq,
    pub(crate) changes: &'a [u8],
    pub(crate) event: &'a [u8],
    /// Bytes up to the next record.
    pub(crate) length: usize,
}

/// Why the bytes at an offset are no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// At least so many bytes are needed to say more.
    Needs(usize),
    /// Not a record of this segment, or a damaged one.
    Invalid,
}

/// Bytes a record takes in the log.
pub(crate) fn length(changes: usize, event: usize) -> usize {
    (RECORD_HEADER + CHANGES_LENGTH + changes + event).next_multiple_of(ALIGNMENT)
}

/// Where the changes start in a record.
pub(crate) const CHANGES_AT: usize = RECORD_HEADER + CHANGES_LENGTH;

/// Bytes a record with a payload of this length takes in the log.
pub(crate) fn framed(payload: usize) -> usize {
    (RECORD_HEADER + payload).next_multiple_of(ALIGNMENT)
}

/// A quick look at whether `bytes` may start a record that follows `last`: says how many bytes its
/// checksum covers.
pub(crate) fn plausible(bytes: &[u8], last: Seq) -> Option<usize> {
    let header = bytes.first_chunk::<RECORD_HEADER>()?;
    let length = u32::from_le_bytes(*header.first_chunk()?) as usize;
    let (seq, durable) = (little(header.get(8..16)?), little(header.get(16..24)?));
    let fits = length >= CHANGES_LENGTH && framed(length) <= bytes.len();
    (fits && durable > last && seq > durable).then_some(length)
}

/// Appends a record to `bytes`.
pub(crate) fn encode(
    bytes: &mut Vec<u8>,
    segment: u64,
    seq: Seq,
    durable: Seq,
    changes: &[u8],
    event: &[u8],
) {
    let payload = CHANGES_LENGTH + changes.len() + event.len();
    let length = (payload as u32).to_le_bytes();
    let changes_length = (changes.len() as u32).to_le_bytes();
    let mut sum = head_checksum(segment, length, seq, durable);
    sum = crc32c::crc32c_append(sum, &changes_length);
    sum = crc32c::crc32c_append(sum, changes);
    sum = crc32c::crc32c_append(sum, event);
    bytes.extend_from_slice(&length);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes.extend_from_slice(&seq.to_le_bytes());
    bytes.extend_from_slice(&durable.to_le_bytes());
    bytes.extend_from_slice(&changes_length);
    bytes.extend_from_slice(changes);
    bytes.extend_from_slice(event);
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
}

/// Reads the record that starts `bytes`, with its checksum checked and its changes well-formed.
pub(crate) fn decode(bytes: &[u8], segment: u64) -> Result<RawRecord<'_>, Unreadable> {
    let (header, rest) =
        bytes.split_first_chunk::<RECORD_HEADER>().ok_or(Unreadable::Needs(RECORD_HEADER))?;
    let [a, b, c, d, e, f, g, h, words @ ..] = *header;
    let (length, sum) = ([a, b, c, d], u32::from_le_bytes([e, f, g, h]));
    let (seq, durable) = words.split_at(8);
    let (seq, durable) = (little(seq), little(durable));
    if seq == Seq::MAX || durable >= seq {
        return Err(Unreadable::Invalid);
    }
    let payload = u32::from_le_bytes(length) as usize;
    if !(CHANGES_LENGTH..=crate::RECORD_BYTES_MAX).contains(&payload) {
        return Err(Unreadable::Invalid);
    }
    let total = (RECORD_HEADER + payload).next_multiple_of(ALIGNMENT);
    let framed = rest.get(..total - RECORD_HEADER).ok_or(Unreadable::Needs(total))?;
    let (payload, padding) = framed.split_at_checked(payload).ok_or(Unreadable::Invalid)?;
    if padding.iter().any(|byte| *byte != 0) {
        return Err(Unreadable::Invalid);
    }
    let head = head_checksum(segment, length, seq, durable);
    if crc32c::crc32c_append(head, payload) != sum {
        return Err(Unreadable::Invalid);
    }
    let (changes, event) = split(payload).ok_or(Unreadable::Invalid)?;
    Ok(RawRecord { seq, durable, changes, event, length: total })
}

fn split(payload: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = payload.split_first_chunk::<CHANGES_LENGTH>()?;
    let (changes, event) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let mut remaining = changes;
    while !remaining.is_empty() {
        let (change, length) = change::decode(remaining)?;
        if !change.is_valid() {
            return None;
        }
        remaining = remaining.get(length..)?;
    }
    Some((changes, event))
}

fn little(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

fn head_checksum(segment: u64, length: [u8; 4], seq: Seq, durable: Seq) -> u32 {
    let mut head = [0; 28];
    head[..8].copy_from_slice(&segment.to_le_bytes());
    head[8..12].copy_from_slice(&length);
    head[12..20].copy_from_slice(&seq.to_le_bytes());
    head[20..].copy_from_slice(&durable.to_le_bytes());
    crc32c::crc32c(&head)
}
