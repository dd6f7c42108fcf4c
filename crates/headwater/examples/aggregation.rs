//! Pipelines whose results have types: groups, a join, and several answers from one pass.
//!
//! `cargo run -p headwater --example aggregation`

use headwater::Headwater;
use headwater::bson::{Document, doc};
use serde::Deserialize;

#[derive(Deserialize)]
struct Department {
    #[serde(rename = "_id")]
    name: String,
    people: i32,
    average: f64,
}

#[tokio::main]
async fn main() -> headwater::Result<()> {
    let headwater = Headwater::open_in_memory().await?;
    let people = headwater.collection::<Document>("people");
    people
        .insert_many((0..100).map(|i| {
            doc! { "_id": i, "department": format!("D{}", i % 4), "salary": 30_000 + 100 * i }
        }))
        .await?;
    let places = headwater.collection::<Document>("places");
    places.insert_many([doc! { "_id": "D0", "city": "Rome" }, doc! { "_id": "D1" }]).await?;

    // Groups, as a stream of values of our own type.
    let mut departments = people
        .aggregate([
            doc! { "$group": {
                "_id": "$department",
                "people": { "$sum": 1 },
                "average": { "$avg": "$salary" },
            } },
            doc! { "$sort": { "average": -1 } },
        ])
        .with_type::<Department>()
        .await?;
    while let Some(department) = departments.next().await {
        let Department { name, people, average } = department?;
        println!("{name}: {people} people, {average} on average");
    }

    // A join with another collection.
    let joined = people
        .aggregate([
            doc! { "$match": { "_id": { "$lt": 2 } } },
            doc! { "$sort": { "_id": 1 } },
            doc! { "$lookup": {
                "from": "places", "localField": "department", "foreignField": "_id", "as": "place",
            } },
            doc! { "$project": { "city": { "$first": "$place.city" } } },
        ])
        .all()
        .await?;
    println!("{joined:?}");

    // Two answers from one pass.
    let facets = people
        .aggregate([doc! { "$facet": {
            "all": [doc! { "$count": "n" }],
            "best": [
                doc! { "$sort": { "salary": -1 } },
                doc! { "$limit": 2 },
                doc! { "$project": { "salary": 1 } },
            ],
        } }])
        .all()
        .await?;
    println!("{facets:?}");
    Ok(())
}
