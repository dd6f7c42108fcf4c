//! From an index entry to what is handed on of its document. Knows nothing of how indexes are walked.

use headwater_store::Read;

use super::keys::KeyDocument;
use super::seen::Seen;
use super::walk::{Entry, Fetched, is_cut};
use super::{Next, Visit};
use crate::bson::Doc;
use crate::catalog::tables;
use crate::collection::{RecordId, document_key, record_of};
use crate::error::Result;
use crate::query::plan::tree::{Access, Gives, IndexScan, Plan};

/// What became of an entry.
pub(super) enum Found {
    /// Its document is not wanted, or was met before.
    Nothing,
    /// Its document was handed on.
    Given(Next),
    /// So it was, and no other with the same values of the first fields is wanted.
    Value(usize),
}

/// What is remembered from entry to entry.
#[derive(Debug, Default)]
pub(super) struct Finder {
    /// Whether several entries may lead to one document even if each index has one entry of each.
    several: bool,
    pub(super) docs_examined: u64,
    /// Entries whose documents were looked up among those met before.
    pub(super) tested: u64,
    /// Entries of documents that were met before.
    pub(super) dropped: u64,
    seen: Seen,
    key_document: KeyDocument,
}

/// The document that an entry leads to.
pub(super) fn record(scan: &IndexScan, (key, value): Entry<'_>) -> RecordId {
    record_of(if scan.index.unique { value } else { key }).unwrap_or(0)
}

impl Finder {
    pub(super) fn of(plan: &Plan) -> Finder {
        Finder { several: meets_twice(plan), ..Finder::default() }
    }

    /// The same for documents that are changed when they are found.
    pub(super) fn for_write(self) -> Finder {
        Finder { several: true, ..self }
    }

    /// Whether every entry of a scan is of a document that is to be fetched.
    pub(super) fn fetches_all(&self, plan: &Plan, scan: &IndexScan) -> bool {
        plan.gives == Gives::Documents && !self.several && !scan.index.repeats()
    }

    /// Hands on the document of an entry if it is wanted and new.
    pub(super) fn find(
        &mut self,
        plan: &Plan,
        scan: &IndexScan,
        common: Option<&Seen>,
        (entry, fetched): (Entry<'_>, Fetched<'_>),
        read: &dyn Read,
        visit: &mut Visit<'_>,
    ) -> Result<Found> {
        let record = record(scan, entry);
        let several = self.several || scan.index.repeats();
        self.tested += u64::from(several);
        if several && self.seen.contains(record) {
            self.dropped += 1;
            return Ok(Found::Nothing);
        }
        if common.is_some_and(|common| !common.contains(record)) {
            return Ok(Found::Nothing);
        }
        let cut = is_cut(entry.0);
        let next = match plan.gives {
            Gives::Nothing if !cut => visit(record, Doc::EMPTY)?,
            Gives::Keys if let Some(doc) = self.key_document.of(scan, entry, plan.told_apart) => {
                if !plan.wants(doc, false)? {
                    return Ok(Found::Nothing);
                }
                visit(record, doc)?
            }
            _ => {
                let found = match fetched {
                    Some(found) => found,
                    None => {
                        read.get(tables::DOCUMENTS, &document_key(plan.collection.id, record))?
                    }
                };
                let Some(bytes) = found else { return Ok(Found::Nothing) };
                self.docs_examined += 1;
                let doc = Doc::trusted(bytes);
                if !plan.wants(doc, cut)? {
                    return Ok(Found::Nothing);
                }
                visit(record, doc)?
            }
        };
        if several && next != Next::StopBefore {
            self.seen.insert(record)?;
        }
        Ok(match plan.gives {
            Gives::Distinct(at) if next == Next::Continue => Found::Value(at + 1),
            _ => Found::Given(next),
        })
    }
}

/// Whether several scans may find one document.
fn meets_twice(plan: &Plan) -> bool {
    match &plan.access {
        Access::Any(scans) | Access::Merge(scans) => {
            let first = scans.first().map(|scan| scan.index.id);
            scans.iter().any(|scan| Some(scan.index.id) != first) || overlap(scans)
        }
        _ => false,
    }
}

/// Whether ranges of several scans of one index overlap: they do not where each has one of the same length in order.
fn overlap(scans: &[IndexScan]) -> bool {
    let mut last: &[u8] = &[];
    scans.iter().flat_map(|scan| &scan.ranges).any(|(lower, upper)| {
        let before = std::mem::replace(&mut last, upper);
        lower.as_slice() < before
    })
}
