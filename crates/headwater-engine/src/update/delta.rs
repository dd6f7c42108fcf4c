//! What an update changed, as a change stream's `updateDescription` shows it.

use crate::bson::{ArrayWriter, Doc, DocBuf, DocWriter, Raw};

/// The difference between a document before and after: `{updatedFields, removedFields, truncatedArrays}`, with dotted
/// paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description(DocBuf);

impl Description {
    /// The description as a document.
    pub fn as_doc(&self) -> Doc<'_> {
        self.0.as_doc()
    }

    /// The description, to be kept.
    pub fn into_doc(self) -> DocBuf {
        self.0
    }
}

/// The changes at one level of a document and below. A change stream shows changed fields first, then new ones, then
/// what changed further down; of an array's elements everything in their order.
#[derive(Debug, Default)]
pub(super) struct Level {
    off: bool,
    in_order: bool,
    updated: Vec<u8>,
    created: Vec<u8>,
    below: Vec<u8>,
    removed: Vec<String>,
    removed_below: Vec<String>,
    truncated: Vec<(String, usize)>,
}

fn put(buffer: &mut Vec<u8>, path: &str, value: Raw<'_>) {
    buffer.reserve(path.len() + value.data.len() + 2);
    buffer.push(value.kind as u8);
    buffer.extend_from_slice(path.as_bytes());
    buffer.push(0);
    buffer.extend_from_slice(value.data);
}

impl Level {
    /// A level that forgets what it is told.
    pub(super) fn off() -> Level {
        Level { off: true, ..Level::default() }
    }

    /// A level below this one; `in_order` for an array.
    pub(super) fn sub(&self, in_order: bool) -> Level {
        Level { off: self.off, in_order, ..Level::default() }
    }

    /// Takes what happened at a level below.
    pub(super) fn take(&mut self, sub: Level) {
        if self.off {
            return;
        }
        for part in [sub.updated, sub.created, sub.below] {
            if self.below.is_empty() {
                self.below = part;
            } else {
                self.below.extend_from_slice(&part);
            }
        }
        self.removed_below.extend(sub.removed);
        self.removed_below.extend(sub.removed_below);
        self.truncated.extend(sub.truncated);
    }

    pub(super) fn updated(&mut self, path: &str, value: Raw<'_>) {
        if !self.off {
            put(if self.in_order { &mut self.below } else { &mut self.updated }, path, value);
        }
    }

    pub(super) fn created(&mut self, path: &str, value: Raw<'_>) {
        if !self.off {
            put(if self.in_order { &mut self.below } else { &mut self.created }, path, value);
        }
    }

    pub(super) fn removed(&mut self, path: &str) {
        if !self.off {
            self.removed.push(path.to_owned());
        }
    }

    pub(super) fn truncated(&mut self, path: &str, size: usize) {
        if !self.off {
            self.truncated.push((path.to_owned(), size));
        }
    }

    pub(super) fn finish(self) -> Description {
        let len = self.updated.len() + self.created.len() + self.below.len();
        let mut description = DocWriter::append_to(Vec::with_capacity(len + 80));
        description.document("updatedFields", |fields| {
            for part in [&self.updated, &self.created, &self.below] {
                fields.encoded(part);
            }
        });
        description.array("removedFields", |removed: &mut ArrayWriter| {
            self.removed.iter().chain(&self.removed_below).for_each(|path| removed.str(path));
        });
        description.array("truncatedArrays", |truncated: &mut ArrayWriter| {
            for (path, size) in &self.truncated {
                truncated.document(|entry| {
                    entry.str("field", path);
                    entry.i32("newSize", i32::try_from(*size).unwrap_or(i32::MAX));
                });
            }
        });
        Description(description.finish())
    }
}
