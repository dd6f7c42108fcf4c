//! Random operations against a plain ordered map: snapshots, merges, deletes, tombstones, both
//! directions, checkpoints and reopenings at random moments.

use std::collections::BTreeMap;
use std::ops::Bound;

use headwater_store::{Direction, Read, Snapshot, Table};

use crate::random::Random;
use crate::variant::{Opened, Pairs, VARIANTS, Variant, all, range, write};
use crate::workload;

type Model = BTreeMap<(u8, Vec<u8>), Vec<u8>>;

/// One round in so many has its files on a real disk, whose syncs take nearly all of its time. The
/// others have them in memory, where the machine offers that.
const ON_DISK_EVERY: u64 = 20;

fn random_operations_agree_with_a_map(variant: Variant) {
    let rounds = if crate::long() { 400 } else { 12 };
    for seed in 0..rounds {
        agree(variant, seed);
    }
}

#[test]
fn random_operations_agree_with_a_map_in_memory() {
    random_operations_agree_with_a_map(Variant::Memory);
}

#[test]
fn random_operations_agree_with_a_map_on_disk() {
    random_operations_agree_with_a_map(Variant::Disk);
}

#[test]
fn random_operations_agree_with_a_map_on_a_small_disk() {
    random_operations_agree_with_a_map(Variant::SmallDisk);
}

fn agree(variant: Variant, seed: u64) {
    let mut random = Random::new(seed);
    let mut opened = match seed % ON_DISK_EVERY {
        0 => variant.open(),
        _ => variant.open_at(workload::folder()),
    };
    let mut model = Model::new();
    let mut held: Vec<(Snapshot, Model)> = Vec::new();
    let steps = 120;
    for step in 0..steps {
        match random.below(20) {
            0 => opened.store.checkpoint().unwrap(),
            1 if step > steps / 2 && variant != Variant::Memory => {
                held.clear();
                opened = opened.reopen();
            }
            2..4 => {
                held.push((opened.store.snapshot().unwrap(), model.clone()));
                if held.len() > 4 {
                    held.remove(random.below(4) as usize);
                }
            }
            4..7 => {
                for (snapshot, model) in &held {
                    compare(&mut random, snapshot, model, seed);
                }
            }
            _ => change(&mut random, &opened, &mut model, seed),
        }
    }
    held.clear();
    opened = opened.reopen();
    let snapshot = opened.store.snapshot().unwrap();
    for table in 0..3 {
        assert_eq!(all(&snapshot, Table(table), Direction::Forward), pairs(&model, table));
    }
    opened.store.verify().unwrap();
}

fn change(random: &mut Random, opened: &Opened, model: &mut Model, seed: u64) {
    let mut seq = 0;
    {
        let mut writer = opened.store.writer().unwrap();
        for _ in 0..1 + random.below(4) {
            let mut operation = writer.begin();
            let mut changed = model.clone();
            for _ in 0..random.below(30) {
                let (table, key) = (random.below(3) as u8, random.key());
                if random.below(3) == 0 {
                    operation.delete(Table(table), &key).unwrap();
                    changed.remove(&(table, key));
                } else {
                    let value = random.value();
                    operation.put(Table(table), &key, &value).unwrap();
                    changed.insert((table, key), value);
                }
                if random.below(25) == 0 {
                    compare(random, &operation, &changed, seed);
                }
            }
            if random.below(4) > 0 {
                seq = operation.commit(0, b"event").unwrap();
                *model = changed;
            }
        }
    }
    if random.below(2) == 0 {
        opened.store.wait_durable(seq, None).unwrap();
    }
}

fn compare(random: &mut Random, read: &impl Read, model: &Model, seed: u64) {
    let table = random.below(3) as u8;
    let key = random.key();
    let expected = model.get(&(table, key.clone())).map(Vec::as_slice);
    assert_eq!(read.get(Table(table), &key).unwrap(), expected, "seed {seed} get {key:02x?}");

    let (one, other) = (random.key(), random.key());
    let lower = bound(random, &one);
    let upper = bound(random, &other);
    let mut expected = pairs(model, table);
    expected.retain(|(key, _)| above(key, lower) && below(key, upper));
    let found = range(read, Table(table), lower, upper, Direction::Forward);
    assert_eq!(found, expected, "seed {seed} {lower:?} {upper:?}");

    let target = random.key();
    let mut cursor = read.range(Table(table), lower, upper, Direction::Forward).unwrap();
    cursor.next().unwrap();
    cursor.seek(&target).unwrap();
    let next = cursor.next().unwrap().map(|(key, _)| key.to_vec());
    let sought = expected.iter().map(|(key, _)| key).find(|key| **key >= target).cloned();
    assert_eq!(next, sought, "seed {seed} {lower:?} {upper:?} seek {target:02x?}");

    let mut cursor = read.range(Table(table), lower, upper, Direction::Backward).unwrap();
    cursor.seek(&target).unwrap();
    let next = cursor.next().unwrap().map(|(key, _)| key.to_vec());
    let sought = expected.iter().map(|(key, _)| key).rfind(|key| **key <= target).cloned();
    assert_eq!(next, sought, "seed {seed} {lower:?} {upper:?} seek back {target:02x?}");

    expected.reverse();
    let found = range(read, Table(table), lower, upper, Direction::Backward);
    assert_eq!(found, expected, "seed {seed} backward {lower:?} {upper:?}");
}

fn pairs(model: &Model, table: u8) -> Pairs {
    let of_table = model.iter().filter(|((at, _), _)| *at == table);
    of_table.map(|((_, key), value)| (key.clone(), value.clone())).collect()
}

fn bound<'k>(random: &mut Random, key: &'k [u8]) -> Bound<&'k [u8]> {
    match random.below(3) {
        0 => Bound::Unbounded,
        1 => Bound::Included(key),
        _ => Bound::Excluded(key),
    }
}

fn above(key: &[u8], lower: Bound<&[u8]>) -> bool {
    match lower {
        Bound::Unbounded => true,
        Bound::Included(lower) => key >= lower,
        Bound::Excluded(lower) => key > lower,
    }
}

fn below(key: &[u8], upper: Bound<&[u8]>) -> bool {
    match upper {
        Bound::Unbounded => true,
        Bound::Included(upper) => key <= upper,
        Bound::Excluded(upper) => key < upper,
    }
}

#[test]
fn a_snapshot_held_across_checkpoints_stays_as_it_was() {
    for variant in VARIANTS {
        let opened = variant.open();
        for number in 0..200_u32 {
            let key = number.to_be_bytes();
            write(&opened.store, b"", |operation| operation.put(Table(0), &key, b"before"));
        }
        let snapshot = opened.store.snapshot().unwrap();
        for round in 0..3 {
            for number in (0..200_u32).step_by(2) {
                let key = number.to_be_bytes();
                write(&opened.store, b"", |operation| match round {
                    1 => operation.delete(Table(0), &key),
                    _ => operation.put(Table(0), &key, b"after"),
                });
            }
            opened.store.checkpoint().unwrap();
        }
        let found = all(&snapshot, Table(0), Direction::Forward);
        assert_eq!(found.len(), 200);
        assert!(found.iter().all(|(_, value)| value == b"before"), "{variant:?}");
    }
}
