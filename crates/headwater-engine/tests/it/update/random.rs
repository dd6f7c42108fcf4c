//! Properties of updates on random documents:
//! - whatever the update, the result is an error or a valid document with `_id` unchanged and arrays counted from 0;
//! - the description applied to the old document gives the new one;
//! - setting what is there, or adding to a set twice, changes nothing the second time;
//! - an update followed by its inverse restores the document;
//! - a whole command, however odd, gets an answer, and the documents and indexes stay valid.

use headwater_engine::bson::{
    Array, ArrayWriter, Doc, DocBuf, DocWriter, Number, Raw, Type, validate,
};
use headwater_engine::update::{Outcome, UPDATES, Update, UpdateOptions};
use headwater_engine::{Engine, EngineOptions, Request};

use super::collection::{Collection, NOW};
use super::describe;

/// Cases of the longest campaign; the others take a part of it.
fn rounds() -> u64 {
    if std::env::var_os("HEADWATER_LONG").is_some() { 1_000_000 } else { 20_000 }
}

/// A small generator of random numbers (xorshift), so that a failure can be run again by its seed.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    fn value(&mut self, out: &mut DocWriter, name: &str, depth: usize) {
        match self.below(if depth > 3 { 8 } else { 12 }) {
            0 | 1 => out.i32(name, self.below(6) as i32 - 2),
            2 => out.i64(name, *self.pick(&[0, 1, i64::MAX, i64::MIN])),
            3 => out.f64(name, *self.pick(&[0.0, -0.0, 1.5, f64::NAN, 1e300])),
            4 => out.str(name, ["", "x", "$a", "date"][self.below(4)]),
            5 => out.null(name),
            6 => out.bool(name, self.below(2) == 0),
            7 => out.date(name, 5),
            8 | 9 => out.array(name, |array| self.elements(array, depth + 1)),
            _ => out.document(name, |doc| self.fields(doc, depth + 1)),
        }
    }

    fn elements(&mut self, out: &mut ArrayWriter, depth: usize) {
        for _ in 0..self.below(5) {
            let mut one = DocWriter::new();
            self.value(&mut one, "v", depth);
            out.raw(one.finish().as_doc().get("v").expect("a value"));
        }
    }

    fn fields(&mut self, out: &mut DocWriter, depth: usize) {
        let mut names = vec!["a", "b", "c", "0", "1"];
        for _ in 0..self.below(4) {
            let name = names.remove(self.below(names.len()));
            self.value(out, name, depth);
        }
    }

    fn document(&mut self) -> DocBuf {
        let mut doc = DocWriter::new();
        doc.i32("_id", 1);
        self.fields(&mut doc, 0);
        doc.finish()
    }

    fn path(&mut self) -> String {
        let mut path = (*self.pick(&["a", "b", "c", "0", "_id", "z", "", "$x"])).to_owned();
        for _ in 0..*self.pick(&[0, 0, 0, 1, 1, 2, 3]) {
            path.push('.');
            let parts = ["a", "b", "0", "1", "3", "01", "$", "$[]", "$[x]", ""];
            path.push_str(parts[self.below(parts.len())]);
        }
        path
    }

    fn operand(&mut self, out: &mut DocWriter, path: &str) {
        match self.below(4) {
            0 => out.i32(path, *self.pick(&[1, -1, 2])),
            1 => {
                let clauses = ["$each", "$slice", "$sort", "$position", "and", "$type", "$gt", "a"];
                let first = self.below(clauses.len());
                out.document(path, |doc| {
                    for clause in clauses.iter().skip(first).take(3) {
                        self.value(doc, clause, 2);
                    }
                });
            }
            2 => out.str(path, &self.path()),
            _ => self.value(out, path, 1),
        }
    }

    /// An update document with one to three operators on one or two paths each.
    fn update(&mut self) -> DocBuf {
        let mut update = DocWriter::new();
        let mut rows: Vec<_> = UPDATES.iter().map(|row| row.name).collect();
        for _ in 0..=self.below(3) {
            let name = rows.remove(self.below(rows.len()));
            update.document(name, |fields| {
                for _ in 0..=self.below(2) {
                    let path = self.path();
                    self.operand(fields, &path);
                }
            });
        }
        update.finish()
    }
}

fn compile(update: Doc<'_>) -> Result<Update, headwater_engine::Error> {
    let mut filter = DocWriter::new();
    filter.document("x", |x| x.i32("$gte", 1));
    let mut filters = ArrayWriter::new();
    filters.doc(filter.finish().as_doc());
    let filters = filters.into_bytes();
    let array_filters = Some(Array::trusted(&filters));
    let with = UpdateOptions { array_filters, ..UpdateOptions::default() };
    Update::parse(update.as_raw(), &with)
        .or_else(|_| Update::parse(update.as_raw(), &UpdateOptions::default()))
}

fn apply(update: &DocBuf, doc: &DocBuf) -> DocBuf {
    let update = compile(update.as_doc()).expect("a good update");
    match update.apply(doc.as_doc(), None, &NOW).expect("an update that fits") {
        Outcome::Unchanged => doc.clone(),
        Outcome::Changed { document, .. } => document,
    }
}

/// Whether the elements of every array are named by their index.
fn is_counted(value: Raw<'_>) -> bool {
    if !matches!(value.kind, Type::Document | Type::Array) {
        return true;
    }
    Doc::trusted(value.data).iter().enumerate().all(|(at, element)| {
        (value.kind == Type::Document || element.name_str() == at.to_string())
            && is_counted(element.value)
    })
}

fn operator(name: &str, fill: impl FnOnce(&mut DocWriter)) -> DocBuf {
    let mut update = DocWriter::new();
    update.document(name, fill);
    update.finish()
}

#[test]
fn results_are_valid_and_described() {
    let (mut changed, mut refused) = (0, 0);
    let rounds = rounds();
    for seed in 1..=rounds {
        let mut random = Random::new(seed);
        let (old, spec) = (random.document(), random.update());
        let Ok(update) = compile(spec.as_doc()) else {
            refused += 1;
            continue;
        };
        let position = [None, Some(0), Some(1)][random.below(3)];
        match update.apply(old.as_doc(), position, &NOW) {
            Err(_) => refused += 1,
            Ok(Outcome::Unchanged) => {}
            Ok(Outcome::Changed { document, description }) => {
                changed += 1;
                let bytes = document.as_doc().as_bytes();
                validate(bytes).unwrap_or_else(|e| panic!("seed {seed}: {spec:?}: {e}"));
                assert!(is_counted(document.as_doc().as_raw()), "seed {seed}: {document:?}");
                assert_eq!(document.as_doc().get("_id").map(|id| id.data), Some(&[1, 0, 0, 0][..]));
                let changes = vec![(old, document, description)];
                let described = describe::check(&Collection { changes, ..Collection::default() });
                assert_eq!(described, Ok(()), "seed {seed}: {spec:?}");
            }
        }
        let inserted = update.insert_document(Doc::EMPTY, || [1; 12], &NOW);
        if let Ok(inserted) = inserted {
            validate(inserted.as_doc().as_bytes()).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        }
    }
    assert!(changed > rounds / 50 && refused > rounds / 50, "{changed} changed, {refused} refused");
}

#[test]
fn a_pipeline_is_described_by_the_difference() {
    let (mut described, rounds) = (0, rounds());
    for seed in 1..=rounds / 10 {
        let mut random = Random::new(seed);
        let padded = |random: &mut Random| {
            let mut doc = DocWriter::new();
            doc.i32("_id", 1);
            doc.str("padding", &"x".repeat(300));
            random.fields(&mut doc, 0);
            doc.finish()
        };
        let (old, new) = (padded(&mut random), padded(&mut random));
        let mut stages = ArrayWriter::new();
        stages.document(|s| s.document("$replaceWith", |r| r.doc("$literal", new.as_doc())));
        let stages = stages.into_bytes();
        let update = Array::trusted(&stages).as_raw();
        let update = Update::parse(update, &UpdateOptions::default()).expect("a good pipeline");
        match update.apply(old.as_doc(), None, &NOW).expect("a document") {
            Outcome::Unchanged => assert_eq!(old, new),
            Outcome::Changed { document, description } => {
                assert_eq!(document, new, "seed {seed}");
                described += u64::from(description.is_some());
                let changes = vec![(old, document, description)];
                let collection = Collection { changes, ..Collection::default() };
                let checked = describe::check_unordered(&collection);
                assert_eq!(checked, Ok(()), "seed {seed}");
            }
        }
    }
    assert!(described > rounds / 20, "{described} described");
}

#[test]
fn the_second_time_nothing_changes() {
    for seed in 1..=rounds() / 10 {
        let mut random = Random::new(seed);
        let old = random.document();
        for name in ["$set", "$min", "$max", "$addToSet"] {
            let update = operator(name, |fields| random.value(fields, "a", 1));
            let compiled = compile(update.as_doc()).expect("a good update");
            let Ok(Outcome::Changed { document, .. }) = compiled.apply(old.as_doc(), None, &NOW)
            else {
                continue;
            };
            let again = compiled.apply(document.as_doc(), None, &NOW);
            assert!(matches!(again, Ok(Outcome::Unchanged)), "seed {seed}: {update:?}: {again:?}");
        }
    }
}

#[test]
fn an_inverse_restores_the_document() {
    // Six pairs a round.
    for seed in 1..=rounds() / 6 {
        let mut random = Random::new(seed);
        let mut doc = DocWriter::new();
        doc.i32("_id", 1);
        doc.i32("n", random.below(100) as i32);
        doc.document("o", |o| random.fields(o, 1));
        doc.array("l", |l| random.elements(l, 1));
        random.value(&mut doc, "v", 1);
        let doc = doc.finish();
        let by = random.below(1000) as i32 - 500;
        let old = doc.as_doc().get("v").expect("v");
        let pairs = [
            (operator("$inc", |f| f.i32("n", by)), operator("$inc", |f| f.i32("n", -by))),
            (operator("$bit", |f| f.document("n", |x| x.i32("xor", by))), {
                operator("$bit", |f| f.document("n", |x| x.i32("xor", by)))
            }),
            (operator("$set", |f| f.i32("v", by)), operator("$set", |f| f.raw("v", old))),
            (operator("$set", |f| f.i32("o.new", 1)), operator("$unset", |f| f.i32("o.new", 1))),
            (operator("$push", |f| f.i32("l", by)), operator("$pop", |f| f.i32("l", 1))),
            (operator("$rename", |f| f.str("v", "w")), operator("$rename", |f| f.str("w", "v"))),
        ];
        for (there, back) in pairs {
            let restored = apply(&back, &apply(&there, &doc));
            assert_eq!(restored, doc, "seed {seed}: {there:?}");
        }
    }
}

/// A writing command with random filters, updates and options.
fn command(random: &mut Random) -> DocBuf {
    let (filter, update) = (random.document(), random.update());
    let filter = if random.below(2) == 0 { DocBuf::new() } else { filter };
    let options = |random: &mut Random, out: &mut DocWriter, names: &[&str]| {
        for name in names {
            match random.below(12) {
                0..=4 => {}
                5 => random.value(out, name, 1),
                _ if *name == "arrayFilters" => out.array(name, |filters| {
                    filters.document(|filter| filter.i32("x", 1));
                }),
                _ if matches!(*name, "sort" | "hint") => out.document(name, |sort| {
                    sort.i32(["a", "_id", "$natural"][random.below(3)], 1);
                }),
                _ => out.bool(name, random.below(2) == 0),
            }
        }
    };
    let mut command = DocWriter::new();
    let mut db = "test";
    match random.below(3) {
        0 => {
            command.str("update", "c");
            command.array("updates", |updates| {
                updates.document(|statement| {
                    statement.doc("q", filter.as_doc());
                    statement.doc("u", update.as_doc());
                    options(
                        random,
                        statement,
                        &["multi", "upsert", "arrayFilters", "sort", "hint", "c"],
                    );
                });
            });
        }
        1 => {
            command.str("findAndModify", "c");
            command.doc("query", filter.as_doc());
            command.doc("update", update.as_doc());
            options(
                random,
                &mut command,
                &["new", "upsert", "arrayFilters", "sort", "fields", "hint", "let"],
            );
        }
        _ => {
            db = "admin";
            command.i32("bulkWrite", 1);
            command.array("ops", |ops| {
                ops.document(|op| {
                    op.i32("update", random.below(2) as i32);
                    op.doc("filter", filter.as_doc());
                    op.doc("updateMods", update.as_doc());
                    options(random, op, &["multi", "upsert", "arrayFilters", "sort", "constants"]);
                });
                ops.document(|op| {
                    op.i32("delete", 0);
                    op.doc("filter", filter.as_doc());
                    options(random, op, &["multi", "hint"]);
                });
            });
            command.array("nsInfo", |infos| infos.document(|info| info.str("ns", "test.c")));
            options(random, &mut command, &["ordered", "errorsOnly", "let", "cursor"]);
        }
    }
    command.str("$db", db);
    command.finish()
}

#[test]
fn no_command_panics_and_every_document_stays_valid() {
    let engine = Engine::open_in_memory(EngineOptions::default()).unwrap();
    let client = engine.client("test", "test");
    let run = |command: &DocBuf| {
        engine.run_command(&client, &Request { body: command.as_doc(), sequences: &[] })
    };
    let plain = |name: &str, fill: &mut dyn FnMut(&mut DocWriter)| {
        let mut command = DocWriter::new();
        command.str(name, "c");
        fill(&mut command);
        command.str("$db", "test");
        command.finish()
    };
    let (mut did, mut refused) = (0, 0);
    for seed in 1..=rounds() / 4 {
        let mut random = Random::new(seed);
        if seed % 200 == 1 {
            run(&plain("drop", &mut |_| {}));
            let insert = plain("insert", &mut |insert| {
                insert.array("documents", |documents| {
                    for id in 0..5 {
                        documents.document(|doc| {
                            doc.i32("_id", id);
                            random.fields(doc, 0);
                        });
                    }
                });
            });
            run(&insert);
        }
        let command = command(&mut random);
        let reply = run(&command);
        let ok = reply.as_doc().get("ok").and_then(Number::from_raw).map(Number::to_f64);
        match ok {
            Some(1.0) => did += 1,
            Some(0.0) => {
                refused += 1;
                let code = reply.as_doc().get("codeName").and_then(Raw::as_str);
                assert_ne!(code, Some("InternalError"), "seed {seed}: {command:?}: {reply:?}");
            }
            _ => panic!("seed {seed}: {command:?}: {reply:?}"),
        }
        if seed % 200 == 0 {
            let valid = run(&plain("validate", &mut |_| {}));
            let valid = valid.as_doc().get("valid").and_then(Raw::as_bool);
            assert_ne!(valid, Some(false), "seed {seed}: {command:?}");
        }
    }
    assert!(did > 100 && refused > 100, "{did} done, {refused} refused");
}
