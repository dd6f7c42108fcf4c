//! Pipelines over a collection, the engine on disk without sockets: documents a second of processor time, beside the same
//! filter over documents in memory and the same grouping in SQLite.
//!
//! aggregate [--documents N] [--rounds N] [--threads N] [--only WORD]
//!
//! SQLite is compiled in with `--features sqlite`.

mod data;
mod database;
mod rows;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::hint::black_box;
use std::time::Instant;

use crate::processor::processor_us;
use database::Database;
use headwater_engine::bson::{Doc, Type};
use rows::{ROWS, Row};

/// What is asked for on the command line.
struct Plan {
    documents: u64,
    rounds: usize,
    threads: usize,
    only: Option<String>,
}

impl Plan {
    fn parse(args: &[String]) -> Option<Plan> {
        let mut plan = Plan { documents: 1_000_000, rounds: 5, threads: 1, only: None };
        let mut words = args.iter();
        while let Some(word) = words.next() {
            let value = words.next()?;
            match word.as_str() {
                "--documents" => plan.documents = value.parse().ok()?,
                "--rounds" => plan.rounds = value.parse().ok()?,
                "--threads" => plan.threads = value.parse().ok()?,
                "--only" => plan.only = Some(value.clone()),
                _ => return None,
            }
        }
        Some(plan)
    }

    fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| name.contains(only.as_str()))
    }
}

/// Runs every pipeline in turns and prints a table.
///
/// # Errors
/// Arguments that do not parse; a command that fails.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let Some(plan) = Plan::parse(args) else {
        return Err("aggregate [--documents N] [--rounds N] [--threads N] [--only WORD]".into());
    };
    let rows: Vec<&Row> = ROWS.iter().filter(|row| plan.wants(row.name)).collect();
    let database = Database::filled(&plan, &rows)?;
    println!(
        "{} documents of {} B, {} threads at most, mean of {} rounds",
        plan.documents,
        data::size(),
        plan.threads,
        plan.rounds
    );
    println!("| pipeline | documents/s of processor | ns | wall s | reach |");
    println!("|---|---|---|---|---|");
    if plan.wants("walker") {
        walker(&plan);
    }
    for row in rows {
        let units = row.units(plan.documents);
        let mut taken = Vec::new();
        for _ in 0..plan.rounds {
            let (begun, before) = (Instant::now(), processor_us());
            let given = database.drain(row.collection, row.pipeline)?;
            taken.push((processor_us() - before, begun.elapsed().as_secs_f64()));
            if given != (row.gives)(plan.documents) {
                return Err(format!("{} gave {given} documents", row.name));
            }
        }
        report(row.name, units, &taken, row.reach);
    }
    #[cfg(feature = "sqlite")]
    sqlite::run(&plan)?;
    Ok(())
}

/// Prints the mean: the clock of processor time is too coarse for single rounds.
fn report(name: &str, units: u64, taken: &[(f64, f64)], reach: &str) {
    let mean = |part: fn(&(f64, f64)) -> f64| {
        taken.iter().map(part).sum::<f64>() / taken.len().max(1) as f64
    };
    let (us, wall_s) = (mean(|round| round.0), mean(|round| round.1));
    let (rate, each_ns) = (units as f64 / us, us * 1000.0 / units as f64);
    println!("| {name} | {rate:.2}M | {each_ns:.0} | {wall_s:.2} | {reach} |");
}

/// The filter of the first row over the same documents, one behind the other in memory.
fn walker(plan: &Plan) {
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    for at in 0..plan.documents {
        bytes.extend_from_slice(data::document(at).as_doc().as_bytes());
        ends.push(bytes.len());
    }
    let mut taken = Vec::new();
    for _ in 0..plan.rounds {
        let (begun, before) = (Instant::now(), processor_us());
        let (mut from, mut found) = (0, 0);
        for end in &ends {
            let doc = Doc::trusted(bytes.get(from..*end).unwrap_or_default());
            let quantity = doc.get("quantity").filter(|value| value.kind == Type::Int32);
            let quantity = quantity.and_then(|value| value.data.first_chunk().copied());
            found += u64::from(quantity.is_some_and(|n| i32::from_le_bytes(n) < 25));
            from = *end;
        }
        black_box(found);
        taken.push((processor_us() - before, begun.elapsed().as_secs_f64()));
    }
    report("the bare walker with the filter of the first row", plan.documents, &taken, "-");
}
