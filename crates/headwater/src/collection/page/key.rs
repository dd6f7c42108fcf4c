//! Pieces of a result by the key of the last document seen: the filter that finds what comes after it.

use std::time::Duration;

use mongodb::bson::{Bson, Document, doc};
use serde::de::DeserializeOwned;

use super::{sort_spec, with_id};
use crate::collection::Collection;
use crate::collection::insert::unread;
use crate::error::{Error, Result};

/// A piece of a result, and where the next one begins.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Slice<T> {
    /// Its documents.
    pub documents: Vec<T>,
    /// Where the next piece begins; nothing after the last one.
    pub next: Option<PageKey>,
}

/// The place of a document in a sorted result: the values of the fields sorted by, and its `_id`.
#[derive(Debug, Clone, PartialEq)]
pub struct PageKey(Document);

impl PageKey {
    /// The key as a document that can be stored.
    pub fn to_document(&self) -> Document {
        self.0.clone()
    }

    /// A stored key.
    pub fn from_document(document: Document) -> PageKey {
        PageKey(document)
    }
}

/// Reads the documents after a key; see [`Collection::page_after`].
#[must_use = "nothing happens before it is awaited"]
pub struct PageAfter<'a, T: Send + Sync> {
    collection: &'a Collection<T>,
    filter: Document,
    after: Option<PageKey>,
    size: u64,
    sort: Document,
    deadline: Option<Duration>,
}

impl<T: Send + Sync> Collection<T> {
    /// The documents after a key, or the first ones: for walking through a result that changes meanwhile, at the same
    /// cost for every page. Fields sorted by must not hold arrays.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// use headwater::bson::{Document, doc};
    /// let headwater = headwater::Headwater::open_in_memory().await?;
    /// let users = headwater.collection::<Document>("users");
    /// users.insert_many((0..25).map(|n| doc! { "age": n % 5 })).await?;
    /// let (mut seen, mut key) = (0, None);
    /// loop {
    ///     let slice = users.page_after(doc! {}, key).size(10).sort_by(["-age"]).await?;
    ///     seen += slice.documents.len();
    ///     key = slice.next;
    ///     if key.is_none() {
    ///         break;
    ///     }
    /// }
    /// assert_eq!(seen, 25);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub fn page_after(
        &self,
        filter: Document,
        after: impl Into<Option<PageKey>>,
    ) -> PageAfter<'_, T> {
        PageAfter {
            collection: self,
            filter,
            after: after.into(),
            size: 10,
            sort: Document::new(),
            deadline: None,
        }
    }
}

deadline!(PageAfter<T>);
awaitable!(PageAfter<T: DeserializeOwned> => Slice<T>);

impl<'a, T: Send + Sync> PageAfter<'a, T> {
    /// Documents per piece.
    pub fn size(mut self, size: u64) -> Self {
        self.size = size;
        self
    }

    /// The order; the same for every piece.
    pub fn sort(mut self, sort: Document) -> Self {
        self.sort = sort;
        self
    }

    /// The order by names, a leading `-` for descending; the same for every piece.
    pub fn sort_by<'n>(mut self, names: impl IntoIterator<Item = &'n str>) -> Self {
        self.sort = sort_spec(names);
        self
    }
}

impl<'a, T: DeserializeOwned + Send + Sync> PageAfter<'a, T> {
    async fn run(self) -> Result<Slice<T>> {
        let size = i64::try_from(self.size).ok().filter(|size| *size >= 1);
        let Some(size) = size else {
            return Err(Error::validation("a page holds at least one document"));
        };
        let sort = with_id(self.sort.clone());
        let filter = match &self.after {
            Some(key) if self.filter.is_empty() => after(&sort, key)?,
            Some(key) => doc! { "$and": [self.filter.clone(), after(&sort, key)?] },
            None => self.filter.clone(),
        };
        let raw = self.collection.with_type::<Document>();
        // One more tells whether another piece follows.
        let mut find = raw.find_many(filter).sort(sort.clone()).limit(size.saturating_add(1));
        if let Some(deadline) = self.deadline {
            find = find.deadline(deadline);
        }
        let mut found = find.await?;
        let more = found.len() as i64 > size;
        found.truncate(usize::try_from(size).unwrap_or(usize::MAX));
        let next = found.last().filter(|_| more).map(|last| key_of(&sort, last));
        let read = |document| mongodb::bson::deserialize_from_document(document).map_err(unread);
        Ok(Slice { documents: found.into_iter().map(read).collect::<Result<_>>()?, next })
    }
}

fn key_of(sort: &Document, document: &Document) -> PageKey {
    let value = |field: &str| value_at(document, field).cloned().unwrap_or(Bson::Null);
    PageKey(sort.keys().map(|field| (field.clone(), value(field))).collect())
}

fn value_at<'d>(document: &'d Document, path: &str) -> Option<&'d Bson> {
    match path.split_once('.') {
        None => document.get(path),
        Some((first, rest)) => value_at(document.get_document(first).ok()?, rest),
    }
}

/// What comes after the key: beyond in the first field, or equal there and beyond in the second, and so on.
fn after(sort: &Document, key: &PageKey) -> Result<Document> {
    let mut choices = Vec::new();
    let mut equal = Document::new();
    for (field, direction) in sort {
        let Some(value) = key.0.get(field) else {
            return Err(Error::validation(format!("the page key is of another order: no {field}")));
        };
        let ascending = !matches!(direction, Bson::Int32(-1) | Bson::Int64(-1));
        for beyond in beyond(field, value, ascending) {
            let mut choice = equal.clone();
            choice.insert("$and", vec![beyond]);
            choices.push(choice);
        }
        equal.insert(field, doc! { "$eq": value.clone() });
    }
    Ok(doc! { "$or": choices })
}

/// What lies beyond a value in one field. Comparisons see only values of the same type, so other types are named.
fn beyond(field: &str, value: &Bson, ascending: bool) -> Vec<Document> {
    match (value, ascending) {
        // Comparisons with the ends of the order are special everywhere; their types are not.
        (Bson::MinKey, false) | (Bson::MaxKey, true) => vec![],
        (Bson::MinKey, true) => vec![doc! { field: { "$not": { "$type": "minKey" } } }],
        (Bson::MaxKey, false) => vec![doc! { field: { "$not": { "$type": "maxKey" } } }],
        (Bson::Null | Bson::Undefined, true) => {
            vec![doc! { field: { "$ne": null, "$not": { "$type": "minKey" } } }]
        }
        (Bson::Null | Bson::Undefined, false) => vec![doc! { field: { "$type": "minKey" } }],
        (_, true) => {
            let mut all = vec![doc! { field: { "$gt": value.clone() } }];
            let types = types_above(value);
            if !types.is_empty() {
                all.push(doc! { field: { "$type": types } });
            }
            all
        }
        (_, false) => {
            let mut all = vec![doc! { field: { "$lt": value.clone() } }, doc! { field: null }];
            let types = types_below(value);
            if !types.is_empty() {
                all.push(doc! { field: { "$type": types } });
            }
            all
        }
    }
}

/// The types in the order in which MongoDB compares them, in groups that compare with each other.
const ORDER: &[&[&str]] = &[
    &["minKey"],
    &["null", "undefined"],
    &["number"],
    &["symbol", "string"],
    &["object"],
    &["array"],
    &["binData"],
    &["objectId"],
    &["bool"],
    &["date"],
    &["timestamp"],
    &["regex"],
    &["dbPointer"],
    &["javascript"],
    &["javascriptWithScope"],
    &["maxKey"],
];

fn rank(value: &Bson) -> usize {
    let name = match value {
        Bson::MinKey => "minKey",
        Bson::Null | Bson::Undefined => "null",
        Bson::Double(_) | Bson::Int32(_) | Bson::Int64(_) | Bson::Decimal128(_) => "number",
        Bson::Symbol(_) | Bson::String(_) => "string",
        Bson::Document(_) => "object",
        Bson::Array(_) => "array",
        Bson::Binary(_) => "binData",
        Bson::ObjectId(_) => "objectId",
        Bson::Boolean(_) => "bool",
        Bson::DateTime(_) => "date",
        Bson::Timestamp(_) => "timestamp",
        Bson::RegularExpression(_) => "regex",
        Bson::DbPointer(_) => "dbPointer",
        Bson::JavaScriptCode(_) => "javascript",
        Bson::JavaScriptCodeWithScope(_) => "javascriptWithScope",
        Bson::MaxKey => "maxKey",
    };
    ORDER.iter().position(|group| group.contains(&name)).unwrap_or_default()
}

fn types_above(value: &Bson) -> Vec<&'static str> {
    ORDER[rank(value) + 1..].concat()
}

fn types_below(value: &Bson) -> Vec<&'static str> {
    ORDER[..rank(value)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d20_a_key_of_another_order_is_told() {
        let key = PageKey(doc! { "_id": 1 });
        assert!(after(&doc! { "age": 1, "_id": 1 }, &key).is_err());
    }
}
