//! Several keys looked up at once, against looking up each.

use headwater_store::{Read, Table};

use crate::random::Random;
use crate::variant::{VARIANTS, write};

const T: Table = Table(2);

fn key(number: u64) -> Vec<u8> {
    let mut key = number.to_be_bytes().to_vec();
    key.resize(8 + (number % 37) as usize, b'x');
    key
}

#[test]
fn several_keys_are_found_as_each_alone() {
    for variant in VARIANTS {
        let opened = variant.open();
        let nothing = opened.store.snapshot().unwrap();
        assert_eq!(nothing.get_each(T, &[b"a", b"", b"b"]).unwrap(), [None, None, None]);
        drop(nothing);
        let mut random = Random::new(5);
        // Some values stand in the leaf, some on pages of their own.
        let sizes = [0, 1, 40, 700, 1500, 2500, 9000];
        for _ in 0..20 {
            write(&opened.store, b"", |operation| {
                (0..150).try_for_each(|_| {
                    let (number, size) = (random.below(5000), sizes[random.below(7) as usize]);
                    operation.put(T, &key(number), &vec![number as u8; size])
                })
            });
        }
        let opened = opened.reopen();
        opened.store.checkpoint().unwrap();
        write(&opened.store, b"", |operation| {
            for _ in 0..200 {
                operation.put(T, &key(random.below(5000)), b"newer")?;
                operation.delete(T, &key(random.below(5000)))?;
            }
            Ok(())
        });
        let snapshot = opened.store.snapshot().unwrap();
        for count in [0, 1, 2, 31, 32, 33, 100, 1000] {
            let mut keys: Vec<Vec<u8>> = (0..count).map(|_| key(random.below(5000))).collect();
            if count % 2 == 0 {
                keys.sort();
            }
            let asked: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
            let each: Vec<_> = asked.iter().map(|key| snapshot.get(T, key).unwrap()).collect();
            assert_eq!(snapshot.get_each(T, &asked).unwrap(), each, "{variant:?}, {count}");
        }
        assert!(snapshot.get_each(Table(9), &[b"a"]).is_err());
    }
}
