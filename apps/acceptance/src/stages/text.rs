//! Stage 5: articles found by their words. The articles are there before the index, for stage 7 counts them.

use headwater::Result;
use headwater::bson::doc;

use crate::bench::Bench;
use crate::report::Report;

const ARTICLES: [(&str, &str); 5] = [
    ("Python Programming Guide", "Python programming explained: how to write Python programs"),
    ("Data Analysis", "Tables and charts with Python and its libraries"),
    ("Web Services", "Handling requests in Python behind a proxy"),
    ("Growing Tomatoes", "Water, light and patience"),
    ("Rivers of Europe", "From the source to the delta"),
];

pub(super) async fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let articles = ARTICLES.map(|(title, content)| doc! { "title": title, "content": content });
    bench.text.insert_many(articles).await?;
    let index = bench.text.create_index(doc! { "title": "text", "content": "text" }).await?;
    report.equal("name of the index", index.as_str(), "title_text_content_text");
    let hits = bench.text.text_search("Python programming").limit(3).await?;
    let titles: Vec<&str> =
        hits.iter().filter_map(|hit| hit.document.get_str("title").ok()).collect();
    report.equal("first hit", titles.first(), Some(&ARTICLES[0].0));
    let mut sorted = titles.clone();
    sorted.sort_unstable();
    report.equal("hits", sorted, vec![ARTICLES[1].0, ARTICLES[0].0, ARTICLES[2].0]);
    let scores: Vec<f64> = hits.iter().map(|hit| hit.score).collect();
    let falling = scores.is_sorted_by(|one, next| one >= next) && scores.iter().all(|s| *s > 0.0);
    report.holds("scores fall", falling, &scores);
    Ok(())
}
