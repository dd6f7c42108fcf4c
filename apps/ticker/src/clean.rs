//! CLEAN: drops what INIT made.

use headwater::bson::{Document, doc};

use crate::error::Result;
use crate::figures::counted;
use crate::market::{COLLECTION, DATABASE, Market};
use crate::output;

/// Drops the database, or only the collection, and tells what was dropped with how many documents.
///
/// # Errors
/// The server does not answer or does not allow it.
pub async fn run(market: &Market, collection_only: bool) -> Result<()> {
    output::line(&format!(
        "-- Dropping collection \"{DATABASE}.{COLLECTION}\" and all its documents\n"
    ))?;
    let report = if collection_only {
        drop_collection(market).await?
    } else {
        drop_database(market).await?
    };
    output::line(&report)
}

async fn drop_collection(market: &Market) -> Result<String> {
    let stocks = market.stocks();
    let exists = market.database().collection_exists(COLLECTION).await?;
    let documents = stocks.count(doc! {}).await?;
    stocks.drop_collection().await?;
    Ok(if exists {
        format!(
            "   Dropped collection \"{DATABASE}.{COLLECTION}\" with {}",
            counted(documents, "document")
        )
    } else {
        format!("   Nothing to drop: there is no collection \"{DATABASE}.{COLLECTION}\"")
    })
}

async fn drop_database(market: &Market) -> Result<String> {
    let database = market.database();
    let names = database.collection_names().await?;
    let mut documents = 0;
    for name in &names {
        documents += database.collection::<Document>(name).count(doc! {}).await?;
    }
    database.drop_database().await?;
    Ok(if names.is_empty() {
        format!("   Nothing to drop: there is no database \"{DATABASE}\"")
    } else {
        format!(
            "   Dropped database \"{DATABASE}\" with {} and {}",
            counted(names.len() as u64, "collection"),
            counted(documents, "document")
        )
    })
}
