//! Copies a document with some of its elements replaced, removed or appended.

use crate::bson::{Array, Doc, Iter, Raw, Value};

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
    /// Elements and the values that take the place of theirs, `None` to remove the element.
    edits: Vec<(Span<'a>, Option<Value<'a>>)>,
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
    pub(super) fn edit(&mut self, span: Span<'a>, edit: Edit<'a>) {
        match edit {
            Edit::Keep => {}
            Edit::Remove => self.edits.push((span, None)),
            Edit::Set(value) => self.edits.push((span, Some(value))),
        }
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
        self.edits.sort_unstable_by_key(|(span, _)| span.start);
        let old = doc.as_bytes();
        let new = self.edits.iter().filter_map(|(_, new)| Some(new.as_ref()?.raw()?.data.len()));
        let mut out = Vec::with_capacity(old.len() + self.appended.len() + new.sum::<usize>());
        let mut copied = 0;
        for (span, new) in &self.edits {
            out.extend_from_slice(old.get(copied..span.start).unwrap_or_default());
            copied = span.end;
            if let Some(value) = new.as_ref().and_then(Value::raw) {
                write(&mut out, span.name, value);
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

/// An array of `len` elements with values behind them; what is there is copied as it is.
pub(super) fn append<'a>(
    array: Array<'_>,
    len: usize,
    values: impl IntoIterator<Item = Raw<'a>>,
) -> Value<'static> {
    let mut splice = Splice::default();
    for (index, value) in (len..).zip(values) {
        write(&mut splice.appended, index.to_string().as_bytes(), value);
    }
    let bytes = splice.finish(Doc::trusted(array.as_bytes()));
    Value::array(bytes.unwrap_or_else(|| array.as_bytes().to_vec()))
}

fn write(out: &mut Vec<u8>, name: &[u8], value: Raw<'_>) {
    out.push(value.kind as u8);
    out.extend_from_slice(name);
    out.push(0);
    out.extend_from_slice(value.data);
}
