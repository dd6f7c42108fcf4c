//! Sorting: patterns, the keys that documents are compared by, and the blocking sort.
//!
//! A key is bytes whose order is the order of the documents. Knows nothing of indexes; whether an index gives the order
//! already is the planner's question, which reads [`SortPattern::fields`].

pub(crate) mod runs;
mod sorter;

pub use sorter::{Sort, Sorted, Sorter};

use std::sync::Arc;

use crate::aggregate::expressions::{self, bson_text};
use crate::aggregate::random::Random;
use crate::bson::key::{self, Collate, Direction};
use crate::bson::{ArrayWriter, Doc, DocBuf, Element, Number, Raw, Type};
use crate::collation::{Collation, ValueOrder};
use crate::error::{Code, Error, Result};
use crate::limits::KEY_FIELDS_MAX;
use crate::query::path::{KeyPaths, Multikey, Path};

/// A compiled sort pattern: `{a: 1, "b.c": -1}`.
#[derive(Debug, Clone)]
pub struct SortPattern {
    spec: DocBuf,
    paths: KeyPaths,
    directions: Vec<Direction>,
    /// Which of the pattern's fields is `{$meta: "randVal"}`, counted among all.
    random: Option<usize>,
    /// `_id` alone compares arrays as wholes.
    whole: bool,
    /// How texts compare, if not by their bytes.
    collation: Option<Arc<Collation>>,
}

impl SortPattern {
    /// Compiles a pattern. `$natural` is not one: see [`SortPattern::natural`].
    ///
    /// # Errors
    /// 15974, 15975 for a direction that is none, 13103 for more than [`KEY_FIELDS_MAX`] fields, 40352, 40353, 15998,
    /// 16410 for a name that is none, 17312, 31138, 40218 and 9 for `$meta`.
    ///
    /// ```
    /// use headwater_engine::bson::DocWriter;
    /// use headwater_engine::query::sort::SortPattern;
    ///
    /// let doc = |a: i32| {
    ///     let mut doc = DocWriter::new();
    ///     doc.i32("a", a);
    ///     doc.finish()
    /// };
    /// let pattern = SortPattern::parse(doc(-1).as_doc())?;
    /// let (mut one, mut two) = (Vec::new(), Vec::new());
    /// pattern.write_key(doc(1).as_doc(), &mut one)?;
    /// pattern.write_key(doc(2).as_doc(), &mut two)?;
    /// assert!(two < one);
    /// # Ok::<(), headwater_engine::Error>(())
    /// ```
    pub fn parse(spec: Doc<'_>) -> Result<SortPattern> {
        let mut paths: Vec<Path> = Vec::new();
        let mut directions = Vec::new();
        let mut random = None;
        // What the fields are said to be comes before their names.
        spec.iter().try_for_each(|element| match element.value.as_doc() {
            Some(meta) => parse_meta(meta),
            None => direction(element).map(drop),
        })?;
        for element in spec {
            if directions.len() >= KEY_FIELDS_MAX {
                return Err(Error::location(13103, "too many compound keys"));
            }
            if element.value.as_doc().is_some() {
                random = Some(directions.len());
                directions.push(Direction::Ascending);
                continue;
            }
            let name = element.name_str();
            let direction = direction(element)?;
            expressions::Path::parse(name)?;
            if paths.iter().any(|path| path.as_str() == name) {
                continue;
            }
            paths.push(Path::parse(name)?);
            directions.push(direction);
        }
        let whole =
            random.is_none() && matches!(paths.as_slice(), [only] if only.as_str() == "_id");
        let paths = KeyPaths::new(paths);
        Ok(SortPattern { spec: spec.to_buf(), paths, directions, random, whole, collation: None })
    }

    /// The same pattern with texts compared by a collation.
    #[must_use]
    pub fn with_collation(mut self, collation: Option<Arc<Collation>>) -> SortPattern {
        self.collation = collation;
        self
    }

    /// How texts compare, if not by their bytes.
    pub fn collation(&self) -> Option<&Arc<Collation>> {
        self.collation.as_ref()
    }

    /// The direction of `{$natural: 1}` or `{$natural: -1}`, `None` if the pattern does not name `$natural`.
    ///
    /// # Errors
    /// `BadValue` if anything stands beside it, or for another direction.
    pub fn natural(spec: Doc<'_>) -> Result<Option<Direction>> {
        let Some(value) = spec.get("$natural") else { return Ok(None) };
        let alone = spec.iter().nth(1).is_none();
        match Number::from_raw(value).and_then(Number::to_i64_exact) {
            Some(1) if alone => Ok(Some(Direction::Ascending)),
            Some(-1) if alone => Ok(Some(Direction::Descending)),
            _ => Err(Error::new(
                Code::BAD_VALUE,
                "$natural sort cannot be set to a value other than -1 or 1.",
            )),
        }
    }

    /// The pattern as it was written.
    pub fn spec(&self) -> Doc<'_> {
        self.spec.as_doc()
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.directions.is_empty()
    }

    /// The fields with their directions; `None` if the pattern asks for more than fields in the order of keys.
    pub fn fields(&self) -> Option<impl ExactSizeIterator<Item = (&Path, Direction)>> {
        self.random
            .is_none()
            .then(|| self.paths.paths().iter().zip(self.directions.iter().copied()))
    }

    /// Appends the key of a document: of the keys its arrays give, the one that comes first.
    ///
    /// # Errors
    /// `BadValue` if two fields meet different arrays; 16746 for an ambiguous numeric name.
    pub fn write_key(&self, doc: Doc<'_>, out: &mut Vec<u8>) -> Result<()> {
        match &self.collation {
            None => self.write_key_with(doc, None, out),
            Some(collation) => {
                let collate = |text: &str, out: &mut Vec<u8>| collation.append_key(text, out);
                self.write_key_with(doc, Some(&collate), out)
            }
        }
    }

    /// As [`SortPattern::write_key`], with the collation of texts.
    ///
    /// # Errors
    /// As [`SortPattern::write_key`].
    pub fn write_key_with(
        &self,
        doc: Doc<'_>,
        collate: Option<Collate<'_>>,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let start = out.len();
        if self.write_plain(doc, collate, out) {
            return Ok(());
        }
        out.truncate(start);
        let mut best: Option<Vec<u8>> = None;
        let mut key = Vec::new();
        let result = self.paths.each_key(doc, &mut Multikey::default(), &mut |values, _| {
            key.clear();
            self.append(values.iter().copied(), collate, &mut key);
            if best.as_ref().is_none_or(|best| key < *best) {
                std::mem::swap(best.get_or_insert_default(), &mut key);
            }
            Ok(())
        });
        result.map_err(|error| match error.code() {
            Code::CANNOT_INDEX_PARALLEL_ARRAYS => {
                Error::new(Code::BAD_VALUE, "cannot sort with keys that are parallel arrays")
            }
            _ => error,
        })?;
        out.extend_from_slice(&best.unwrap_or_default());
        Ok(())
    }

    /// The values that a document is sorted by, of several the ones that come first, as the bytes of an array.
    ///
    /// # Errors
    /// As [`SortPattern::write_key`].
    pub fn values(&self, doc: Doc<'_>) -> Result<Vec<u8>> {
        let order = ValueOrder::new(self.collation.clone());
        let mut best: Option<(Vec<u8>, Vec<u8>)> = None;
        self.paths.each_key(doc, &mut Multikey::default(), &mut |values, _| {
            let (mut key, mut shown) = (Vec::new(), ArrayWriter::new());
            for (value, direction) in values.iter().zip(&self.directions) {
                order.append_key(*value, *direction, &mut key);
                shown.raw(*value);
            }
            if best.as_ref().is_none_or(|(first, _)| key < *first) {
                best = Some((key, shown.into_bytes()));
            }
            Ok(())
        })?;
        Ok(best.map_or_else(|| ArrayWriter::new().into_bytes(), |(_, shown)| shown))
    }

    /// Writes the key if no array is met; what it wrote is to be forgotten if one is.
    fn write_plain(&self, doc: Doc<'_>, collate: Option<Collate<'_>>, out: &mut Vec<u8>) -> bool {
        if self.random.is_some() {
            return false;
        }
        for (path, direction) in self.paths.paths().iter().zip(&self.directions) {
            let mut value = doc.as_raw();
            for part in path.parts() {
                value =
                    value.as_doc().and_then(|doc| doc.get_bytes(part.name())).unwrap_or(Raw::NULL);
                if value.kind == Type::Array && !self.whole {
                    return false;
                }
            }
            key::append_with(out, value, *direction, collate);
        }
        true
    }

    fn append<'a>(
        &self,
        values: impl Iterator<Item = Raw<'a>>,
        collate: Option<Collate<'_>>,
        out: &mut Vec<u8>,
    ) {
        let mut values = values;
        for (at, direction) in self.directions.iter().enumerate() {
            if self.random == Some(at) {
                out.extend_from_slice(&draw().to_be_bytes());
            } else {
                key::append_with(out, values.next().unwrap_or(Raw::NULL), *direction, collate);
            }
        }
    }
}

fn draw() -> u64 {
    Random::new().bits()
}

fn direction(element: Element<'_>) -> Result<Direction> {
    let Some(number) = Number::from_raw(element.value) else {
        let text = bson_text(element.value);
        let message = format!("Illegal key in $sort specification: {}: {text}", element.name_str());
        return Err(Error::location(15974, message));
    };
    match number.to_i64_truncated() {
        Some(1) => Ok(Direction::Ascending),
        Some(-1) => Ok(Direction::Descending),
        _ => Err(Error::location(
            15975,
            "$sort key ordering must be 1 (for ascending) or -1 (for descending)",
        )),
    }
}

/// Of `$meta` only `randVal` can be sorted by; the others need a score that is not there.
fn parse_meta(meta: Doc<'_>) -> Result<()> {
    let Some(value) =
        meta.get("$meta").filter(|_| meta.first().is_some_and(|e| e.name == b"$meta"))
    else {
        let message = "$meta is the only expression supported by $sort right now";
        return Err(Error::location(17312, message));
    };
    if meta.iter().nth(1).is_some() {
        let message = "Cannot have additional keys in a $meta sort specification";
        return Err(Error::new(Code::FAILED_TO_PARSE, message));
    }
    let needs = |what: &str| {
        Err(Error::location(
            40218,
            format!("query requires {what} metadata, but it is not available"),
        ))
    };
    match value.as_str() {
        Some("randVal") => Ok(()),
        Some("textScore") => needs("text score"),
        Some("geoNearDistance") => needs("$geoNear distance"),
        Some("searchScore") => needs("$search score"),
        Some("vectorSearchScore") => needs("$vectorSearch score"),
        _ => {
            let text = bson_text(value);
            Err(Error::location(31138, format!("Illegal $meta sort: $meta: {text}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bson::DocWriter;

    fn key(spec: &Doc<'_>, doc: Doc<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        SortPattern::parse(*spec).unwrap().write_key(doc, &mut out).unwrap();
        out
    }

    #[test]
    fn arrays_sort_by_their_smallest_or_largest_element() {
        let mut list = DocWriter::new();
        list.array("a", |a| {
            a.i32(1);
            a.i32(9);
        });
        let list = list.finish();
        let mut five = DocWriter::new();
        five.i32("a", 5);
        let five = five.finish();
        for (direction, list_first) in [(1, true), (-1, true)] {
            let mut spec = DocWriter::new();
            spec.i32("a", direction);
            let spec = spec.finish();
            let (list, five) =
                (key(&spec.as_doc(), list.as_doc()), key(&spec.as_doc(), five.as_doc()));
            assert_eq!(list < five, list_first);
        }
    }

    #[test]
    fn a_missing_field_ties_with_null() {
        let mut spec = DocWriter::new();
        spec.i32("a.b", 1);
        let spec = spec.finish();
        let mut null = DocWriter::new();
        null.document("a", |a| a.null("b"));
        assert_eq!(key(&spec.as_doc(), null.finish().as_doc()), key(&spec.as_doc(), Doc::EMPTY));
    }
}
