//! What an error carries beside its text: the duplicate key, the unmet write concern, the failed writes of many.

use std::fmt;
use std::time::Duration;

use mongodb::bson::{Bson, Document};

/// The key that a unique index has already.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct DuplicateKey {
    /// The name of the index.
    pub index: Option<String>,
    /// The fields of the index with their directions.
    pub key_pattern: Option<Document>,
    /// The fields of the index with the values that are there already.
    pub key_value: Option<Document>,
}

/// A write that was applied but not acknowledged as demanded.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct WriteConcernFailure {
    /// True if the members took longer than `wtimeout` (code 64). The write stays and may still reach them.
    pub timed_out: bool,
    /// True if the deployment can never satisfy it, for want of members (code 100).
    pub unsatisfiable: bool,
    /// How many documents the operation matched, inserted or deleted, where the server said so.
    pub applied: Option<u64>,
    /// How many documents an update changed, where the server said so.
    pub modified: Option<u64>,
}

/// Which of several writes failed, and what became of the others.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct BulkFailure {
    /// The writes that failed, by input index.
    pub items: Vec<BulkItem>,
    /// The input indexes that were never tried: what comes after a failure of an ordered call.
    pub unprocessed: Vec<usize>,
    /// The input indexes whose outcome nobody knows: sent, but not answered.
    pub unknown: Vec<usize>,
    /// What was done.
    pub counts: BulkCounts,
    /// Of a bulk load: every document before this input index is inserted or among `items`. Later ones may be too.
    pub resume_at: Option<usize>,
}

/// How many documents several writes touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct BulkCounts {
    /// Inserted.
    pub inserted: u64,
    /// Matched by updates and replacements.
    pub matched: u64,
    /// Changed by updates and replacements.
    pub modified: u64,
    /// Deleted.
    pub deleted: u64,
    /// Inserted by updates and replacements.
    pub upserted: u64,
}

/// One write of several that failed.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct BulkItem {
    /// Its place in the input, from zero.
    pub index: usize,
    /// The server's code.
    pub code: i32,
    /// The server's message.
    pub message: String,
    /// The `_id` of the document, where it is known.
    pub id: Option<Bson>,
}

impl BulkItem {
    /// True if a unique index has the key already.
    pub fn is_duplicate_key(&self) -> bool {
        super::classify::is_duplicate_key(self.code)
    }
}

/// What an error of one kind carries and the others do not.
#[derive(Clone, PartialEq, Default)]
pub(crate) enum Details {
    #[default]
    None,
    DuplicateKey(DuplicateKey),
    WriteConcern(WriteConcernFailure),
    Bulk(Box<BulkFailure>),
    RetryAfter(Duration),
    Validation(Document),
}

impl fmt::Debug for DuplicateKey {
    // Without the value: debug prints end up in logs, and values are document content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DuplicateKey")
            .field("index", &self.index)
            .field("key_pattern", &self.key_pattern)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for BulkItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkItem")
            .field("index", &self.index)
            .field("code", &self.code)
            .finish_non_exhaustive()
    }
}
