//! A scan as the first stage of a pipeline, and documents that carry their record id.

use std::collections::VecDeque;

use super::{Next, Scan, Watch};
use crate::bson::{Doc, DocBuf, DocWriter, View};
use crate::collection::RecordId;
use crate::error::Result;
use crate::query::crew::Crew;
use crate::query::exec::{Environment, Flow, Look, Stage};
use crate::query::plan::tree::Plan;

/// Documents that a [`ScanStage`] fetches at first and at most in one go.
const FETCH: (usize, usize) = (4, 256);
/// Bytes that a [`ScanStage`] fetches at most in one go.
const FETCH_BYTES_MAX: usize = 256 * 1024;

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
    fetched: VecDeque<DocBuf>,
    fetch: usize,
    with_records: bool,
    watch: Option<Watch>,
}

impl ScanStage {
    /// The documents of a plan.
    pub fn new(plan: Plan) -> ScanStage {
        let scan = Scan::new(plan);
        let (fetched, fetch) = (VecDeque::new(), FETCH.0);
        ScanStage { scan, fetched, fetch, with_records: false, watch: None }
    }

    /// The same, telling `watch` what the scan takes.
    #[must_use]
    pub fn watched(self, watch: &Watch) -> ScanStage {
        ScanStage { watch: Some(watch.clone()), ..self }
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
            self.tell();
        }
        Ok(self.fetched.pop_front())
    }

    fn stream(&mut self, env: &dyn Environment, show: &mut Look<'_>) -> Result<()> {
        while let Some(doc) = self.fetched.pop_front() {
            if show(doc.as_doc())? == Flow::Stop {
                return Ok(());
            }
        }
        let with_records = self.with_records;
        env.scan(&mut self.scan, &mut |record, doc| {
            let flow = match with_records {
                true => show(join_record(doc, record).as_doc())?,
                false => show(doc)?,
            };
            Ok(if flow == Flow::Stop { Next::Stop } else { Next::Continue })
        })?;
        self.tell();
        Ok(())
    }

    fn share(&mut self, env: &dyn Environment, crew: &dyn Crew) -> Result<bool> {
        if self.with_records || !self.fetched.is_empty() {
            return Ok(false);
        }
        let done = env.scan_shared(&mut self.scan, crew)?;
        self.tell();
        Ok(done)
    }
}

impl ScanStage {
    fn tell(&self) {
        if let Some(watch) = &self.watch {
            watch.note(&self.scan);
        }
    }
}
