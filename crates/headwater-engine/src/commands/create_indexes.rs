//! `createIndexes`: makes indexes and fills them from the documents that are there.

pub(super) mod build;
mod conflict;
pub(super) mod entries;
mod quorum;

use std::time::Duration;

use super::collection_uuid;
use super::create::create_collection;
use super::fields::is_null;
use super::time_series::check_index;
use super::{Command, Context, Flow, Needs};
use crate::aggregate::expressions::document_text;
use crate::bson::{Doc, DocBuf, DocWriter, Raw};
use crate::catalog::Collection;
use crate::collection::load_next_record;
use crate::error::{Code, Error, Result};
use crate::index::{Index, Wanted, check_hashed, known_options, parse_spec};
use crate::limits::INDEXES_MAX;
use crate::namespace::Namespace;
use crate::query::plan::same_pattern;
use conflict::{Same, conflict, key_of, name_of};

pub(super) const COMMAND: Command = Command {
    name: "createIndexes",
    aliases: &[],
    help: "Makes indexes on a collection",
    needs: Needs::Write,
    fields: &["collectionUUID", "commitQuorum", "ignoreUnknownIndexOptions", "indexes", "v"],
    run,
};

/// Time between two looks whether another's build has ended.
const LOOK_EVERY: Duration = Duration::from_millis(5);

fn run(context: &mut Context<'_>) -> Result<Flow> {
    loop {
        if let Some(flow) = attempt(context)? {
            return Ok(flow);
        }
    }
}

/// Runs the command; `None` if it had to wait for a build of the same index and must look again.
fn attempt(context: &mut Context<'_>) -> Result<Option<Flow>> {
    let fields = context.fields();
    let namespace = context.namespace()?;
    let wanted = wanted(context, &namespace)?;
    if context.mode == crate::request::Mode::Inline {
        return Ok(Some(Flow::Busy));
    }
    let Some(mut guard) = context.write()? else { return Ok(Some(Flow::Busy)) };
    let catalog = guard.catalog();
    collection_uuid::check(&catalog, &namespace, collection_uuid::asked(fields)?)?;
    catalog.refuse_view(&namespace)?;
    let existing = catalog.collection(namespace.db(), namespace.collection()).cloned();
    if existing.is_none() {
        wanted.iter().try_for_each(Wanted::check_expiry)?;
    }
    let default = existing.as_ref().and_then(|collection| collection.collation());
    let specs: Vec<DocBuf> =
        wanted.iter().map(|index| index.in_collection(default)).collect::<Result<_>>()?;
    if let Some(uuid) = under_way(existing.as_deref(), &specs)? {
        drop(guard);
        await_build(context, &namespace, &uuid)?;
        return Ok(None);
    }
    let before = existing.as_ref().map_or(1, |collection| collection.index_count());
    let new = new_specs(existing.as_deref(), &specs, namespace.as_str())?;
    if existing.is_some() && !new.is_empty() {
        wanted.iter().try_for_each(Wanted::check_expiry)?;
    }
    new.iter().try_for_each(|spec| check_hashed(spec.as_doc()))?;
    let created = existing.is_none();
    let collection = match existing {
        Some(collection) => collection,
        None => create_collection(context.shared, &mut guard, &namespace, DocBuf::new())?,
    };
    load_next_record(guard.read()?, &collection)?;
    match new.is_empty() {
        true => {
            context.wrote(guard.last());
            drop(guard);
        }
        false => {
            let specs = new.iter().map(|spec| spec.as_doc());
            let last = build::build(context, guard, &collection, specs)?;
            context.wrote(last);
        }
    }
    let catalog = context.shared.catalog();
    let after = catalog.collection(namespace.db(), namespace.collection());
    let after = after.map_or(before, |collection| collection.index_count());
    let mut reply = DocWriter::new();
    reply.i32("numIndexesBefore", before as i32);
    reply.i32("numIndexesAfter", after as i32);
    if created || !new.is_empty() {
        reply.bool("createdCollectionAutomatically", created);
    }
    match (new.len(), specs.len()) {
        (0, _) => reply.str("note", "all indexes already exist"),
        (made, asked) if made < asked => reply.str("note", "index already exists"),
        _ => {}
    }
    Ok(Some(Flow::Written(reply)))
}

/// The specifications that are asked for, each right by itself.
fn wanted(context: &Context<'_>, namespace: &Namespace) -> Result<Vec<Wanted>> {
    let fields = context.fields();
    let wanted = fields.array("indexes")?.ok_or_else(|| fields.missing("indexes"))?;
    for (at, raw) in wanted.iter().enumerate() {
        if raw.as_doc().is_none() && !is_null(raw) {
            return Err(fields.wrong_type(&format!("indexes.{at}"), raw.kind, &["object"]));
        }
    }
    if let Some(version) = fields.get("v").filter(|version| !version.kind.is_number()) {
        return Err(fields.wrong_type("v", version.kind, &["double", "decimal", "long", "int"]));
    }
    let lenient = fields.loose_bool("ignoreUnknownIndexOptions")?.unwrap_or(false);
    quorum::check(fields)?;
    let catalog = context.shared.catalog();
    catalog.refuse_view(namespace)?;
    if wanted.iter().all(is_null) {
        return Err(Error::new(Code::BAD_VALUE, "Must specify at least one index to create"));
    }
    let named = catalog.collection(namespace.db(), namespace.collection());
    if let Some(series) = named.and_then(|named| named.settings.time_series.as_ref()) {
        let specs = wanted.iter().filter_map(Raw::as_doc);
        specs.into_iter().try_for_each(|spec| check_index(series, spec))?;
    }
    let specs = wanted.iter().filter_map(Raw::as_doc).map(|spec| match lenient {
        true => parse_spec(known_options(spec).as_doc()),
        false => parse_spec(spec),
    });
    let specs = specs.collect::<Result<_>>()?;
    quorum::check_satisfiable(fields)?;
    Ok(specs)
}

/// The UUID of a build that makes one of these indexes already.
fn under_way(existing: Option<&Collection>, specs: &[DocBuf]) -> Result<Option<[u8; 16]>> {
    for building in existing.into_iter().flat_map(|existing| &existing.building) {
        for spec in specs {
            if let Ok(Same::Identical) = conflict(spec.as_doc(), building.index.spec.as_doc()) {
                return Ok(Some(building.uuid));
            }
        }
    }
    Ok(None)
}

fn await_build(context: &Context<'_>, namespace: &Namespace, uuid: &[u8; 16]) -> Result<()> {
    loop {
        let catalog = context.shared.catalog();
        let collection = catalog.collection(namespace.db(), namespace.collection());
        if !collection.is_some_and(|collection| collection.builds(uuid)) {
            return Ok(());
        }
        context.interrupt().check()?;
        context.shared.check_open()?;
        std::thread::sleep(LOOK_EVERY);
    }
}

/// The specifications that are not there yet.
///
/// # Errors
/// `IndexKeySpecsConflict` (86), `IndexOptionsConflict` (85), `IndexAlreadyExists` (68), `CannotCreateIndex` (67).
fn new_specs<'s>(
    existing: Option<&Collection>,
    specs: &'s [DocBuf],
    namespace: &str,
) -> Result<Vec<&'s DocBuf>> {
    let mut known: Vec<DocBuf> = match existing {
        Some(collection) => {
            let building = collection.building.iter().map(|building| &building.index);
            collection.indexes.iter().chain(building).map(|index| index.spec.clone()).collect()
        }
        None => vec![Index::on_id(0, Default::default()).spec],
    };
    let already = known.len();
    let mut new = Vec::new();
    'specs: for spec in specs {
        if is_order(existing, spec.as_doc())? {
            continue;
        }
        // The index of the same name is the first that is looked at.
        let named = |other: &&(usize, &DocBuf)| name_of(other.1.as_doc()) == name_of(spec.as_doc());
        let all: Vec<(usize, &DocBuf)> = known.iter().enumerate().collect();
        for (at, other) in all.iter().filter(named).chain(&all) {
            match conflict(spec.as_doc(), other.as_doc())? {
                Same::No => {}
                Same::Identical if *at < already => continue 'specs,
                Same::Identical => {
                    let name = name_of(spec.as_doc());
                    return Err(Error::new(
                        Code::INDEX_ALREADY_EXISTS,
                        format!("Identical index already exists: {name}"),
                    ));
                }
            }
        }
        if known.len() >= INDEXES_MAX {
            let key = document_text(key_of(spec.as_doc()));
            return Err(Error::new(
                Code::CANNOT_CREATE_INDEX,
                format!("add index fails, too many indexes for {namespace} key:{key}"),
            ));
        }
        known.push(spec.clone());
        new.push(spec);
    }
    Ok(new)
}

/// Whether a specification is that of a clustered collection's order, which is there already.
///
/// # Errors
/// 6243700 for one that only claims to be.
fn is_order(existing: Option<&Collection>, spec: Doc<'_>) -> Result<bool> {
    let of_clustered = existing.is_some_and(|collection| collection.settings.clustered);
    let on_id = same_pattern(key_of(spec), Index::on_id(0, Default::default()).key_pattern());
    if of_clustered && on_id {
        return Ok(true);
    }
    let order =
        existing.and_then(|collection| collection.id_index()).filter(|order| order.clustered);
    if let Some(order) = order.filter(|order| order.name == name_of(spec)) {
        let (shown, order) = (document_text(spec), document_text(order.describe().as_doc()));
        return Err(Error::new(
            Code(6_100_906),
            format!(
                "Error in specification {shown} :: caused by :: Cannot create an index where the name matches the clusteredIndex but the key does not - indexSpec: {shown}, clusteredIndex: {order}"
            ),
        ));
    }
    if spec.get("clustered").and_then(Raw::as_bool) == Some(true) {
        if existing.is_none() {
            let why =
                "Cannot implicitly create a new collection with createIndex 'clustered' option";
            return Err(Error::location(6_100_900, why));
        }
        let shown = document_text(spec);
        return Err(Error::location(
            6_243_700,
            format!(
                "Error in specification {shown} :: caused by :: Cannot create index with option 'clustered' that does not match an existing clustered index"
            ),
        ));
    }
    Ok(false)
}
