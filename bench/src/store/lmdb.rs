//! LMDB alone in its default durable mode, with group commit: whoever leads writes everybody's
//! documents in one transaction.
#![allow(unsafe_code)]

use std::ops::Bound;
use std::path::Path;
use std::sync::Mutex;

use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvOpenOptions, RoTxn, RwTxn, WithoutTls};

use super::engine::{Engine, Failure, Group, Reader, index_key, row, row_key};

type Rows = Database<'static, Bytes, Bytes>;

struct Lmdb {
    env: Env<WithoutTls>,
    rows: Rows,
    index: Rows,
    queue: Mutex<(u64, Vec<(u64, u64)>)>,
    group: Group,
}

pub(crate) fn open(folder: &Path) -> Result<Box<dyn Engine>, Failure> {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.map_size(64 << 30).max_dbs(2);
    // SAFETY: the folder is this benchmark's own and opened once at a time.
    let env = unsafe { options.open(folder)? };
    let write = env.write_txn()?;
    let opened = env.create_databases_and_commit(write, |opener, write| {
        let rows = opener.create_database(write, Some("rows"))?;
        let index = opener.create_database(write, Some("index"))?;
        Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit([rows, index]))
    })?;
    let CommitOrAbort::Commit([rows, index]) = opened else { return Err("not opened".into()) };
    Ok(Box::new(Lmdb { env, rows, index, queue: Mutex::default(), group: Group::default() }))
}

impl Lmdb {
    fn put(&self, write: &mut RwTxn<'_>, number: u64, version: u64) -> Result<(), Failure> {
        self.rows.put(write, &row_key(number), &row(number, version))?;
        self.index.put(write, &index_key(number), &number.to_be_bytes())?;
        Ok(())
    }
}

impl Engine for Lmdb {
    fn write(&self, number: u64, version: u64) -> Result<(), Failure> {
        let ticket = {
            let mut queue = self.queue.lock().map_err(|_| "a writer panicked")?;
            queue.0 += 1;
            queue.1.push((number, version));
            queue.0
        };
        self.group.wait(ticket, || {
            let (covered, documents) = {
                let mut queue = self.queue.lock().map_err(|_| "a writer panicked")?;
                (queue.0, std::mem::take(&mut queue.1))
            };
            let mut write = self.env.write_txn()?;
            for (number, version) in documents {
                self.put(&mut write, number, version)?;
            }
            write.commit()?;
            Ok(covered)
        })
    }

    fn load(&self, numbers: &mut dyn Iterator<Item = u64>, version: u64) -> Result<(), Failure> {
        let mut write = self.env.write_txn()?;
        for number in numbers {
            self.put(&mut write, number, version)?;
        }
        Ok(write.commit()?)
    }

    fn read(
        &self,
        read: &mut dyn FnMut(&dyn Reader) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let state = self.env.read_txn()?;
        read(&State { state, rows: self.rows, index: self.index })
    }

    fn settle(&self) -> Result<(), Failure> {
        Ok(())
    }
}

struct State<'e> {
    state: RoTxn<'e, WithoutTls>,
    rows: Rows,
    index: Rows,
}

impl Reader for State<'_> {
    fn get(&self, number: u64) -> Result<Option<usize>, Failure> {
        Ok(self.rows.get(&self.state, &row_key(number))?.map(<[u8]>::len))
    }

    fn scan(&self) -> Result<(u64, usize), Failure> {
        let (mut count, mut bytes) = (0, 0);
        for pair in self.rows.iter(&self.state)? {
            let (_, value) = pair?;
            count += 1;
            bytes += value.len() + usize::from(value[0] & 1);
        }
        Ok((count, bytes))
    }

    fn index(&self, from: u64, count: usize) -> Result<usize, Failure> {
        let from = index_key(from);
        let range = (Bound::Included(&from[..]), Bound::Unbounded);
        let mut bytes = 0;
        for pair in self.index.range(&self.state, &range)?.take(count) {
            let number = u64::from_be_bytes(pair?.1.try_into()?);
            bytes += self.rows.get(&self.state, &row_key(number))?.map_or(0, <[u8]>::len);
        }
        Ok(bytes)
    }
}
