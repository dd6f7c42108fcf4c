//! What an output computes of a partition: a value for every document, in memory or on the disk.

use std::path::Path;

use crate::bson::{Doc, DocBuf, DocWriter, Raw, Value};
use crate::error::Result;
use crate::query::sequence::{Chunk, Sequence};

/// Values in the order of the documents.
pub(super) struct Column {
    held: Vec<Value<'static>>,
    bytes: usize,
    bytes_max: usize,
    spilled: Sequence,
}

impl Column {
    /// No values yet; from `bytes_max` on they go to the folder, if there is one.
    pub(super) fn new(bytes_max: usize, folder: Option<&Path>) -> Column {
        // Without a folder nothing ever fills memory.
        let bytes_max = if folder.is_some() { bytes_max } else { usize::MAX };
        Column { held: Vec::new(), bytes: 0, bytes_max, spilled: Sequence::new(0, folder) }
    }

    /// The bytes of the values that memory held at most.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends a value.
    ///
    /// # Errors
    /// 39 and 14031 if the file cannot be used.
    pub(super) fn push(&mut self, value: Value<'static>) -> Result<()> {
        if self.spilled.len() > 0 {
            return self.spilled.push(written(&value));
        }
        self.bytes += value.raw().map_or(0, |raw| raw.data.len()) + size_of::<Value<'_>>();
        self.held.push(value);
        if self.bytes > self.bytes_max {
            for value in std::mem::take(&mut self.held) {
                self.spilled.push(written(&value))?;
            }
        }
        Ok(())
    }

    /// Appends all of these values.
    ///
    /// # Errors
    /// Those of the values, and of [`Column::push`].
    pub(super) fn extend(
        &mut self,
        values: impl IntoIterator<Item = Result<Value<'static>>>,
    ) -> Result<()> {
        values.into_iter().try_for_each(|value| self.push(value?))
    }

    /// The value of a document.
    ///
    /// # Errors
    /// 39 if the file cannot be read.
    pub(super) fn get<'c>(&'c self, at: usize, chunk: &'c mut Chunk) -> Result<Option<Raw<'c>>> {
        if self.spilled.len() == 0 {
            return Ok(self.held.get(at).and_then(Value::raw));
        }
        let doc = self.spilled.get(at, chunk)?;
        Ok(doc.and_then(Doc::first).map(|field| field.value))
    }
}

/// A value as a document; a missing one has no field.
fn written(value: &Value<'_>) -> DocBuf {
    let mut doc = DocWriter::new();
    if let Some(raw) = value.raw() {
        doc.raw("", raw);
    }
    doc.finish()
}
