//! Stage 7: four operations at once, their results in the order in which they were asked.

use headwater::bson::doc;
use headwater::{DataOperation, Result};

use crate::bench::{Bench, MAIN, TEXT};
use crate::report::Report;

pub(super) async fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let operations = [
        DataOperation::count(MAIN, doc! { "age": { "$gte": 30 } }),
        DataOperation::find_one(MAIN, doc! { "name": "User_1" }),
        DataOperation::distinct(MAIN, "department", doc! {}),
        DataOperation::count(TEXT, doc! {}),
    ];
    let results = bench.headwater.concurrent(operations).max_in_flight(4).await;
    let results = results.into_iter().collect::<Result<Vec<_>>>()?;
    report.equal("results", results.len(), 4);
    report.equal("documents of age 30 and more", results[0].count(), Some(4_001));
    let user = results[1].document();
    report.equal("age of User_1", user.and_then(|user| user.get_i32("age").ok()), Some(21));
    let salary = user.and_then(|user| user.get_i32("salary").ok());
    report.equal("salary of User_1", salary, Some(30_100));
    report.equal("departments", results[2].values().len(), 10);
    report.equal("articles", results[3].count(), Some(5));
    Ok(())
}
