//! What is asked of every engine. A document is a row of 239 bytes under a 12-byte record key and
//! an index entry of 17 bytes that holds the record's number, both written atomically.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) const ROW_BYTES: usize = 239;

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// An engine opened in a folder.
pub(crate) trait Engine: Send + Sync {
    /// Writes one document; durable when it returns. Called by many threads at once.
    fn write(&self, number: u64, version: u64) -> Result<(), Failure>;
    /// Writes documents in one go; durable when it returns.
    fn load(&self, numbers: &mut dyn Iterator<Item = u64>, version: u64) -> Result<(), Failure>;
    /// Runs `read` on one consistent state.
    fn read(&self, read: &mut dyn FnMut(&dyn Reader) -> Result<(), Failure>)
    -> Result<(), Failure>;
    /// Waits until background work is over.
    fn settle(&self) -> Result<(), Failure>;
}

/// One consistent state.
pub(crate) trait Reader {
    /// Length of a document, found by its record number.
    fn get(&self, number: u64) -> Result<Option<usize>, Failure>;
    /// Documents in the table and their bytes.
    fn scan(&self) -> Result<(u64, usize), Failure>;
    /// Documents by an index range, each fetched.
    fn index(&self, from: u64, count: usize) -> Result<usize, Failure>;
}

pub(crate) type Open = fn(&Path) -> Result<Box<dyn Engine>, Failure>;

/// The engines measured, ours first.
pub(crate) const ENGINES: [(&str, Open); 3] = [
    ("headwater", super::headwater::open),
    ("LMDB", super::lmdb::open),
    ("fjall", super::fjall::open),
];

pub(crate) fn row_key(number: u64) -> [u8; 12] {
    let mut key = [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    key[4..].copy_from_slice(&number.to_be_bytes());
    key
}

/// An object id that rises with the number, as drivers make them.
pub(crate) fn index_key(number: u64) -> [u8; 17] {
    let mut key = *b"\0\0\0\x02\x07tttt-rand\0\0\0";
    key[5..9].copy_from_slice(&((number >> 12) as u32).to_be_bytes());
    key[14..].copy_from_slice(&(number as u32).to_be_bytes()[1..]);
    key
}

pub(crate) fn row(number: u64, version: u64) -> [u8; ROW_BYTES] {
    let mut row = [b'x'; ROW_BYTES];
    row[..8].copy_from_slice(&number.to_le_bytes());
    row[8..16].copy_from_slice(&version.to_le_bytes());
    row
}

/// Numbers that look random and don't repeat soon.
pub(crate) fn scatter(step: u64) -> u64 {
    let mut mixed = step.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Group commit for engines that don't have their own: one sync for everyone who waits.
#[derive(Default)]
pub(crate) struct Group {
    done: AtomicU64,
    leading: Mutex<()>,
}

impl Group {
    /// Returns once `ticket` is covered; one of the callers runs `commit`, which says what it
    /// covered.
    pub(crate) fn wait(
        &self,
        ticket: u64,
        commit: impl FnOnce() -> Result<u64, Failure>,
    ) -> Result<(), Failure> {
        if self.done.load(Ordering::Acquire) >= ticket {
            return Ok(());
        }
        let _leading = self.leading.lock().map_err(|_| "a leader panicked")?;
        if self.done.load(Ordering::Acquire) < ticket {
            self.done.store(commit()?, Ordering::Release);
        }
        Ok(())
    }
}
