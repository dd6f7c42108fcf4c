//! Queries that read a whole collection, through the engine without sockets: each beside the scan with a filter of one
//! field, in rounds that alternate.
//!
//! query [--documents N] [--rounds N]

use std::time::Instant;

use headwater_engine::bson::{DocBuf, DocWriter};
use headwater_engine::{Client, Engine, EngineOptions, Request};

const BATCH: u64 = 1_000;

/// What is measured, how it is asked, and how many times the plain scan's time it may take.
type Row = (&'static str, fn(&mut DocWriter), f64);

const ROWS: [Row; 4] = [
    ("scan, filter on one field", one_field, 1.0),
    ("scan, filter on five fields that hold but the last", five_fields, 2.0),
    ("sort by a number, limit 100", sorted, 1.3),
    ("sort by a text, limit 100", sorted_by_text, f64::INFINITY),
];

/// Runs every query in turns and prints a table.
///
/// # Errors
/// Arguments that do not parse; a command that fails.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let (mut documents, mut rounds) = (1_000_000, 5);
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let number = words.next().and_then(|number| number.parse().ok());
        match (word.as_str(), number) {
            ("--documents", Some(number)) => documents = number,
            ("--rounds", Some(number)) => rounds = number,
            _ => return Err("query [--documents N] [--rounds N]".to_owned()),
        }
    }
    let engine = Engine::open_in_memory(EngineOptions::default()).map_err(|e| e.to_string())?;
    let client = engine.client("bench", "bench");
    load(&engine, &client, documents)?;
    let mut best = [f64::INFINITY; ROWS.len()];
    for _ in 0..rounds {
        for (best, (_, ask, _)) in best.iter_mut().zip(ROWS) {
            let query = command("find", ask);
            let begun = Instant::now();
            answer(&engine, &client, &query)?;
            *best = best.min(begun.elapsed().as_secs_f64());
        }
    }
    println!("| query, {documents} documents of {} B | ns a document | x scan | reach |", size());
    println!("|---|---|---|---|");
    for (best_s, (name, _, reach)) in best.iter().zip(ROWS) {
        let each_ns = best_s * 1e9 / documents as f64;
        let reach = if reach.is_finite() { reach.to_string() } else { "-".to_owned() };
        println!("| {name} | {each_ns:.0} | {:.2} | {reach} |", best_s / best[0]);
    }
    Ok(())
}

fn load(engine: &Engine, client: &Client, documents: u64) -> Result<(), String> {
    for first in (0..documents).step_by(BATCH as usize) {
        let insert = command("insert", |insert| {
            insert.array("documents", |batch| {
                for at in first..documents.min(first + BATCH) {
                    batch.document(|doc| write_document(doc, at));
                }
            });
        });
        answer(engine, client, &insert)?;
    }
    Ok(())
}

fn answer(engine: &Engine, client: &Client, command: &DocBuf) -> Result<(), String> {
    let reply = engine.run_command(client, &Request { body: command.as_doc(), sequences: &[] });
    match reply.as_doc().get("errmsg") {
        Some(message) => Err(format!("{message:?}")),
        None => Ok(()),
    }
}

fn command(name: &str, fill: impl FnOnce(&mut DocWriter)) -> DocBuf {
    let mut doc = DocWriter::new();
    doc.str(name, "c");
    fill(&mut doc);
    doc.str("$db", "bench");
    doc.finish()
}

fn write_document(doc: &mut DocWriter, at: u64) {
    doc.i64("_id", at as i64);
    doc.str("name", "a name of some length");
    doc.i32("count", 17);
    doc.f64("price", 12.5);
    doc.bool("open", true);
    doc.i64("number", (at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 16) as i64);
    doc.str("code", &format!("{:016x}", at.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
    doc.str("filler", &"x".repeat(80));
}

fn size() -> usize {
    let mut doc = DocWriter::new();
    write_document(&mut doc, 0);
    doc.finish().as_doc().as_bytes().len()
}

fn one_field(find: &mut DocWriter) {
    find.document("filter", |filter| filter.i64("number", -1));
}

fn five_fields(find: &mut DocWriter) {
    find.document("filter", |filter| {
        filter.str("name", "a name of some length");
        filter.document("count", |count| count.i32("$gt", 3));
        filter.document("price", |price| price.i32("$lt", 100));
        filter.bool("open", true);
        filter.i64("number", -1);
    });
}

fn sorted(find: &mut DocWriter) {
    find.document("sort", |sort| sort.i32("number", 1));
    find.i32("limit", 100);
}

fn sorted_by_text(find: &mut DocWriter) {
    find.document("sort", |sort| sort.i32("code", 1));
    find.i32("limit", 100);
}
