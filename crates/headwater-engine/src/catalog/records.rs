//! The catalog in the store: one record a collection, keyed by namespace, and the node's own counters.

use std::collections::HashMap;
use std::ops::Bound;
use std::sync::Arc;

use headwater_store::{Direction, Operation, Read};

use super::{Catalog, Collection, Figures, Settings, tables};
use crate::bson::{Doc, DocWriter, Raw, View};
use crate::error::{Code, Error, Result};
use crate::index::Index;
use crate::namespace::Namespace;

const COLLECTION: u8 = b'c';

/// The key of a collection's record.
pub fn key_of(namespace: &Namespace) -> Vec<u8> {
    [&[COLLECTION], namespace.as_str().as_bytes()].concat()
}

/// Writes a collection's record.
///
/// # Errors
/// Those of the store.
pub fn store_collection(op: &mut Operation<'_, '_>, collection: &Collection) -> Result<()> {
    let mut record = DocWriter::new();
    record.str("ns", collection.namespace.as_str());
    record.i32("db", i32::try_from(collection.namespace.db().len()).unwrap_or(0));
    record.i64("id", i64::from(collection.id));
    record.binary("uuid", 4, &collection.uuid);
    record.doc("options", collection.options.as_doc());
    record.array("indexes", |indexes| {
        for index in &collection.indexes {
            indexes.doc(index.to_record().as_doc());
        }
    });
    op.put(tables::CATALOG, &key_of(&collection.namespace), record.finish().as_doc().as_bytes())?;
    Ok(())
}

/// Reads all collections.
///
/// # Errors
/// Those of the store; `InternalError` for a record that does not parse.
pub fn load(read: &dyn Read) -> Result<Catalog> {
    let mut catalog = Catalog::default();
    let (lower, upper) = ([COLLECTION], [COLLECTION + 1]);
    let (lower, upper) = (Bound::Included(&lower[..]), Bound::Excluded(&upper[..]));
    let mut cursor = read.range(tables::CATALOG, lower, upper, Direction::Forward)?;
    while let Some((key, value)) = cursor.next()? {
        let collection = parse(Doc::trusted(value)).ok_or_else(|| {
            let key = String::from_utf8_lossy(key);
            Error::new(Code::INTERNAL_ERROR, format!("catalog record {key} does not parse"))
        })?;
        catalog = catalog.with(collection);
    }
    Ok(catalog)
}

fn parse(record: Doc<'_>) -> Option<Collection> {
    let fields: HashMap<&str, View<'_>> =
        record.iter().map(|e| (e.name_str(), e.value.view())).collect();
    let text = match fields.get("ns")? {
        View::String(text) => *text,
        _ => return None,
    };
    let split = match fields.get("db")? {
        View::Int32(len) => usize::try_from(*len).ok()?,
        _ => return None,
    };
    let id = match fields.get("id")? {
        View::Int64(id) => u32::try_from(*id).ok()?,
        _ => return None,
    };
    let uuid = match fields.get("uuid")? {
        View::Binary { bytes, .. } => <[u8; 16]>::try_from(*bytes).ok()?,
        _ => return None,
    };
    let options = match fields.get("options")? {
        View::Document(options) => options.to_buf(),
        _ => return None,
    };
    let settings = Arc::new(Settings::of(options.as_doc()));
    let index = |raw: Raw<'_>| {
        let index = Index::from_record(raw.as_doc()?)?;
        Some(Arc::new(index.in_order_of_id(settings.clustered)))
    };
    let indexes = match fields.get("indexes")? {
        View::Array(indexes) => indexes.iter().map(index).collect(),
        _ => None,
    }?;
    let namespace = Namespace::new(text.get(..split)?, text.get(split + 1..)?);
    let figures = Arc::new(Figures::default());
    Some(Collection { id, namespace, uuid, options, settings, indexes, figures })
}
