//! The entries of an index that is being built, sorted: in memory, and what does not fit there in runs on the disk. Knows
//! encoded keys and record ids, nothing of documents.

use std::path::{Path, PathBuf};

use crate::collection::RecordId;
use crate::error::Result;
use crate::query::sort::runs::{Entry, Merge, Runs};

/// Collects entries in any order.
pub(in crate::commands) struct Entries {
    held: Held,
    bytes_max: usize,
    folder: PathBuf,
    runs: Option<Runs>,
    count: u64,
}

/// Entries in memory: their bytes one after the other (key, record id, types), and where each stands.
#[derive(Default)]
pub(in crate::commands) struct Held {
    bytes: Vec<u8>,
    places: Vec<Place>,
}

/// Where an entry stands: key, then record id. The first bytes of the key decide most comparisons.
#[derive(Clone, Copy)]
struct Place {
    prefix: u64,
    at: u32,
    key_bytes: u16,
    types_bytes: u16,
}

const RECORD_BYTES: usize = size_of::<RecordId>();

impl Held {
    fn len(&self) -> usize {
        self.bytes.len() + self.places.len() * size_of::<Place>()
    }

    fn key(&self, place: Place) -> &[u8] {
        let at = place.at as usize;
        self.bytes.get(at..at + usize::from(place.key_bytes)).unwrap_or_default()
    }

    fn record(&self, place: Place) -> RecordId {
        let at = place.at as usize + usize::from(place.key_bytes);
        let bytes = self.bytes.get(at..).and_then(<[u8]>::first_chunk::<RECORD_BYTES>);
        bytes.copied().map(RecordId::from_be_bytes).unwrap_or_default()
    }

    fn types(&self, place: Place) -> &[u8] {
        let at = place.at as usize + usize::from(place.key_bytes) + RECORD_BYTES;
        self.bytes.get(at..at + usize::from(place.types_bytes)).unwrap_or_default()
    }

    /// Key and types are short, as [`crate::index::keys`] makes them.
    fn push(&mut self, key: &[u8], types: &[u8], record: RecordId) {
        let head = key.len().min(size_of::<u64>());
        let mut prefix = [0; size_of::<u64>()];
        prefix[..head].copy_from_slice(&key[..head]);
        let prefix = u64::from_be_bytes(prefix);
        let (at, key_bytes, types_bytes) =
            (self.bytes.len() as u32, key.len() as u16, types.len() as u16);
        self.places.push(Place { prefix, at, key_bytes, types_bytes });
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(&record.to_be_bytes());
        self.bytes.extend_from_slice(types);
    }

    fn sort(&mut self) {
        let mut places = std::mem::take(&mut self.places);
        places.sort_unstable_by(|a, b| {
            let by_key = || self.key(*a).cmp(self.key(*b));
            let by_record = || self.record(*a).cmp(&self.record(*b));
            a.prefix.cmp(&b.prefix).then_with(by_key).then_with(by_record)
        });
        self.places = places;
    }

    fn runs_entries(&self) -> impl Iterator<Item = Entry> {
        self.places.iter().map(|place| {
            Entry::new(self.key(*place).to_vec(), self.record(*place), self.types(*place).to_vec())
        })
    }
}

impl Entries {
    /// Holds at most about `bytes_max` bytes in memory (4 GiB at most) and keeps the rest in a file in `folder`.
    pub(in crate::commands) fn new(bytes_max: usize, folder: &Path) -> Entries {
        let bytes_max = bytes_max.min(u32::MAX as usize / 2);
        let folder = folder.to_path_buf();
        Entries { held: Held::default(), bytes_max, folder, runs: None, count: 0 }
    }

    /// Takes an entry.
    ///
    /// # Errors
    /// `FileStreamFailed` (39), `OutOfDiskSpace` (14031).
    pub(in crate::commands) fn push(
        &mut self,
        key: &[u8],
        types: &[u8],
        record: RecordId,
    ) -> Result<()> {
        self.count += 1;
        self.held.push(key, types, record);
        if self.held.len() > self.bytes_max { self.spill() } else { Ok(()) }
    }

    /// How many there are.
    pub(in crate::commands) fn count(&self) -> u64 {
        self.count
    }

    fn spill(&mut self) -> Result<()> {
        self.held.sort();
        let runs = match &mut self.runs {
            Some(runs) => runs,
            None => self.runs.insert(Runs::create(&self.folder)?),
        };
        runs.append(self.held.runs_entries())?;
        self.held.bytes.clear();
        self.held.places.clear();
        Ok(())
    }

    /// The entries by key, those of the same key by record id.
    ///
    /// # Errors
    /// As [`Entries::push`].
    pub(in crate::commands) fn sorted(mut self) -> Result<Ordered> {
        if self.runs.is_some() {
            self.spill()?;
        }
        match self.runs {
            Some(runs) => Ok(Ordered::Merged(runs.merge()?, None)),
            None => {
                self.held.sort();
                Ok(Ordered::Held(self.held, 0))
            }
        }
    }
}

/// Entries in order.
pub(in crate::commands) enum Ordered {
    Held(Held, usize),
    Merged(Merge, Option<Entry>),
}

/// A key, what it does not tell of its types, and a record id.
type Next<'e> = (&'e [u8], &'e [u8], RecordId);

impl Ordered {
    /// The next entry: its key, what that does not tell of its types, and its record id.
    ///
    /// # Errors
    /// `FileStreamFailed` (39).
    pub(in crate::commands) fn next(&mut self) -> Result<Option<Next<'_>>> {
        match self {
            Ordered::Held(held, at) => {
                let Some(place) = held.places.get(*at).copied() else { return Ok(None) };
                *at += 1;
                Ok(Some((held.key(place), held.types(place), held.record(place))))
            }
            Ordered::Merged(merge, last) => {
                *last = merge.next().transpose()?;
                Ok(last
                    .as_ref()
                    .map(|entry| (entry.key.as_slice(), entry.doc.as_slice(), entry.came)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut ordered: Ordered) -> Vec<(Vec<u8>, RecordId)> {
        let mut found = Vec::new();
        while let Some((key, types, record)) = ordered.next().unwrap() {
            assert_eq!(types, &key[..record as usize % 3]);
            found.push((key.to_vec(), record));
        }
        found
    }

    #[test]
    fn entries_come_back_by_key_then_by_record_whether_they_fit_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let mut expected = Vec::new();
        for at in 0..3000_u64 {
            let number = at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 54;
            let key = format!("{}{number}", "long head ".repeat(at as usize % 3)).into_bytes();
            expected.push((key, 3000 - at));
        }
        for bytes_max in [1 << 20, 20_000] {
            let mut entries = Entries::new(bytes_max, folder.path());
            for (key, record) in &expected {
                entries.push(key, &key[..*record as usize % 3], *record).unwrap();
            }
            assert_eq!(entries.count(), 3000);
            assert_eq!(entries.runs.is_some(), bytes_max == 20_000);
            let mut sorted = expected.clone();
            sorted.sort_unstable();
            assert!(all(entries.sorted().unwrap()) == sorted);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "a file is left");
    }
}
