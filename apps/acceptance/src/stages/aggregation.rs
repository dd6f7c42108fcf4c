//! Stage 4: departments by salary, and a streamed projection.

use headwater::Result;
use headwater::bson::{Bson, Document, doc};

use crate::bench::Bench;
use crate::report::Report;

const CHUNK: usize = 1_000;

pub(super) async fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let adults = doc! { "$match": { "age": { "$gte": 25 } } };
    let group = doc! { "$group": {
        "_id": "$department",
        "average_age": { "$avg": "$age" },
        "average_salary": { "$avg": "$salary" },
        "count": { "$sum": 1 },
    } };
    let best = doc! { "$sort": { "average_salary": -1 } };
    let pipeline = [adults.clone(), group.clone(), best, doc! { "$limit": 5 }];
    let groups = bench.main.aggregate(pipeline).all().await?;
    check_best(&groups, report);

    let counts =
        bench.main.aggregate([adults, group, doc! { "$sort": { "_id": 1 } }]).all().await?;
    let counts: Vec<(String, i64)> = counts
        .iter()
        .filter_map(|group| Some((group.get_str("_id").ok()?.to_owned(), whole(group, "count")?)))
        .collect();
    let wanted: Vec<(String, i64)> =
        (0..10).map(|i| (format!("Dept_{i}"), if i < 5 { 400 } else { 500 })).collect();
    report.equal("counts of all departments", counts, wanted);
    stream(bench, report).await
}

/// Two departments share the first place and two the third, so their order is not given.
fn check_best(groups: &[Document], report: &mut Report) {
    report.equal("groups", groups.len(), 5);
    let names = |from: usize, to: usize| {
        let ids = groups.iter().take(to).skip(from);
        let mut names: Vec<&str> = ids.filter_map(|group| group.get_str("_id").ok()).collect();
        names.sort_unstable();
        names
    };
    report.equal("the best paid two", names(0, 2), vec!["Dept_4", "Dept_9"]);
    report.equal("the next two", names(2, 4), vec!["Dept_3", "Dept_8"]);
    let fifth = names(4, 5);
    report.holds("the fifth", fifth == ["Dept_2"] || fifth == ["Dept_7"], &fifth);
    let all =
        |name: &str| groups.iter().filter_map(|group| whole(group, name)).collect::<Vec<i64>>();
    let salaries = vec![280_400, 280_400, 280_300, 280_300, 280_200];
    report.equal("average salaries", all("average_salary"), salaries);
    report.equal("average ages", all("average_age"), vec![49, 49, 48, 48, 47]);
}

async fn stream(bench: &Bench, report: &mut Report) -> Result<()> {
    let pipeline = [
        doc! { "$match": { "age": { "$gte": 20 } } },
        doc! { "$project": { "_id": 0, "name": 1, "age": 1, "department": 1 } },
    ];
    let mut chunks = bench.main.aggregate(pipeline).chunks(CHUNK).await?;
    let (mut sizes, mut fields_max) = (Vec::new(), 0);
    while let Some(chunk) = chunks.next().await.transpose()? {
        fields_max = chunk.iter().map(Document::len).max().unwrap_or(0).max(fields_max);
        sizes.push(chunk.len());
    }
    report.equal("documents streamed", sizes.iter().sum::<usize>(), 5_001);
    report.equal("chunks", sizes, vec![1_000, 1_000, 1_000, 1_000, 1_000, 1]);
    report.equal("fields of each", fields_max, 3);
    Ok(())
}

/// A number that is whole, of any type.
fn whole(document: &Document, name: &str) -> Option<i64> {
    match document.get(name)? {
        Bson::Int32(value) => Some((*value).into()),
        Bson::Int64(value) => Some(*value),
        Bson::Double(value) if value.fract() == 0.0 => Some(*value as i64),
        _ => None,
    }
}
