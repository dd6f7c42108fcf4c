//! `drop`, `dropDatabase` and `renameCollection`: collections that go or change their name.

use std::sync::Arc;

use super::collection_uuid;
use super::create::{check_case, check_name, new_uuid};
use super::{Command, Context, Flow, Needs};
use crate::bson::{DocWriter, Number, Raw};
use crate::catalog::{Catalog, Collection, key_of, key_of_view, store_collection, tables};
use crate::change::event::{EventWriter, Kind};
use crate::engine::{Shared, WriteGuard, now_ms};
use crate::error::{Code, Error, Result};
use crate::housekeeping::{self, Orphan};
use crate::namespace::{Namespace, check_db};

pub(super) const DROP: Command = Command {
    name: "drop",
    aliases: &[],
    help: "Removes a collection with its documents and indexes",
    needs: Needs::Write,
    fields: &["collectionUUID"],
    run: run_drop,
};

pub(super) const DROP_DATABASE: Command = Command {
    name: "dropDatabase",
    aliases: &[],
    help: "Removes a database with its collections",
    needs: Needs::Write,
    fields: &[],
    run: run_drop_database,
};

pub(super) const RENAME: Command = Command {
    name: "renameCollection",
    aliases: &[],
    help: "Gives a collection another name",
    needs: Needs::Write,
    fields: &["dropTarget", "to"],
    run: run_rename,
};

fn run_drop(context: &mut Context<'_>) -> Result<Flow> {
    let namespace = context.namespace()?;
    let Some(mut guard) = context.write()? else { return Ok(Flow::Busy) };
    let catalog = guard.catalog();
    collection_uuid::check(&catalog, &namespace, collection_uuid::asked(context.fields())?)?;
    let mut reply = DocWriter::new();
    if namespace.is_profile() && context.shared.profiler.level(context.db).level > 0 {
        let message = "turn off profiling before dropping system.profile collection";
        return Err(Error::new(Code::ILLEGAL_OPERATION, message));
    }
    if let Some(collection) = catalog.collection(namespace.db(), namespace.collection()) {
        reply.i32("nIndexesWas", collection.index_count() as i32);
        reply.str("ns", namespace.as_str());
        drop_collection(&mut guard, collection)?;
    } else if catalog.view(namespace.db(), namespace.collection()).is_some() {
        reply.str("ns", namespace.as_str());
        drop_view(&mut guard, &namespace)?;
    } else if catalog.definitions(&namespace).is_some_and(|views| !views.is_empty()) {
        reply.i32("nIndexesWas", 1);
        reply.str("ns", namespace.as_str());
        for view in catalog.views(namespace.db()) {
            drop_view(&mut guard, &view.namespace)?;
        }
    }
    context.wrote(guard.last());
    drop(guard);
    Ok(Flow::Written(reply))
}

fn run_drop_database(context: &mut Context<'_>) -> Result<Flow> {
    let fields = context.fields();
    let Some(target) = Number::from_raw(context.target()) else {
        let expected = ["int", "double", "decimal", "long"];
        return Err(fields.wrong_type("dropDatabase", context.target().kind, &expected));
    };
    if target.to_f64() != 1.0 {
        return Err(Error::location(5_255_100, "Have to pass 1 as 'drop' parameter"));
    }
    if matches!(context.db, "admin" | "local") {
        let message = format!("Dropping the '{}' database is prohibited.", context.db);
        return Err(Error::new(Code::ILLEGAL_OPERATION, message));
    }
    let Some(mut guard) = context.write()? else { return Ok(Flow::Busy) };
    let catalog = guard.catalog();
    let collections: Vec<_> = catalog.collections(context.db).cloned().collect();
    for collection in &collections {
        drop_collection(&mut guard, collection)?;
    }
    let views: Vec<_> = catalog.views(context.db).map(|view| view.namespace.clone()).collect();
    if !collections.is_empty() || !views.is_empty() {
        let namespace = Namespace::new(context.db, "");
        let event = EventWriter::new(Kind::DropDatabase, &namespace, None, now_ms());
        guard.operation(&mut None, 0, Default::default(), event, |op| {
            Ok(views.iter().try_for_each(|view| op.delete(tables::CATALOG, &key_of_view(view)))?)
        })?;
        let catalog = views.iter().fold(Catalog::clone(&guard.catalog()), |c, v| c.without(v));
        guard.set_catalog(catalog);
    }
    context.wrote(guard.last());
    drop(guard);
    Ok(Flow::Written(DocWriter::new()))
}

/// Removes a collection: at once from the catalog, its bytes later.
///
/// # Errors
/// Those of the store.
pub(super) fn drop_collection(guard: &mut WriteGuard<'_>, collection: &Collection) -> Result<()> {
    let namespace = &collection.namespace;
    let event = EventWriter::new(Kind::Drop, namespace, Some(&collection.uuid), now_ms());
    let orphan = Orphan::collection(collection);
    guard.operation(&mut None, 0, Default::default(), event, |op| {
        op.delete(tables::CATALOG, &key_of(namespace))?;
        housekeeping::note_orphan(op, &orphan)
    })?;
    guard.set_catalog(guard.catalog().without(namespace));
    guard.leave_orphan(orphan);
    Ok(())
}

/// Removes the collections that were made to last no longer than the process.
///
/// # Errors
/// Those of the store.
pub(crate) fn drop_temporary(shared: &Shared) -> Result<()> {
    let catalog = shared.catalog();
    let all = catalog.databases().flat_map(|db| catalog.collections(db));
    let is_temporary = |collection: &&Arc<Collection>| {
        collection.options.as_doc().get("temp").and_then(Raw::as_bool) == Some(true)
    };
    let mut temporary = all.filter(is_temporary).peekable();
    if temporary.peek().is_none() {
        return Ok(());
    }
    let mut guard = shared.write()?;
    temporary.try_for_each(|collection| drop_collection(&mut guard, collection))
}

fn drop_view(guard: &mut WriteGuard<'_>, namespace: &Namespace) -> Result<()> {
    let event = EventWriter::new(Kind::DropView, namespace, None, now_ms());
    guard.operation(&mut None, 0, Default::default(), event, |op| {
        Ok(op.delete(tables::CATALOG, &key_of_view(namespace))?)
    })?;
    guard.set_catalog(guard.catalog().without(namespace));
    Ok(())
}

fn run_rename(context: &mut Context<'_>) -> Result<Flow> {
    if context.db != "admin" {
        let message = "renameCollection may only be run against the admin database.";
        return Err(Error::new(Code::UNAUTHORIZED, message));
    }
    let fields = context.fields();
    let from = full_namespace(context.target(), "renameCollection")?;
    let to = fields.raw("to").ok_or_else(|| fields.missing("to"))?;
    let to = full_namespace(to, "to")?;
    let drop_target = fields.loose_bool("dropTarget")?.unwrap_or(false);
    if from == to {
        let message = "Can't rename a collection to itself";
        return Err(Error::new(Code::ILLEGAL_OPERATION, message));
    }
    check_db(to.db())?;
    let of_target = |error: Error| error.with_prefix("error with target namespace: ");
    check_name(&to).map_err(of_target)?;
    if from.collection().starts_with("system.") {
        let message = format!("error with source namespace: cannot write to {from}");
        return Err(Error::new(Code::INVALID_NAMESPACE, message));
    }
    let Some(mut guard) = context.write()? else { return Ok(Flow::Busy) };
    let catalog = guard.catalog();
    if catalog.view(from.db(), from.collection()).is_some() {
        let message = format!("cannot rename view: {from}");
        return Err(Error::new(Code::COMMAND_NOT_SUPPORTED_ON_VIEW, message));
    }
    check_case(&catalog, to.db())?;
    if catalog.view(to.db(), to.collection()).is_some() {
        let message = format!("a view already exists with that name: {to}");
        return Err(Error::new(Code::NAMESPACE_EXISTS, message));
    }
    let Some(source) = catalog.collection(from.db(), from.collection()) else {
        let message = format!("Source collection {from} does not exist");
        return Err(Error::new(Code::NAMESPACE_NOT_FOUND, message));
    };
    if source.settings.time_series.is_some() {
        let message = "Renaming timeseries collections is not allowed";
        return Err(Error::new(Code::ILLEGAL_OPERATION, message));
    }
    source.refuse_building()?;
    let target = catalog.collection(to.db(), to.collection());
    if target.is_some() && !drop_target {
        return Err(Error::new(Code::NAMESPACE_EXISTS, "target namespace exists"));
    }
    let uuid = if from.db() == to.db() { source.uuid } else { new_uuid() };
    let (namespace, plans) = (to.clone(), Arc::default());
    let renamed = Collection { namespace, uuid, plans, ..Collection::clone(source) };
    rename(&mut guard, source, renamed, target.map(|target| &**target))?;
    context.wrote(guard.last());
    drop(guard);
    Ok(Flow::Written(DocWriter::new()))
}

/// Puts `renamed` into the place of `source`, and of `target` if it has that name, with the event of a renaming.
///
/// # Errors
/// Those of the store.
pub(super) fn rename(
    guard: &mut WriteGuard<'_>,
    source: &Collection,
    renamed: Collection,
    target: Option<&Collection>,
) -> Result<()> {
    let (from, to) = (&source.namespace, &renamed.namespace);
    let orphan = target.map(Orphan::collection);
    let mut event = EventWriter::new(Kind::Rename, from, Some(&source.uuid), now_ms());
    let mut detail = DocWriter::new();
    detail.document("to", |name| {
        name.str("db", to.db());
        name.str("coll", to.collection());
    });
    if let Some(target) = target {
        detail.binary("dropTarget", 4, &target.uuid);
    }
    event.detail(detail.finish().as_doc());
    guard.operation(&mut None, 0, Default::default(), event, |op| {
        op.delete(tables::CATALOG, &key_of(from))?;
        if let Some(orphan) = &orphan {
            housekeeping::note_orphan(op, orphan)?;
        }
        store_collection(op, &renamed)
    })?;
    guard.set_catalog(guard.catalog().without(from).with(renamed));
    orphan.into_iter().for_each(|orphan| guard.leave_orphan(orphan));
    Ok(())
}

fn full_namespace(raw: Raw<'_>, field: &str) -> Result<Namespace> {
    let Some(text) = raw.as_str() else {
        return Err(Error::new(
            Code::TYPE_MISMATCH,
            format!(
                "BSON field 'renameCollection.{field}' is the wrong type '{}', expected type 'string'",
                raw.kind.alias()
            ),
        ));
    };
    match text.split_once('.') {
        Some((db, collection)) if !db.is_empty() && !collection.is_empty() => {
            Ok(Namespace::new(db, collection))
        }
        _ => Err(Error::new(
            Code::INVALID_NAMESPACE,
            format!("Invalid namespace specified '{text}'"),
        )),
    }
}
