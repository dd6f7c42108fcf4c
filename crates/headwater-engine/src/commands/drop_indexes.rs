//! `dropIndexes`: removes indexes by name, by key pattern, or all but `_id_`.

use std::sync::Arc;

use super::collection_uuid;
use super::{Command, Context, Flow, Needs};
use crate::aggregate::expressions::document_text;
use crate::bson::{Doc, DocWriter, Raw};
use crate::catalog::building::Building;
use crate::catalog::{Collection, store_collection};
use crate::change::event::{EventWriter, Kind};
use crate::engine::{WriteGuard, now_ms};
use crate::error::{Code, Error, Result};
use crate::housekeeping::{Orphan, note_orphan};
use crate::index::Index;
use crate::query::plan::same_pattern;

pub(super) const COMMAND: Command = Command {
    name: "dropIndexes",
    aliases: &["deleteIndexes"],
    help: "Removes indexes of a collection",
    needs: Needs::Write,
    fields: &["collectionUUID", "index"],
    run,
};

fn run(context: &mut Context<'_>) -> Result<Flow> {
    let fields = context.fields();
    let namespace = context.namespace()?;
    let wanted = fields.raw("index").ok_or_else(|| fields.missing("index"))?;
    if wanted.as_str().is_none() && wanted.as_doc().is_none() && wanted.as_array().is_none() {
        return Err(fields.wrong_type("index", wanted.kind, &["string", "object"]));
    }
    if wanted.as_array().is_some_and(|names| names.iter().any(|name| name.as_str().is_none())) {
        let message =
            "BSON field 'dropIndexes.index' is the wrong type 'array', expected types '[string]'";
        return Err(Error::new(Code::TYPE_MISMATCH, message));
    }
    let Some(mut guard) = context.write()? else { return Ok(Flow::Busy) };
    let catalog = guard.catalog();
    collection_uuid::check(&catalog, &namespace, collection_uuid::asked(fields)?)?;
    catalog.refuse_view(&namespace)?;
    let Some(collection) = catalog.collection(namespace.db(), namespace.collection()) else {
        let message = format!("ns not found {namespace}");
        return Err(Error::new(Code::NAMESPACE_NOT_FOUND, message));
    };
    let mut reply = DocWriter::new();
    reply.i32("nIndexesWas", collection.index_count() as i32);
    let (collection, ended) = end_builds(&mut guard, collection, wanted)?;
    let going = if ended && !is_all(wanted) { Vec::new() } else { chosen(&collection, wanted)? };
    if is_all(wanted) {
        reply.str("msg", "non-_id indexes dropped for collection");
    }
    if !going.is_empty() {
        let goes = |index: &Arc<Index>| going.iter().any(|other| other.id == index.id);
        let indexes = collection.indexes.iter().filter(|index| !goes(index)).cloned().collect();
        let shrunk = Collection { indexes, ..Collection::clone(&collection) };
        let orphan = Orphan::indexes(going.iter().map(|index| &**index));
        let mut event =
            EventWriter::new(Kind::DropIndexes, &namespace, Some(&collection.uuid), now_ms());
        let mut detail = DocWriter::new();
        detail.array("indexes", |rows| going.iter().for_each(|i| rows.doc(i.spec.as_doc())));
        event.detail(detail.finish().as_doc());
        guard.operation(&mut None, 0, Default::default(), event, |op| {
            note_orphan(op, &orphan)?;
            store_collection(op, &shrunk)
        })?;
        guard.set_catalog(guard.catalog().with(shrunk));
        guard.leave_orphan(orphan);
    }
    context.wrote(guard.last());
    drop(guard);
    Ok(Flow::Written(reply))
}

/// Ends the builds of the indexes that are named; says whether there were any.
///
/// # Errors
/// `BackgroundOperationInProgressForNamespace` (12587) for an array that names others as well.
fn end_builds(
    guard: &mut WriteGuard<'_>,
    collection: &Arc<Collection>,
    wanted: Raw<'_>,
) -> Result<(Arc<Collection>, bool)> {
    let names = |name: &str| match wanted.as_array() {
        Some(names) => names.iter().any(|wanted| wanted.as_str() == Some(name)),
        None => wanted.as_str() == Some(name),
    };
    let is_named = |building: &&Arc<Building>| {
        let index = &building.index;
        let by_key = wanted.as_doc().is_some_and(|key| same_pattern(index.key_pattern(), key));
        is_all(wanted) || by_key || names(&index.name)
    };
    let ended: Vec<_> = collection.building.iter().filter(is_named).collect();
    if ended.is_empty() {
        return Ok((collection.clone(), false));
    }
    let others = wanted.as_array().map_or(0, |names| names.iter().count());
    if !is_all(wanted) && others > ended.len() {
        collection.refuse_building()?;
    }
    let mut without = Collection::clone(collection);
    without.building.retain(|building| !ended.iter().any(|ended| ended.uuid == building.uuid));
    guard.set_catalog(guard.catalog().with(without.clone()));
    Ok((Arc::new(without), true))
}

fn is_all(wanted: Raw<'_>) -> bool {
    let only = wanted.as_array().filter(|names| names.len() == 1).and_then(|names| names.get(0));
    only.unwrap_or(wanted).as_str() == Some("*")
}

/// The indexes that are named. Newer versions pass over a name or pattern that no index has; 8.0 fails.
fn chosen(collection: &Collection, wanted: Raw<'_>) -> Result<Vec<Arc<Index>>> {
    if is_all(wanted) {
        return Ok(collection.indexes.iter().filter(|index| !index.is_id()).cloned().collect());
    }
    let names: Vec<&str> = match wanted.as_array() {
        Some(names) => names.iter().filter_map(Raw::as_str).collect(),
        None => wanted.as_str().into_iter().collect(),
    };
    let named = |name: &&str| {
        let missing =
            || Error::new(Code::INDEX_NOT_FOUND, format!("index not found with name [{name}]"));
        collection.index(name).cloned().ok_or_else(missing)
    };
    let mut found: Vec<Arc<Index>> = names.iter().map(named).collect::<Result<_>>()?;
    if let Some(pattern) = wanted.as_doc() {
        let same = |index: &&Arc<Index>| same_pattern(index.key_pattern(), pattern);
        found.extend(collection.indexes.iter().filter(same).cloned());
        if found.is_empty() {
            let message = format!("can't find index with key: {}", document_text(pattern));
            return Err(Error::new(Code::INDEX_NOT_FOUND, message));
        }
        check_one(&found, pattern)?;
    }
    if found.iter().any(|index| index.clustered) {
        let message = "It is illegal to drop the clusteredIndex";
        return Err(Error::location(5_979_800, message));
    }
    if found.iter().any(|index| index.is_id()) {
        return Err(Error::new(Code::INVALID_OPTIONS, "cannot drop _id index"));
    }
    Ok(found)
}

fn check_one(found: &[Arc<Index>], pattern: Doc<'_>) -> Result<()> {
    if found.len() < 2 {
        return Ok(());
    }
    let shown: Vec<_> = found.iter().map(|index| document_text(index.spec.as_doc())).collect();
    let (count, pattern, shown) = (found.len(), document_text(pattern), shown.join(", "));
    Err(Error::new(
        Code::AMBIGUOUS_INDEX_KEY_PATTERN,
        format!(
            "{count} indexes found for key: {pattern}, identify by name instead. Conflicting indexes: {shown}"
        ),
    ))
}
