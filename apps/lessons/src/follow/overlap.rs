//! The stretch of the stream whose events may be part of what was read: the server tells when the reading was over,
//! not when it began.

use std::collections::BTreeMap;
use std::time::Instant;

use headwater::ResumeToken;
use headwater::bson::{Document, Timestamp};

use crate::inventory::{self, COLLECTION, Snapshot};

pub(super) struct Overlap {
    /// When the collection had been read: an empty answer that the server held back for its whole time since then says
    /// that nothing older is on its way.
    pub(super) read: Instant,
    /// Events that may be known already, in the order of the stream.
    pub(super) held: Vec<(Document, ResumeToken)>,
    until: Option<Timestamp>,
    database: String,
    quantities: BTreeMap<String, Option<i64>>,
}

/// What is known of a quantity behind an event.
#[derive(PartialEq)]
enum After {
    Unknown,
    Known(Option<i64>),
}

impl Overlap {
    pub(super) fn new(database: &str, snapshot: &Snapshot) -> Overlap {
        let quantities = snapshot.documents.iter();
        let quantities =
            quantities.map(|document| (key(document), inventory::quantity(document))).collect();
        Overlap {
            read: Instant::now(),
            held: Vec::new(),
            until: snapshot.until,
            database: database.to_owned(),
            quantities,
        }
    }

    /// True if the event may be part of what was read.
    pub(super) fn covers(&self, event: &Document) -> bool {
        let Some(until) = self.until else { return false };
        let Ok(ns) = event.get_document("ns") else { return false };
        ns.get_str("db").ok() == Some(self.database.as_str())
            && ns.get_str("coll").ok() == Some(COLLECTION)
            && event.get_document("documentKey").is_ok()
            && event.get_timestamp("clusterTime").is_ok_and(|time| time <= until)
    }

    /// The events that are not part of what was read: of each document those behind the last one that led to what it
    /// was when it was read.
    pub(super) fn news(self) -> impl Iterator<Item = (Document, ResumeToken)> {
        let mut known = BTreeMap::new();
        for (at, (event, _)) in self.held.iter().enumerate() {
            let id = event_key(event);
            let read = self.quantities.get(&id).copied().flatten();
            if after(event) == After::Known(read) {
                known.insert(id, at);
            }
        }
        let old = move |at: usize, event: &Document| {
            known.get(&event_key(event)).is_some_and(|last| at <= *last)
        };
        let held = self.held.into_iter().enumerate();
        held.filter(move |(at, (event, _))| !old(*at, event)).map(|(_, event)| event)
    }
}

fn after(event: &Document) -> After {
    let full =
        |event: &Document| event.get_document("fullDocument").ok().and_then(inventory::quantity);
    match event.get_str("operationType") {
        Ok("delete") => After::Known(None),
        Ok("insert" | "replace") => After::Known(full(event)),
        _ => {
            let update = event.get_document("updateDescription").ok();
            let fields = update.and_then(|update| update.get_document("updatedFields").ok());
            match fields.and_then(inventory::quantity) {
                Some(units) => After::Known(Some(units)),
                None => After::Unknown,
            }
        }
    }
}

/// The `_id` of a document as text.
pub(crate) fn key(document: &Document) -> String {
    document.get("_id").map(ToString::to_string).unwrap_or_default()
}

fn event_key(event: &Document) -> String {
    event.get_document("documentKey").map(key).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use headwater::bson::doc;

    use super::*;

    fn at(increment: u32) -> Timestamp {
        Timestamp { time: 1, increment }
    }

    fn token() -> ResumeToken {
        ResumeToken::from(doc! { "_data": "00" })
    }

    fn update(id: i32, quantity: i32, increment: u32) -> Document {
        doc! {
            "operationType": "update",
            "clusterTime": at(increment),
            "ns": { "db": "lessons", "coll": "inventory" },
            "documentKey": { "_id": id },
            "updateDescription": { "updatedFields": { "quantity": quantity } },
        }
    }

    #[test]
    fn l17_what_was_read_already_is_left_out_and_nothing_else() {
        let documents = vec![doc! { "_id": 1, "quantity": 96 }, doc! { "_id": 2, "quantity": 100 }];
        let mut overlap = Overlap::new("lessons", &Snapshot { documents, until: Some(at(5)) });
        for event in [update(1, 98, 2), update(1, 96, 3), update(1, 92, 4), update(2, 99, 5)] {
            assert!(overlap.covers(&event));
            overlap.held.push((event, token()));
        }
        assert!(!overlap.covers(&update(1, 90, 6)));
        let news: Vec<Document> = overlap.news().map(|(event, _)| event).collect();
        assert_eq!(news, [update(1, 92, 4), update(2, 99, 5)]);
    }

    #[test]
    fn l17_a_document_that_was_gone_when_it_was_read_is_no_news() {
        let mut overlap =
            Overlap::new("lessons", &Snapshot { documents: vec![], until: Some(at(5)) });
        let mut delete = update(1, 0, 3);
        delete.insert("operationType", "delete");
        for event in [update(1, 98, 2), delete] {
            overlap.held.push((event, token()));
        }
        assert_eq!(overlap.news().count(), 0);
    }

    #[test]
    fn l17_other_collections_are_not_held() {
        let overlap = Overlap::new("lessons", &Snapshot { documents: vec![], until: Some(at(5)) });
        let mut event = update(1, 2, 3);
        event.insert("ns", doc! { "db": "lessons", "coll": "shipments" });
        assert!(!overlap.covers(&event));
    }
}
