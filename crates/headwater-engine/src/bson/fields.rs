//! Several fields of one document, found in one walk.

use super::doc::{Doc, is_same};
use super::raw::{Raw, Type};
use super::scan;

/// How many elements are remembered; what stands behind them is walked for every name.
const REMEMBERED_MAX: usize = 12;

/// A document whose fields are asked for one after another: each element is walked once, whatever the order of the
/// names, and not before a name needs it.
///
/// Answers as [`Doc::get_bytes`] does, name by name.
///
/// ```
/// use headwater_engine::bson::{DocWriter, Fields};
///
/// let mut doc = DocWriter::new();
/// doc.i32("a", 1);
/// doc.i32("b", 2);
/// let doc = doc.finish();
/// let mut fields = Fields::new(doc.as_doc());
/// assert_eq!(fields.get_bytes(b"b").map(|value| value.data), Some(&[2, 0, 0, 0][..]));
/// assert_eq!(fields.get_bytes(b"a").map(|value| value.data), Some(&[1, 0, 0, 0][..]));
/// ```
#[derive(Debug)]
pub struct Fields<'a> {
    bytes: &'a [u8],
    seen: [Seen; REMEMBERED_MAX],
    seen_count: usize,
    /// Where the first element that is not remembered starts.
    at: usize,
}

/// Where an element stands, as offsets into the document; documents are far smaller than 4 GiB.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    name: u32,
    value: u32,
    end: u32,
}

impl<'a> Fields<'a> {
    /// A walk that has not begun.
    #[inline]
    pub fn new(doc: Doc<'a>) -> Fields<'a> {
        let seen = [Seen::default(); REMEMBERED_MAX];
        Fields { bytes: doc.as_bytes(), seen, seen_count: 0, at: 4 }
    }

    /// The value of the first element of that name.
    #[inline]
    pub fn get_bytes(&mut self, name: &[u8]) -> Option<Raw<'a>> {
        for seen in self.seen.get(..self.seen_count)? {
            if is_named(self.bytes, *seen, name) {
                return value(self.bytes, *seen);
            }
        }
        let mut at = self.at;
        loop {
            let span = scan::element(self.bytes, at)?;
            at = span.end;
            let seen = Seen { name: span.name as u32, value: span.value as u32, end: at as u32 };
            if let Some(free) = self.seen.get_mut(self.seen_count) {
                *free = seen;
                self.seen_count += 1;
                self.at = at;
            }
            if is_named(self.bytes, seen, name) {
                return value(self.bytes, seen);
            }
        }
    }
}

#[inline(always)]
fn is_named(bytes: &[u8], seen: Seen, name: &[u8]) -> bool {
    let (start, end) = (seen.name as usize, seen.value as usize - 1);
    end - start == name.len() && bytes.get(start..end).is_some_and(|found| is_same(found, name))
}

#[inline(always)]
fn value(bytes: &[u8], seen: Seen) -> Option<Raw<'_>> {
    let kind = Type::from_byte(*bytes.get(seen.name as usize - 1)?)?;
    Some(Raw { kind, data: bytes.get(seen.value as usize..seen.end as usize)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bson::DocWriter;

    /// A document of so many fields, each of two names, the first of which repeats.
    fn document(fields: i32) -> crate::bson::DocBuf {
        let mut doc = DocWriter::new();
        for at in 0..fields {
            doc.i32(&format!("f{at}"), at);
            doc.i32("twice", at);
        }
        doc.finish()
    }

    #[test]
    fn any_order_of_names_finds_what_a_walk_for_each_finds() {
        for fields in [0, 1, 3, 6, 7, 20] {
            let doc = document(fields);
            let mut names: Vec<String> = (0..=fields).rev().map(|at| format!("f{at}")).collect();
            names.extend(["twice".into(), "f0".into(), "none".into(), "f6".into(), "twice".into()]);
            for skipped in 0..names.len() {
                let mut found = Fields::new(doc.as_doc());
                for name in names.iter().skip(skipped) {
                    let alone = doc.as_doc().get(name).map(|value| value.data);
                    let found = found.get_bytes(name.as_bytes()).map(|value| value.data);
                    assert_eq!(found, alone, "{name} of {fields}");
                }
            }
        }
    }
}
