//! Inserting many documents: in batches that fit one message, with every failure by its input index.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::ops::Range;
use std::time::Duration;

use mongodb::bson::{Bson, RawDocumentBuf, doc};
use mongodb::error::ErrorKind as DriverKind;
use mongodb::options::{InsertManyOptions, WriteConcern};
use serde::Serialize;

use super::Collection;
use super::insert::with_id;
use crate::connector::limit_wait;
use crate::error::classify::Family;
use crate::error::details::{BulkFailure, BulkItem};
use crate::error::{Error, Result};
use crate::operation::Safety;

/// The most bytes of documents in one message, with room for the rest of it: servers take 48 MB.
const BATCH_BYTES_MAX: usize = 47_000_000;
/// Documents looked up at a time, to see whether they are there.
const LOOK_UP_COUNT: usize = 100;
/// The most documents in one message, which every server takes (`maxWriteBatchSize`).
const BATCH_COUNT_MAX: usize = 100_000;

/// Inserts documents; see [`Collection::insert_many`].
#[must_use = "nothing happens before it is awaited"]
pub struct InsertMany<'a, T: Send + Sync> {
    collection: &'a Collection<T>,
    documents: Result<Vec<Prepared>>,
    options: InsertManyOptions,
    deadline: Option<Duration>,
}

/// A document with its `_id` fixed.
pub(crate) struct Prepared {
    pub(crate) id: Bson,
    pub(crate) document: RawDocumentBuf,
}

impl<T: Serialize + Send + Sync> Collection<T> {
    /// Inserts documents and gives back their `_id`s in the order of the input; none for no documents.
    ///
    /// Ordered unless told otherwise: the first failure is the last document tried. For input that does not fit into
    /// memory there is bulk loading.
    ///
    /// The error, if some documents fail, carries [`BulkFailure`]: which, why, and which were not tried. An attempt
    /// without an answer is made again; documents that it inserted are known by their `_id` and content.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// use headwater::bson::{Document, doc};
    /// let headwater = headwater::Headwater::open_in_memory().await?;
    /// let users = headwater.collection::<Document>("users");
    /// let ids = users.insert_many([doc! { "_id": 2 }, doc! { "_id": 1 }]).await?;
    /// assert_eq!(ids, [2.into(), 1.into()]);
    /// let again = [doc! { "_id": 1 }, doc! { "_id": 3 }];
    /// let error = users.insert_many(again).ordered(false).await.unwrap_err();
    /// let failure = error.bulk().unwrap();
    /// assert_eq!((failure.items[0].index, failure.counts.inserted), (0, 1));
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub fn insert_many(
        &self,
        documents: impl IntoIterator<Item = impl Borrow<T>>,
    ) -> InsertMany<'_, T> {
        let prepare =
            |document: &T| with_id(document).map(|(id, document)| Prepared { id, document });
        let documents = documents.into_iter().map(|document| prepare(document.borrow())).collect();
        InsertMany {
            collection: self,
            documents,
            options: InsertManyOptions::default(),
            deadline: None,
        }
    }
}

setters!(
    InsertMany<T>,
    InsertManyOptions {
        /// Whether the first failure ends it. True.
        ordered: bool,
        /// Whether the collection's validator is passed over.
        bypass_document_validation: bool,
        /// The write concern of this call.
        write_concern: WriteConcern,
        /// A remark for the server's logs.
        comment: Bson,
    }
);

awaitable!(InsertMany<T> => Vec<Bson>);

impl<'a, T: Send + Sync> InsertMany<'a, T> {
    async fn run(mut self) -> Result<Vec<Bson>> {
        limit_wait(&mut self.options.write_concern);
        let documents = self.documents?;
        let ordered = self.options.ordered.unwrap_or(true);
        let mut failure = BulkFailure::default();
        let mut trouble = None;
        let mut begun = 0;
        for batch in batches(&documents) {
            begun = batch.end;
            let insert = self.collection.insert_batch(
                &documents[batch.clone()],
                &self.options,
                self.deadline,
            );
            match insert.await {
                Ok(()) => failure.counts.inserted += batch.len() as u64,
                Err(error) => {
                    absorb(&mut failure, &error, batch);
                    // Without the server's word on each document there is no point in going on.
                    let stop = ordered || error.bulk().is_none();
                    trouble.get_or_insert(error);
                    if stop {
                        break;
                    }
                }
            }
        }
        failure.unprocessed.extend(begun..documents.len());
        match trouble {
            None => Ok(documents.into_iter().map(|prepared| prepared.id).collect()),
            Some(error) => Err(error.with_bulk(failure)),
        }
    }
}

/// Puts what a batch's error tells under the indexes of the whole input.
fn absorb(whole: &mut BulkFailure, error: &Error, batch: Range<usize>) {
    match error.bulk() {
        Some(failure) => {
            let shift = |index: &usize| index + batch.start;
            whole.items.extend(
                failure
                    .items
                    .iter()
                    .map(|item| BulkItem { index: item.index + batch.start, ..item.clone() }),
            );
            whole.unprocessed.extend(failure.unprocessed.iter().map(shift));
            whole.unknown.extend(failure.unknown.iter().map(shift));
            whole.counts.inserted += failure.counts.inserted;
        }
        None if error.is_outcome_unknown() => whole.unknown.extend(batch),
        None if error.write_concern().is_some() => whole.counts.inserted += batch.len() as u64,
        None => whole.unprocessed.extend(batch),
    }
}

/// The input cut into what one message can carry.
fn batches(documents: &[Prepared]) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let (mut end, mut bytes) = (start, 0);
        while let Some(next) = documents.get(end) {
            bytes += next.document.as_bytes().len();
            if end > start && (bytes > BATCH_BYTES_MAX || end - start == BATCH_COUNT_MAX) {
                break;
            }
            end += 1;
        }
        let batch = start..end;
        start = end;
        (!batch.is_empty()).then_some(batch)
    })
}

impl<T: Send + Sync> Collection<T> {
    /// Inserts one message's worth of documents. An error of kind `Bulk` has indexes from the batch's start.
    pub(crate) async fn insert_batch(
        &self,
        batch: &[Prepared],
        options: &InsertManyOptions,
        deadline: Option<Duration>,
    ) -> Result<()> {
        let ordered = options.ordered.unwrap_or(true);
        let raw = self.driver.clone_with_type::<RawDocumentBuf>();
        let mut failure = BulkFailure::default();
        let mut start = 0;
        let mut sent_before = false;
        // An ordered batch may have to go on after a document that turned out to be there already by our own doing.
        loop {
            let rest = &batch[start..];
            let operation = self.operation("insert_many", Safety::FixedInserts).deadline(deadline);
            let call = || async {
                let documents = rest.iter().map(|prepared| &prepared.document);
                let insert = raw.insert_many(documents).with_options(options.clone());
                insert.await.map(drop).map_err(|error| of_batch(error, rest, ordered))
            };
            let error = match self.resilience().run(operation, call).await {
                Ok(()) => break,
                Err(error) => error,
            };
            let Some(one) = error.bulk() else {
                if start == 0 {
                    return Err(error);
                }
                let rest = start..batch.len();
                if error.is_outcome_unknown() {
                    failure.unknown.extend(rest);
                } else {
                    failure.unprocessed.extend(rest);
                }
                return Err(error.with_bulk(failure));
            };
            let mut one = one.clone();
            sent_before |= error.was_sent_before();
            if sent_before {
                self.forgive_own(&mut one, rest).await;
            }
            let settled = ordered && one.items.is_empty() && !one.unprocessed.is_empty();
            let next = one.unprocessed.first().copied();
            add(&mut failure, one, start, !settled);
            match next {
                Some(next) if settled => {
                    start += next;
                    // The attempt without an answer went further than this document, most likely.
                    let own = self.already_there(&batch[start..]).await;
                    failure.counts.inserted += own as u64;
                    start += own;
                    if start == batch.len() {
                        break;
                    }
                }
                _ if failure.items.is_empty() => break,
                _ => return Err(error.with_bulk(failure)),
            }
        }
        Ok(())
    }

    /// How many documents at the beginning are there with the same content.
    async fn already_there(&self, documents: &[Prepared]) -> usize {
        let mut own = 0;
        for some in documents.chunks(LOOK_UP_COUNT) {
            let ids: Vec<Bson> = some.iter().map(|prepared| prepared.id.clone()).collect();
            let there = self.with_type::<RawDocumentBuf>();
            let filter = doc! { "_id": { "$in": ids } };
            let Ok(there) = there.find_many(filter).await else { return own };
            let there: HashSet<&[u8]> = there.iter().map(|document| document.as_bytes()).collect();
            let is_there = |prepared: &&Prepared| there.contains(prepared.document.as_bytes());
            let count = some.iter().take_while(is_there).count();
            own += count;
            if count < some.len() {
                break;
            }
        }
        own
    }

    /// Removes duplicates that an earlier attempt without an answer made: same `_id`, same content.
    pub(crate) async fn forgive_own(&self, failure: &mut BulkFailure, batch: &[Prepared]) {
        let suspects: Vec<Bson> = failure
            .items
            .iter()
            .filter(|item| item.is_duplicate_key())
            .filter_map(|item| item.id.clone())
            .collect();
        if suspects.is_empty() {
            return;
        }
        let there = self.with_type::<RawDocumentBuf>();
        let Ok(there) = there.find_many(doc! { "_id": { "$in": suspects } }).await else { return };
        let before = failure.items.len();
        failure.items.retain(|item| {
            let ours = batch.get(item.index).map(|prepared| prepared.document.as_bytes());
            !item.is_duplicate_key()
                || !there.iter().any(|document| Some(document.as_bytes()) == ours)
        });
        failure.counts.inserted += (before - failure.items.len()) as u64;
    }
}

fn add(whole: &mut BulkFailure, part: BulkFailure, start: usize, with_unprocessed: bool) {
    whole
        .items
        .extend(part.items.into_iter().map(|item| BulkItem { index: item.index + start, ..item }));
    if with_unprocessed {
        whole.unprocessed.extend(part.unprocessed.into_iter().map(|index| index + start));
    }
    whole.counts.inserted += part.counts.inserted;
}

/// The error of one message.
fn of_batch(error: mongodb::error::Error, batch: &[Prepared], ordered: bool) -> Error {
    let DriverKind::InsertMany(told) = error.kind.as_ref() else {
        return Error::of_driver(error, Family::Query);
    };
    let Some(errors) = &told.write_errors else {
        return Error::of_driver(error, Family::Query);
    };
    let items: Vec<BulkItem> = errors
        .iter()
        .map(|item| BulkItem {
            index: item.index,
            code: item.code,
            message: item.message.clone(),
            id: batch.get(item.index).map(|prepared| prepared.id.clone()),
        })
        .collect();
    let mut failure = BulkFailure { items, ..BulkFailure::default() };
    let last = failure.items.iter().map(|item| item.index).max().unwrap_or_default();
    if ordered {
        failure.unprocessed = (last + 1..batch.len()).collect();
    }
    let tried = batch.len() - failure.unprocessed.len();
    failure.counts.inserted = (tried - failure.items.len()) as u64;
    Error::several(failure).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(size: usize) -> Prepared {
        let (id, document) = with_id(&doc! { "text": "x".repeat(size) }).unwrap();
        Prepared { id, document }
    }

    #[test]
    fn r11_batches_follow_the_limits_of_a_message() {
        assert_eq!(batches(&[]).count(), 0);
        let small: Vec<Prepared> = (0..3).map(|_| prepared(1)).collect();
        assert_eq!(batches(&small).map(|batch| batch.len()).collect::<Vec<_>>(), [3]);
        let large: Vec<Prepared> = (0..7).map(|_| prepared(16_000_000)).collect();
        assert_eq!(batches(&large).collect::<Vec<_>>(), [0..2, 2..4, 4..6, 6..7]);
        let many: Vec<Prepared> = (0..BATCH_COUNT_MAX + 1).map(|_| prepared(1)).collect();
        assert_eq!(
            batches(&many).collect::<Vec<_>>(),
            [0..BATCH_COUNT_MAX, BATCH_COUNT_MAX..BATCH_COUNT_MAX + 1]
        );
    }
}
