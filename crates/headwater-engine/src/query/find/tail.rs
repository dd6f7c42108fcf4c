//! Tailable cursors: a scan of a capped collection that goes on where it ended.

use super::Tailing;
use crate::catalog::{Collection, tables};
use crate::change::arrivals::Arrivals;
use crate::collection::record_of;
use crate::error::{Code, Error, Result};
use crate::query::cursor::{Batch, Fill};
use crate::query::run::Run;
use crate::query::scan::Scan;

/// What a tailable cursor has beside its scan.
pub(super) struct Tail {
    tailing: Tailing,
    arrivals: Arrivals,
}

impl Tail {
    /// The tail of a collection.
    pub(super) fn new(tailing: Tailing, collection: &Collection) -> Tail {
        Tail { tailing, arrivals: Arrivals::of(&collection.namespace) }
    }

    /// Whether the cursor waits for data.
    pub(super) fn awaits(&self) -> bool {
        self.tailing == Tailing::Awaits
    }

    /// What follows a look at the collection. A cursor that never found a document to stand on ends.
    pub(super) fn rest(&mut self, run: &Run<'_>, scan: &mut Scan, batch: &Batch<'_>) -> Fill {
        if !scan.is_done() {
            return Fill::More;
        }
        if scan.position().is_none() {
            return Fill::End;
        }
        scan.reopen();
        if !batch.is_empty() || !self.awaits() {
            return Fill::More;
        }
        Fill::Await(self.arrivals.wait(run))
    }
}

/// Fails if the document that the cursor stands on is gone: what came behind it may be gone too.
///
/// # Errors
/// `CappedPositionLost` (136).
pub(super) fn check_position(run: &Run<'_>, scan: &Scan) -> Result<()> {
    let Some(position) = scan.position() else { return Ok(()) };
    if run.store().get(tables::DOCUMENTS, position)?.is_some() {
        return Ok(());
    }
    let record = record_of(position).unwrap_or(0);
    Err(Error::new(
        Code::CAPPED_POSITION_LOST,
        format!(
            "CollectionScan died due to position in capped collection being deleted. Last seen record id: RecordId({record})"
        ),
    ))
}
