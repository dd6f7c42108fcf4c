//! Properties of pipelines that are made up from a seed: however one is run, it gives the same documents; none panics or
//! outgrows its memory. `HEADWATER_LONG=1` tries a million.

mod made;
mod windows;

use std::panic::{AssertUnwindSafe, catch_unwind};

use headwater_engine::bson::{DocBuf, Raw, View};
use headwater_engine::{Aggregation, EngineOptions};
use made::{Kind, document, keeping, pipeline};

use crate::allocations::peak_of;
use crate::commands::{Session, batch, text_of};
use crate::query::model::Source;

/// Pipelines of one property in a usual run and in a long one.
const PIPELINES: u64 = 600;
const PIPELINES_LONG: u64 = 1_000_000 / 5;
/// Pipelines over the same documents.
const SHARED: u64 = 60;
const DOCUMENTS: usize = 60;
/// Memory of a stage of the engine that has little, in bytes: a few documents.
const LITTLE: usize = 2 << 10;

fn rounds() -> u64 {
    let long = std::env::var_os("HEADWATER_LONG").is_some_and(|value| value == "1");
    (if long { PIPELINES_LONG } else { PIPELINES }) / SHARED
}

fn fill(sessions: &[&Session], source: &mut Source) {
    for name in ["c", "other"] {
        let documents: Vec<String> = (0..DOCUMENTS).map(|id| document(source, id)).collect();
        let insert =
            format!("{{\"insert\": \"{name}\", \"documents\": [{}]}}", documents.join(", "));
        sessions.iter().for_each(|session| drop(session.ok(&insert)));
    }
    let view = r#"{"create": "v", "viewOn": "c", "pipeline": [{"$match": {"p": {"$gte": 3}}}, {"$set": {"k": {"$abs": "$k"}}}]}"#;
    sessions.iter().for_each(|session| drop(session.ok(view)));
}

/// A command of the stages: over the collection or a view of it, with or without a collation.
fn aggregate(stages: &str, seed: u64) -> String {
    let (target, rest) = match (seed >> 8) % 6 {
        0 => ("v", ""),
        1 => ("c", r#", "collation": {"locale": "en", "strength": 1}"#),
        2 => ("c", r#", "collation": {"locale": "de", "numericOrdering": true}"#),
        _ => ("c", ""),
    };
    format!(
        r#"{{"aggregate": "{target}", "pipeline": [{stages}], "cursor": {{"batchSize": 100000}}, "let": {{"noted": [1, "x"]}}{rest}}}"#
    )
}

/// What a pipeline gives: its documents as texts, or its error code.
fn outcome(session: &Session, stages: &str, seed: u64) -> Result<Vec<String>, i32> {
    let reply = reply(session, stages, seed);
    match code(&reply) {
        None => Ok(batch(&reply).iter().map(text_of).collect()),
        Some(code) => Err(code),
    }
}

/// Runs a pipeline, which may fail in any way but by a panic or an internal error.
fn reply(session: &Session, stages: &str, seed: u64) -> DocBuf {
    let command = aggregate(stages, seed);
    let reply = catch_unwind(AssertUnwindSafe(|| session.run(&command)));
    let reply = reply.unwrap_or_else(|_| panic!("seed {seed}: {command} panicked"));
    assert_ne!(code(&reply), Some(1), "seed {seed}: {command}: {reply:?}");
    reply
}

fn code(reply: &DocBuf) -> Option<i32> {
    match reply.as_doc().get("code").map(Raw::view) {
        Some(View::Int32(code)) => Some(code),
        _ => None,
    }
}

/// Runs `check` for many pipelines, with how many of them gave something.
fn for_pipelines(
    salt: u64,
    sessions: &dyn Fn() -> Vec<Session>,
    check: &mut dyn FnMut(&mut Source, &[Session], u64) -> bool,
) {
    let mut useful = 0;
    for round in 0..rounds() {
        let sessions = sessions();
        let first = (round * SHARED) << 8 | salt;
        fill(&sessions.iter().collect::<Vec<_>>(), &mut Source(first));
        for at in 0..SHARED {
            let seed = (round * SHARED + at) << 8 | salt;
            useful += u64::from(check(&mut Source(seed), &sessions, seed));
        }
    }
    assert!(useful > rounds() * SHARED / 5, "only {useful} pipelines gave something");
}

#[test]
fn what_goes_to_the_disk_changes_no_answer() {
    let sessions = || {
        let little = EngineOptions { stage_bytes_max: LITTLE, ..EngineOptions::default() };
        vec![Session::new(), Session::with(little)]
    };
    for_pipelines(1, &sessions, &mut |source, sessions, seed| {
        let stages = pipeline(source, Kind::Ordered);
        let plain = outcome(&sessions[0], &stages, seed);
        let spilled = outcome(&sessions[1], &stages, seed);
        // Documents that were put aside are looked at later: of two errors the other one may come first.
        let same = plain == spilled || (plain.is_err() && spilled.is_err());
        assert!(same, "seed {seed}: {stages}\n{plain:?}\n{spilled:?}");
        plain.is_ok_and(|documents| !documents.is_empty())
    });
}

fn running(aggregation: Aggregation) -> Session {
    Session::with(EngineOptions { aggregation, ..EngineOptions::default() })
}

/// Whatever gives something one way gives the same the other way. An error may stay out the other way: a document that
/// raises it may be filtered out before, or not be asked for.
fn agrees(seed: u64, stages: &str, sessions: &[Session]) -> bool {
    let written = outcome(&sessions[0], stages, seed);
    let other = outcome(&sessions[1], stages, seed);
    assert!(written.is_err() || written == other, "seed {seed}: {stages}\n{written:?}\n{other:?}");
    written.is_ok_and(|documents| !documents.is_empty())
}

#[test]
fn moving_and_merging_stages_changes_no_answer() {
    let serial = Aggregation { threads: 1, ..Aggregation::default() };
    let sessions = || {
        let rewritten = running(serial);
        for key in ["k", "p", "s", "n"] {
            rewritten.ok(&format!(
                "{{\"createIndexes\": \"c\", \"indexes\": [{{\"key\": {{\"{key}\": 1}}, \"name\": \"{key}\"}}]}}"
            ));
        }
        vec![running(Aggregation { rewrites: false, ..serial }), rewritten]
    };
    for_pipelines(4, &sessions, &mut |source, sessions, seed| {
        // With an index documents may come in another order.
        let sort = "{\"$sort\": {\"p\": 1, \"_id\": 1}}";
        let stages = match source.below(2) {
            0 => format!("{sort}, {}", pipeline(source, Kind::Ordered)),
            _ => {
                let (filter, stages) = (source.filter_text(1), pipeline(source, Kind::Ordered));
                format!("{{\"$match\": {filter}}}, {sort}, {stages}")
            }
        };
        agrees(seed, &stages, sessions)
    });
}

#[test]
fn several_threads_give_what_one_gives() {
    let one = Aggregation { threads: 1, ..Aggregation::default() };
    let sessions = || {
        let two = Aggregation { threads: 2, parallel_documents_min: 1, ..one };
        vec![running(one), running(two)]
    };
    for_pipelines(5, &sessions, &mut |source, sessions, seed| {
        agrees(seed, &pipeline(source, Kind::Repeatable), sessions)
    });
}

#[test]
fn a_filter_may_stand_before_or_behind_what_keeps_its_fields() {
    for_pipelines(2, &|| vec![Session::new()], &mut |source, sessions, seed| {
        let (filter, stages) = (source.filter_text(1), keeping(source));
        // A window over fewer documents is another one, unless the filter keeps whole partitions.
        let filter = match stages.contains("$setWindowFields") {
            true => "{\"k\": {\"$gt\": 1}}".to_owned(),
            false => filter,
        };
        let before = format!("{{\"$match\": {filter}}}, {stages}");
        let behind = format!("{stages}, {{\"$match\": {filter}}}");
        let behind = outcome(&sessions[0], &behind, seed);
        let before = outcome(&sessions[0], &before, seed);
        // Before, a document that raises an error may be filtered out.
        assert!(
            behind.is_err() || before == behind,
            "seed {seed}: {filter} {stages}\n{before:?}\n{behind:?}"
        );
        behind.is_ok_and(|documents| !documents.is_empty())
    });
}

#[test]
fn no_pipeline_outgrows_its_memory() {
    /// What all stages of a pipeline may take at a time, in bytes: some copies of a document that joins all others, each of
    /// which joins others again, which comes to more than 1 MB.
    const STAGES_MAX: usize = 16 << 20;
    /// How many times the size of a reply it may take to make it: its buffer doubles, and its last document is a copy.
    const REPLY_TIMES: usize = 4;
    let sessions = || {
        let little = EngineOptions { stage_bytes_max: LITTLE, ..EngineOptions::default() };
        vec![Session::with(little)]
    };
    for_pipelines(3, &sessions, &mut |source, sessions, seed| {
        let stages = pipeline(source, Kind::Any);
        let (peak, reply) = peak_of(|| reply(&sessions[0], &stages, seed));
        let reply = reply.as_doc();
        let most = STAGES_MAX + REPLY_TIMES * reply.as_bytes().len();
        assert!(peak < most, "seed {seed}: {stages} took {peak} bytes");
        reply.get("code").is_none()
    });
}
