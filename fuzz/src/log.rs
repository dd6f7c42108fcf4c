//! The log's format read and written a second time, by the book (docs/format.md) and without the store's code: what a log of some
//! bytes holds, and whether it has to be refused.

use std::collections::BTreeMap;

use crate::disk::Files;

pub const HEADER: usize = 64;
const RECORD_HEADER: usize = 24;
const KEY_BYTES_MAX: usize = 1_900;
const PAYLOAD_BYTES_MAX: usize = 1 << 30;

/// Keys and values by table.
pub type State = BTreeMap<(u8, Vec<u8>), Vec<u8>>;

/// What a log holds.
#[derive(Debug, Default)]
pub struct Reading {
    /// Sequence number and event of each operation.
    pub events: Vec<(u64, Vec<u8>)>,
    pub state: State,
    /// Why it has to be refused.
    pub damage: Option<&'static str>,
}

struct Record<'a> {
    seq: u64,
    changes: &'a [u8],
    event: &'a [u8],
    length: usize,
}

fn number_at<const N: usize>(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + N)?;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

pub fn segment_number(name: &std::ffi::OsStr) -> Option<u64> {
    let digits = name.to_str()?.strip_suffix(".log")?;
    (digits.len() == 16).then(|| u64::from_str_radix(digits, 16).ok())?
}

/// A segment's `previous`, when its header is one.
fn header(bytes: &[u8], segment: u64) -> Option<u64> {
    let header = bytes.get(..HEADER)?;
    let (base, previous) = (number_at::<8>(header, 24)?, number_at::<8>(header, 32)?);
    let valid = header.starts_with(b"HEADWLOG")
        && number_at::<4>(header, 8)? == 1
        && number_at::<8>(header, 16)? == segment
        && number_at::<4>(header, 60)? == u64::from(crc32c::crc32c(&header[..60]))
        && (base, previous) == (if previous == 0 { 0 } else { previous.checked_add(1)? }, previous);
    valid.then_some(previous)
}

/// Makes the first bytes a header of `segment`, whatever base and previous it then names.
pub fn seal_header(bytes: &mut Vec<u8>, segment: u64) {
    bytes.resize(bytes.len().max(HEADER), 0);
    bytes[..8].copy_from_slice(b"HEADWLOG");
    bytes[8..16].copy_from_slice(&[1, 0, 0, 0, 64, 0, 0, 0]);
    bytes[16..24].copy_from_slice(&segment.to_le_bytes());
    let sum = crc32c::crc32c(&bytes[..60]);
    bytes[60..64].copy_from_slice(&sum.to_le_bytes());
}

/// Appends a record with a right checksum, whatever the payload is.
pub fn seal_record(bytes: &mut Vec<u8>, segment: u64, seq: u64, durable: u64, payload: &[u8]) {
    let length = (payload.len() as u32).to_le_bytes();
    let sum = checksum(segment, length, seq, durable, payload);
    bytes.extend_from_slice(&length);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes.extend_from_slice(&seq.to_le_bytes());
    bytes.extend_from_slice(&durable.to_le_bytes());
    bytes.extend_from_slice(payload);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
}

fn checksum(segment: u64, length: [u8; 4], seq: u64, durable: u64, payload: &[u8]) -> u32 {
    let numbers = [seq.to_le_bytes(), durable.to_le_bytes()].concat();
    let all = [&segment.to_le_bytes()[..], &length[..], &numbers[..], payload].concat();
    crc32c::crc32c(&all)
}

fn record(bytes: &[u8], segment: u64) -> Option<Record<'_>> {
    let length = number_at::<4>(bytes, 0)? as usize;
    let (seq, durable) = (number_at::<8>(bytes, 8)?, number_at::<8>(bytes, 16)?);
    if !(4..=PAYLOAD_BYTES_MAX).contains(&length) || seq == u64::MAX || durable >= seq {
        return None;
    }
    let whole = bytes.get(..(RECORD_HEADER + length).next_multiple_of(8))?;
    let (payload, padding) = whole[RECORD_HEADER..].split_at(length);
    let sum = checksum(segment, (length as u32).to_le_bytes(), seq, durable, payload);
    if number_at::<4>(bytes, 4)? != u64::from(sum) || padding.iter().any(|byte| *byte != 0) {
        return None;
    }
    let (changes, event) = payload[4..].split_at_checked(number_at::<4>(payload, 0)? as usize)?;
    apply(changes, &mut State::new())?;
    Some(Record { seq, changes, event, length: whole.len() })
}

/// `None` when the bytes are no changes.
fn apply(mut changes: &[u8], state: &mut State) -> Option<()> {
    while !changes.is_empty() {
        let (value, key) = (number_at::<4>(changes, 0)?, number_at::<2>(changes, 4)? as usize);
        let (table, rest) = (changes[..8.min(changes.len())].get(6)?, changes.get(8..)?);
        let (key, rest) = rest.split_at_checked(key)?;
        if *table > 7 || key.is_empty() || key.len() > KEY_BYTES_MAX {
            return None;
        }
        let at = (*table, key.to_vec());
        if value == u64::from(u32::MAX) {
            state.remove(&at);
            changes = rest;
        } else {
            let (value, rest) = rest.split_at_checked(value as usize)?;
            state.insert(at, value.to_vec());
            changes = rest;
        }
    }
    Some(())
}

/// Reads the log beside an empty tree.
pub fn read(files: &Files) -> Reading {
    let mut reading = Reading::default();
    let mut last = None;
    let numbered = files.iter().filter_map(|(name, bytes)| Some((segment_number(name)?, bytes)));
    let segments: BTreeMap<u64, &Vec<u8>> = numbered.collect();
    let mut before: Option<u64> = None;
    for (at, (&segment, bytes)) in segments.iter().enumerate() {
        if before.is_some_and(|before| before + 1 != segment) {
            reading.damage = Some("a segment is missing");
        }
        before = Some(segment);
        let found = match header(bytes, segment) {
            Some(previous) => {
                if previous != last.unwrap_or(0) {
                    reading.damage = Some("a segment does not follow the one before");
                }
                Some(records(bytes, segment, previous, &mut reading))
            }
            // The last one may never have begun.
            None if at + 1 == segments.len() => None,
            None => {
                reading.damage = Some("a header is damaged");
                return reading;
            }
        };
        let (end, newest) = found.unwrap_or((HEADER, last.unwrap_or(0)));
        if proof(bytes, segment, end, newest) {
            reading.damage = Some("acknowledged records stand behind the end");
        }
        last = Some(newest);
    }
    reading
}

/// Where the records end, and the newest of them.
fn records(bytes: &[u8], segment: u64, previous: u64, reading: &mut Reading) -> (usize, u64) {
    let (mut end, mut last) = (HEADER, previous);
    while let Some(record) = bytes.get(end..).and_then(|rest| record(rest, segment)) {
        if record.seq <= last {
            break;
        }
        apply(record.changes, &mut reading.state);
        reading.events.push((record.seq, record.event.to_vec()));
        last = record.seq;
        end += record.length;
    }
    (end, last)
}

/// Whether a record behind the end says that something after `last` was durable.
fn proof(bytes: &[u8], segment: u64, end: usize, last: u64) -> bool {
    (end..bytes.len()).step_by(8).any(|at| {
        let durable = number_at::<8>(bytes, at + 16).unwrap_or(0);
        let seq = number_at::<8>(bytes, at + 8).unwrap_or(0);
        (durable > last && seq > last) && record(&bytes[at..], segment).is_some()
    })
}
