//! Results larger than memory, in chunks.
//!
//! `cargo run -p headwater --example streaming`

use headwater::Headwater;
use headwater::bson::{Document, doc};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let headwater = Headwater::open_in_memory().await?;
    let users = headwater.collection::<Document>("users");
    users
        .bulk_load((0..5000).map(|i| doc! { "name": format!("User_{i}"), "age": 20 + i % 50 }))
        .await?;

    let adults = users.find(doc! { "age": { "$gte": 25 } }).sort(doc! { "name": 1 });
    let mut chunks = adults.chunks(500).await?;
    let (mut count, mut documents) = (0, 0);
    while let Some(chunk) = chunks.next().await {
        documents += chunk?.len();
        count += 1;
    }
    println!("{documents} documents in {count} chunks");

    let pipeline = [doc! { "$project": { "_id": 0, "name": 1 } }];
    let mut chunks = users.aggregate(pipeline).chunks(1000).max_bytes(16 * 1024).await?;
    if let Some(first) = chunks.next().await {
        println!("the first 16 KiB: {} documents", first?.len());
    }
    // Dropping the stream closes the cursor on the server.
    drop(chunks);
    headwater.close().await;
    Ok(())
}
