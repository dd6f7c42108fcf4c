//! A workload whose every operation changes two tables alike, so that lost, torn and reordered
//! operations all show, and the check that finds them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater_store::{Direction, ErrorKind, Options, Read, Store, Table};

use crate::random::Random;
use crate::simulated::Simulated;
use crate::variant::{Pairs, all};

const KEYS: u64 = 23;
const COUNTER: &[u8] = b"~counter";
const DATA: Table = Table(0);
const INDEX: Table = Table(1);

/// A folder for the tree, in memory where the machine offers that.
pub(crate) fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    match memory.is_dir() {
        true => tempfile::tempdir_in(memory).unwrap(),
        false => tempfile::tempdir().unwrap(),
    }
}

/// Sizes so small that segments and checkpoints turn over within a few operations.
pub(crate) fn options(disk: &Simulated) -> Options {
    Options {
        memory_bytes_max: 12 << 10,
        segment_bytes: 4 << 10,
        retention_bytes: Some(12 << 10),
        tree_transaction_bytes: 700,
        io: Arc::new(disk.clone()),
        ..Options::default()
    }
}

/// A store's life over crashes: what was committed and what was acknowledged.
pub(crate) struct Life {
    pub(crate) folder: PathBuf,
    /// Operations handed to the store so far.
    pub(crate) committed: u64,
    pub(crate) acknowledged: u64,
}

impl Life {
    pub(crate) fn new(folder: &Path) -> Life {
        Life { folder: folder.to_path_buf(), committed: 0, acknowledged: 0 }
    }

    /// Runs operations until `count` are done or the store refuses; says why.
    pub(crate) fn run(&mut self, store: &Store, count: u64, random: &mut Random) -> Ending {
        for _ in 0..count {
            let seq = {
                let mut writer = match store.writer() {
                    Ok(writer) => writer,
                    Err(error) => return Ending::Refused(error.kind()),
                };
                let mut seq = 0;
                for _ in 0..1 + random.below(3) {
                    let number = self.committed + 1;
                    let mut operation = writer.begin();
                    change(&mut operation, number);
                    seq = match operation.commit(0, &number.to_le_bytes()) {
                        Ok(seq) => seq,
                        Err(error) => return Ending::Refused(error.kind()),
                    };
                    self.committed = number;
                }
                seq
            };
            if random.below(12) == 0 && store.checkpoint().is_err() {
                return Ending::Refused(store.checkpoint().unwrap_err().kind());
            }
            if random.below(4) > 0 {
                match store.wait_durable(seq, None) {
                    Ok(true) => self.acknowledged = self.committed,
                    Ok(false) => unreachable!("no deadline"),
                    Err(error) => return Ending::Refused(error.kind()),
                }
            }
        }
        Ending::Done
    }

    /// Checks a store opened after a crash: nothing acknowledged is missing, no operation is torn,
    /// and the history ends with the newest operation.
    pub(crate) fn check(&mut self, store: &Store) -> Result<(), String> {
        let snapshot = store.snapshot().map_err(|error| error.to_string())?;
        let found = snapshot.get(DATA, COUNTER).map_err(|error| error.to_string())?;
        let number = found.map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().unwrap()));
        if number < self.acknowledged || number > self.committed {
            return Err(format!(
                "found operation {number}, acknowledged {}, committed {}",
                self.acknowledged, self.committed
            ));
        }
        let (data, index) = state_after(number);
        if all(&snapshot, DATA, Direction::Forward) != data {
            return Err(format!("the data is not that of operation {number}"));
        }
        if all(&snapshot, INDEX, Direction::Backward) != index {
            return Err(format!("the index is not that of operation {number}"));
        }
        let newest = loop {
            match newest_event(store) {
                Err(error) if error.kind() == ErrorKind::HistoryLost => {}
                Err(error) => return Err(error.to_string()),
                Ok(newest) => break newest?,
            }
        };
        if newest != number && store.oldest() <= store.last() {
            return Err(format!("the history ends at {newest}, the data at {number}"));
        }
        (self.committed, self.acknowledged) = (number, number);
        Ok(())
    }
}

/// The last event of the history, whose events count up without a gap. Retention may overtake the
/// reader.
fn newest_event(store: &Store) -> headwater_store::Result<Result<u64, String>> {
    let mut newest = 0;
    let mut history = store.history(store.oldest())?;
    while let Some(record) = history.next()? {
        let event = u64::from_le_bytes(record.event.try_into().unwrap());
        if newest > 0 && event != newest + 1 {
            return Ok(Err(format!("event {event} follows {newest}")));
        }
        newest = event;
    }
    Ok(Ok(newest))
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Done,
    Refused(ErrorKind),
}

fn key(number: u64) -> Vec<u8> {
    format!("key {:03}", number * 7 % KEYS).into_bytes()
}

fn value(number: u64) -> Vec<u8> {
    number.to_le_bytes().repeat(1 + (number % 19) as usize)
}

fn change(operation: &mut headwater_store::Operation<'_, '_>, number: u64) {
    let key = key(number);
    for table in [DATA, INDEX] {
        if number.is_multiple_of(5) {
            operation.delete(table, &key).unwrap();
        } else {
            operation.put(table, &key, &value(number)).unwrap();
        }
    }
    operation.put(DATA, COUNTER, &number.to_le_bytes()).unwrap();
}

/// The data, ascending, and the index, descending, after operation `number`.
fn state_after(number: u64) -> (Pairs, Pairs) {
    let mut map = std::collections::BTreeMap::new();
    for step in (number.saturating_sub(KEYS * 2) + 1).min(number)..=number {
        match step == 0 || step.is_multiple_of(5) {
            true => map.remove(&key(step)),
            false => map.insert(key(step), value(step)),
        };
    }
    let index = map.clone().into_iter().rev().collect();
    if number > 0 {
        map.insert(COUNTER.to_vec(), number.to_le_bytes().to_vec());
    }
    (map.into_iter().collect(), index)
}
