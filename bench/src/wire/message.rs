//! The requests, as bytes of `OP_MSG`.

use headwater_engine::bson::{Doc, DocWriter};
use headwater_server::codec::msg;

/// What a document of `fill` takes beside its text.
const FRAME_BYTES: usize = 36;

fn message(body: DocWriter) -> Vec<u8> {
    let mut out = Vec::new();
    msg::start(&mut out, 1, 0, 0);
    out.extend_from_slice(body.finish().as_doc().as_bytes());
    msg::finish(&mut out, 0, 0);
    out
}

pub(super) fn ping() -> Vec<u8> {
    let mut body = DocWriter::new();
    body.i32("ping", 1);
    body.str("$db", "admin");
    message(body)
}

pub(super) fn server_status() -> Vec<u8> {
    let mut body = DocWriter::new();
    body.i32("serverStatus", 1);
    body.str("$db", "admin");
    message(body)
}

/// An insert of `count` documents of `bytes` bytes each, the `batch`-th such one. With the default write concern:
/// acknowledged when durable.
pub(super) fn insert(collection: &str, batch: u64, count: u64, bytes: usize) -> Vec<u8> {
    let mut body = DocWriter::new();
    body.str("insert", collection);
    body.array("documents", |array| {
        for id in batch * count..(batch + 1) * count {
            array.document(|document| fill(document, id as i32, bytes));
        }
    });
    body.str("$db", "bench");
    message(body)
}

/// An `_id`, a number, text.
fn fill(document: &mut DocWriter, id: i32, bytes: usize) {
    document.i32("_id", id);
    document.i64("n", i64::from(id) * 7);
    document.str("text", &"x".repeat(bytes.saturating_sub(FRAME_BYTES)));
}

pub(super) fn find_by_id(collection: &str, id: i32) -> Vec<u8> {
    let mut body = DocWriter::new();
    body.str("find", collection);
    body.document("filter", |filter| filter.i32("_id", id));
    body.i32("limit", 1);
    body.bool("singleBatch", true);
    body.str("$db", "bench");
    message(body)
}

/// An update that adds one to the number of the document with that `_id`, or of every document.
pub(super) fn increment(collection: &str, id: Option<i32>) -> Vec<u8> {
    let mut body = DocWriter::new();
    body.str("update", collection);
    body.array("updates", |updates| {
        updates.document(|update| {
            update.document("q", |filter| id.into_iter().for_each(|id| filter.i32("_id", id)));
            update.document("u", |change| change.document("$inc", |inc| inc.i64("n", 1)));
            update.bool("multi", id.is_none());
        });
    });
    body.str("$db", "bench");
    message(body)
}

/// An insert of documents that are there already.
pub(super) fn insert_raw(collection: &str, documents: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut body = DocWriter::new();
    body.str("insert", collection);
    body.array("documents", |array| {
        documents.for_each(|document| array.doc(Doc::trusted(&document)));
    });
    body.str("$db", "bench");
    message(body)
}

/// All documents whose `field` has the value, in one batch.
pub(super) fn find_all(collection: &str, field: &str, value: i32) -> Vec<u8> {
    let mut body = DocWriter::new();
    body.str("find", collection);
    body.document("filter", |filter| filter.i32(field, value));
    body.bool("singleBatch", true);
    body.i32("batchSize", i32::MAX);
    body.str("$db", "bench");
    message(body)
}

/// Opens a change stream, with a filter on the documents' `n` if one is given.
pub(super) fn watch(collection: &str, n: Option<i64>) -> Vec<u8> {
    let mut body = DocWriter::new();
    body.str("aggregate", collection);
    body.array("pipeline", |stages| {
        stages.document(|stage| stage.document("$changeStream", |_| {}));
        if let Some(n) = n {
            stages.document(|stage| {
                stage.document("$match", |filter| filter.i64("fullDocument.n", n));
            });
        }
    });
    body.document("cursor", |_| {});
    body.str("$db", "bench");
    message(body)
}

/// Waits for a cursor's next batch.
pub(super) fn get_more(cursor: i64, collection: &str, wait_ms: i32) -> Vec<u8> {
    let mut body = DocWriter::new();
    body.i64("getMore", cursor);
    body.str("collection", collection);
    body.i32("maxTimeMS", wait_ms);
    body.str("$db", "bench");
    message(body)
}
