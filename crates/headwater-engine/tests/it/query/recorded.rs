//! The recorded replies that filters, sorts and projections alone can give.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use headwater_engine::aggregate::expressions::{Metadata, Offered, Scope};
use headwater_engine::bson::{ArrayWriter, Doc, DocBuf, DocWriter, Number, Raw, View, extjson};
use headwater_engine::query::distinct::Distinct;
use headwater_engine::query::matcher::{MatchDetails, Matcher};
use headwater_engine::query::projection::Projection;
use headwater_engine::query::sort::{SortPattern, Sorter};
use headwater_engine::{Error, Result};

const BYTES_MAX: usize = 64 << 20;

type Docs = Vec<DocBuf>;

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

pub(super) fn text<'a>(doc: Doc<'a>, name: &str) -> Option<&'a str> {
    doc.get(name).and_then(Raw::as_str)
}

pub(super) fn doc<'a>(doc: Doc<'a>, name: &str) -> Option<Doc<'a>> {
    doc.get(name).and_then(Raw::as_doc)
}

/// The documents that `setup` puts into `collection`; `None` if it does something else.
fn documents(case: Doc<'_>, collection: &str) -> Option<Docs> {
    let mut docs = Vec::new();
    let setup = case.get("setup").and_then(Raw::as_array);
    for command in setup.into_iter().flat_map(|setup| setup.iter()).filter_map(Raw::as_doc) {
        let name = command.first()?;
        match name.name {
            b"createIndexes" => {}
            b"insert" if name.value.as_str() == Some(collection) => {
                let inserted = command.get("documents")?.as_array()?;
                docs.extend(inserted.iter().filter_map(Raw::as_doc).map(Doc::to_buf));
            }
            b"insert" => {}
            _ => return None,
        }
    }
    Some(docs)
}

fn integer(command: Doc<'_>, name: &str) -> Option<i64> {
    Number::from_raw(command.get(name)?)?.to_i64_exact()
}

fn scope(command: Doc<'_>) -> Result<Scope> {
    Scope::new(doc(command, "let"), 1_700_000_000_000)
}

fn sorted(docs: Docs, pattern: Doc<'_>) -> Result<Docs> {
    let pattern = SortPattern::parse(pattern)?;
    if pattern.is_empty() {
        return Ok(docs);
    }
    let mut sorter = Sorter::new(None, BYTES_MAX);
    let mut key = Vec::new();
    for doc in docs {
        key.clear();
        pattern.write_key(doc.as_doc(), &mut key)?;
        sorter.push(&key, doc.as_doc())?;
    }
    sorter.finish()?.collect()
}

fn projected(
    projection: &Projection,
    doc: Doc<'_>,
    details: Option<&MatchDetails>,
) -> Result<DocBuf> {
    let mut out = DocWriter::new();
    projection.apply(doc, details, &mut out)?;
    Ok(out.finish())
}

fn find(command: Doc<'_>, docs: Docs) -> Result<Docs> {
    let mut scope = scope(command)?;
    let filter = Matcher::parse(doc(command, "filter").unwrap_or(Doc::EMPTY), &mut scope)?;
    let projection = doc(command, "projection").unwrap_or(Doc::EMPTY);
    let pattern = doc(command, "sort").unwrap_or(Doc::EMPTY);
    scope.offer_metadata(Offered::All { sorted: !pattern.is_empty() });
    let projection = Projection::parse_find(projection, &mut scope)?;
    if let Some(error) = scope.take_folding_error() {
        return Err(error);
    }
    SortPattern::parse(pattern)?;
    let mut found = Vec::new();
    for doc in docs {
        if filter.matches(doc.as_doc())? {
            found.push(doc);
        }
    }
    let mut found = sorted(found, pattern)?;
    let skip = integer(command, "skip").unwrap_or(0).clamp(0, 1 << 30) as usize;
    found.drain(..skip.min(found.len()));
    if let Some(limit @ 1..) = integer(command, "limit") {
        found.truncate(limit as usize);
    }
    found
        .iter()
        .map(|doc| {
            let details = match projection.needs_position() {
                true => filter.matches_with_position(doc.as_doc())?,
                false => None,
            };
            let sort = SortPattern::parse(pattern)?;
            let sort_key = (!sort.is_empty()).then(|| sort.values(doc.as_doc())).transpose()?;
            let metadata = Metadata { record: 1, index_key: None, sort_key };
            let mut out = DocWriter::new();
            let (doc, details) = (doc.as_doc(), details.as_ref());
            projection.apply_with(doc, details, Some(&metadata), &mut out)?;
            Ok(out.finish())
        })
        .collect()
}

/// Runs the stages that this is about; `None` if there are others.
fn aggregate(command: Doc<'_>, mut docs: Docs) -> Option<Result<Docs>> {
    let stages = command.get("pipeline")?.as_array()?;
    let known = ["$match", "$sort", "$project", "$addFields", "$set", "$unset", "$limit", "$skip"];
    let stages: Vec<_> =
        stages.iter().map(|stage| stage.as_doc().and_then(Doc::first)).collect::<Option<_>>()?;
    if stages.iter().any(|stage| !known.contains(&stage.name_str())) {
        return None;
    }
    let mut run = || -> Result<Docs> {
        let mut scope = scope(command)?;
        for stage in &stages {
            let (name, spec) = (stage.name_str(), stage.value);
            let projection = match name {
                "$match" => {
                    let Some(filter) = spec.as_doc() else {
                        let message = "the match filter must be an expression in an object";
                        return Err(Error::location(15959, message));
                    };
                    let filter = Matcher::parse(filter, &mut scope)?;
                    let mut found = Vec::new();
                    for doc in std::mem::take(&mut docs) {
                        if filter.matches(doc.as_doc())? {
                            found.push(doc);
                        }
                    }
                    docs = found;
                    continue;
                }
                "$sort" => {
                    let Some(pattern) = spec.as_doc() else {
                        let message = "the $sort key specification must be an object";
                        return Err(Error::location(15973, message));
                    };
                    docs = sorted(std::mem::take(&mut docs), pattern)?;
                    continue;
                }
                "$limit" | "$skip" => {
                    let count = Number::from_raw(spec).and_then(Number::to_i64_exact).unwrap_or(0);
                    let count = (count as usize).min(docs.len());
                    if name == "$limit" {
                        docs.truncate(count);
                    } else {
                        docs.drain(..count);
                    }
                    continue;
                }
                "$project" => Projection::parse_project(spec, &mut scope)?,
                "$unset" => Projection::parse_unset(spec)?,
                name => Projection::parse_add_fields(name, spec, &mut scope)?,
            };
            if let Some(error) = scope.take_folding_error() {
                return Err(error);
            }
            docs = docs
                .iter()
                .map(|doc| projected(&projection, doc.as_doc(), None))
                .collect::<Result<_>>()?;
        }
        Ok(std::mem::take(&mut docs))
    };
    Some(run())
}

fn distinct(command: Doc<'_>, docs: Docs) -> Result<Vec<u8>> {
    let mut scope = scope(command)?;
    let filter = Matcher::parse(doc(command, "query").unwrap_or(Doc::EMPTY), &mut scope)?;
    let mut distinct = Distinct::new(text(command, "key").unwrap_or_default());
    for doc in docs {
        if filter.matches(doc.as_doc())? {
            distinct.add(doc.as_doc(), None)?;
        }
    }
    let mut values = ArrayWriter::new();
    distinct.write(&mut values);
    Ok(values.into_bytes())
}

fn count(command: Doc<'_>, docs: Docs) -> Result<i64> {
    let filter = doc(command, "query").unwrap_or(Doc::EMPTY);
    let filter = Matcher::parse(filter, &mut scope(command)?)?;
    let mut n = 0;
    for doc in docs {
        n += i64::from(filter.matches(doc.as_doc())?);
    }
    n = (n - integer(command, "skip").unwrap_or(0)).max(0);
    Ok(match integer(command, "limit") {
        Some(limit @ 1..) => n.min(limit),
        _ => n,
    })
}

/// The message without what layers above put before it.
fn bare(message: &str) -> &str {
    message.rsplit(" :: caused by :: ").next().unwrap_or(message)
}

fn judge_error(reply: Doc<'_>, error: &Error) -> Outcome {
    // Expressions and metadata have tests of their own.
    if error.message().contains("Unrecognized expression")
        || error.code().0 == 4_890_500
        || error.message().contains("The projection {$meta")
    {
        return Outcome::Elsewhere;
    }
    let code = integer(reply, "code");
    let message = text(reply, "errmsg").unwrap_or_default();
    if code != Some(i64::from(error.code().0)) {
        return Outcome::Fail(format!("expected {code:?} {message}, got {error}"));
    }
    if bare(message) != bare(error.message()) {
        return Outcome::Message(format!("expected {message}, got {}", error.message()));
    }
    Outcome::Pass
}

fn judge_values(expected: Option<Raw<'_>>, got: Vec<u8>, unordered: bool) -> Outcome {
    let Some(expected) = expected.and_then(Raw::as_array) else {
        return Outcome::Fail(format!("expected an error, got {:?}", Doc::trusted(&got)));
    };
    let got = headwater_engine::bson::Array::trusted(&got);
    let values = |array: headwater_engine::bson::Array<'_>| {
        let mut values: Vec<(u8, Vec<u8>)> =
            array.iter().map(|v| (v.kind as u8, v.data.to_vec())).collect();
        if unordered {
            values.sort();
        }
        values
    };
    if values(expected) == values(got) {
        return Outcome::Pass;
    }
    Outcome::Fail(format!("expected {expected:?}, got {got:?}"))
}

fn array_of(docs: &Docs) -> Vec<u8> {
    let mut array = ArrayWriter::new();
    docs.iter().for_each(|doc| array.doc(doc.as_doc()));
    array.into_bytes()
}

fn run(case: Doc<'_>) -> Outcome {
    let (Some(command), Some(reply)) = (doc(case, "command"), doc(case, "reply")) else {
        return Outcome::Elsewhere;
    };
    if text(case, "version").is_some() {
        return Outcome::Elsewhere;
    }
    let Some(name) = command.first() else { return Outcome::Elsewhere };
    let same_with_hint =
        text(case, "name").is_some_and(|name| name.starts_with("query/index_same/"));
    // What the command itself checks, and what needs an index, is tried over the whole server.
    let plain = command.iter().all(|field| match field.name {
        b"filter" | b"query" | b"projection" | b"sort" | b"let" => field.value.as_doc().is_some(),
        b"skip" | b"limit" => matches!(field.value.view(), View::Int32(0..)),
        b"key" => field.value.as_str().is_some_and(|key| !key.contains('\0')),
        b"hint" => same_with_hint,
        _ => matches!(
            field.name,
            b"find" | b"count" | b"distinct" | b"aggregate" | b"pipeline" | b"cursor"
        ),
    });
    let natural = doc(command, "sort").is_some_and(|sort| sort.get("$natural").is_some());
    let collection = name.value.as_str().unwrap_or_default();
    if !plain
        || natural
        || collection.is_empty()
        || collection.starts_with('.')
        || collection.contains('$')
    {
        return Outcome::Elsewhere;
    }
    let Some(docs) = documents(case, collection) else {
        return Outcome::Elsewhere;
    };
    let unordered = case.get("unordered").is_some();
    let cursor = doc(reply, "cursor").unwrap_or(Doc::EMPTY);
    let error = match name.name {
        b"find" => match find(command, docs) {
            Ok(docs) => return judge_values(cursor.get("firstBatch"), array_of(&docs), unordered),
            Err(error) => error,
        },
        b"aggregate" => match aggregate(command, docs) {
            None => return Outcome::Elsewhere,
            Some(Ok(docs)) => {
                return judge_values(cursor.get("firstBatch"), array_of(&docs), unordered);
            }
            Some(Err(error)) => error,
        },
        b"count" => match count(command, docs) {
            Ok(n) if Some(n) == integer(reply, "n") => return Outcome::Pass,
            Ok(n) => return Outcome::Fail(format!("expected {reply:?}, got {n}")),
            Err(error) => error,
        },
        b"distinct" => match distinct(command, docs) {
            Ok(values) => return judge_values(reply.get("values"), values, unordered),
            Err(error) => error,
        },
        _ => return Outcome::Elsewhere,
    };
    judge_error(reply, &error)
}

/// Cases that are known to fail, each with the reason. One that passes has to be taken out.
const KNOWN: &[(&str, &str)] = &[
    ("query/regex/invalid-lookbehind-error", "a newer PCRE2 has other words for it"),
    (
        "query/distinct/with-multikey-index-nested-and-empty-arrays-differ-from-no-index",
        "needs the index",
    ),
    ("query/count/$near-in-count", "near is tried with its index"),
    ("stage/match/text-not-first-error", "text search is tried with its index"),
    ("stage/match/text-second-match-error", "text search is tried with its index"),
    ("stage/match/where-not-allowed", "JavaScript is not run"),
];

/// The files whose cases filters, sorts and projections alone decide.
const FILES: &[&str] = &[
    "query/array_ops",
    "query/bits",
    "query/comparison",
    "query/count",
    "query/distinct",
    "query/equality",
    "query/exists_type",
    "query/expr",
    "query/find_options",
    "query/in_nin",
    "query/index_same",
    "query/jsonschema",
    "query/logical",
    "query/mod",
    "query/null_missing",
    "query/paths",
    "query/projection",
    "query/projection_operators",
    "query/regex",
    "query/sort",
    "stage/addFields",
    "stage/match",
    "stage/project",
    "stage/sort",
    "stage/unset",
];

pub(super) fn cases(file: &str) -> Vec<DocBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/oracle");
    let bytes = std::fs::read(folder.join(format!("{file}.jsonl.gz"))).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
    text.lines().map(|line| extjson::parse_commands(line).unwrap()).collect()
}

#[test]
fn recorded_replies_are_given() {
    let mut tally: BTreeMap<&str, [usize; 4]> = BTreeMap::new();
    let mut wrong = Vec::new();
    for file in FILES {
        let counts = tally.entry(file).or_default();
        for case in cases(file) {
            let case = case.as_doc();
            let name = text(case, "name").unwrap_or_default();
            let known = KNOWN.iter().find(|(known, _)| *known == name);
            let outcome = run(case);
            if let Some((_, why)) = known
                && matches!(outcome, Outcome::Pass)
            {
                wrong.push(format!("{name} passes although {why}"));
            }
            match outcome {
                Outcome::Pass => counts[0] += 1,
                Outcome::Message(_) if known.is_some() => counts[1] += 1,
                Outcome::Fail(_) if known.is_some() => counts[2] += 1,
                Outcome::Message(why) | Outcome::Fail(why) => {
                    wrong.push(format!("{name}: {:?}: {why}", doc(case, "command")));
                }
                Outcome::Elsewhere => counts[3] += 1,
            }
        }
    }
    for (file, [pass, message, fail, elsewhere]) in tally {
        println!("{file}: {pass} pass, {message} other words, {fail} known, {elsewhere} elsewhere");
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
