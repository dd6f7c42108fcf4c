//! `OP_COMPRESSED`: a message in a message. The declared length is checked before anything is allocated, and what
//! comes out must have exactly that length.

use std::io::Write;

use flate2::{Compression, Decompress, FlushDecompress, Status};
use headwater_engine::limits::MESSAGE_BYTES_MAX;

use super::header::HEADER_BYTES;
use super::{Header, Malformed, opcode, walk};

/// A way to compress messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Compressor {
    Noop = 0,
    Snappy = 1,
    Zlib = 2,
    Zstd = 3,
}

/// The compressors that a client may ask for, by name. `noop` is understood but never offered.
pub const OFFERED: &[(&str, Compressor)] =
    &[("snappy", Compressor::Snappy), ("zlib", Compressor::Zlib), ("zstd", Compressor::Zstd)];

/// No deflate stream makes more than this of one byte. Source: zlib's technical details.
const ZLIB_RATIO_MAX: usize = 1032;
/// A snappy copy of 64 bytes takes at least three.
const SNAPPY_RATIO_MAX: usize = 22;
const ZSTD_LEVEL: i32 = 3;

impl Compressor {
    /// The compressor of a number on the wire.
    pub fn from_id(id: u8) -> Option<Compressor> {
        [Compressor::Noop, Compressor::Snappy, Compressor::Zlib, Compressor::Zstd]
            .into_iter()
            .find(|&c| c as u8 == id)
    }
}

/// The length that a whole `OP_COMPRESSED` message declares for the message that it holds, in bytes; 0 if it is cut
/// short or negative.
pub fn declared_bytes(message: &[u8]) -> usize {
    let mut rest = message.get(HEADER_BYTES + 4..).unwrap_or_default();
    walk::int32(&mut rest).and_then(|declared| usize::try_from(declared).ok()).unwrap_or(0)
}

/// Unpacks a whole `OP_COMPRESSED` message into the message that it holds, with a header of its own.
///
/// # Errors
/// Anything that lies closes the connection: there is nothing sound to answer to.
pub fn decompress(header: &Header, message: &[u8]) -> Result<(Vec<u8>, Compressor), Malformed> {
    let mut rest = message.get(HEADER_BYTES..).unwrap_or_default();
    let original = walk::int32(&mut rest).ok_or(Malformed::CutShort)?;
    let declared = walk::int32(&mut rest).ok_or(Malformed::CutShort)?;
    let (&id, data) = rest.split_first().ok_or(Malformed::CutShort)?;
    let compressor = Compressor::from_id(id).ok_or(Malformed::Compressor(id))?;
    if original == opcode::COMPRESSED {
        return Err(Malformed::Opcode(original));
    }
    let payload = usize::try_from(declared).ok().filter(|n| *n <= MESSAGE_BYTES_MAX - HEADER_BYTES);
    let payload = payload.ok_or(Malformed::Length(declared))?;
    if !plausible(compressor, data, payload) {
        return Err(Malformed::Compressed);
    }
    let length = HEADER_BYTES + payload;
    let mut out = Vec::with_capacity(length);
    Header { length, opcode: original, ..*header }.write(&mut out);
    unpack(compressor, data, payload, &mut out).ok_or(Malformed::Compressed)?;
    if out.len() == length { Ok((out, compressor)) } else { Err(Malformed::Compressed) }
}

/// Whether `data` can become `payload` bytes at all; asked before memory is set aside for them.
fn plausible(compressor: Compressor, data: &[u8], payload: usize) -> bool {
    match compressor {
        Compressor::Noop => data.len() == payload,
        Compressor::Snappy => {
            payload / SNAPPY_RATIO_MAX <= data.len()
                && snap::raw::decompress_len(data).is_ok_and(|len| len == payload)
        }
        Compressor::Zlib => payload / ZLIB_RATIO_MAX <= data.len(),
        Compressor::Zstd => match zstd::zstd_safe::get_frame_content_size(data) {
            Ok(Some(len)) => len == payload as u64,
            Ok(None) => true,
            Err(_) => false,
        },
    }
}

fn unpack(compressor: Compressor, data: &[u8], payload: usize, out: &mut Vec<u8>) -> Option<()> {
    match compressor {
        Compressor::Noop => out.extend_from_slice(data),
        Compressor::Snappy => {
            out.resize(HEADER_BYTES + payload, 0);
            let room = out.get_mut(HEADER_BYTES..)?;
            snap::raw::Decoder::new().decompress(data, room).ok()?;
        }
        Compressor::Zlib => {
            let mut inflate = Decompress::new(true);
            let end = inflate.decompress_vec(data, out, FlushDecompress::Finish).ok()?;
            (end == Status::StreamEnd && inflate.total_in() == data.len() as u64).then_some(())?;
        }
        Compressor::Zstd => {
            let unpacked = zstd::bulk::decompress(data, payload).ok()?;
            out.extend_from_slice(&unpacked);
        }
    }
    Some(())
}

/// Replaces the message that starts at `start` of `out` by its compressed form.
pub fn compress(out: &mut Vec<u8>, start: usize, compressor: Compressor) {
    let message = out.split_off(start);
    let header = Header::parse(&message).ok().flatten();
    let (Some(header), Some(payload)) = (header, message.get(HEADER_BYTES..)) else {
        return out.extend_from_slice(&message);
    };
    Header { opcode: opcode::COMPRESSED, ..header }.write(out);
    out.extend_from_slice(&header.opcode.to_le_bytes());
    out.extend_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.push(compressor as u8);
    match pack(compressor, payload) {
        Some(packed) => {
            out.extend_from_slice(&packed);
            Header::patch_length(out, start);
        }
        None => {
            out.truncate(start);
            out.extend_from_slice(&message);
        }
    }
}

fn pack(compressor: Compressor, payload: &[u8]) -> Option<Vec<u8>> {
    match compressor {
        Compressor::Noop => Some(payload.to_vec()),
        Compressor::Snappy => snap::raw::Encoder::new().compress_vec(payload).ok(),
        Compressor::Zlib => {
            let mut deflate = flate2::write::ZlibEncoder::new(Vec::new(), Compression::default());
            deflate.write_all(payload).ok()?;
            deflate.finish().ok()
        }
        Compressor::Zstd => zstd::bulk::compress(payload, ZSTD_LEVEL).ok(),
    }
}
