//! Stage 6: three places in New York, found by their distance.

use headwater::Result;
use headwater::bson::{Document, doc};

use crate::bench::Bench;
use crate::report::Report;

const CENTRAL_PARK: [f64; 2] = [-73.9857, 40.7484];
const PLACES: [(&str, [f64; 2]); 3] = [
    ("Central Park", CENTRAL_PARK),
    ("Times Square", [-73.9857, 40.7589]),
    ("Brooklyn Bridge", [-73.9969, 40.7061]),
];

pub(super) async fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let places = PLACES.map(|(name, point)| {
        doc! { "name": name, "location": { "type": "Point", "coordinates": point.to_vec() } }
    });
    bench.geo.insert_many(places).await?;
    let index = bench.geo.create_index(doc! { "location": "2dsphere" }).await?;
    report.equal("name of the index", index.as_str(), "location_2dsphere");
    let near = |metres| bench.geo.near("location", CENTRAL_PARK).max_distance(metres).limit(5);
    let found = near(2_000.0).await?.all().await?;
    report.equal("within 2,000 m", names(&found), vec!["Central Park", "Times Square"]);
    let distances = near(2_000.0).with_distance().await?;
    let metres: Vec<f64> = distances.iter().map(|hit| hit.distance.round()).collect();
    report.equal("distances in metres", metres, vec![0.0, 1_169.0]);
    let found = near(1_000.0).await?.all().await?;
    report.equal("within 1,000 m", names(&found), vec!["Central Park"]);
    Ok(())
}

fn names(found: &[Document]) -> Vec<&str> {
    found.iter().filter_map(|place| place.get_str("name").ok()).collect()
}
