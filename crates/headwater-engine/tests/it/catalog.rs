//! Kinds of collections and what the catalog keeps of them: options, views, limits, and that nothing is left half.

mod capped;
mod crash;
mod indexes;
mod options;
mod views;

use headwater_engine::bson::{DocBuf, Raw};

use crate::commands::{Session, text};

/// The code name of a command's error; empty if it succeeded.
fn error_of(db: &Session, command: &str) -> String {
    text(&db.run(command), "codeName").to_owned()
}

/// The `_id`s of a reply's batch.
fn ids(batch: &[DocBuf]) -> Vec<i64> {
    batch.iter().map(|doc| crate::commands::number(doc.as_doc().get("_id"))).collect()
}

/// The code of the first write error of a reply.
fn write_error(reply: &DocBuf) -> i64 {
    let errors = reply.as_doc().get("writeErrors").and_then(Raw::as_array);
    let first = errors.and_then(|errors| errors.get(0)).and_then(Raw::as_doc);
    first.map_or(0, |error| crate::commands::number(error.get("code")))
}
