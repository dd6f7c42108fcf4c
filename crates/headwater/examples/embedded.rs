//! A database inside the program: no server to install, and the same calls as on one.
//!
//! `cargo run -p headwater --example embedded`

use headwater::Headwater;
use headwater::bson::{Document, doc};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::temp_dir().join(format!("headwater-example-{}", std::process::id()));
    let headwater = Headwater::open(&folder).await?;
    let books = headwater.collection::<Document>("books");

    // A change stream works at once: there is nothing to set up.
    let mut changes = books.watch().await?;

    books.insert_one(doc! { "title": "Walden", "year": 1854 }).await?;
    books.update_one(doc! { "title": "Walden" }, doc! { "$inc": { "read": 1 } }).await?;
    println!("books: {}", books.count(doc! {}).await?);

    for _ in 0..2 {
        if let Some(change) = changes.next().await {
            println!("change: {:?}", change?.operation);
        }
    }
    drop(changes);
    headwater.close().await;
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
