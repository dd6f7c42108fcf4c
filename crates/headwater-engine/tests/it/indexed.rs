//! Properties: with an index and without it a find gives the same documents, in the same order where one is asked for,
//! and an update does the same.

mod sets;

use std::collections::BTreeSet;

use headwater_engine::bson::DocBuf;

use crate::commands::{Session, number, text_of};

/// A small deterministic generator: the same sequence for the same seed on every machine.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
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

/// A kind of index: its key, its options, and whether it takes documents with arrays in `a`.
struct Kind {
    key: &'static str,
    options: &'static str,
    arrays: bool,
}

const fn plain(key: &'static str) -> Kind {
    Kind { key, options: "", arrays: true }
}

const fn with(key: &'static str, options: &'static str) -> Kind {
    Kind { key, options, arrays: true }
}

const fn hashed(key: &'static str) -> Kind {
    Kind { key, options: "", arrays: false }
}

const KINDS: &[Kind] = &[
    plain("{\"a\": 1}"),
    plain("{\"a\": -1}"),
    plain("{\"a\": 1, \"c\": 1}"),
    plain("{\"a\": 1, \"c\": -1}"),
    plain("{\"a.b\": 1}"),
    plain("{\"c\": 1, \"a.b\": -1}"),
    with("{\"a\": 1}", ", \"hidden\": true"),
    with("{\"a\": 1}", ", \"partialFilterExpression\": {\"c\": {\"$gt\": 1}}"),
    with("{\"c\": 1}", ", \"partialFilterExpression\": {\"a\": {\"$exists\": true}}"),
    with("{\"a\": 1}", ", \"partialFilterExpression\": {\"a\": {\"$gte\": \"x\"}}"),
    with("{\"c\": -1}", ", \"partialFilterExpression\": {\"a\": {\"$lt\": 2.5}}"),
    with(
        "{\"a\": 1}",
        ", \"partialFilterExpression\": {\"a\": {\"$type\": [\"number\", \"object\"]}}",
    ),
    with(
        "{\"a.b\": 1}",
        ", \"partialFilterExpression\": {\"$or\": [{\"c\": {\"$in\": [0, 1]}}, {\"a\": null}]}",
    ),
    hashed("{\"a\": \"hashed\"}"),
    hashed("{\"c\": 1, \"a\": \"hashed\"}"),
    hashed("{\"a.b\": \"hashed\", \"c\": -1}"),
    plain("{\"$**\": 1}"),
    plain("{\"$**\": -1}"),
    plain("{\"a.$**\": 1}"),
    plain("{\"c\": 1, \"a.$**\": 1}"),
    plain("{\"a.$**\": -1, \"c\": 1}"),
    with("{\"$**\": 1}", ", \"wildcardProjection\": {\"a.b\": 1, \"_id\": 1}"),
    with("{\"$**\": 1}", ", \"wildcardProjection\": {\"a.b\": 0}"),
    with("{\"c\": -1, \"$**\": 1}", ", \"wildcardProjection\": {\"c\": 0, \"d\": 0}"),
    with("{\"$**\": 1}", ", \"partialFilterExpression\": {\"c\": {\"$gte\": 2}}"),
];

impl Kind {
    fn any(random: &mut Random) -> &'static Kind {
        &KINDS[random.below(KINDS.len() as u64) as usize]
    }

    /// The `createIndexes` command, sometimes of a sparse index.
    fn create(&self, random: &mut Random, texts: &str) -> String {
        let (key, options) = (self.key, self.options);
        let can_be_sparse = options.is_empty() && !key.contains("$**");
        let sparse = can_be_sparse && random.below(4) == 0;
        format!(
            "{{\"createIndexes\": \"c\", \"indexes\": [{{\"key\": {key}, \"name\": \"i\", \"sparse\": {sparse}{options}{texts}}}]}}"
        )
    }

    fn value(&self, random: &mut Random) -> &'static str {
        loop {
            let value = random.pick(VALUES);
            if self.arrays || !value.contains('[') {
                return value;
            }
        }
    }
}

fn document(random: &mut Random, kind: &Kind, id: u64) -> String {
    let mut doc = format!("{{\"_id\": {id}");
    if random.below(5) > 0 {
        doc += &format!(", \"a\": {}", kind.value(random));
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
    let path = random.pick(&["a", "a", "a.b", "a.b", "c", "_id", "a.0", "a.0.b", "a.b.0"]);
    let one = format!("\"{path}\": {}", condition(random));
    match random.below(4) {
        0 => format!("{{{one}, \"c\": {}}}", condition(random)),
        1 => format!("{{\"$or\": [{{{one}}}, {{\"c\": {}}}]}}", condition(random)),
        2 => format!("{{\"$and\": [{{{one}}}, {{\"a\": {}}}]}}", condition(random)),
        _ => format!("{{{one}}}"),
    }
}

/// An update of the fields that are indexed and of others.
fn change(random: &mut Random, kind: &Kind) -> String {
    let value = kind.value(random);
    // The last three make arrays.
    match random.below(if kind.arrays { 9 } else { 6 }) {
        0 => format!("{{\"$set\": {{\"a\": {value}}}}}"),
        1 => format!("{{\"$set\": {{\"a.b\": {value}, \"d\": 1}}}}"),
        2 => "{\"$unset\": {\"a\": 1}}".to_owned(),
        3 => format!("{{\"$pull\": {{\"a\": {value}}}}}"),
        4 => "{\"$inc\": {\"c\": 1, \"n\": 1}}".to_owned(),
        5 => format!("{{\"$min\": {{\"a\": {value}}}, \"$set\": {{\"c\": 3}}}}"),
        6 => format!("{{\"$push\": {{\"a\": {value}}}}}"),
        7 => format!("{{\"$addToSet\": {{\"a\": {value}}}, \"$inc\": {{\"c\": 1}}}}"),
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
        let kind = Kind::any(&mut random);
        let key = kind.key;
        let documents: Vec<String> = (0..30).map(|id| document(&mut random, kind, id)).collect();
        let insert = format!("{{\"insert\": \"c\", \"documents\": [{}]}}", documents.join(", "));
        plain.ok(&insert);
        indexed.ok(&insert);
        indexed.ok(&kind.create(&mut random, ""));
        for _ in 0..25 {
            let (filter, change) = (filter(&mut random), change(&mut random, kind));
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
        let kind = Kind::any(&mut random);
        let texts_of_index = random.pick(COLLATIONS);
        let documents: Vec<String> = (0..30).map(|id| document(&mut random, kind, id)).collect();
        let insert = format!("{{\"insert\": \"c\", \"documents\": [{}]}}", documents.join(", "));
        let key = kind.create(&mut random, texts_of_index);
        indexed.ok(&key);
        plain.ok(&insert);
        indexed.ok(&insert);
        let update = format!(
            "{{\"update\": \"c\", \"updates\": [{{\"q\": {{\"c\": 1}}, \"u\": {{\"$set\": {{\"a\": {}}}}}, \"multi\": true}}]}}",
            kind.value(&mut random)
        );
        plain.ok(&update);
        indexed.ok(&update);
        let delete = format!(
            "{{\"delete\": \"c\", \"deletes\": [{{\"q\": {}, \"limit\": 0}}]}}",
            if random.below(4) == 0 { filter(&mut random) } else { "{\"_id\": 7}".to_owned() }
        );
        plain.ok(&delete);
        indexed.ok(&delete);
        for _ in 0..25 {
            let filter = filter(&mut random);
            let order = random.pick(COLLATIONS);
            let find = format!("{{\"find\": \"c\", \"filter\": {filter}{order}}}");
            let texts = |session: &Session, find: &str| -> Vec<String> {
                session.batch(find).iter().map(text_of).collect()
            };
            let expected: BTreeSet<_> = texts(&plain, &find).into_iter().collect();
            let found: BTreeSet<_> = texts(&indexed, &find).into_iter().collect();
            assert_eq!(found, expected, "round {round}, {key}: {find}");
            let sort = random.pick(&[
                "{\"c\": 1, \"_id\": 1}",
                "{\"a\": -1, \"_id\": 1}",
                "{\"_id\": -1}",
            ]);
            let find =
                format!("{{\"find\": \"c\", \"filter\": {filter}, \"sort\": {sort}{order}}}");
            let (expected, found) = (texts(&plain, &find), texts(&indexed, &find));
            assert_eq!(found, expected, "round {round}, {key}: {find}");
        }
        let valid = indexed.ok("{\"validate\": \"c\"}");
        let valid = valid.as_doc().get("valid").and_then(headwater_engine::bson::Raw::as_bool);
        assert_eq!(valid, Some(true), "round {round}: index and data differ");
    }
}
