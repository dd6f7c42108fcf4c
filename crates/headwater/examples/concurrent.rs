//! Several operations at once: results in the order of the input, and one failure loses nothing.
//!
//! `cargo run -p headwater --example concurrent`

use headwater::bson::{Document, doc};
use headwater::{DataOperation, Headwater};

#[tokio::main]
async fn main() -> headwater::Result<()> {
    let headwater = Headwater::open_in_memory().await?;
    let users = headwater.collection::<Document>("users");
    users.insert_many((0..50).map(|i| doc! { "_id": i, "age": 20 + i % 10 })).await?;

    let results = headwater
        .concurrent([
            DataOperation::count("users", doc! { "age": { "$gte": 25 } }),
            DataOperation::find_one("users", doc! { "_id": 7 }),
            DataOperation::aggregate("users", [doc! { "$nonsense": 1 }]),
            DataOperation::distinct("users", "age", doc! {}),
        ])
        .max_in_flight(4)
        .await;
    for (number, result) in results.iter().enumerate() {
        match result {
            Ok(result) => println!("{number}: {result:?}"),
            Err(error) => println!("{number}: {error}"),
        }
    }

    // The handle is cheap to clone: tasks share its connections, its breaker and its budget.
    let tasks = (0..20).map(|task| {
        let users = users.clone();
        tokio::spawn(async move {
            users.update_by_id(0, doc! { "$inc": { "visits": 1 }, "$max": { "last": task } }).await
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("the task does not panic")?;
    }
    println!("{:?}", users.find_by_id(0).await?);
    Ok(())
}
