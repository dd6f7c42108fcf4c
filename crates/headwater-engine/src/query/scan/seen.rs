//! Which documents a scan has met: a set of record ids that counts its memory and has a limit.

use std::collections::HashMap;

use crate::collection::RecordId;
use crate::error::{Code, Error, Result};
use crate::limits::DEDUP_BYTES_MAX;

/// Record ids, in pieces of 65,536: few of a piece as a sorted list, many as bits.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pieces: HashMap<u64, Piece>,
    bytes: usize,
}

#[derive(Debug)]
enum Piece {
    Few(Vec<u16>),
    Many(Box<[u64; WORDS]>),
}

const WORDS: usize = 1024;
/// Ids from which on bits take less room than a list.
const MANY: usize = 4096;
/// What a piece takes beside its ids.
const PIECE_BYTES: usize = 64;

impl Seen {
    pub(super) fn contains(&self, record: RecordId) -> bool {
        let low = record as u16;
        match self.pieces.get(&(record >> 16)) {
            None => false,
            Some(Piece::Few(ids)) => ids.binary_search(&low).is_ok(),
            Some(Piece::Many(bits)) => {
                bits.get(usize::from(low >> 6)).is_some_and(|word| word >> (low & 63) & 1 != 0)
            }
        }
    }

    /// Adds a record.
    ///
    /// # Errors
    /// `QueryExceededMemoryLimitNoDiskUseAllowed` (292) when there is no room for more.
    pub(super) fn insert(&mut self, record: RecordId) -> Result<()> {
        let low = record as u16;
        let bytes = &mut self.bytes;
        let piece = self.pieces.entry(record >> 16).or_insert_with(|| {
            *bytes += PIECE_BYTES;
            Piece::Few(Vec::new())
        });
        if let Piece::Few(ids) = piece {
            let before = ids.capacity();
            if let Err(at) = ids.binary_search(&low) {
                ids.insert(at, low);
            }
            *bytes += 2 * (ids.capacity() - before);
            if ids.len() > MANY {
                *bytes = bytes.saturating_sub(2 * ids.capacity()) + 8 * WORDS;
                let mut bits = Box::new([0; WORDS]);
                ids.iter().for_each(|&id| set(&mut bits, id));
                *piece = Piece::Many(bits);
            }
        } else if let Piece::Many(bits) = piece {
            set(bits, low);
        }
        match self.bytes > DEDUP_BYTES_MAX {
            true => Err(too_much()),
            false => Ok(()),
        }
    }
}

fn set(bits: &mut [u64; WORDS], id: u16) {
    if let Some(word) = bits.get_mut(usize::from(id >> 6)) {
        *word |= 1 << (id & 63);
    }
}

#[cold]
fn too_much() -> Error {
    let message = format!(
        "Exceeded memory limit of {DEDUP_BYTES_MAX} bytes for telling documents apart that several keys lead to"
    );
    Error::new(Code::QUERY_EXCEEDED_MEMORY_LIMIT_NO_DISK_USE_ALLOWED, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_knows_what_was_put_in_and_how_much_it_holds() {
        let mut seen = Seen::default();
        for record in (0..200_000).step_by(3).chain([1 << 40, u64::MAX]) {
            seen.insert(record).unwrap();
            seen.insert(record).unwrap();
        }
        for record in 0..200_000 {
            assert_eq!(seen.contains(record), record % 3 == 0, "{record}");
        }
        assert!(seen.contains(u64::MAX) && seen.contains(1 << 40) && !seen.contains(1 << 41));
        assert!(seen.bytes < 6 * (8 * WORDS + PIECE_BYTES) + 1000, "{}", seen.bytes);
    }
}
