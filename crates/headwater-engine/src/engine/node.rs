//! Who this node says it is: identity that lasts, election figures that rise with every start.

use headwater_store::Store;

use super::clock_floor;
use super::writing::State;
use crate::bson::{Doc, DocWriter, View};
use crate::catalog::tables;
use crate::error::Result;
use crate::housekeeping::left_orphans;
use crate::object_id::ObjectIds;

const KEY: &[u8] = b"n";

/// Identity of the node.
#[derive(Debug)]
pub struct Node {
    /// Rises with every start; the term of the one-member set.
    pub term: i64,
    /// The election id that goes with the term.
    pub election_id: [u8; 12],
    /// Names this run of the process in `topologyVersion`.
    pub process_id: [u8; 12],
    /// Makes ObjectIds.
    pub ids: ObjectIds,
}

/// Reads the node's record and writes it back for this run, so that the log has a record of this start.
pub(super) fn start(store: &Store) -> Result<(Node, State)> {
    let ids = ObjectIds::default();
    let mut term = 0;
    let mut next_id = 1;
    let orphans;
    {
        let snapshot = store.snapshot()?;
        orphans = left_orphans(&snapshot)?;
        if let Some(record) = headwater_store::Read::get(&snapshot, tables::CATALOG, KEY)? {
            let record = Doc::trusted(record);
            if let Some(View::Int64(last)) = record.get("term").map(|v| v.view()) {
                term = last;
            }
            if let Some(View::Int64(next)) = record.get("nextId").map(|v| v.view()) {
                next_id = u32::try_from(next).unwrap_or(u32::MAX);
            }
        }
    }
    term += 1;
    let mut writer = store.writer()?;
    let mut op = writer.begin();
    store_node(&mut op, term, next_id)?;
    // A second ahead: above every time that an earlier run, crashed or not, may have told a client of.
    op.commit(clock_floor() + (1 << 32), &[])?;
    drop(writer);
    let mut election_id = [0; 12];
    election_id[..4].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff]);
    election_id[4..].copy_from_slice(&term.to_be_bytes());
    let node = Node { term, election_id, process_id: ids.next(), ids };
    Ok((node, State { next_id, orphans }))
}

/// Writes the node's record.
///
/// # Errors
/// Those of the store.
pub fn store_node(
    op: &mut headwater_store::Operation<'_, '_>,
    term: i64,
    next_id: u32,
) -> Result<()> {
    let mut record = DocWriter::new();
    record.i64("term", term);
    record.i64("nextId", i64::from(next_id));
    Ok(op.put(tables::CATALOG, KEY, record.finish().as_doc().as_bytes())?)
}
