//! `$merge`: writes a pipeline's documents into a collection. The document that is meant is found through a unique index
//! and changed as by an update; one that is not there is inserted. Documents of a batch do not end at the first that fails.

use std::sync::Arc;

use super::written::{batch, yielded};
use crate::aggregate::expressions::{Expression, Frame, Path, Scope};
use crate::aggregate::stages::merge::{Matched, Merge, Unmatched};
use crate::bson::{Array, Doc, DocBuf, DocWriter, Raw, Type};
use crate::catalog::{Catalog, Collection};
use crate::collection::{RecordId, entry_key, find_by_entry};
use crate::commands::Context;
use crate::commands::create::check_name;
use crate::commands::insert::{Place, insert_one};
use crate::commands::update::{apply, now, store_change};
use crate::engine::WriteGuard;
use crate::error::{Code, Error, Result};
use crate::index::Index;
use crate::index::keys::keys;
use crate::namespace::{Namespace, check_db};
use crate::query::exec::Stage;
use crate::query::run::Run;
use crate::session::retry::Outcome;
use crate::update::{Update, UpdateOptions};

/// What MongoDB puts before errors of an update that runs.
const UPDATING: &str = "Plan executor error during update :: caused by :: ";

/// Checks that the collection may be merged into and that an index makes the `on` fields unique.
///
/// # Errors
/// `CommandNotSupportedOnView` (166); 1074330 for a time series; 51183 if there is no such index.
pub(super) fn check(catalog: &Catalog, merge: &Merge, scope: &Scope) -> Result<()> {
    catalog.refuse_view(&merge.target)?;
    let (db, name) = (merge.target.db(), merge.target.collection());
    match catalog.collection(db, name) {
        None if merge.on.iter().all(|path| path.dotted() == "_id") => Ok(()),
        None => Err(no_index()),
        Some(there) if there.settings.time_series.is_some() => {
            let message = "Cannot find index to verify that join fields will be unique: Timeseries collections cannot have unique indexes ";
            Err(Error::location(1_074_330, message))
        }
        Some(there) => supporting(there, &merge.on, scope).map(drop),
    }
}

fn no_index() -> Error {
    let message = "Cannot find index to verify that join fields will be unique";
    Error::location(51183, message)
}

/// The index that makes the `on` fields unique; one with all documents rather than a sparse one.
fn supporting(collection: &Collection, on: &[Path], scope: &Scope) -> Result<Arc<Index>> {
    let wanted = scope.collation().map(|collation| collation.spec());
    let fits = collection.indexes.iter().filter(|index| {
        let pattern = index.key_pattern();
        index.unique
            && index.spec.as_doc().get("partialFilterExpression").is_none()
            && index.order.collation().map(|collation| collation.spec()) == wanted
            && pattern.iter().count() == on.len()
            && on.iter().all(|path| pattern.get(&path.dotted()).is_some())
    });
    fits.min_by_key(|index| index.sparse).cloned().ok_or_else(no_index)
}

/// Writes what the pipeline gives. All of it is read from one view of the data, so that nothing is met twice.
///
/// # Errors
/// What the pipeline raises; 13113, 11000, 66 and what else an update raises.
pub(super) fn run(
    context: &mut Context<'_>,
    run: &Run<'_>,
    mut stage: Box<dyn Stage>,
    merge: &Merge,
    scope: &Scope,
) -> Result<()> {
    let merging = Merging { merge, scope };
    loop {
        let documents = batch(stage.as_mut(), run)?;
        if documents.is_empty() {
            return Ok(());
        }
        check_db(merge.target.db())?;
        check_name(&merge.target)?;
        Namespace::parse(merge.target.as_str())?;
        let Some(mut guard) = context.write()? else {
            let message = "$merge runs on a thread that may not wait";
            return Err(Error::new(Code::INTERNAL_ERROR, message));
        };
        guard.unvalidated =
            context.fields().loose_bool("bypassDocumentValidation")?.unwrap_or(false);
        let written = merging.write(context, &mut guard, &documents);
        context.wrote(guard.last());
        written?;
        drop(guard);
        yielded(context);
    }
}

struct Merging<'a> {
    merge: &'a Merge,
    scope: &'a Scope,
}

/// A document on its way, with the constants of the pipeline that changes the one that is there.
struct Coming {
    document: DocBuf,
    constants: Option<DocBuf>,
}

/// The collection that is merged into, if it is there, and its index.
type Target = Option<(Arc<Collection>, Arc<Index>)>;

impl Merging<'_> {
    /// Writes all documents of a batch; the first error is raised when all are done.
    fn write(
        &self,
        context: &Context<'_>,
        guard: &mut WriteGuard<'_>,
        documents: &[DocBuf],
    ) -> Result<()> {
        let mut target = self.target(&guard.catalog())?;
        let sparse = target.as_ref().is_some_and(|(_, index)| index.sparse);
        // What is wrong with a document's own values ends the stage before anything of the batch is written.
        let coming = documents.iter().map(|document| self.coming(context, document, sparse));
        let coming: Vec<_> = coming.collect::<Result<_>>()?;
        let (mut failed, mut unmatched) = (None, false);
        for coming in &coming {
            context.interrupt().check()?;
            match self.write_one(context, guard, target.as_ref(), coming) {
                Ok(matched) => unmatched |= !matched,
                Err(error) if error.is_interruption() => return Err(error),
                Err(error) => failed = failed.or(Some(error)),
            }
            if target.is_none() {
                target = self.target(&guard.catalog())?;
            }
        }
        if let Some(error) = failed {
            return Err(self.told(error));
        }
        if unmatched && self.merge.unmatched == Unmatched::Fail {
            let message = "$merge could not find a matching document in the target collection for at least one document in the source collection";
            return Err(Error::location(13113, message));
        }
        Ok(())
    }

    fn target(&self, catalog: &Catalog) -> Result<Target> {
        let namespace = &self.merge.target;
        catalog.refuse_view(namespace)?;
        let there = catalog.collection(namespace.db(), namespace.collection()).cloned();
        let there = there.map(|there| {
            let index = supporting(&there, &self.merge.on, self.scope)?;
            Ok((there, index))
        });
        there.transpose()
    }

    /// Checks which document is meant; one without an `_id` gets one if that says so.
    fn coming(&self, context: &Context<'_>, document: &DocBuf, sparse: bool) -> Result<Coming> {
        let mut coming = Coming { document: document.clone(), constants: None };
        for path in &self.merge.on {
            let dotted = path.dotted();
            let value = value_at(document.as_doc(), path)?;
            if value.is_none() && dotted == "_id" {
                let mut with_id = DocWriter::new();
                with_id.object_id("_id", context.shared.node.ids.next());
                with_id.extend(document.as_doc());
                coming.document = with_id.finish();
                continue;
            }
            let is_null =
                value.is_none_or(|value| matches!(value.kind, Type::Null | Type::Undefined));
            if is_null && sparse {
                let message = format!(
                    "$merge write error: 'on' field '{dotted}' cannot be missing, null or undefined if supporting index is sparse"
                );
                return Err(Error::location(51132, message));
            }
        }
        if let Matched::Pipeline { variables, with_new, .. } = &self.merge.matched {
            let document = coming.document.as_doc();
            coming.constants = Some(constants(document, variables, *with_new)?);
        }
        Ok(coming)
    }

    /// Writes one document; tells whether there was one in its place, or it has been inserted.
    fn write_one(
        &self,
        context: &Context<'_>,
        guard: &mut WriteGuard<'_>,
        target: Option<&(Arc<Collection>, Arc<Index>)>,
        coming: &Coming,
    ) -> Result<bool> {
        let document = coming.document.as_doc();
        let insert = |guard: &mut WriteGuard<'_>| {
            let mut place = Place::new(&self.merge.target);
            insert_one(context, guard, &mut place, document, &mut None, 0).map(|()| true)
        };
        if let Matched::Fail = self.merge.matched {
            return insert(guard);
        }
        let update = self.update(document, coming.constants.as_ref())?;
        let found = match target {
            Some((collection, index)) => find(guard, collection, index, document)?
                .map(|(record, old)| (collection, record, old)),
            None => None,
        };
        match (found, update) {
            (Some(_), None) => Ok(true),
            (Some((collection, record, old)), Some(update)) => {
                change(guard, collection, record, old.as_doc(), &update)?;
                Ok(true)
            }
            (None, _) if self.merge.unmatched == Unmatched::Insert => {
                insert(guard).map_err(|error| match error.code() {
                    Code::DUPLICATE_KEY => error.with_prefix(UPDATING),
                    _ => error,
                })
            }
            (None, _) => Ok(false),
        }
    }

    /// The update that a document asks for; `None` if the one that is there stays.
    fn update(&self, document: Doc<'_>, constants: Option<&DocBuf>) -> Result<Option<Update>> {
        let mut set = DocWriter::new();
        set.doc("$set", document);
        let set = set.finish();
        let update = match &self.merge.matched {
            Matched::Replace => document.as_raw(),
            Matched::Merge => set.as_doc().as_raw(),
            Matched::Pipeline { stages, .. } => Array::trusted(stages).as_raw(),
            Matched::KeepExisting | Matched::Fail => return Ok(None),
        };
        let options = UpdateOptions {
            scope: Some(self.scope),
            multi: false,
            upsert: false,
            array_filters: None,
            constants: constants.map(DocBuf::as_doc),
            upsert_supplied: false,
        };
        Update::parse(update, &options).map(Some)
    }

    /// An error of writing in the words of the stage.
    fn told(&self, error: Error) -> Error {
        match error.code() {
            Code::IMMUTABLE_FIELD => error.with_prefix(
                "$merge failed to update the matching document, did you attempt to modify the _id or the shard key? :: caused by :: ",
            ),
            Code::DUPLICATE_KEY if matches!(self.merge.matched, Matched::Fail) && self.is_on(&error) => {
                error.with_prefix(
                    "$merge with whenMatched: fail found an existing document with the same values for the 'on' fields :: caused by :: ",
                )
            }
            Code::DUPLICATE_KEY => {
                error.with_prefix("$merge failed due to a DuplicateKey error :: caused by :: ")
            }
            _ => error,
        }
    }

    /// Whether the index of a duplicate key is that of the `on` fields.
    fn is_on(&self, error: &Error) -> bool {
        let Some(pattern) = error.details().get("keyPattern").and_then(Raw::as_doc) else {
            return false;
        };
        let on = &self.merge.on;
        pattern.iter().count() == on.len()
            && on.iter().all(|path| pattern.get(&path.dotted()).is_some())
    }
}

/// The document with the same values of the indexed fields, as the writer sees it.
fn find(
    guard: &WriteGuard<'_>,
    collection: &Collection,
    index: &Index,
    document: Doc<'_>,
) -> Result<Option<(RecordId, DocBuf)>> {
    // There are no arrays in the way, so there is one key.
    let Some(key) = keys(index, document)?.keys.pop() else { return Ok(None) };
    let entry = entry_key(index, &key, 0);
    let found = find_by_entry(guard.read()?, collection, &entry)?;
    Ok(found.map(|(record, document)| (record, document.to_buf())))
}

fn change(
    guard: &mut WriteGuard<'_>,
    collection: &Collection,
    record: RecordId,
    old: Doc<'_>,
    update: &Update,
) -> Result<()> {
    let updating = |error: Error| match error.code() {
        Code::DOCUMENT_VALIDATION_FAILURE => error,
        _ => error.with_prefix(UPDATING),
    };
    let Some(change) = apply(update, None, old, &now()).map_err(updating)? else { return Ok(()) };
    let outcome = Outcome::default();
    store_change(guard, collection, record, old, &change, &mut None, 0, outcome).map_err(updating)
}

/// The value of an `on` field.
///
/// # Errors
/// 51185 for an array, or behind one.
fn value_at<'a>(document: Doc<'a>, path: &Path) -> Result<Option<Raw<'a>>> {
    let mut value = document.as_raw();
    for name in path.names() {
        let Some(next) = value.as_doc().and_then(|doc| doc.get_bytes(name)) else {
            return Ok(None);
        };
        if next.kind == Type::Array {
            let message = format!("$merge write error: 'on' field '{}' is an array", path.dotted());
            return Err(Error::location(51185, message));
        }
        value = next;
    }
    Ok(Some(value))
}

/// The constants of a pipeline that changes a document: the variables of `let` for the new one, and that one as `new`
/// if it may be named.
fn constants(
    document: Doc<'_>,
    variables: &[(Box<str>, Expression)],
    with_new: bool,
) -> Result<DocBuf> {
    let mut constants = DocWriter::new();
    let mut frame = Frame::new(document);
    for (name, value) in variables {
        // A variable that is missing is none.
        if let Some(value) = value.eval(&mut frame)?.raw() {
            constants.raw(name, value);
        }
    }
    if with_new {
        constants.doc("new", document);
    }
    Ok(constants.finish())
}
