//! What the connector said of each write, held against what the server has. Knows no connector.

use std::collections::BTreeMap;
use std::fmt;

use headwater::bson::{Document, doc};

/// What one write was and what was said of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    /// Distinct among all writes of the same kind.
    pub(super) key: i64,
    /// Whether it was said to be done; else that the outcome is unknown.
    pub(super) acknowledged: bool,
    /// How often it was said not to be applied, before.
    pub(super) refusals: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Increment { counter: i64 },
    Insert,
}

/// The update that adds one to a counter and leaves its key.
pub(super) fn step(key: i64) -> Document {
    doc! { "$inc": { "n": 1_i64 }, "$push": { "by": key } }
}

/// The document that is inserted under a key.
pub(super) fn document(key: i64) -> Document {
    doc! { "_id": key, "square": key * key, "text": format!("number {key}") }
}

/// What was said of all writes.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    entries: Vec<Entry>,
}

impl Ledger {
    pub(super) fn extend(&mut self, entries: Vec<Entry>) {
        self.entries.extend(entries);
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn acknowledged(&self) -> usize {
        self.entries.iter().filter(|entry| entry.acknowledged).count()
    }

    /// Each counter has what was acknowledged once, what is unknown at most once, and nothing else.
    pub(super) fn check_increments(&self, counters: &[Document]) {
        let mut applied = BTreeMap::new();
        for counter in counters {
            let id = counter.get_i64("_id").unwrap();
            let by = counter.get_array("by").unwrap();
            assert_eq!(counter.get_i64("n").unwrap(), by.len() as i64, "counter {id}");
            for key in by {
                *applied.entry((id, key.as_i64().unwrap())).or_insert(0) += 1;
            }
        }
        let mut unknown_applied = 0;
        for entry in &self.entries {
            let Kind::Increment { counter } = entry.kind else { continue };
            let times = applied.remove(&(counter, entry.key)).unwrap_or(0);
            let wanted = if entry.acknowledged { 1..=1 } else { 0..=1 };
            assert!(wanted.contains(&times), "applied {times} times: {entry:?}");
            unknown_applied += usize::from(times == 1 && !entry.acknowledged);
        }
        assert!(applied.is_empty(), "nobody knows of {applied:?}");
        self.say("increments", |kind| kind != Kind::Insert, unknown_applied);
    }

    /// Each document that was acknowledged is there as it was sent, and none that nobody sent.
    pub(super) fn check_inserts(&self, stored: &[Document]) {
        let mut there: BTreeMap<i64, &Document> = BTreeMap::new();
        for document in stored {
            assert!(there.insert(document.get_i64("_id").unwrap(), document).is_none());
        }
        let mut unknown_applied = 0;
        for entry in self.entries.iter().filter(|entry| entry.kind == Kind::Insert) {
            match there.remove(&entry.key) {
                Some(stored) => {
                    assert_eq!(*stored, document(entry.key));
                    unknown_applied += usize::from(!entry.acknowledged);
                }
                None => assert!(!entry.acknowledged, "lost: {entry:?}"),
            }
        }
        assert!(there.is_empty(), "nobody knows of {there:?}");
        self.say("inserts", |kind| kind == Kind::Insert, unknown_applied);
    }

    fn say(&self, what: &str, is_it: impl Fn(Kind) -> bool, unknown_applied: usize) {
        let entries = self.entries.iter().filter(|entry| is_it(entry.kind));
        let (acknowledged, unknown) =
            entries.partition::<Vec<&Entry>, _>(|entry| entry.acknowledged);
        println!(
            "{what}: {} acknowledged and there once, {} unknown of which {unknown_applied} applied",
            acknowledged.len(),
            unknown.len(),
        );
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refusals: usize = self.entries.iter().map(|entry| entry.refusals).sum();
        let (all, acknowledged) = (self.len(), self.acknowledged());
        write!(
            f,
            "{acknowledged} acknowledged, {} unknown, {refusals} refused and done again",
            all - acknowledged
        )
    }
}
