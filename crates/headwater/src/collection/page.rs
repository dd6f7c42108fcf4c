//! Pages of a result: by number, and by the key of the last document seen.

use std::time::Duration;

use mongodb::bson::{Bson, Document, doc};
use serde::de::DeserializeOwned;

use super::Collection;
use super::insert::unfit;
use crate::error::{Error, Result};

/// One page of a result.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Page<T> {
    /// Its documents.
    pub documents: Vec<T>,
    /// Its number, from 1.
    pub current_page: u64,
    /// The most documents of a page.
    pub page_size: u64,
    /// All documents that the filter matches.
    pub total_documents: u64,
    /// How many pages they make, rounded up.
    pub total_pages: u64,
    /// Whether a page follows.
    pub has_next: bool,
    /// Whether a page comes before.
    pub has_previous: bool,
}

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

/// Reads a page by its number; see [`Collection::page`].
#[must_use = "nothing happens before it is awaited"]
pub struct Pages<'a, T: Send + Sync> {
    collection: &'a Collection<T>,
    filter: Document,
    number: u64,
    size: u64,
    sort: Document,
    projection: Option<Document>,
    one_request: bool,
    deadline: Option<Duration>,
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
    /// A page of what the filter matches: page 1 of 10 documents unless told otherwise. `_id` is added to the order,
    /// so that pages never overlap.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")]
    /// # #[tokio::main]
    /// # async fn main() -> headwater::Result<()> {
    /// use headwater::bson::{Document, doc};
    /// let headwater = headwater::Headwater::open_in_memory().await?;
    /// let users = headwater.collection::<Document>("users");
    /// users.insert_many((0..25).map(|n| doc! { "age": n % 5 })).await?;
    /// let page = users.page(doc! {}).number(3).size(10).sort_by(["-age"]).await?;
    /// assert_eq!((page.documents.len(), page.total_pages, page.has_next), (5, 3, false));
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "embedded"))]
    /// # fn main() {}
    /// ```
    pub fn page(&self, filter: Document) -> Pages<'_, T> {
        Pages {
            collection: self,
            filter,
            number: 1,
            size: 10,
            sort: Document::new(),
            projection: None,
            one_request: false,
            deadline: None,
        }
    }

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

deadline!(Pages<T>);
deadline!(PageAfter<T>);
awaitable!(Pages<T: DeserializeOwned> => Page<T>);
awaitable!(PageAfter<T: DeserializeOwned> => Slice<T>);

impl<'a, T: Send + Sync> Pages<'a, T> {
    /// Which page, from 1.
    pub fn number(mut self, number: u64) -> Self {
        self.number = number;
        self
    }

    /// Documents per page.
    pub fn size(mut self, size: u64) -> Self {
        self.size = size;
        self
    }

    /// The order.
    pub fn sort(mut self, sort: Document) -> Self {
        self.sort = sort;
        self
    }

    /// The order by names, a leading `-` for descending.
    pub fn sort_by<'n>(mut self, names: impl IntoIterator<Item = &'n str>) -> Self {
        self.sort = sort_spec(names);
        self
    }

    /// Which fields come.
    pub fn projection(mut self, projection: Document) -> Self {
        self.projection = Some(projection);
        self
    }

    /// Asks for page and total in one request, so that they agree. The page must fit into one document of 16 MB.
    pub fn one_request(mut self) -> Self {
        self.one_request = true;
        self
    }

    fn check(&self) -> Result<(u64, u64)> {
        check_projection(self.projection.as_ref())?;
        if self.number < 1 || self.size < 1 {
            return Err(Error::validation("pages count from 1 and hold at least one document"));
        }
        let skip = (self.number - 1).checked_mul(self.size);
        let skip =
            skip.filter(|skip| i64::try_from(*skip).is_ok() && i64::try_from(self.size).is_ok());
        skip.map(|skip| (skip, self.size))
            .ok_or_else(|| Error::validation("the page lies beyond what a server counts"))
    }
}

impl<'a, T: DeserializeOwned + Send + Sync> Pages<'a, T> {
    async fn run(self) -> Result<Page<T>> {
        let (skip, size) = self.check()?;
        let sort = with_id(self.sort.clone());
        let (documents, total) = if self.one_request {
            self.together(skip, size, sort).await?
        } else {
            self.apart(skip, size, sort).await?
        };
        let total_pages = total.div_ceil(size);
        Ok(Page {
            documents,
            current_page: self.number,
            page_size: size,
            total_documents: total,
            total_pages,
            has_next: self.number < total_pages,
            has_previous: self.number > 1,
        })
    }

    async fn apart(&self, skip: u64, size: u64, sort: Document) -> Result<(Vec<T>, u64)> {
        let mut count = self.collection.count(self.filter.clone());
        let limit = i64::try_from(size).unwrap_or(i64::MAX);
        let mut find =
            self.collection.find_many(self.filter.clone()).sort(sort).skip(skip).limit(limit);
        if let Some(projection) = self.projection.clone() {
            find = find.projection(projection);
        }
        if let Some(deadline) = self.deadline {
            (count, find) = (count.deadline(deadline), find.deadline(deadline));
        }
        let total = count.await?;
        Ok((find.await?, total))
    }

    async fn together(&self, skip: u64, size: u64, sort: Document) -> Result<(Vec<T>, u64)> {
        let [skip, size] = [skip, size].map(|number| i64::try_from(number).unwrap_or(i64::MAX));
        let mut page =
            vec![doc! { "$sort": sort }, doc! { "$skip": skip }, doc! { "$limit": size }];
        if let Some(projection) = self.projection.clone() {
            page.push(doc! { "$project": projection });
        }
        let mut aggregate = self.collection.aggregate([
            doc! { "$match": self.filter.clone() },
            doc! { "$facet": { "page": page, "total": [{ "$count": "n" }] } },
        ]);
        if let Some(deadline) = self.deadline {
            aggregate = aggregate.deadline(deadline);
        }
        let answer = aggregate.with_type::<Facets<T>>().all().await?;
        let answer =
            answer.into_iter().next().unwrap_or(Facets { page: Vec::new(), total: vec![] });
        let total = answer.total.first().map_or(0, |total| total.n);
        Ok((answer.page, u64::try_from(total).unwrap_or_default()))
    }
}

#[derive(serde::Deserialize)]
struct Facets<T> {
    page: Vec<T>,
    total: Vec<Total>,
}

#[derive(serde::Deserialize)]
struct Total {
    n: i64,
}

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
        let read = |document| mongodb::bson::deserialize_from_document(document).map_err(unfit);
        Ok(Slice { documents: found.into_iter().map(read).collect::<Result<_>>()?, next })
    }
}

/// The order by names, a leading `-` for descending.
fn sort_spec<'n>(names: impl IntoIterator<Item = &'n str>) -> Document {
    let direction = |name: &'n str| match name.strip_prefix('-') {
        Some(name) => (name.to_owned(), Bson::Int32(-1)),
        None => (name.to_owned(), Bson::Int32(1)),
    };
    names.into_iter().map(direction).collect()
}

fn with_id(mut sort: Document) -> Document {
    if !sort.contains_key("_id") {
        sort.insert("_id", 1);
    }
    sort
}

/// A projection that takes some fields and leaves out others is refused by every server (D22).
fn check_projection(projection: Option<&Document>) -> Result<()> {
    let flags = projection.into_iter().flatten().filter(|(name, _)| *name != "_id");
    let flags = flags.filter_map(|(_, value)| match value {
        Bson::Boolean(flag) => Some(*flag),
        Bson::Int32(flag) => Some(*flag != 0),
        Bson::Int64(flag) => Some(*flag != 0),
        Bson::Double(flag) => Some(*flag != 0.0),
        _ => None,
    });
    let flags: Vec<bool> = flags.collect();
    if flags.contains(&true) && flags.contains(&false) {
        return Err(Error::validation("a projection either takes fields or leaves them out"));
    }
    Ok(())
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
    fn d20_the_order_ends_with_the_id() {
        assert_eq!(with_id(sort_spec(["-age", "name"])), doc! { "age": -1, "name": 1, "_id": 1 });
        assert_eq!(with_id(doc! { "_id": -1 }), doc! { "_id": -1 });
    }

    #[test]
    fn d22_a_mixed_projection_is_told_before_anything_is_sent() {
        for mixed in [doc! { "a": 1, "b": 0 }, doc! { "a": true, "b": false }] {
            assert!(check_projection(Some(&mixed)).is_err(), "{mixed}");
        }
        for plain in [doc! { "a": 1, "_id": 0 }, doc! { "a": 0, "b": 0 }, doc! { "_id": 1, "a": 0 }]
        {
            assert!(check_projection(Some(&plain)).is_ok(), "{plain}");
        }
    }

    #[test]
    fn d20_a_key_of_another_order_is_told() {
        let key = PageKey(doc! { "_id": 1 });
        assert!(after(&doc! { "age": 1, "_id": 1 }, &key).is_err());
    }
}
