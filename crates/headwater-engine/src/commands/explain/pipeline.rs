//! Explaining pipelines: the plan of what a query can answer of them, and the stages above it. A pipeline that is answered
//! by a plan alone is shown as a query.

use std::sync::Arc;

use super::counting::{Count, Counting, Figures};
use super::planner::{About, explain};
use super::question::{Purpose, Question};
use super::staged::{Staged, projection_ahead, write_count};
use crate::aggregate::expressions::Scope;
use crate::aggregate::pipeline::{self, Head, Pipeline};
use crate::bson::{Array, Doc, DocBuf, DocWriter};
use crate::commands::aggregate::PREFIX;
use crate::commands::views::check_collation;
use crate::error::{Error, Result};
use crate::namespace::Namespace;
use crate::query::exec::{Nothing, Ready, Stage};
use crate::query::find::skip_and_limit;
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
            let ran = ran.map(|ran| (Figures::default(), ran));
            reply.array("stages", |out| self.staged(stages, &pipeline, ran).write(out));
            return Ok(());
        };
        let (head, rest) = pipeline.split_head();
        let projection = projection_ahead(stages, &rest);
        let above = rest.behind(usize::from(projection.is_some()));
        let optimized_pipeline = above.stages().is_empty();
        let about = About { optimized_pipeline, all_plans, cached: false };
        if above.stages().is_empty() {
            let shown = projection.unwrap_or_default();
            let question = self.question(&namespace, &head, shown.as_doc())?;
            return explain(view, question, execute, about, reply);
        }
        let mut cursor = DocWriter::new();
        let wanted = rest.wanted(head.sort.is_some());
        let projected = projection.is_some();
        let shown = projection.unwrap_or_else(|| shown_fields(&wanted));
        let mut question = self.question(&namespace, &head, shown.as_doc())?;
        question.query.wants = wanted.clone();
        explain(view, question, execute, about, &mut cursor)?;
        let cursor = cursor.finish();
        let mut given = None;
        let mut ran = None;
        if execute {
            let source = self.source(view, &namespace, &head, wanted)?;
            let source = match rest.stages().first().filter(|_| projected) {
                Some(projection) => Arc::clone(projection).start(source),
                None => source,
            };
            let (source, count) = Counting::around(source);
            ran = Some(run(view, source, &above)?);
            given = Some(count);
        }
        let given = given.as_ref().map(Count::figures);
        reply.array("stages", |out| {
            out.document(|out| {
                out.doc("$cursor", cursor.as_doc());
                given.iter().for_each(|given| write_count(out, given));
            });
            let ran = ran.map(|ran| (given.clone().unwrap_or_default(), ran));
            self.staged(stages, &above, ran).write(out);
        });
        Ok(())
    }

    fn staged(
        &self,
        written: Array<'_>,
        pipeline: &Pipeline,
        ran: Option<(Figures, Vec<Figures>)>,
    ) -> Staged {
        Staged::new(written, self.db, pipeline, ran)
    }

    /// The head of a pipeline as a query.
    fn question<'h>(
        &self,
        namespace: &Namespace,
        head: &'h Head,
        projection: Doc<'h>,
    ) -> Result<Question<'h>> {
        let query = self.query(head)?;
        let sort = head.sort.as_ref().map_or(Doc::EMPTY, DocBuf::as_doc);
        let purpose = Purpose::Find {
            skip: head.skip,
            limit: head.limit,
            projection,
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
        let mut paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        paths.sort_unstable();
        paths.iter().for_each(|path| shown.i32(path, 1));
        if !paths.contains(&"_id") {
            shown.i32("_id", 0);
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
