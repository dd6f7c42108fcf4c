//! What all stages work on: the connector, the three collections, and what was there before.

use headwater::bson::{Document, doc};
use headwater::{Collection, Headwater, Result};

pub(crate) const MAIN: &str = "async_test_collection";
pub(crate) const TEXT: &str = "async_text_collection";
pub(crate) const GEO: &str = "async_geo_collection";
/// The collections of the file store.
pub(crate) const FILES: [&str; 2] = ["fs.files", "fs.chunks"];

pub(crate) struct Bench {
    pub(crate) headwater: Headwater,
    pub(crate) main: Collection<Document>,
    pub(crate) text: Collection<Document>,
    pub(crate) geo: Collection<Document>,
    /// Collections that were there and stay.
    pub(crate) foreign: Vec<String>,
    /// The server is a Headwater database, whose gaps are known.
    pub(crate) is_headwater: bool,
}

impl Bench {
    /// Empties the three collections.
    pub(crate) async fn prepare(headwater: &Headwater) -> Result<Bench> {
        let database = headwater.default_database();
        for name in [MAIN, TEXT, GEO] {
            database.drop_collection(name).await?;
        }
        let status = headwater.database("admin").run_command(doc! { "serverStatus": 1 }).await;
        Ok(Bench {
            headwater: headwater.clone(),
            main: headwater.collection(MAIN),
            text: headwater.collection(TEXT),
            geo: headwater.collection(GEO),
            foreign: database.collection_names().await?,
            // Who may not ask for the status is not expected to fail anywhere.
            is_headwater: status.is_ok_and(|status| status.contains_key("headwater")),
        })
    }
}
