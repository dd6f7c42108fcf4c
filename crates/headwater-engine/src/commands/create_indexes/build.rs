//! Building indexes: entries for the documents that are there, then the indexes are made known. Knows nothing of how
//! they were asked for.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::super::Context;
use super::super::write::chunks;
use crate::bson::{Doc, DocWriter};
use crate::catalog::{Collection, store_collection};
use crate::change::event::{EventWriter, Kind};
use crate::collection::add_entries;
use crate::engine::{WriteGuard, now_ms, store_node};
use crate::error::{Code, Error, Result};
use crate::housekeeping::Orphan;
use crate::index::{Index, index_of};
use crate::query::plan::tree::Plan;
use crate::query::scan::Scan;

/// Documents whose entries one operation adds.
const CHUNK: usize = 1000;

/// Fills new indexes from the collection's documents, then makes them known. On an error nothing is left of them.
///
/// # Errors
/// Those of the keys: `DuplicateKey` (11000), `CannotIndexParallelArrays` (171); those of the store.
pub(super) fn build<'s>(
    context: &Context<'_>,
    guard: &mut WriteGuard<'_>,
    collection: &Arc<Collection>,
    specs: impl Iterator<Item = Doc<'s>>,
) -> Result<()> {
    let new = specs.map(|spec| {
        let index = index_of(guard.new_id(), spec);
        let index = index.map(|index| index.in_order_of_id(collection.settings.clustered));
        index.map(Arc::new).ok_or_else(|| {
            Error::new(Code::INTERNAL_ERROR, "a checked index specification does not parse")
        })
    });
    let new: Vec<Arc<Index>> = new.collect::<Result<_>>()?;
    if let Err(error) = fill(context, guard, collection, &new) {
        let orphan = Orphan::indexes(new.iter().map(|index| &**index));
        guard.note_and_leave_orphan(orphan)?;
        let uuid = "00000000-0000-0000-0000-000000000000";
        return Err(error.with_prefix(format!(
            "Index build failed: {uuid}: Collection {} ( {} ) :: caused by :: ",
            collection.namespace,
            crate::object_id::uuid_text(&collection.uuid)
        )));
    }
    let mut indexes = collection.indexes.clone();
    indexes.extend(new.iter().cloned());
    let grown = Collection { indexes, ..Collection::clone(collection) };
    let namespace = &collection.namespace;
    let mut event =
        EventWriter::new(Kind::CreateIndexes, namespace, Some(&collection.uuid), now_ms());
    let mut detail = DocWriter::new();
    detail.array("indexes", |rows| new.iter().for_each(|index| rows.doc(index.spec.as_doc())));
    event.detail(detail.finish().as_doc());
    let (term, next_id) = (context.shared.node.term, guard.next_id());
    guard.operation(&mut None, 0, Default::default(), event, |op| {
        store_node(op, term, next_id)?;
        store_collection(op, &grown)
    })?;
    guard.set_catalog(guard.catalog().with(grown));
    Ok(())
}

fn fill(
    context: &Context<'_>,
    guard: &mut WriteGuard<'_>,
    collection: &Arc<Collection>,
    new: &[Arc<Index>],
) -> Result<()> {
    if collection.figures.next_record.load(Ordering::Relaxed) <= 1 {
        return Ok(());
    }
    let mut scan = Scan::new(Plan::everything(collection.clone()));
    while !scan.is_done() {
        let found = chunks::find(context, guard, &mut scan, CHUNK)?;
        let namespace = &collection.namespace;
        let event = EventWriter::new(Kind::Internal, namespace, Some(&collection.uuid), now_ms());
        guard.operation(&mut None, 0, Default::default(), event, |op| {
            for (record, doc) in &found {
                for index in new {
                    add_entries(op, collection, index, *record, doc.as_doc())?;
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}
