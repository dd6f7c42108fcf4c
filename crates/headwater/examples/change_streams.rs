//! A worker that handles every change at least once, and goes on where it was in its next run.
//!
//! `cargo run -p headwater --example change_streams`

use headwater::bson::{Document, doc};
use headwater::{FileTokenStore, Headwater};
use tokio::sync::mpsc;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::temp_dir().join(format!("headwater-changes-{}", std::process::id()));
    let headwater = Headwater::open(folder.join("data")).await?;
    let orders = headwater.collection::<Document>("orders");
    let store = FileTokenStore::new(folder.join("orders.token"));

    // Where the first run begins.
    let stream = orders.watch().token_store(store.clone()).await?;
    stream.commit().await?;
    drop(stream);
    orders.insert_many((0..6).map(|id| doc! { "_id": id, "price": id * 10 })).await?;

    // Two runs: each handles three changes, the second behind those of the first.
    for run in 1..=2 {
        let (handled, mut seen) = mpsc::unbounded_channel();
        let worker = orders.watch().token_store(store.clone()).run(move |change| {
            let handled = handled.clone();
            async move {
                println!("run {run}: {:?}", change.full_document);
                handled.send(())
            }
        });
        let three = async move {
            for _ in 0..3 {
                seen.recv().await;
            }
        };
        println!("run {run} handled {}", worker.until(three).await?);
    }
    headwater.close().await;
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
