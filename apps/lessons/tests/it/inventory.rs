//! A deployment of its own for each test, and its inventory.

use std::time::{Duration, Instant};

use headwater::bson::{Document, doc};
use headwater::{Collection, Headwater};

use crate::process::PATIENCE;

/// A database in this process that the commands under test reach by URI.
pub(crate) struct Node {
    pub(crate) headwater: Headwater,
}

impl Node {
    pub(crate) async fn start() -> Node {
        Node { headwater: Headwater::open_in_memory().await.unwrap() }
    }

    pub(crate) fn uri(&self) -> &str {
        self.headwater.uri()
    }

    pub(crate) fn collection(&self, name: &str) -> Collection<Document> {
        self.headwater.database("lessons").collection(name)
    }

    pub(crate) fn inventory(&self) -> Inventory {
        Inventory(self.collection("inventory"))
    }

    /// Cursors that are open on the server.
    pub(crate) async fn open_cursors(&self) -> i64 {
        open_cursors(&self.headwater).await
    }

    /// Waits until so many watchers have opened their streams: nothing from then on is missed.
    pub(crate) async fn watched_by(&self, watchers: i64) {
        watched_by(&self.headwater, watchers).await;
    }
}

async fn open_cursors(headwater: &Headwater) -> i64 {
    let status = headwater.database("admin").run_command(doc! { "serverStatus": 1 }).await.unwrap();
    let metrics = status.get_document("metrics").unwrap();
    let cursors = metrics.get_document("cursor").unwrap().get_document("open").unwrap();
    cursors.get_i64("total").unwrap()
}

/// Waits until so many watchers have opened their streams on a server.
pub(crate) async fn watched_by(headwater: &Headwater, watchers: i64) {
    until("open streams", || async { open_cursors(headwater).await >= watchers }).await;
}

/// The fruits, changed by a test.
pub(crate) struct Inventory(pub(crate) Collection<Document>);

impl Inventory {
    pub(crate) async fn fill(&self, quantities: [i32; 3]) {
        let fruits = ["strawberries", "bananas", "apples"];
        let fruits = fruits.iter().zip(quantities);
        let fruits = fruits.map(|(fruit, units)| doc! { "type": *fruit, "quantity": units });
        self.0.insert_many(fruits.collect::<Vec<_>>()).await.unwrap();
    }

    pub(crate) async fn set(&self, fruit: &str, quantity: i32) {
        let update = doc! { "$set": { "quantity": quantity } };
        self.0.update_one(doc! { "type": fruit }, update).await.unwrap();
    }

    pub(crate) async fn sum(&self) -> i64 {
        let fruits = self.0.find_many(doc! {}).await.unwrap();
        fruits.iter().map(|fruit| i64::from(fruit.get_i32("quantity").unwrap())).sum()
    }

    /// Waits until nothing is sold any more.
    pub(crate) async fn sold_out(&self) {
        let begun = Instant::now();
        loop {
            let fruits = self.0.find_many(doc! {}).await.unwrap();
            if fruits.len() == 3 && fruits.iter().all(|f| f.get_i32("quantity").unwrap() <= 10) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{fruits:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Waits until something holds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The fruit and the quantity of a warning.
pub(crate) fn warning(line: &str) -> (String, i64) {
    let rest = line.strip_prefix("There are only ").unwrap_or_else(|| panic!("{line}"));
    let (quantity, rest) = rest.split_once(" units left of ").unwrap();
    (rest.strip_suffix('!').unwrap().to_owned(), quantity.parse().unwrap())
}
