//! The commands about cached plans. Plans are chosen anew for every query, so that there is nothing to clear; index filters,
//! which would bind a shape of queries to indexes, are refused.

use super::{Command, Context, Flow, Needs};
use crate::aggregate::expressions::Scope;
use crate::bson::{Array, Doc, DocWriter, Raw, Type};
use crate::engine::now_ms;
use crate::error::{Code, Error, Result};
use crate::query::matcher::Matcher;

pub(super) const CLEAR: Command = Command {
    name: "planCacheClear",
    aliases: &[],
    help: "Forgets plans of a collection; none are kept",
    needs: Needs::Read,
    fields: &["collation", "projection", "query", "sort"],
    run: clear,
};

pub(super) const CLEAR_FILTERS: Command = Command {
    name: "planCacheClearFilters",
    aliases: &[],
    help: "Forgets index filters of a collection; none are kept",
    needs: Needs::Read,
    fields: &["collation", "projection", "query", "sort"],
    run: clear,
};

pub(super) const LIST_FILTERS: Command = Command {
    name: "planCacheListFilters",
    aliases: &[],
    help: "Lists index filters of a collection; none are kept",
    needs: Needs::Read,
    fields: &[],
    run: list_filters,
};

pub(super) const SET_FILTER: Command = Command {
    name: "planCacheSetFilter",
    aliases: &[],
    help: "Refused: a hint says which index to use",
    needs: Needs::Read,
    fields: &["collation", "indexes", "projection", "query", "sort"],
    run: set_filter,
};

fn clear(context: &mut Context<'_>) -> Result<Flow> {
    context.namespace()?;
    let fields = context.fields();
    let document = |name: &str| fields.document(name);
    let beside = [document("sort")?, document("projection")?, document("collation")?]
        .iter()
        .flatten()
        .count();
    match document("query")? {
        Some(query) => check_filter(query)?,
        None if beside > 0 => {
            let message = "sort, projection, or collation provided without query";
            return Err(Error::new(Code::BAD_VALUE, message));
        }
        None => {}
    }
    Ok(Flow::Reply(DocWriter::new()))
}

fn list_filters(context: &mut Context<'_>) -> Result<Flow> {
    context.namespace()?;
    let mut reply = DocWriter::new();
    reply.array("filters", |_| {});
    Ok(Flow::Reply(reply))
}

fn set_filter(context: &mut Context<'_>) -> Result<Flow> {
    let namespace = context.namespace()?;
    let bad = |message: &str| Err(Error::new(Code::BAD_VALUE, message));
    let catalog = context.shared.catalog();
    if catalog.collection(namespace.db(), namespace.collection()).is_none() {
        return bad("no such collection");
    }
    let fields = context.fields();
    let Some(query) = fields.document("query")? else { return bad("required field query missing") };
    let Some(indexes) = fields.get("indexes").and_then(Raw::as_array) else {
        return bad("required field indexes missing");
    };
    if indexes.is_empty() {
        return bad("required field indexes must contain at least one index");
    }
    let is_named = |raw: Raw<'_>| matches!(raw.kind, Type::Document | Type::String);
    if !Array::iter(indexes).all(is_named) {
        return bad("each item in indexes must be an object or string");
    }
    check_filter(query)?;
    Err(Error::not_supported("An index filter"))
}

fn check_filter(filter: Doc<'_>) -> Result<()> {
    Matcher::parse(filter, &mut Scope::new(None, now_ms())?).map(drop)
}
