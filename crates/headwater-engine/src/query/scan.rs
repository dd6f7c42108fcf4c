//! Scans: walks a collection or an index where a plan says, and hands on the documents that match. A scan remembers where
//! it is by key, so that it can go on later on another snapshot.

use std::collections::HashSet;
use std::ops::Bound;

use headwater_store::{Direction, Read};

use super::exec::{Environment, Stage};
use super::plan::tree::{Access, IndexScan, Plan};
use crate::bson::{Doc, DocBuf, DocWriter, View};
use crate::catalog::tables;
use crate::collection::{RecordId, document_key, find_by_entry, record_of};
use crate::error::{Code, Error, Result};

/// Documents between two looks at the clock.
const CHECK_EVERY: u32 = 64;
/// Documents that a [`ScanStage`] fetches at first and at most in one go.
const FETCH: (usize, usize) = (4, 256);
/// Bytes that a [`ScanStage`] fetches at most in one go.
const FETCH_BYTES_MAX: usize = 256 * 1024;

/// Takes a document that matched.
pub type Visit<'f> = dyn FnMut(RecordId, Doc<'_>) -> Result<Next> + 'f;

/// What a visitor wants after a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The next one.
    Continue,
    /// No more for now; go on behind this document later.
    Stop,
    /// No more for now; give this document again later.
    StopBefore,
}

/// A plan and how far it has come.
#[derive(Debug)]
pub struct Scan {
    plan: Plan,
    range: usize,
    last: Option<Vec<u8>>,
    seen: HashSet<RecordId>,
    dedupe: bool,
    /// Documents or index entries that one run looks at, at most.
    stretch: u64,
    done: bool,
    /// Index entries looked at.
    pub keys_examined: u64,
    /// Documents looked at.
    pub docs_examined: u64,
}

impl Scan {
    /// A scan at its start.
    pub fn new(plan: Plan) -> Scan {
        plan.count_use();
        Scan {
            plan,
            range: 0,
            last: None,
            seen: HashSet::new(),
            dedupe: false,
            stretch: u64::MAX,
            done: false,
            keys_examined: 0,
            docs_examined: 0,
        }
    }

    /// A scan whose documents are changed on the way: one that a change moves ahead in an index is not met again.
    pub fn for_write(plan: Plan) -> Scan {
        Scan { dedupe: true, ..Scan::new(plan) }
    }

    /// Ends every run after that many documents or index entries, matching or not.
    #[must_use]
    pub fn in_stretches(self, stretch: u64) -> Scan {
        Scan { stretch, ..self }
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Whether there is nothing more.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// The key of the last document that was looked at.
    pub fn position(&self) -> Option<&[u8]> {
        self.last.as_deref()
    }

    /// Makes a scan at its end look for more.
    pub fn reopen(&mut self) {
        self.done = false;
    }

    /// Goes on until the visitor stops or there is nothing more.
    ///
    /// # Errors
    /// Those of the store, of evaluating the filter, of `check` and of the visitor.
    pub fn run(
        &mut self,
        read: &dyn Read,
        check: &dyn Fn() -> Result<()>,
        visit: &mut Visit<'_>,
    ) -> Result<()> {
        if self.done {
            return Ok(());
        }
        let ended = match &self.plan.access {
            Access::Id(_) => self.run_id(read, visit)?,
            Access::Collection { .. } => self.run_collection(read, check, visit)?,
            Access::Index(_) => self.run_index(read, check, visit)?,
            Access::Nothing => true,
            Access::Any(_) | Access::Merge(_) | Access::All(_) => {
                let message = "a plan of several scans is not run yet";
                return Err(Error::new(Code::INTERNAL_ERROR, message));
            }
        };
        self.done = ended;
        Ok(())
    }

    fn run_id(&mut self, read: &dyn Read, visit: &mut Visit<'_>) -> Result<bool> {
        let Access::Id(key) = &self.plan.access else { return Ok(true) };
        self.keys_examined += 1;
        let found = find_by_entry(read, &self.plan.collection, key)?;
        let Some((record, doc)) = found else { return Ok(true) };
        self.docs_examined += 1;
        if !self.plan.wants(doc)? {
            return Ok(true);
        }
        Ok(visit(record, doc)? != Next::StopBefore)
    }

    fn run_collection(
        &mut self,
        read: &dyn Read,
        check: &dyn Fn() -> Result<()>,
        visit: &mut Visit<'_>,
    ) -> Result<bool> {
        let Access::Collection { reverse } = self.plan.access else { return Ok(true) };
        let (lower, upper) = (
            document_key(self.plan.collection.id, 0),
            document_key(self.plan.collection.id + 1, 0),
        );
        let (mut lower, mut upper) = (Bound::Included(&lower[..]), Bound::Excluded(&upper[..]));
        match &self.last {
            Some(last) if reverse => upper = Bound::Excluded(last),
            Some(last) => lower = Bound::Excluded(last),
            None => {}
        }
        let mut cursor = read.range(tables::DOCUMENTS, lower, upper, direction(reverse))?;
        let stop = self.docs_examined.saturating_add(self.stretch);
        let mut until_check = 1;
        let mut at: Option<&[u8]> = None;
        let mut ended = true;
        while let Some((key, bytes)) = cursor.next()? {
            until_check -= 1;
            if until_check == 0 {
                check()?;
                until_check = CHECK_EVERY;
            }
            self.docs_examined += 1;
            let doc = Doc::trusted(bytes);
            if self.plan.wants(doc)? {
                match visit(record_of(key).unwrap_or(0), doc)? {
                    Next::Continue => {}
                    Next::Stop => {
                        at = Some(key);
                        ended = false;
                        break;
                    }
                    Next::StopBefore => {
                        ended = false;
                        break;
                    }
                }
            }
            at = Some(key);
            if self.docs_examined >= stop {
                ended = false;
                break;
            }
        }
        if let Some(key) = at {
            self.last = Some(key.to_vec());
        }
        Ok(ended)
    }

    fn run_index(
        &mut self,
        read: &dyn Read,
        check: &dyn Fn() -> Result<()>,
        visit: &mut Visit<'_>,
    ) -> Result<bool> {
        let Access::Index(IndexScan { index, ranges, reverse, .. }) = &self.plan.access else {
            return Ok(true);
        };
        let count = ranges.len();
        let dedupe = self.dedupe || index.is_multikey();
        let stop = self.keys_examined.saturating_add(self.stretch);
        let mut until_check = 1;
        while self.range < count {
            let at = if *reverse { count - 1 - self.range } else { self.range };
            let Some((lower, upper)) = ranges.get(at) else { break };
            let (mut lower, mut upper) =
                (Bound::Included(lower.as_slice()), Bound::Excluded(upper.as_slice()));
            match &self.last {
                Some(last) if *reverse => upper = Bound::Excluded(last),
                Some(last) => lower = Bound::Excluded(last),
                None => {}
            }
            let mut cursor = read.range(tables::INDEX, lower, upper, direction(*reverse))?;
            let mut position: Option<&[u8]> = None;
            let mut stopped = false;
            while let Some((key, value)) = cursor.next()? {
                until_check -= 1;
                if until_check == 0 {
                    check()?;
                    until_check = CHECK_EVERY;
                }
                self.keys_examined += 1;
                let record = record_of(if index.unique { value } else { key }).unwrap_or(0);
                if !dedupe || !self.seen.contains(&record) {
                    let document = document_key(self.plan.collection.id, record);
                    if let Some(bytes) = read.get(tables::DOCUMENTS, &document)? {
                        self.docs_examined += 1;
                        let doc = Doc::trusted(bytes);
                        if self.plan.wants(doc)? {
                            let next = visit(record, doc)?;
                            stopped = next != Next::Continue;
                            if next == Next::StopBefore {
                                break;
                            }
                            if dedupe {
                                self.seen.insert(record);
                            }
                        }
                    }
                }
                position = Some(key);
                if stopped || self.keys_examined >= stop {
                    stopped = true;
                    break;
                }
            }
            if let Some(key) = position {
                self.last = Some(key.to_vec());
            }
            if stopped {
                return Ok(false);
            }
            self.range += 1;
            self.last = None;
        }
        Ok(true)
    }
}

fn direction(reverse: bool) -> Direction {
    if reverse { Direction::Backward } else { Direction::Forward }
}

/// The name of the record id behind a document's fields.
const RECORD: &str = "$recordId";

fn join_record(doc: Doc<'_>, record: RecordId) -> DocBuf {
    let mut joined = DocWriter::append_to(Vec::with_capacity(doc.as_bytes().len() + 24));
    joined.extend(doc);
    joined.i64(RECORD, record.cast_signed());
    joined.finish()
}

/// Takes the record id off a document that [`ScanStage::with_records`] gave.
pub fn split_record(joined: Doc<'_>) -> (RecordId, DocBuf) {
    let fields = joined.iter().count().saturating_sub(1);
    let mut doc = DocWriter::append_to(Vec::with_capacity(joined.as_bytes().len()));
    let mut record = 0;
    for (at, element) in joined.iter().enumerate() {
        match element.value.view() {
            View::Int64(id) if at == fields => record = id.cast_unsigned(),
            _ => doc.raw_bytes(element.name, element.value),
        }
    }
    (record, doc.finish())
}

/// A scan as the first stage of a pipeline: fetches a few documents at a time.
pub struct ScanStage {
    scan: Scan,
    fetched: std::collections::VecDeque<DocBuf>,
    fetch: usize,
    with_records: bool,
}

impl ScanStage {
    /// The documents of a plan.
    pub fn new(plan: Plan) -> ScanStage {
        let scan = Scan::new(plan);
        ScanStage { scan, fetched: Default::default(), fetch: FETCH.0, with_records: false }
    }

    /// The same with the record id behind the fields of each document, as [`split_record`] takes it off.
    #[must_use]
    pub fn with_records(self) -> ScanStage {
        ScanStage { with_records: true, ..self }
    }
}

impl Stage for ScanStage {
    fn next(&mut self, env: &dyn Environment) -> Result<Option<DocBuf>> {
        if self.fetched.is_empty() && !self.scan.is_done() {
            let (fetched, mut left, mut bytes) = (&mut self.fetched, self.fetch, 0);
            let with_records = self.with_records;
            env.scan(&mut self.scan, &mut |record, doc| {
                fetched.push_back(if with_records {
                    join_record(doc, record)
                } else {
                    doc.to_buf()
                });
                left -= 1;
                bytes += doc.as_bytes().len();
                Ok(if left == 0 || bytes > FETCH_BYTES_MAX { Next::Stop } else { Next::Continue })
            })?;
            self.fetch = (self.fetch * 4).min(FETCH.1);
        }
        Ok(self.fetched.pop_front())
    }

    fn each(
        &mut self,
        env: &dyn Environment,
        visit: &mut dyn FnMut(Doc<'_>) -> Result<()>,
    ) -> Result<()> {
        while let Some(doc) = self.fetched.pop_front() {
            visit(doc.as_doc())?;
        }
        let with_records = self.with_records;
        env.scan(&mut self.scan, &mut |record, doc| {
            match with_records {
                true => visit(join_record(doc, record).as_doc())?,
                false => visit(doc)?,
            }
            Ok(Next::Continue)
        })
    }
}
