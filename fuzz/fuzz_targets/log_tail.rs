//! A log whose end was overwritten, cut, forged or mixed up: opening it gives exactly the operations whose records are whole and in
//! order, or says that acknowledged ones are damaged. What is written next survives, and nothing that was cut comes back.
#![no_main]

use std::ffi::OsString;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use headwater_fuzz::disk::{Disk, Files};
use headwater_fuzz::log::{self, HEADER, Reading, State};
use headwater_store::{Direction, ErrorKind, Options, Read, Store, Table};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

/// More than any file here holds, so that the store's search behind the end sees all of it.
const FILE_BYTES_MAX: usize = 64 << 10;

fuzz_target!(|bytes: &[u8]| {
    let [how, low, high, rest @ ..] = bytes else { return };
    if rest.len() > FILE_BYTES_MAX / 4 {
        return;
    }
    let mut files = written().clone();
    change(&mut files, *how, usize::from(u16::from_le_bytes([*low, *high])), rest);
    check(files);
});

fn options(disk: &Disk) -> Options {
    Options {
        io: Arc::new(disk.clone()),
        segment_bytes: 2 << 10,
        map_bytes: 1 << 20,
        ..Options::default()
    }
}

/// A folder for the tree, in memory where the machine offers that.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    folder.expect("a folder")
}

/// A log of three segments, all of it acknowledged but for the operations at the end.
fn written() -> &'static Files {
    static FILES: OnceLock<Files> = OnceLock::new();
    FILES.get_or_init(|| {
        let (folder, disk) = (folder(), Disk::default());
        let store = Store::open(folder.path(), options(&disk)).expect("an empty log");
        let mut seq = 0;
        for number in 0..40_u8 {
            let mut writer = store.writer().expect("a writer");
            for part in 0..1 + number % 3 {
                let mut operation = writer.begin();
                let value = [number; 90];
                let key = [b'k', number % 11, part];
                operation
                    .put(Table(number % 3), &key, &value[..usize::from(number) * 2])
                    .expect("a put");
                operation.delete(Table(7), &key).expect("a delete");
                seq = operation.commit(0, &[number, part]).expect("a commit");
            }
            drop(writer);
            if number < 37 {
                store.wait_durable(seq, None).expect("a sync");
            }
        }
        store.wait_durable(seq, None).expect("a sync");
        let files = disk.copy();
        assert!(files.len() >= 3);
        disk.turn_off();
        files
    })
}

fn name(segment: u64) -> OsString {
    format!("{segment:016x}.log").into()
}

/// Damages, forges or mixes up the log: `how` says what, `at` where in the newest segment, `with` what with.
fn change(files: &mut Files, how: u8, at: usize, with: &[u8]) {
    let newest = files.keys().filter_map(|name| log::segment_number(name)).max().unwrap_or(1);
    let segment = match how & 16 {
        0 => newest,
        _ => newest - 1,
    };
    let mut file = files.remove(&name(segment)).unwrap_or_default();
    let at = at % (file.len() + 9);
    match how & 7 {
        0 => {
            file.truncate(at);
            file.extend_from_slice(with);
        }
        1 => {
            file.resize(file.len().max(at + with.len()), 0);
            file[at..at + with.len()].copy_from_slice(with);
        }
        2 => file.iter_mut().skip(at).zip(with).for_each(|(byte, with)| *byte ^= with),
        3 => {
            file = with.to_vec();
            if how & 8 != 0 {
                log::seal_header(&mut file, segment);
            }
        }
        4 => {
            file.truncate(at / 8 * 8);
            forge(&mut file, segment, with);
        }
        5 => {
            let mut next = with.to_vec();
            if how & 8 != 0 {
                log::seal_header(&mut next, segment + 1);
            }
            files.insert(name(segment + 1), next);
        }
        6 => {
            // Whole records at another place, or in another segment.
            let from = files.get(&name(segment - 1)).filter(|_| how & 8 != 0).unwrap_or(&file);
            let [from_at, length, ..] = with else { return };
            let from_at = HEADER + usize::from(*from_at) * 8;
            let piece = from.get(from_at..).unwrap_or_default();
            let piece = piece[..piece.len().min(usize::from(*length) * 8)].to_vec();
            file.truncate(at.max(HEADER) / 8 * 8);
            file.extend_from_slice(&piece);
        }
        _ => {
            if how & 8 != 0 {
                file = vec![0; HEADER];
                file[24..40].fill(*with.first().unwrap_or(&0));
            }
            log::seal_header(&mut file, segment);
            file.truncate(at.max(HEADER) / 8 * 8);
            forge(&mut file, segment, with);
        }
    }
    files.insert(name(segment), file);
}

/// Appends records whose checksums are right and whose numbers and changes are anything.
fn forge(file: &mut Vec<u8>, segment: u64, mut with: &[u8]) {
    let mut seq = 80_u64;
    while let [step, behind, length, rest @ ..] = with {
        seq = match step {
            255 => u64::MAX,
            254 => u64::MAX - 1,
            step => seq.wrapping_add(u64::from(*step)).wrapping_sub(16),
        };
        let (payload, rest) = rest.split_at(rest.len().min(usize::from(*length)));
        log::seal_record(file, segment, seq, seq.wrapping_sub(u64::from(*behind)), payload);
        with = rest;
    }
}

fn check(files: Files) {
    let expected = log::read(&files);
    let (folder, disk) = (folder(), Disk::new(files));
    let store = match Store::open(folder.path(), options(&disk)) {
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            assert!(expected.damage.is_some(), "{error}");
            return;
        }
        Ok(store) => store,
    };
    assert_eq!(expected.damage, None);
    holds(&store, &expected);
    let Some(expected) = write(&store, expected) else {
        disk.turn_off();
        return;
    };
    let after = Disk::new(disk.copy());
    // What closing would still do is lost, as in a crash.
    disk.turn_off();
    if let Ok(mut writer) = store.writer() {
        let _ = writer.begin().commit(0, b"lost");
    }
    let _ = store.wait_durable(store.last(), None);
    drop(store);
    for _ in 0..2 {
        let store = Store::open(folder.path(), options(&after)).expect("a log that was accepted");
        holds(&store, &expected);
        store.close().expect("a sound store");
    }
}

/// One more operation; `None` when there is no number left for it.
fn write(store: &Store, mut expected: Reading) -> Option<Reading> {
    let mut writer = store.writer().expect("a writer");
    let mut operation = writer.begin();
    operation.put(Table(5), b"more", b"written").expect("a put");
    let seq = operation.commit(0, b"more").ok()?;
    drop(writer);
    if seq == u64::MAX {
        return None;
    }
    store.wait_durable(seq, None).expect("a sync");
    expected.state.insert((5, b"more".to_vec()), b"written".to_vec());
    expected.events.push((seq, b"more".to_vec()));
    holds(store, &expected);
    Some(expected)
}

fn holds(store: &Store, expected: &Reading) {
    let mut history = store.history(store.oldest()).expect("what is there");
    let mut events = Vec::new();
    while let Some(record) = history.next().expect("records that were read before") {
        events.push((record.seq, record.event.to_vec()));
    }
    assert_eq!(events, expected.events);
    assert_eq!(store.durable(), store.last());
    let snapshot = store.snapshot().expect("a snapshot");
    let mut state = State::new();
    for table in 0..8 {
        let everything = (Bound::Unbounded, Bound::Unbounded);
        let cursor = snapshot.range(Table(table), everything.0, everything.1, Direction::Forward);
        let mut cursor = cursor.expect("a cursor");
        while let Some((key, value)) = cursor.next().expect("a sound state") {
            state.insert((table, key.to_vec()), value.to_vec());
        }
    }
    assert_eq!(state, expected.state);
    store.verify().expect("no damage");
}
