//! The event of a log record: what a write was, written beside its physical puts and deletes. The documents themselves
//! are not repeated: they stand in the puts.

use crate::bson::{Doc, DocBuf, DocWriter, Raw, View};
use crate::namespace::Namespace;

/// What kind of change a log record is. The numbers are part of the file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
#[repr(i32)]
pub enum Kind {
    Insert = 1,
    Update = 2,
    Replace = 3,
    Delete = 4,
    Create = 5,
    Drop = 6,
    Rename = 7,
    DropDatabase = 8,
    CreateIndexes = 9,
    DropIndexes = 10,
    /// Nothing that a stream shows: the node's own records.
    Internal = 11,
    Modify = 12,
    DropView = 13,
}

const KINDS: [Kind; 13] = [
    Kind::Insert,
    Kind::Update,
    Kind::Replace,
    Kind::Delete,
    Kind::Create,
    Kind::Drop,
    Kind::Rename,
    Kind::DropDatabase,
    Kind::CreateIndexes,
    Kind::DropIndexes,
    Kind::Internal,
    Kind::Modify,
    Kind::DropView,
];

/// Room for an event without an image.
const EVENT_BYTES: usize = 256;

/// Writes an event: `k` kind, `ns` namespace, `ui` UUID, `t` wall time, then `d`, `b` and `x` where the kind has them.
#[derive(Debug)]
pub struct EventWriter(DocWriter);

impl EventWriter {
    /// Starts an event. `wall_ms` is milliseconds since 1970-01-01T00:00Z.
    pub fn new(kind: Kind, namespace: &Namespace, uuid: Option<&[u8; 16]>, wall_ms: i64) -> Self {
        let mut doc = DocWriter::with_capacity(EVENT_BYTES);
        doc.i32("k", kind as i32);
        doc.str("ns", namespace.as_str());
        doc.i32("db", i32::try_from(namespace.db().len()).unwrap_or(0));
        if let Some(uuid) = uuid {
            doc.binary("ui", 4, uuid);
        }
        doc.date("t", wall_ms);
        EventWriter(doc)
    }

    /// The document key of a deletion: the `_id`.
    pub fn document_key(&mut self, id: Raw<'_>) {
        self.0.raw("d", id);
    }

    /// The document as it was before the change, of a collection that keeps images.
    pub fn image(&mut self, before: Doc<'_>) {
        self.0.doc("b", before);
    }

    /// What the kind needs beside: an update's description, a rename's target, an index's specification.
    pub fn detail(&mut self, detail: Doc<'_>) {
        self.0.doc("x", detail);
    }

    /// The event's bytes.
    pub fn finish(self) -> DocBuf {
        self.0.finish()
    }
}

/// An event, read back.
#[derive(Debug, Clone)]
pub struct Event<'a> {
    /// The kind.
    pub kind: Kind,
    /// Where it happened; of a database's event the collection is empty.
    pub namespace: Namespace,
    /// The collection's UUID.
    pub uuid: Option<[u8; 16]>,
    /// Milliseconds since 1970-01-01T00:00Z.
    pub wall_ms: i64,
    /// The `_id` of a deleted document.
    pub document_key: Option<Raw<'a>>,
    /// The document before the change; only collections that keep images have it.
    pub image: Option<Doc<'a>>,
    /// What the kind needs beside.
    pub detail: Option<Doc<'a>>,
}

impl<'a> Event<'a> {
    /// Reads an event, `None` if the bytes are none.
    pub fn parse(bytes: &'a [u8]) -> Option<Event<'a>> {
        let doc = Doc::trusted(bytes);
        let View::Int32(kind) = doc.get("k")?.view() else { return None };
        let kind = *KINDS.get(usize::try_from(kind).ok()?.checked_sub(1)?)?;
        let text = doc.get("ns")?.as_str()?;
        let View::Int32(split) = doc.get("db")?.view() else { return None };
        let split = usize::try_from(split).ok()?;
        let namespace = Namespace::new(text.get(..split)?, text.get(split + 1..)?);
        let uuid = match doc.get("ui").map(Raw::view) {
            Some(View::Binary { bytes, .. }) => bytes.try_into().ok(),
            _ => None,
        };
        let View::Date(wall_ms) = doc.get("t")?.view() else { return None };
        Some(Event {
            kind,
            namespace,
            uuid,
            wall_ms,
            document_key: doc.get("d"),
            image: doc.get("b").and_then(Raw::as_doc),
            detail: doc.get("x").and_then(Raw::as_doc),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_read_back_as_written() {
        let namespace = Namespace::new("market", "stock.symbols");
        let mut event = EventWriter::new(Kind::Delete, &namespace, Some(&[7; 16]), 42);
        event.document_key(Raw { kind: crate::bson::Type::Int32, data: &[1, 0, 0, 0] });
        let bytes = event.finish();
        let event = Event::parse(bytes.as_doc().as_bytes()).unwrap();
        assert_eq!((event.kind, event.wall_ms, event.uuid), (Kind::Delete, 42, Some([7; 16])));
        assert_eq!(event.namespace, namespace);
        assert_eq!(event.document_key.unwrap().data, [1, 0, 0, 0]);
    }
}
