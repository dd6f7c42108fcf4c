//! The plan of a query as a tree: what is read, in which order, what is still tested and what is handed on. Knows neither
//! how a plan is chosen nor how it runs; `explain` draws it.

use std::borrow::Cow;
use std::sync::Arc;

use crate::bson::Doc;
use crate::bson::key::Direction;
use crate::catalog::Collection;
use crate::error::Result;
use crate::index::Index;
use crate::query::bounds::Interval;
use crate::query::matcher::Matcher;
use crate::query::path::Path;

/// Where documents come from, which of them are wanted, and what of each.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The collection.
    pub collection: Arc<Collection>,
    /// The way to the documents.
    pub access: Access,
    /// The filter.
    pub matcher: Option<Arc<Matcher>>,
    /// Whether the bounds of the way decide alone: the filter is then tested of documents only whose keys were cut.
    pub exact: bool,
    /// What is handed on of each.
    pub gives: Gives,
    /// Fields of the index, a bit for each, where null stands for an absent value too and the two have to be told apart: a
    /// document whose key holds null there is fetched.
    pub told_apart: u64,
}

/// What a scan hands on of each document that it finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Gives {
    /// The document, fetched.
    #[default]
    Documents,
    /// A document of the fields of the index, made of the key: a covered query.
    Keys,
    /// An empty document: `COUNT_SCAN`.
    Nothing,
    /// One document for each value of one of the index's fields, by its place: `DISTINCT_SCAN`.
    Distinct(usize),
}

/// A way to documents.
#[derive(Debug, Clone)]
pub enum Access {
    /// No document can match.
    Nothing,
    /// All documents in natural order.
    Collection {
        /// Or the reverse of it.
        reverse: bool,
    },
    /// By `_id`: the key of one entry of the `_id` index.
    Id(Vec<u8>),
    /// Through one index, in its order.
    Index(IndexScan),
    /// Through several scans, one behind the other, each document once: `OR`.
    Any(Vec<IndexScan>),
    /// Through several scans side by side that each give the order that is asked for: `SORT_MERGE`.
    Merge(Vec<IndexScan>),
    /// The documents of the last scan that all the others find too: `AND_HASH`.
    All(Vec<IndexScan>),
}

/// Whole keys from the first (included) to the second (excluded).
pub type Range = (Vec<u8>, Vec<u8>);

/// A walk through one index.
#[derive(Debug, Clone)]
pub struct IndexScan {
    /// The index.
    pub index: Arc<Index>,
    /// What is read of it: ascending, without overlap.
    pub ranges: Vec<Range>,
    /// Whether to walk from the last to the first.
    pub reverse: bool,
    /// The bounds of each indexed field, in the order of the key.
    pub fields: Vec<FieldBounds>,
    /// How many leading fields `ranges` holds exactly; keys that are outside the bounds of a later field are leapt over.
    pub ranged: usize,
    /// Bytes at the start of each key that all keys of one range share, so that the rest gives the order of a
    /// [`Access::Merge`].
    pub merged_from: usize,
    /// Whether each range is of one key of a unique index, of which there is one entry at most.
    pub points: bool,
}

/// The bounds of one field of an index.
#[derive(Debug, Clone)]
pub struct FieldBounds {
    /// The field.
    pub path: Path,
    /// Its direction in the index.
    pub direction: Direction,
    /// The encoded values inside, ascending; everything if the filter says nothing of the field. Not yet inverted where
    /// the index is descending.
    pub intervals: Vec<Interval>,
}

impl Plan {
    /// Every document of a collection in natural order.
    pub fn everything(collection: Arc<Collection>) -> Plan {
        let access = Access::Collection { reverse: false };
        Plan {
            collection,
            access,
            matcher: None,
            exact: true,
            gives: Gives::Documents,
            told_apart: 0,
        }
    }

    /// Counts an operation on each index that it uses.
    pub(in crate::query) fn count_use(&self) {
        if let Access::Id(_) = &self.access {
            self.collection.id_index().into_iter().for_each(|index| index.accesses.count());
        }
        self.access.scans().iter().for_each(|scan| scan.index.accesses.count());
    }

    /// Whether a document passes what the way has not decided. Of a key that was `cut` it decides nothing.
    #[inline]
    pub(in crate::query) fn wants(&self, doc: Doc<'_>, cut: bool) -> Result<bool> {
        match &self.matcher {
            Some(matcher) if !self.exact || cut => matcher.matches(doc),
            _ => Ok(true),
        }
    }

    /// What is tested of each document that is found.
    pub fn residual(&self) -> Option<&Matcher> {
        self.matcher.as_deref().filter(|_| !self.exact)
    }
}

impl Access {
    /// The scans of indexes that it is made of, in their order.
    pub fn scans(&self) -> &[IndexScan] {
        match self {
            Access::Nothing | Access::Collection { .. } | Access::Id(_) => &[],
            Access::Index(scan) => std::slice::from_ref(scan),
            Access::Any(scans) | Access::Merge(scans) | Access::All(scans) => scans,
        }
    }
}

impl IndexScan {
    /// One range of an index, nothing being known of its fields.
    pub fn of_range(index: Arc<Index>, range: Range, reverse: bool) -> IndexScan {
        let everything = |(path, direction): (&Path, &Direction)| {
            FieldBounds::everything(path.clone(), *direction)
        };
        let fields = index.paths.paths().iter().zip(&index.directions).map(everything).collect();
        IndexScan {
            index,
            ranges: vec![range],
            reverse,
            fields,
            ranged: 0,
            merged_from: 0,
            points: false,
        }
    }

    /// Whether the whole index is read.
    pub fn is_whole(&self) -> bool {
        self.ranges.iter().all(|(lower, _)| lower.len() == size_of_val(&self.index.id))
    }
}

impl FieldBounds {
    /// Every value of a field.
    pub fn everything(path: Path, direction: Direction) -> FieldBounds {
        FieldBounds { path, direction, intervals: vec![Interval::all()] }
    }

    /// The intervals of the keys as they stand in the index.
    pub fn directed(&self) -> Cow<'_, [Interval]> {
        match self.direction {
            Direction::Ascending => Cow::Borrowed(&self.intervals),
            Direction::Descending => self.intervals.iter().rev().map(Interval::inverted).collect(),
        }
    }

    /// Whether the filter says nothing of the field.
    pub fn is_everything(&self) -> bool {
        self.intervals.as_slice() == [Interval::all()]
    }
}
