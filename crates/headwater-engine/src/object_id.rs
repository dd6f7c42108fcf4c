//! New ObjectIds: seconds, five random bytes of this process, a counter. Source: the ObjectId specification.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Makes ObjectIds that rise within this process.
#[derive(Debug)]
pub struct ObjectIds {
    random: [u8; 5],
    counter: AtomicU32,
}

impl Default for ObjectIds {
    fn default() -> ObjectIds {
        // The standard library's hash keys are random for each state: enough for ids, which are no secrets.
        let [a, b, c, d, e, f, g, h] = RandomState::new().build_hasher().finish().to_le_bytes();
        ObjectIds {
            random: [a, b, c, d, e],
            counter: AtomicU32::new(u32::from_le_bytes([f, g, h, 0])),
        }
    }
}

impl ObjectIds {
    /// The next ObjectId.
    pub fn next(&self) -> [u8; 12] {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let [_, count @ ..] = self.counter.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let mut id = [0; 12];
        id[..4].copy_from_slice(&(now as u32).to_be_bytes());
        id[4..9].copy_from_slice(&self.random);
        id[9..].copy_from_slice(&count);
        id
    }
}

/// A UUID as MongoDB prints it.
pub fn uuid_text(uuid: &[u8; 16]) -> String {
    let hex: String = uuid.iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)];
    let parts: Vec<_> = parts.iter().filter_map(|&(from, to)| hex.get(from..to)).collect();
    parts.join("-")
}
