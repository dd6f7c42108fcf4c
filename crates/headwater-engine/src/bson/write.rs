//! Writes documents and arrays straight into a byte buffer. Lengths are filled in when a level ends.

use super::{Doc, DocBuf, Raw, Type};

/// Writes one document, nested ones included, into one buffer.
///
/// ```
/// use headwater_engine::bson::DocWriter;
/// let mut doc = DocWriter::new();
/// doc.i32("a", 1);
/// doc.document("b", |b| b.str("c", "x"));
/// assert_eq!(doc.finish().as_doc().get("a").unwrap().data, [1, 0, 0, 0]);
/// ```
#[derive(Debug)]
pub struct DocWriter {
    bytes: Vec<u8>,
    start: usize,
}

/// Writes the values of an array; the names are counted.
#[derive(Debug)]
pub struct ArrayWriter {
    inner: DocWriter,
    next: u32,
}

impl Default for DocWriter {
    fn default() -> DocWriter {
        DocWriter::new()
    }
}

macro_rules! scalars {
    ($($(#[$doc:meta])* $name:ident($ty:ty) = $kind:ident, $bytes:expr;)*) => {$(
        $(#[$doc])*
        #[inline]
        pub fn $name(&mut self, name: &str, value: $ty) {
            let to_bytes: fn($ty) -> _ = $bytes;
            self.raw(name, Raw { kind: Type::$kind, data: &to_bytes(value) });
        }
    )*};
}

impl DocWriter {
    /// Starts a document in a buffer of its own.
    pub fn new() -> DocWriter {
        DocWriter::with_capacity(64)
    }

    /// Starts a document in a buffer of its own, with room for `bytes` before it must grow.
    pub fn with_capacity(bytes: usize) -> DocWriter {
        DocWriter::append_to(Vec::with_capacity(bytes))
    }

    /// Starts a document at the end of `bytes`; [`DocWriter::into_bytes`] gives the buffer back.
    pub fn append_to(mut bytes: Vec<u8>) -> DocWriter {
        let start = bytes.len();
        bytes.extend_from_slice(&[0; 4]);
        DocWriter { bytes, start }
    }

    /// The bytes written so far, the length of the open level not filled in yet.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// Whether no element has been written.
    pub fn is_empty(&self) -> bool {
        self.len() == 4
    }

    fn end(&mut self) {
        self.bytes.push(0);
        let len = u32::try_from(self.bytes.len() - self.start).unwrap_or(u32::MAX);
        if let Some(head) = self.bytes.get_mut(self.start..self.start + 4) {
            head.copy_from_slice(&len.to_le_bytes());
        }
    }

    /// Ends the document. The buffer must have been its own.
    pub fn finish(self) -> DocBuf {
        DocBuf::trusted(self.into_bytes())
    }

    /// Ends the document and gives the buffer back.
    pub fn into_bytes(mut self) -> Vec<u8> {
        self.end();
        self.bytes
    }

    fn head(&mut self, kind: Type, name: &[u8]) {
        self.bytes.reserve(name.len() + 2);
        self.bytes.push(kind as u8);
        self.bytes.extend_from_slice(name);
        self.bytes.push(0);
    }

    /// Appends an element by copying the value's bytes.
    #[inline]
    pub fn raw(&mut self, name: &str, value: Raw<'_>) {
        self.raw_bytes(name.as_bytes(), value);
    }

    /// As [`DocWriter::raw`], by the bytes of the name, which must not contain a NUL.
    #[inline]
    pub fn raw_bytes(&mut self, name: &[u8], value: Raw<'_>) {
        self.head(value.kind, name);
        self.bytes.extend_from_slice(value.data);
    }

    /// Appends all elements of a document.
    pub fn extend(&mut self, doc: Doc<'_>) {
        self.bytes.extend_from_slice(doc.element_bytes());
    }

    /// Appends elements that are encoded already.
    pub(crate) fn encoded(&mut self, elements: &[u8]) {
        self.bytes.extend_from_slice(elements);
    }

    scalars! {
        /// Appends an int32.
        i32(i32) = Int32, i32::to_le_bytes;
        /// Appends an int64.
        i64(i64) = Int64, i64::to_le_bytes;
        /// Appends a double.
        f64(f64) = Double, f64::to_le_bytes;
        /// Appends a bool.
        bool(bool) = Bool, |b| [u8::from(b)];
        /// Appends a date: milliseconds since 1970-01-01T00:00Z.
        date(i64) = Date, i64::to_le_bytes;
        /// Appends a timestamp: seconds in the high, increment in the low 32 bits.
        timestamp(u64) = Timestamp, u64::to_le_bytes;
        /// Appends an ObjectId.
        object_id([u8; 12]) = ObjectId, |b| b;
        /// Appends a Decimal128 in its BID encoding, little endian.
        decimal([u8; 16]) = Decimal, |b| b;
    }

    /// Appends a string.
    pub fn str(&mut self, name: &str, value: &str) {
        self.head(Type::String, name.as_bytes());
        let len = u32::try_from(value.len() + 1).unwrap_or(u32::MAX);
        self.bytes.extend_from_slice(&len.to_le_bytes());
        self.bytes.extend_from_slice(value.as_bytes());
        self.bytes.push(0);
    }

    /// Appends a null.
    pub fn null(&mut self, name: &str) {
        self.raw(name, Raw::NULL);
    }

    /// Appends binary data. Of subtype 2 the inner length is written too.
    pub fn binary(&mut self, name: &str, subtype: u8, data: &[u8]) {
        self.head(Type::Binary, name.as_bytes());
        let len = u32::try_from(data.len()).unwrap_or(u32::MAX);
        let outer = if subtype == 2 { len.saturating_add(4) } else { len };
        self.bytes.extend_from_slice(&outer.to_le_bytes());
        self.bytes.push(subtype);
        if subtype == 2 {
            self.bytes.extend_from_slice(&len.to_le_bytes());
        }
        self.bytes.extend_from_slice(data);
    }

    /// Appends a document by copying it.
    pub fn doc(&mut self, name: &str, value: Doc<'_>) {
        self.raw(name, value.as_raw());
    }

    /// Appends a document that `fill` writes in place.
    pub fn document<T>(&mut self, name: &str, fill: impl FnOnce(&mut DocWriter) -> T) -> T {
        self.head(Type::Document, name.as_bytes());
        self.nested(fill)
    }

    /// Appends an array that `fill` writes in place.
    pub fn array<T>(&mut self, name: &str, fill: impl FnOnce(&mut ArrayWriter) -> T) -> T {
        self.head(Type::Array, name.as_bytes());
        self.nested_array(fill)
    }

    fn nested<T>(&mut self, fill: impl FnOnce(&mut DocWriter) -> T) -> T {
        let mut inner = DocWriter::append_to(std::mem::take(&mut self.bytes));
        let value = fill(&mut inner);
        self.bytes = inner.into_bytes();
        value
    }

    fn nested_array<T>(&mut self, fill: impl FnOnce(&mut ArrayWriter) -> T) -> T {
        let inner = DocWriter::append_to(std::mem::take(&mut self.bytes));
        let mut array = ArrayWriter { inner, next: 0 };
        let value = fill(&mut array);
        self.bytes = array.inner.into_bytes();
        value
    }
}

impl Default for ArrayWriter {
    fn default() -> ArrayWriter {
        ArrayWriter::new()
    }
}

impl ArrayWriter {
    /// Starts an array in a buffer of its own.
    pub fn new() -> ArrayWriter {
        ArrayWriter { inner: DocWriter::new(), next: 0 }
    }

    /// The number of values so far.
    pub fn count(&self) -> usize {
        self.next as usize
    }

    /// The bytes written so far.
    pub fn len(&self) -> usize {
        self.inner.len()
    }

    /// Whether no value has been written.
    pub fn is_empty(&self) -> bool {
        self.next == 0
    }

    /// Ends the array; the bytes are an array value's.
    pub fn into_bytes(self) -> Vec<u8> {
        self.inner.into_bytes()
    }

    fn head(&mut self, kind: Type) {
        let mut digits = [0; 10];
        let mut rest = self.next;
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.next += 1;
        self.inner.head(kind, &digits[at..]);
    }

    /// Appends a value by copying its bytes.
    #[inline]
    pub fn raw(&mut self, value: Raw<'_>) {
        self.head(value.kind);
        self.inner.bytes.extend_from_slice(value.data);
    }

    /// Appends a document by copying it.
    pub fn doc(&mut self, value: Doc<'_>) {
        self.raw(value.as_raw());
    }

    /// Appends an int32.
    pub fn i32(&mut self, value: i32) {
        self.raw(Raw { kind: Type::Int32, data: &value.to_le_bytes() });
    }

    /// Appends a string.
    pub fn str(&mut self, value: &str) {
        self.head(Type::String);
        let len = u32::try_from(value.len() + 1).unwrap_or(u32::MAX);
        self.inner.bytes.extend_from_slice(&len.to_le_bytes());
        self.inner.bytes.extend_from_slice(value.as_bytes());
        self.inner.bytes.push(0);
    }

    /// Appends a document that `fill` writes in place.
    pub fn document<T>(&mut self, fill: impl FnOnce(&mut DocWriter) -> T) -> T {
        self.head(Type::Document);
        self.inner.nested(fill)
    }

    /// Appends an array that `fill` writes in place.
    pub fn array<T>(&mut self, fill: impl FnOnce(&mut ArrayWriter) -> T) -> T {
        self.head(Type::Array);
        self.inner.nested_array(fill)
    }
}
