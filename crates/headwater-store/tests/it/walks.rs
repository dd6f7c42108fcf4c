//! Long walks through ranges, against a map of what was written.

use std::collections::BTreeMap;
use std::ops::Bound;

use headwater_store::{Direction, Read, Table};

use crate::random::Random;
use crate::variant::{VARIANTS, write};

const T: Table = Table(2);
const NUMBERS: u64 = 6000;

fn key(number: u64) -> Vec<u8> {
    let mut key = number.to_be_bytes().to_vec();
    key.resize(8 + (number % 37) as usize, b'x');
    key
}

fn bound(random: &mut Random, key: Vec<u8>) -> Bound<Vec<u8>> {
    match random.below(5) {
        0 => Bound::Unbounded,
        1 | 2 => Bound::Included(key),
        _ => Bound::Excluded(key),
    }
}

fn slice(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    bound.as_ref().map(Vec::as_slice)
}

#[test]
fn a_long_walk_meets_all_that_is_in_its_range() {
    for variant in VARIANTS {
        let opened = variant.open();
        let mut random = Random::new(11);
        let mut model = BTreeMap::new();
        // Some values stand in the leaf, some on pages of their own.
        let sizes = [0, 1, 40, 200, 250, 700, 1500, 2500, 9000];
        for _ in 0..20 {
            write(&opened.store, b"", |operation| {
                (0..200).try_for_each(|_| {
                    let (number, size) = (random.below(NUMBERS), sizes[random.below(9) as usize]);
                    let value = vec![number as u8; size];
                    operation.put(T, &key(number), &value)?;
                    model.insert(key(number), value);
                    Ok(())
                })
            });
        }
        let opened = opened.reopen();
        opened.store.checkpoint().unwrap();
        for overlaid in [false, true] {
            if overlaid {
                write(&opened.store, b"", |operation| {
                    for _ in 0..100 {
                        let (new, gone) = (key(random.below(NUMBERS)), key(random.below(NUMBERS)));
                        operation.put(T, &new, b"newer")?;
                        model.insert(new, b"newer".to_vec());
                        operation.delete(T, &gone)?;
                        model.remove(&gone);
                    }
                    Ok(())
                });
            }
            let snapshot = opened.store.snapshot().unwrap();
            for _ in 0..25 {
                let (mut low, mut high) = (random.below(NUMBERS), random.below(NUMBERS));
                if low > high {
                    std::mem::swap(&mut low, &mut high);
                }
                // Some ends are keys that are there.
                let end = model.range(key(high)..).next().map_or(key(high), |(key, _)| key.clone());
                let end = if random.below(2) == 0 { end } else { key(high + 1) };
                let (low, high) = (bound(&mut random, key(low)), bound(&mut random, end));
                let within = |found: &Vec<u8>| {
                    let above = match &low {
                        Bound::Unbounded => true,
                        Bound::Included(low) => found >= low,
                        Bound::Excluded(low) => found > low,
                    };
                    above
                        && match &high {
                            Bound::Unbounded => true,
                            Bound::Included(high) => found <= high,
                            Bound::Excluded(high) => found < high,
                        }
                };
                let expected = model.iter().filter(|(key, _)| within(key));
                let mut cursor =
                    snapshot.range(T, slice(&low), slice(&high), Direction::Forward).unwrap();
                let mut count = 0;
                for (key, value) in expected {
                    let found = cursor.next().unwrap();
                    assert_eq!(found, Some((&key[..], &value[..])), "{variant:?} {low:?} {high:?}");
                    count += 1;
                }
                for _ in 0..3 {
                    assert_eq!(cursor.next().unwrap(), None, "{variant:?}, behind {count}");
                }
            }
        }
    }
}
