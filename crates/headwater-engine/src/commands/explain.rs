//! `explain`: how a command would find its documents, and with `executionStats` what finding them took. Nothing is
//! written: of an update or delete the finding alone is run.

use std::sync::Arc;
use std::time::Instant;

use super::collation::{argument, chosen, default_collation};
use super::views::{check_collation, push, push_count};
use super::{Command, Context, Fields, Flow, Needs, build_info, find_command};
use crate::aggregate::expressions::Scope;
use crate::aggregate::pipeline::{self, Pipeline};
use crate::bson::{Array, ArrayWriter, Doc, DocBuf, DocWriter, Raw};
use crate::catalog::Collection;
use crate::collation::Collation;
use crate::engine::now_ms;
use crate::error::{Code, Error, Result};
use crate::index::Index;
use crate::namespace::Namespace;
use crate::query::exec::Environment;
use crate::query::find::Shape;
use crate::query::plan::tree::{Access, IndexScan};
use crate::query::plan::{Chosen, Hint, KeyRange, Query, choose};
use crate::query::run::Run;
use crate::query::scan::{Next, Scan};
use crate::query::sort::SortPattern;

pub(super) const COMMAND: Command = Command {
    name: "explain",
    aliases: &[],
    help: "Says how a command would find its documents",
    needs: Needs::Read,
    fields: &["verbosity"],
    run,
};

/// What is explained: the query inside a command.
struct Question<'a> {
    command: &'static str,
    namespace: Namespace,
    filter: DocBuf,
    sort: DocBuf,
    skip: u64,
    limit: Option<u64>,
    hint: Option<Raw<'a>>,
    collation: Option<Arc<Collation>>,
    range: KeyRange,
}

fn run(context: &mut Context<'_>) -> Result<Flow> {
    let fields = context.fields();
    let Some(inner) = context.target().as_doc() else {
        return Err(fields.wrong_type("explain", context.target().kind, &["object"]));
    };
    let execute = match fields.str("verbosity")? {
        None | Some("allPlansExecution" | "executionStats") => true,
        Some("queryPlanner") => false,
        Some(other) => {
            let message = format!(
                "Enumeration value '{other}' for field 'explain.verbosity' is not a valid value."
            );
            return Err(Error::new(Code::BAD_VALUE, message));
        }
    };
    if context.mode == crate::request::Mode::Inline {
        return Ok(Flow::Busy);
    }
    let question = on_collection(context, question(context, inner)?)?;
    let Some(run) = context.read()? else { return Ok(Flow::Busy) };
    let catalog = run.catalog.clone();
    let namespace = &question.namespace;
    let chosen = match catalog.collection(namespace.db(), namespace.collection()) {
        Some(collection) => Some(choose(run.store(), collection, query(&question)?)?),
        None => None,
    };
    let plan = describe(&question, chosen.as_ref())?;
    let mut reply = DocWriter::new();
    reply.str("explainVersion", "1");
    reply.document("queryPlanner", |planner| {
        planner.str("namespace", namespace.as_str());
        planner.doc("parsedQuery", question.filter.as_doc());
        planner.bool("indexFilterSet", false);
        planner.bool("maxIndexedOrSolutionsReached", false);
        planner.bool("maxIndexedAndSolutionsReached", false);
        planner.bool("maxScansToExplodeReached", false);
        planner.doc("winningPlan", plan.as_doc());
        planner.array("rejectedPlans", |_| {});
    });
    if execute {
        write_stats(&run, &question, chosen, plan.as_doc(), &mut reply)?;
    }
    reply.doc("command", inner);
    reply.document("serverInfo", |info| {
        info.str("host", &context.client.local);
        info.str("version", build_info::VERSION);
        info.str("gitVersion", "headwater");
    });
    reply.document("serverParameters", |_| {});
    Ok(Flow::Reply(reply))
}

/// The collation of the explained command.
fn collation(
    context: &Context<'_>,
    fields: Fields<'_>,
    namespace: &Namespace,
) -> Result<Option<Arc<Collation>>> {
    Ok(chosen(argument(fields)?)?.or(default_collation(context, namespace).as_ref()))
}

fn question<'a>(context: &Context<'a>, inner: Doc<'a>) -> Result<Question<'a>> {
    let first = inner.first().ok_or_else(|| {
        Error::new(Code::FAILED_TO_PARSE, "the explained command must not be empty")
    })?;
    let command = find_command(first.name_str()).ok_or_else(|| {
        let message = format!("Explain failed due to unknown command: {}", first.name_str());
        Error::new(Code::COMMAND_NOT_FOUND, message)
    })?;
    let fields = Fields::new(inner, command.name);
    fields.only_command(command.fields)?;
    let namespace = Namespace::of_command(context.db, first.value)?;
    let mut question = Question {
        command: command.name,
        filter: DocBuf::new(),
        sort: DocBuf::new(),
        skip: 0,
        limit: None,
        hint: fields.get("hint"),
        range: KeyRange::default(),
        collation: collation(context, fields, &namespace)?,
        namespace,
    };
    let doc = |name: &str| fields.document(name).map(|d| d.unwrap_or(Doc::EMPTY).to_buf());
    match command.name {
        "find" => {
            (question.filter, question.sort) = (doc("filter")?, doc("sort")?);
            question.range = super::find::key_range(fields)?;
            question.skip = fields.count("skip")?.unwrap_or(0).unsigned_abs();
            question.limit = fields.count("limit")?.filter(|&n| n > 0).map(i64::unsigned_abs);
        }
        "count" | "distinct" => question.filter = doc("query")?,
        "findAndModify" => {
            (question.filter, question.sort) = (doc("query")?, doc("sort")?);
            question.limit = Some(1);
        }
        "update" | "delete" => {
            let list = if command.name == "update" { "updates" } else { "deletes" };
            let entries = fields.array(list)?.ok_or_else(|| fields.missing(list))?;
            let only = entries.get(0).and_then(Raw::as_doc).filter(|_| entries.len() == 1);
            let only = only.ok_or_else(|| {
                let message = "explained write batches must be of size 1";
                Error::new(Code::INVALID_LENGTH, message)
            })?;
            let entry = Fields::new(only, command.name);
            question.filter = entry.document("q")?.unwrap_or(Doc::EMPTY).to_buf();
            question.hint = entry.get("hint");
            question.collation = collation(context, entry, &question.namespace)?;
        }
        "aggregate" => {
            let stages = fields.array("pipeline")?.ok_or_else(|| fields.missing("pipeline"))?;
            let variables = fields.document("let")?;
            let mut scope = Scope::collated(variables, now_ms(), question.collation.clone())?;
            let collection = Some(question.namespace.collection());
            let mut around = pipeline::Context::new(&mut scope, context.db, collection);
            let (head, _) = Pipeline::parse(stages, &mut around)?.split_head();
            question.filter = head.filter;
            question.sort = head.sort.unwrap_or_default();
            (question.skip, question.limit) = (head.skip, head.limit);
        }
        other => return Err(Error::not_supported(format!("explaining the command '{other}'"))),
    }
    Ok(question)
}

/// What a question about a view asks of the collection at the end of its chain.
fn on_collection<'a>(context: &Context<'a>, question: Question<'a>) -> Result<Question<'a>> {
    let catalog = context.shared.catalog();
    let Some(view) = catalog.resolve(&question.namespace)? else { return Ok(question) };
    if matches!(question.command, "delete" | "findAndModify" | "update") {
        catalog.refuse_view(&question.namespace)?;
    }
    let mut stages = ArrayWriter::new();
    push(&mut stages, "$match", question.filter.as_doc());
    if SortPattern::natural(question.sort.as_doc())?.is_none() {
        push(&mut stages, "$sort", question.sort.as_doc());
    }
    push_count(&mut stages, "$skip", i64::try_from(question.skip).ok());
    push_count(&mut stages, "$limit", question.limit.and_then(|limit| i64::try_from(limit).ok()));
    let stages = view.with(Array::trusted(&stages.into_bytes()));
    let mut scope = Scope::collated(None, now_ms(), question.collation.clone())?;
    check_collation(&scope, &view)?;
    let collection = Some(view.base.collection());
    let mut around = pipeline::Context::new(&mut scope, context.db, collection);
    let (head, _) = Pipeline::parse(Array::trusted(&stages), &mut around)?.split_head();
    Ok(Question {
        filter: head.filter,
        sort: head.sort.unwrap_or_default(),
        skip: head.skip,
        limit: head.limit,
        namespace: view.base,
        ..question
    })
}

fn query(question: &Question<'_>) -> Result<Query> {
    let scope = Scope::collated(None, now_ms(), question.collation.clone())?;
    let mut query = Query::parse(question.filter.as_doc(), &mut { scope })?;
    query.hint = question.hint.map(Hint::parse).transpose()?;
    query.range = question.range.clone();
    super::find::set_order(&mut query, question.sort.as_doc())?;
    Ok(query)
}

/// The winning plan as a tree of stages.
fn describe(question: &Question<'_>, chosen: Option<&Chosen>) -> Result<DocBuf> {
    let Some(chosen) = chosen else {
        let mut plan = DocWriter::new();
        plan.bool("isCached", false);
        plan.str("stage", "EOF");
        return Ok(plan.finish());
    };
    let filter = question.filter.as_doc();
    let mut plan = access(&chosen.plan.access, &chosen.plan.collection, filter);
    let mut wrap = |stage: &str, more: &dyn Fn(&mut DocWriter)| {
        let mut outer = DocWriter::new();
        outer.str("stage", stage);
        more(&mut outer);
        outer.doc("inputStage", plan.as_doc());
        plan = outer.finish();
    };
    if !chosen.sorted {
        let pattern = SortPattern::parse(question.sort.as_doc())?;
        wrap("SORT", &|out| {
            out.doc("sortPattern", pattern.spec());
            out.str("type", "simple");
        });
    }
    if question.skip > 0 {
        wrap("SKIP", &|out| out.i64("skipAmount", question.skip as i64));
    }
    if let Some(limit) = question.limit {
        wrap("LIMIT", &|out| out.i64("limitAmount", limit as i64));
    }
    match question.command {
        "count" => wrap("COUNT", &|_| {}),
        "update" | "findAndModify" => wrap("UPDATE", &|_| {}),
        "delete" => wrap("DELETE", &|_| {}),
        _ => {}
    }
    let mut out = DocWriter::new();
    out.bool("isCached", false);
    out.extend(plan.as_doc());
    Ok(out.finish())
}

fn access(access: &Access, collection: &Arc<Collection>, filter: Doc<'_>) -> DocBuf {
    let mut plan = DocWriter::new();
    let direction = |reverse: bool| if reverse { "backward" } else { "forward" };
    match access {
        Access::Nothing | Access::Any(_) | Access::Merge(_) | Access::All(_) => {
            plan.str("stage", "EOF");
        }
        Access::Collection { reverse } => {
            plan.str("stage", "COLLSCAN");
            if !filter.is_empty() {
                plan.doc("filter", filter);
            }
            plan.str("direction", direction(*reverse));
        }
        Access::Id(_) if collection.settings.clustered => {
            plan.str("stage", "EXPRESS_CLUSTERED_IXSCAN");
        }
        Access::Id(_) => {
            plan.str("stage", "EXPRESS_IXSCAN");
            if let Some(index) = collection.id_index() {
                write_index(&mut plan, index);
            }
            plan.str("direction", "forward");
        }
        // The order of a clustered collection is no index: a range of it is a part of the collection.
        Access::Index(IndexScan { index, ranges, reverse, .. }) if index.clustered => {
            let is_whole = ranges.iter().all(|(lower, _)| lower.len() == size_of_val(&index.id));
            plan.str("stage", if is_whole { "COLLSCAN" } else { "CLUSTERED_IXSCAN" });
            if !filter.is_empty() {
                plan.doc("filter", filter);
            }
            plan.str("direction", direction(*reverse));
        }
        Access::Index(IndexScan { index, ranges, reverse, .. }) => {
            plan.str("stage", "FETCH");
            if !filter.is_empty() {
                plan.doc("filter", filter);
            }
            plan.document("inputStage", |scan| {
                scan.str("stage", "IXSCAN");
                write_index(scan, index);
                scan.str("direction", direction(*reverse));
                scan.i32("ranges", i32::try_from(ranges.len()).unwrap_or(i32::MAX));
            });
        }
    }
    plan.finish()
}

fn write_index(out: &mut DocWriter, index: &Index) {
    out.doc("keyPattern", index.key_pattern());
    out.str("indexName", &index.name);
    out.bool("isMultiKey", index.is_multikey());
    out.bool("isUnique", index.unique);
    out.bool("isSparse", index.sparse);
    out.bool("isPartial", false);
    out.i32("indexVersion", 2);
}

/// Runs the finding and writes what it took.
fn write_stats(
    run: &Run<'_>,
    question: &Question<'_>,
    chosen: Option<Chosen>,
    plan: Doc<'_>,
    reply: &mut DocWriter,
) -> Result<()> {
    let started = Instant::now();
    let (mut found, mut keys, mut docs) = (0_u64, 0, 0);
    if let Some(chosen) = chosen {
        let shape = Shape { skip: question.skip, limit: question.limit, ..Shape::default() };
        let most = shape.limit.filter(|_| chosen.sorted).map(|n| n.saturating_add(shape.skip));
        let mut scan = Scan::new(chosen.plan);
        if most != Some(0) {
            run.scan(&mut scan, &mut |_, _| {
                found += 1;
                Ok(if Some(found) == most { Next::Stop } else { Next::Continue })
            })?;
        }
        (keys, docs) = (scan.keys_examined(), scan.docs_examined());
        found = found.saturating_sub(shape.skip).min(shape.limit.unwrap_or(u64::MAX));
    }
    let took_ms = i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX);
    reply.document("executionStats", |stats| {
        stats.bool("executionSuccess", true);
        stats.i64("nReturned", found as i64);
        stats.i64("executionTimeMillis", took_ms);
        stats.i64("totalKeysExamined", keys as i64);
        stats.i64("totalDocsExamined", docs as i64);
        stats.document("executionStages", |stages| {
            stages.extend(plan);
            stages.i64("nReturned", found as i64);
            stages.i64("executionTimeMillisEstimate", took_ms);
            stages.i64("keysExamined", keys as i64);
            stages.i64("docsExamined", docs as i64);
        });
        stats.array("allPlansExecution", |_| {});
    });
    Ok(())
}
