//! Property of the choice: what the chosen plan examines, against what it would with each of the indexes named by a hint.

use super::{examined, filled};
use crate::indexed::Random;

/// How the values of a field are spread.
#[derive(Debug, Clone, Copy)]
pub(super) enum Spread {
    Even(u64),
    /// Half of them are 0, half of the rest 1, and so on.
    Skewed,
    /// Follows another field, with some noise.
    Follows(usize, u64),
    Constant,
    /// Mostly absent.
    Sparse(u64),
}

pub(super) const FIELDS: [&str; 4] = ["a", "b", "c", "d"];
pub(super) const DOCUMENTS: u64 = 1200;

fn spread(random: &mut Random, field: usize) -> Spread {
    match random.below(8) {
        0 => Spread::Even(3),
        1 => Spread::Even(40),
        2 | 3 => Spread::Even(2000),
        4 => Spread::Skewed,
        5 if field > 0 => Spread::Follows(random.below(field as u64) as usize, 3),
        6 => Spread::Constant,
        _ => Spread::Sparse(30),
    }
}

fn values(random: &mut Random, spreads: &[Spread]) -> Vec<Option<u64>> {
    let mut values: Vec<Option<u64>> = Vec::new();
    for spread in spreads {
        let value = match *spread {
            Spread::Even(end) => Some(random.below(end)),
            Spread::Skewed => Some(u64::from(random.below(1 << 16).trailing_ones())),
            Spread::Follows(field, noise) => values[field].map(|v| v * 2 + random.below(noise)),
            Spread::Constant => Some(7),
            Spread::Sparse(end) => (random.below(10) == 0).then(|| random.below(end)),
        };
        values.push(value);
    }
    values
}

pub(super) fn index(random: &mut Random) -> String {
    let mut fields: Vec<&str> = Vec::new();
    for _ in 0..1 + random.below(3) {
        let field = FIELDS[random.below(4) as usize];
        if !fields.contains(&field) {
            fields.push(field);
        }
    }
    let directed =
        |field: &&str| format!("\"{field}\": {}", if random.below(4) == 0 { -1 } else { 1 });
    let fields: Vec<String> = fields.iter().map(directed).collect();
    format!("{{{}}}", fields.join(", "))
}

pub(super) fn condition(random: &mut Random, kind: u64, example: Option<u64>) -> String {
    let value = example.unwrap_or(7);
    match kind {
        0..3 => example.map_or("null".to_owned(), |value| value.to_string()),
        3 => format!("{{\"$gte\": {value}, \"$lt\": {}}}", value + 1 + random.below(20)),
        4 => format!("{{\"$in\": [{value}, {}, {}]}}", value + 3, random.below(50)),
        _ => format!("{{\"$gt\": {value}}}"),
    }
}

fn query(random: &mut Random, example: &[Option<u64>]) -> String {
    let mut filter: Vec<String> = Vec::new();
    for (field, value) in FIELDS.iter().zip(example) {
        if random.below(2) == 0 {
            let kind = random.below(6);
            filter.push(format!("\"{field}\": {}", condition(random, kind, *value)));
        }
    }
    let sort = match random.below(3) {
        0 => format!(", \"sort\": {{\"{}\": 1}}", FIELDS[random.below(4) as usize]),
        _ => String::new(),
    };
    let limit = if random.below(4) == 0 { ", \"limit\": 10" } else { "" };
    format!("{{\"find\": \"c\", \"filter\": {{{}}}{sort}{limit}}}", filter.join(", "))
}

/// How the values of each field are spread.
pub(super) fn spreads(random: &mut Random) -> Vec<Spread> {
    (0..FIELDS.len()).map(|field| spread(random, field)).collect()
}

/// The values of a collection's documents.
pub(super) fn rows(random: &mut Random, spreads: &[Spread]) -> Vec<Vec<Option<u64>>> {
    (0..DOCUMENTS).map(|_| values(random, spreads)).collect()
}

/// The documents of such values.
pub(super) fn documents(rows: &[Vec<Option<u64>>]) -> impl Iterator<Item = String> {
    rows.iter().enumerate().map(|(id, row)| {
        let fields = FIELDS.iter().zip(row);
        let fields = fields.filter_map(|(field, v)| v.map(|v| format!(", \"{field}\": {v}")));
        format!("{{\"_id\": {id}{}}}", fields.collect::<String>())
    })
}

#[test]
fn the_chosen_plan_examines_little_more_than_the_best() {
    let mut random = Random(0x2024_0715);
    let (mut workloads, mut above_twice) = (0, Vec::new());
    let (mut sum, mut best_sum) = (0, 0);
    for _ in 0..25 {
        let spreads = spreads(&mut random);
        let rows = rows(&mut random, &spreads);
        let mut indexes: Vec<String> =
            (0..2 + random.below(3)).map(|_| index(&mut random)).collect();
        indexes.sort();
        indexes.dedup();
        let keys: Vec<&str> = indexes.iter().map(String::as_str).collect();
        let session = filled(documents(&rows), &keys);
        for _ in 0..8 {
            let example = &rows[random.below(DOCUMENTS) as usize];
            let find = query(&mut random, example);
            let work = |(keys, docs): (i64, i64)| keys.max(docs);
            let chosen = work(examined(&session, &find));
            let hinted = |key: &String| {
                let find = find.strip_suffix('}').unwrap_or(&find);
                work(examined(&session, &format!("{find}, \"hint\": {key}}}")))
            };
            let best = indexes.iter().map(hinted).min().unwrap_or(chosen);
            workloads += 1;
            sum += chosen;
            best_sum += best;
            // A handful of keys is as good as none.
            assert!(
                chosen <= 10 * best.max(10),
                "{chosen} for {best}: {spreads:?} {indexes:?} {find}"
            );
            if chosen > 2 * best.max(20) {
                above_twice.push(format!("{chosen} for {best}: {spreads:?} {indexes:?} {find}"));
            }
        }
    }
    assert_eq!(workloads, 200);
    assert!(sum <= 2 * best_sum, "{sum} for {best_sum}");
    assert!(above_twice.len() <= 4, "{above_twice:#?}");
}
