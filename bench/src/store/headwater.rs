//! Our store.

use std::ops::Bound;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use headwater_store::{Direction, Operation, Options, Read, Snapshot, Store, Table};

use super::engine::{Engine, Failure, Reader, index_key, row, row_key};

const ROWS: Table = Table(0);
const INDEX: Table = Table(1);

struct Headwater(Store);

/// Whether the next store opened holds back its checkpoints, so that reads are measured with a
/// filled overlay.
pub(crate) static HOLD: AtomicBool = AtomicBool::new(false);

pub(crate) fn open(folder: &Path) -> Result<Box<dyn Engine>, Failure> {
    let held = HOLD.load(Ordering::Relaxed);
    let default = Options::default();
    let memory_bytes_max = if held { 1 << 30 } else { default.memory_bytes_max };
    let store = Store::open(folder, Options { memory_bytes_max, ..default })?;
    Ok(Box::new(Headwater(store)))
}

fn put(operation: &mut Operation<'_, '_>, number: u64, version: u64) -> Result<(), Failure> {
    operation.put(ROWS, &row_key(number), &row(number, version))?;
    operation.put(INDEX, &index_key(number), &number.to_be_bytes())?;
    Ok(())
}

impl Engine for Headwater {
    fn write(&self, number: u64, version: u64) -> Result<(), Failure> {
        let seq = {
            let mut writer = self.0.writer()?;
            let mut operation = writer.begin();
            put(&mut operation, number, version)?;
            operation.commit(0, &[0; 16])?
        };
        self.0.wait_durable(seq, None)?;
        Ok(())
    }

    fn load(&self, numbers: &mut dyn Iterator<Item = u64>, version: u64) -> Result<(), Failure> {
        let mut seq = 0;
        {
            let mut writer = self.0.writer()?;
            for number in numbers {
                let mut operation = writer.begin();
                put(&mut operation, number, version)?;
                seq = operation.commit(0, &[0; 16])?;
            }
        }
        self.0.wait_durable(seq, None)?;
        Ok(())
    }

    fn read(
        &self,
        read: &mut dyn FnMut(&dyn Reader) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        read(&self.0.snapshot()?)
    }

    fn settle(&self) -> Result<(), Failure> {
        Ok(self.0.checkpoint()?)
    }
}

impl Reader for Snapshot {
    fn get(&self, number: u64) -> Result<Option<usize>, Failure> {
        Ok(Read::get(self, ROWS, &row_key(number))?.map(<[u8]>::len))
    }

    fn scan(&self) -> Result<(u64, usize), Failure> {
        let mut cursor =
            self.range(ROWS, Bound::Unbounded, Bound::Unbounded, Direction::Forward)?;
        let (mut count, mut bytes) = (0, 0);
        while let Some((_, value)) = cursor.next()? {
            count += 1;
            bytes += value.len() + usize::from(value[0] & 1);
        }
        Ok((count, bytes))
    }

    fn index(&self, from: u64, count: usize) -> Result<usize, Failure> {
        let from = index_key(from);
        let mut cursor =
            self.range(INDEX, Bound::Included(&from), Bound::Unbounded, Direction::Forward)?;
        let mut bytes = 0;
        for _ in 0..count {
            let Some((_, number)) = cursor.next()? else { break };
            let number = u64::from_be_bytes(number.try_into()?);
            bytes += Read::get(self, ROWS, &row_key(number))?.map_or(0, <[u8]>::len);
        }
        Ok(bytes)
    }
}
