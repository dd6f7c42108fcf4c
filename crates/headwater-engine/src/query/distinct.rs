//! The distinct values of a field. Knows documents only; which documents is the plan's business.

use std::collections::BTreeMap;

use crate::bson::key::{self, Collate, Direction};
use crate::bson::{ArrayWriter, Doc, Raw, Type, Value};
use crate::error::{Error, Result};
use crate::limits::DOCUMENT_BYTES_MAX;
use crate::query::path::{KeyPaths, Multikey};

/// Collects the distinct values at a path, arrays opened one level, in ascending order.
///
/// ```
/// use headwater_engine::bson::{ArrayWriter, DocWriter};
/// use headwater_engine::query::distinct::Distinct;
///
/// let mut doc = DocWriter::new();
/// doc.array("a", |a| [3, 1, 3].into_iter().for_each(|n| a.i32(n)));
/// let mut distinct = Distinct::new("a");
/// distinct.add(doc.finish().as_doc(), None)?;
/// let mut values = ArrayWriter::new();
/// distinct.write(&mut values);
/// assert_eq!(values.count(), 2);
/// # Ok::<(), headwater_engine::Error>(())
/// ```
#[derive(Debug)]
pub struct Distinct {
    path: Box<str>,
    values: BTreeMap<Vec<u8>, Value<'static>>,
    bytes: usize,
}

impl Distinct {
    /// A collector of the values at a dotted path.
    pub fn new(path: &str) -> Distinct {
        Distinct { path: path.into(), values: BTreeMap::new(), bytes: 0 }
    }

    /// Adds the values of a document.
    ///
    /// # Errors
    /// 17217 if the values do not fit into one document.
    pub fn add(&mut self, doc: Doc<'_>, collate: Option<Collate<'_>>) -> Result<()> {
        let path = std::mem::take(&mut self.path);
        let mut result = Ok(());
        each_value(doc, &path, &mut |value| {
            if result.is_ok() {
                result = self.add_value(value, collate);
            }
        });
        self.path = path;
        result
    }

    /// Adds the values of a document as the keys of an index on `paths` hold them: null where there is none, undefined
    /// of an empty array, and the elements of arrays in an array.
    ///
    /// # Errors
    /// As [`Distinct::add`]; those of arrays that no index takes.
    pub fn add_keys(
        &mut self,
        doc: Doc<'_>,
        paths: &KeyPaths,
        collate: Option<Collate<'_>>,
    ) -> Result<()> {
        paths.each_key(doc, &mut Multikey::default(), &mut |values, _| {
            let Some(value) = values.first() else { return Ok(()) };
            match value.as_array() {
                Some(array) => array.iter().try_for_each(|value| self.add_value(value, collate)),
                None => self.add_value(*value, collate),
            }
        })
    }

    fn add_value(&mut self, value: Raw<'_>, collate: Option<Collate<'_>>) -> Result<()> {
        let mut key = Vec::new();
        key::append_with(&mut key, value, Direction::Ascending, collate);
        if self.values.contains_key(&key) {
            return Ok(());
        }
        // As an element of the reply's array: its type, its number as a name, its bytes.
        let digits = self.values.len().checked_ilog10().unwrap_or(0) as usize + 1;
        self.bytes += digits + 2 + value.data.len();
        if self.bytes > DOCUMENT_BYTES_MAX {
            return Err(Error::location(17217, "distinct too big, 16mb cap"));
        }
        self.values.insert(key, Value::owned(value.kind, value.data));
        Ok(())
    }

    /// Writes the values in ascending order.
    pub fn write(&self, out: &mut ArrayWriter) {
        self.values.values().filter_map(Value::raw).for_each(|value| out.raw(value));
    }
}

/// Visits the values at a path, those of an array at its end one by one. A numeric name behind an array is a position
/// only; a field whose own name has dots is found too.
fn each_value<'a>(doc: Doc<'a>, path: &str, visit: &mut dyn FnMut(Raw<'a>)) {
    if let Some(value) = doc.get(path) {
        match value.as_array() {
            Some(array) => array.iter().for_each(visit),
            None => visit(value),
        }
        return;
    }
    let Some((first, rest)) = path.split_once('.') else { return };
    let Some(value) = doc.get(first) else { return };
    let inside = Doc::trusted(value.data);
    match value.kind {
        Type::Document => each_value(inside, rest, visit),
        Type::Array if starts_with_number(rest) => each_value(inside, rest, visit),
        Type::Array => inside
            .iter()
            .filter(|element| matches!(element.value.kind, Type::Document | Type::Array))
            .for_each(|element| each_value(Doc::trusted(element.value.data), rest, visit)),
        _ => {}
    }
}

fn starts_with_number(path: &str) -> bool {
    let first = path.split('.').next().unwrap_or_default();
    !first.is_empty() && first.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bson::{DocBuf, DocWriter};

    fn text(letter: &str, bytes: usize) -> DocBuf {
        let mut doc = DocWriter::new();
        doc.str("a", &letter.repeat(bytes));
        doc.finish()
    }

    #[test]
    fn only_different_values_count_against_the_limit() {
        let mut distinct = Distinct::new("a");
        let doc = text("x", DOCUMENT_BYTES_MAX / 2);
        for _ in 0..4 {
            distinct.add(doc.as_doc(), None).unwrap();
        }
        let other = text("y", DOCUMENT_BYTES_MAX / 2);
        assert_eq!(distinct.add(other.as_doc(), None).unwrap_err().code().0, 17217);
    }
}
