//! Copies a document with some of its elements replaced, removed or appended.

use crate::bson::{Doc, Iter, Raw, Value};

/// An element and where it stands in its document's bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span<'a> {
    pub(super) name: &'a [u8],
    pub(super) value: Raw<'a>,
    start: usize,
    end: usize,
}

/// What becomes of an element.
#[derive(Debug)]
pub(super) enum Edit<'a> {
    Keep,
    Set(Value<'a>),
    Remove,
}

/// The edits of one level, collected.
#[derive(Debug, Default)]
pub(super) struct Splice<'a> {
    /// Start and end of the element, and where in `new` its replacement ends.
    edits: Vec<(usize, usize, Option<(Box<[u8]>, Value<'a>)>)>,
    /// Encoded elements to append.
    appended: Vec<u8>,
}

impl<'a> Span<'a> {
    /// Walks the elements of a document.
    pub(super) fn all(doc: Doc<'a>) -> Spans<'a> {
        Spans { elements: doc.iter(), at: 4 }
    }
}

/// The walk of [`Span::all`].
#[derive(Debug)]
pub(super) struct Spans<'a> {
    elements: Iter<'a>,
    at: usize,
}

impl<'a> Iterator for Spans<'a> {
    type Item = Span<'a>;

    fn next(&mut self) -> Option<Span<'a>> {
        let element = self.elements.next()?;
        let start = self.at;
        self.at += 2 + element.name.len() + element.value.data.len();
        Some(Span { name: element.name, value: element.value, start, end: self.at })
    }
}

impl<'a> Splice<'a> {
    /// Notes what becomes of an element.
    pub(super) fn edit(&mut self, span: Span<'_>, name: &str, edit: Edit<'a>) {
        let replacement = match edit {
            Edit::Keep => return,
            Edit::Remove => None,
            Edit::Set(value) => Some((name.as_bytes().into(), value)),
        };
        self.edits.push((span.start, span.end, replacement));
    }

    /// Notes an element to append.
    pub(super) fn append(&mut self, name: &[u8], value: Value<'_>) {
        if let Some(raw) = value.raw() {
            write(&mut self.appended, name, raw);
        }
    }

    /// The new bytes, `None` if there is nothing to do.
    pub(super) fn finish(mut self, doc: Doc<'_>) -> Option<Vec<u8>> {
        if self.edits.is_empty() && self.appended.is_empty() {
            return None;
        }
        self.edits.sort_unstable_by_key(|edit| edit.0);
        let old = doc.as_bytes();
        let new =
            self.edits.iter().filter_map(|(_, _, new)| Some(new.as_ref()?.1.raw()?.data.len()));
        let mut out = Vec::with_capacity(old.len() + self.appended.len() + new.sum::<usize>());
        let mut copied = 0;
        for (start, end, replacement) in &self.edits {
            out.extend_from_slice(old.get(copied..*start).unwrap_or_default());
            copied = *end;
            if let Some((name, value)) = replacement
                && let Some(raw) = value.raw()
            {
                write(&mut out, name, raw);
            }
        }
        out.extend_from_slice(old.get(copied..old.len().saturating_sub(1)).unwrap_or_default());
        out.extend_from_slice(&self.appended);
        out.push(0);
        let len = u32::try_from(out.len()).unwrap_or(u32::MAX);
        if let Some(head) = out.get_mut(..4) {
            head.copy_from_slice(&len.to_le_bytes());
        }
        Some(out)
    }
}

fn write(out: &mut Vec<u8>, name: &[u8], value: Raw<'_>) {
    out.push(value.kind as u8);
    out.extend_from_slice(name);
    out.push(0);
    out.extend_from_slice(value.data);
}
