//! `profile`: which operations of a database are kept in its `system.profile`, and from when on an operation is slow.

use std::sync::Arc;

use super::{Command, Context, Flow, Needs};
use crate::aggregate::expressions::Scope;
use crate::bson::{Doc, DocWriter, Number, Raw};
use crate::engine::now_ms;
use crate::error::{Code, Error, Result};
use crate::profile::{COLLECTION, Level};
use crate::query::matcher::Matcher;

pub(super) const COMMAND: Command = Command {
    name: "profile",
    aliases: &[],
    help: "Says which operations of a database are kept in system.profile",
    needs: Needs::Nothing,
    fields: &["filter", "sampleRate", "slowms"],
    run,
};

const NOTE: &str = "When a filter expression is set, slowms and sampleRate are not used for profiling and slow-query log \
    lines.";

/// What an argument says of the filter.
enum Asked {
    Nothing,
    Unset,
    Filter(Arc<Matcher>),
}

fn run(context: &mut Context<'_>) -> Result<Flow> {
    let fields = context.fields();
    let level = Number::from_raw(context.target()).and_then(Number::to_i64_truncated);
    let Some(level) = level else {
        let expected = ["int", "decimal", "double", "long"];
        return Err(fields.wrong_type("profile", context.target().kind, &expected));
    };
    if !(-1..=2).contains(&level) {
        let message = format!("profiling level must be 0, 1 or 2, or -1 to ask: {level}");
        return Err(Error::new(Code::BAD_VALUE, message));
    }
    let slow_ms = fields.integer("slowms")?;
    let rate = fields.get("sampleRate").map(|raw| {
        let rate = Number::from_raw(raw).map(Number::to_f64);
        rate.ok_or_else(|| fields.wrong_type("sampleRate", raw.kind, &["double"]))
    });
    let rate = rate.transpose()?;
    if rate.is_some_and(|rate| !(0.0..=1.0).contains(&rate)) {
        let message = "'sampleRate' must be between 0.0 and 1.0 inclusive";
        return Err(Error::new(Code::BAD_VALUE, message));
    }
    let filter = filter(context)?;
    let profiler = &context.shared.profiler;
    let before = profiler.level(context.db);
    let mut reply = DocWriter::new();
    reply.i32("was", before.level);
    reply.i32("slowms", i32::try_from(profiler.slow_ms()).unwrap_or(i32::MAX));
    reply.f64("sampleRate", profiler.sample_rate());
    if let Some(filter) = &before.filter {
        reply.doc("filter", filter.filter());
        reply.str("note", NOTE);
    }
    if let Some(slow_ms) = slow_ms {
        profiler.set_slow_ms(slow_ms);
    }
    if let Some(rate) = rate {
        profiler.set_sample_rate(rate);
    }
    let filter = match filter {
        Asked::Nothing => before.filter,
        Asked::Unset => None,
        Asked::Filter(filter) => Some(filter),
    };
    let level = if level < 0 { before.level } else { level as i32 };
    profiler.set_level(context.db, Level { level, filter });
    Ok(Flow::Reply(reply))
}

fn filter(context: &Context<'_>) -> Result<Asked> {
    let Some(raw) = context.fields().raw("filter") else { return Ok(Asked::Nothing) };
    match (raw.as_doc(), raw.as_str()) {
        (Some(filter), _) => {
            let matcher = Matcher::parse(filter, &mut Scope::new(None, now_ms())?)?;
            Ok(Asked::Filter(Arc::new(matcher)))
        }
        (None, Some("unset")) => Ok(Asked::Unset),
        _ => {
            let message = "Expected an object, or the string 'unset'.";
            Err(Error::new(Code::BAD_VALUE, message))
        }
    }
}

/// Whether a command reads what is kept of a database.
pub(super) fn is_asked_for(body: Doc<'_>) -> bool {
    let reads = |raw: Raw<'_>| raw.as_str() == Some(COLLECTION);
    body.first().is_some_and(|first| reads(first.value) || first.name == b"listCollections")
        || body.get("pipeline").is_some()
}
