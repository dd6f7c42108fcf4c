//! The blocking sort: all documents, or the first few of them, in memory, and what does not fit there in runs on the
//! disk.

use std::collections::BinaryHeap;
use std::path::{Path, PathBuf};

use super::SortPattern;
use super::runs::{Entry, Merge, Runs};
use crate::bson::{Doc, DocBuf};
use crate::error::{Code, Error, Result};
use crate::query::exec::{Environment, Stage};

/// Collects documents and gives them back in order. Documents of equal keys stay in the order they came in.
#[derive(Debug)]
pub struct Sorter {
    limit: Option<usize>,
    bytes: usize,
    bytes_max: usize,
    folder: Option<PathBuf>,
    came: u64,
    entries: Entries,
    runs: Option<Runs>,
}

#[derive(Debug)]
enum Entries {
    All(Vec<Entry>),
    /// The largest on top.
    First(BinaryHeap<Entry>),
}

impl Sorter {
    /// A sorter that gives the first `limit` documents, or all, and holds at most `bytes_max` bytes in memory.
    pub fn new(limit: Option<usize>, bytes_max: usize) -> Sorter {
        let entries = match limit {
            Some(_) => Entries::First(BinaryHeap::new()),
            None => Entries::All(Vec::new()),
        };
        Sorter { limit, bytes: 0, bytes_max, folder: None, came: 0, entries, runs: None }
    }

    /// The same sorter with a folder for what it cannot hold in memory.
    #[must_use]
    pub fn with_folder(self, folder: Option<&Path>) -> Sorter {
        Sorter { folder: folder.map(Path::to_path_buf), ..self }
    }

    /// Takes a document with its key.
    ///
    /// # Errors
    /// 292 if the sorter would hold more than it may and has no folder; 39 and 14031 if it cannot use its file.
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
                        self.bytes -= size(&last);
                    }
                }
                let entry = entry(key, self.came, doc);
                self.bytes += size(&entry);
                heap.push(entry);
            }
            Entries::All(all) => {
                let entry = entry(key, self.came, doc);
                self.bytes += size(&entry);
                all.push(entry);
            }
        }
        if self.bytes > self.bytes_max { self.spill() } else { Ok(()) }
    }

    /// Writes what is held as a run.
    #[cold]
    fn spill(&mut self) -> Result<()> {
        let Some(folder) = &self.folder else {
            let max = self.bytes_max;
            return Err(Error::new(
                Code::QUERY_EXCEEDED_MEMORY_LIMIT_NO_DISK_USE_ALLOWED,
                format!(
                    "Sort exceeded memory limit of {max} bytes, but did not opt in to external sorting."
                ),
            ));
        };
        if self.runs.is_none() {
            self.runs = Some(Runs::create(folder)?);
        }
        let held = std::mem::replace(&mut self.entries, Entries::All(Vec::new()));
        self.bytes = 0;
        match &mut self.runs {
            Some(runs) => {
                runs.append(held.sorted().into_iter().take(self.limit.unwrap_or(usize::MAX)))
            }
            None => Ok(()),
        }
    }

    /// The documents in order.
    ///
    /// # Errors
    /// 39 and 14031 if the sorter cannot use its file.
    pub fn finish(mut self) -> Result<Sorted> {
        if self.runs.is_some() {
            self.spill()?;
        }
        let source = match self.runs.take() {
            Some(runs) => Source::Runs(Box::new(runs.merge()?)),
            None => Source::Memory(self.entries.sorted().into_iter()),
        };
        Ok(Sorted { source, left: self.limit.unwrap_or(usize::MAX) })
    }
}

impl Entries {
    fn sorted(self) -> Vec<Entry> {
        match self {
            Entries::All(mut all) => {
                all.sort_unstable();
                all
            }
            Entries::First(heap) => heap.into_sorted_vec(),
        }
    }
}

/// The documents of a [`Sorter`] in order.
pub struct Sorted {
    source: Source,
    left: usize,
}

enum Source {
    Memory(std::vec::IntoIter<Entry>),
    Runs(Box<Merge>),
}

impl Sorted {
    fn entry(&mut self) -> Option<Result<Entry>> {
        self.left = self.left.checked_sub(1)?;
        match &mut self.source {
            Source::Memory(entries) => entries.next().map(Ok),
            Source::Runs(merge) => merge.next(),
        }
    }

    /// The next document with its key.
    pub fn next_with_key(&mut self) -> Option<Result<(Vec<u8>, DocBuf)>> {
        let entry = self.entry()?;
        Some(entry.map(|entry| (entry.key, DocBuf::trusted(entry.doc))))
    }

    /// The next document with the number at which it came.
    pub fn next_with_number(&mut self) -> Option<Result<(u64, DocBuf)>> {
        let entry = self.entry()?;
        Some(entry.map(|entry| (entry.came, DocBuf::trusted(entry.doc))))
    }
}

impl Iterator for Sorted {
    type Item = Result<DocBuf>;

    fn next(&mut self) -> Option<Result<DocBuf>> {
        self.next_with_key().map(|entry| entry.map(|(_, doc)| doc))
    }
}

fn entry(key: &[u8], came: u64, doc: Doc<'_>) -> Entry {
    Entry::new(key.to_vec(), came, doc.as_bytes().to_vec())
}

fn size(entry: &Entry) -> usize {
    entry.key.len() + entry.doc.len() + size_of::<Entry>()
}

/// The sorting stage.
pub struct Sort {
    pattern: SortPattern,
    state: State,
}

enum State {
    Filling { source: Box<dyn Stage>, limit: Option<usize> },
    Giving(Sorted),
    Done,
}

impl Sort {
    /// Sorts what `source` gives; with `limit` only the first so many documents are kept.
    pub fn new(source: Box<dyn Stage>, pattern: SortPattern, limit: Option<usize>) -> Sort {
        Sort { pattern, state: State::Filling { source, limit } }
    }
}

impl Stage for Sort {
    fn next(&mut self, env: &dyn Environment) -> Result<Option<DocBuf>> {
        if let State::Filling { .. } = self.state
            && let State::Filling { mut source, limit } =
                std::mem::replace(&mut self.state, State::Done)
        {
            let mut sorter =
                Sorter::new(limit, env.stage_bytes_max()).with_folder(env.spill_folder());
            let mut key = Vec::new();
            let pattern = &self.pattern;
            source.each(env, &mut |doc| {
                key.clear();
                pattern.write_key(doc, &mut key)?;
                sorter.push(&key, doc)
            })?;
            self.state = State::Giving(sorter.finish()?);
        }
        match &mut self.state {
            State::Giving(docs) => docs.next().transpose(),
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

    fn run(
        limit: Option<usize>,
        keys: &[u8],
        bytes_max: usize,
        folder: Option<&Path>,
    ) -> Vec<Vec<u8>> {
        let mut sorter = Sorter::new(limit, bytes_max).with_folder(folder);
        for (key, value) in keys.iter().zip(0..) {
            sorter.push(&[*key], doc(value).as_doc()).unwrap();
        }
        sorter.finish().unwrap().map(|doc| doc.unwrap().into_bytes()).collect()
    }

    #[test]
    fn the_first_few_are_the_head_of_all() {
        let keys = [5_u8, 3, 9, 3, 1, 7, 5, 1];
        let all = run(None, &keys, 1 << 20, None);
        assert_eq!(all.len(), keys.len());
        for limit in 0..=keys.len() {
            assert_eq!(run(Some(limit), &keys, 1 << 20, None), all[..limit]);
        }
    }

    #[test]
    fn what_goes_to_the_disk_comes_back_in_the_same_order() {
        let folder = tempfile::tempdir().unwrap();
        let keys: Vec<u8> = (0..2000_u32).map(|n| (n * 7919 % 251) as u8).collect();
        for limit in [None, Some(0), Some(1), Some(700), Some(2000)] {
            let spilled = run(limit, &keys, 4000, Some(folder.path()));
            assert_eq!(spilled, run(limit, &keys, 1 << 20, None));
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "files are left");
    }

    #[test]
    fn too_much_is_refused() {
        let mut sorter = Sorter::new(None, 200);
        let results: Vec<_> = (0..4).map(|value| sorter.push(&[0], doc(value).as_doc())).collect();
        let code = results.last().and_then(|r| r.as_ref().err()).map(Error::code);
        assert_eq!(code, Some(Code::QUERY_EXCEEDED_MEMORY_LIMIT_NO_DISK_USE_ALLOWED));
    }
}
