//! Stage 1: one document in, and found in three ways.

use headwater::Result;
use headwater::bson::{DateTime, doc};

use crate::bench::Bench;
use crate::report::Report;

pub(super) async fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    report.equal("the server answers", bench.headwater.ping().await.is_ok(), true);
    let john = doc! {
        "name": "John Doe",
        "email": "john@example.com",
        "age": 30,
        "created_at": DateTime::now(),
    };
    let inserted = bench.main.insert_one(john).await?;
    report.holds("the insert gives an id", inserted.as_object_id().is_some(), &inserted);
    let by_name = bench.main.find_one(doc! { "name": "John Doe" }).await?.unwrap_or_default();
    report.equal("found by name", by_name.get_str("name").ok(), Some("John Doe"));
    let by_id = bench.main.find_by_id(inserted.clone()).await?.unwrap_or_default();
    report.equal("found by id", by_id.get("_id"), Some(&inserted));
    report.equal("one document", bench.main.count(doc! {}).await?, 1);
    Ok(())
}
