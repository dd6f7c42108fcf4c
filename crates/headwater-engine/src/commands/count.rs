//! `count`: how many documents match.

use super::collation::{argument, chosen};
use super::inline::filter_computes;
use super::{Command, Context, Flow, Needs, views};
use crate::aggregate::expressions::Scope;
use crate::bson::{Doc, DocWriter, Number};
use crate::collation::ValueOrder;
use crate::collection::load_figures;
use crate::engine::now_ms;
use crate::error::{Code, Error, Result};
use crate::query::exec::Environment;
use crate::query::plan::{Asked, Hint, Query, Wants, choose};
use crate::query::scan::{Next, Scan};
use crate::request::Mode;
use crate::status;

pub(super) const COMMAND: Command = Command {
    name: "count",
    aliases: &[],
    help: "Counts the documents of a collection that match a filter",
    needs: Needs::Read,
    fields: &["collation", "fields", "hint", "limit", "mirrored", "query", "skip"],
    run,
};

fn run(context: &mut Context<'_>) -> Result<Flow> {
    let fields = context.fields();
    fields.strict_bool("mirrored")?;
    let namespace = context.namespace()?;
    let filter = fields.document("query")?.unwrap_or(Doc::EMPTY);
    if context.mode == Mode::Inline && (filter.get("_id").is_none() || filter_computes(filter)) {
        return Ok(Flow::Busy);
    }
    let Some(run) = context.read()? else { return Ok(Flow::Busy) };
    let collection = run.catalog.collection(namespace.db(), namespace.collection()).cloned();
    let said = argument(fields)?;
    let collation = chosen(said)?.or(collection.as_ref().and_then(|c| c.collation()));
    let skip = fields.cut_count("skip")?.unwrap_or(0).unsigned_abs();
    let limit = limit(context)?;
    if collection.is_none() && views::is_view(context, &namespace)? {
        return match context.mode {
            Mode::Inline => Ok(Flow::Busy),
            Mode::Blocking => {
                let count = views::count(context, &namespace, skip, limit)?;
                Ok(Flow::Reply(write_count(count)))
            }
        };
    }
    let hint = Hint::argument(fields)?;
    let scope = || Ok(Scope::new(None, now_ms())?.with_collation(collation.clone()));
    let order = ValueOrder::new(collation.clone());
    let mut query = match hint {
        None => Query::express(filter, &order, collection.as_deref(), true, scope)?,
        Some(_) => Query::parse(filter, &mut scope()?)?,
    };
    if !query.id_only && context.mode == Mode::Inline {
        return Ok(Flow::Busy);
    }
    status::count(&context.shared.status.operations.query, 1);
    let Some(collection) = collection else { return Ok(Flow::Reply(write_count(0))) };
    let all = filter.is_empty() && hint.is_none();
    let matched = if all {
        if !collection.figures.is_loaded() {
            let Some(guard) = context.write()? else { return Ok(Flow::Busy) };
            load_figures(guard.read()?, &collection)?;
        }
        collection.figures.get().0.unsigned_abs()
    } else {
        query.hint = hint;
        query.asked = said.map(|said| Box::new(Asked::with_collation(said)));
        let most = limit.map(|limit| limit.saturating_add(skip));
        query.limit = most;
        query.wants = Wants::Count;
        let mut scan = Scan::new(choose(run.store(), &collection, query)?.plan);
        let mut matched = 0;
        run.scan(&mut scan, &mut |_, _| {
            matched += 1;
            Ok(if Some(matched) == most { Next::Stop } else { Next::Continue })
        })?;
        matched
    };
    let counted = matched.saturating_sub(skip);
    Ok(Flow::Reply(write_count(limit.map_or(counted, |limit| counted.min(limit)))))
}

/// The `limit` argument: a negative one means the same as its absolute value, 0 none.
///
/// # Errors
/// `BadValue` (2).
pub(super) fn limit(context: &Context<'_>) -> Result<Option<u64>> {
    let fields = context.fields();
    let Some(raw) = fields.raw("limit") else { return Ok(None) };
    if Number::from_raw(raw).is_none() {
        return Err(Error::new(Code::BAD_VALUE, "limit value is not a valid number"));
    }
    Ok(fields.integer("limit")?.map(i64::unsigned_abs).filter(|&limit| limit > 0))
}

fn write_count(count: u64) -> DocWriter {
    let mut reply = DocWriter::new();
    match i32::try_from(count) {
        Ok(count) => reply.i32("n", count),
        Err(_) => reply.i64("n", i64::try_from(count).unwrap_or(i64::MAX)),
    }
    reply
}
