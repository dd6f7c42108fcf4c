//! Writing to many documents: found and changed a chunk at a time, and between chunks others may write. Each document is
//! changed under the same hold of the writer under which it was found to match, so nobody gets in between; none is met
//! twice. What ends the walk early leaves what was done.

use std::sync::Arc;

use super::turns::let_others_in;
use crate::bson::{Doc, DocBuf};
use crate::catalog::{Catalog, Collection};
use crate::collection::RecordId;
use crate::commands::Context;
use crate::engine::WriteGuard;
use crate::error::{Code, Error, Result};
use crate::index::Index;
use crate::query::exec::Environment;
use crate::query::find::collection_dropped;
use crate::query::plan::tree::Plan;
use crate::query::run::Run;
use crate::query::scan::{Next, Scan};

/// Documents of a chunk at most.
const DOCUMENTS: usize = 1000;
/// Bytes of the documents of a chunk, the last one excepted.
const BYTES: usize = 4 * 1024 * 1024;
/// Documents or index entries that are looked at for one chunk.
pub(super) const STRETCH: u64 = 10_000;

/// What becomes of the documents of a chunk when the walk fails behind them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands) enum Pace {
    /// They are changed.
    OneByOne,
    /// They stay.
    Batched,
}

/// Walks the documents of a plan and hands each to `change`.
///
/// # Errors
/// Those of scanning and of `change`; `QueryPlanKilled` (175) if the collection or the index that is walked goes
/// away; the interruptions of [`Environment::check`].
pub(in crate::commands) fn for_each(
    context: &Context<'_>,
    guard: &mut WriteGuard<'_>,
    plan: Plan,
    pace: Pace,
    mut change: impl FnMut(&mut WriteGuard<'_>, &Collection, RecordId, Doc<'_>) -> Result<()>,
) -> Result<()> {
    let mut collection = plan.collection.clone();
    let mut scan = Scan::for_write(plan).in_stretches(STRETCH);
    loop {
        let mut found = Vec::new();
        let ended = find_into(&mut found, context, guard, &mut scan, DOCUMENTS);
        // What a filter fails on ends the walk there: the documents before it are changed one by one, and removed many
        // at a time, as MongoDB does.
        if pace == Pace::Batched {
            ended.clone()?;
        }
        for (record, doc) in found {
            change(guard, &collection, record, doc.as_doc())?;
        }
        ended?;
        if scan.is_done() {
            return Ok(());
        }
        let_others_in(context, guard, None)?;
        collection = still_there(&guard.catalog(), scan.plan())?;
    }
}

/// The next documents of a scan, as the writer sees them: up to `most`, and not more bytes than a chunk has.
///
/// # Errors
/// Those of the scan.
pub(in crate::commands) fn find(
    context: &Context<'_>,
    guard: &WriteGuard<'_>,
    scan: &mut Scan,
    most: usize,
) -> Result<Vec<(RecordId, DocBuf)>> {
    let mut found = Vec::new();
    find_into(&mut found, context, guard, scan, most)?;
    Ok(found)
}

fn find_into(
    found: &mut Vec<(RecordId, DocBuf)>,
    context: &Context<'_>,
    guard: &WriteGuard<'_>,
    scan: &mut Scan,
    most: usize,
) -> Result<()> {
    let run = Run::writing(context.shared, guard.catalog(), guard.read()?, context.interrupt());
    let mut bytes = 0;
    run.check()?;
    run.scan(scan, &mut |record, doc| {
        bytes += doc.as_bytes().len();
        found.push((record, doc.to_buf()));
        Ok(if found.len() >= most || bytes >= BYTES { Next::Stop } else { Next::Continue })
    })
}

/// The collection of a plan as it is now: others may have changed its indexes.
///
/// # Errors
/// `QueryPlanKilled` (175).
pub(super) fn still_there(catalog: &Catalog, plan: &Plan) -> Result<Arc<Collection>> {
    let old = &plan.collection;
    let now = catalog.collection(old.namespace.db(), old.namespace.collection());
    let Some(now) = now.filter(|now| now.id == old.id) else {
        return Err(collection_dropped(old));
    };
    let gone = |index: &Index| !now.indexes.iter().any(|there| there.id == index.id);
    if let Some(scan) = plan.access.scans().iter().find(|scan| gone(&scan.index)) {
        let message = format!("index '{}' dropped", scan.index.name);
        return Err(Error::new(Code::QUERY_PLAN_KILLED, message));
    }
    Ok(now.clone())
}
