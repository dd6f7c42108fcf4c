//! Keys of a document for a list of paths: what indexes store and sorts compare.
//!
//! One array at most may be expanded per key; paths that share it are expanded together, so that `a.b` and `a.c` of
//! one element stand in one key.

use super::{Part, Path};
use crate::aggregate::expressions::document_text;
use crate::bson::{Doc, Raw, Type};
use crate::error::{Code, Error, Result};

/// The paths of an index or a sort, and how keys are taken from a document.
#[derive(Debug, Clone)]
pub struct KeyPaths {
    paths: Box<[Path]>,
}

/// Which names of each path met an array: one bit per name, the first name lowest, per path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Multikey(pub Vec<u64>);

const NULL: Raw<'static> = Raw::NULL;
const UNDEFINED: Raw<'static> = Raw { kind: Type::Undefined, data: &[] };

/// How far one path has come.
#[derive(Clone, Copy)]
struct Cursor<'p, 'a> {
    parts: &'p [Part],
    rest: &'p [Part],
    value: Raw<'a>,
    /// The element of the array being expanded that the next name is the position of.
    at: Option<Position<'p, 'a>>,
}

/// A position met in an array, followed as far as it goes.
#[derive(Clone, Copy)]
struct Position<'p, 'a> {
    array: Doc<'a>,
    element: Raw<'a>,
    end: Option<Raw<'a>>,
    rest: &'p [Part],
}

struct Walk<'f, 'a> {
    missing: usize,
    multikey: &'f mut Multikey,
    emit: &'f mut dyn FnMut(&[Raw<'a>], usize) -> Result<()>,
}

impl Multikey {
    /// Whether any path met an array.
    pub fn any(&self) -> bool {
        self.0.iter().any(|&bits| bits != 0)
    }

    fn mark(&mut self, path: usize, part: usize) {
        if self.0.len() <= path {
            self.0.resize(path + 1, 0);
        }
        if let Some(bits) = self.0.get_mut(path) {
            *bits |= 1 << part.min(63);
        }
    }
}

impl KeyPaths {
    /// The paths of a key, in order.
    pub fn new(paths: impl Into<Box<[Path]>>) -> KeyPaths {
        KeyPaths { paths: paths.into() }
    }

    /// The paths.
    pub fn paths(&self) -> &[Path] {
        &self.paths
    }

    /// Gives each key of the document to `emit`, one value per path, and beside it how many of the paths were
    /// missing (they stand as null). Keys may repeat. What met arrays is added to `multikey`.
    ///
    /// # Errors
    /// 171 if two paths meet different arrays; 16746 if a numeric name is both a position and a field of an
    /// element; those of `emit`.
    pub fn each_key<'a>(
        &self,
        doc: Doc<'a>,
        multikey: &mut Multikey,
        emit: &mut dyn FnMut(&[Raw<'a>], usize) -> Result<()>,
    ) -> Result<()> {
        let cursors = self
            .paths
            .iter()
            .map(|path| Cursor { parts: path.parts(), rest: path.parts(), value: NULL, at: None })
            .collect();
        Walk { missing: 0, multikey, emit }.expand(cursors, doc)
    }

    /// The values of a document when no path meets an array: the one key, `false` if an array was met.
    ///
    /// The common case, without allocation beyond `key`. A missing value is null.
    pub fn plain_key<'a>(&self, doc: Doc<'a>, key: &mut Vec<Raw<'a>>) -> bool {
        key.clear();
        for path in &self.paths {
            let mut value = doc.as_raw();
            for part in path.parts() {
                let next = value.as_doc().and_then(|doc| doc.get_bytes(part.name()));
                value = next.unwrap_or(NULL);
                match value.kind {
                    Type::Document => {}
                    Type::Array => return false,
                    _ if next.is_none() => break,
                    _ => {}
                }
            }
            key.push(value);
        }
        true
    }
}

impl<'a> Walk<'_, 'a> {
    fn expand<'p>(&mut self, mut cursors: Vec<Cursor<'p, 'a>>, doc: Doc<'a>) -> Result<()> {
        let mut open = true;
        let mut array: Option<(Raw<'a>, &Part)> = None;
        let mut in_array = vec![false; cursors.len()];
        let missing_before = self.missing;
        for (at, (cursor, in_array)) in cursors.iter_mut().zip(&mut in_array).enumerate() {
            if cursor.rest.is_empty() {
                continue;
            }
            let (found, nested) = cursor.advance(doc)?;
            open &= !nested;
            match found {
                None => {
                    cursor.value = NULL;
                    cursor.rest = &[];
                    self.missing += 1;
                }
                Some(value) if value.kind == Type::Array => {
                    *in_array = true;
                    let met = cursor.met();
                    self.multikey.mark(at, met);
                    let Some(name) = cursor.parts.get(met) else { continue };
                    match array {
                        None => array = Some((value, name)),
                        Some((first, _)) if std::ptr::eq(first.data, value.data) => {}
                        Some((_, first)) => return Err(parallel(name, first)),
                    }
                }
                Some(value) => cursor.value = value,
            }
        }
        match array {
            None => {
                let key: Vec<Raw<'a>> = cursors.iter().map(|c| c.value).collect();
                (self.emit)(&key, self.missing)?;
            }
            Some((array, _)) => self.expand_array(array, &cursors, &in_array, open)?,
        }
        self.missing = missing_before;
        Ok(())
    }

    fn expand_array<'p>(
        &mut self,
        array: Raw<'a>,
        cursors: &[Cursor<'p, 'a>],
        in_array: &[bool],
        open: bool,
    ) -> Result<()> {
        let elements = Doc::trusted(array.data);
        let mut cursors = cursors.to_vec();
        for (cursor, in_array) in cursors.iter_mut().zip(in_array) {
            cursor.at = match cursor.rest.first() {
                Some(part) if *in_array => part.index().and_then(|_| {
                    let element = elements.get_bytes(part.name())?;
                    let mut rest = cursor.rest;
                    let end = follow(elements, &mut rest);
                    Some(Position { array: elements, element, end, rest })
                }),
                _ => None,
            };
        }
        let empty = elements.is_empty().then_some(UNDEFINED);
        for element in elements.iter().map(|e| e.value).chain(empty) {
            let mut next = cursors.clone();
            for (cursor, in_array) in next.iter_mut().zip(in_array) {
                if *in_array && cursor.rest.is_empty() {
                    cursor.value = if open || empty.is_some() { element } else { array };
                }
            }
            self.expand(next, element.as_doc().unwrap_or(Doc::EMPTY))?;
        }
        Ok(())
    }
}

impl<'a> Cursor<'_, 'a> {
    /// Which name was followed last.
    fn met(&self) -> usize {
        (self.parts.len() - self.rest.len()).saturating_sub(1)
    }

    /// Follows the path in `doc` to its end or to the first array; also whether a position led to a nested array.
    fn advance(&mut self, doc: Doc<'a>) -> Result<(Option<Raw<'a>>, bool)> {
        let Some(first) = self.rest.first() else { return Ok((None, false)) };
        let is_field = doc.get_bytes(first.name()).is_some();
        match self.at.take() {
            Some(position) if is_field => Err(ambiguous(first, position.array)),
            Some(position) => {
                self.rest = position.rest;
                Ok((position.end, position.element.kind == Type::Array))
            }
            None => {
                let found = follow(doc, &mut self.rest);
                Ok((found, false))
            }
        }
    }
}

/// Follows names through documents to the end of the path or the first array.
fn follow<'a>(mut doc: Doc<'a>, rest: &mut &[Part]) -> Option<Raw<'a>> {
    while let Some((first, after)) = rest.split_first() {
        let value = doc.get_bytes(first.name())?;
        *rest = after;
        match value.kind {
            Type::Array => return Some(value),
            _ if after.is_empty() => return Some(value),
            Type::Document => doc = Doc::trusted(value.data),
            _ => return None,
        }
    }
    None
}

#[cold]
fn parallel(name: &Part, first: &Part) -> Error {
    let names = format!("[{}] [{}]", name.as_str(), first.as_str());
    Error::new(Code::CANNOT_INDEX_PARALLEL_ARRAYS, format!("cannot index parallel arrays {names}"))
}

#[cold]
fn ambiguous(part: &Part, array: Doc<'_>) -> Error {
    let (name, array) = (part.as_str(), document_text(array));
    Error::location(
        16746,
        format!(
            "Ambiguous field name found in array (do not use numeric field names in embedded elements in an \
             array), field: '{name}' for array: {array}"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bson::DocWriter;

    fn keys(paths: &[&str], doc: Doc<'_>) -> (Vec<Vec<String>>, Multikey) {
        let paths: Vec<Path> = paths.iter().map(|p| Path::parse(p).unwrap()).collect();
        let mut out = Vec::new();
        let mut multikey = Multikey::default();
        KeyPaths::new(paths)
            .each_key(doc, &mut multikey, &mut |key, _| {
                out.push(key.iter().map(|v| format!("{:?}", v.view())).collect());
                Ok(())
            })
            .unwrap();
        (out, multikey)
    }

    #[test]
    fn paths_that_share_an_array_are_expanded_together() {
        let mut doc = DocWriter::new();
        doc.array("a", |a| {
            a.document(|d| {
                d.i32("b", 1);
                d.i32("c", 9);
            });
            a.document(|d| d.i32("b", 2));
            a.i32(3);
        });
        let doc = doc.finish();
        let (found, multikey) = keys(&["a.b", "a.c"], doc.as_doc());
        assert_eq!(found, [["Int32(1)", "Int32(9)"], ["Int32(2)", "Null"], ["Null", "Null"]]);
        assert_eq!(multikey.0, [1, 1]);
    }

    #[test]
    fn an_empty_array_is_undefined_at_the_end_and_null_below() {
        let mut doc = DocWriter::new();
        doc.array("a", |_| ());
        let doc = doc.finish();
        assert_eq!(keys(&["a"], doc.as_doc()).0, [["Undefined"]]);
        assert_eq!(keys(&["a.b"], doc.as_doc()).0, [["Null"]]);
    }

    #[test]
    fn two_arrays_are_refused() {
        let mut doc = DocWriter::new();
        doc.array("a", |a| a.i32(1));
        doc.array("b", |a| a.i32(1));
        let doc = doc.finish();
        let paths = [Path::parse("a").unwrap(), Path::parse("b").unwrap()];
        let result =
            KeyPaths::new(paths)
                .each_key(doc.as_doc(), &mut Multikey::default(), &mut |_, _| Ok(()));
        assert_eq!(result.unwrap_err().code(), Code::CANNOT_INDEX_PARALLEL_ARRAYS);
    }

    #[test]
    fn a_position_is_followed_once() {
        let mut doc = DocWriter::new();
        doc.array("a", |a| {
            a.document(|d| d.i32("b", 1));
            a.document(|d| d.i32("b", 2));
        });
        let doc = doc.finish();
        assert_eq!(keys(&["a.1.b"], doc.as_doc()).0, [["Int32(2)"], ["Int32(2)"]]);
    }
}
