//! Stage 9: what the server says of the database and the collection.

use headwater::Result;
use headwater::bson::{Bson, Document};

use crate::bench::{Bench, FILES, GEO, MAIN, TEXT};
use crate::report::Report;

pub(super) async fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let database = bench.headwater.default_database();
    let names = database.collection_names().await?;
    for name in [MAIN, TEXT, GEO].into_iter().chain(FILES) {
        report.holds(format!("{name} is listed"), names.iter().any(|found| found == name), &names);
    }
    let ours = [MAIN, TEXT, GEO].into_iter().chain(FILES);
    let added = ours.filter(|name| !bench.foreign.iter().any(|foreign| foreign == name)).count();
    let wanted = (bench.foreign.len() + added) as i64;
    let stats = database.stats().await?;
    report.equal("collections of the database", count(&stats, "collections"), Some(wanted));
    let stats = bench.main.stats().await?;
    report.equal("documents of the collection", count(&stats, "count"), Some(5_001));
    Ok(())
}

fn count(stats: &Document, name: &str) -> Option<i64> {
    match stats.get(name)? {
        Bson::Int32(value) => Some((*value).into()),
        Bson::Int64(value) => Some(*value),
        Bson::Double(value) => Some(*value as i64),
        _ => None,
    }
}
