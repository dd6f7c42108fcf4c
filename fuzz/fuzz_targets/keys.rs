//! Two documents: their keys compare as they do, come back as the same values, and are what they say they are.
#![no_main]

use headwater_engine::bson::key::{self, Direction, KeyWriter, Types};
use headwater_engine::bson::{Raw, compare, equal, validate};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // Any bytes as a key: refused or decoded, never a panic.
    let (types, rest) = bytes.split_at(bytes.len().min(4));
    let types = Types::from_bytes(types);
    let _ = key::decode(rest, &[Direction::Ascending], &types);
    let _ = key::decode(rest, &[Direction::Descending, Direction::Ascending], &types);
    let _ = key::split(rest, Direction::Descending);

    let Ok(doc) = validate(bytes) else { return };
    let values: Vec<Raw<'_>> = doc.iter().map(|e| e.value).take(8).collect();
    for &a in &values {
        round_trip(a);
        for &b in &values {
            let order = compare(a, b);
            assert_eq!(key::encode(a).cmp(&key::encode(b)), order);
            assert_eq!(equal(a, b), order.is_eq());
            assert_eq!(compare(b, a), order.reverse());
        }
    }
});

fn round_trip(value: Raw<'_>) {
    for direction in [Direction::Ascending, Direction::Descending] {
        let mut writer = KeyWriter::new().with_types();
        writer.push(value, direction);
        let (bytes, types) = writer.into_parts();
        let (head, rest) = key::split(&bytes, direction).expect("a key is whole");
        assert!(head.len() == bytes.len() && rest.is_empty());
        let values = key::decode(&bytes, &[direction], &types).expect("a key decodes");
        let back = values.first().and_then(|value| value.raw()).expect("one value");
        assert!(equal(value, back));
    }
}
