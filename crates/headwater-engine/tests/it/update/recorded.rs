//! Runs the recorded update cases and counts.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use headwater_engine::bson::extjson::{self, Style};
use headwater_engine::bson::{Array, Doc, DocBuf, Number, Raw, View};

use super::collection::{Collection, Reply};
use super::describe;

/// The recordings of updates; the generated ones are of random documents and updates.
const FILES: &[&str] = &[
    "oracle/write/update_addtoset",
    "oracle/write/update_arith",
    "oracle/write/update_general",
    "oracle/write/update_minmax_bit",
    "oracle/write/update_pipeline",
    "oracle/write/update_positional",
    "oracle/write/update_pull",
    "oracle/write/update_push",
    "oracle/write/update_set",
    "oracle/write/upsert",
    "update/generated",
];

/// Cases that need more than documents in memory, by a part of their name, and what they need.
const ELSEWHERE: &[(&str, &str)] = &[
    ("collation", "collations"),
    ("/command/", "the command's own options"),
    ("update_positional/filter/errors/not-array", "the command's own options"),
];

/// Cases that do not pass, and why. One that passes may not be listed.
const KNOWN: &[(&str, &str)] = &[];

const RUNNING: &str = "Plan executor error during update :: caused by :: ";

fn cases(file: &str) -> Vec<DocBuf> {
    let path = format!("../../testdata/{file}.jsonl.gz");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let mut text = String::new();
    let packed = File::open(&path).expect("the recordings are in testdata");
    GzDecoder::new(packed).read_to_string(&mut text).expect("compressed text");
    text.lines().map(|line| extjson::parse_commands(line).expect("Extended JSON")).collect()
}

fn list<'a>(doc: Doc<'a>, name: &str) -> Vec<Doc<'a>> {
    let list = doc.get(name).and_then(Raw::as_array);
    list.into_iter().flat_map(Array::iter).filter_map(Raw::as_doc).collect()
}

fn number(doc: Doc<'_>, name: &str) -> i64 {
    doc.get(name).and_then(Number::from_raw).and_then(Number::to_i64_exact).unwrap_or(0)
}

fn shown(doc: Doc<'_>) -> String {
    extjson::print(doc, Style::Canonical)
}

/// Whether a case is one of documents alone; not with indexes, validators, other collections.
fn is_plain(case: Doc<'_>) -> bool {
    let setup = list(case, "setup");
    let plain = setup.iter().all(|command| {
        command.first().is_some_and(|first| first.name == b"insert")
            || (command.get("create").is_some() && command.iter().count() == 1)
    });
    plain && case.get("command").and_then(Raw::as_doc).is_some_and(|c| c.get("update").is_some())
}

/// Runs a case; what is wrong with it.
fn run(case: Doc<'_>) -> Result<Collection, String> {
    let mut collection = Collection::default();
    for command in list(case, "setup") {
        collection.docs.extend(list(command, "documents").into_iter().map(Doc::to_buf));
    }
    let part = |name| case.get(name).and_then(Raw::as_doc).unwrap_or(Doc::EMPTY);
    if let Some(upserted) = list(part("reply"), "upserted").first()
        && let Some(View::ObjectId(id)) = upserted.get("_id").map(Raw::view)
    {
        collection.new_id = id;
    }
    let reply = collection.update(part("command"));
    check_reply(&reply, part("reply"))?;
    let then = part("then");
    let whole = then.get("find").is_some()
        && then.get("filter").and_then(Raw::as_doc).is_none_or(Doc::is_empty)
        && then.get("projection").is_none();
    if whole {
        let cursor = part("then_reply").get("cursor").and_then(Raw::as_doc);
        let expected = list(cursor.unwrap_or(Doc::EMPTY), "firstBatch");
        let mut got: Vec<Doc<'_>> = collection.docs.iter().map(DocBuf::as_doc).collect();
        if then.get("sort").is_some() {
            got.sort_by_key(|doc| number(*doc, "_id"));
        }
        let all = |docs: &[Doc<'_>]| docs.iter().map(|d| shown(*d)).collect::<Vec<_>>();
        let (got, expected) = (all(&got), all(&expected));
        if got != expected {
            return Err(format!("documents {got:?}, not {expected:?}"));
        }
    }
    Ok(collection)
}

fn check_reply(got: &Reply, expected: Doc<'_>) -> Result<(), String> {
    if expected.get("code").is_some() {
        // Refused as a whole; here the statement alone is looked at.
        return match got.errors.first() {
            Some((_, error, _))
                if i64::from(error.code().0) == number(expected, "code")
                    && Some(error.message()) == expected.get("errmsg").and_then(Raw::as_str) =>
            {
                Ok(())
            }
            other => Err(format!("{other:?}, not {}", shown(expected))),
        };
    }
    let errors = list(expected, "writeErrors");
    for (at, expected) in errors.iter().enumerate() {
        let Some((index, error, running)) = got.errors.get(at) else {
            return Err(format!("no error, not {}", shown(*expected)));
        };
        let prefix = if *running { RUNNING } else { "" };
        let message = format!("{prefix}{}", error.message());
        let code = i64::from(error.code().0);
        if (*index as i64, code) != (number(*expected, "index"), number(*expected, "code"))
            || Some(&*message) != expected.get("errmsg").and_then(Raw::as_str)
        {
            return Err(format!("statement {index}: {code} {message}, not {}", shown(*expected)));
        }
    }
    if let Some((_, error, _)) = got.errors.get(errors.len()) {
        return Err(format!("error {error}"));
    }
    let counts = (got.n, got.modified);
    let expected = (number(expected, "n"), number(expected, "nModified"));
    if counts != expected {
        return Err(format!("n and nModified {counts:?}, not {expected:?}"));
    }
    Ok(())
}

#[test]
fn recorded_answers_are_given() {
    let mut failures = Vec::new();
    let mut unexpected = Vec::new();
    for file in FILES {
        let (mut passed, mut failed, mut elsewhere) = (0, 0, 0);
        for case in cases(file) {
            let case = case.as_doc();
            let name = case.get("name").and_then(Raw::as_str).unwrap_or_default();
            if !is_plain(case) || ELSEWHERE.iter().any(|(part, _)| name.contains(part)) {
                elsewhere += 1;
                continue;
            }
            let known = KNOWN.iter().any(|(prefix, _)| name.starts_with(prefix));
            match run(case).and_then(|collection| describe::check(&collection)) {
                Ok(()) => {
                    passed += 1;
                    if known {
                        unexpected.push(name.to_owned());
                    }
                }
                Err(what) => {
                    failed += 1;
                    if !known {
                        failures.push(format!("{name}: {what}"));
                    }
                }
            }
        }
        println!("{file}: {passed} pass, {failed} fail, {elsewhere} need more than documents");
    }
    assert!(failures.is_empty(), "{} fail:\n{}", failures.len(), failures.join("\n"));
    assert!(unexpected.is_empty(), "these pass, take them off the list: {unexpected:?}");
}
