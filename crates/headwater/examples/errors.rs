//! What an error tells: its kind, the key that was there already, attempts, and whether a write may have happened.
//!
//! `cargo run -p headwater --example errors`

use std::time::Duration;

use headwater::bson::{Document, doc};
use headwater::{Config, Error, ErrorKind, Headwater, Result};

#[tokio::main]
async fn main() -> Result<()> {
    let headwater = Headwater::open_in_memory().await?;
    let users = headwater.collection::<Document>("users");
    users.insert_one(doc! { "_id": 1, "name": "Ada" }).await?;

    let error = users.insert_one(doc! { "_id": 1 }).await.unwrap_err();
    if let Some(duplicate) = error.duplicate_key() {
        println!("there already: {:?}", duplicate.key_value);
    }
    let load = users.bulk_load([doc! { "_id": 1 }, doc! { "_id": 2 }, doc! { "_id": 3 }]).await;
    if let Some(failure) = load.unwrap_err().bulk() {
        println!("{} inserted, wrong: {:?}", failure.counts.inserted, failure.items);
    }
    explain(&users.find_one(doc! { "age": { "$nonsense": 1 } }).await.unwrap_err());
    headwater.close().await;

    // Nobody listens there: attempts with pauses between them, then an error that names the server.
    let config = Config::builder()
        .uri("mongodb://ada:s3cret@127.0.0.1:1/")
        .server_selection_timeout(Duration::from_millis(200))
        .deadline(Duration::from_secs(2))
        .build()?;
    let away = Headwater::from_config(config).await?;
    explain(&away.ping().await.unwrap_err());
    Ok(())
}

fn explain(error: &Error) {
    let advice = match error.kind() {
        ErrorKind::Connection(_) | ErrorKind::ServerSelection | ErrorKind::CircuitOpen => {
            "the servers are away"
        }
        ErrorKind::Validation | ErrorKind::Query => "the request is to be changed",
        _ => "look closer",
    };
    println!("{advice}: {error}");
    println!(
        "  code {:?}, {} attempts, worth another try: {}, outcome unknown: {}",
        error.code(),
        error.attempts(),
        error.is_retryable(),
        error.is_outcome_unknown()
    );
}
