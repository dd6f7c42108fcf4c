//! `$out`: puts a pipeline's documents into the place of a collection. They are gathered in a temporary collection with
//! the options and indexes of the one that is there, which takes its name in one operation when they are complete. On an
//! error the temporary one goes; after a crash it goes when the engine starts.

use std::sync::Arc;

use super::written::{batch, yielded};
use crate::aggregate::expressions::document_text;
use crate::aggregate::stages::out::Out;
use crate::bson::{Doc, DocBuf, DocWriter, Raw};
use crate::catalog::{Catalog, Collection};
use crate::commands::create::{check_name, create_with_indexes, new_uuid, options};
use crate::commands::drop::{drop_collection, rename};
use crate::commands::insert::{Place, insert_one};
use crate::commands::{Context, Fields};
use crate::engine::WriteGuard;
use crate::error::{Code, Error, Result};
use crate::namespace::{Namespace, check_db};
use crate::object_id::uuid_text;
use crate::query::exec::Stage;
use crate::query::find::collection_dropped;
use crate::query::run::Run;

/// Runs the pipeline and swaps.
///
/// # Errors
/// What the pipeline raises; those of inserting; 166, 17152, 7268700, 7406103 for a target that cannot be replaced;
/// `CommandFailed` (125) for one that changed meanwhile.
pub(super) fn run<'a>(
    context: &mut Context<'a>,
    run: Run<'a>,
    stage: Box<dyn Stage>,
    out: &Out,
) -> Result<()> {
    let made = Making::begin(context, out)?;
    let done = made.fill(context, run, stage).and_then(|()| made.finish(context));
    if done.is_err() {
        // What ended the command does not end this: the time may be up.
        made.discard(&mut context.shared.write()?)?;
    }
    done
}

/// A temporary collection on its way.
struct Making {
    collection: Arc<Collection>,
    target: Namespace,
    /// The options that it has in the end.
    options: DocBuf,
    /// What stood there at the beginning.
    replaces: Option<Arc<Collection>>,
}

impl Making {
    fn begin(context: &mut Context<'_>, out: &Out) -> Result<Making> {
        const PREFIX: &str = "Creation of temporary $out collection failed :: caused by :: ";
        let mut guard = writer(context)?;
        let target = out.target.clone();
        let replaces = replaced(&guard.catalog(), out)?;
        let options = match (&replaces, &out.time_series) {
            (Some(there), _) => there.options.clone(),
            (None, Some(series)) => time_series(series.as_doc(), &target)?,
            (None, None) => DocBuf::new(),
        };
        let namespace = format!("tmp.agg_out.{}", uuid_text(&new_uuid()));
        let namespace = Namespace::new(target.db(), &namespace);
        if check_db(target.db()).is_err() {
            let message = format!("{PREFIX}Invalid namespace: {namespace}");
            return Err(Error::new(Code::INVALID_NAMESPACE, message));
        }
        let mut temporary = DocWriter::new();
        temporary.extend(options.as_doc());
        temporary.bool("temp", true);
        let indexes = replaces.as_ref().map(|there| specs(there)).unwrap_or_default();
        let (shared, temporary) = (context.shared, temporary.finish());
        let made = create_with_indexes(shared, &mut guard, &namespace, temporary, &indexes);
        let collection = made.map_err(|error| error.with_prefix(PREFIX))?;
        Ok(Making { collection, target, options, replaces })
    }

    /// Reads from views of the data that follow the pipeline, so that none of them is held for long.
    fn fill<'a>(
        &self,
        context: &mut Context<'a>,
        mut run: Run<'a>,
        mut stage: Box<dyn Stage>,
    ) -> Result<()> {
        let unvalidated = context.fields().loose_bool("bypassDocumentValidation")?;
        loop {
            let documents = batch(stage.as_mut(), &run)?;
            if documents.is_empty() {
                return Ok(());
            }
            let mut guard = writer(context)?;
            self.find(&guard.catalog())?;
            guard.unvalidated = unvalidated.unwrap_or(false);
            let mut place = Place::new(&self.collection.namespace);
            for document in &documents {
                let document = document.as_doc();
                insert_one(context, &mut guard, &mut place, document, &mut None, 0)?;
            }
            context.wrote(guard.last());
            drop(guard);
            yielded(context);
            if !context.reads_one_moment() {
                run = Run::now(context.shared, context.interrupt())?.with_disk_use(run.disk_use());
            }
        }
    }

    /// The temporary collection as it is now.
    fn find(&self, catalog: &Catalog) -> Result<Arc<Collection>> {
        let (old, namespace) = (&self.collection, &self.collection.namespace);
        let now = catalog.collection(namespace.db(), namespace.collection());
        now.filter(|now| now.id == old.id).cloned().ok_or_else(|| collection_dropped(old))
    }

    /// Gives the collection its name and its options, in the place of what has that name.
    fn finish(&self, context: &mut Context<'_>) -> Result<()> {
        let mut guard = writer(context)?;
        let catalog = guard.catalog();
        let source = self.find(&catalog)?;
        self.check_unchanged(&catalog).map_err(|error| {
            error.with_prefix("Failed to rename temporary $out collection :: caused by :: ")
        })?;
        let target = catalog.collection(self.target.db(), self.target.collection());
        let renamed = source.with_options(self.options.clone());
        let (namespace, plans) = (self.target.clone(), Arc::default());
        let renamed = Collection { namespace, plans, ..renamed };
        rename(&mut guard, &source, renamed, target.map(|target| &**target))?;
        context.wrote(guard.last());
        Ok(())
    }

    fn check_unchanged(&self, catalog: &Catalog) -> Result<()> {
        let target = &self.target;
        let named = check_name(target).and_then(|()| Namespace::parse(target.as_str()));
        if let Err(error) = named {
            let message = format!("error with target namespace: {}", error.message());
            return Err(Error::new(Code::ILLEGAL_OPERATION, message));
        }
        if catalog.view(target.db(), target.collection()).is_some() {
            let message = format!("a view already exists with that name: {target}");
            return Err(Error::new(Code::NAMESPACE_EXISTS, message));
        }
        let now = catalog.collection(target.db(), target.collection());
        let options = |it: Option<&Arc<Collection>>| {
            it.map(|there| there.options.clone()).unwrap_or_default()
        };
        let (old, new) = (options(self.replaces.as_ref()), options(now));
        if old != new {
            let message = format!(
                "collection options of target collection {target} changed during processing. Original options: {}, new options: {}",
                document_text(old.as_doc()),
                document_text(new.as_doc())
            );
            return Err(Error::new(Code::COMMAND_FAILED, message));
        }
        let names = |it: Option<&Arc<Collection>>| {
            let mut specs = it.map(|there| specs(there)).unwrap_or_default();
            specs.sort_by(|one, other| one.as_doc().as_bytes().cmp(other.as_doc().as_bytes()));
            specs
        };
        if names(self.replaces.as_ref()) != names(now) {
            let message =
                format!("indexes of target collection {target} changed during processing.");
            return Err(Error::new(Code::COMMAND_FAILED, message));
        }
        Ok(())
    }

    fn discard(&self, guard: &mut WriteGuard<'_>) -> Result<()> {
        match self.find(&guard.catalog()) {
            Ok(there) => drop_collection(guard, &there),
            Err(_) => Ok(()),
        }
    }
}

fn writer<'a>(context: &Context<'a>) -> Result<WriteGuard<'a>> {
    let message = "$out runs on a thread that may not wait";
    context.write()?.ok_or_else(|| Error::new(Code::INTERNAL_ERROR, message))
}

/// The collection that is replaced, if one is.
fn replaced(catalog: &Catalog, out: &Out) -> Result<Option<Arc<Collection>>> {
    let target = &out.target;
    let there = catalog.collection(target.db(), target.collection());
    let is_series = there.is_some_and(|there| there.settings.time_series.is_some());
    let is_view = catalog.view(target.db(), target.collection()).is_some();
    if out.time_series.is_some() && (is_view || (there.is_some() && !is_series)) {
        let message =
            "Cannot create a time-series collection from a non time-series collection or view.";
        return Err(Error::location(7_268_700, message));
    }
    catalog.refuse_view(target)?;
    let Some(there) = there else { return Ok(None) };
    if there.settings.capped.is_some() {
        let message = format!("namespace '{target}' is capped so it can't be used for $out");
        return Err(Error::location(17152, message));
    }
    if let Some(asked) = &out.time_series {
        let found = there.options.as_doc().get("timeseries").and_then(Raw::as_doc);
        let wanted = time_series(asked.as_doc(), target)?;
        if wanted.as_doc().get("timeseries").and_then(Raw::as_doc) != found {
            let message = format!(
                "Time-series options inputted must match the existing time-series collection. Received: {}Found: timeseries: {}",
                document_text(asked.as_doc()),
                document_text(found.unwrap_or(Doc::EMPTY))
            );
            return Err(Error::location(7_406_103, message));
        }
    }
    Ok(Some(there.clone()))
}

/// The options of a collection that is a time series.
fn time_series(series: Doc<'_>, target: &Namespace) -> Result<DocBuf> {
    let mut create = DocWriter::new();
    create.doc("timeseries", series);
    options::parse(Fields::new(create.finish().as_doc(), "create"), target)
}

/// The specifications of a collection's indexes as the one that replaces it has them: the simple collation is named.
fn specs(collection: &Collection) -> Vec<DocBuf> {
    let spec = |spec: Doc<'_>, named: bool| {
        let mut out = DocWriter::new();
        out.extend(spec);
        if named && spec.get("collation").is_none() {
            out.document("collation", |collation| collation.str("locale", "simple"));
        }
        out.finish()
    };
    let plain = collection.settings.time_series.is_none();
    let indexes = collection.indexes.iter();
    indexes.map(|index| spec(index.spec.as_doc(), plain && !index.clustered)).collect()
}
