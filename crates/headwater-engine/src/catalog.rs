//! Which databases, collections, views and indexes there are: the in-memory picture, replaced as a whole at every change, and
//! how it is kept in the store. Knows nothing of documents and commands.

pub mod building;
mod records;
mod settings;
pub mod view;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

pub use records::{key_of, key_of_view, load, store_collection, store_view};
pub use settings::{Capped, Settings, TimeSeries};

use crate::bson::{Doc, DocBuf, DocWriter};
use crate::collation::Collation;
use crate::index::Index;
use crate::namespace::Namespace;
use crate::query::plan::cache::PlanCache;
use building::Building;
use view::View;

/// The store's tables that the engine uses.
pub mod tables {
    use headwater_store::Table;
    /// Collections and their indexes, and the node's own record.
    pub const CATALOG: Table = Table(0);
    /// Collection id, record id -> document.
    pub const DOCUMENTS: Table = Table(1);
    /// Index id, encoded key (, record id) -> record id.
    pub const INDEX: Table = Table(2);
    /// Sessions: what retryable writes have done.
    pub const SESSIONS: Table = Table(3);
}

/// All collections at one moment. Never changed in place.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    databases: BTreeMap<Arc<str>, Database>,
}

/// What one database holds, by name.
#[derive(Debug, Clone, Default)]
struct Database {
    collections: BTreeMap<Arc<str>, Arc<Collection>>,
    views: BTreeMap<Arc<str>, Arc<View>>,
}

/// One collection: identity, options, indexes, and figures that are kept up while it is written.
#[derive(Debug, Clone)]
pub struct Collection {
    /// The number that its documents' keys start with. Never used twice.
    pub id: u32,
    /// Where it is found.
    pub namespace: Namespace,
    /// Its UUID.
    pub uuid: [u8; 16],
    /// The options it was created with.
    pub options: DocBuf,
    /// What the options mean.
    pub settings: Arc<Settings>,
    /// Its indexes, `_id_` first.
    pub indexes: Vec<Arc<Index>>,
    /// The indexes that are being built, which only writers see.
    pub building: Vec<Arc<Building>>,
    /// Figures shared by all versions of the collection.
    pub figures: Arc<Figures>,
    /// Which indexes served its queries, shared by all versions too.
    pub plans: Arc<PlanCache>,
}

/// What is counted about a collection. Exact once loaded; kept by the writer alone.
#[derive(Debug, Default)]
pub struct Figures {
    /// Whether the other figures were read from the store.
    pub loaded: AtomicBool,
    /// Documents.
    pub documents: AtomicI64,
    /// Bytes of all documents.
    pub bytes: AtomicI64,
    /// The record id that the next insert takes.
    pub next_record: AtomicU64,
    /// No document of a capped collection has a lower record id.
    pub first_record: AtomicU64,
}

impl Figures {
    /// The figures of a collection that has no documents.
    pub fn empty() -> Figures {
        Figures {
            loaded: AtomicBool::new(true),
            next_record: AtomicU64::new(1),
            ..Figures::default()
        }
    }

    /// Whether documents and bytes are known.
    pub fn is_loaded(&self) -> bool {
        self.loaded.load(Ordering::Acquire)
    }

    /// Documents and bytes.
    pub fn get(&self) -> (i64, i64) {
        (self.documents.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }
}

impl Catalog {
    /// The collection of a namespace.
    pub fn collection(&self, db: &str, collection: &str) -> Option<&Arc<Collection>> {
        self.databases.get(db)?.collections.get(collection)
    }

    /// The collections of a database, by name.
    pub fn collections(&self, db: &str) -> impl Iterator<Item = &Arc<Collection>> {
        self.databases.get(db).into_iter().flat_map(|database| database.collections.values())
    }

    /// The view of a namespace.
    pub fn view(&self, db: &str, name: &str) -> Option<&Arc<View>> {
        self.databases.get(db)?.views.get(name)
    }

    /// The views of a database, by name.
    pub fn views(&self, db: &str) -> impl Iterator<Item = &Arc<View>> {
        self.databases.get(db).into_iter().flat_map(|database| database.views.values())
    }

    /// The collection with that id.
    pub fn by_id(&self, id: u32) -> Option<&Arc<Collection>> {
        self.databases
            .values()
            .flat_map(|database| database.collections.values())
            .find(|c| c.id == id)
    }

    /// The names of the databases that hold a collection or a view.
    pub fn databases(&self) -> impl Iterator<Item = &Arc<str>> {
        self.databases.keys()
    }

    /// A database whose name differs from `db` in letter case only.
    pub fn differing_case(&self, db: &str) -> Option<&Arc<str>> {
        self.databases.keys().find(|name| &***name != db && name.eq_ignore_ascii_case(db))
    }

    /// A catalog with that collection added or replaced.
    #[must_use]
    pub fn with(&self, collection: Collection) -> Catalog {
        let mut next = self.clone();
        let namespace = collection.namespace.clone();
        let database = next.databases.entry(namespace.db().into()).or_default();
        database.collections.insert(namespace.collection().into(), Arc::new(collection));
        next
    }

    /// A catalog with that view added or replaced.
    #[must_use]
    pub fn with_view(&self, view: View) -> Catalog {
        let mut next = self.clone();
        let namespace = view.namespace.clone();
        let database = next.databases.entry(namespace.db().into()).or_default();
        database.views.insert(namespace.collection().into(), Arc::new(view));
        next
    }

    /// A catalog without the collection or view of that name.
    #[must_use]
    pub fn without(&self, namespace: &Namespace) -> Catalog {
        let mut next = self.clone();
        if let Some(database) = next.databases.get_mut(namespace.db()) {
            database.collections.remove(namespace.collection());
            database.views.remove(namespace.collection());
            if database.collections.is_empty() && database.views.is_empty() {
                next.databases.remove(namespace.db());
            }
        }
        next
    }
}

impl Collection {
    /// The `_id` index; a time series has none.
    pub fn id_index(&self) -> Option<&Arc<Index>> {
        self.indexes.first().filter(|index| index.is_id())
    }

    /// How many indexes it has as MongoDB counts: the order of a clustered collection is none.
    pub fn index_count(&self) -> usize {
        self.indexes.iter().filter(|index| !index.clustered).count()
    }

    /// The same collection with other options.
    #[must_use]
    pub fn with_options(&self, options: DocBuf) -> Collection {
        let settings = Arc::new(Settings::of(options.as_doc()));
        Collection { options, settings, ..self.clone() }
    }

    /// The collation of what is asked of it without one.
    pub fn collation(&self) -> Option<&Arc<Collation>> {
        self.settings.collation.as_ref()
    }

    /// The index of that name.
    pub fn index(&self, name: &str) -> Option<&Arc<Index>> {
        self.indexes.iter().find(|index| index.name == name)
    }

    /// Its row in `listCollections`.
    pub fn describe(&self, name_only: bool) -> DocBuf {
        let mut row = DocWriter::new();
        row.str("name", self.namespace.collection());
        let kind = if self.settings.time_series.is_some() { "timeseries" } else { "collection" };
        row.str("type", kind);
        if !name_only {
            row.doc("options", self.options.as_doc());
            row.document("info", |info| {
                info.bool("readOnly", false);
                info.binary("uuid", 4, &self.uuid);
            });
            if let Some(index) = self.id_index().filter(|index| !index.clustered) {
                row.doc("idIndex", index.describe().as_doc());
            }
        }
        row.finish()
    }

    /// An index's row in `listIndexes`: that of a clustered collection's order tells when documents expire, and the
    /// collation.
    pub fn describe_index(&self, index: &Index) -> DocBuf {
        let row = index.describe();
        if !index.clustered {
            return row;
        }
        let mut out = DocWriter::new();
        for element in row.as_doc() {
            if element.name == b"clustered" {
                match self.settings.expire_after_s.map(|after_s| (i32::try_from(after_s), after_s))
                {
                    Some((Ok(after_s), _)) => out.i32("expireAfterSeconds", after_s),
                    Some((Err(_), after_s)) => out.i64("expireAfterSeconds", after_s),
                    None => {}
                }
                if let Some(collation) = self.collation() {
                    out.doc("collation", collation.spec());
                }
            }
            out.raw_bytes(element.name, element.value);
        }
        out.finish()
    }

    /// Whether it was created with these options.
    pub fn same_options(&self, options: Doc<'_>) -> bool {
        self.options.as_doc() == options
    }
}
