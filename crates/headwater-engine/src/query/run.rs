//! One operation's view of the database: a catalog, a snapshot, what may interrupt it. What running stages ask of the engine.

use std::path::Path;
use std::sync::Arc;

use headwater_store::{Read, Snapshot};

use super::crew::{Crew, Share, Walk};
use super::exec::{Environment, Ready, Stage};
use super::plan;
use super::scan::{Scan, Visit};
use crate::aggregate::expressions::Scope;
use crate::aggregate::pipeline::{self, Pipeline};
use crate::bson::{Array, ArrayWriter, Doc, DocBuf};
use crate::catalog::Catalog;
use crate::catalog::view::Resolved;
use crate::collation::ValueOrder;
use crate::collection::load_figures;
use crate::commands::explain::cached::rows as rows_of_cache;
use crate::engine::operations::{Interrupt, Wanted, rows};
use crate::engine::snapshots::Lent;
use crate::engine::{Shared, now_ms};
use crate::error::{Code, Error, Result};
use crate::namespace::Namespace;
use crate::sizes::Sizes;
use crate::status::host_name;

/// A view of one moment.
pub struct Run<'a> {
    /// The engine.
    pub shared: &'a Shared,
    /// What collections there are.
    pub catalog: Arc<Catalog>,
    read: View<'a>,
    interrupt: Interrupt,
    disk_use: bool,
}

enum View<'a> {
    Snapshot(Snapshot),
    Lent(Lent),
    Writer(&'a dyn Read),
}

impl<'a> Run<'a> {
    /// A view of now.
    ///
    /// # Errors
    /// Those of the store.
    pub fn now(shared: &'a Shared, interrupt: impl Into<Interrupt>) -> Result<Run<'a>> {
        let (catalog, snapshot) = shared.read()?;
        let interrupt = interrupt.into();
        Ok(Run { shared, catalog, read: View::Snapshot(snapshot), interrupt, disk_use: true })
    }

    /// A view of a moment that reads share.
    pub fn at(shared: &'a Shared, moment: Lent, interrupt: impl Into<Interrupt>) -> Run<'a> {
        let (catalog, interrupt) = (Arc::clone(&moment.catalog), interrupt.into());
        Run { shared, catalog, read: View::Lent(moment), interrupt, disk_use: true }
    }

    /// The view of a writer's operation: what it has changed so far included.
    pub fn writing(
        shared: &'a Shared,
        catalog: Arc<Catalog>,
        read: &'a dyn Read,
        interrupt: impl Into<Interrupt>,
    ) -> Run<'a> {
        let interrupt = interrupt.into();
        Run { shared, catalog, read: View::Writer(read), interrupt, disk_use: true }
    }

    /// The same view for an operation whose sorts may use the disk, or may not.
    #[must_use]
    pub fn with_disk_use(self, disk_use: bool) -> Run<'a> {
        Run { disk_use, ..self }
    }

    /// Whether sorts may use the disk.
    pub fn disk_use(&self) -> bool {
        self.disk_use
    }

    /// The sequence number up to which the view shows everything; 0 where that is not known.
    pub fn seq(&self) -> u64 {
        match &self.read {
            View::Snapshot(snapshot) => snapshot.seq(),
            View::Lent(moment) => moment.time,
            View::Writer(_) => 0,
        }
    }

    /// The cluster time of the moment, if it is one that reads share.
    pub fn cluster_time(&self) -> Option<u64> {
        match &self.read {
            View::Lent(moment) => Some(moment.time),
            View::Snapshot(_) | View::Writer(_) => None,
        }
    }

    /// The bytes.
    pub fn store(&self) -> &dyn Read {
        match &self.read {
            View::Snapshot(snapshot) => snapshot,
            View::Lent(moment) => &*moment.snapshot,
            View::Writer(read) => *read,
        }
    }
}

impl Run<'_> {
    /// The documents of a view, restricted by a filter.
    fn open_view(
        &self,
        view: &Resolved,
        filter: Doc<'_>,
        order: &ValueOrder,
    ) -> Result<Box<dyn Stage>> {
        if order.collation().map(|asked| asked.spec()) != view.collation() {
            let message = format!("Cannot override a view's default collation{}", view.namespace);
            return Err(Error::new(Code::OPTION_NOT_SUPPORTED_ON_VIEW, message));
        }
        let mut more = ArrayWriter::new();
        if !filter.is_empty() {
            more.document(|stage| stage.doc("$match", filter));
        }
        let stages = view.with(Array::trusted(&more.into_bytes()));
        let mut scope = Scope::new(None, now_ms())?.with_collation(order.collation().cloned());
        scope = scope.with_cluster_time(self.shared.store.last());
        let base = &view.base;
        let mut around = pipeline::Context::new(&mut scope, base.db(), Some(base.collection()));
        let pipeline = Pipeline::parse(Array::trusted(&stages), &mut around)?;
        if pipeline.split_described().is_some() {
            let what = format!("$meta in the view {}, which is joined", view.namespace);
            return Err(Error::not_supported(what));
        }
        if let Some(rows) = self.catalog.definitions(base) {
            return Ok(pipeline.build(Box::new(Ready::new(rows))));
        }
        let filter = pipeline.leading_filter();
        Ok(pipeline.build(self.open(base.db(), base.collection(), filter.as_doc(), order)?))
    }
}

impl Environment for Run<'_> {
    fn check(&self) -> Result<()> {
        self.interrupt.check()
    }

    fn open(
        &self,
        db: &str,
        collection: &str,
        filter: Doc<'_>,
        order: &ValueOrder,
    ) -> Result<Box<dyn Stage>> {
        let namespace = Namespace::new(db, collection);
        if let Some(view) = self.catalog.resolve(&namespace)? {
            return self.open_view(&view, filter, order);
        }
        let Some(collection) = self.catalog.collection(db, collection) else {
            return Ok(Box::new(super::exec::Nothing));
        };
        let scope = Scope::new(None, now_ms())?.with_collation(order.collation().cloned());
        let query = plan::Query::parse(filter, &mut { scope })?;
        Ok(Box::new(super::scan::ScanStage::new(
            plan::choose(self.store(), collection, query)?.plan,
        )))
    }

    fn has_index(&self, db: &str, collection: &str, field: &str, order: &ValueOrder) -> bool {
        let Some(collection) = self.catalog.collection(db, collection) else { return false };
        let collation = order.collation().map(|collation| collation.spec());
        collection.indexes.iter().any(|index| {
            let first = index.key_pattern().first();
            let special = index.sparse || index.hidden || index.partial.is_some();
            let plain = index.hashed.is_none() && index.wildcard.is_none() && !special;
            plain
                && first.is_some_and(|first| first.name == field.as_bytes())
                && index.order.collation().map(|collation| collation.spec()) == collation
        })
    }

    fn sizes(&self, db: &str, collection: &str) -> Result<Option<Sizes>> {
        let Some(collection) = self.catalog.collection(db, collection) else { return Ok(None) };
        if !collection.figures.is_loaded() {
            // Counting needs the writer: nobody may write meanwhile.
            match &self.read {
                View::Snapshot(_) | View::Lent(_) => {
                    load_figures(self.shared.write()?.read()?, collection)?
                }
                View::Writer(read) => load_figures(*read, collection)?,
            }
        }
        Ok(Some(Sizes::of(collection)))
    }

    fn index_uses(&self, db: &str, collection: &str) -> Result<Vec<DocBuf>> {
        let collection = self.catalog.collection(db, collection);
        let indexes = collection.into_iter().flat_map(|collection| &collection.indexes);
        let host = host_name();
        Ok(indexes.filter(|index| !index.clustered).map(|i| i.describe_uses(&host)).collect())
    }

    fn cached_plans(&self, db: &str, collection: &str) -> Result<Option<Vec<DocBuf>>> {
        let collection = self.catalog.collection(db, collection);
        collection.map(|collection| rows_of_cache(self, collection)).transpose()
    }

    fn sessions(&self) -> Result<Vec<([u8; 16], i64)>> {
        Ok(self.shared.sessions.list())
    }

    fn operations(&self, wanted: Wanted) -> Result<Vec<DocBuf>> {
        Ok(rows(self.shared, wanted))
    }

    fn spill_folder(&self) -> Option<&Path> {
        self.disk_use.then_some(&*self.shared.spill)
    }

    fn stage_bytes_max(&self) -> usize {
        self.shared.options.stage_bytes_max
    }

    fn scan_shared(&self, scan: &mut Scan, crew: &dyn Crew) -> Result<bool> {
        // A moment that reads share is too old for others to see it, and the writer's view is its own.
        let View::Snapshot(snapshot) = &self.read else { return Ok(false) };
        let aggregation = &self.shared.options.aggregation;
        let effort = (aggregation.threads, aggregation.parallel_documents_min);
        let interrupt = &self.interrupt;
        // A snapshot is that of one thread: the others take their own, as long as nobody has written since.
        let same = |count: usize| {
            let mut taken = Vec::with_capacity(count);
            for _ in 0..count {
                taken.push(self.shared.store.snapshot()?);
            }
            Ok(taken.iter().all(|other| other.seq() == snapshot.seq()).then_some(taken))
        };
        let crew = Interruptible { crew, interrupt };
        let done = scan.share((snapshot, &same), effort, &|| interrupt.check(), &crew)?;
        if done {
            crate::status::count(&self.shared.status.shared_scans, 1);
        }
        Ok(done)
    }

    fn scan(&self, scan: &mut Scan, visit: &mut Visit<'_>) -> Result<()> {
        scan.run(self.store(), &|| self.check(), visit)
    }
}

/// A crew whose threads can be interrupted inside one document too.
struct Interruptible<'c> {
    crew: &'c dyn Crew,
    interrupt: &'c Interrupt,
}

impl Crew for Interruptible<'_> {
    fn work(&self, share: Share, walk: &mut Walk<'_>) -> bool {
        let _watch = crate::interrupt::watch(self.interrupt.clone());
        self.crew.work(share, walk)
    }

    fn give_up(&self) {
        self.crew.give_up();
    }
}

/// The error of an operation whose time is up.
#[cold]
pub fn time_is_up() -> Error {
    Error::new(Code::MAX_TIME_MS_EXPIRED, "operation exceeded time limit")
}
