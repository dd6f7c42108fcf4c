//! The variants of a store that every conformance test runs on, and small shared steps.

use std::ops::Bound;
use std::path::Path;

use headwater_store::{Direction, Operation, Options, Read, Result, Seq, Store, Table};
use tempfile::TempDir;

/// A kind of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variant {
    Memory,
    Disk,
    /// On disk with sizes so small that segments, checkpoints and tree transactions turn over
    /// all the time.
    SmallDisk,
}

pub(crate) const VARIANTS: [Variant; 3] = [Variant::Memory, Variant::Disk, Variant::SmallDisk];

/// A store and the folder it lives in.
pub(crate) struct Opened {
    pub(crate) store: Store,
    pub(crate) variant: Variant,
    folder: TempDir,
}

impl Variant {
    pub(crate) fn options(self) -> Options {
        match self {
            Variant::Memory | Variant::Disk => Options::default(),
            Variant::SmallDisk => Options {
                memory_bytes_max: 32 << 10,
                segment_bytes: 16 << 10,
                tree_transaction_bytes: 1 << 10,
                ..Options::default()
            },
        }
    }

    pub(crate) fn open(self) -> Opened {
        self.open_at(tempfile::tempdir().unwrap())
    }

    pub(crate) fn open_at(self, folder: TempDir) -> Opened {
        let store = self.open_in(folder.path());
        Opened { store, variant: self, folder }
    }

    fn open_in(self, folder: &Path) -> Store {
        match self {
            Variant::Memory => Store::in_memory(self.options()),
            Variant::Disk | Variant::SmallDisk => Store::open(folder, self.options()).unwrap(),
        }
    }
}

impl Opened {
    /// Closes and opens again; a store in memory just goes on.
    pub(crate) fn reopen(self) -> Opened {
        let Opened { mut store, variant, folder } = self;
        if variant != Variant::Memory {
            store.close().unwrap();
            store = variant.open_in(folder.path());
        }
        Opened { store, variant, folder }
    }
}

/// One operation under its own writer, waited for until it is durable.
pub(crate) fn write(
    store: &Store,
    event: &[u8],
    change: impl FnOnce(&mut Operation<'_, '_>) -> Result<()>,
) -> Seq {
    let seq = {
        let mut writer = store.writer().unwrap();
        let mut operation = writer.begin();
        change(&mut operation).unwrap();
        operation.commit(0, event).unwrap()
    };
    assert!(store.wait_durable(seq, None).unwrap());
    seq
}

pub(crate) type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Everything in a table, as a cursor gives it.
pub(crate) fn all(read: &impl Read, table: Table, direction: Direction) -> Pairs {
    range(read, table, Bound::Unbounded, Bound::Unbounded, direction)
}

pub(crate) fn range(
    read: &impl Read,
    table: Table,
    lower: Bound<&[u8]>,
    upper: Bound<&[u8]>,
    direction: Direction,
) -> Pairs {
    let mut cursor = read.range(table, lower, upper, direction).unwrap();
    let mut pairs = Vec::new();
    while let Some((key, value)) = cursor.next().unwrap() {
        pairs.push((key.to_vec(), value.to_vec()));
    }
    pairs
}
