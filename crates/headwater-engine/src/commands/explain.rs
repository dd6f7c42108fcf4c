//! `explain`: how a command would find its documents, and with `executionStats` what finding them took. Nothing is ever
//! written: of an update or delete the finding is run, and the change is made but not stored.

pub(crate) mod cached;
mod counting;
mod draw;
mod index;
mod node;
mod pipeline;
mod planner;
mod question;
mod ran;
mod staged;
mod stages;
mod top;

use super::collation::{argument, chosen, collation};
use super::views::{check_collation, push, push_count};
use super::{Command, Context, Fields, Flow, Needs, aggregate, build_info, find_command};
use crate::bson::{Array, ArrayWriter, Doc, DocWriter, Raw};
use crate::error::{Code, Error, Result};
use crate::namespace::Namespace;
use crate::query::plan::Hint;
use crate::query::run::Run;
use crate::query::sort::SortPattern;
use crate::request::{Mode, Request};
use crate::status::host_name;
use pipeline::Asking;
use planner::About;
use question::Question;

pub(super) const COMMAND: Command = Command {
    name: "explain",
    aliases: &[],
    help: "Says how a command would find its documents",
    needs: Needs::Read,
    fields: &["verbosity"],
    run,
};

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verbosity {
    /// The plan.
    Planner,
    /// And what running it took.
    Stats,
    /// And the same of plans that were not taken.
    AllPlans,
}

fn run(context: &mut Context<'_>) -> Result<Flow> {
    let fields = context.fields();
    let Some(inner) = context.target().as_doc() else {
        return Err(fields.wrong_type("explain", context.target().kind, &["object"]));
    };
    let verbosity = match fields.str("verbosity")? {
        None | Some("allPlansExecution") => Verbosity::AllPlans,
        Some("executionStats") => Verbosity::Stats,
        Some("queryPlanner") => Verbosity::Planner,
        Some(other) => {
            let message = format!(
                "Enumeration value '{other}' for field 'explain.verbosity' is not a valid value."
            );
            return Err(Error::new(Code::BAD_VALUE, message));
        }
    };
    if context.mode == Mode::Inline {
        return Ok(Flow::Busy);
    }
    let command = explained(context, inner)?;
    let request = Request { body: inner, sequences: &[] };
    let asked = context.inner(&request, command);
    let Some(view) = context.read()? else { return Ok(Flow::Busy) };
    let mut reply = DocWriter::new();
    reply.str("explainVersion", "1");
    if command.name == "aggregate" {
        if asked.fields().loose_bool("explain")?.unwrap_or(false) {
            let message =
                "The 'explain' option is illegal when an explain verbosity is also provided";
            return Err(Error::new(Code::FAILED_TO_PARSE, message));
        }
        of_aggregate(&asked, &view, verbosity, &mut reply)?;
    } else {
        of_query(&asked, &view, verbosity, &mut reply)?;
    }
    finish(context, inner, &mut reply);
    Ok(Flow::Reply(reply))
}

/// `aggregate` with `explain: true`.
///
/// # Errors
/// Those of parsing and planning.
pub(super) fn aggregated(context: &Context<'_>) -> Result<Flow> {
    let Some(view) = context.read()? else { return Ok(Flow::Busy) };
    let mut reply = DocWriter::new();
    reply.str("explainVersion", "1");
    of_aggregate(context, &view, Verbosity::Planner, &mut reply)?;
    finish(context, context.request.body, &mut reply);
    Ok(Flow::Reply(reply))
}

/// The row of the explained command, whose fields are checked.
fn explained(context: &Context<'_>, inner: Doc<'_>) -> Result<&'static Command> {
    let name = inner.first().map_or("", |first| first.name_str());
    let command = find_command(name).ok_or_else(|| {
        let message = format!("Explain failed due to unknown command: {name}");
        Error::new(Code::COMMAND_NOT_FOUND, message)
    })?;
    if let Some(db) = inner.get("$db").and_then(Raw::as_str)
        && db != context.db
    {
        let message =
            format!("Mismatched $db in explain command. Expected {} but got {db}", context.db);
        return Err(Error::new(Code::INVALID_NAMESPACE, message));
    }
    const EXPLAINED: [&str; 7] =
        ["aggregate", "count", "delete", "distinct", "find", "findAndModify", "update"];
    if command.name == "bulkWrite" {
        let message = "Cannot explain insert cmd for bulkWrite";
        return Err(Error::new(Code::ILLEGAL_OPERATION, message));
    }
    if !EXPLAINED.contains(&command.name) {
        let message = format!("Cannot explain cmd: {}", command.name);
        return Err(Error::new(Code::ILLEGAL_OPERATION, message));
    }
    Fields::new(inner, command.name).only_command(command.fields)?;
    Ok(command)
}

fn of_query(
    context: &Context<'_>,
    view: &Run<'_>,
    verbosity: Verbosity,
    reply: &mut DocWriter,
) -> Result<()> {
    let namespace = context.namespace()?;
    if matches!(context.command.name, "find" | "distinct") {
        namespace.check_dollar()?;
    }
    if view.catalog.resolve(&namespace)?.is_some() {
        return of_view(context, view, &namespace, verbosity, reply);
    }
    let collection = view.catalog.collection(namespace.db(), namespace.collection());
    let Some(question) = Question::of(context, collection.map(|collection| &**collection))? else {
        let message = format!("Cannot explain cmd: {}", context.command.name);
        return Err(Error::new(Code::ILLEGAL_OPERATION, message));
    };
    let about = About { all_plans: verbosity == Verbosity::AllPlans, ..About::default() };
    planner::explain(view, question, verbosity != Verbosity::Planner, about, reply)
}

/// A query on a view is its pipeline with more stages behind it.
fn of_view(
    context: &Context<'_>,
    view: &Run<'_>,
    namespace: &Namespace,
    verbosity: Verbosity,
    reply: &mut DocWriter,
) -> Result<()> {
    let fields = context.fields();
    if matches!(context.command.name, "delete" | "findAndModify" | "update") {
        view.catalog.refuse_view(namespace)?;
    }
    let document = |name: &str| fields.document(name).map(|d| d.unwrap_or(Doc::EMPTY));
    let mut hint = Hint::argument(fields)?;
    let mut stages = ArrayWriter::new();
    match context.command.name {
        "find" => {
            push(&mut stages, "$match", document("filter")?);
            match SortPattern::natural(document("sort")?)? {
                Some(direction) => hint = Some(Hint::Natural(direction)),
                None => push(&mut stages, "$sort", document("sort")?),
            }
            push_count(&mut stages, "$skip", fields.count("skip")?);
            push_count(&mut stages, "$limit", fields.count("limit")?);
            push(&mut stages, "$project", document("projection")?);
        }
        _ => {
            push(&mut stages, "$match", document("query")?);
            push_count(&mut stages, "$skip", fields.count("skip")?);
            push_count(&mut stages, "$limit", fields.count("limit")?);
        }
    }
    let stages = stages.into_bytes();
    let collation = collation(context, namespace)?;
    let scope = aggregate::scope(context, collation.as_ref())?;
    let resolved = view.catalog.resolve(namespace)?;
    resolved.map_or(Ok(()), |resolved| check_collation(&scope, &resolved))?;
    let asking = Asking { db: context.db, namespace: Some(namespace.clone()), scope, hint };
    asking.explain(view, Array::trusted(&stages), verbosity.parts(), reply)
}

fn of_aggregate(
    context: &Context<'_>,
    view: &Run<'_>,
    verbosity: Verbosity,
    reply: &mut DocWriter,
) -> Result<()> {
    let fields = context.fields();
    let stages = fields.raw("pipeline").ok_or_else(|| fields.missing("pipeline"))?;
    let Some(stages) = stages.as_array() else {
        let message = "'pipeline' option must be specified as an array";
        return Err(Error::new(Code::TYPE_MISMATCH, message));
    };
    super::cursors::cursor_argument(fields)?;
    let namespace = aggregate::target(context)?;
    let collation = match &namespace {
        Some(namespace) => collation(context, namespace)?,
        None => chosen(argument(fields)?)?.or(None),
    };
    let scope = aggregate::scope(context, collation.as_ref())?;
    let hint = Hint::argument(fields)?;
    let asking = Asking { db: context.db, namespace, scope, hint };
    asking.explain(view, stages, verbosity.parts(), reply)
}

impl Verbosity {
    /// Whether to run, and whether to tell of plans that were not taken.
    fn parts(self) -> (bool, bool) {
        (self != Verbosity::Planner, self == Verbosity::AllPlans)
    }
}

/// What stands behind every explanation.
fn finish(context: &Context<'_>, command: Doc<'_>, reply: &mut DocWriter) {
    reply.document("command", |out| {
        command.iter().filter(|field| field.name != b"$db").for_each(|field| {
            out.raw_bytes(field.name, field.value);
        });
        out.str("$db", context.db);
    });
    reply.document("serverInfo", |info| {
        let port = context.client.local.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        info.str("host", &host_name());
        info.i32("port", port.unwrap_or(0));
        info.str("version", build_info::VERSION);
        info.str("gitVersion", "headwater");
    });
    reply.document("serverParameters", |out| {
        let memory = i32::try_from(context.shared.options.stage_bytes_max).unwrap_or(i32::MAX);
        out.i32("internalQueryMaxBlockingSortMemoryUsageBytes", memory);
    });
}
