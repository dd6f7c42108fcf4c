//! Change events as clients see them, made from log records.

use headwater_store::Record;

use super::event::{Event, Kind};
use super::options::{Before, FullDocument, Shown};
use super::paths::disambiguated;
use super::token::Token;
use crate::bson::{Doc, DocBuf, DocWriter, Raw};
use crate::catalog::{Collection, tables};
use crate::collection::find_by_id;
use crate::error::{Code, Error, Result};
use crate::index::keys::id_key;
use crate::query::run::Run;

/// Writes the head of an event: token, type and times.
pub(super) fn head(operation: &str, token: Token, event: &Event<'_>) -> DocWriter {
    let mut doc = DocWriter::new();
    token.write(&mut doc, "_id");
    doc.str("operationType", operation);
    doc.timestamp("clusterTime", token.seq);
    doc.date("wallTime", event.wall_ms);
    doc
}

/// Finds the document that an update changed, as it is now.
pub(super) type LookUp<'l> =
    &'l mut dyn FnMut(&Event<'_>, Option<Raw<'_>>) -> Result<Option<DocBuf>>;

/// Whether an event of this kind is one that the stream shows.
pub(super) fn is_shown(kind: Kind, shown: &Shown) -> bool {
    operation(kind, shown.expanded).is_some()
}

/// The event's document; `None` for a kind that the stream does not show.
///
/// # Errors
/// `NoMatchingDocument` (47) where an image is required that was not kept; those of `look_up`.
pub(super) fn write(
    look_up: LookUp<'_>,
    shown: &Shown,
    token: Token,
    record: &Record<'_>,
    event: &Event<'_>,
) -> Result<Option<DocBuf>> {
    let Some(operation) = operation(event.kind, shown.expanded) else { return Ok(None) };
    let mut doc = head(operation, token, event);
    if let (true, Some(uuid)) = (shown.expanded, &event.uuid) {
        doc.binary("collectionUUID", 4, uuid);
    }
    let stored = stored_document(record);
    if let (Kind::Insert | Kind::Replace, Some(stored)) = (event.kind, stored) {
        doc.doc("fullDocument", stored);
    }
    doc.document("ns", |ns| {
        ns.str("db", event.namespace.db());
        if event.kind != Kind::DropDatabase {
            ns.str("coll", event.namespace.collection());
        }
    });
    let id = event.document_key.or_else(|| stored.and_then(|stored| stored.get("_id")));
    if is_document(event.kind)
        && let Some(id) = id
    {
        doc.document("documentKey", |key| key.raw("_id", id));
    }
    match (event.kind, event.detail) {
        (Kind::Update, Some(detail)) => {
            let new = stored.filter(|_| shown.expanded);
            write_description(&mut doc, detail, new);
        }
        (Kind::Rename, Some(detail)) => {
            if let Some(to) = detail.get("to") {
                doc.raw("to", to);
            }
            if shown.expanded {
                doc.doc("operationDescription", detail);
            }
        }
        (Kind::Create, detail) => {
            doc.document("operationDescription", |out| {
                let has = |name: &str| detail.is_some_and(|detail| detail.get(name).is_some());
                if !has("viewOn") && !has("clusteredIndex") {
                    let id_index = crate::index::Index::on_id(0, Default::default());
                    out.doc("idIndex", id_index.describe().as_doc());
                }
                detail.into_iter().for_each(|options| out.extend(options));
            });
        }
        (Kind::Modify, Some(detail)) => doc.extend(detail),
        (Kind::CreateIndexes | Kind::DropIndexes, Some(detail)) => {
            doc.doc("operationDescription", detail);
        }
        _ => {}
    }
    if event.kind == Kind::Update {
        let image = event.image.and(stored);
        write_full_document(look_up, shown.full_document, event, id, image, &mut doc)?;
    }
    if matches!(event.kind, Kind::Update | Kind::Replace | Kind::Delete) {
        write_before(shown.before, event, &mut doc)?;
    }
    Ok(Some(doc.finish()))
}

fn operation(kind: Kind, expanded: bool) -> Option<&'static str> {
    Some(match kind {
        Kind::Insert => "insert",
        Kind::Update => "update",
        Kind::Replace => "replace",
        Kind::Delete => "delete",
        Kind::Drop => "drop",
        Kind::Rename => "rename",
        Kind::DropDatabase => "dropDatabase",
        Kind::Create if expanded => "create",
        Kind::CreateIndexes if expanded => "createIndexes",
        Kind::DropIndexes if expanded => "dropIndexes",
        Kind::Modify if expanded => "modify",
        Kind::DropView if expanded => "drop",
        Kind::Create
        | Kind::CreateIndexes
        | Kind::DropIndexes
        | Kind::DropView
        | Kind::Internal
        | Kind::Modify => return None,
    })
}

fn is_document(kind: Kind) -> bool {
    matches!(kind, Kind::Insert | Kind::Update | Kind::Replace | Kind::Delete)
}

/// The document that the record stored.
pub(super) fn stored_document<'r>(record: &Record<'r>) -> Option<Doc<'r>> {
    let stored = |change: headwater_store::Change<'r>| match change.table {
        tables::DOCUMENTS => change.value.map(Doc::trusted),
        _ => None,
    };
    record.changes().find_map(stored)
}

/// `updateDescription`; with the expanded events, the paths of the document `new` that need explaining are explained.
fn write_description(out: &mut DocWriter, detail: Doc<'_>, new: Option<Doc<'_>>) {
    out.document("updateDescription", |description| {
        description.extend(detail);
        if let Some(new) = new {
            description.doc("disambiguatedPaths", disambiguated(detail, new).as_doc());
        }
    });
}

fn write_full_document(
    look_up: LookUp<'_>,
    mode: FullDocument,
    event: &Event<'_>,
    id: Option<Raw<'_>>,
    image: Option<Doc<'_>>,
    out: &mut DocWriter,
) -> Result<()> {
    match (mode, image) {
        (FullDocument::Default, _) => {}
        (FullDocument::WhenAvailable | FullDocument::Required, Some(image)) => {
            out.doc("fullDocument", image);
        }
        (FullDocument::WhenAvailable, None) => out.null("fullDocument"),
        (FullDocument::Required, None) => {
            return Err(no_image("post-image", "update events", event));
        }
        (FullDocument::UpdateLookup, _) => match look_up(event, id)? {
            Some(document) => out.doc("fullDocument", document.as_doc()),
            None => out.null("fullDocument"),
        },
    }
    Ok(())
}

/// The document as it is now, if its collection is still the one that the event tells of.
pub(super) fn look_up(
    run: &Run<'_>,
    event: &Event<'_>,
    id: Option<Raw<'_>>,
) -> Result<Option<DocBuf>> {
    let namespace = &event.namespace;
    let collection: Option<&std::sync::Arc<Collection>> =
        run.catalog.collection(namespace.db(), namespace.collection());
    let collection = collection.filter(|collection| Some(collection.uuid) == event.uuid);
    let (Some(collection), Some(id)) = (collection, id) else { return Ok(None) };
    let Some(index) = collection.id_index() else { return Ok(None) };
    let found = find_by_id(run.store(), collection, &id_key(id, &index.order))?;
    Ok(found.map(|(_, document)| document.to_buf()))
}

fn write_before(mode: Before, event: &Event<'_>, out: &mut DocWriter) -> Result<()> {
    match (mode, event.image) {
        (Before::Off, _) => {}
        (_, Some(image)) => out.doc("fullDocumentBeforeChange", image),
        (Before::WhenAvailable, None) => out.null("fullDocumentBeforeChange"),
        (Before::Required, None) => {
            return Err(no_image("pre-image", "update, delete and replace events", event));
        }
    }
    Ok(())
}

fn no_image(which: &str, of: &str, event: &Event<'_>) -> Error {
    let operation = operation(event.kind, true).unwrap_or_default();
    let (db, collection) = (event.namespace.db(), event.namespace.collection());
    Error::new(
        Code::NO_MATCHING_DOCUMENT,
        format!(
            "Change stream was configured to require a {which} for all {of}, but the {which} was not found for event: {{operationType: \"{operation}\", ns: {{db: \"{db}\", coll: \"{collection}\"}}}}"
        ),
    )
}

/// Whether the databases and collections of a name are the node's own, which streams do not show.
pub(super) fn is_internal(db: &str, collection: &str) -> bool {
    matches!(db, "admin" | "config" | "local") || collection.starts_with("system.")
}
