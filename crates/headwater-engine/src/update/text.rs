//! Documents as the messages of updates name them.

use crate::bson::Doc;

pub(super) use crate::bson::print::{document, element};

/// The `_id` of a document as text: `_id: 1`.
pub(super) fn id(doc: Doc<'_>) -> String {
    doc.get("_id").map_or_else(|| "no id".to_owned(), |value| element("_id", value))
}
