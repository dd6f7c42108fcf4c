//! Attempts, pauses, deadlines, the breaker and the pool, counted at a proxy that breaks connections.

mod answers;
mod breaker;
mod load;
mod observed;
mod retry;

use std::time::Duration;

use headwater::bson::{Document, doc};
use headwater::mongodb::Client;
use headwater::mongodb::options::ClientOptions;
use headwater::{Collection, Headwater, ResilienceSettings};

use crate::proxy::Proxy;

/// Settings whose pauses do not slow tests down.
fn quick() -> ResilienceSettings {
    let mut settings = ResilienceSettings::default();
    settings.retry.base = Duration::from_millis(2);
    settings.retry.deadline = Duration::from_secs(30);
    settings.breaker.failures = 0;
    settings
}

async fn connect(proxy: &Proxy, settings: ResilienceSettings) -> Headwater {
    connect_to(&proxy.uri_with("serverSelectionTimeoutMS=5000"), settings).await
}

async fn connect_to(uri: &str, settings: ResilienceSettings) -> Headwater {
    let options = ClientOptions::parse(uri).await.unwrap();
    Headwater::connect_with_settings(options, settings).unwrap()
}

async fn things(proxy: &Proxy) -> Collection<Document> {
    connect(proxy, quick()).await.collection("things")
}

/// What the server really has, asked behind the proxy's back.
async fn stored(proxy: &Proxy) -> Vec<Document> {
    let client = Client::with_uri_str(proxy.direct_uri()).await.unwrap();
    let things = client.database("test").collection::<Document>("things");
    let mut cursor = things.find(doc! {}).sort(doc! { "_id": 1 }).await.unwrap();
    let mut all = Vec::new();
    while cursor.advance().await.unwrap() {
        all.push(cursor.deserialize_current().unwrap());
    }
    all
}

/// Makes a command fail by the server's own fail point.
async fn fail_command(proxy: &Proxy, times: i32, data: Document) {
    let client = Client::with_uri_str(proxy.direct_uri()).await.unwrap();
    let command =
        doc! { "configureFailPoint": "failCommand", "mode": { "times": times }, "data": data };
    client.database("admin").run_command(command).await.unwrap();
}
