//! What was warned about. Knows quantities and thresholds, no streams and no files.

use std::collections::BTreeMap;

use headwater::bson::{Bson, Document, doc};

use super::thresholds::Thresholds;
use crate::inventory;

/// A fruit is running out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Which.
    pub fruit: String,
    /// How many units are left.
    pub quantity: i64,
}

/// The fruits by the `_id` of their documents.
#[derive(Debug, Clone)]
pub struct Ledger {
    below: Thresholds,
    every: bool,
    fruits: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    fruit: String,
    /// Below its threshold, and told so; armed again when it is not.
    low: bool,
}

impl Ledger {
    /// Warns once per crossing, or each time a quantity is below.
    pub fn new(below: Thresholds, every: bool) -> Ledger {
        Ledger { below, every, fruits: BTreeMap::new() }
    }

    /// What the inventory holds at the start: a warning for each fruit that is low and was not warned about.
    pub fn start(&mut self, documents: &[Document]) -> Vec<Warning> {
        let every = std::mem::replace(&mut self.every, false);
        let warnings = documents
            .iter()
            .filter_map(|document| {
                let id = key(document.get("_id")?);
                self.note(id, inventory::fruit(document), inventory::quantity(document)?)
            })
            .collect();
        self.every = every;
        warnings
    }

    /// What an event says. The quantity is the event's own where it has one: the document that was looked up may be a
    /// later one, or gone.
    pub fn event(&mut self, event: &Document) -> Option<Warning> {
        let id = key(event.get_document("documentKey").ok()?.get("_id")?);
        if event.get_str("operationType").ok() == Some("delete") {
            self.fruits.remove(&id);
            return None;
        }
        let full = event.get_document("fullDocument").ok();
        let update = event.get_document("updateDescription").ok();
        let fields = update.and_then(|update| update.get_document("updatedFields").ok());
        let quantity = match fields {
            // A change of something else says nothing new.
            Some(fields) => inventory::quantity(fields)?,
            None => full.and_then(inventory::quantity)?,
        };
        self.note(id, full.and_then(inventory::fruit), quantity)
    }

    /// The collection is gone.
    pub fn forget(&mut self) {
        self.fruits.clear();
    }

    /// As documents for a file.
    pub fn entries(&self) -> Vec<Document> {
        let entry = |(id, entry): (&String, &Entry)| {
            doc! { "id": id, "type": &entry.fruit, "low": entry.low }
        };
        self.fruits.iter().map(entry).collect()
    }

    /// Takes an entry of [`Ledger::entries`]; none if it is not one.
    pub fn restore(&mut self, entry: &Document) -> Option<()> {
        let fruit = entry.get_str("type").ok()?.to_owned();
        let low = entry.get_bool("low").ok()?;
        self.fruits.insert(entry.get_str("id").ok()?.to_owned(), Entry { fruit, low });
        Some(())
    }

    fn note(&mut self, id: String, fruit: Option<&str>, quantity: i64) -> Option<Warning> {
        let known = self.fruits.get(&id);
        let was_low = known.is_some_and(|entry| entry.low);
        // Without a name there is nothing to say: the document was gone before it was ever seen.
        let fruit = fruit.map(str::to_owned).or_else(|| known.map(|entry| entry.fruit.clone()))?;
        let low = quantity < self.below.of(&fruit);
        self.fruits.insert(id, Entry { fruit: fruit.clone(), low });
        (low && (self.every || !was_low)).then_some(Warning { fruit, quantity })
    }
}

fn key(id: &Bson) -> String {
    id.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(quantity: i32, found: Option<i32>) -> Document {
        let full = found.map(|units| doc! { "_id": 1, "type": "apples", "quantity": units });
        doc! {
            "operationType": "update",
            "documentKey": { "_id": 1 },
            "updateDescription": { "updatedFields": { "quantity": quantity } },
            "fullDocument": full,
        }
    }

    fn quantities(ledger: &mut Ledger, updates: &[i32]) -> Vec<i64> {
        let warnings =
            updates.iter().filter_map(|units| ledger.event(&update(*units, Some(*units))));
        warnings.map(|warning| warning.quantity).collect()
    }

    #[test]
    fn l11_a_warning_once_per_crossing() {
        let mut ledger = Ledger::new(Thresholds::default(), false);
        let sales = [30, 20, 19, 15, 11, 20, 21, 12, 5];
        assert_eq!(quantities(&mut ledger, &sales), [19, 12]);
        let mut ledger = Ledger::new(Thresholds::default(), true);
        assert_eq!(quantities(&mut ledger, &sales), [19, 15, 11, 12, 5]);
    }

    #[test]
    fn l14_the_quantity_is_the_events_and_a_missing_document_is_no_failure() {
        let mut ledger = Ledger::new(Thresholds::default(), false);
        assert_eq!(ledger.event(&update(18, None)), None, "nobody knows its name");
        assert_eq!(ledger.event(&update(25, Some(12))), None);
        let warning = ledger.event(&update(18, None)).unwrap();
        assert_eq!(warning, Warning { fruit: "apples".to_owned(), quantity: 18 });
    }

    #[test]
    fn l15_what_is_low_at_the_start_is_warned_about_once() {
        let low = [doc! { "_id": 1, "type": "apples", "quantity": 12 }];
        let mut ledger = Ledger::new(Thresholds::default(), true);
        assert_eq!(ledger.start(&low).len(), 1);
        assert_eq!(ledger.start(&low).len(), 0);
        let mut again = Ledger::new(Thresholds::default(), false);
        for entry in ledger.entries() {
            again.restore(&entry).unwrap();
        }
        assert_eq!(again.start(&low).len(), 0);
        assert_eq!(quantities(&mut again, &[11, 100, 19]), [19]);
    }
}
