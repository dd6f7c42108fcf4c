//! `create`: makes a collection.

mod clustered;
pub(super) mod options;
pub(super) mod time_series;
pub(super) mod view;

use std::sync::Arc;

use super::{Command, Context, Flow, Needs};
use crate::aggregate::expressions::document_text;
use crate::bson::{Doc, DocBuf, DocWriter, Raw, Type};
use crate::catalog::{Catalog, Collection, Figures, Settings, store_collection};
use crate::change::event::{EventWriter, Kind};
use crate::collation::{self, ValueOrder};
use crate::engine::{Shared, WriteGuard, now_ms, store_node};
use crate::error::{Code, Error, Result};
use crate::index::{Index, index_of, parse_spec};
use crate::namespace::Namespace;

pub(super) const COMMAND: Command = Command {
    name: "create",
    aliases: &[],
    help: "Makes a collection",
    needs: Needs::Write,
    fields: &[
        "autoIndexId",
        "capped",
        "changeStreamPreAndPostImages",
        "clusteredIndex",
        "collation",
        "encryptedFields",
        "expireAfterSeconds",
        "flags",
        "idIndex",
        "indexOptionDefaults",
        "max",
        "pipeline",
        "size",
        "storageEngine",
        "temp",
        "timeseries",
        "validationAction",
        "validationLevel",
        "validator",
        "viewOn",
    ],
    run,
};

fn run(context: &mut Context<'_>) -> Result<Flow> {
    let fields = context.fields();
    let namespace = context.namespace()?;
    let name = namespace.collection();
    check_name(&namespace)?;
    let view = view::parse(context, &namespace)?;
    if let Some(view) = view {
        let Some(mut guard) = context.write()? else { return Ok(Flow::Busy) };
        view::create(&mut guard, view)?;
        context.wrote(guard.last());
        drop(guard);
        return Ok(Flow::Written(DocWriter::new()));
    }
    let options = options::parse(fields, &namespace)?;
    fields.number("flags")?;
    if let Some(index) = fields.document("idIndex")? {
        check_id_index(index, options.as_doc())?;
    }
    let Some(mut guard) = context.write()? else { return Ok(Flow::Busy) };
    if guard.catalog().view(namespace.db(), name).is_some() {
        let message = format!("namespace '{namespace}' already exists, but is a view");
        return Err(Error::new(Code::NAMESPACE_EXISTS, message));
    }
    if let Some(existing) = guard.catalog().collection(namespace.db(), name) {
        if existing.same_options(options.as_doc()) {
            drop(guard);
            return Ok(Flow::Written(DocWriter::new()));
        }
        return Err(other_options(existing, options.as_doc()));
    }
    create_collection(context.shared, &mut guard, &namespace, options)?;
    context.wrote(guard.last());
    drop(guard);
    Ok(Flow::Written(DocWriter::new()))
}

/// Checks that a collection may be made of that name.
///
/// # Errors
/// `InvalidNamespace` (73).
pub(super) fn check_name(namespace: &Namespace) -> Result<()> {
    let name = namespace.collection();
    let message = if name.contains(['$', '\0']) || name.is_empty() {
        format!("Invalid collection name: {name}")
    } else if name.starts_with("system.") {
        format!("Invalid system namespace: {namespace}")
    } else {
        return Ok(());
    };
    Err(Error::new(Code::INVALID_NAMESPACE, message))
}

fn other_options(existing: &Collection, wanted: Doc<'_>) -> Error {
    let mut there = DocWriter::new();
    if existing.settings.time_series.is_none() {
        there.binary("uuid", 4, &existing.uuid);
    }
    there.extend(existing.options.as_doc());
    let (there, wanted) = (document_text(there.finish().as_doc()), document_text(wanted));
    let namespace = &existing.namespace;
    let message = format!(
        "namespace '{namespace}' already exists, but with different options: {there}, requested: {wanted}"
    );
    Error::new(Code::NAMESPACE_EXISTS, message)
}

fn check_id_index(index: Doc<'_>, options: Doc<'_>) -> Result<()> {
    parse_spec(index)?;
    if let Some(own) = index.get("collation").and_then(Raw::as_doc) {
        let own = collation::parse(own, "collation")?;
        let default = options.get("collation").and_then(Raw::as_doc);
        if own.as_ref().map(|collation| collation.spec()) != default {
            let message = "'idIndex' must have the same collation as the collection.";
            return Err(Error::new(Code::BAD_VALUE, message));
        }
    }
    let key = index.get("key").and_then(Raw::as_doc).unwrap_or(Doc::EMPTY);
    let plain = key.iter().count() == 1 && key.get("_id").is_some_and(|v| v.kind.is_number());
    if !plain {
        return Err(Error::new(
            Code::BAD_VALUE,
            format!(
                "The field 'key' for an _id index must be {{_id: 1}}, but got {}",
                document_text(key)
            ),
        ));
    }
    match index.get("name").map(|name| name.kind) {
        Some(Type::String) => Ok(()),
        _ => Err(Error::new(
            Code::FAILED_TO_PARSE,
            "The 'name' field is a required property of an index specification",
        )),
    }
}

/// Makes a collection with its `_id` index and its event; visible to others when the guard ends.
///
/// # Errors
/// `DatabaseDifferCase` (13297); those of the store.
pub(super) fn create_collection(
    shared: &Shared,
    guard: &mut WriteGuard<'_>,
    namespace: &Namespace,
    options: DocBuf,
) -> Result<Arc<Collection>> {
    create_with_indexes(shared, guard, namespace, options, &[])
}

/// As [`create_collection`], with all the indexes of another; `specs` are checked, that of `_id` among them if there is
/// to be one.
///
/// # Errors
/// As [`create_collection`].
pub(super) fn create_with_indexes(
    shared: &Shared,
    guard: &mut WriteGuard<'_>,
    namespace: &Namespace,
    options: DocBuf,
    specs: &[DocBuf],
) -> Result<Arc<Collection>> {
    let catalog = guard.catalog();
    let name = namespace.collection();
    if name.contains('$') {
        let message = format!("Invalid collection name: {name}");
        return Err(Error::new(Code::INVALID_NAMESPACE, message));
    }
    check_case(&catalog, namespace.db())?;
    let settings = Arc::new(Settings::of(options.as_doc()));
    let id = guard.new_id();
    let mut indexes = Vec::new();
    for spec in specs {
        let index = index_of(guard.new_id(), spec.as_doc()).ok_or_else(|| {
            Error::new(Code::INTERNAL_ERROR, "a checked index specification does not parse")
        })?;
        indexes.push(Arc::new(index.in_order_of_id(settings.clustered)));
    }
    if specs.is_empty() && !namespace.is_profile() {
        let order = ValueOrder::new(settings.collation.clone());
        indexes = first_indexes(guard.new_id(), options.as_doc(), order);
    }
    let next_id = guard.next_id();
    let collection = Collection {
        id,
        namespace: namespace.clone(),
        uuid: new_uuid(),
        settings,
        options,
        indexes,
        building: Vec::new(),
        figures: Arc::new(Figures::empty()),
        plans: Arc::default(),
    };
    let kind = if namespace.is_profile() { Kind::Internal } else { Kind::Create };
    let mut event = EventWriter::new(kind, namespace, Some(&collection.uuid), now_ms());
    event.detail(collection.options.as_doc());
    let term = shared.node.term;
    guard.operation(&mut None, 0, Default::default(), event, |op| {
        store_node(op, term, next_id)?;
        store_collection(op, &collection)
    })?;
    guard.set_catalog(catalog.with(collection));
    let made = guard.catalog().collection(namespace.db(), namespace.collection()).cloned();
    made.ok_or_else(|| Error::new(Code::INTERNAL_ERROR, "the new collection is not there"))
}

/// Refuses a database whose name differs from another's in letter case only.
///
/// # Errors
/// `DatabaseDifferCase` (13297).
pub(super) fn check_case(catalog: &Catalog, db: &str) -> Result<()> {
    let Some(other) = catalog.differing_case(db) else { return Ok(()) };
    let message = format!(
        "db already exists with different case already have: [{other}] trying to create [{db}]"
    );
    Err(Error::location(13297, message))
}

/// The indexes that a collection of these options begins with.
fn first_indexes(id: u32, options: Doc<'_>, order: ValueOrder) -> Vec<Arc<Index>> {
    let option = |name: &str| options.get(name).and_then(Raw::as_doc);
    let index = match (option("timeseries"), option("clusteredIndex")) {
        (Some(series), _) => time_series::index(id, series),
        (None, Some(clustered)) => {
            clustered::index(id, clustered).map(|index| Index { order, ..index })
        }
        (None, None) => Some(Index::on_id(id, order)),
    };
    index.map(Arc::new).into_iter().collect()
}

/// A random UUID (version 4).
pub(super) fn new_uuid() -> [u8; 16] {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let mut bytes = [0; 16];
    for half in bytes.chunks_mut(8) {
        half.copy_from_slice(&RandomState::new().build_hasher().finish().to_le_bytes());
    }
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    bytes
}
