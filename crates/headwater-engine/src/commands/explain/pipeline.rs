//! Explaining pipelines: the plan of what a query can answer of them, and the stages above it. A pipeline that is answered
//! by a plan alone is shown as a query.

use super::counting::{Count, Counting, Figures};
use super::node::{millis, shown_filter};
use super::planner::{About, explain};
use super::question::{Purpose, Question};
use super::top::write_spilled;
use crate::aggregate::expressions::Scope;
use crate::aggregate::pipeline::{self, Head, Pipeline};
use crate::bson::{Array, Doc, DocBuf, DocWriter, Number, Raw};
use crate::commands::aggregate::PREFIX;
use crate::commands::views::check_collation;
use crate::error::{Error, Result};
use crate::namespace::Namespace;
use crate::query::exec::{Nothing, Ready, Stage};
use crate::query::find::skip_and_limit;
use crate::query::matcher::write_expression;
use crate::query::plan::{Asked, Hint, Query, Wants, choose};
use crate::query::run::Run;
use crate::query::scan::ScanStage;
use crate::query::sort::{Sort, SortPattern};

/// A pipeline on a collection, a view, or nothing.
pub(super) struct Asking<'a> {
    pub(super) db: &'a str,
    pub(super) namespace: Option<Namespace>,
    pub(super) scope: Scope,
    pub(super) hint: Option<Hint>,
}

impl Asking<'_> {
    /// Writes the explanation of `stages`, and runs them if `execute` says so. Stages that write are not run.
    ///
    /// # Errors
    /// Those of parsing, planning and running.
    pub(super) fn explain(
        self,
        view: &Run<'_>,
        stages: Array<'_>,
        (execute, all_plans): (bool, bool),
        reply: &mut DocWriter,
    ) -> Result<()> {
        let resolved = self.namespace.as_ref().map(|namespace| view.catalog.resolve(namespace));
        let Some(resolved) = resolved.transpose()?.flatten() else {
            return self.on_collection(view, stages, (execute, all_plans), reply);
        };
        check_collation(&self.scope, &resolved)?;
        let joined = resolved.with(stages);
        let on_base = Asking { namespace: Some(resolved.base.clone()), ..self };
        on_base.on_collection(view, Array::trusted(&joined), (execute, all_plans), reply)
    }

    fn on_collection(
        self,
        view: &Run<'_>,
        stages: Array<'_>,
        (execute, all_plans): (bool, bool),
        reply: &mut DocWriter,
    ) -> Result<()> {
        let mut scope = self.scope.clone();
        let collection = self.namespace.as_ref().map(Namespace::collection);
        let mut around = pipeline::Context::new(&mut scope, self.db, collection);
        let pipeline = Pipeline::parse(stages, &mut around)?;
        let listing =
            self.namespace.as_ref().is_some_and(|n| view.catalog.definitions(n).is_some());
        let Some(namespace) = self.namespace.clone().filter(|_| !pipeline.has_source() && !listing)
        else {
            let rows = self.namespace.as_ref().and_then(|n| view.catalog.definitions(n));
            let source: Box<dyn Stage> = match rows {
                Some(rows) if !pipeline.has_source() => Box::new(Ready::new(rows)),
                _ => Box::new(Nothing),
            };
            let ran = execute.then(|| run(view, source, &pipeline)).transpose()?;
            let ran = ran.as_deref().map(|ran| (Figures::default(), ran));
            reply.array("stages", |out| write_stages(out, stages, &pipeline, ran));
            return Ok(());
        };
        let (head, rest) = pipeline.split_head();
        let optimized_pipeline = rest.stages().is_empty();
        let about = About { optimized_pipeline, all_plans, cached: false };
        if rest.stages().is_empty() {
            return explain(view, self.question(&namespace, &head)?, execute, about, reply);
        }
        let mut cursor = DocWriter::new();
        let wanted = rest.wanted(head.sort.is_some());
        let shown = shown_fields(&wanted);
        let mut question = self.question(&namespace, &head)?;
        question.query.wants = wanted.clone();
        if let Purpose::Find { projection, .. } = &mut question.purpose {
            *projection = shown.as_doc();
        }
        explain(view, question, execute, about, &mut cursor)?;
        let cursor = cursor.finish();
        let mut given = None;
        let mut ran = None;
        if execute {
            let (source, count) = Counting::around(self.source(view, &namespace, &head, wanted)?);
            ran = Some(run(view, source, &rest)?);
            given = Some(count);
        }
        reply.array("stages", |out| {
            out.document(|out| {
                out.doc("$cursor", cursor.as_doc());
                if let Some(count) = &given {
                    write_count(out, count.figures());
                }
            });
            let source = given.as_ref().map(Count::figures).unwrap_or_default();
            write_stages(out, stages, &rest, ran.as_deref().map(|ran| (source, ran)));
        });
        Ok(())
    }

    /// The head of a pipeline as a query.
    fn question<'h>(&self, namespace: &Namespace, head: &'h Head) -> Result<Question<'h>> {
        let query = self.query(head)?;
        let sort = head.sort.as_ref().map_or(Doc::EMPTY, DocBuf::as_doc);
        let purpose = Purpose::Find {
            skip: head.skip,
            limit: head.limit,
            projection: Doc::EMPTY,
            key_only: false,
            record_id: false,
        };
        let (namespace, filter) = (namespace.clone(), head.filter.as_doc());
        Ok(Question { namespace, query, filter, sort, purpose })
    }

    fn query(&self, head: &Head) -> Result<Query> {
        let mut query = Query::parse(head.filter.as_doc(), &mut self.scope.clone())?;
        query.hint = self.hint.clone();
        query.explains = true;
        query.tells_absent = true;
        query.asked = Some(Box::new(Asked {
            limit: head.limit,
            skip: head.skip,
            in_pipeline: true,
            ..Asked::default()
        }));
        let pattern = head.sort.as_ref().map(|sort| SortPattern::parse(sort.as_doc()));
        let collation = self.scope.collation().cloned();
        query.sort = pattern.transpose()?.map(|pattern| pattern.with_collation(collation));
        Ok(query)
    }

    /// The documents that the stages above a plan get.
    fn source(
        &self,
        view: &Run<'_>,
        namespace: &Namespace,
        head: &Head,
        wanted: Wants,
    ) -> Result<Box<dyn Stage>> {
        let found = view.catalog.collection(namespace.db(), namespace.collection());
        let Some(collection) = found else { return Ok(Box::new(Nothing)) };
        let mut query = self.query(head)?;
        query.wants = wanted;
        let sort = query.sort.clone();
        let chosen = choose(view.store(), collection, query)?;
        let sorted = chosen.sorted;
        let mut stage: Box<dyn Stage> = Box::new(ScanStage::new(chosen.plan));
        if let Some(pattern) = sort.filter(|_| !sorted) {
            let needed = head.limit.map(|limit| limit.saturating_add(head.skip));
            let needed = needed.map(|n| usize::try_from(n).unwrap_or(usize::MAX));
            stage = Box::new(Sort::new(stage, pattern, needed));
        }
        Ok(skip_and_limit(stage, head.skip, head.limit))
    }
}

/// The fields that are wanted, as a projection; none for whole documents.
fn shown_fields(wanted: &Wants) -> DocBuf {
    let mut shown = DocWriter::new();
    if let Wants::Fields(paths) = wanted
        && !paths.is_empty()
    {
        paths.iter().for_each(|path| shown.bool(path, true));
        if !paths.iter().any(|path| path == "_id") {
            shown.bool("_id", false);
        }
    }
    shown.finish()
}

/// Runs a pipeline but for the stages that write.
fn run(view: &Run<'_>, source: Box<dyn Stage>, pipeline: &Pipeline) -> Result<Vec<Figures>> {
    let (mut last, mut counts) = (source, Vec::new());
    for stage in pipeline.stages() {
        let (counted, count) = match stage.name() {
            "$merge" | "$out" => (last, Count::default()),
            _ => Counting::around(stage.clone().start(last)),
        };
        last = counted;
        counts.push(count);
    }
    let failed = |error: Error| error.with_prefix(PREFIX);
    while last.next(view).map_err(failed)?.is_some() {}
    Ok(counts.iter().map(Count::figures).collect())
}

fn long(out: &mut DocWriter, name: &str, value: u64) {
    out.i64(name, i64::try_from(value).unwrap_or(i64::MAX));
}

fn write_count(out: &mut DocWriter, figures: Figures) {
    long(out, "nReturned", figures.given);
    long(out, "executionTimeMillisEstimate", millis(figures.took.time));
}

/// What a stage took by itself, of those that keep documents or read others.
fn write_own(out: &mut DocWriter, name: &str, input: Figures, figures: Figures) {
    let own = figures.took - input.took;
    match name {
        "$lookup" | "$graphLookup" => {
            long(out, "totalDocsExamined", own.docs);
            long(out, "totalKeysExamined", own.keys);
        }
        "$sort" => {
            long(out, "totalDataSizeSortedBytesEstimate", input.bytes);
            write_spilled(out, own.spilled);
        }
        "$bucketAuto" | "$group" | "$setWindowFields" => write_spilled(out, own.spilled),
        _ => {}
    }
}

/// The stages as they were written, `ran` with what the first of them got. One that stands for several is shown once, with what
/// the last of them gave.
fn write_stages(
    out: &mut crate::bson::ArrayWriter,
    written: Array<'_>,
    pipeline: &Pipeline,
    ran: Option<(Figures, &[Figures])>,
) {
    let origins: Vec<usize> = pipeline.with_origins().map(|(_, origin)| origin).collect();
    let mut input = ran.map(|(source, _)| source).unwrap_or_default();
    for (at, origin) in origins.iter().enumerate() {
        if origins.get(at + 1) == Some(origin) {
            continue;
        }
        let Some(stage) = written.get(*origin).and_then(Raw::as_doc).and_then(Doc::first) else {
            continue;
        };
        out.document(|out| {
            write_stage(out, stage.name_str(), stage.value);
            if let Some(figures) = ran.and_then(|(_, ran)| ran.get(at)).copied() {
                write_count(out, figures);
                write_own(out, stage.name_str(), input, figures);
                input = figures;
            }
        });
    }
}

fn write_stage(out: &mut DocWriter, name: &str, argument: Raw<'_>) {
    let number = Number::from_raw(argument).and_then(Number::to_i64_exact);
    match (name, argument.as_doc(), number) {
        ("$match", Some(filter), _) => {
            out.doc("$match", shown_filter(filter).unwrap_or_default().as_doc());
        }
        ("$sort", Some(pattern), _) => {
            out.document("$sort", |out| out.doc("sortKey", pattern));
        }
        ("$skip" | "$limit", _, Some(count)) => out.i64(name, count),
        ("$group", Some(group), _) => out.document("$group", |out| {
            for field in group {
                let name = field.name_str();
                match field.value.as_doc().filter(|_| name != "_id") {
                    Some(accumulator) => out.document(name, |out| {
                        accumulator
                            .iter()
                            .for_each(|part| write_expression(out, part.name_str(), part.value));
                    }),
                    None => write_expression(out, name, field.value),
                }
            }
        }),
        _ => out.raw(name, argument),
    }
}
