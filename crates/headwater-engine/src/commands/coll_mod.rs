//! `collMod`: changes the options of a collection, one of its indexes, or the definition of a view.

mod index;
mod unique;
mod view;

use std::sync::Arc;

use super::create::options::{
    action, check_expiry, check_validated, images, keep_images, level, number, whole,
};
use super::{Command, Context, Fields, Flow, Needs};
use crate::bson::{Doc, DocBuf, DocWriter, Number};
use crate::catalog::{Collection, store_collection};
use crate::change::event::{EventWriter, Kind};
use crate::engine::{WriteGuard, now_ms, store_node};
use crate::error::{Code, Error, Result};
use crate::housekeeping::{forget_orphan, note_orphan};
use crate::validation::{Action, Level, check_validator};
use unique::Converted;

pub(super) const COMMAND: Command = Command {
    name: "collMod",
    aliases: &[],
    help: "Changes the options of a collection or view",
    needs: Needs::Write,
    fields: &[
        "cappedMax",
        "cappedSize",
        "changeStreamPreAndPostImages",
        "dryRun",
        "expireAfterSeconds",
        "index",
        "pipeline",
        "timeseries",
        "validationAction",
        "validationLevel",
        "validator",
        "viewOn",
    ],
    run,
};

/// What a command asks of a collection, besides an index.
const OF_COLLECTIONS: &[&str] = &[
    "cappedMax",
    "cappedSize",
    "changeStreamPreAndPostImages",
    "expireAfterSeconds",
    "timeseries",
    "validationAction",
    "validationLevel",
    "validator",
];

fn run(context: &mut Context<'_>) -> Result<Flow> {
    let fields = context.fields();
    let namespace = context.namespace()?;
    check_types(fields)?;
    images(fields, COMMAND.name, &namespace)?;
    if context.mode == crate::request::Mode::Inline {
        return Ok(Flow::Busy);
    }
    let Some(mut guard) = context.write()? else { return Ok(Flow::Busy) };
    let catalog = guard.catalog();
    if let Some(view) = catalog.view(namespace.db(), namespace.collection()) {
        view::change(context, &mut guard, view)?;
        context.wrote(guard.last());
        drop(guard);
        return Ok(Flow::Written(DocWriter::new()));
    }
    let Some(collection) = catalog.collection(namespace.db(), namespace.collection()).cloned()
    else {
        let message = format!("ns does not exist: {namespace}");
        return Err(Error::new(Code::NAMESPACE_NOT_FOUND, message));
    };
    let mut reply = DocWriter::new();
    let mut indexes = DocWriter::new();
    let options = changed_options(fields, &collection)?;
    let mut changed = collection.with_options(options);
    let dry_run = fields.loose_bool("dryRun")?.unwrap_or(false);
    let mut converted = None;
    if let Some(argument) = fields.document("index")? {
        let mut told = index::Told { reply: &mut reply, before: &mut indexes };
        if let Some(at) = index::change(argument, dry_run, &mut changed, &mut told)? {
            unique::check(context, &guard, &changed, at)?;
            if !dry_run {
                converted = Some(unique::convert(context, &mut guard, &mut changed, at)?);
                reply.bool("unique_new", true);
            }
        }
    }
    if dry_run {
        return Ok(Flow::Written(reply));
    }
    let indexes = indexes.finish();
    store(context, &mut guard, fields, &collection, changed, indexes.as_doc(), converted)?;
    context.wrote(guard.last());
    drop(guard);
    Ok(Flow::Written(reply))
}

/// Checks the arguments that need no collection, and refuses what this version cannot honour.
fn check_types(fields: Fields<'_>) -> Result<()> {
    fields.document("index")?;
    fields.document("validator")?;
    level(fields)?;
    action(fields)?;
    let of_index = |name: &str| matches!(name, "index" | "dryRun");
    let others = COMMAND.fields.iter().filter(|name| !of_index(name));
    let others = others.filter(|name| fields.get(name).is_some()).count();
    if fields.loose_bool("dryRun")?.unwrap_or(false)
        && (others > 0 || fields.get("index").is_none())
    {
        let message = "dryRun mode is only supported for making an index unique";
        return Err(Error::new(Code::INVALID_OPTIONS, message));
    }
    Ok(())
}

/// The options of a collection as they are after the command.
fn changed_options(fields: Fields<'_>, collection: &Collection) -> Result<DocBuf> {
    let settings = &collection.settings;
    let unsupported = |kind: &str, name: &str| {
        let message = format!("option not supported on a {kind}: {name}");
        Err(Error::new(Code::INVALID_OPTIONS, message))
    };
    for name in ["viewOn", "pipeline"] {
        if fields.get(name).is_some() {
            return unsupported("collection", name);
        }
    }
    let of_series = settings.time_series.is_some();
    for name in OF_COLLECTIONS {
        let allowed = match *name {
            "timeseries" => of_series,
            "expireAfterSeconds" => true,
            _ => !of_series,
        };
        if fields.get(name).is_some() && !allowed {
            return unsupported(
                if of_series { "time-series collection" } else { "collection" },
                name,
            );
        }
    }
    let mut changes: Vec<(&str, Option<DocBuf>)> = Vec::new();
    capped(fields, collection, &mut changes)?;
    validation(fields, collection, &mut changes)?;
    expiry(fields, collection, &mut changes)?;
    if let Some(keep) = images(fields, COMMAND.name, &collection.namespace)? {
        changes.push(("changeStreamPreAndPostImages", keep.then(|| only(keep_images)).flatten()));
    }
    if let Some(series) = fields.document("timeseries")? {
        changes.push(("timeseries", Some(coarser(series, collection)?)));
    }
    Ok(merged(collection.options.as_doc(), &changes))
}

/// A document of one field.
fn only(write: impl FnOnce(&mut DocWriter)) -> Option<DocBuf> {
    let mut out = DocWriter::new();
    write(&mut out);
    Some(out.finish())
}

/// Options with some of them replaced or taken away; new ones stand at the end.
fn merged(options: Doc<'_>, changes: &[(&str, Option<DocBuf>)]) -> DocBuf {
    let mut out = DocWriter::new();
    for element in options {
        match changes.iter().find(|(name, _)| name.as_bytes() == element.name) {
            Some((_, Some(change))) => out.extend(change.as_doc()),
            Some((_, None)) => {}
            None => out.raw_bytes(element.name, element.value),
        }
    }
    for (name, change) in changes {
        if let (None, Some(change)) = (options.get(name), change) {
            out.extend(change.as_doc());
        }
    }
    out.finish()
}

fn capped(
    fields: Fields<'_>,
    collection: &Collection,
    changes: &mut Vec<(&'static str, Option<DocBuf>)>,
) -> Result<()> {
    let size = whole(fields, "cappedSize", 1, 1 << 50)?;
    let max = whole(fields, "cappedMax", i64::MIN, i64::from(i32::MAX))?;
    if (size.is_some() || max.is_some()) && collection.settings.capped.is_none() {
        return Err(Error::new(Code::INVALID_OPTIONS, "Collection must be capped."));
    }
    if let Some(size) = size {
        changes.push(("size", only(|out| number(out, "size", size))));
    }
    if let Some(max) = max {
        let max = if max <= 0 { i64::from(i32::MAX) } else { max };
        changes.push(("max", only(|out| number(out, "max", max))));
    }
    Ok(())
}

/// Seconds, or `off`. Source: MongoDB's description of the option.
fn expiry(
    fields: Fields<'_>,
    collection: &Collection,
    changes: &mut Vec<(&'static str, Option<DocBuf>)>,
) -> Result<()> {
    let Some(raw) = fields.get("expireAfterSeconds") else { return Ok(()) };
    let invalid = |message: String| Err(Error::new(Code::INVALID_OPTIONS, message));
    let settings = &collection.settings;
    if !settings.clustered && settings.time_series.is_none() {
        let message =
            "'expireAfterSeconds' option is only supported on collections clustered by _id";
        return invalid(message.to_owned());
    }
    let change = match (raw.as_str(), Number::from_raw(raw).map(Number::to_i64_saturating)) {
        (Some("off"), _) => None,
        (Some(other), _) => {
            return invalid(format!(
                "Invalid string value for the 'clusteredIndex::expireAfterSeconds' option. Got: '{other}'. Accepted value is 'off'"
            ));
        }
        (None, Some(seconds)) => {
            check_expiry(seconds)?;
            only(|out| out.i64("expireAfterSeconds", seconds))
        }
        (None, None) => {
            let expected = ["string", "long"];
            return Err(fields.wrong_type("expireAfterSeconds", raw.kind, &expected));
        }
    };
    changes.push(("expireAfterSeconds", change));
    Ok(())
}

/// Any of the three arguments of validation writes all three options, as MongoDB does.
fn validation(
    fields: Fields<'_>,
    collection: &Collection,
    changes: &mut Vec<(&'static str, Option<DocBuf>)>,
) -> Result<()> {
    let argument = fields.document("validator")?;
    let (asked_level, asked_action) = (level(fields)?, action(fields)?);
    if argument.is_none() && asked_level.is_none() && asked_action.is_none() {
        return Ok(());
    }
    let options = collection.options.as_doc();
    let stored = Fields::new(options, "options");
    let level = asked_level.or(level(stored)?).unwrap_or_default();
    let action = asked_action.or(action(stored)?).unwrap_or_default();
    let validator = argument.or(stored.document("validator")?).unwrap_or(Doc::EMPTY);
    if !validator.is_empty() {
        check_validated(&collection.namespace)?;
        check_validator(validator, level, action)?;
    }
    let kept = (!validator.is_empty()).then_some(validator);
    changes.push(("validator", kept.and_then(|kept| only(|out| out.doc("validator", kept)))));
    let level = match level {
        Level::Off => "off",
        Level::Moderate => "moderate",
        Level::Strict => "strict",
    };
    let action = match action {
        Action::Error => "error",
        Action::Warn => "warn",
    };
    changes.push(("validationLevel", only(|out| out.str("validationLevel", level))));
    changes.push(("validationAction", only(|out| out.str("validationAction", action))));
    Ok(())
}

/// The `timeseries` option with wider buckets.
fn coarser(argument: Doc<'_>, collection: &Collection) -> Result<DocBuf> {
    use super::create::time_series::span_of;
    let inner = Fields::new(argument, "collMod.timeseries");
    inner.only(&["bucketMaxSpanSeconds", "bucketRoundingSeconds", "granularity"])?;
    let invalid = |message: &str| Err(Error::new(Code::INVALID_OPTIONS, message));
    let options = collection.options.as_doc();
    let stored = Fields::new(options, "options").document("timeseries")?.unwrap_or(Doc::EMPTY);
    let before = whole(Fields::new(stored, "timeseries"), "bucketMaxSpanSeconds", 1, i64::MAX)?;
    let span = whole(inner, "bucketMaxSpanSeconds", 1, 31_536_000)?;
    let rounding = whole(inner, "bucketRoundingSeconds", 1, 31_536_000)?;
    let granularity = inner.str("granularity")?;
    let usual = match granularity {
        Some(name) => Some(span_of(name).ok_or_else(|| inner.no_such_value("granularity", name))?),
        None => None,
    };
    let after = match (usual, span) {
        (Some(usual), None) if rounding.is_none() => usual,
        (Some(usual), Some(span)) if span == usual => usual,
        (None, Some(span)) if rounding == Some(span) => span,
        (None, None) if rounding.is_none() => before.unwrap_or_default(),
        _ => {
            return invalid(
                "Invalid transition for timeseries.granularity or bucketing parameters",
            );
        }
    };
    if before.is_some_and(|before| after < before) {
        return invalid(
            "Invalid transition for timeseries.granularity. Can only transition from 'seconds' to 'minutes' or 'minutes' to 'hours'.",
        );
    }
    let mut out = DocWriter::new();
    out.document("timeseries", |out| {
        for element in stored {
            match element.name {
                b"granularity" | b"bucketMaxSpanSeconds" | b"bucketRoundingSeconds" => {}
                _ => out.raw_bytes(element.name, element.value),
            }
        }
        match granularity {
            Some(name) => out.str("granularity", name),
            None if span.is_none() => {
                if let Some(kept) = stored.get("granularity") {
                    out.raw("granularity", kept);
                }
            }
            None => number(out, "bucketRoundingSeconds", after),
        }
        number(out, "bucketMaxSpanSeconds", after);
    });
    Ok(out.finish())
}

/// Stores the changed collection with its event, in one operation. `indexes` is what an index was before.
fn store(
    context: &Context<'_>,
    guard: &mut WriteGuard<'_>,
    fields: Fields<'_>,
    before: &Arc<Collection>,
    changed: Collection,
    indexes: Doc<'_>,
    converted: Option<Converted>,
) -> Result<()> {
    let mut event = EventWriter::new(Kind::Modify, &before.namespace, Some(&before.uuid), now_ms());
    let mut detail = DocWriter::new();
    detail.document("operationDescription", |out| {
        for element in fields.doc().iter().skip(1) {
            if COMMAND.fields.contains(&element.name_str()) {
                out.raw_bytes(element.name, element.value);
            }
        }
    });
    detail.document("stateBeforeChange", |out| {
        out.document("collectionOptions", |out| {
            out.binary("uuid", 4, &before.uuid);
            out.extend(before.options.as_doc());
        });
        if !indexes.is_empty() {
            out.doc("indexOptions", indexes);
        }
    });
    event.detail(detail.finish().as_doc());
    let (term, next_id) = (context.shared.node.term, guard.next_id());
    guard.operation(&mut None, 0, Default::default(), event, |op| {
        if let Some(Converted { old, new }) = &converted {
            store_node(op, term, next_id)?;
            forget_orphan(op, new)?;
            note_orphan(op, old)?;
        }
        store_collection(op, &changed)
    })?;
    guard.set_catalog(guard.catalog().with(changed));
    if let Some(Converted { old, .. }) = converted {
        guard.leave_orphan(old);
    }
    Ok(())
}
