//! What the operation on this thread took so far: index entries, documents, and the way that it went. A command runs on one
//! thread from its start to its reply.

use std::cell::Cell;

use crate::catalog::{Catalog, Collection};
use crate::query::plan::tree::{Access, Gives, Plan};

/// Indexes that are remembered of a way through several.
const INDEXES: usize = 4;

/// What an operation took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Insight {
    /// Index entries looked at.
    pub keys: u64,
    /// Documents looked at.
    pub docs: u64,
    /// Whether a plan was taken because it had served before, without the others being weighed.
    pub recalled: bool,
    way: Option<Way>,
}

#[derive(Debug, Clone, Copy)]
struct Way {
    kind: &'static str,
    collection: u32,
    indexes: [u32; INDEXES],
}

thread_local! {
    static INSIGHT: Cell<Insight> =
        const { Cell::new(Insight { keys: 0, docs: 0, recalled: false, way: None }) };
}

/// Forgets what came before on this thread.
#[inline]
pub fn begin() {
    INSIGHT.set(Insight::default());
}

/// Adds what running a plan took.
#[inline]
pub fn took(plan: &Plan, keys: u64, docs: u64) {
    let before = INSIGHT.get();
    let way = before.way.or_else(|| Way::of(plan));
    INSIGHT.set(Insight { keys: before.keys + keys, docs: before.docs + docs, way, ..before });
}

/// Adds a lookup by `_id` that took no plan.
#[inline]
pub fn took_id(collection: &Collection, found: bool) {
    let before = INSIGHT.get();
    let way = before.way.or_else(|| Some(Way::by_id(collection)));
    let docs = before.docs + u64::from(found);
    INSIGHT.set(Insight { keys: before.keys + 1, docs, way, ..before });
}

/// Notes that a plan was taken as it had served before.
#[inline]
pub fn recalled() {
    INSIGHT.set(Insight { recalled: true, ..INSIGHT.get() });
}

impl Way {
    fn by_id(collection: &Collection) -> Way {
        let index = collection.id_index();
        let clustered = index.is_none_or(|index| index.clustered);
        let kind = if clustered { "EXPRESS_CLUSTERED_IXSCAN" } else { "EXPRESS_IXSCAN" };
        let mut indexes = [0; INDEXES];
        indexes[0] = index.filter(|_| !clustered).map_or(0, |index| index.id);
        Way { kind, collection: collection.id, indexes }
    }

    fn of(plan: &Plan) -> Option<Way> {
        let mut indexes = [0; INDEXES];
        for (place, scan) in indexes.iter_mut().zip(plan.access.scans()) {
            *place = scan.index.id;
        }
        let kind = match (&plan.access, plan.gives) {
            (Access::Nothing, _) => "EOF",
            (Access::Collection { .. }, _) => "COLLSCAN",
            (Access::Id(_), _) => return Some(Way::by_id(&plan.collection)),
            (Access::Index(scan), _) if scan.index.clustered => {
                indexes[0] = 0;
                if scan.is_whole() { "COLLSCAN" } else { "CLUSTERED_IXSCAN" }
            }
            (Access::Index(_), Gives::Nothing) => "COUNT_SCAN",
            (Access::Index(_), Gives::Distinct(_)) => "DISTINCT_SCAN",
            _ => "IXSCAN",
        };
        Some(Way { kind, collection: plan.collection.id, indexes })
    }
}

impl Insight {
    /// What the operation on this thread took since it began.
    pub fn of_now() -> Insight {
        INSIGHT.get()
    }

    /// The plan in a line: `IXSCAN { a: 1 }`. `None` if nothing was looked for.
    pub fn summary(&self, catalog: &Catalog) -> Option<String> {
        let way = self.way?;
        let collection = catalog.by_id(way.collection);
        let pattern = |id: u32| {
            let indexes = collection.map_or(&[][..], |collection| collection.indexes.as_slice());
            let index = indexes.iter().find(|index| index.id == id)?;
            Some(crate::bson::print::document(index.key_pattern()))
        };
        let shown: Vec<String> = way
            .indexes
            .iter()
            .take_while(|&&id| id != 0)
            .filter_map(|&id| Some(format!("{} {}", way.kind, pattern(id)?)))
            .collect();
        Some(if shown.is_empty() { way.kind.to_owned() } else { shown.join(", ") })
    }
}
