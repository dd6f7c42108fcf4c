//! Walking dotted paths through documents and arrays: the one place that knows how `a.b.c` meets arrays.
//!
//! Two walks differ and both are here: the match language's ([`Path::walk`]), which tries a numeric name as a field
//! and as a position, and the one of keys ([`KeyPaths`], in `keys.rs`), which expands one array per key. Knows values
//! only: no operators, no indexes.

mod keys;

pub use keys::{KeyPaths, Multikey};

use crate::bson::{Array, Doc, Raw, Type};
use crate::error::{Error, Result};
use crate::limits::PATH_PARTS_MAX;

/// A dotted path, split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    text: Box<str>,
    parts: Box<[Part]>,
}

/// One name of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    name: Box<[u8]>,
    index: Option<u32>,
}

/// What a walk does with an array that stands at the end of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaf {
    /// Visits each element, then the array itself.
    Elements,
    /// Visits the array only.
    Whole,
}

/// Where a walk starts.
#[derive(Debug, Clone, Copy)]
pub enum Root<'a> {
    /// A document.
    Doc(Doc<'a>),
    /// As if a document had this one field.
    Field(&'a str, Raw<'a>),
}

impl Part {
    fn new(name: &str) -> Part {
        Part { name: name.as_bytes().into(), index: position(name) }
    }

    /// The name.
    #[inline]
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.name).unwrap_or_default()
    }

    /// The array position that the name also stands for, if it is a number without leading zeros.
    #[inline]
    pub fn index(&self) -> Option<u32> {
        self.index
    }
}

/// The array position a name stands for: decimal digits without leading zeros.
fn position(name: &str) -> Option<u32> {
    let digits = !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
    (digits && (name == "0" || !name.starts_with('0'))).then(|| name.parse().ok()).flatten()
}

impl Path {
    /// Splits a path at its dots. Names may be empty.
    ///
    /// # Errors
    /// 5729100 if there are more than [`PATH_PARTS_MAX`] names.
    pub fn parse(text: &str) -> Result<Path> {
        let parts: Box<[Part]> = text.split('.').map(Part::new).collect();
        if parts.len() > PATH_PARTS_MAX {
            return Err(Error::location(5_729_100, "FieldPath is too long"));
        }
        Ok(Path { text: text.into(), parts })
    }

    /// The path as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The names.
    #[inline]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Visits what the match language sees at the path, until `visit` answers true: the values, `None` where a
    /// document ends the path early, and beside each the position in the outermost array that
    /// was opened, arrays that the path itself names a position of excepted.
    ///
    /// # Errors
    /// Those of `visit`.
    #[inline]
    pub fn walk<'a, F>(&self, root: Root<'a>, leaf: Leaf, visit: &mut F) -> Result<bool>
    where
        F: FnMut(Option<Raw<'a>>, Option<u32>) -> Result<bool>,
    {
        match root {
            Root::Doc(doc) => walk(doc, &self.parts, leaf, None, visit),
            Root::Field(name, value) => match self.parts.split_first() {
                Some((first, rest)) if first.name() == name.as_bytes() => {
                    walk_value(value, rest, leaf, None, visit)
                }
                _ => visit(None, None),
            },
        }
    }

    /// The value at the path without opening arrays; numeric names are field names only.
    pub fn get<'a>(&self, doc: Doc<'a>) -> Option<Raw<'a>> {
        let (first, rest) = self.parts.split_first()?;
        rest.iter().try_fold(doc.get_bytes(first.name())?, |value, part| {
            value.as_doc()?.get_bytes(part.name())
        })
    }
}

fn walk<'a, F>(
    doc: Doc<'a>,
    parts: &[Part],
    leaf: Leaf,
    outer: Option<u32>,
    visit: &mut F,
) -> Result<bool>
where
    F: FnMut(Option<Raw<'a>>, Option<u32>) -> Result<bool>,
{
    let Some((first, rest)) = parts.split_first() else { return visit(None, outer) };
    match doc.get_bytes(first.name()) {
        None => visit(None, outer),
        Some(value) => walk_value(value, rest, leaf, outer, visit),
    }
}

/// Goes on at `value`, with `rest` still to go.
fn walk_value<'a, F>(
    value: Raw<'a>,
    rest: &[Part],
    leaf: Leaf,
    outer: Option<u32>,
    visit: &mut F,
) -> Result<bool>
where
    F: FnMut(Option<Raw<'a>>, Option<u32>) -> Result<bool>,
{
    match value.kind {
        Type::Array => walk_array(Array::trusted(value.data), rest, leaf, outer, visit),
        _ if rest.is_empty() => visit(Some(value), outer),
        Type::Document => walk(Doc::trusted(value.data), rest, leaf, outer, visit),
        _ => visit(None, outer),
    }
}

fn walk_array<'a, F>(
    array: Array<'a>,
    rest: &[Part],
    leaf: Leaf,
    outer: Option<u32>,
    visit: &mut F,
) -> Result<bool>
where
    F: FnMut(Option<Raw<'a>>, Option<u32>) -> Result<bool>,
{
    let Some((first, after)) = rest.split_first() else {
        if leaf == Leaf::Elements {
            for (value, at) in array.iter().zip(0..) {
                if visit(Some(value), outer.or(Some(at)))? {
                    return Ok(true);
                }
            }
        }
        return visit(Some(array.as_raw()), outer);
    };
    for (value, at) in array.iter().zip(0..) {
        if let Some(doc) = value.as_doc()
            && walk(doc, rest, leaf, outer.or(Some(at)), visit)?
        {
            return Ok(true);
        }
        // An array entered by a number was not opened: its position is no match of the filter's.
        if first.index() == Some(at) {
            let found = match value.kind {
                _ if after.is_empty() => visit(Some(value), outer)?,
                Type::Document => walk(Doc::trusted(value.data), after, leaf, outer, visit)?,
                Type::Array => walk_array(Array::trusted(value.data), after, leaf, outer, visit)?,
                _ => false,
            };
            if found {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bson::DocWriter;

    fn ints(path: &str, doc: Doc<'_>, leaf: Leaf) -> Vec<Option<u8>> {
        let mut seen = Vec::new();
        let path = Path::parse(path).unwrap();
        path.walk(Root::Doc(doc), leaf, &mut |value, _| {
            seen.push(value.map(|v| v.data[0]));
            Ok(false)
        })
        .unwrap();
        seen
    }

    #[test]
    fn names_open_arrays_one_level_and_numbers_are_also_positions() {
        let mut doc = DocWriter::new();
        doc.array("a", |a| {
            a.document(|d| d.i32("b", 1));
            a.array(|n| n.document(|d| d.i32("b", 2)));
            a.i32(3);
            a.document(|_| ());
        });
        let doc = doc.finish();
        assert_eq!(ints("a.b", doc.as_doc(), Leaf::Elements), [Some(1), None]);
        assert_eq!(ints("a.1.b", doc.as_doc(), Leaf::Elements), [None, Some(2), None]);
        assert_eq!(ints("a.2", doc.as_doc(), Leaf::Elements), [None, Some(3), None]);
        assert_eq!(ints("x.y", doc.as_doc(), Leaf::Elements), [None]);
    }

    #[test]
    fn positions_have_no_leading_zeros() {
        assert_eq!(position("0"), Some(0));
        assert_eq!(position("10"), Some(10));
        assert_eq!(position("01"), None);
        assert_eq!(position("4294967296"), None);
        assert_eq!(position("+1"), None);
    }
}
