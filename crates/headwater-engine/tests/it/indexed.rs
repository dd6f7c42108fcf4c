//! Properties: with an index and without it a find gives the same documents, in the same order where one is asked for,
//! and an update does the same.

mod sets;

use std::collections::BTreeSet;

use headwater_engine::bson::DocBuf;

use crate::commands::{Session, number, text_of};

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
    "\"X\"",
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

/// What an index or a query may say of the order of texts.
const COLLATIONS: &[&str] = &[
    "",
    "",
    ", \"collation\": {\"locale\": \"en\", \"strength\": 2}",
    ", \"collation\": {\"locale\": \"fr\", \"strength\": 1, \"numericOrdering\": true}",
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

/// An update of the fields that are indexed and of others.
fn change(random: &mut Random) -> String {
    let value = random.pick(VALUES);
    match random.below(9) {
        0 => format!("{{\"$set\": {{\"a\": {value}}}}}"),
        1 => format!("{{\"$set\": {{\"a.b\": {value}, \"d\": 1}}}}"),
        2 => "{\"$unset\": {\"a\": 1}}".to_owned(),
        3 => format!("{{\"$push\": {{\"a\": {value}}}}}"),
        4 => format!("{{\"$addToSet\": {{\"a\": {value}}}, \"$inc\": {{\"c\": 1}}}}"),
        5 => format!("{{\"$pull\": {{\"a\": {value}}}}}"),
        6 => "{\"$inc\": {\"c\": 1, \"n\": 1}}".to_owned(),
        7 => format!("{{\"$min\": {{\"a\": {value}}}, \"$set\": {{\"c\": 3}}}}"),
        _ => format!("[{{\"$set\": {{\"a\": [\"$c\", {{\"$literal\": {value}}}]}}}}]"),
    }
}

/// What a collection holds, by `_id`.
fn contents(session: &Session) -> Vec<String> {
    session.batch("{\"find\": \"c\", \"sort\": {\"_id\": 1}}").iter().map(text_of).collect()
}

/// A failing update stops where it meets the first document that it does not fit, and an index has another order: so only
/// updates that fit every document are compared.
#[test]
fn an_index_never_changes_what_an_update_does() {
    let rounds = if std::env::var_os("HEADWATER_LONG").is_some() { 40_000 } else { 60 };
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    let mut compared = 0;
    for round in 0..rounds {
        let (plain, indexed) = (Session::new(), Session::new());
        let key = random.pick(INDEXES);
        let documents: Vec<String> = (0..30).map(|id| document(&mut random, id)).collect();
        let insert = format!("{{\"insert\": \"c\", \"documents\": [{}]}}", documents.join(", "));
        plain.ok(&insert);
        indexed.ok(&insert);
        indexed.ok(&format!(
            "{{\"createIndexes\": \"c\", \"indexes\": [{{\"key\": {key}, \"name\": \"i\"}}]}}"
        ));
        for _ in 0..25 {
            let (filter, change) = (filter(&mut random), change(&mut random));
            let update = format!(
                "{{\"update\": \"c\", \"updates\": [{{\"q\": {filter}, \"u\": {change}, \"multi\": true}}]}}"
            );
            let replies = [plain.run(&update), indexed.run(&update)];
            let failed = |reply: &DocBuf| reply.as_doc().get("writeErrors").is_some();
            assert_eq!(failed(&replies[0]), failed(&replies[1]), "round {round}, {key}: {update}");
            if failed(&replies[0]) {
                let kept = [contents(&plain).len(), contents(&indexed).len()];
                assert_eq!(kept, [documents.len(); 2]);
                break;
            }
            let figures = replies
                .each_ref()
                .map(|reply| ["n", "nModified"].map(|name| number(reply.as_doc().get(name))));
            assert_eq!(figures[0], figures[1], "round {round}, index {key}: {update}");
            let both = (contents(&plain), contents(&indexed));
            assert_eq!(both.0, both.1, "round {round}, index {key}: {update}");
            compared += 1;
        }
        let valid = indexed.ok("{\"validate\": \"c\"}");
        let valid = valid.as_doc().get("valid").and_then(headwater_engine::bson::Raw::as_bool);
        assert_eq!(valid, Some(true), "round {round}: index and data differ");
    }
    assert!(compared > rounds, "{compared} updates compared in {rounds} rounds");
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
        let texts_of_index = random.pick(COLLATIONS);
        let documents: Vec<String> = (0..30).map(|id| document(&mut random, id)).collect();
        let insert = format!("{{\"insert\": \"c\", \"documents\": [{}]}}", documents.join(", "));
        indexed.ok(&format!(
            "{{\"createIndexes\": \"c\", \"indexes\": [{{\"key\": {key}, \"name\": \"i\", \"sparse\": {sparse}{texts_of_index}}}]}}"
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
            let order = random.pick(COLLATIONS);
            let find = format!("{{\"find\": \"c\", \"filter\": {filter}{order}}}");
            let texts = |session: &Session, find: &str| -> Vec<String> {
                session.batch(find).iter().map(text_of).collect()
            };
            let expected: BTreeSet<_> = texts(&plain, &find).into_iter().collect();
            let found: BTreeSet<_> = texts(&indexed, &find).into_iter().collect();
            assert_eq!(
                found, expected,
                "round {round}, index {key} sparse {sparse}{texts_of_index}: {find}"
            );
            let sort = random.pick(&[
                "{\"c\": 1, \"_id\": 1}",
                "{\"a\": -1, \"_id\": 1}",
                "{\"_id\": -1}",
            ]);
            let find =
                format!("{{\"find\": \"c\", \"filter\": {filter}, \"sort\": {sort}{order}}}");
            let (expected, found) = (texts(&plain, &find), texts(&indexed, &find));
            assert_eq!(found, expected, "round {round}, index {key}{texts_of_index}: {find}");
        }
        let valid = indexed.ok("{\"validate\": \"c\"}");
        let valid = valid.as_doc().get("valid").and_then(headwater_engine::bson::Raw::as_bool);
        assert_eq!(valid, Some(true), "round {round}: index and data differ");
    }
}
