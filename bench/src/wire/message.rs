//! The requests, as bytes of `OP_MSG`.

use headwater_engine::bson::DocWriter;
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
