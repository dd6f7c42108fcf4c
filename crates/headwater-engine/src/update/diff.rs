//! The difference between two documents, for updates that say nothing of what they touched (pipelines).
//!
//! MongoDB logs such an update as a difference where that is smaller than the new document and as a replacement
//! otherwise, and change streams show which; so sizes are counted here as in the difference's logged form:
//! `{d: {removed}, u: {updated}, i: {inserted}, s<field>: {below}}`, arrays `{a: true, l: size, u<index>, s<index>}`.

use std::collections::BTreeSet;

use super::Description;
use super::delta::Level;
use crate::bson::{Array, Doc, Element, Raw, Type};

/// Bytes of an empty document.
const EMPTY: usize = 5;
/// Bytes of the entry that wraps a logged difference.
const WRAPPER: usize = 15;

/// What was changed, `None` if it is more to tell than the new document.
pub(super) fn describe(old: Doc<'_>, new: Doc<'_>) -> Option<Description> {
    let mut level = Level::default();
    let size = document(old, new, "", &mut level)?;
    (size + WRAPPER <= new.as_bytes().len()).then(|| level.finish())
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn same(a: Raw<'_>, b: Raw<'_>) -> bool {
    a.kind == b.kind && a.data == b.data
}

fn element_size(name_len: usize, value: Raw<'_>) -> usize {
    2 + name_len + value.data.len()
}

/// Describes what became of a document; the size of that in the log, `None` if it is above that of `new`.
fn document(old: Doc<'_>, new: Doc<'_>, path: &str, level: &mut Level) -> Option<usize> {
    let mut sizes = [0; 3];
    let mut below = 0;
    let mut removed: BTreeSet<&[u8]> = BTreeSet::new();
    let (mut olds, mut news) = (old.iter().peekable(), new.iter().peekable());
    let limit = new.as_bytes().len();
    while let (Some(before), Some(after)) = (olds.peek(), news.peek()) {
        if before.name != after.name {
            removed.insert(before.name);
            olds.next();
            continue;
        }
        if !same(before.value, after.value) {
            let at = join(path, after.name_str());
            match value(before.value, after.value, &at, level) {
                Some(size) => below += 3 + after.name.len() + size,
                None => {
                    level.updated(&at, after.value);
                    sizes[0] += element_size(after.name.len(), after.value);
                }
            }
        }
        olds.next();
        news.next();
        if EMPTY + below + sizes[0] > limit {
            return None;
        }
    }
    for Element { name, value } in news {
        removed.remove(name);
        level.created(&join(path, text(name)), value);
        sizes[1] += element_size(name.len(), value);
    }
    for name in olds.map(|element| element.name).chain(removed) {
        level.removed(&join(path, text(name)));
        sizes[2] += 3 + name.len();
    }
    let sections: usize = sizes.iter().filter(|size| **size > 0).map(|size| 3 + EMPTY + size).sum();
    let size = EMPTY + sections + below;
    (size <= limit).then_some(size)
}

fn array(old: Array<'_>, new: Array<'_>, path: &str, level: &mut Level) -> Option<usize> {
    let mut size = EMPTY + 4;
    let mut olds = old.iter();
    let mut count = 0;
    for after in new.iter() {
        let index = count.to_string();
        let at = join(path, &index);
        count += 1;
        let before = olds.next();
        if before.is_some_and(|before| same(before, after)) {
            continue;
        }
        match before.and_then(|before| value(before, after, &at, level)) {
            Some(below) => size += 3 + index.len() + below,
            None => {
                level.updated(&at, after);
                size += 1 + element_size(index.len(), after);
            }
        }
    }
    if olds.next().is_some() {
        level.truncated(path, count);
        size += 7;
    }
    (size <= new.as_bytes().len()).then_some(size)
}

/// Describes what happened inside a value, `None` if the value is to be shown whole.
fn value(old: Raw<'_>, new: Raw<'_>, path: &str, level: &mut Level) -> Option<usize> {
    let mut sub = level.sub(new.kind == Type::Array);
    let size = match (old.kind, new.kind) {
        (Type::Document, Type::Document) => document(old.as_doc()?, new.as_doc()?, path, &mut sub),
        (Type::Array, Type::Array) => array(old.as_array()?, new.as_array()?, path, &mut sub),
        _ => None,
    }?;
    level.take(sub);
    Some(size)
}

fn text(name: &[u8]) -> &str {
    std::str::from_utf8(name).unwrap_or("\u{FFFD}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bson::{DocBuf, DocWriter};

    fn doc(fill: impl FnOnce(&mut DocWriter)) -> DocBuf {
        let mut doc = DocWriter::new();
        doc.str("pad", &"x".repeat(200));
        fill(&mut doc);
        doc.finish()
    }

    #[test]
    fn changes_are_shown_where_they_are() {
        let old = doc(|d| {
            d.i32("gone", 1);
            d.i32("n", 1);
            d.document("o", |o| {
                o.str("pad", &"y".repeat(50));
                o.i32("x", 1);
            });
            d.array("a", |a| (0..30).for_each(|i| a.i32(i)));
        });
        let new = doc(|d| {
            d.i32("n", 2);
            d.document("o", |o| {
                o.str("pad", &"y".repeat(50));
                o.i32("x", 2);
            });
            d.array("a", |a| (0..28).for_each(|i| a.i32(i + i32::from(i == 3))));
            d.i32("new", 1);
        });
        let mut expected = DocWriter::new();
        expected.document("updatedFields", |u| {
            u.i32("n", 2);
            u.i32("new", 1);
            u.i32("o.x", 2);
            u.i32("a.3", 4);
        });
        expected.array("removedFields", |r| r.str("gone"));
        expected.array("truncatedArrays", |t| {
            t.document(|e| {
                e.str("field", "a");
                e.i32("newSize", 28);
            });
        });
        let description = describe(old.as_doc(), new.as_doc()).unwrap();
        assert_eq!(description.as_doc(), expected.finish().as_doc());
    }

    #[test]
    fn a_small_document_is_shown_as_replaced() {
        let [old, new] = [1, 2].map(|n| {
            let mut doc = DocWriter::new();
            doc.i32("n", n);
            doc.finish()
        });
        assert_eq!(describe(old.as_doc(), new.as_doc()), None);
    }
}
