//! The nine stages in their order. A stage that breaks off does not keep the next ones from running.

mod aggregation;
mod basic;
mod bulk;
mod concurrent;
mod geospatial;
mod gridfs;
mod statistics;
mod streaming;
mod text;

use headwater::Result;

use crate::bench::Bench;
use crate::report::Report;

const NAMES: [&str; 9] = [
    "Basic operations",
    "Bulk insertion",
    "Streaming",
    "Aggregation",
    "Text search",
    "Geospatial search",
    "Concurrent operations",
    "GridFS",
    "Statistics",
];

/// What a Headwater database does not have yet, by stage.
fn gap(number: u32) -> Option<&'static str> {
    match number {
        5 => Some("Headwater has no text index yet"),
        6 => Some("Headwater has no geographic index yet"),
        _ => None,
    }
}

pub(crate) async fn run(bench: &Bench, report: &mut Report) {
    for (number, name) in (1..).zip(NAMES) {
        report.stage(number, name, gap(number).filter(|_| bench.is_headwater));
        match stage(number, bench, report).await {
            Ok(()) => report.completed(),
            Err(error) => report.broke(&error),
        }
    }
}

async fn stage(number: u32, bench: &Bench, report: &mut Report) -> Result<()> {
    match number {
        1 => basic::run(bench, report).await,
        2 => bulk::run(bench, report).await,
        3 => streaming::run(bench, report).await,
        4 => aggregation::run(bench, report).await,
        5 => text::run(bench, report).await,
        6 => geospatial::run(bench, report).await,
        7 => concurrent::run(bench, report).await,
        8 => gridfs::run(bench, report).await,
        _ => statistics::run(bench, report).await,
    }
}
