//! Damage to log files: truncated or bit-flipped tails, missing files, other versions, and data
//! folders that belong to somebody else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use headwater_store::{Direction, Error, ErrorKind, Options, Read, Store, Table};

use crate::random::Random;
use crate::simulated::{Fault, Simulated};
use crate::variant::{all, write};
use crate::workload::folder;

const T: Table = Table(0);

fn options(disk: &Simulated) -> Options {
    Options { io: std::sync::Arc::new(disk.clone()), segment_bytes: 64 << 10, ..Options::default() }
}

/// A store with `count` acknowledged operations in its log and nothing in its tree.
fn written(count: u64) -> (tempfile::TempDir, Simulated, PathBuf) {
    let (folder, disk) = (folder(), Simulated::new());
    let store = Store::open(folder.path(), options(&disk)).unwrap();
    for number in 0..count {
        let bytes = number.to_le_bytes();
        write(&store, &bytes, |operation| operation.put(T, &bytes, &bytes.repeat(9)));
    }
    let disk = crashed(store, &disk);
    let path = segment(&disk);
    (folder, disk, path)
}

/// The disk after a crash. Closing the store would apply the log to the tree.
fn crashed(store: Store, disk: &Simulated) -> Simulated {
    let disk_now = disk.after_power_cut(&mut Random::new(0));
    disk.fail(1, Fault::PowerCut);
    let mut writer = store.writer().unwrap();
    let seq = writer.begin().commit(0, b"never written").unwrap();
    drop(writer);
    assert_eq!(store.wait_durable(seq, None).unwrap_err().kind(), ErrorKind::Poisoned);
    disk_now
}

fn segment(disk: &Simulated) -> PathBuf {
    disk.paths().into_iter().find(|path| path.extension().is_some()).unwrap()
}

/// Opens a damaged store and says how many operations it has.
fn reopened(folder: &Path, disk: &Simulated) -> Result<u64, Error> {
    let store = Store::open(folder, options(disk))?;
    let snapshot = store.snapshot()?;
    let mut count: u64 = 0;
    while snapshot.get(T, &count.to_le_bytes())?.is_some() {
        count += 1;
    }
    store.verify()?;
    Ok(count)
}

fn end_of_records(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1
}

#[test]
fn a_truncated_tail_is_cut_at_the_last_whole_record() {
    for missing in [1, 9, 30, 150, 400] {
        let (folder, disk, path) = written(20);
        disk.damage(&path, |bytes| {
            let end = end_of_records(bytes);
            bytes.truncate(end - missing);
        });
        let count = reopened(folder.path(), &disk).unwrap();
        assert!((14..20).contains(&count), "{count} operations left of 20");
    }
}

#[test]
fn a_bit_flipped_anywhere_is_detected() {
    let mut random = Random::new(3);
    let (mut cut, mut refused) = (0, 0);
    for _ in 0..150 {
        let (folder, disk, path) = written(12);
        let mut end = 0;
        disk.damage(&path, |bytes| {
            end = end_of_records(bytes);
            let at = random.below(end as u64) as usize;
            bytes[at] ^= 1 << random.below(8);
        });
        match reopened(folder.path(), &disk) {
            // Only the newest record may look like a torn end.
            Ok(11) => cut += 1,
            Ok(count) => panic!("{count} operations left of 12, nobody told"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
                refused += 1;
            }
        }
    }
    assert!(cut > 0 && refused > 100, "{cut} cut, {refused} refused");
}

/// A file whose header was lost had nothing acknowledged in it. Its number is used again, so its
/// records must not be: they carry that number and would follow the new ones.
#[test]
fn records_of_a_segment_that_never_began_stay_gone() {
    let (folder, disk) = (folder(), Simulated::new());
    let store = Store::open(folder.path(), options(&disk)).unwrap();
    let put = |store: &Store, numbers: std::ops::Range<u64>| {
        let mut writer = store.writer().unwrap();
        let mut seq = 0;
        for number in numbers {
            let bytes = number.to_le_bytes();
            let mut operation = writer.begin();
            operation.put(T, &bytes, &bytes).unwrap();
            seq = operation.commit(0, b"").unwrap();
        }
        drop(writer);
        store.wait_durable(seq, None).unwrap();
    };
    put(&store, 0..6);
    let disk = crashed(store, &disk);
    disk.damage(&segment(&disk), |bytes| bytes[..64].fill(0));
    let store = Store::open(folder.path(), options(&disk)).unwrap();
    put(&store, 100..101);
    let disk = crashed(store, &disk);
    let store = Store::open(folder.path(), options(&disk)).unwrap();
    let found = all(&store.snapshot().unwrap(), T, Direction::Forward);
    let expected = 100_u64.to_le_bytes().to_vec();
    assert_eq!(found, [(expected.clone(), expected)]);
}

#[test]
fn a_missing_log_is_noticed() {
    let (folder, disk) = (folder(), Simulated::new());
    let store = Store::open(folder.path(), options(&disk)).unwrap();
    write(&store, b"", |operation| operation.put(T, b"k", b"v"));
    store.close().unwrap();
    let error = Store::open(folder.path(), options(&Simulated::new())).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("log files are missing"), "{error}");
}

#[test]
fn another_format_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    Store::open(folder.path(), Options::default()).unwrap().close().unwrap();
    fs::write(folder.path().join("format"), "headwater 99\n").unwrap();
    let error = Store::open(folder.path(), Options::default()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::FormatVersion);
    assert!(error.to_string().contains("headwater 99"), "{error}");
    fs::remove_file(folder.path().join("format")).unwrap();
    let error = Store::open(folder.path(), Options::default()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::FormatVersion, "a log without a format file");
}

#[test]
fn a_folder_has_one_owner() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Options::default()).unwrap();
    let error = Store::open(folder.path(), Options::default()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
    store.close().unwrap();

    let mut dead = Command::new("true").spawn().unwrap();
    dead.wait().unwrap();
    fs::write(folder.path().join("lock"), format!("{}\n", dead.id())).unwrap();
    let store = Store::open(folder.path(), Options::default()).expect("a dead owner's lock file");
    let pid = fs::read_to_string(folder.path().join("lock")).unwrap();
    assert_eq!(pid.trim(), std::process::id().to_string());
    drop(store);
}
