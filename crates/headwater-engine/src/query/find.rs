//! Running a find: a plan's documents, sorted, skipped, limited and projected into a batch. Without a blocking sort the
//! bytes go from the store's page straight into the reply.

mod output;
mod tail;

use std::sync::Arc;

pub use output::Show;

use output::{Keys, Output};

use super::cursor::{Batch, Body, Fill};
use super::exec::{Environment, Flow, Look, Stage};
use super::matcher::Matcher;
use super::plan::Chosen;
use super::run::Run;
use super::scan::{Next, Scan, ScanStage, split_record};
use super::sort::{Sort, SortPattern};
use crate::aggregate::expressions::Needs;
use crate::bson::DocBuf;
use crate::catalog::Collection;
use crate::error::{Code, Error, Result};
use tail::Tail;

/// What is done with the documents that a plan finds.
#[derive(Debug, Default)]
pub struct Shape {
    /// The order, where the plan does not give it.
    pub sort: Option<SortPattern>,
    /// Documents to leave out at the start.
    pub skip: u64,
    /// Documents to give at most.
    pub limit: Option<u64>,
    /// What is shown of each.
    pub show: Show,
    /// Whether and how the cursor stays open at its end.
    pub tailing: Option<Tailing>,
}

/// What a tailable cursor does at the end of its capped collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tailing {
    /// It answers that there is nothing.
    Answers,
    /// It waits for a while.
    Awaits,
}

/// Starts a find over a chosen plan.
pub fn start(chosen: Chosen, mut shape: Shape) -> Box<dyn Body> {
    let matcher = chosen.filter.clone();
    let collection = chosen.plan.collection.clone();
    let needs = shape.show.needs();
    let keys = Keys::of(&chosen.plan, shape.show.key_only.is_some()).filter(|_| needs.index_key);
    let sort = if chosen.sorted { None } else { shape.sort.take() };
    let (source, left) = match sort {
        None => (Source::Scan(Scan::new(chosen.plan)), shape.limit),
        Some(pattern) => {
            let needed = shape.limit.map(|limit| limit.saturating_add(shape.skip));
            let needed = needed.map(|n| usize::try_from(n).unwrap_or(usize::MAX));
            let scan = ScanStage::new(chosen.plan);
            let scan = Box::new(if needs.record { scan.with_records() } else { scan });
            let sort = Sort::new(scan, pattern, needed);
            (Source::Stage(Box::new(sort)), shape.limit)
        }
    };
    let tail = shape.tailing.map(|tailing| Tail::new(tailing, &collection));
    let (skip, show) = (shape.skip, shape.show);
    Box::new(Find { source, held: None, skip, left, show, needs, keys, matcher, collection, tail })
}

struct Find {
    source: Source,
    /// A document of the sort that did not fit into the last batch.
    held: Option<DocBuf>,
    skip: u64,
    left: Option<u64>,
    show: Show,
    /// What has to be known of documents beside their fields.
    needs: Needs,
    keys: Option<Keys>,
    /// The filter, for the positional projection.
    matcher: Option<Arc<Matcher>>,
    collection: Arc<Collection>,
    tail: Option<Tail>,
}

#[expect(clippy::large_enum_variant, reason = "it stands in a box already")]
enum Source {
    Scan(Scan),
    Stage(Box<dyn Stage>),
}

impl Body for Find {
    fn fill(&mut self, run: &Run<'_>, batch: &mut Batch<'_>) -> Result<Fill> {
        check_collection(run, &self.collection)?;
        if let Source::Scan(scan) = &self.source {
            check_indexes(run, scan)?;
        }
        if let (Some(_), Source::Scan(scan)) = (&self.tail, &self.source) {
            tail::check_position(run, scan)?;
        }
        let mut output = Output {
            skip: &mut self.skip,
            left: &mut self.left,
            show: &self.show,
            needs: self.needs,
            keys: self.keys.as_ref(),
            matcher: self.matcher.as_deref(),
        };
        match &mut self.source {
            Source::Scan(scan) => {
                if *output.left != Some(0) || self.tail.is_none() {
                    run.scan(scan, &mut |record, doc| output.give(record, doc, batch))?;
                }
                if let Some(tail) = &mut self.tail {
                    return Ok(tail.rest(run, scan, batch));
                }
                let done = scan.is_done() || self.left == Some(0);
                Ok(if done { Fill::End } else { Fill::More })
            }
            Source::Stage(stage) => loop {
                if *output.left == Some(0) {
                    return Ok(Fill::End);
                }
                if batch.is_full() {
                    return Ok(Fill::More);
                }
                let next = match self.held.take() {
                    Some(held) => Some(held),
                    None => stage.next(run)?,
                };
                let Some(doc) = next else { return Ok(Fill::End) };
                let given = match self.needs.record {
                    true => {
                        let (record, plain) = split_record(doc.as_doc());
                        output.give(record, plain.as_doc(), batch)?
                    }
                    false => output.give(0, doc.as_doc(), batch)?,
                };
                if given == Next::StopBefore {
                    self.held = Some(doc);
                    return Ok(Fill::More);
                }
            },
        }
    }

    fn awaits_data(&self) -> bool {
        self.tail.as_ref().is_some_and(Tail::awaits)
    }
}

/// Fails if the collection of an open cursor is not there any more.
///
/// # Errors
/// `QueryPlanKilled` (175).
pub fn check_collection(run: &Run<'_>, collection: &Collection) -> Result<()> {
    let namespace = &collection.namespace;
    match run.catalog.collection(namespace.db(), namespace.collection()) {
        Some(now) if now.id == collection.id => Ok(()),
        _ => Err(collection_dropped(collection)),
    }
}

/// Fails if an index that an open cursor walks is not there any more.
///
/// # Errors
/// `QueryPlanKilled` (175).
fn check_indexes(run: &Run<'_>, scan: &Scan) -> Result<()> {
    let plan = scan.plan();
    let namespace = &plan.collection.namespace;
    let Some(now) = run.catalog.collection(namespace.db(), namespace.collection()) else {
        return Ok(());
    };
    let is_there = |id: u32| now.indexes.iter().any(|index| index.id == id);
    match plan.access.scans().iter().find(|scan| !is_there(scan.index.id)) {
        None => Ok(()),
        Some(scan) => {
            let message = format!("index '{}' dropped", scan.index.name);
            Err(Error::new(Code::QUERY_PLAN_KILLED, message))
        }
    }
}

/// The error for a collection that went away under a query.
#[cold]
pub fn collection_dropped(collection: &Collection) -> Error {
    let uuid = crate::object_id::uuid_text(&collection.uuid);
    Error::new(Code::QUERY_PLAN_KILLED, format!("collection dropped. UUID {uuid}"))
}

/// Leaves out the first documents and ends after a number of them.
pub fn skip_and_limit(source: Box<dyn Stage>, skip: u64, limit: Option<u64>) -> Box<dyn Stage> {
    if skip == 0 && limit.is_none() {
        return source;
    }
    Box::new(Window { source, skip, left: limit })
}

struct Window {
    source: Box<dyn Stage>,
    skip: u64,
    left: Option<u64>,
}

impl Stage for Window {
    fn next(&mut self, env: &dyn Environment) -> Result<Option<DocBuf>> {
        if self.left == Some(0) {
            return Ok(None);
        }
        while self.skip > 0 {
            self.skip -= 1;
            if self.source.next(env)?.is_none() {
                return Ok(None);
            }
        }
        self.left = self.left.map(|left| left - 1);
        self.source.next(env)
    }

    fn stream(&mut self, env: &dyn Environment, show: &mut Look<'_>) -> Result<()> {
        let (skip, left) = (&mut self.skip, &mut self.left);
        if *left == Some(0) {
            return Ok(());
        }
        self.source.stream(env, &mut |doc| {
            if *skip > 0 {
                *skip -= 1;
                return Ok(Flow::Continue);
            }
            *left = left.map(|left| left - 1);
            let flow = show(doc)?;
            Ok(if *left == Some(0) { Flow::Stop } else { flow })
        })
    }

    fn is_done(&self) -> bool {
        self.left == Some(0) || self.source.is_done()
    }
}
