//! Health, readiness and figures on a loopback address until a signal comes, then an orderly end.
//!
//! `cargo run -p headwater --features http --example monitoring`, then `curl http://127.0.0.1:9464/metrics`. Another
//! address can be given as an argument.

use std::time::Duration;

use headwater::Headwater;
use headwater::bson::{Document, doc};
use headwater::http::Monitor;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let headwater = Headwater::open_in_memory().await?;
    let monitor = Monitor::new(headwater.clone());
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9464".to_owned());
    let server = monitor.serve(address.parse()?).await?;
    println!("http://{0}/health http://{0}/ready http://{0}/metrics", server.address());

    let work = tokio::spawn({
        let visits = headwater.collection::<Document>("visits");
        async move {
            // Ends when the connector refuses further calls.
            while visits.insert_one(doc! { "page": "/" }).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    });
    let figures = headwater.clone();
    let in_order = headwater.shutdown_on_signal().await?;
    println!("ended {}", if in_order { "in order" } else { "before all operations had" });
    work.await?;
    for stats in figures.operation_stats() {
        println!("{}: {} done, p99 {:?}", stats.operation, stats.success, stats.p99);
    }
    server.stop().await;
    Ok(())
}
