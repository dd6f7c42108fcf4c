//! What a `$group` takes of documents, copied out of them: the key of the group, its `_id` and the inputs of the
//! accumulators. So documents can be taken in many at a time, and by another thread than the one that read them.
//!
//! Knows values and bytes; knows no groups.

use crate::bson::{Raw, Type, Value};

/// Rows, in the order of their documents.
#[derive(Debug, Default)]
pub(super) struct Rows {
    bytes: Vec<u8>,
    heads: Vec<Head>,
}

/// What is known of a row without reading it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    /// The hash of its key.
    pub(super) hash: u64,
    /// Its number, for whoever numbers rows.
    pub(super) number: u32,
    key_len: u32,
    start: usize,
}

/// The values of a row, one after the other.
pub(super) struct Values<'r>(&'r [u8]);

impl Rows {
    /// Appends a row; its values follow by [`Rows::value`], the `_id` first.
    #[inline]
    pub(super) fn begin(&mut self, hash: u64, number: u32, key: &[u8]) {
        let key_len = u32::try_from(key.len()).unwrap_or(u32::MAX);
        self.heads.push(Head { hash, number, key_len, start: self.bytes.len() });
        self.bytes.extend_from_slice(key);
    }

    /// Appends a value of the row.
    #[inline]
    pub(super) fn value(&mut self, value: &Value<'_>) {
        let Some(raw) = value.raw() else { return self.bytes.push(0) };
        self.bytes.push(raw.kind as u8);
        let len = u32::try_from(raw.data.len()).unwrap_or(u32::MAX);
        self.bytes.extend_from_slice(&len.to_le_bytes());
        self.bytes.extend_from_slice(raw.data);
    }

    /// Takes back the last row, which need not be whole.
    pub(super) fn undo(&mut self) {
        if let Some(head) = self.heads.pop() {
            self.bytes.truncate(head.start);
        }
    }

    /// The rows.
    pub(super) fn heads(&self) -> &[Head] {
        &self.heads
    }

    /// The key of a row.
    #[inline]
    pub(super) fn key(&self, head: &Head) -> &[u8] {
        self.bytes.get(head.start..head.start + head.key_len as usize).unwrap_or_default()
    }

    /// The values of a row.
    #[inline]
    pub(super) fn values(&self, head: &Head) -> Values<'_> {
        Values(self.bytes.get(head.start + head.key_len as usize..).unwrap_or_default())
    }

    /// Bytes of all rows.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len() + self.heads.len() * size_of::<Head>()
    }

    /// Whether they are fewer than that, and take less memory.
    #[inline]
    pub(super) fn is_below(&self, rows: usize, bytes: usize) -> bool {
        self.heads.len() < rows && self.bytes() < bytes
    }

    /// Forgets the rows.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.heads.clear();
    }
}

impl<'r> Values<'r> {
    /// The next value; missing behind the last one.
    #[inline]
    pub(super) fn next(&mut self) -> Value<'r> {
        let Some((kind, rest)) = self.0.split_first() else { return Value::MISSING };
        self.0 = rest;
        let Some(kind) = Type::from_byte(*kind) else { return Value::MISSING };
        let Some((len, rest)) = rest.split_first_chunk() else { return Value::MISSING };
        let len = u32::from_le_bytes(*len) as usize;
        let Some((data, rest)) = rest.split_at_checked(len) else { return Value::MISSING };
        self.0 = rest;
        Value::from(Some(Raw { kind, data }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_they_were_written() {
        let values = [Value::i32(-7), Value::MISSING, Value::str("text"), Value::NULL];
        let mut rows = Rows::default();
        for number in 0..5 {
            rows.begin(u64::from(number) * 3, number, &[7].repeat(number as usize * 9));
            values.iter().for_each(|value| rows.value(value));
        }
        for (head, number) in rows.heads().iter().zip(0..) {
            assert_eq!((head.hash, head.number), (u64::from(number) * 3, number));
            assert_eq!(rows.key(head), [7].repeat(number as usize * 9));
            let mut found = rows.values(head);
            for value in &values {
                let found = found.next();
                let parts =
                    |value: &Value<'_>| value.raw().map(|raw| (raw.kind, raw.data.to_vec()));
                assert_eq!(parts(&found), parts(value));
            }
        }
    }
}
