//! `convertToCapped` and `cloneCollectionAsCapped`: the newest documents of a collection in a capped one.

use std::ops::Bound;
use std::sync::Arc;

use headwater_store::{Direction, Read};

use crate::bson::{Doc, DocBuf, DocWriter};
use crate::catalog::{Collection, Figures, Settings, store_collection, tables};
use crate::change::event::{EventWriter, Kind};
use crate::collection::{self, RecordId, document_key, record_of};
use crate::commands::create::options::{number, whole};
use crate::commands::create::{check_name, create_collection, new_uuid};
use crate::commands::insert::insert_document;
use crate::commands::{Command, Context, Flow, Needs};
use crate::engine::{WriteGuard, now_ms, store_node};
use crate::error::{Code, Error, Result};
use crate::housekeeping::{Orphan, forget_orphan, note_orphan};
use crate::index::Index;
use crate::namespace::Namespace;

/// Documents that are copied in one operation.
const CHUNK: usize = 1000;

pub(in crate::commands) const CONVERT: Command = Command {
    name: "convertToCapped",
    aliases: &[],
    help: "Makes a collection capped",
    needs: Needs::Write,
    fields: &["size"],
    run: run_convert,
};

pub(in crate::commands) const CLONE: Command = Command {
    name: "cloneCollectionAsCapped",
    aliases: &[],
    help: "Copies a collection into a capped one",
    needs: Needs::Write,
    fields: &["size", "temp", "toCollection"],
    run: run_clone,
};

fn run_convert(context: &mut Context<'_>) -> Result<Flow> {
    let namespace = context.namespace()?;
    let size = size(context)?;
    if context.mode == crate::request::Mode::Inline {
        return Ok(Flow::Busy);
    }
    let Some(mut guard) = context.write()? else { return Ok(Flow::Busy) };
    let source = source(&guard, &namespace)?;
    source.refuse_building()?;
    let copy = empty_copy(&mut guard, &source, size)?;
    let orphan = Orphan::collection(&copy);
    // Until the copy has taken the place of its source it belongs to nobody: a crash leaves an orphan.
    let (term, next_id) = (context.shared.node.term, guard.next_id());
    let internal = EventWriter::new(Kind::Internal, &namespace, None, now_ms());
    guard.operation(&mut None, 0, Default::default(), internal, |op| {
        store_node(op, term, next_id)?;
        note_orphan(op, &orphan)
    })?;
    let done = fill(&mut guard, &source, &copy, size)
        .and_then(|()| take_place(&mut guard, &source, copy, &orphan));
    if let Err(error) = done {
        guard.leave_orphan(orphan);
        return Err(error);
    }
    context.wrote(guard.last());
    drop(guard);
    Ok(Flow::Written(DocWriter::new()))
}

fn run_clone(context: &mut Context<'_>) -> Result<Flow> {
    let namespace = context.namespace()?;
    let fields = context.fields();
    let to = fields.str("toCollection")?.ok_or_else(|| fields.missing("toCollection"))?;
    let to = Namespace::new(context.db, to);
    check_name(&to)?;
    let size = size(context)?;
    let temporary = fields.loose_bool("temp")?.unwrap_or(false);
    if context.mode == crate::request::Mode::Inline {
        return Ok(Flow::Busy);
    }
    let Some(mut guard) = context.write()? else { return Ok(Flow::Busy) };
    let source = source(&guard, &namespace)?;
    guard.catalog().refuse_view(&to)?;
    if guard.catalog().collection(to.db(), to.collection()).is_some() {
        let message = format!(
            "cloneCollectionAsCapped failed - destination collection {to} already exists. source collection: {namespace}"
        );
        return Err(Error::new(Code::NAMESPACE_EXISTS, message));
    }
    let options = capped_options(Doc::EMPTY, size, temporary);
    let target = create_collection(context.shared, &mut guard, &to, options)?;
    let mut next = first_kept(guard.read()?, &source, size)?;
    guard.unvalidated = true;
    while let Some(from) = next {
        let documents = some(guard.read()?, &source, from)?;
        for (_, doc) in &documents {
            insert_document(&mut guard, &target, doc.as_doc(), &mut None, 0, Default::default())?;
        }
        next = documents.last().map(|(record, _)| record + 1);
    }
    context.wrote(guard.last());
    drop(guard);
    Ok(Flow::Written(DocWriter::new()))
}

fn size(context: &Context<'_>) -> Result<i64> {
    let size = whole(context.fields(), "size", i64::MIN, 1 << 50)?.unwrap_or(0);
    if size <= 0 {
        let message = "Capped collection size must be greater than zero";
        return Err(Error::new(Code::INVALID_OPTIONS, message));
    }
    Ok(size)
}

fn source(guard: &WriteGuard<'_>, namespace: &Namespace) -> Result<Arc<Collection>> {
    let catalog = guard.catalog();
    catalog.refuse_view(namespace)?;
    let Some(source) = catalog.collection(namespace.db(), namespace.collection()) else {
        let message = format!("source collection {namespace} does not exist");
        return Err(Error::new(Code::NAMESPACE_NOT_FOUND, message));
    };
    if source.settings.clustered || source.settings.time_series.is_some() {
        let message = "a clustered or time-series collection cannot be made capped";
        return Err(Error::new(Code::INVALID_OPTIONS, message));
    }
    Ok(source.clone())
}

fn capped_options(options: Doc<'_>, size: i64, temporary: bool) -> DocBuf {
    let mut out = DocWriter::new();
    out.bool("capped", true);
    number(&mut out, "size", size);
    if temporary {
        out.bool("temp", true);
    }
    for element in options {
        if !matches!(element.name, b"capped" | b"max" | b"size" | b"temp") {
            out.raw_bytes(element.name, element.value);
        }
    }
    out.finish()
}

/// A capped collection without documents in the place of `source`, with no index but that on `_id`.
fn empty_copy(guard: &mut WriteGuard<'_>, source: &Collection, size: i64) -> Result<Collection> {
    let options = capped_options(source.options.as_doc(), size, false);
    let (id, index) = (guard.new_id(), guard.new_id());
    let spec = source.id_index().map(|own| own.spec.clone());
    let index = spec.and_then(|spec| crate::index::index_of(index, spec.as_doc()));
    let index: Index = index
        .ok_or_else(|| Error::new(Code::INTERNAL_ERROR, "the collection has no index on _id"))?;
    Ok(Collection {
        id,
        uuid: new_uuid(),
        settings: Arc::new(Settings::of(options.as_doc())),
        options,
        indexes: vec![Arc::new(index)],
        building: Vec::new(),
        figures: Arc::new(Figures::empty()),
        plans: Arc::default(),
        ..source.clone()
    })
}

/// The oldest document that still fits; `None` if there is none at all. The newest always fits.
fn first_kept(read: &dyn Read, source: &Collection, size: i64) -> Result<Option<RecordId>> {
    let (lower, upper) = (document_key(source.id, 0), document_key(source.id + 1, 0));
    let (lower, upper) = (Bound::Included(&lower[..]), Bound::Excluded(&upper[..]));
    let mut cursor = read.range(tables::DOCUMENTS, lower, upper, Direction::Backward)?;
    let (mut first, mut bytes) = (None, 0_i64);
    while let Some((key, value)) = cursor.next()? {
        bytes = bytes.saturating_add(i64::try_from(value.len()).unwrap_or(i64::MAX));
        if first.is_some() && bytes > size {
            break;
        }
        first = record_of(key);
    }
    Ok(first)
}

/// Some documents, from a record id on.
fn some(read: &dyn Read, source: &Collection, from: RecordId) -> Result<Vec<(RecordId, DocBuf)>> {
    let (lower, upper) = (document_key(source.id, from), document_key(source.id + 1, 0));
    let (lower, upper) = (Bound::Included(&lower[..]), Bound::Excluded(&upper[..]));
    let mut cursor = read.range(tables::DOCUMENTS, lower, upper, Direction::Forward)?;
    let mut documents = Vec::new();
    while documents.len() < CHUNK
        && let Some((key, value)) = cursor.next()?
    {
        documents.push((record_of(key).unwrap_or(0), Doc::trusted(value).to_buf()));
    }
    Ok(documents)
}

fn fill(
    guard: &mut WriteGuard<'_>,
    source: &Collection,
    copy: &Collection,
    size: i64,
) -> Result<()> {
    let mut next = first_kept(guard.read()?, source, size)?;
    while let Some(from) = next {
        let documents = some(guard.read()?, source, from)?;
        let internal = EventWriter::new(Kind::Internal, &copy.namespace, None, now_ms());
        guard.operation(&mut None, 0, Default::default(), internal, |op| {
            documents
                .iter()
                .try_for_each(|(_, doc)| collection::insert(op, copy, doc.as_doc()).map(drop))
        })?;
        for (_, doc) in &documents {
            copy.figures.add(1, doc.as_doc().as_bytes().len() as i64);
        }
        next = documents.last().map(|(record, _)| record + 1);
    }
    Ok(())
}

/// Puts the copy in the place of its source, in one operation. Streams see what MongoDB's show: a renaming.
fn take_place(
    guard: &mut WriteGuard<'_>,
    source: &Collection,
    copy: Collection,
    orphan: &Orphan,
) -> Result<()> {
    let namespace = &source.namespace;
    let temporary = format!("tmp{}.convertToCapped.{}", copy.id, namespace.collection());
    let temporary = Namespace::new(namespace.db(), &temporary);
    let mut event = EventWriter::new(Kind::Rename, &temporary, Some(&copy.uuid), now_ms());
    let mut detail = DocWriter::new();
    detail.document("to", |to| {
        to.str("db", namespace.db());
        to.str("coll", namespace.collection());
    });
    detail.binary("dropTarget", 4, &source.uuid);
    event.detail(detail.finish().as_doc());
    let old = Orphan::collection(source);
    guard.operation(&mut None, 0, Default::default(), event, |op| {
        forget_orphan(op, orphan)?;
        note_orphan(op, &old)?;
        store_collection(op, &copy)
    })?;
    guard.set_catalog(guard.catalog().with(copy));
    guard.leave_orphan(old);
    Ok(())
}
