//! Property: whatever indexes there are, a query gives what it gives without any: documents, order, fields, counts and
//! distinct values, in batches, while documents are changed and removed. Some sets stand on the disk in a store that often
//! writes checkpoints, and are opened again on the way.

use std::path::Path;

use headwater_engine::bson::{Doc, DocBuf, DocWriter, Raw, Type};
use headwater_engine::{Engine, EngineOptions};

use super::{KINDS, Random, VALUES, change, condition};
use crate::commands::{Session, batch, number, text_of};

const INDEXES: &[&str] = &[
    "{\"a\": 1}",
    "{\"a\": -1, \"c\": 1}",
    "{\"a.b\": 1, \"d\": -1}",
    "{\"c\": 1}",
    "{\"c\": 1, \"d\": 1}",
    "{\"c\": -1, \"d\": -1, \"e\": 1}",
    "{\"c\": 1, \"a\": 1}",
    "{\"d\": 1}",
    "{\"d\": -1, \"e\": 1}",
    "{\"e\": 1}",
    "{\"e\": 1, \"c\": -1}",
    "{\"c\": 1, \"e\": 1, \"d\": 1}",
    "{\"d\": \"hashed\"}",
    "{\"c\": 1, \"d\": \"hashed\", \"e\": -1}",
    "{\"$**\": 1}",
    "{\"a.$**\": -1}",
    "{\"d.$**\": 1, \"c\": 1}",
    "{\"c\": 1, \"a.$**\": 1, \"e\": 1}",
];

const OPTIONS: &[&str] = &[
    "",
    "",
    "",
    "",
    ", \"sparse\": true",
    ", \"hidden\": true",
    ", \"partialFilterExpression\": {\"c\": {\"$gte\": 1}}",
    ", \"partialFilterExpression\": {\"d\": {\"$exists\": true}}",
    ", \"collation\": {\"locale\": \"en\", \"strength\": 2}",
];

/// Equal values of different types among others. No symbols: with a collation MongoDB compares them as texts in filters
/// and by their bytes in keys.
const SCALARS: &[&str] = &[
    "5",
    "5.0",
    "{\"$numberLong\": \"5\"}",
    "{\"$numberDecimal\": \"5.00\"}",
    "6",
    "7.5",
    "-1",
    "\"x\"",
    "\"X\"",
    "\"xyz\"",
    "null",
    "true",
    "{\"b\": 2.0}",
    "{\"$date\": {\"$numberLong\": \"5\"}}",
];

const SORTS: &[&str] = &[
    "{\"c\": 1}",
    "{\"c\": -1, \"d\": -1}",
    "{\"d\": 1}",
    "{\"d\": 1, \"e\": -1}",
    "{\"e\": -1}",
    "{\"e\": 1, \"c\": -1}",
    "{\"a\": 1}",
    "{\"_id\": -1}",
];

const PROJECTIONS: &[&str] = &[
    "{}",
    "{\"a\": 0}",
    "{\"_id\": 0, \"c\": 1, \"d\": 1}",
    "{\"_id\": 0, \"d\": 1}",
    "{\"_id\": 0, \"e\": 1, \"c\": 1, \"d\": 1}",
    "{\"_id\": 1}",
    "{\"d\": 1}",
];

fn document(random: &mut Random, id: u64) -> String {
    let mut doc = format!("{{\"_id\": {id}");
    if random.below(4) == 0 {
        doc += &format!(", \"a\": {}", random.pick(VALUES));
    }
    if random.below(8) > 0 {
        doc += &format!(", \"c\": {}", random.below(5));
    }
    if random.below(6) > 0 {
        doc += &format!(", \"d\": {}", random.pick(SCALARS));
    }
    doc + &format!(", \"e\": {}}}", random.below(40))
}

fn about(random: &mut Random, field: &str) -> String {
    let scalar = random.pick(SCALARS);
    let number = random.below(40);
    let said = match random.below(12) {
        0..3 if field != "e" => scalar.to_owned(),
        0..3 => number.to_string(),
        3 => format!("{{\"$in\": [{scalar}, {}, {number}]}}", random.below(6)),
        4 => format!("{{\"$gte\": {}, \"$lt\": {number}}}", random.below(20)),
        5 => format!("{{\"$gt\": {scalar}}}"),
        6 => format!("{{\"$nin\": [{scalar}, {number}]}}"),
        7 => "{\"$regex\": \"^x\"}".to_owned(),
        8 => "null".to_owned(),
        9 => format!("{{\"$exists\": {}}}", random.pick(&["true", "false"])),
        10 => format!("{{\"$in\": [{}, {}]}}", random.below(5), random.below(5)),
        _ => condition(random),
    };
    format!("\"{field}\": {said}")
}

fn filter(random: &mut Random) -> String {
    let field = |random: &mut Random| random.pick(&["a", "a.b", "c", "c", "d", "d", "e", "_id"]);
    let one = |random: &mut Random| {
        let field = field(random);
        about(random, field)
    };
    match random.below(8) {
        7 => format!("{{\"$nor\": [{{{}}}, {{{}}}]}}", one(random), one(random)),
        0 => "{}".to_owned(),
        1 => format!("{{{}}}", one(random)),
        2 => format!("{{{}, {}}}", about(random, "c"), about(random, "d")),
        3 => format!("{{{}, {}}}", about(random, "d"), about(random, "e")),
        4 => {
            format!("{{\"$or\": [{{{}}}, {{{}}}, {{{}}}]}}", one(random), one(random), one(random))
        }
        5 => format!(
            "{{{}, \"$or\": [{{{}}}, {{{}}}]}}",
            about(random, "c"),
            one(random),
            one(random)
        ),
        _ => format!("{{\"$and\": [{{{}}}, {{{}}}]}}", one(random), one(random)),
    }
}

/// All documents of a find, batch by batch.
fn all(session: &Session, find: &str) -> Vec<DocBuf> {
    let mut reply = session.ok(find);
    let mut found = batch(&reply);
    loop {
        let cursor = reply.as_doc().get("cursor").and_then(Raw::as_doc).unwrap_or(Doc::EMPTY);
        let id = number(cursor.get("id"));
        if id == 0 {
            return found;
        }
        reply = session.ok(&format!(
            "{{\"getMore\": {{\"$numberLong\": \"{id}\"}}, \"collection\": \"c\", \"batchSize\": 9}}"
        ));
        found.extend(batch(&reply));
    }
}

/// A filter of the same operators on the same paths with other numbers. It may be one that is refused.
fn with_other_values(random: &mut Random, filter: &str) -> String {
    let mut in_text = false;
    let mut other = |c: char| {
        in_text ^= c == '"';
        match c.is_ascii_digit() && !in_text {
            true => char::from(b'1' + random.below(5) as u8),
            false => c,
        }
    };
    filter.chars().map(&mut other).collect()
}

/// A document as text, absent fields and null being the same: a covered query cannot tell them apart.
fn text(doc: &DocBuf) -> String {
    let mut plain = DocWriter::new();
    let mut fields: Vec<_> = doc.as_doc().iter().filter(|f| f.value.kind != Type::Null).collect();
    fields.sort_by_key(|field| field.name);
    fields.iter().for_each(|field| plain.raw_bytes(field.name, field.value));
    text_of(&plain.finish())
}

fn texts(found: &[DocBuf]) -> Vec<String> {
    found.iter().map(text).collect()
}

fn sorted(found: &[DocBuf]) -> Vec<String> {
    let mut texts = texts(found);
    texts.sort();
    texts
}

/// What distinct values there are, whichever of several equal ones stands for them. Null and undefined, and arrays in
/// arrays, are told otherwise by an index's keys than by the documents, in MongoDB too: the ones are left out, the others
/// opened as deep as they go.
fn distinct(session: &Session, command: &str) -> Vec<String> {
    let reply = session.ok(command);
    let mut texts = Vec::new();
    for value in reply.as_doc().get("values").and_then(Raw::as_array).unwrap().iter() {
        add_opened(value, &mut texts);
    }
    texts.sort();
    texts.dedup();
    texts
}

fn add_opened(value: Raw<'_>, texts: &mut Vec<String>) {
    match value.as_array() {
        Some(inner) => inner.iter().for_each(|value| add_opened(value, texts)),
        None if matches!(value.kind, Type::Null | Type::Undefined) => {}
        None => texts.push(format!("{:?}", headwater_engine::bson::key::encode(value))),
    }
}

struct Pair {
    plain: Session,
    indexed: Session,
    shown: String,
    /// Where the indexed collection is, if it is on the disk.
    folder: Option<tempfile::TempDir>,
}

/// A session on the disk, in a store whose tree soon holds most of what is written.
fn on_disk(folder: &Path) -> Session {
    let store = headwater_store::Options {
        memory_bytes_max: 16 << 10,
        segment_bytes: 32 << 10,
        tree_transaction_bytes: 8 << 10,
        map_bytes: 1 << 30,
        ..headwater_store::Options::default()
    };
    let options = EngineOptions { store, ..EngineOptions::default() };
    Session::on(Engine::open(folder, options).unwrap())
}

impl Pair {
    /// Opens the indexed collection again, if it is on the disk.
    fn reopen(&mut self) {
        let Some(folder) = &self.folder else { return };
        self.indexed.close();
        // The folder can be opened when the engine in it is gone.
        self.indexed = Session::new();
        self.indexed = on_disk(folder.path());
    }

    fn both(&self, command: &str) -> [DocBuf; 2] {
        [self.plain.ok(command), self.indexed.ok(command)]
    }

    fn compare(&self, random: &mut Random) {
        let filter = filter(random);
        let (sort, projection) = (random.pick(SORTS), random.pick(PROJECTIONS));
        let shown = &self.shown;
        let collation = match random.below(5) {
            0 => ", \"collation\": {\"locale\": \"en\", \"strength\": 2}",
            _ => "",
        };
        let find = format!(
            "{{\"find\": \"c\", \"filter\": {filter}, \"projection\": {projection}, \"batchSize\": 9{collation}}}"
        );
        // Plans that served other values before must serve these as well.
        for _ in 0..2 {
            self.indexed.run(&find.replace(&filter, &with_other_values(random, &filter)));
        }
        let expected = sorted(&all(&self.plain, &find));
        assert_eq!(sorted(&all(&self.indexed, &find)), expected, "{shown}: {find}");
        let tail = format!("\"sort\": {sort}{collation}}}");
        let by_order = format!("{{\"find\": \"c\", \"filter\": {filter}, {tail}");
        let total =
            sort.strip_suffix('}').map_or(String::new(), |sort| match sort.contains("_id") {
                true => format!("{sort}}}"),
                false => format!("{sort}, \"_id\": 1}}"),
            });
        let (skip, limit) = (random.below(4), 1 + random.below(12));
        let whole = by_order.replace(sort, &total);
        assert_eq!(
            texts(&all(&self.indexed, &whole)),
            texts(&all(&self.plain, &whole)),
            "{shown}: {whole}"
        );
        let some = whole.replacen(
            "\"sort\"",
            &format!("\"skip\": {skip}, \"limit\": {limit}, \"sort\""),
            1,
        );
        assert_eq!(
            texts(&all(&self.indexed, &some)),
            texts(&all(&self.plain, &some)),
            "{shown}: {some}"
        );
        // Without a tie breaker the order of the keys has to be the same.
        let fields = sort.replace("-1", "1").replacen('{', "{\"_id\": 0, ", 1);
        if !sort.contains("_id") && !sort.contains("\"a\"") {
            let keys =
                by_order.replacen("\"sort\"", &format!("\"projection\": {fields}, \"sort\""), 1);
            let order = |session: &Session| -> Vec<Vec<u8>> {
                let keys = all(session, &keys);
                let key = |doc: &DocBuf| {
                    let mut key = Vec::new();
                    for name in ["c", "d", "e"] {
                        let value = doc.as_doc().get(name).unwrap_or(Raw::NULL);
                        let mut bytes = headwater_engine::bson::key::encode(value);
                        if !collation.is_empty() {
                            bytes.make_ascii_lowercase();
                        }
                        key.extend(bytes);
                    }
                    key
                };
                keys.iter().map(key).collect()
            };
            assert_eq!(order(&self.indexed), order(&self.plain), "{shown}: {keys}");
        }
        let count = format!("{{\"count\": \"c\", \"query\": {filter}{collation}}}");
        let counts = self.both(&count).map(|reply| number(reply.as_doc().get("n")));
        assert_eq!(counts[0], counts[1], "{shown}: {count}");
        let field = random.pick(&["c", "d", "e", "a"]);
        let command = format!("{{\"distinct\": \"c\", \"key\": \"{field}\", \"query\": {filter}}}");
        assert_eq!(
            distinct(&self.indexed, &command),
            distinct(&self.plain, &command),
            "{shown}: {command}"
        );
    }

    fn change(&self, random: &mut Random) {
        let filter = filter(random);
        let command = match random.below(4) {
            0 => format!(
                "{{\"delete\": \"c\", \"deletes\": [{{\"q\": {{\"e\": {}, \"d\": 5}}, \"limit\": 0}}]}}",
                random.below(40)
            ),
            1 => format!(
                "{{\"update\": \"c\", \"updates\": [{{\"q\": {filter}, \"u\": {{\"$set\": {{\"d\": {}, \"c\": {}}}}}, \"multi\": true}}]}}",
                random.pick(SCALARS),
                random.below(5)
            ),
            2 => format!(
                "{{\"update\": \"c\", \"updates\": [{{\"q\": {{\"_id\": {}}}, \"u\": {}}}]}}",
                random.below(50),
                change(random, &KINDS[0])
            ),
            _ => format!(
                "{{\"update\": \"c\", \"updates\": [{{\"q\": {filter}, \"u\": {{\"$unset\": {{\"d\": 1}}, \"$inc\": {{\"e\": 1}}}}, \"multi\": true}}]}}"
            ),
        };
        let figures = [self.plain.run(&command), self.indexed.run(&command)];
        let figures = figures.map(|reply| {
            let failed = reply.as_doc().get("writeErrors").is_some();
            (failed, number(reply.as_doc().get("n")))
        });
        assert_eq!(figures[0], figures[1], "{}: {command}", self.shown);
    }
}

#[test]
fn no_set_of_indexes_changes_an_answer() {
    let long = std::env::var_os("HEADWATER_LONG").is_some();
    let rounds = if long { 20_000 } else { 14 };
    let mut random = Random(0x1234_5678_9ABC_DEF1);
    for round in 0..rounds {
        let folder = (round % 7 == 5).then(|| tempfile::tempdir().unwrap());
        let indexed = folder.as_ref().map_or_else(Session::new, |folder| on_disk(folder.path()));
        let (plain, shown) = (Session::new(), format!("round {round}"));
        let mut pair = Pair { plain, indexed, shown, folder };
        // Some plans are for large collections only.
        let documents = if round % 10 == 9 { 1100 } else { 50 };
        let rows: Vec<String> = (0..documents).map(|id| document(&mut random, id)).collect();
        let (before, behind) = rows.split_at(rows.len() / 2);
        pair.both(&format!("{{\"insert\": \"c\", \"documents\": [{}]}}", before.join(", ")));
        for at in 0..=random.below(5) {
            let (key, options) = (random.pick(INDEXES), random.pick(OPTIONS));
            let made = pair.indexed.run(&format!(
                "{{\"createIndexes\": \"c\", \"indexes\": [{{\"key\": {key}, \"name\": \"i{at}\"{options}}}]}}"
            ));
            pair.shown += &format!(", {key}{options} {}", number(made.as_doc().get("ok")));
        }
        pair.both(&format!("{{\"insert\": \"c\", \"documents\": [{}]}}", behind.join(", ")));
        let queries = if documents > 100 { 10 } else { 25 };
        for at in 0..queries {
            pair.compare(&mut random);
            if at % 4 == 3 && documents < 100 {
                pair.change(&mut random);
            }
            if at % 10 == 4 {
                pair.reopen();
            }
        }
        let valid = pair.indexed.ok("{\"validate\": \"c\"}");
        assert_eq!(
            valid.as_doc().get("valid").and_then(Raw::as_bool),
            Some(true),
            "{}",
            pair.shown
        );
    }
}
