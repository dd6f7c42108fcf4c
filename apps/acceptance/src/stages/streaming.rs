//! Stage 3: a sorted query in chunks of 500.

use headwater::Result;
use headwater::bson::doc;

use crate::bench::Bench;
use crate::report::Report;

const CHUNK: usize = 500;

pub(super) async fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let find = bench.main.find(doc! { "age": { "$gte": 25 } }).sort(doc! { "name": 1 });
    let mut chunks = find.chunks(CHUNK).await?;
    let (mut sizes, mut first, mut last) = (Vec::new(), None, None);
    while let Some(chunk) = chunks.next().await.transpose()? {
        let name = |at: Option<&headwater::bson::Document>| {
            at.and_then(|document| document.get_str("name").ok()).map(str::to_owned)
        };
        first = first.or_else(|| name(chunk.first()));
        last = name(chunk.last());
        sizes.push(chunk.len());
    }
    report.equal("documents", sizes.iter().sum::<usize>(), 4_501);
    report.equal("chunks", sizes.len(), 10);
    report.equal(
        "sizes of the chunks",
        sizes,
        vec![500, 500, 500, 500, 500, 500, 500, 500, 500, 1],
    );
    report.equal("first name", first.as_deref(), Some("John Doe"));
    report.equal("last name", last.as_deref(), Some("User_999"));
    Ok(())
}
