//! Memory caps, growth of the tree, retention of the history, limits on snapshots.

use std::time::{Duration, Instant};

use headwater_store::{Direction, ErrorKind, Options, Store, Table};

use crate::random::Random;
use crate::variant::{all, write};

const T: Table = Table(0);

#[test]
fn data_four_times_the_memory_cap() {
    const CAP: usize = 4 << 20;
    let folder = tempfile::tempdir().unwrap();
    let options = || Options { memory_bytes_max: CAP, ..Options::default() };
    let store = Store::open(folder.path(), options()).unwrap();
    let mut random = Random::new(1);
    let mut loaded = 0;
    let mut count = 0_u64;
    while loaded < CAP * 4 {
        let mut writer = store.writer().unwrap();
        for _ in 0..100 {
            let key = count.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
            let value = vec![count as u8; 500 + random.below(1_000) as usize];
            let mut operation = writer.begin();
            operation.put(T, &key, &value).unwrap();
            operation.commit(0, b"insert").unwrap();
            loaded += value.len();
            count += 1;
        }
        drop(writer);
        let stats = store.stats();
        let held = stats.active_bytes + stats.frozen_bytes;
        assert!(held < CAP as u64 + 200 * 1_600, "{held} bytes held");
    }
    assert!(store.stats().checkpoints >= 4);
    store.checkpoint().unwrap();
    assert_eq!(store.stats().active_bytes, 0);
    let report = store.verify().unwrap();
    assert_eq!((report.tree_values, report.log_records), (count, count));
    store.close().unwrap();
    let store = Store::open(folder.path(), options()).unwrap();
    assert_eq!(store.stats().replayed, 0, "closing leaves nothing to replay");
    let found = all(&store.snapshot().unwrap(), T, Direction::Forward);
    assert_eq!(found.len() as u64, count);
}

#[test]
fn the_tree_grows_its_map_while_snapshots_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        map_bytes: 128 << 10,
        memory_bytes_max: 64 << 10,
        tree_transaction_bytes: 16 << 10,
        ..Options::default()
    };
    let store = Store::open(folder.path(), options).unwrap();
    std::thread::scope(|scope| {
        let store = &store;
        let reader = scope.spawn(move || {
            while store.stats().map_bytes < 1 << 20 {
                let snapshot = store.snapshot().unwrap();
                let found = all(&snapshot, T, Direction::Forward);
                assert!(found.iter().all(|(key, value)| value.starts_with(key)));
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        for number in 0..2_000_u32 {
            let key = number.to_be_bytes();
            let mut writer = store.writer().unwrap();
            let mut operation = writer.begin();
            operation.put(T, &key, &key.repeat(200)).unwrap();
            operation.commit(0, b"").unwrap();
        }
        store.checkpoint().unwrap();
        reader.join().unwrap();
    });
    assert_eq!(store.verify().unwrap().tree_values, 2_000);
}

#[test]
fn history_is_kept_by_size_and_by_age() {
    for age in [None, Some(Duration::ZERO)] {
        let folder = tempfile::tempdir().unwrap();
        let retention_bytes = Some(if age.is_some() { u64::MAX } else { 64 << 10 });
        let options = Options {
            segment_bytes: 16 << 10,
            retention_bytes,
            retention_age: age,
            ..Options::default()
        };
        let store = Store::open(folder.path(), options).unwrap();
        let mut history = store.history(0).unwrap();
        for number in 0..400_u32 {
            write(&store, &[1; 400], |operation| {
                operation.put(T, &number.to_be_bytes(), &[2; 400])
            });
        }
        assert_eq!(store.oldest(), 0, "what the tree lacks is kept");
        store.checkpoint().unwrap();
        let stats = store.stats();
        assert!(stats.oldest > 200, "{age:?}: {stats:?}");
        assert!(stats.log_bytes <= 64 << 10, "{stats:?}");
        assert_eq!(store.history(0).err().unwrap().kind(), ErrorKind::HistoryLost);
        let overtaken = loop {
            match history.next() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("an overtaken reader is told"),
                Err(error) => break error,
            }
        };
        assert_eq!(overtaken.kind(), ErrorKind::HistoryLost);
        let mut history = store.history(stats.oldest).unwrap();
        let mut expected = stats.oldest;
        while let Some(record) = history.next().unwrap() {
            assert_eq!(record.seq, expected);
            expected += 1;
        }
        assert_eq!(expected, store.last() + 1);
    }
}

#[test]
fn history_is_found_in_the_middle_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let options = || Options { segment_bytes: 256 << 10, ..Options::default() };
    let store = Store::open(folder.path(), options()).unwrap();
    for number in 0..600_u32 {
        write(&store, &number.to_le_bytes(), |operation| operation.put(T, b"k", &[7; 1_000]));
    }
    store.close().unwrap();
    let store = Store::open(folder.path(), options()).unwrap();
    write(&store, b"last", |_| Ok(()));
    for from in [0, 1, 77, 250, 251, 599, 600, 601, 602] {
        let mut history = store.history(from).unwrap();
        let mut expected = from.max(1);
        while let Some(record) = history.next().unwrap() {
            assert_eq!(record.seq, expected);
            expected += 1;
        }
        assert_eq!(expected, from.max(602));
    }
}

#[test]
fn too_many_snapshots_are_refused_not_fatal() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { snapshots_max: 4, ..Options::default() };
    let store = Store::open(folder.path(), options).unwrap();
    let mut held = Vec::new();
    let error = loop {
        match store.snapshot() {
            Ok(snapshot) => held.push(snapshot),
            Err(error) => break error,
        }
    };
    assert_eq!((error.kind(), held.len()), (ErrorKind::TooManySnapshots, 4));
    held.pop();
    store.snapshot().unwrap();
}

#[test]
fn memory_is_given_back_by_overwrites_and_deletes() {
    let options = Options { memory_bytes_max: 1 << 20, ..Options::default() };
    let store = Store::in_memory(options);
    for round in 0..40_u32 {
        for key in 0..50_u32 {
            let mut writer = store.writer().unwrap();
            let mut operation = writer.begin();
            match round % 4 {
                3 => operation.delete(T, &key.to_be_bytes()).unwrap(),
                _ => operation.put(T, &key.to_be_bytes(), &[1; 2_000]).unwrap(),
            }
            operation.commit(0, b"").unwrap();
        }
    }
    store.checkpoint().unwrap();
    assert_eq!(all(&store.snapshot().unwrap(), T, Direction::Forward), []);
    let stats = store.stats();
    assert_eq!((stats.active_bytes, stats.overlay_entries), (0, 0));
    assert!(stats.checkpoints > 2, "{stats:?}");
}

#[test]
fn a_held_snapshot_puts_the_checkpoint_off_up_to_three_quarters() {
    const CAP: u64 = 1 << 20;
    let folder = tempfile::tempdir().unwrap();
    let options = Options { memory_bytes_max: CAP as usize, ..Options::default() };
    let store = Store::open(folder.path(), options).unwrap();
    let write_up_to = |bytes: u64| {
        while store.stats().active_bytes < bytes && store.stats().checkpoints == 0 {
            let mut writer = store.writer().unwrap();
            let mut operation = writer.begin();
            operation.put(T, b"key", &[1; 5_000]).unwrap();
            operation.commit(0, b"").unwrap();
        }
    };
    let checkpointed = || {
        let until = Instant::now() + Duration::from_secs(120);
        while store.stats().checkpoints == 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        store.stats().checkpoints > 0
    };
    let snapshot = store.snapshot().unwrap();
    write_up_to(CAP / 8 * 5);
    std::thread::sleep(Duration::from_millis(50));
    let stats = store.stats();
    assert_eq!((stats.checkpoints, stats.frozen_bytes), (0, 0), "{stats:?}");
    // Snapshots from after that moment put nothing off.
    let later = store.snapshot().unwrap();
    drop(snapshot);
    write_up_to(stats.active_bytes + 1);
    assert!(checkpointed());
    drop(later);
    store.close().unwrap();

    let folder = tempfile::tempdir().unwrap();
    let options = Options { memory_bytes_max: CAP as usize, ..Options::default() };
    let store = Store::open(folder.path(), options).unwrap();
    let snapshot = store.snapshot().unwrap();
    for _ in 0..CAP / 5_000 / 5 * 4 {
        write(&store, b"", |operation| operation.put(T, b"key", &[1; 5_000]));
    }
    let until = Instant::now() + Duration::from_secs(120);
    while store.stats().checkpoints == 0 {
        assert!(Instant::now() < until, "{:?}", store.stats());
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(all(&snapshot, T, Direction::Forward), []);
}
