//! fjall 3, its journal synced by group commit.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable, Snapshot};

use super::engine::{Engine, Failure, Group, Reader, index_key, row, row_key};

struct Fjall {
    database: Database,
    rows: Keyspace,
    index: Keyspace,
    committed: AtomicU64,
    group: Group,
}

pub(crate) fn open(folder: &Path) -> Result<Box<dyn Engine>, Failure> {
    let database = Database::builder(folder).open()?;
    let rows = database.keyspace("rows", KeyspaceCreateOptions::default)?;
    let index = database.keyspace("index", KeyspaceCreateOptions::default)?;
    let (committed, group) = (AtomicU64::new(0), Group::default());
    Ok(Box::new(Fjall { database, rows, index, committed, group }))
}

impl Engine for Fjall {
    fn write(&self, number: u64, version: u64) -> Result<(), Failure> {
        let mut batch = self.database.batch();
        batch.insert(&self.rows, row_key(number), row(number, version));
        batch.insert(&self.index, index_key(number), number.to_be_bytes());
        batch.commit()?;
        let ticket = self.committed.fetch_add(1, Ordering::AcqRel) + 1;
        self.group.wait(ticket, || {
            let covered = self.committed.load(Ordering::Acquire);
            self.database.persist(PersistMode::SyncData)?;
            Ok(covered)
        })
    }

    fn load(&self, numbers: &mut dyn Iterator<Item = u64>, version: u64) -> Result<(), Failure> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        for number in numbers {
            batch.insert(&self.rows, row_key(number), row(number, version));
            batch.insert(&self.index, index_key(number), number.to_be_bytes());
        }
        Ok(batch.commit()?)
    }

    fn read(
        &self,
        read: &mut dyn FnMut(&dyn Reader) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let state = self.database.snapshot();
        read(&State { state, engine: self })
    }

    fn settle(&self) -> Result<(), Failure> {
        while self.database.outstanding_flushes() > 0 || self.database.active_compactions() > 0 {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        Ok(())
    }
}

struct State<'e> {
    state: Snapshot,
    engine: &'e Fjall,
}

impl Reader for State<'_> {
    fn get(&self, number: u64) -> Result<Option<usize>, Failure> {
        Ok(self.state.get(&self.engine.rows, row_key(number))?.map(|row| row.len()))
    }

    fn scan(&self) -> Result<(u64, usize), Failure> {
        let (mut count, mut bytes) = (0, 0);
        for guard in self.state.iter(&self.engine.rows) {
            let value = guard.value()?;
            count += 1;
            bytes += value.len() + usize::from(value[0] & 1);
        }
        Ok((count, bytes))
    }

    fn index(&self, from: u64, count: usize) -> Result<usize, Failure> {
        let mut bytes = 0;
        for guard in self.state.range(&self.engine.index, index_key(from)..).take(count) {
            let number = u64::from_be_bytes((*guard.value()?).try_into()?);
            bytes += self.get(number)?.unwrap_or(0);
        }
        Ok(bytes)
    }
}
