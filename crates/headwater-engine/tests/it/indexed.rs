//! Property: with an index and without it a find gives the same documents, in the same order where one is asked for.

use std::collections::BTreeSet;

use crate::commands::{Session, text_of};

/// A small deterministic generator: the same sequence for the same seed on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len() as u64) as usize]
    }
}

const VALUES: &[&str] = &[
    "1",
    "2",
    "2.5",
    "-3",
    "null",
    "\"x\"",
    "\"xy\"",
    "\"\"",
    "true",
    "[]",
    "[1, 2]",
    "[2, \"x\"]",
    "[[1]]",
    "{\"b\": 1}",
    "{\"b\": [1, 3]}",
    "[{\"b\": 1}, {\"b\": 2}]",
    "{\"$numberDecimal\": \"2\"}",
    "{\"$oid\": \"000000000000000000000001\"}",
    "{\"$date\": {\"$numberLong\": \"5\"}}",
    "{\"$numberDouble\": \"NaN\"}",
    "{\"$minKey\": 1}",
    "{\"$maxKey\": 1}",
];

const INDEXES: &[&str] = &[
    "{\"a\": 1}",
    "{\"a\": -1}",
    "{\"a\": 1, \"c\": 1}",
    "{\"a\": 1, \"c\": -1}",
    "{\"a.b\": 1}",
    "{\"c\": 1, \"a.b\": -1}",
];

fn document(random: &mut Random, id: u64) -> String {
    let mut doc = format!("{{\"_id\": {id}");
    if random.below(5) > 0 {
        doc += &format!(", \"a\": {}", random.pick(VALUES));
    }
    if random.below(4) > 0 {
        doc += &format!(", \"c\": {}", random.below(4));
    }
    doc + "}"
}

fn condition(random: &mut Random) -> String {
    let value = random.pick(VALUES);
    match random.below(10) {
        0..=2 => value.to_owned(),
        3 => format!("{{\"$gt\": {value}}}"),
        4 => format!("{{\"$lte\": {value}}}"),
        5 => format!("{{\"$in\": [{value}, {}]}}", random.pick(VALUES)),
        6 => format!("{{\"$ne\": {value}}}"),
        7 => format!("{{\"$exists\": {}}}", random.pick(&["true", "false"])),
        8 => format!("{{\"$gte\": {value}, \"$lt\": {}}}", random.pick(VALUES)),
        _ => format!("{{\"$not\": {{\"$gt\": {value}}}}}"),
    }
}

fn filter(random: &mut Random) -> String {
    let path = random.pick(&["a", "a.b", "c", "_id"]);
    let one = format!("\"{path}\": {}", condition(random));
    match random.below(4) {
        0 => format!("{{{one}, \"c\": {}}}", condition(random)),
        1 => format!("{{\"$or\": [{{{one}}}, {{\"c\": {}}}]}}", condition(random)),
        2 => format!("{{\"$and\": [{{{one}}}, {{\"a\": {}}}]}}", condition(random)),
        _ => format!("{{{one}}}"),
    }
}

#[test]
fn an_index_never_changes_an_answer() {
    let rounds = if std::env::var_os("HEADWATER_LONG").is_some() { 2_000 } else { 40 };
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for round in 0..rounds {
        let plain = Session::new();
        let indexed = Session::new();
        let key = random.pick(INDEXES);
        let sparse = random.below(4) == 0;
        let documents: Vec<String> = (0..30).map(|id| document(&mut random, id)).collect();
        let insert = format!("{{\"insert\": \"c\", \"documents\": [{}]}}", documents.join(", "));
        indexed.ok(&format!(
            "{{\"createIndexes\": \"c\", \"indexes\": [{{\"key\": {key}, \"name\": \"i\", \"sparse\": {sparse}}}]}}"
        ));
        plain.ok(&insert);
        indexed.ok(&insert);
        let update = format!(
            "{{\"update\": \"c\", \"updates\": [{{\"q\": {{\"c\": 1}}, \"u\": {{\"$set\": {{\"a\": {}}}}}, \"multi\": true}}]}}",
            random.pick(VALUES)
        );
        plain.ok(&update);
        indexed.ok(&update);
        for _ in 0..25 {
            let filter = filter(&mut random);
            let find = format!("{{\"find\": \"c\", \"filter\": {filter}}}");
            let texts = |session: &Session, find: &str| -> Vec<String> {
                session.batch(find).iter().map(text_of).collect()
            };
            let expected: BTreeSet<_> = texts(&plain, &find).into_iter().collect();
            let found: BTreeSet<_> = texts(&indexed, &find).into_iter().collect();
            assert_eq!(found, expected, "round {round}, index {key} sparse {sparse}: {filter}");
            let sort = random.pick(&[
                "{\"c\": 1, \"_id\": 1}",
                "{\"a\": -1, \"_id\": 1}",
                "{\"_id\": -1}",
            ]);
            let find = format!("{{\"find\": \"c\", \"filter\": {filter}, \"sort\": {sort}}}");
            let (expected, found) = (texts(&plain, &find), texts(&indexed, &find));
            assert_eq!(found, expected, "round {round}, index {key}: {filter} by {sort}");
        }
        let valid = indexed.ok("{\"validate\": \"c\"}");
        let valid = valid.as_doc().get("valid").and_then(headwater_engine::bson::Raw::as_bool);
        assert_eq!(valid, Some(true), "round {round}: index and data differ");
    }
}
