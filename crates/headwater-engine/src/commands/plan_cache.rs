//! The commands about cached plans. Index filters, which would bind a shape of queries to indexes, are refused.

use super::collation::{argument, chosen};
use super::{Command, Context, Flow, Needs};
use crate::aggregate::expressions::Scope;
use crate::bson::{Array, Doc, DocWriter, Raw, Type};
use crate::collation::Collation;
use crate::engine::now_ms;
use crate::error::{Code, Error, Result};
use crate::query::matcher::Matcher;
use crate::query::plan::shape_text;

pub(super) const CLEAR: Command = Command {
    name: "planCacheClear",
    aliases: &[],
    help: "Forgets how queries on a collection were planned",
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
    run: clear_filters,
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
    let asked = asked(context)?;
    let namespace = context.namespace()?;
    let catalog = context.shared.catalog();
    let Some(collection) = catalog.collection(namespace.db(), namespace.collection()) else {
        return Ok(Flow::Reply(DocWriter::new()));
    };
    match asked {
        None => collection.plans.clear(),
        Some(shape) => {
            let collation = chosen(argument(context.fields())?)?.or(collection.collation());
            let shape = shape.of(collation.as_deref());
            collection.plans.forget(|entry| entry.shape() == shape);
        }
    }
    Ok(Flow::Reply(DocWriter::new()))
}

fn clear_filters(context: &mut Context<'_>) -> Result<Flow> {
    asked(context)?;
    context.namespace()?;
    Ok(Flow::Reply(DocWriter::new()))
}

/// The query of which something is to be forgotten.
struct Shape<'a> {
    query: Doc<'a>,
    sort: Doc<'a>,
    projection: Doc<'a>,
}

impl Shape<'_> {
    fn of(&self, collation: Option<&Collation>) -> String {
        shape_text(self.query, self.sort, self.projection, collation.map(Collation::spec))
    }
}

fn asked<'a>(context: &Context<'a>) -> Result<Option<Shape<'a>>> {
    context.namespace()?;
    let fields = context.fields();
    let document = |name: &str| fields.document(name);
    let (sort, projection) = (document("sort")?, document("projection")?);
    let beside = [sort, projection, document("collation")?].iter().flatten().count();
    match document("query")? {
        Some(query) => {
            check_filter(query)?;
            let (sort, projection) = (sort.unwrap_or(Doc::EMPTY), projection.unwrap_or(Doc::EMPTY));
            Ok(Some(Shape { query, sort, projection }))
        }
        None if beside > 0 => {
            let message = "sort, projection, or collation provided without query";
            Err(Error::new(Code::BAD_VALUE, message))
        }
        None => Ok(None),
    }
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
