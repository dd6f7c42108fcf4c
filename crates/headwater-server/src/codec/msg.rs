//! `OP_MSG`: flags, a body section, document sequences, an optional CRC-32C.

use headwater_engine::bson::{Doc, validate_command};
use headwater_engine::error::Code;
use headwater_engine::{Error, Sequence};

use super::header::HEADER_BYTES;
use super::{Command, Fault, Header, Malformed, opcode, walk};

/// A CRC-32C follows the sections.
pub const CHECKSUM_PRESENT: u32 = 1;
/// In a request: no reply is wanted. In a reply: another one follows by itself.
pub const MORE_TO_COME: u32 = 1 << 1;
/// In a request: replies may follow each other by themselves.
pub const EXHAUST_ALLOWED: u32 = 1 << 16;

const REQUIRED_BITS: u32 = 0xFFFF;
const CHECKSUM_BYTES: usize = 4;
/// `bulkWrite` has two; no command has more.
const SEQUENCES_MAX: usize = 2;

/// The flags of a whole message.
///
/// # Errors
/// A message that is cut short, an unknown required flag.
pub fn flags(message: &[u8]) -> Result<u32, Malformed> {
    let mut rest = message.get(HEADER_BYTES..).unwrap_or_default();
    let flags = walk::int32(&mut rest).ok_or(Malformed::CutShort)?.cast_unsigned();
    if flags & REQUIRED_BITS & !(CHECKSUM_PRESENT | MORE_TO_COME) != 0 {
        return Err(Malformed::Flags(flags));
    }
    if flags & CHECKSUM_PRESENT != 0 && rest.len() < CHECKSUM_BYTES {
        return Err(Malformed::CutShort);
    }
    Ok(flags)
}

/// The command in a whole message whose flags are known, every document validated, and the checksum compared where there
/// is one. Takes as long as the message is.
///
/// # Errors
/// The error reply that MongoDB gives; [`Malformed::Sequences`] and [`Malformed::Checksum`] close the connection.
pub fn command(message: &[u8], flags: u32) -> Result<Command<'_>, Fault> {
    if flags & CHECKSUM_PRESENT != 0 {
        let (covered, declared) = message.split_last_chunk::<4>().ok_or(Malformed::CutShort)?;
        if crc32c::crc32c(covered) != u32::from_le_bytes(*declared) {
            return Err(Malformed::Checksum.into());
        }
    }
    sections(message, flags, validate_command)
}

/// As [`command`], for a message that went through it before: documents are not validated again.
///
/// # Errors
/// As [`command`].
pub fn trusted_command(message: &[u8], flags: u32) -> Result<Command<'_>, Fault> {
    sections(message, flags, |bytes| Ok(Doc::trusted(bytes)))
}

fn sections<'a>(
    message: &'a [u8],
    flags: u32,
    check: impl Fn(&'a [u8]) -> Result<Doc<'a>, Error>,
) -> Result<Command<'a>, Fault> {
    let end = message.len().saturating_sub(checksum_bytes(flags));
    let mut rest = message.get(HEADER_BYTES + 4..end).unwrap_or_default();
    let mut body = None;
    let mut sequences = Vec::new();
    while let Some((&kind, tail)) = rest.split_first() {
        rest = tail;
        match kind {
            0 if body.is_some() => {
                return Err(Error::location(40430, "Multiple body sections in message").into());
            }
            0 => body = Some(check(walk::document(&mut rest).ok_or_else(cut_short)?)?),
            1 if sequences.len() == SEQUENCES_MAX => return Err(Malformed::Sequences.into()),
            1 => {
                let sequence = sequence(&mut rest, &check)?;
                if sequences.iter().any(|s: &Sequence<'_>| s.name == sequence.name) {
                    let what = format!("Duplicate document sequence: {}", sequence.name);
                    return Err(Error::location(40431, what).into());
                }
                sequences.push(sequence);
            }
            _ => return Err(Error::location(40432, format!("Unknown section kind {kind}")).into()),
        }
    }
    let no_body = || Error::location(40587, "OP_MSG messages must have a body section");
    let body = body.ok_or_else(no_body)?;
    if let Some(twice) = sequences.iter().find(|s| body.get(s.name).is_some()) {
        let what = format!("Duplicate field between body and document sequence {}", twice.name);
        return Err(Error::location(40433, what).into());
    }
    Ok(Command { body, sequences })
}

fn sequence<'a>(
    rest: &mut &'a [u8],
    check: &impl Fn(&'a [u8]) -> Result<Doc<'a>, Error>,
) -> Result<Sequence<'a>, Error> {
    let size = rest.first_chunk::<4>().map(|head| i32::from_le_bytes(*head));
    let size = size.and_then(|size| usize::try_from(size).ok()).ok_or_else(cut_short)?;
    let (section, tail) = rest.split_at_checked(size).ok_or_else(cut_short)?;
    let mut inside = section.get(4..).ok_or_else(cut_short)?;
    let name = walk::cstring(&mut inside).ok_or_else(cut_short)?;
    let mut documents = Vec::new();
    while !inside.is_empty() {
        documents.push(check(walk::document(&mut inside).ok_or_else(cut_short)?)?);
    }
    *rest = tail;
    Ok(Sequence { name, documents })
}

#[cold]
fn cut_short() -> Error {
    Error::new(Code::INVALID_BSON, "OP_MSG section does not fit into its message")
}

fn checksum_bytes(flags: u32) -> usize {
    if flags & CHECKSUM_PRESENT == 0 { 0 } else { CHECKSUM_BYTES }
}

/// Starts a message with one body section at the end of `out`: everything up to the document.
/// [`finish`] ends it once the document is appended.
pub fn start(out: &mut Vec<u8>, request_id: i32, response_to: i32, flags: u32) {
    Header { length: 0, request_id, response_to, opcode: opcode::MSG }.write(out);
    out.extend_from_slice(&flags.to_le_bytes());
    out.push(0);
}

/// Ends the message that starts at `start` of `out`: checksum if `flags` say so, and the length.
pub fn finish(out: &mut Vec<u8>, start: usize, flags: u32) {
    out.extend_from_slice(&[0; CHECKSUM_BYTES][..checksum_bytes(flags)]);
    Header::patch_length(out, start);
    if flags & CHECKSUM_PRESENT != 0 {
        let end = out.len() - CHECKSUM_BYTES;
        let sum = crc32c::crc32c(out.get(start..end).unwrap_or_default());
        out.truncate(end);
        out.extend_from_slice(&sum.to_le_bytes());
    }
}
