//! Documents and arrays as borrowed or owned bytes, and the walk over their elements.

use std::fmt;

use super::raw::{Raw, Type};
use super::scan;

/// A BSON document, borrowed.
///
/// Bytes that come from outside go through [`super::validate`] first. Walking never panics whatever the bytes are:
/// it ends at the first element that does not fit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Doc<'a>(&'a [u8]);

/// A BSON array, borrowed: a document whose names do not matter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Array<'a>(pub(super) Doc<'a>);

/// A BSON document, owned.
#[derive(Clone, PartialEq, Eq)]
pub struct DocBuf(Vec<u8>);

/// A name and its value.
#[derive(Debug, Clone, Copy)]
pub struct Element<'a> {
    /// The name, as bytes: on the hot path names are only compared.
    pub name: &'a [u8],
    /// The value.
    pub value: Raw<'a>,
}

/// The walk over a document's elements.
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    bytes: &'a [u8],
    /// Where the next element starts.
    at: usize,
}

const EMPTY: &[u8] = &[5, 0, 0, 0, 0];

impl<'a> Doc<'a> {
    /// The document without elements.
    pub const EMPTY: Doc<'static> = Doc(EMPTY);

    /// Bytes that are known to be a valid document: validated on arrival, or written by this engine.
    #[inline]
    pub fn trusted(bytes: &'a [u8]) -> Doc<'a> {
        Doc(bytes)
    }

    /// The bytes, length prefix and terminator included.
    #[inline]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The bytes of the elements alone, to be copied into another document.
    #[inline]
    pub fn element_bytes(self) -> &'a [u8] {
        self.0.get(4..self.0.len().saturating_sub(1)).unwrap_or_default()
    }

    /// Walks the elements in order.
    #[inline]
    pub fn iter(self) -> Iter<'a> {
        Iter { bytes: self.0, at: 4 }
    }

    /// The value of the first element of that name.
    #[inline]
    pub fn get(self, name: &str) -> Option<Raw<'a>> {
        self.get_bytes(name.as_bytes())
    }

    /// As [`Doc::get`], by the bytes of the name.
    #[inline]
    pub fn get_bytes(self, name: &[u8]) -> Option<Raw<'a>> {
        let bytes = self.0;
        let mut at = 4;
        loop {
            let span = scan::element(bytes, at)?;
            if span.value - 1 - span.name == name.len()
                && bytes.get(span.name..span.value - 1).is_some_and(|found| is_same(found, name))
            {
                let kind = Type::from_byte(*bytes.get(at)?)?;
                return Some(Raw { kind, data: bytes.get(span.value..span.end)? });
            }
            at = span.end;
        }
    }

    /// The first element.
    pub fn first(self) -> Option<Element<'a>> {
        self.iter().next()
    }

    /// Whether there is no element.
    pub fn is_empty(self) -> bool {
        self.first().is_none()
    }

    /// An owned copy.
    pub fn to_buf(self) -> DocBuf {
        DocBuf(self.0.to_vec())
    }

    /// The document as a value.
    #[inline]
    pub fn as_raw(self) -> Raw<'a> {
        Raw { kind: Type::Document, data: self.0 }
    }
}

impl<'a> IntoIterator for Doc<'a> {
    type Item = Element<'a>;
    type IntoIter = Iter<'a>;
    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl<'a> Array<'a> {
    /// Bytes that are known to be a valid array.
    #[inline]
    pub fn trusted(bytes: &'a [u8]) -> Array<'a> {
        Array(Doc::trusted(bytes))
    }

    /// The bytes, length prefix and terminator included.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0.as_bytes()
    }

    /// Walks the values in order.
    #[inline]
    pub fn iter(self) -> impl Iterator<Item = Raw<'a>> + Clone {
        self.0.iter().map(|e| e.value)
    }

    /// The value at an index, by position.
    pub fn get(self, index: usize) -> Option<Raw<'a>> {
        self.iter().nth(index)
    }

    /// The number of values; walks the array.
    pub fn len(self) -> usize {
        self.iter().count()
    }

    /// Whether there is no value.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The array as a value.
    pub fn as_raw(self) -> Raw<'a> {
        Raw { kind: Type::Array, data: self.0.as_bytes() }
    }
}

impl<'a> Element<'a> {
    /// The name as text.
    pub fn name_str(self) -> &'a str {
        std::str::from_utf8(self.name).unwrap_or("\u{FFFD}")
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        let span = scan::element(self.bytes, self.at)?;
        let kind = Type::from_byte(*self.bytes.get(self.at)?)?;
        let name = self.bytes.get(span.name..span.value - 1)?;
        let data = self.bytes.get(span.value..span.end)?;
        self.at = span.end;
        Some(Element { name, value: Raw { kind, data } })
    }
}

impl DocBuf {
    /// The document without elements.
    pub fn new() -> DocBuf {
        DocBuf(EMPTY.to_vec())
    }

    /// Bytes that are known to be a valid document.
    pub fn trusted(bytes: Vec<u8>) -> DocBuf {
        DocBuf(bytes)
    }

    /// The document, borrowed.
    #[inline]
    pub fn as_doc(&self) -> Doc<'_> {
        Doc(&self.0)
    }

    /// The bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl Default for DocBuf {
    fn default() -> DocBuf {
        DocBuf::new()
    }
}

impl fmt::Debug for Doc<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|e| (e.name_str(), e.value.view()))).finish()
    }
}

impl fmt::Debug for Array<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(Raw::view)).finish()
    }
}

impl fmt::Debug for DocBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_doc().fmt(f)
    }
}
/// Whether two names of one length are the same. Most differ in their first byte, and most are short: a call to compare
/// memory costs more than they do.
#[inline]
pub(super) fn is_same(one: &[u8], other: &[u8]) -> bool {
    if one.len() > 16 {
        return one == other;
    }
    one.iter().zip(other).all(|(one, other)| one == other)
}
