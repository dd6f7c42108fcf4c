//! Documents and index entries against each other, both ways. Knows nothing of the reply.

use std::ops::Bound;

use headwater_store::Direction;

use super::conformance::is_compliant;
use super::{FAULTS_MAX, Found};
use crate::bson::key::{Types, decode};
use crate::bson::{self, Doc, DocBuf, DocWriter, Raw};
use crate::catalog::{Collection, tables};
use crate::collection::{RecordId, document_key, entry_key, record_of};
use crate::error::Result;
use crate::index::Index;
use crate::index::keys::{Keys, keys, values_of};
use crate::limits::COMMAND_DEPTH_MAX;
use crate::query::exec::Environment;
use crate::query::run::Run;

/// Documents or entries between two looks whether the command is to end.
const CHECK_EVERY: i64 = 1000;

/// Every document is valid BSON, and each of its keys stands in its index.
pub(super) fn check_documents(
    run: &Run<'_>,
    collection: &Collection,
    conformance: bool,
    found: &mut Found,
) -> Result<()> {
    let (lower, upper) = (document_key(collection.id, 0), document_key(collection.id + 1, 0));
    let (lower, upper) = (Bound::Included(&lower[..]), Bound::Excluded(&upper[..]));
    let mut cursor = run.store().range(tables::DOCUMENTS, lower, upper, Direction::Forward)?;
    found.indexes.resize_with(collection.indexes.len(), Default::default);
    while let Some((key, bytes)) = cursor.next()? {
        found.documents += 1;
        if found.documents % CHECK_EVERY == 0 {
            run.check()?;
        }
        let record = record_of(key).unwrap_or(0);
        if let Err(error) = bson::validate_command(bytes) {
            found.invalid += 1;
            found.fault(format!("document at record {record}: {error}"));
            if found.corrupt.len() < FAULTS_MAX {
                found.corrupt.push(shown_record(record));
            }
            continue;
        }
        let doc = Doc::trusted(bytes);
        if conformance && !is_compliant(doc, COMMAND_DEPTH_MAX) {
            found.non_compliant += 1;
        }
        for (at, index) in collection.indexes.iter().enumerate() {
            check_document(run, index, at, (record, doc), found)?;
        }
    }
    Ok(())
}

fn check_document(
    run: &Run<'_>,
    index: &Index,
    at: usize,
    (record, doc): (RecordId, Doc<'_>),
    found: &mut Found,
) -> Result<()> {
    let keys = match keys(index, doc) {
        Ok(keys) => keys,
        Err(error) => {
            let (name, message) = (&index.name, error.message());
            found.fault(format!(
                "index '{name}' cannot take the document at record {record}: {message}"
            ));
            return Ok(());
        }
    };
    found.of(at, |of| {
        of.keys += keys.keys.len() as i64;
        of.unknown_multikey |= !index.arrays.knows(&keys.multikey, &keys.arrays);
    });
    for encoded in &keys.keys {
        let entry = entry_key(index, encoded, record);
        let value = run.store().get(tables::INDEX, &entry)?;
        if value.is_none_or(|value| !leads_to(index, &keys, record, value)) {
            found.of(at, |of| of.missing += 1);
            found.missing.add(|| {
                let id = doc.get("_id");
                row(index, record, id, values_of(index, doc, encoded).as_doc())
            });
        }
    }
    Ok(())
}

/// Whether the value of an entry is that which a document with these keys puts there.
fn leads_to(index: &Index, keys: &Keys, record: RecordId, value: &[u8]) -> bool {
    let types = if index.typed { &keys.types[..] } else { &[] };
    match index.unique {
        true => record_of(value) == Some(record) && (!index.typed || value.starts_with(types)),
        false => !index.typed || value == types,
    }
}

/// An index has no entries but those that its documents have.
pub(super) fn check_index(
    run: &Run<'_>,
    collection: &Collection,
    at: usize,
    found: &mut Found,
) -> Result<()> {
    let (Some(index), Some(of)) = (collection.indexes.get(at), found.indexes.get(at)) else {
        return Ok(());
    };
    let expected = of.keys - of.missing;
    let (lower, upper) = (index.id.to_be_bytes(), (index.id + 1).to_be_bytes());
    let (lower, upper) = (Bound::Included(&lower[..]), Bound::Excluded(&upper[..]));
    let range = || run.store().range(tables::INDEX, lower, upper, Direction::Forward);
    let (mut cursor, mut entries) = (range()?, 0);
    while cursor.next()?.is_some() {
        entries += 1;
        if entries % CHECK_EVERY == 0 {
            run.check()?;
        }
    }
    if entries == expected {
        return Ok(());
    }
    let (mut cursor, mut entries) = (range()?, 0);
    while let Some((key, value)) = cursor.next()? {
        entries += 1;
        if entries % CHECK_EVERY == 0 {
            run.check()?;
        }
        let record = record_of(if index.unique { value } else { key }).unwrap_or(0);
        if !is_of_document(run, collection, index, record, key)? {
            found.of(at, |of| of.extra += 1);
            found.extra.add(|| row(index, record, None, shown_key(index, key, value).as_doc()));
        }
    }
    Ok(())
}

/// Whether the document that an entry leads to has its key.
fn is_of_document(
    run: &Run<'_>,
    collection: &Collection,
    index: &Index,
    record: RecordId,
    entry: &[u8],
) -> Result<bool> {
    let doc = run.store().get(tables::DOCUMENTS, &document_key(collection.id, record))?;
    let Some(doc) = doc.filter(|doc| bson::validate_command(doc).is_ok()) else {
        return Ok(false);
    };
    let keys = keys(index, Doc::trusted(doc)).unwrap_or_default().keys;
    Ok(keys.iter().any(|encoded| entry_key(index, encoded, record) == entry))
}

fn row(index: &Index, record: RecordId, id: Option<Raw<'_>>, values: Doc<'_>) -> DocBuf {
    let mut row = DocWriter::new();
    row.str("indexName", &index.name);
    row.i64("recordId", shown_record(record));
    if let Some(id) = id {
        row.document("idKey", |key| key.raw("_id", id));
    }
    row.doc("indexKey", values);
    row.finish()
}

fn shown_record(record: RecordId) -> i64 {
    i64::try_from(record).unwrap_or(i64::MAX)
}

/// The values of an entry, as far as its key tells them.
fn shown_key(index: &Index, key: &[u8], value: &[u8]) -> DocBuf {
    let tail = size_of::<RecordId>();
    let (key_tail, value_tail) = if index.unique { (0, tail) } else { (tail, 0) };
    let encoded = key.get(size_of::<u32>()..key.len().saturating_sub(key_tail)).unwrap_or_default();
    let types = value.get(..value.len().saturating_sub(value_tail)).unwrap_or_default();
    let plain = index.order.collation().is_none() && !index.by_id;
    let values = plain.then(|| decode(encoded, &index.directions, &Types::from_bytes(types)));
    let mut shown = DocWriter::new();
    if let Some(values) = values.flatten() {
        for (value, path) in values.iter().zip(index.paths.paths()) {
            shown.raw(path.as_str(), value.raw().unwrap_or(Raw::NULL));
        }
    }
    shown.finish()
}
