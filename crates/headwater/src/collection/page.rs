//! Pages of a result by number. Those by key are a room further.

mod key;

use std::time::Duration;

use mongodb::bson::{Bson, Document, doc};
use serde::de::DeserializeOwned;

pub use self::key::{PageAfter, PageKey, Slice};
use super::Collection;
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
}

deadline!(Pages<T>);
awaitable!(Pages<T: DeserializeOwned> => Page<T>);

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
}
