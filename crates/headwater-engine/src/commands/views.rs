//! Reading from views: `find`, `count` and `distinct` on a view run its pipeline with their own arguments behind it.

use super::aggregate::{self, PREFIX};
use super::collation::collation;
use super::cursors::{First, reply_first};
use super::{Context, Flow};
use crate::aggregate::expressions::Scope;
use crate::bson::key::Collate;
use crate::bson::{Array, ArrayWriter, Doc};
use crate::catalog::view::Resolved;
use crate::error::{Code, Error, Result};
use crate::namespace::Namespace;
use crate::query::cursor::StageBody;
use crate::query::distinct::Distinct;
use crate::query::exec::Stage;
use crate::query::plan::Hint;
use crate::query::run::Run;
use crate::query::sort::SortPattern;

/// Options of `find` that need the collection itself.
const UNSUPPORTED: &[&str] =
    &["max", "min", "noCursorTimeout", "returnKey", "showRecordId", "singleBatch"];

/// Whether a command's namespace is a view's, or the collection of their definitions.
pub(super) fn is_view(context: &Context<'_>, namespace: &Namespace) -> Result<bool> {
    Ok(context.shared.catalog().resolve(namespace)?.is_some())
}

/// `find` on a view.
///
/// # Errors
/// `InvalidPipelineOperator` (168) for what only a collection can be asked; those of running the pipeline.
pub(super) fn find(context: &Context<'_>, namespace: &Namespace, first: First) -> Result<Flow> {
    let fields = context.fields();
    let refused = |message: String| Err(Error::new(Code::INVALID_PIPELINE_OPERATOR, message));
    if fields.strict_bool("tailable")? {
        return refused("Tailable cursors are not supported in aggregation.".to_owned());
    }
    for option in UNSUPPORTED {
        let asked = fields.get(option).is_some_and(|value| {
            value.as_bool() == Some(true) || value.as_doc().is_some_and(|doc| !doc.is_empty())
        });
        // One document is a batch of its own.
        if asked && (*option != "singleBatch" || fields.count("limit")? != Some(1)) {
            return refused(format!("Option {option} not supported in aggregation."));
        }
    }
    let document = |name: &str| fields.strict_document(name).map(|d| d.unwrap_or(Doc::EMPTY));
    let (filter, sort, projection) =
        (document("filter")?, document("sort")?, document("projection")?);
    let mut hint = Hint::argument(fields)?;
    let mut stages = ArrayWriter::new();
    push(&mut stages, "$match", filter);
    match SortPattern::natural(sort)? {
        Some(direction) => hint = Some(Hint::Natural(direction)),
        None => push(&mut stages, "$sort", sort),
    }
    push_count(&mut stages, "$skip", fields.count("skip")?);
    push_count(&mut stages, "$limit", fields.count("limit")?);
    push(&mut stages, "$project", projection);
    let run = view_of_now(context)?;
    let source = open(context, &run, namespace, stages, hint)?;
    let body = Box::new(StageBody::new(source));
    let name = namespace.as_str().to_owned();
    reply_first(context, &run, name, first, body).map_err(|error| error.with_prefix(PREFIX))
}

/// How many documents `count` finds in a view.
///
/// # Errors
/// Those of running the pipeline.
pub(super) fn count(
    context: &Context<'_>,
    namespace: &Namespace,
    skip: u64,
    limit: Option<u64>,
) -> Result<u64> {
    let fields = context.fields();
    let mut stages = ArrayWriter::new();
    push(&mut stages, "$match", fields.document("query")?.unwrap_or(Doc::EMPTY));
    push_count(&mut stages, "$skip", i64::try_from(skip).ok());
    push_count(&mut stages, "$limit", limit.and_then(|limit| i64::try_from(limit).ok()));
    let run = view_of_now(context)?;
    let mut source = open(context, &run, namespace, stages, Hint::argument(fields)?)?;
    let mut count = 0;
    while source.next(&run).map_err(|error| error.with_prefix(PREFIX))?.is_some() {
        count += 1;
    }
    Ok(count)
}

/// The different values of a field in a view.
///
/// # Errors
/// Those of running the pipeline.
pub(super) fn distinct(
    context: &Context<'_>,
    namespace: &Namespace,
    path: &str,
) -> Result<(Distinct, Option<u64>)> {
    let fields = context.fields();
    let mut stages = ArrayWriter::new();
    push(&mut stages, "$match", fields.document("query")?.unwrap_or(Doc::EMPTY));
    let run = view_of_now(context)?;
    let mut source = open(context, &run, namespace, stages, Hint::argument(fields)?)?;
    let collation = collation(context, namespace)?;
    let collate = collation
        .as_ref()
        .map(|collation| move |text: &str, out: &mut Vec<u8>| collation.append_key(text, out));
    let collate = collate.as_ref().map(|collate| collate as Collate<'_>);
    let mut distinct = Distinct::new(path);
    while let Some(doc) = source.next(&run).map_err(|error| error.with_prefix(PREFIX))? {
        distinct.add(doc.as_doc(), collate)?;
    }
    Ok((distinct, run.cluster_time()))
}

/// What the command sees. It runs only where its thread may wait for that.
fn view_of_now<'a>(context: &Context<'a>) -> Result<Run<'a>> {
    let message = "a view was read on a thread that may not wait";
    context.read()?.ok_or_else(|| Error::new(Code::INTERNAL_ERROR, message))
}

/// Adds a stage if its argument says anything.
pub(super) fn push(stages: &mut ArrayWriter, name: &str, argument: Doc<'_>) {
    if !argument.is_empty() {
        stages.document(|stage| stage.doc(name, argument));
    }
}

/// Adds a stage that counts documents, if it counts any.
pub(super) fn push_count(stages: &mut ArrayWriter, name: &str, count: Option<i64>) {
    if let Some(count) = count.filter(|count| *count > 0) {
        stages.document(|stage| stage.i64(name, count));
    }
}

fn open(
    context: &Context<'_>,
    run: &Run<'_>,
    namespace: &Namespace,
    stages: ArrayWriter,
    hint: Option<Hint>,
) -> Result<Box<dyn Stage>> {
    let stages = stages.into_bytes();
    let collation = collation(context, namespace)?;
    let scope = aggregate::scope(context, collation.as_ref())?;
    let stages = Array::trusted(&stages);
    Ok(aggregate::open(context, run, Some(namespace), stages, &scope, hint)?.stage)
}

/// Refuses a collation other than the view's own.
///
/// # Errors
/// `OptionNotSupportedOnView` (167).
pub(super) fn check_collation(scope: &Scope, view: &Resolved) -> Result<()> {
    if scope.collation().map(|asked| asked.spec()) == view.collation() {
        return Ok(());
    }
    let message = "Cannot override a view's default collation";
    Err(Error::new(Code::OPTION_NOT_SUPPORTED_ON_VIEW, message))
}
