//! Estimates of entries between two keys, against counting them.

use std::ops::Bound;

use headwater_store::{Direction, Read, Snapshot, Table};

use crate::random::Random;
use crate::variant::{VARIANTS, write};

const T: Table = Table(2);

fn counted(snapshot: &Snapshot, lower: &[u8], upper: &[u8]) -> u64 {
    let bounds = (Bound::Included(lower), Bound::Excluded(upper));
    let mut cursor = snapshot.range(T, bounds.0, bounds.1, Direction::Forward).unwrap();
    let mut count = 0;
    while cursor.next().unwrap().is_some() {
        count += 1;
    }
    count
}

/// Keys of uneven lengths, denser in some places than in others.
fn key(random: &mut Random) -> Vec<u8> {
    let bits = 1 + random.below(24);
    let number = random.below(1 << bits);
    let mut key = number.to_be_bytes().to_vec();
    key.resize(8 + random.below(40) as usize, b'x');
    key
}

#[test]
fn an_estimate_is_near_what_counting_finds() {
    for variant in VARIANTS {
        let opened = variant.open();
        let mut random = Random::new(71);
        let mut keys: Vec<Vec<u8>> = Vec::new();
        for _ in 0..40 {
            write(&opened.store, b"", |operation| {
                for _ in 0..400 {
                    let key = key(&mut random);
                    operation.put(T, &key, &[7; 30])?;
                    keys.push(key);
                }
                Ok(())
            });
        }
        let opened = opened.reopen();
        opened.store.checkpoint().unwrap();
        write(&opened.store, b"", |operation| {
            (0..300).try_for_each(|_| operation.put(T, &key(&mut random), &[7; 30]))
        });
        keys.sort();
        keys.dedup();
        let gone: Vec<_> = keys.iter().skip(2000).take(600).cloned().collect();
        write(&opened.store, b"", |operation| {
            gone.iter().try_for_each(|key| operation.delete(T, key))
        });
        let snapshot = opened.store.snapshot().unwrap();
        for _ in 0..500 {
            let mut bounds =
                [keys[random.below(keys.len() as u64) as usize].clone(), key(&mut random)];
            bounds.sort();
            let [lower, upper] = bounds;
            let count = counted(&snapshot, &lower, &upper);
            let about = snapshot.estimate(T, &lower, &upper).unwrap();
            // Of the keys deleted since the checkpoint any number may be overlooked, or taken for more.
            let (low, high) = ((count / 2).saturating_sub(600), count * 2 + 600);
            assert!((low..=high).contains(&about), "{variant:?}: {about} for {count}");
        }
        assert_eq!(snapshot.estimate(Table(3), b"a", b"b").unwrap(), 0);
        assert_eq!(snapshot.estimate(T, b"b", b"a").unwrap(), 0);
    }
}

#[test]
fn few_entries_are_counted() {
    for variant in VARIANTS {
        let opened = variant.open();
        write(&opened.store, b"", |operation| {
            (0..60_u8).try_for_each(|key| operation.put(T, &[1, key], b"v"))
        });
        opened.store.checkpoint().unwrap();
        let snapshot = opened.store.snapshot().unwrap();
        for (lower, upper) in [(0, 60), (3, 4), (10, 31), (59, 60), (60, 61)] {
            let about = snapshot.estimate(T, &[1, lower], &[1, upper]).unwrap();
            assert_eq!(about, counted(&snapshot, &[1, lower], &[1, upper]), "{variant:?}");
        }
    }
}
