//! What plans cost: how much of an index a scan reads, from the tree itself, and what that takes. No plan is run to find
//! out; see the decision record on the cost model.

use std::cell::OnceCell;

use headwater_store::Read;

use super::tree::{IndexScan, Range};
use crate::catalog::{Collection, tables};
use crate::collection::document_key;
use crate::error::Result;
use crate::query::scan::probe;

/// The unit of cost is a step of a cursor to the next key; this is what else takes, in that unit.
mod price {
    /// Putting a cursor somewhere.
    pub(super) const SEEK: f64 = 8.0;
    /// Fetching a document whose record id is known.
    pub(super) const FETCH: f64 = 8.0;
    /// The next document of a collection.
    pub(super) const DOCUMENT: f64 = 3.0;
    /// Taking a document into a sort, and each doubling of their number.
    pub(super) const SORT: (f64, f64) = (3.0, 0.3);
    /// Noting a record id and looking for it.
    pub(super) const NOTE: f64 = 0.5;
}

/// Ranges of a scan that are estimated; of more, as many at equal distances.
const RANGES_ESTIMATED: usize = 32;
/// Keys that are looked at to see how far leaps go.
const PROBE_KEYS: u64 = 24;

/// What running a plan is expected to take.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Cost {
    /// Index entries looked at.
    pub keys: f64,
    /// Documents looked at.
    pub documents: f64,
    /// All of it, in steps of a cursor.
    pub total: f64,
}

/// What a scan is expected to read if it is run to its end.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reach {
    /// Entries looked at.
    pub keys: f64,
    /// Of them those inside all bounds.
    pub found: f64,
    /// Times that the cursor is put somewhere.
    pub seeks: f64,
}

impl Reach {
    pub(super) fn and(self, other: Reach) -> Reach {
        Reach {
            keys: self.keys + other.keys,
            found: self.found + other.found,
            seeks: self.seeks + other.seeks,
        }
    }

    /// What a way costs that reads `part` of it, and fetches the documents or not.
    pub(super) fn cost(self, part: f64, fetches: bool) -> Cost {
        let (keys, found) = (self.keys * part, self.found * part);
        let documents = if fetches { found } else { 0.0 };
        let total =
            keys + (self.seeks * part.max(0.01)).max(1.0) * price::SEEK + documents * price::FETCH;
        Cost { keys, documents, total }
    }
}

impl Cost {
    /// A walk through that many documents of a collection.
    pub(super) fn of_walk(documents: f64) -> Cost {
        Cost { keys: 0.0, documents, total: price::SEEK + documents * price::DOCUMENT }
    }

    /// With a sort of that many documents, of which `limit` are kept.
    #[must_use]
    pub(super) fn sorting(self, documents: f64, limit: Option<u64>) -> Cost {
        let kept = limit.map_or(documents, |limit| documents.min(limit as f64)).max(2.0);
        let (each, doubling) = price::SORT;
        Cost { total: self.total + documents * (each + doubling * kept.log2()), ..self }
    }

    /// With that many documents told apart.
    #[must_use]
    pub(super) fn noting(self, documents: f64) -> Cost {
        Cost { total: self.total + documents * price::NOTE, ..self }
    }
}

/// Asks the store how much there is.
pub(super) struct Estimator<'r> {
    read: &'r dyn Read,
    collection: &'r Collection,
    documents: OnceCell<f64>,
}

impl<'r> Estimator<'r> {
    pub(super) fn new(read: &'r dyn Read, collection: &'r Collection) -> Estimator<'r> {
        Estimator { read, collection, documents: OnceCell::new() }
    }

    /// Documents of the collection.
    pub(super) fn documents(&self) -> Result<f64> {
        if let Some(known) = self.documents.get() {
            return Ok(*known);
        }
        let figures = &self.collection.figures;
        let documents = if figures.is_loaded() {
            figures.get().0.max(0) as f64
        } else {
            let id = self.collection.id;
            let (from, to) = (document_key(id, 0), document_key(id + 1, 0));
            self.read.estimate(tables::DOCUMENTS, &from, &to)? as f64
        };
        Ok(*self.documents.get_or_init(|| documents))
    }

    /// What a scan would read.
    pub(super) fn reach(&self, scan: &IndexScan) -> Result<Reach> {
        let count = scan.ranges.len();
        if scan.points {
            let each = count as f64;
            return Ok(Reach { keys: each, found: each, seeks: each });
        }
        let every = count.div_ceil(RANGES_ESTIMATED).max(1);
        let mut keys = 0.0;
        for range in scan.ranges.iter().step_by(every) {
            keys += self.keys(range)?;
        }
        keys *= count as f64 / count.div_ceil(every).max(1) as f64;
        let whole = Reach { keys, found: keys, seeks: count as f64 };
        let leaps = scan.fields.iter().skip(scan.ranged).any(|field| !field.is_everything());
        if leaps { self.leaping(scan, whole) } else { Ok(whole) }
    }

    fn keys(&self, (lower, upper): &Range) -> Result<f64> {
        Ok(self.read.estimate(tables::INDEX, lower, upper)? as f64)
    }

    /// What a scan reads that leaps over keys: the first few keys tell how far.
    fn leaping(&self, scan: &IndexScan, whole: Reach) -> Result<Reach> {
        let probed = probe(scan, self.read, PROBE_KEYS)?;
        let found = probed.found as f64;
        let Some(last) = probed.last else {
            return Ok(Reach { keys: probed.keys as f64, found, seeks: probed.seeks as f64 });
        };
        let mut passed = 0.0;
        for (lower, upper) in &scan.ranges {
            if *lower >= last {
                break;
            }
            passed += self.keys(&(lower.clone(), upper.clone().min(last.clone())))?;
        }
        let times = (whole.keys / passed.max(probed.keys as f64).max(1.0)).max(1.0);
        Ok(Reach {
            keys: (probed.keys as f64 * times).min(whole.keys),
            found: ((found + 0.5) * times).min(whole.keys),
            seeks: probed.seeks as f64 * times,
        })
    }
}
