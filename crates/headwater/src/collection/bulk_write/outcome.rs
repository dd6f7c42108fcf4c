//! What became of several writes, put together from the replies of their commands.

use std::collections::BTreeMap;

use mongodb::bson::{Bson, Document};

use super::Group;
use super::model::Kind;
use crate::error::details::{BulkFailure, BulkItem};
use crate::error::kind::ErrorKind;
use crate::error::{Error, Result};

/// What several writes did.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct BulkWriteResult {
    /// Documents inserted by inserts.
    pub inserted_count: u64,
    /// Documents matched by updates and replacements.
    pub matched_count: u64,
    /// Documents changed by updates and replacements.
    pub modified_count: u64,
    /// Documents deleted.
    pub deleted_count: u64,
    /// Documents inserted by updates and replacements.
    pub upserted_count: u64,
    /// The `_id`s of the documents that updates and replacements inserted, by input index.
    pub upserted_ids: BTreeMap<usize, Bson>,
    /// The `_id`s of the documents that inserts inserted, by input index.
    pub inserted_ids: BTreeMap<usize, Bson>,
}

/// The outcome so far.
#[derive(Default)]
pub(super) struct Outcome {
    result: BulkWriteResult,
    failure: BulkFailure,
    trouble: Option<Error>,
}

impl Outcome {
    /// Whether nothing more is to be sent.
    pub(super) fn is_over(&self, ordered: bool) -> bool {
        self.trouble.is_some() || (ordered && !self.failure.items.is_empty())
    }

    pub(super) fn not_tried(&mut self, group: &Group) {
        self.failure.unprocessed.extend(&group.members);
    }

    /// A command that inserts came to its end.
    pub(super) fn inserted(&mut self, group: &Group, insert: Result<()>) {
        let error = match insert {
            Ok(()) => {
                self.result.inserted_count += group.members.len() as u64;
                self.note_ids(group, |_| true);
                return;
            }
            Err(error) => error,
        };
        let Some(part) = error.bulk() else { return self.broken(group, error) };
        let whole = |at: &usize| group.members.get(*at).copied();
        self.result.inserted_count += part.counts.inserted;
        self.failure.unprocessed.extend(part.unprocessed.iter().filter_map(whole));
        self.failure.unknown.extend(part.unknown.iter().filter_map(whole));
        for item in &part.items {
            if let Some(index) = whole(&item.index) {
                self.failure.items.push(BulkItem { index, ..item.clone() });
            }
        }
        let part = part.clone();
        self.note_ids(group, |at| {
            !part.unprocessed.contains(&at)
                && !part.unknown.contains(&at)
                && !part.items.iter().any(|item| item.index == at)
        });
        if error.kind() != ErrorKind::Bulk {
            self.trouble.get_or_insert(error);
        }
    }

    fn note_ids(&mut self, group: &Group, is_done: impl Fn(usize) -> bool) {
        for (at, (index, prepared)) in group.members.iter().zip(&group.inserts).enumerate() {
            if is_done(at) {
                self.result.inserted_ids.insert(*index, prepared.id.clone());
            }
        }
    }

    /// A command got no answer, or was refused as a whole.
    pub(super) fn broken(&mut self, group: &Group, error: Error) {
        let indexes = &group.members;
        if error.is_outcome_unknown() {
            self.failure.unknown.extend(indexes);
        } else {
            self.failure.unprocessed.extend(indexes);
        }
        self.trouble.get_or_insert(error);
    }

    /// A command was answered.
    pub(super) fn add(&mut self, group: &Group, reply: &Document, ordered: bool) {
        let n = count(reply, "n");
        match group.kind {
            Kind::Delete => self.result.deleted_count += n,
            Kind::Insert | Kind::Update => {
                let upserted = self.upserted(group, reply);
                self.result.upserted_count += upserted;
                self.result.matched_count += n.saturating_sub(upserted);
                self.result.modified_count += count(reply, "nModified");
            }
        }
        let failed = self.failed(group, reply);
        if let (true, Some(last)) = (ordered, failed.last()) {
            self.failure.unprocessed.extend(group.members.iter().skip(last + 1));
        }
        if let Ok(problem) = reply.get_document("writeConcernError") {
            let code = problem.get_i32("code").unwrap_or_default();
            let message = problem.get_str("errmsg").unwrap_or_default();
            self.trouble.get_or_insert(Error::unmet_write_concern(code, message, problem));
        }
    }

    fn upserted(&mut self, group: &Group, reply: &Document) -> u64 {
        let mut upserted = 0;
        for entry in documents(reply, "upserted") {
            upserted += 1;
            let member = group.members.get(index(entry));
            if let (Some(index), Some(id)) = (member, entry.get("_id")) {
                self.result.upserted_ids.insert(*index, id.clone());
            }
        }
        upserted
    }

    /// The places in the command of the writes that failed.
    fn failed(&mut self, group: &Group, reply: &Document) -> Vec<usize> {
        let mut failed = Vec::new();
        for entry in documents(reply, "writeErrors") {
            let at = index(entry);
            failed.push(at);
            if let Some(index) = group.members.get(at) {
                self.failure.items.push(BulkItem {
                    index: *index,
                    code: entry.get_i32("code").unwrap_or_default(),
                    message: entry.get_str("errmsg").unwrap_or_default().to_owned(),
                    id: None,
                });
            }
        }
        failed.sort_unstable();
        failed
    }

    pub(super) fn finish(mut self) -> Result<BulkWriteResult> {
        if self.failure.items.is_empty() && self.trouble.is_none() {
            return Ok(self.result);
        }
        self.failure.items.sort_by_key(|item| item.index);
        self.failure.unprocessed.sort_unstable();
        let counts = &mut self.failure.counts;
        counts.inserted = self.result.inserted_count;
        counts.matched = self.result.matched_count;
        counts.modified = self.result.modified_count;
        counts.deleted = self.result.deleted_count;
        counts.upserted = self.result.upserted_count;
        Err(match self.trouble {
            Some(trouble) => trouble.with_bulk(self.failure),
            None => Error::several(self.failure),
        })
    }
}

fn documents<'d>(reply: &'d Document, name: &str) -> impl Iterator<Item = &'d Document> {
    reply.get_array(name).into_iter().flatten().filter_map(Bson::as_document)
}

fn index(entry: &Document) -> usize {
    usize::try_from(count(entry, "index")).unwrap_or(usize::MAX)
}

fn count(reply: &Document, name: &str) -> u64 {
    let number = match reply.get(name) {
        Some(Bson::Int32(number)) => i64::from(*number),
        Some(Bson::Int64(number)) => *number,
        Some(Bson::Double(number)) => *number as i64,
        _ => 0,
    };
    number.try_into().unwrap_or_default()
}
