//! The inventory: three fruits and how many units there are of each.

use headwater::bson::oid::ObjectId;
use headwater::bson::{Bson, Document, doc};
use headwater::{Collection, Database};

use crate::deployment::Deployment;
use crate::error::Result;

/// The collection.
pub const COLLECTION: &str = "inventory";
/// The fruits in the order in which they are inserted.
pub const FRUITS: [&str; 3] = ["strawberries", "bananas", "apples"];
/// Units of each fruit at first.
pub const FULL: i64 = 100;

/// The collection of a deployment.
pub fn of(deployment: &Deployment) -> Collection<Document> {
    deployment.collection(COLLECTION)
}

/// Drops what is there and fills the collection.
///
/// # Errors
/// The server fails.
pub async fn refill(inventory: &Collection<Document>) -> Result<()> {
    inventory.drop_collection().await?;
    let fruits = FRUITS.map(|fruit| doc! { "type": fruit, "quantity": FULL as i32 });
    inventory.insert_many(fruits).await?;
    Ok(())
}

/// Fills the collection if it is empty. Two programs that do so at once fill it once.
///
/// # Errors
/// The server fails.
pub async fn fill_if_empty(inventory: &Collection<Document>) -> Result<()> {
    if inventory.find_one(doc! {}).await?.is_some() {
        return Ok(());
    }
    for (number, fruit) in (1_u8..).zip(FRUITS) {
        // Ids that every program knows: the second one is refused.
        let id = ObjectId::from_bytes([number; 12]);
        let document = doc! { "_id": id, "type": fruit, "quantity": FULL as i32 };
        match inventory.insert_one(document).await {
            Err(error) if error.duplicate_key().is_none() => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

/// What the collection held, and a time of the server by which it had been read.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The documents, in the order of the collection.
    pub documents: Vec<Document>,
    /// Events after it are not part of the documents; events before it may be.
    pub until: Option<headwater::bson::Timestamp>,
}

/// Reads the whole collection in one command, which three fruits fit.
///
/// # Errors
/// The server fails.
pub async fn read(database: &Database) -> Result<Snapshot> {
    let find = doc! { "find": COLLECTION, "filter": {}, "singleBatch": true };
    let reply = database.run_command(find).await?;
    let batch = reply.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch"));
    let documents = batch.into_iter().flatten().filter_map(Bson::as_document).cloned().collect();
    Ok(Snapshot { documents, until: reply.get_timestamp("operationTime").ok() })
}

/// The quantity in a document or in the updated fields of an event.
pub fn quantity(document: &Document) -> Option<i64> {
    match document.get("quantity")? {
        Bson::Int32(units) => Some(i64::from(*units)),
        Bson::Int64(units) => Some(*units),
        Bson::Double(units) if units.fract() == 0.0 && units.abs() < 1e15 => Some(*units as i64),
        _ => None,
    }
}

/// The fruit of a document.
pub fn fruit(document: &Document) -> Option<&str> {
    document.get_str("type").ok()
}
