//! `collMod`: changes the options of a collection, one of its indexes, or the definition of a view.

mod index;
mod unique;
mod view;

use std::sync::Arc;

use super::create::options::{
    action, check_expiry, check_validated, images, keep_images, level, number, whole,
};
use super::create_indexes::build::build_as;
use super::{Command, Context, Fields, Flow, Needs};
use crate::bson::{Doc, DocBuf, DocWriter, Number};
use crate::catalog::{Collection, store_collection};
use crate::change::event::{EventWriter, Kind};
use crate::engine::{WriteGuard, now_ms, store_node};
use crate::error::{Code, Error, Result};
use crate::housekeeping::{Orphan, forget_orphan, note_orphan};
use crate::namespace::Namespace;
use crate::validation::{Action, Level, check_validator};

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
    let collection = catalog.collection(namespace.db(), namespace.collection()).cloned();
    let collection = collection.ok_or_else(|| missing(&namespace))?;
    let mut change = Change::of(fields, &collection)?;
    if let Some(at) = change.unique {
        drop(guard);
        let change = make_unique(context, &namespace, &collection, &change, at)?;
        return Ok(Flow::Written(change.reply));
    }
    if !change.dry_run {
        store(context, &mut guard, fields, &collection, &mut change, None)?;
        context.wrote(guard.last());
    }
    drop(guard);
    Ok(Flow::Written(change.reply))
}

fn missing(namespace: &Namespace) -> Error {
    Error::new(Code::NAMESPACE_NOT_FOUND, format!("ns does not exist: {namespace}"))
}

/// What a command makes of a collection.
struct Change {
    collection: Collection,
    /// The place of an index that is to become unique.
    unique: Option<usize>,
    dry_run: bool,
    reply: DocWriter,
    /// What the index was before.
    before: DocWriter,
}

impl Change {
    /// # Errors
    /// Those of the arguments, and of what they ask of this collection.
    fn of(fields: Fields<'_>, collection: &Collection) -> Result<Change> {
        let (mut reply, mut before) = (DocWriter::new(), DocWriter::new());
        let mut changed = collection.with_options(changed_options(fields, collection)?);
        let dry_run = fields.loose_bool("dryRun")?.unwrap_or(false);
        let unique = match fields.document("index")? {
            Some(argument) => {
                let mut told = index::Told { reply: &mut reply, before: &mut before };
                index::change(argument, dry_run, &mut changed, &mut told)?
            }
            None => None,
        };
        Ok(Change { collection: changed, unique, dry_run, reply, before })
    }
}

/// Makes an index unique beside writers: checks that it can be, builds it anew as unique, and lets that take its place together
/// with all else that the command asks for. A dry run ends behind the check.
fn make_unique(
    context: &mut Context<'_>,
    namespace: &Namespace,
    collection: &Arc<Collection>,
    change: &Change,
    at: usize,
) -> Result<Change> {
    let fields = context.fields();
    let gone = || Error::new(Code::INDEX_NOT_FOUND, "the index is gone");
    let old = change.collection.indexes.get(at).ok_or_else(gone)?;
    unique::check(context, collection, &old.as_unique(old.id)?)?;
    if change.dry_run {
        return Change::of(fields, collection);
    }
    let guard = context.write()?;
    let mut guard = guard.ok_or_else(|| {
        Error::new(Code::INTERNAL_ERROR, "an index becomes unique where that may not wait")
    })?;
    let catalog = guard.catalog();
    let now = catalog.collection(namespace.db(), namespace.collection());
    let now = now.filter(|now| now.id == collection.id).ok_or_else(|| missing(namespace))?;
    let new = Arc::new(old.as_unique(guard.new_id())?);
    let mut done = None;
    let last = build_as(context, guard, now, vec![new.clone()], |guard, now, built| {
        let mut change = Change::of(fields, now)?;
        let at = change.unique.ok_or_else(gone)?;
        let slot = change.collection.indexes.get_mut(at).ok_or_else(gone)?;
        let old = Orphan::indexes(std::iter::once(&**slot));
        *slot = Arc::new(slot.as_unique(new.id)?);
        built.end(&mut change.collection);
        change.reply.bool("unique_new", true);
        store(context, guard, fields, now, &mut change, Some((&old, built.orphan)))?;
        done = Some(change);
        Ok(())
    })?;
    context.wrote(last);
    done.ok_or_else(gone)
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

/// Stores the changed collection with its event, in one operation. With an index that has taken another's place: the entries of
/// the other, and the note of those that it has itself.
fn store(
    context: &Context<'_>,
    guard: &mut WriteGuard<'_>,
    fields: Fields<'_>,
    before: &Arc<Collection>,
    change: &mut Change,
    replaced: Option<(&Orphan, &Orphan)>,
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
    let indexes = std::mem::take(&mut change.before).finish();
    detail.document("stateBeforeChange", |out| {
        out.document("collectionOptions", |out| {
            out.binary("uuid", 4, &before.uuid);
            out.extend(before.options.as_doc());
        });
        if !indexes.as_doc().is_empty() {
            out.doc("indexOptions", indexes.as_doc());
        }
    });
    event.detail(detail.finish().as_doc());
    let (term, next_id) = (context.shared.node.term, guard.next_id());
    guard.operation(&mut None, 0, Default::default(), event, |op| {
        if let Some((old, new)) = replaced {
            store_node(op, term, next_id)?;
            forget_orphan(op, new)?;
            note_orphan(op, old)?;
        }
        store_collection(op, &change.collection)
    })?;
    guard.set_catalog(guard.catalog().with(change.collection.clone()));
    if let Some((old, _)) = replaced {
        guard.leave_orphan(old.clone());
    }
    Ok(())
}
