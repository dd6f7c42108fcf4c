//! Stage 2: 5,000 documents in batches of 500.

use headwater::Result;
use headwater::bson::{DateTime, Document, doc};

use crate::bench::Bench;
use crate::report::Report;

const COUNT: i32 = 5_000;
const BATCH: usize = 500;

pub(super) async fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let now = DateTime::now();
    let loaded = bench.main.bulk_load((0..COUNT).map(|i| user(i, now))).batch_size(BATCH).await?;
    report.equal("documents inserted", loaded.inserted, 5_000);
    report.equal("batches", loaded.batches, 10);
    report.equal("documents in all", bench.main.count(doc! {}).await?, 5_001);
    Ok(())
}

fn user(i: i32, now: DateTime) -> Document {
    doc! {
        "name": format!("User_{i}"),
        "email": format!("user_{i}@example.com"),
        "age": 20 + i % 50,
        "department": format!("Dept_{}", i % 10),
        "salary": 30_000 + 100 * i,
        "created_at": now,
    }
}
