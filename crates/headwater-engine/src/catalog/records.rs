//! The catalog in the store: one record a collection or view, keyed by namespace, and the node's own counters.

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
const VIEW: u8 = b'v';

/// The key of a collection's record.
pub fn key_of(namespace: &Namespace) -> Vec<u8> {
    [&[COLLECTION], namespace.as_str().as_bytes()].concat()
}

/// The key of a view's record.
pub fn key_of_view(namespace: &Namespace) -> Vec<u8> {
    [&[VIEW], namespace.as_str().as_bytes()].concat()
}

/// Writes a view's record.
///
/// # Errors
/// Those of the store.
pub fn store_view(op: &mut Operation<'_, '_>, view: &super::View) -> Result<()> {
    let mut record = DocWriter::new();
    record.str("ns", view.namespace.as_str());
    record.i32("db", i32::try_from(view.namespace.db().len()).unwrap_or(0));
    record.doc("options", view.options().as_doc());
    let key = key_of_view(&view.namespace);
    op.put(tables::CATALOG, &key, record.finish().as_doc().as_bytes())?;
    Ok(())
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

/// Reads all collections and views.
///
/// # Errors
/// Those of the store; `InternalError` for a record that does not parse.
pub fn load(read: &dyn Read) -> Result<Catalog> {
    let catalog = each(read, COLLECTION, Catalog::default(), |catalog, record| {
        parse(record).map(|collection| catalog.with(collection))
    })?;
    each(read, VIEW, catalog, |catalog, record| {
        parse_view(record).map(|view| catalog.with_view(view))
    })
}

/// Adds the records of one kind to a catalog.
fn each(
    read: &dyn Read,
    kind: u8,
    mut catalog: Catalog,
    add: impl Fn(&Catalog, Doc<'_>) -> Option<Catalog>,
) -> Result<Catalog> {
    let (lower, upper) = ([kind], [kind + 1]);
    let (lower, upper) = (Bound::Included(&lower[..]), Bound::Excluded(&upper[..]));
    let mut cursor = read.range(tables::CATALOG, lower, upper, Direction::Forward)?;
    while let Some((key, value)) = cursor.next()? {
        catalog = add(&catalog, Doc::trusted(value)).ok_or_else(|| {
            let key = String::from_utf8_lossy(key);
            Error::new(Code::INTERNAL_ERROR, format!("catalog record {key} does not parse"))
        })?;
    }
    Ok(catalog)
}

fn namespace_of(record: Doc<'_>) -> Option<Namespace> {
    let text = record.get("ns")?.as_str()?;
    let View::Int32(split) = record.get("db")?.view() else { return None };
    let split = usize::try_from(split).ok()?;
    Some(Namespace::new(text.get(..split)?, text.get(split + 1..)?))
}

fn parse_view(record: Doc<'_>) -> Option<super::View> {
    let options = record.get("options")?.as_doc()?;
    Some(super::View {
        namespace: namespace_of(record)?,
        on: options.get("viewOn")?.as_str()?.to_owned(),
        pipeline: options.get("pipeline")?.as_array()?.as_bytes().to_vec(),
        collation: options.get("collation").and_then(Raw::as_doc).map(Doc::to_buf),
    })
}

fn parse(record: Doc<'_>) -> Option<Collection> {
    let fields: HashMap<&str, View<'_>> =
        record.iter().map(|e| (e.name_str(), e.value.view())).collect();
    let namespace = namespace_of(record)?;
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
    let figures = Arc::new(Figures::default());
    let (building, plans) = (Vec::new(), Arc::default());
    Some(Collection { id, namespace, uuid, options, settings, indexes, building, figures, plans })
}
