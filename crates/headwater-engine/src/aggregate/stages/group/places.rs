//! The numbers of groups by their encoded keys. Short keys stand in the table itself, long ones behind each other in one
//! buffer, so that a look-up meets little memory and no key is allocated for itself.
//!
//! Knows bytes and numbers, nothing of groups.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

/// Longest key that stands in the table.
const SHORT: usize = 16;

/// Keys, numbered in the order in which they first came.
#[derive(Debug, Default)]
pub(super) struct Places {
    hasher: DefaultHashBuilder,
    table: HashTable<Slot>,
    /// The keys that are too long for the table.
    long: Vec<u8>,
}

#[derive(Debug)]
struct Slot {
    hash: u64,
    /// The key if it is short, else where it begins in [`Places::long`].
    bytes: [u8; SHORT],
    len: u32,
    at: u32,
}

impl Slot {
    fn new(hash: u64, key: &[u8], at: u32, long: &mut Vec<u8>) -> Slot {
        let mut bytes = [0; SHORT];
        match bytes.get_mut(..key.len()) {
            Some(short) => short.copy_from_slice(key),
            None => {
                if let Some(start) = bytes.first_chunk_mut() {
                    *start = long.len().to_le_bytes();
                }
                long.extend_from_slice(key);
            }
        }
        Slot { hash, bytes, len: u32::try_from(key.len()).unwrap_or(u32::MAX), at }
    }

    fn is(&self, hash: u64, key: &[u8], long: &[u8]) -> bool {
        if self.hash != hash || self.len as usize != key.len() {
            return false;
        }
        if key.len() <= SHORT {
            return self.bytes.starts_with(key);
        }
        let start = self.bytes.first_chunk().map_or(0, |start| usize::from_le_bytes(*start));
        long.get(start..start + key.len()) == Some(key)
    }
}

impl Places {
    /// No keys yet; they are hashed like this.
    pub(super) fn with_hasher(hasher: DefaultHashBuilder) -> Places {
        Places { hasher, ..Places::default() }
    }

    /// The hash of a key.
    #[inline]
    pub(super) fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key)
    }

    /// The number of a key.
    #[inline]
    pub(super) fn get(&self, key: &[u8]) -> Option<usize> {
        self.find(self.hash(key), key)
    }

    /// The number of a key with its hash.
    #[inline]
    pub(super) fn find(&self, hash: u64, key: &[u8]) -> Option<usize> {
        let slot = self.table.find(hash, |slot| slot.is(hash, key, &self.long));
        slot.map(|slot| slot.at as usize)
    }

    /// Gives a key with its hash, which is not there yet, the number `at`.
    pub(super) fn insert(&mut self, hash: u64, key: &[u8], at: usize) {
        // A group takes more than a byte, so memory ends before their numbers do.
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        let slot = Slot::new(hash, key, at, &mut self.long);
        self.table.insert_unique(hash, slot, |slot| slot.hash);
    }

    /// The bytes that a key takes, roughly.
    pub(super) fn bytes_of(key: &[u8]) -> usize {
        let long = if key.len() > SHORT { key.len() } else { 0 };
        long + 2 * size_of::<Slot>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_every_length_are_found_again() {
        let mut places = Places::default();
        let keys: Vec<Vec<u8>> =
            (0..2000_usize).map(|n| [&n.to_be_bytes()[..], &[7].repeat(n % 40)].concat()).collect();
        for (at, key) in keys.iter().enumerate() {
            assert_eq!(places.get(key), None);
            places.insert(places.hash(key), key, at);
        }
        for (at, key) in keys.iter().enumerate() {
            assert_eq!(places.get(key), Some(at));
            assert_eq!(places.get(&key[1..]), None);
        }
    }
}
