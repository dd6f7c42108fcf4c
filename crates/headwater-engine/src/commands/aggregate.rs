//! `aggregate`: runs a pipeline over a collection. The head of the pipeline that a find plan can answer is planned as one.

mod merge;
mod out;
mod written;

use std::sync::Arc;

use super::collation::{argument, chosen, collation};
use super::collection_uuid;
use super::cursors::{First, cursor_argument, reply_first};
use super::find::allow_disk_use;
use super::views::check_collation;
use super::{Command, Context, Flow, Needs};
use crate::aggregate::expressions::Scope;
use crate::aggregate::pipeline::{self, Pipeline};
use crate::aggregate::stages::{described, split_large_event};
use crate::bson::{Array, ArrayWriter, Number, Raw, Type};
use crate::change::stream::ChangeStream;
use crate::collation::Collation;
use crate::engine::now_ms;
use crate::error::{Code, Error, Result};
use crate::namespace::Namespace;
use crate::query::cursor::StageBody;
use crate::query::exec::{Nothing, Ready, Stage};
use crate::query::plan::{Asked, Hint, Query, choose};
use crate::query::run::Run;
use crate::query::scan::ScanStage;
use crate::query::sort::{Sort, SortPattern};
use crate::status;

/// What 8.0 puts before errors of a running pipeline.
pub(super) const PREFIX: &str = "PlanExecutor error during aggregation :: caused by :: ";

pub(super) const COMMAND: Command = Command {
    name: "aggregate",
    aliases: &[],
    help: "Runs a pipeline of stages over a collection",
    needs: Needs::Read,
    fields: &[
        "allowDiskUse",
        "bypassDocumentValidation",
        "collation",
        "collectionUUID",
        "cursor",
        "explain",
        "fromMongos",
        "hint",
        "let",
        "needsMerge",
        "pipeline",
    ],
    run,
};

fn run(context: &mut Context<'_>) -> Result<Flow> {
    let fields = context.fields();
    let stages = fields.raw("pipeline").ok_or_else(|| fields.missing("pipeline"))?;
    let Some(stages) = stages.as_array() else {
        let message = "A pipeline must be an array of objects";
        return Err(Error::new(Code::TYPE_MISMATCH, message));
    };
    pipeline::check_objects(stages)?;
    let namespace = target(context)?;
    fields.loose_bool("bypassDocumentValidation")?;
    fields.strict_bool("fromMongos")?;
    if fields.strict_bool("needsMerge")? {
        let message = "Cannot specify 'needsMerge' without 'fromRouter'";
        return Err(Error::new(Code::FAILED_TO_PARSE, message));
    }
    let explains = fields.raw("explain").is_some_and(|asked| asked.as_bool() == Some(true));
    if fields.raw("explain").is_some_and(|asked| asked.as_bool().is_none()) {
        return Err(Error::new(Code::TYPE_MISMATCH, "explain must be a boolean"));
    }
    let cursor = cursor_argument(fields)?;
    let disk_use = allow_disk_use(fields)?;
    fields.document("let")?;
    argument(fields)?;
    let hint = Hint::argument(fields)?;
    pipeline::survey(stages, context.db)?;
    if explains {
        return match context.mode {
            crate::request::Mode::Inline => Ok(Flow::Busy),
            crate::request::Mode::Blocking => super::explain::aggregated(context),
        };
    }
    let Some(mut first) = cursor else {
        return Err(Error::new(
            Code::FAILED_TO_PARSE,
            "The 'cursor' option is required, except for aggregate with the explain argument",
        ));
    };
    first.disk_use = disk_use;
    let collation = match &namespace {
        Some(namespace) => collation(context, namespace)?,
        None => chosen(argument(fields)?)?.or(None),
    };
    if context.mode == crate::request::Mode::Inline {
        return Ok(Flow::Busy);
    }
    status::count(&context.shared.status.operations.query, 1);
    let scope = scope(context, collation.as_ref())?;
    if let Some(argument) = change_stream(stages) {
        context.read_concern().check_stream()?;
        return watch(context, stages, argument, namespace.as_ref(), &scope, first);
    }
    let Some(run) = context.read()? else { return Ok(Flow::Busy) };
    if let Some(namespace) = &namespace {
        collection_uuid::check(&run.catalog, namespace, collection_uuid::asked(fields)?)?;
    }
    let run = run.with_disk_use(first.disk_use);
    let opened = open(context, &run, namespace.as_ref(), stages, &scope, hint)?;
    let name = match &namespace {
        Some(namespace) => namespace.as_str().to_owned(),
        None => format!("{}.$cmd.aggregate", context.db),
    };
    if opened.pipeline.writes().is_some() {
        return written::run(context, run, opened, &scope, &name);
    }
    let body = Box::new(StageBody::new(opened.stage));
    reply_first(context, &run, name, first, body).map_err(|error| error.with_prefix(PREFIX))
}

/// A pipeline that runs.
pub(super) struct Opened {
    /// What gives its documents.
    pub stage: Box<dyn Stage>,
    /// What it was made from.
    pub pipeline: Pipeline,
}

/// The running pipeline of `stages` over a collection or view.
///
/// # Errors
/// Those of resolving the view, parsing and planning; those of a stage that writes and may not.
pub(super) fn open(
    context: &Context<'_>,
    run: &Run<'_>,
    namespace: Option<&Namespace>,
    stages: Array<'_>,
    scope: &Scope,
    hint: Option<Hint>,
) -> Result<Opened> {
    if namespace.is_none() && stages.is_empty() {
        let message = "{aggregate: 1} is not valid for an empty pipeline.";
        return Err(Error::new(Code::INVALID_NAMESPACE, message));
    }
    let view = namespace.map(|namespace| run.catalog.resolve(namespace)).transpose()?.flatten();
    let joined;
    let (stages, namespace) = match &view {
        Some(view) => {
            check_collation(scope, view)?;
            joined = view.with(stages);
            (Array::trusted(&joined), Some(&view.base))
        }
        None => (stages, namespace),
    };
    let pipeline = parse(context, stages, namespace, scope)?;
    if let Some(writes) = pipeline.writes() {
        written::check(context, &run.catalog, writes, scope)?;
    }
    let stage = source(run, &pipeline, namespace, scope, hint)?;
    Ok(Opened { stage, pipeline })
}

/// The argument of a leading `$changeStream`.
fn change_stream<'a>(stages: Array<'a>) -> Option<Raw<'a>> {
    let first = stages.get(0)?.as_doc()?.first()?;
    (first.name == b"$changeStream").then_some(first.value)
}

/// Opens a change stream. It begins at what is durable, so the reply waits for nothing.
fn watch(
    context: &mut Context<'_>,
    stages: Array<'_>,
    argument: Raw<'_>,
    namespace: Option<&Namespace>,
    scope: &Scope,
    first: First,
) -> Result<Flow> {
    if let Some(namespace) = namespace {
        context.shared.catalog().refuse_view(namespace)?;
    }
    let mut rest: Vec<Raw<'_>> = stages.iter().skip(1).collect();
    let splits = split_large_event::take_off(&mut rest)?;
    let mut written = ArrayWriter::new();
    rest.into_iter().for_each(|stage| written.raw(stage));
    let rest = written.into_bytes();
    let anything = Namespace::new(context.db, "$cmd.aggregate");
    let pipeline = parse(context, Array::trusted(&rest), namespace.or(Some(&anything)), scope)?;
    let stream =
        ChangeStream::open(context.shared, context.db, namespace, argument, &pipeline, splits)?;
    let name = namespace.unwrap_or(&anything).as_str().to_owned();
    let run = Run::now(context.shared, context.interrupt())?;
    reply_first(context, &run, name, first, Box::new(stream))
}

/// The collection, or `None` for an aggregation on the database.
///
/// # Errors
/// `InvalidNamespace` (73), `BadValue` (2) for a number other than 1.
pub(super) fn target(context: &Context<'_>) -> Result<Option<Namespace>> {
    match Number::from_raw(context.target()) {
        Some(number) if number.to_f64() == 1.0 => Ok(None),
        Some(_) => Err(Error::new(
            Code::BAD_VALUE,
            "Invalid command format: the 'aggregate' field must specify a collection name or 1",
        )),
        None => context.namespace().map(Some),
    }
}

/// The variables of the command: one scope for the whole of it.
///
/// # Errors
/// Those of evaluating `let`.
pub(super) fn scope(context: &Context<'_>, collation: Option<&Arc<Collation>>) -> Result<Scope> {
    let variables = context.fields().document("let")?;
    let scope = Scope::collated(variables, now_ms(), collation.cloned())?;
    // Nobody is authenticated yet, and nobody has no roles.
    let no_roles = ArrayWriter::new().into_bytes();
    let scope = scope.with_rewrites(context.shared.options.aggregation.rewrites);
    let scope = scope.with_user_roles(Raw { kind: Type::Array, data: &no_roles });
    Ok(scope.with_cluster_time(context.shared.store.last()))
}

fn parse(
    context: &Context<'_>,
    stages: Array<'_>,
    namespace: Option<&Namespace>,
    scope: &Scope,
) -> Result<Pipeline> {
    let mut scope = scope.clone();
    let collection = namespace.map(Namespace::collection);
    let mut around = pipeline::Context::new(&mut scope, context.db, collection);
    Pipeline::parse(stages, &mut around)
}

/// The running pipeline, its head planned as a find.
fn source(
    run: &Run<'_>,
    pipeline: &Pipeline,
    namespace: Option<&Namespace>,
    scope: &Scope,
    hint: Option<Hint>,
) -> Result<Box<dyn Stage>> {
    if let Some(rows) = namespace.and_then(|namespace| run.catalog.definitions(namespace))
        && !pipeline.has_source()
    {
        return Ok(pipeline.build(Box::new(Ready::new(rows))));
    }
    let collection = namespace.and_then(|n| run.catalog.collection(n.db(), n.collection()));
    let Some(collection) = collection.filter(|_| !pipeline.has_source()) else {
        return Ok(pipeline.build(Box::new(Nothing)));
    };
    let (head, rest) = pipeline.split_head();
    let mut query = Query::parse(head.filter.as_doc(), &mut scope.clone())?;
    query.hint = hint;
    query.asked = query.hint.is_some().then(|| {
        Box::new(Asked {
            limit: head.limit,
            skip: head.skip,
            in_pipeline: true,
            ..Asked::default()
        })
    });
    query.sort = head.sort.as_ref().map(|sort| SortPattern::parse(sort.as_doc())).transpose()?;
    query.sort = query.sort.map(|sort| sort.with_collation(scope.collation().cloned()));
    let sort = query.sort.clone();
    query.limit = head.limit.map(|limit| limit.saturating_add(head.skip));
    query.wants = rest.wanted(sort.is_some());
    query.tells_absent = true;
    let chosen = choose(run.store(), collection, query)?;
    let sorted = chosen.sorted;
    let described = rest.split_described();
    let scan = ScanStage::new(chosen.plan);
    let mut stage: Box<dyn Stage> = match described {
        Some(_) => Box::new(scan.with_records()),
        None => Box::new(scan),
    };
    if let Some(pattern) = sort.clone().filter(|_| !sorted) {
        let needed = head.limit.map(|limit| limit.saturating_add(head.skip));
        let needed = needed.map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        stage = Box::new(Sort::new(stage, pattern, needed));
    }
    stage = crate::query::find::skip_and_limit(stage, head.skip, head.limit);
    Ok(match described {
        Some((first, behind)) => behind.build(described::start(first, stage, sort)),
        None => rest.build(stage),
    })
}
