//! Building an index over a collection.

use std::time::Instant;

use super::{Database, Plan, processor_us};

/// What an index build may take, in documents per second of processor time.
const REACH: f64 = 400_000.0;

pub(super) fn run(plan: &Plan) -> Result<(), String> {
    let database = Database::open(plan)?;
    database.insert(0, plan.documents, 1000)?;
    let documents = plan.documents;
    println!(
        "| build over {documents} documents of 1 KB | s | processor us a document | documents/s of processor | reach |"
    );
    println!("|---|---|---|---|---|");
    let rows: [(&str, &[&str]); 4] = [
        ("an ascending date", &["at"]),
        ("a number in no order", &["number"]),
        ("a text in no order", &["code"]),
        ("three at once", &["price", "count", "name"]),
    ];
    for (name, fields) in rows {
        let (begun, before) = (Instant::now(), processor_us());
        database.create(fields)?;
        let (elapsed, cpu) = (begun.elapsed().as_secs_f64(), processor_us() - before);
        let (each, rate) = (cpu / documents as f64, documents as f64 / cpu * 1e6);
        println!("| {name} | {elapsed:.2} | {each:.2} | {rate:.0} | {REACH} |");
    }
    Ok(())
}
