//! Building indexes beside writers. Knows nothing of how they were asked for.
//!
//! From its first moment an index that is being built is kept up by writers, and no reader sees it. The documents that
//! are there are read in stretches, each from a snapshot of its own; their entries are sorted, then added in the order of
//! their keys, chunk by chunk, writers in between. What a writer has changed since the beginning is left out there and
//! completed at the end, from the document as it is then. A build that ends otherwise, by a crash too, leaves an orphan.

use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use headwater_store::{Direction, Operation, Read};

use super::super::Context;
use super::super::create::new_uuid;
use super::LOOK_EVERY;
use super::entries::{Entries, Ordered};
use crate::bson::{Doc, DocBuf, DocWriter};
use crate::catalog::building::Building;
use crate::catalog::{Collection, store_collection, tables};
use crate::change::event::{EventWriter, Kind};
use crate::collection::building::{complete, other_holder};
use crate::collection::{RecordId, document_key, duplicate_key, note_keys, put_entry, record_of};
use crate::engine::{WriteGuard, now_ms, store_node};
use crate::error::{Code, Error, Result};
use crate::fail_point::Point;
use crate::housekeeping::{Orphan, forget_orphan, note_orphan};
use crate::index::keys::keys;
use crate::index::{Index, index_of};
use crate::limits::INDEX_BUILD_BYTES_MAX;
use crate::object_id::uuid_text;

/// Entries that one operation adds.
const CHUNK: usize = 1000;
/// Documents that are read from one snapshot.
const STRETCH: usize = 10_000;
/// Bytes of documents that are read from one snapshot.
const STRETCH_BYTES: usize = 16 << 20;
/// Time between two lines in the log.
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// Makes new indexes of a collection and gives the sequence number of the last operation. On an error nothing is left of
/// them.
///
/// # Errors
/// Those of the keys: `DuplicateKey` (11000), `CannotIndexParallelArrays` (171); `IndexBuildAborted` (276) if the index
/// or its collection was dropped meanwhile; the interruptions of a command; those of the store.
pub(super) fn build<'s, 'a>(
    context: &Context<'a>,
    mut guard: WriteGuard<'a>,
    collection: &Arc<Collection>,
    specs: impl Iterator<Item = Doc<'s>>,
) -> Result<Option<u64>> {
    let new = specs.map(|spec| {
        let index = index_of(guard.new_id(), spec);
        let index = index.map(|index| index.in_order_of_id(collection.settings.clustered));
        index.map(Arc::new).ok_or_else(|| {
            Error::new(Code::INTERNAL_ERROR, "a checked index specification does not parse")
        })
    });
    let new: Vec<Arc<Index>> = new.collect::<Result<_>>()?;
    if collection.figures.next_record.load(Ordering::Relaxed) <= 1 {
        publish(context, &mut guard, collection, &new, None)?;
        return Ok(guard.last());
    }
    let publish = |guard: &mut WriteGuard<'_>, now: &Arc<Collection>, done: &Done<'_>| {
        publish(context, guard, now, &done.indexes(), Some(done.orphan))
    };
    build_as(context, guard, collection, new, publish)
}

/// What has been built.
pub(in crate::commands) struct Done<'b> {
    building: &'b [Arc<Building>],
    /// Is to be forgotten with the operation that makes the indexes known.
    pub(in crate::commands) orphan: &'b Orphan,
}

impl Done<'_> {
    fn indexes(&self) -> Vec<Arc<Index>> {
        self.building.iter().map(|building| building.index.clone()).collect()
    }

    /// A collection where they are no longer under way.
    pub(in crate::commands) fn end(&self, collection: &mut Collection) {
        let is_done = |one: &Arc<Building>| self.building.iter().any(|done| done.uuid == one.uuid);
        collection.building.retain(|building| !is_done(building));
    }
}

/// Builds indexes of a collection beside writers; `publish` makes them known to everybody, and ends the build in the collection as
/// it is then. Gives the sequence number of the last operation.
///
/// # Errors
/// As [`build`], and those of `publish`.
pub(in crate::commands) fn build_as<'a>(
    context: &Context<'a>,
    guard: WriteGuard<'a>,
    collection: &Arc<Collection>,
    new: Vec<Arc<Index>>,
    publish: impl FnOnce(&mut WriteGuard<'_>, &Arc<Collection>, &Done<'_>) -> Result<()>,
) -> Result<Option<u64>> {
    let mut build = Build::begin(context, guard, collection, new)?;
    let built = build.run(publish);
    build.is_done = built.is_ok();
    built.map_err(|error| {
        let code = error.code().0;
        tracing::info!(build = uuid_text(&build.uuid), code, "an index build has failed");
        error.with_prefix(format!(
            "Index build failed: {}: Collection {} ( {} ) :: caused by :: ",
            uuid_text(&build.uuid),
            collection.namespace,
            uuid_text(&collection.uuid)
        ))
    })
}

/// Makes indexes known to everybody.
fn publish(
    context: &Context<'_>,
    guard: &mut WriteGuard<'_>,
    collection: &Collection,
    new: &[Arc<Index>],
    orphan: Option<&Orphan>,
) -> Result<()> {
    let is_new = |building: &Arc<Building>| new.iter().any(|index| index.id == building.index.id);
    let mut grown = collection.clone();
    grown.indexes.extend(new.iter().cloned());
    grown.building.retain(|building| !is_new(building));
    let namespace = &collection.namespace;
    let mut event =
        EventWriter::new(Kind::CreateIndexes, namespace, Some(&collection.uuid), now_ms());
    let mut detail = DocWriter::new();
    detail.array("indexes", |rows| new.iter().for_each(|index| rows.doc(index.spec.as_doc())));
    event.detail(detail.finish().as_doc());
    let (term, next_id) = (context.shared.node.term, guard.next_id());
    guard.operation(&mut None, 0, Default::default(), event, |op| {
        store_node(op, term, next_id)?;
        orphan.map_or(Ok(()), |orphan| forget_orphan(op, orphan))?;
        store_collection(op, &grown)
    })?;
    guard.set_catalog(guard.catalog().with(grown));
    Ok(())
}

/// A build under way.
struct Build<'c, 'a> {
    context: &'c Context<'a>,
    collection: Arc<Collection>,
    uuid: [u8; 16],
    indexes: Vec<Arc<Building>>,
    orphan: Orphan,
    /// The first record id that is not the build's business.
    end: RecordId,
    started: Instant,
    reported: Instant,
    /// Whether the indexes are there. If they are not, nothing is left of them when this is dropped.
    is_done: bool,
}

impl<'c, 'a> Build<'c, 'a> {
    /// Notes the indexes' numbers as an orphan's and lets writers keep the indexes up from now on.
    fn begin(
        context: &'c Context<'a>,
        mut guard: WriteGuard<'a>,
        collection: &Collection,
        new: Vec<Arc<Index>>,
    ) -> Result<Build<'c, 'a>> {
        let (uuid, end) = (new_uuid(), collection.figures.next_record.load(Ordering::Relaxed));
        let names: Vec<&str> = new.iter().map(|index| &*index.name).collect();
        let orphan = Orphan::indexes(new.iter().map(|index| &**index))
            .of_build(&collection.namespace, &names.join(", "));
        let building = |index| Arc::new(Building::new(index, uuid, end));
        let indexes: Vec<_> = new.into_iter().map(building).collect();
        let mut watched = collection.clone();
        watched.building.extend(indexes.iter().cloned());
        let (term, next_id) = (context.shared.node.term, guard.next_id());
        let namespace = &collection.namespace;
        let event = EventWriter::new(Kind::Internal, namespace, Some(&collection.uuid), now_ms());
        guard.operation(&mut None, 0, Default::default(), event, |op| {
            store_node(op, term, next_id)?;
            note_orphan(op, &orphan)
        })?;
        guard.set_catalog(guard.catalog().with(watched));
        let collection =
            guard.catalog().collection(namespace.db(), namespace.collection()).cloned();
        let collection = collection.ok_or_else(|| aborted(&uuid))?;
        let (started, reported) = (Instant::now(), Instant::now());
        let is_done = false;
        Ok(Build { context, collection, uuid, indexes, orphan, end, started, reported, is_done })
    }

    fn run(
        &mut self,
        publish: impl FnOnce(&mut WriteGuard<'_>, &Arc<Collection>, &Done<'_>) -> Result<()>,
    ) -> Result<Option<u64>> {
        let names: Vec<_> = self.indexes.iter().map(|building| &*building.index.name).collect();
        let (namespace, names) = (self.collection.namespace.to_string(), names.join(", "));
        let build = uuid_text(&self.uuid);
        tracing::info!(namespace, indexes = names, build, "an index build begins");
        self.hang(Point::BuildBegun)?;
        let (documents, all) = self.scan()?;
        let scanned = self.started.elapsed();
        let total: u64 = all.iter().map(Entries::count).sum();
        let mut guard = self.hold()?;
        let mut left = total;
        for (building, entries) in self.indexes.clone().iter().zip(all) {
            let mut sorted = entries.sorted()?;
            while self.add_some(&mut guard, building, &mut sorted)? {
                left = left.saturating_sub(CHUNK as u64);
                self.pause(&mut guard)?;
                let message = "Index Build: inserting keys from external sorter into index";
                self.report(message, total - left, total);
            }
        }
        drop(guard);
        self.hang(Point::BuildFilled)?;
        let mut guard = self.hold()?;
        for building in self.indexes.clone() {
            self.complete(&mut guard, &building)?;
        }
        let collection = self.check(&guard)?;
        let done = Done { building: &self.indexes, orphan: &self.orphan };
        publish(&mut guard, &collection, &done)?;
        let last = guard.last();
        drop(guard);
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (scan_ms, ms) = (millis(scanned), millis(self.started.elapsed()));
        tracing::info!(
            namespace,
            indexes = names,
            build,
            documents,
            entries = total,
            scan_ms,
            ms,
            "an index build is done"
        );
        Ok(last)
    }

    /// Reads all documents from before the beginning; gives how many there were, and the entries of each index.
    fn scan(&mut self) -> Result<(u64, Vec<Entries>)> {
        let each = INDEX_BUILD_BYTES_MAX / self.indexes.len().max(1);
        let empty = |_| Entries::new(each, &self.context.shared.spill);
        let mut all: Vec<Entries> = self.indexes.iter().map(empty).collect();
        let figures = &self.collection.figures;
        let known = u64::try_from(figures.get().0).ok().filter(|_| figures.is_loaded());
        let total = known.unwrap_or(self.end - 1);
        let (mut next, mut documents) = (0, 0);
        while next < self.end {
            self.context.interrupt().check()?;
            self.context.shared.check_open()?;
            self.find(&self.context.shared.catalog())?;
            let read = self.context.shared.store.snapshot()?;
            next = self.scan_some(&read, next, &mut all, &mut documents)?;
            self.report("Index Build: scanning collection", documents, total.max(documents));
        }
        Ok((documents, all))
    }

    /// Reads a stretch from a record id on; gives where to go on.
    fn scan_some(
        &self,
        read: &dyn Read,
        from: RecordId,
        all: &mut [Entries],
        documents: &mut u64,
    ) -> Result<RecordId> {
        let id = self.collection.id;
        let (lower, upper) = (document_key(id, from), document_key(id, self.end));
        let (lower, upper) = (Bound::Included(&lower[..]), Bound::Excluded(&upper[..]));
        let mut cursor = read.range(tables::DOCUMENTS, lower, upper, Direction::Forward)?;
        let (mut count, mut bytes) = (0, 0);
        while let Some((key, doc)) = cursor.next()? {
            let record = record_of(key).unwrap_or_default();
            for (building, entries) in self.indexes.iter().zip(&mut *all) {
                let keys = keys(&building.index, Doc::trusted(doc))?;
                note_keys(&building.index, &keys);
                keys.keys.iter().try_for_each(|key| entries.push(key, &keys.types, record))?;
            }
            (count, bytes) = (count + 1, bytes + doc.len());
            if count >= STRETCH || bytes >= STRETCH_BYTES {
                *documents += count as u64;
                return Ok(record + 1);
            }
        }
        *documents += count as u64;
        Ok(self.end)
    }

    /// Adds a chunk of entries; `false` if these were the last ones.
    fn add_some(
        &self,
        guard: &mut WriteGuard<'_>,
        building: &Building,
        sorted: &mut Ordered,
    ) -> Result<bool> {
        let index = &building.index;
        let foreign = building.has_foreign_entries();
        let mut last = Vec::new();
        self.operation(guard, |op| {
            building.with_touched(|touched| {
                for _ in 0..CHUNK {
                    let Some((key, types, record)) = sorted.next()? else { return Ok(false) };
                    if touched.has(record) {
                        continue;
                    }
                    // Only the key before it, or a writer, can have taken a key.
                    if index.unique && (foreign || last.is_empty() || last == key) {
                        self.check_unique(op, index, key, record)?;
                    }
                    put_entry(op, index, key, types, record)?;
                    last.clear();
                    last.extend_from_slice(key);
                }
                Ok(true)
            })
        })
    }

    fn check_unique(
        &self,
        op: &Operation<'_, '_>,
        index: &Index,
        key: &[u8],
        record: RecordId,
    ) -> Result<()> {
        if other_holder(op, index, key, record)?.is_none() {
            return Ok(());
        }
        let doc = self.document(op, record)?.unwrap_or_default();
        Err(duplicate_key(&self.collection, index, key, doc.as_doc()))
    }

    /// Adds what is missing of the documents that writers have changed. What they change from now on they keep up.
    fn complete(&mut self, guard: &mut WriteGuard<'a>, building: &Building) -> Result<()> {
        let records: Vec<RecordId> = building.with_touched(|touched| touched.iter().collect());
        for (at, some) in records.chunks(CHUNK).enumerate() {
            self.operation(guard, |op| {
                for record in some {
                    if let Some(doc) = self.document(op, *record)? {
                        complete(op, &self.collection, &building.index, *record, doc.as_doc())?;
                    }
                }
                Ok(())
            })?;
            if some.len() == CHUNK {
                self.pause(guard)?;
                let done = ((at + 1) * CHUNK) as u64;
                let message = "Index Build: draining writes received during build";
                self.report(message, done, records.len() as u64);
            }
        }
        Ok(())
    }

    fn document(&self, read: &dyn Read, record: RecordId) -> Result<Option<DocBuf>> {
        let found = read.get(tables::DOCUMENTS, &document_key(self.collection.id, record))?;
        Ok(found.map(|bytes| Doc::trusted(bytes).to_buf()))
    }

    fn operation<T>(
        &self,
        guard: &mut WriteGuard<'_>,
        change: impl FnOnce(&mut Operation<'_, '_>) -> Result<T>,
    ) -> Result<T> {
        let (namespace, uuid) = (&self.collection.namespace, &self.collection.uuid);
        let event = EventWriter::new(Kind::Internal, namespace, Some(uuid), now_ms());
        guard.operation(&mut None, 0, Default::default(), event, change)
    }

    /// Waits as long as a fail point is on.
    fn hang(&self, point: Point) -> Result<()> {
        let shared = self.context.shared;
        while shared.options.test_commands && shared.fail_points.is_on(point) {
            self.context.interrupt().check()?;
            shared.check_open()?;
            self.find(&shared.catalog())?;
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// The right to write, with the build still wanted.
    fn hold(&self) -> Result<WriteGuard<'a>> {
        let guard = self.context.write()?.ok_or_else(|| {
            Error::new(Code::INTERNAL_ERROR, "a build of an index runs where it may not wait")
        })?;
        self.check(&guard)?;
        Ok(guard)
    }

    /// Lets writers in between.
    fn pause(&self, guard: &mut WriteGuard<'a>) -> Result<()> {
        self.context.interrupt().check()?;
        guard.let_others_in()?;
        if let Some(running) = &self.context.running {
            running.operation().yielded();
        }
        self.check(guard).map(drop)
    }

    /// The collection as it is now.
    ///
    /// # Errors
    /// What ends the build.
    fn check(&self, guard: &WriteGuard<'_>) -> Result<Arc<Collection>> {
        self.find(&guard.catalog())
    }

    fn find(&self, catalog: &crate::catalog::Catalog) -> Result<Arc<Collection>> {
        if let Some(error) = self.indexes.iter().find_map(|building| building.failure()) {
            return Err(error);
        }
        let namespace = &self.collection.namespace;
        let now = catalog.collection(namespace.db(), namespace.collection());
        let now = now.filter(|now| now.id == self.collection.id && now.builds(&self.uuid));
        now.cloned().ok_or_else(|| aborted(&self.uuid))
    }

    /// Tells whoever asks, and now and then the log, how far it is.
    fn report(&mut self, message: &'static str, done: u64, total: u64) {
        if let Some(running) = &self.context.running {
            running.operation().progresses(message, done, total);
        }
        if self.reported.elapsed() >= REPORT_EVERY {
            self.reported = Instant::now();
            let namespace = self.collection.namespace.to_string();
            let build = uuid_text(&self.uuid);
            tracing::info!(namespace, build, done, total, "{message}");
        }
    }
}

/// What was built so far is left as an orphan, however the build ended.
impl Drop for Build<'_, '_> {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        // While the engine is being closed the orphan stays noted: it goes when it is opened again.
        let Ok(mut guard) = self.context.shared.write() else { return };
        let catalog = guard.catalog();
        let (db, name) = (self.collection.namespace.db(), self.collection.namespace.collection());
        if let Some(now) = catalog.collection(db, name).filter(|now| now.builds(&self.uuid)) {
            let mut without = Collection::clone(now);
            without.building.retain(|building| building.uuid != self.uuid);
            guard.set_catalog(catalog.with(without));
        }
        guard.leave_orphan(self.orphan.clone());
    }
}

#[cold]
fn aborted(build: &[u8; 16]) -> Error {
    let message = format!("Index build aborted: {}", uuid_text(build));
    Error::new(Code::INDEX_BUILD_ABORTED, message)
}
