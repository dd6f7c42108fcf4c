//! The recorded replies to aggregations. Run with `--nocapture` to see the score of every file.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use headwater_engine::aggregate::expressions::Scope;
use headwater_engine::aggregate::pipeline::{Context, Pipeline};
use headwater_engine::bson::extjson::{self, Style};
use headwater_engine::bson::{Array, Doc, DocBuf, Number, Raw};
use headwater_engine::query::exec::Environment;
use headwater_engine::{Error, Result};

use super::memory::{Given, Memory, NOW_MS};

/// What a case came to.
enum Outcome {
    Pass,
    /// The code or the documents differ.
    Fail(String),
    /// Only the message differs.
    Message(String),
    /// Something that is not tried here.
    Elsewhere,
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/oracle").join(name)
}

/// The text of a compressed file.
fn read(file: &Path) -> String {
    let mut text = String::new();
    let file = std::fs::File::open(file).unwrap();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    text
}

/// Runs a command over documents in memory; `None` if it is no aggregation or needs more than the pipeline.
fn run(command: Doc<'_>, memory: &Memory) -> Option<Result<Vec<DocBuf>>> {
    let known = ["aggregate", "pipeline", "cursor", "let", "allowDiskUse", "comment"];
    if command.iter().any(|e| !known.contains(&e.name_str())) {
        return None;
    }
    let collection = command.get("aggregate")?.as_str();
    let stages = command.get("pipeline")?;
    let run = || {
        let variables = command.get("let").and_then(Raw::as_doc);
        let mut scope = Scope::new(variables, NOW_MS)?
            .with_cluster_time(1 << 32)
            .with_user_roles(Array::trusted(Doc::EMPTY.as_bytes()).as_raw());
        let mut context = Context::new(&mut scope, "test", collection);
        let pipeline = Pipeline::parse_value(stages, &mut context)?;
        if pipeline.writes().is_some() {
            return Ok(None);
        }
        let source = match collection {
            Some(collection) if !pipeline.has_source() => {
                memory.open("test", collection, Doc::EMPTY, &Default::default())?
            }
            _ => Box::new(Given(Vec::new().into_iter())),
        };
        let mut run = pipeline.build(source);
        let mut docs = Vec::new();
        while let Some(doc) = run.next(memory)? {
            docs.push(doc);
        }
        Ok(Some(docs))
    };
    run().transpose()
}

/// The message without what the layers above put before it.
fn bare(message: &str) -> &str {
    let prefix = "Executor error during aggregate command on namespace: ";
    match message.strip_prefix(prefix).and_then(|rest| rest.split_once(" :: caused by :: ")) {
        Some((_, rest)) => rest,
        None => message,
    }
}

fn judge_error(reply: Doc<'_>, error: &Error) -> Outcome {
    let code = reply.get("code").and_then(Number::from_raw).and_then(Number::to_i64_exact);
    let message = reply.get("errmsg").and_then(Raw::as_str).unwrap_or_default();
    if code != Some(i64::from(error.code().0)) {
        return Outcome::Fail(format!("expected {code:?} {message}, got {error}"));
    }
    if bare(message) != error.message() {
        return Outcome::Message(format!("expected {message}\n       got {}", error.message()));
    }
    Outcome::Pass
}

fn texts<'a>(docs: impl Iterator<Item = Raw<'a>>) -> Vec<String> {
    docs.map(|raw| extjson::print_value(raw, Style::Canonical)).collect()
}

fn judge(case: Doc<'_>) -> Outcome {
    let empty = Array::trusted(Doc::EMPTY.as_bytes());
    let setup = case.get("setup").and_then(Raw::as_array).unwrap_or(empty);
    let Some(memory) = Memory::new(setup) else { return Outcome::Elsewhere };
    let command = case.get("command").and_then(Raw::as_doc).unwrap_or(Doc::EMPTY);
    let reply = case.get("reply").and_then(Raw::as_doc).unwrap_or(Doc::EMPTY);
    let Some(result) = run(command, &memory) else { return Outcome::Elsewhere };
    let batch =
        reply.get("cursor").and_then(Raw::as_doc).and_then(|cursor| cursor.get("firstBatch"));
    match (result, batch.and_then(Raw::as_array)) {
        (Err(error), None) => judge_error(reply, &error),
        (Err(error), Some(_)) => Outcome::Fail(format!("expected documents, got {error}")),
        (Ok(_), None) => {
            let message = reply.get("errmsg").and_then(Raw::as_str).unwrap_or_default();
            Outcome::Fail(format!("expected the error: {message}"))
        }
        (Ok(docs), Some(expected)) => {
            let mut expected = texts(expected.iter());
            let mut got = texts(docs.iter().map(|doc| doc.as_doc().as_raw()));
            if case.get("unordered").is_some() {
                expected.sort();
                got.sort();
            }
            match expected == got {
                true => Outcome::Pass,
                false => Outcome::Fail(format!(
                    "expected {}\n       got {}",
                    expected.join("\n"),
                    got.join("\n")
                )),
            }
        }
    }
}

/// Cases that are known to differ, with the reason: `name<TAB>reason`.
const KNOWN: &str = include_str!("known.tsv");

#[derive(Default)]
struct Score {
    passed: usize,
    messages: usize,
    failed: usize,
    elsewhere: usize,
}

/// Runs every case of a folder. A case that fails must be known, a known one must fail.
fn score(area: &str) {
    let known: Vec<&str> = KNOWN.lines().filter_map(|line| line.split('\t').next()).collect();
    let mut table = String::new();
    let mut surprises = String::new();
    let mut files: Vec<_> =
        std::fs::read_dir(folder(area)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files {
        let mut score = Score::default();
        for line in read(&file).lines() {
            let case = extjson::parse_commands(line).unwrap();
            let case = case.as_doc();
            let name = case.get("name").and_then(Raw::as_str).unwrap_or_default();
            if case.get("version").is_some() {
                score.elsewhere += 1;
                continue;
            }
            let failure = match judge(case) {
                Outcome::Pass => {
                    score.passed += 1;
                    None
                }
                Outcome::Elsewhere => {
                    score.elsewhere += 1;
                    continue;
                }
                Outcome::Message(what) => {
                    score.messages += 1;
                    println!("message {name}\n  {what}");
                    None
                }
                Outcome::Fail(what) => {
                    score.failed += 1;
                    Some(what)
                }
            };
            match (failure, known.contains(&name)) {
                (Some(what), false) => drop(writeln!(surprises, "failed {name}\n  {what}")),
                (None, true) => drop(writeln!(surprises, "{name} passes, but is known to fail")),
                _ => {}
            }
        }
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        let Score { passed, messages, failed, elsewhere } = score;
        let _ = writeln!(
            table,
            "{name:<35} {passed:>4} passed {messages:>4} but the message {failed:>4} failed {elsewhere:>4} elsewhere"
        );
    }
    println!("{table}");
    assert!(surprises.is_empty(), "\n{surprises}");
}

#[test]
fn expressions_answer_as_recorded() {
    score("expr");
}

#[test]
fn stages_answer_as_recorded() {
    score("stage");
}
