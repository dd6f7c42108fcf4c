//! Many documents from an iterator: batches, progress, and which ones were refused.
//!
//! `cargo run -p headwater --example bulk`

use headwater::Headwater;
use headwater::bson::{Document, doc};

#[tokio::main]
async fn main() -> headwater::Result<()> {
    let headwater = Headwater::open_in_memory().await?;
    let users = headwater.collection::<Document>("users");

    // The iterator is read as batches go out; nobody holds all documents at once.
    let people = (0..10_000).map(|i| doc! { "_id": i, "name": format!("User_{i}") });
    let loaded = users
        .bulk_load(people)
        .batch_size(1_000)
        .parallel(2)
        .on_progress(|progress| {
            if progress.batches % 5 == 0 {
                println!("{} batches, {} documents", progress.batches, progress.inserted);
            }
        })
        .await?;
    println!("inserted {} in {} batches", loaded.inserted, loaded.batches);

    // Three of these are there already. The others go in all the same, and the error says which three.
    let again = (9_997..20_000).map(|i| doc! { "_id": i, "name": format!("User_{i}") });
    let error = users.bulk_load(again).await.expect_err("three ids are taken");
    if let Some(failure) = error.bulk() {
        println!("inserted {}", failure.counts.inserted);
        for item in &failure.items {
            println!("refused number {} of the input: code {}", item.index, item.code);
        }
    }
    println!("{} users", users.count(doc! {}).await?);
    Ok(())
}
