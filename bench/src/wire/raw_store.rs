//! What `insertMany` is compared with: the same bytes put into the store alone, durable batch by batch.

use std::path::Path;
use std::time::{Duration, Instant};

use headwater_store::{Options, Store, Table};

const BATCH: u64 = 1_000;
const DOCUMENT: [u8; 275] = [b'x'; 275];

/// Batches of 1,000 documents of 275 bytes, each with an index entry, per second.
pub(super) fn batches_per_second(folder: &Path, time: Duration) -> Result<f64, String> {
    let _ = std::fs::remove_dir_all(folder);
    let rate = load(folder, time).map_err(|error| error.to_string());
    let _ = std::fs::remove_dir_all(folder);
    rate
}

fn load(folder: &Path, time: Duration) -> headwater_store::Result<f64> {
    let store = Store::open(folder, Options::default())?;
    let begin = Instant::now();
    let mut batches = 0_u64;
    while begin.elapsed() < time {
        let mut seq = 0;
        {
            let mut writer = store.writer()?;
            for number in batches * BATCH..(batches + 1) * BATCH {
                let mut operation = writer.begin();
                operation.put(Table(0), &key::<12>(number), &DOCUMENT)?;
                operation.put(Table(1), &key::<17>(number), &number.to_be_bytes())?;
                seq = operation.commit(0, &[0; 100])?;
            }
        }
        store.wait_durable(seq, None)?;
        batches += 1;
    }
    Ok(batches as f64 / begin.elapsed().as_secs_f64())
}

/// A number as the end of a key of so many bytes.
fn key<const N: usize>(number: u64) -> [u8; N] {
    let mut key = [0; N];
    if let Some(end) = key.last_chunk_mut::<8>() {
        *end = number.to_be_bytes();
    }
    key
}
