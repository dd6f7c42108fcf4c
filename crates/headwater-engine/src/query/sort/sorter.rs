//! The blocking sort: all documents, or the first few of them, in memory.

use std::collections::BinaryHeap;

use super::SortPattern;
use crate::bson::key::Collate;
use crate::bson::{Doc, DocBuf};
use crate::error::{Code, Error, Result};
use crate::query::exec::{Environment, Stage};

/// Collects documents and gives them back in order. Documents of equal keys stay in the order they came in.
#[derive(Debug)]
pub struct Sorter {
    limit: Option<usize>,
    bytes: usize,
    bytes_max: usize,
    came: u64,
    entries: Entries,
}

/// A document with what it is compared by.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    key: Vec<u8>,
    came: u64,
    doc: Bytes,
}

/// The bytes of a document. `came` differs, so these are never compared.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Bytes(Vec<u8>);

#[derive(Debug)]
enum Entries {
    All(Vec<Entry>),
    /// The largest on top.
    First(BinaryHeap<Entry>),
}

impl Sorter {
    /// A sorter that gives the first `limit` documents, or all, and holds at most `bytes_max` bytes.
    pub fn new(limit: Option<usize>, bytes_max: usize) -> Sorter {
        let entries = match limit {
            Some(_) => Entries::First(BinaryHeap::new()),
            None => Entries::All(Vec::new()),
        };
        Sorter { limit, bytes: 0, bytes_max, came: 0, entries }
    }

    /// Takes a document with its key.
    ///
    /// # Errors
    /// 292 if the sorter would hold more than it may.
    pub fn push(&mut self, key: &[u8], doc: Doc<'_>) -> Result<()> {
        self.came += 1;
        match &mut self.entries {
            Entries::First(heap) => {
                let limit = self.limit.unwrap_or(usize::MAX);
                if heap.len() >= limit {
                    match heap.peek() {
                        Some(last) if key < last.key.as_slice() => {}
                        _ => return Ok(()),
                    }
                    if let Some(last) = heap.pop() {
                        self.bytes -= last.size();
                    }
                }
                let entry = Entry::new(key, self.came, doc);
                self.bytes += entry.size();
                heap.push(entry);
            }
            Entries::All(all) => {
                let entry = Entry::new(key, self.came, doc);
                self.bytes += entry.size();
                all.push(entry);
            }
        }
        if self.bytes > self.bytes_max {
            let max = self.bytes_max;
            return Err(Error::new(
                Code::QUERY_EXCEEDED_MEMORY_LIMIT_NO_DISK_USE_ALLOWED,
                format!(
                    "Sort exceeded memory limit of {max} bytes, but did not opt in to external sorting."
                ),
            ));
        }
        Ok(())
    }

    /// The documents in order.
    pub fn finish(self) -> impl Iterator<Item = DocBuf> + Send {
        let entries = match self.entries {
            Entries::All(mut all) => {
                all.sort_unstable();
                all
            }
            Entries::First(heap) => heap.into_sorted_vec(),
        };
        entries.into_iter().map(|entry| DocBuf::trusted(entry.doc.0))
    }
}

impl Entry {
    fn new(key: &[u8], came: u64, doc: Doc<'_>) -> Entry {
        Entry { key: key.to_vec(), came, doc: Bytes(doc.as_bytes().to_vec()) }
    }

    fn size(&self) -> usize {
        self.key.len() + self.doc.0.len() + size_of::<Entry>()
    }
}

/// How texts are compared: writes the collation key of one.
pub type SharedCollate = std::sync::Arc<dyn Fn(&str, &mut Vec<u8>) + Send + Sync>;

/// The sorting stage.
pub struct Sort {
    pattern: SortPattern,
    collate: Option<SharedCollate>,
    state: State,
}

enum State {
    Filling { source: Box<dyn Stage>, sorter: Sorter },
    Giving(Box<dyn Iterator<Item = DocBuf> + Send>),
    Done,
}

impl Sort {
    /// Sorts what `source` gives; with `limit` only the first so many documents are kept. At most `bytes_max` bytes
    /// are held.
    pub fn new(
        source: Box<dyn Stage>,
        pattern: SortPattern,
        collate: Option<SharedCollate>,
        limit: Option<usize>,
        bytes_max: usize,
    ) -> Sort {
        let sorter = Sorter::new(limit, bytes_max);
        Sort { pattern, collate, state: State::Filling { source, sorter } }
    }
}

impl Stage for Sort {
    fn next(&mut self, env: &dyn Environment) -> Result<Option<DocBuf>> {
        if let State::Filling { .. } = self.state
            && let State::Filling { mut source, mut sorter } =
                std::mem::replace(&mut self.state, State::Done)
        {
            let mut key = Vec::new();
            source.each(env, &mut |doc| {
                key.clear();
                match self.collate.as_deref() {
                    None => self.pattern.write_key(doc, &mut key)?,
                    Some(collate) => {
                        let collate = Some(collate as Collate<'_>);
                        self.pattern.write_key_with(doc, collate, &mut key)?;
                    }
                }
                sorter.push(&key, doc)
            })?;
            self.state = State::Giving(Box::new(sorter.finish()));
        }
        match &mut self.state {
            State::Giving(docs) => Ok(docs.next()),
            State::Filling { .. } | State::Done => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bson::DocWriter;

    fn doc(value: i32) -> DocBuf {
        let mut doc = DocWriter::new();
        doc.i32("v", value);
        doc.finish()
    }

    #[test]
    fn the_first_few_are_the_head_of_all() {
        let keys = [5_u8, 3, 9, 3, 1, 7, 5, 1];
        let run = |limit| {
            let mut sorter = Sorter::new(limit, 1 << 20);
            for (key, value) in keys.iter().zip(0..) {
                sorter.push(&[*key], doc(value).as_doc()).unwrap();
            }
            sorter.finish().map(DocBuf::into_bytes).collect::<Vec<_>>()
        };
        let all = run(None);
        assert_eq!(all.len(), keys.len());
        for limit in 0..=keys.len() {
            assert_eq!(run(Some(limit)), all[..limit]);
        }
    }

    #[test]
    fn too_much_is_refused() {
        let mut sorter = Sorter::new(None, 200);
        let results: Vec<_> = (0..4).map(|value| sorter.push(&[0], doc(value).as_doc())).collect();
        let code = results.last().and_then(|r| r.as_ref().err()).map(Error::code);
        assert_eq!(code, Some(Code::QUERY_EXCEEDED_MEMORY_LIMIT_NO_DISK_USE_ALLOWED));
    }
}
