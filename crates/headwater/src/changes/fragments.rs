//! Events that a server split because they were too large, put together again. Knows events as raw documents only.

use mongodb::bson::raw::CString;
use mongodb::bson::{RawDocument, RawDocumentBuf};

/// An event holds the documents before and after and what changed: three of 16 MB and something around them.
const EVENT_BYTES_MAX: usize = 64 << 20;

/// The fragments of an event that have come so far.
#[derive(Default)]
pub(super) struct Fragments {
    seen: i32,
    event: RawDocumentBuf,
}

impl Fragments {
    /// True if an event is not whole yet: its place is not one to resume behind.
    pub(super) fn is_waiting(&self) -> bool {
        self.seen > 0
    }

    /// Forgets what has come: after a break the first fragment comes again.
    pub(super) fn clear(&mut self) {
        *self = Fragments::default();
    }

    /// Takes an event or a fragment of one. Gives the event if it is whole, with the token of its last fragment.
    ///
    /// # Errors
    /// A sentence: a fragment is missing, or the event is larger than one can be.
    pub(super) fn add(&mut self, event: RawDocumentBuf) -> Result<Option<RawDocumentBuf>, String> {
        let Ok(split) = event.get_document("splitEvent") else {
            return match self.is_waiting() {
                false => Ok(Some(event)),
                true => Err("the rest of a split event is missing".to_owned()),
            };
        };
        let (number, of) = match (split.get_i32("fragment"), split.get_i32("of")) {
            (Ok(number), Ok(of)) => (number, of),
            _ => return Err("a fragment of an event has no number".to_owned()),
        };
        if number != self.seen + 1 || number > of {
            return Err(format!("fragment {number} of {of} came after fragment {}", self.seen));
        }
        if self.event.as_bytes().len() + event.as_bytes().len() > EVENT_BYTES_MAX {
            return Err("a split event is larger than an event can be".to_owned());
        }
        append(&mut self.event, &event, |name| !matches!(name, "_id" | "splitEvent"))?;
        self.seen = number;
        if number < of {
            return Ok(None);
        }
        append(&mut self.event, &event, |name| name == "_id")?;
        self.seen = 0;
        Ok(Some(std::mem::take(&mut self.event)))
    }
}

fn append(
    event: &mut RawDocumentBuf,
    fragment: &RawDocument,
    wanted: impl Fn(&str) -> bool,
) -> Result<(), String> {
    for field in fragment {
        let (name, value) = field.map_err(|error| error.to_string())?;
        if wanted(name.as_str()) {
            let name = CString::try_from(name.as_str()).map_err(|error| error.to_string())?;
            event.append(name, value);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{Document, doc};

    use super::*;

    fn raw(document: Document) -> RawDocumentBuf {
        RawDocumentBuf::try_from(&document).unwrap()
    }

    fn fragment(number: i32, of: i32, fields: Document) -> RawDocumentBuf {
        let mut document = doc! { "_id": { "_data": format!("t{number}") } };
        document.insert("splitEvent", doc! { "fragment": number, "of": of });
        document.extend(fields);
        raw(document)
    }

    #[test]
    fn r15_fragments_become_one_event_with_the_last_token() {
        let mut fragments = Fragments::default();
        let first = fragment(1, 3, doc! { "operationType": "update", "documentKey": { "_id": 1 } });
        assert!(fragments.add(first).unwrap().is_none());
        assert!(fragments.is_waiting());
        let second = fragment(2, 3, doc! { "fullDocument": { "x": 1 } });
        assert!(fragments.add(second).unwrap().is_none());
        let third = fragment(3, 3, doc! { "fullDocumentBeforeChange": { "x": 0 } });
        let event = fragments.add(third).unwrap().unwrap();
        let expected = doc! {
            "operationType": "update", "documentKey": { "_id": 1 }, "fullDocument": { "x": 1 },
            "fullDocumentBeforeChange": { "x": 0 }, "_id": { "_data": "t3" },
        };
        assert_eq!(Document::try_from(event).unwrap(), expected);
        assert!(!fragments.is_waiting());
        let whole = raw(doc! { "_id": { "_data": "t4" }, "operationType": "insert" });
        assert_eq!(fragments.add(whole.clone()).unwrap(), Some(whole));
    }

    #[test]
    fn r15_missing_fragments_are_an_error() {
        let mut fragments = Fragments::default();
        assert!(fragments.add(fragment(2, 2, doc! {})).is_err());
        assert!(fragments.add(fragment(1, 3, doc! {})).unwrap().is_none());
        assert!(fragments.add(fragment(3, 3, doc! {})).is_err());
        let whole = raw(doc! { "_id": { "_data": "t4" } });
        assert!(fragments.add(whole.clone()).is_err());
        fragments.clear();
        assert!(fragments.add(whole).unwrap().is_some());
        assert!(fragments.add(raw(doc! { "splitEvent": {} })).is_err());
    }
}
