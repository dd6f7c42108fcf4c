//! Planning: from a filter, a sort and a hint to the way that the documents are found.

use std::sync::Arc;

use super::matcher::Matcher;
use super::scan::{Access, Plan};
use super::sort::SortPattern;
use crate::aggregate::expressions::Scope;
use crate::bson::{Doc, Type};
use crate::catalog::Collection;
use crate::collection::entry_key;
use crate::error::{Code, Error, Result};
use crate::index::keys::id_key;

/// What is asked of a collection.
#[derive(Debug, Default)]
pub struct Query {
    /// Which documents.
    pub matcher: Option<Arc<Matcher>>,
    /// The one `_id` that the filter allows, encoded.
    pub id: Option<Vec<u8>>,
    /// Whether the filter says nothing but that.
    pub id_only: bool,
    /// In which order, if it matters.
    pub sort: Option<SortPattern>,
    /// Whether natural order is asked for, and its direction.
    pub natural: Option<bool>,
    /// The index that must be used.
    pub hint: Option<Hint>,
}

/// An index that a client names.
#[derive(Debug, Clone)]
pub enum Hint {
    /// By its name.
    Name(String),
    /// By its key pattern.
    Pattern(crate::bson::DocBuf),
}

impl Query {
    /// A query of a filter alone.
    ///
    /// # Errors
    /// Those of [`Matcher::parse`].
    pub fn of_filter(filter: Doc<'_>) -> Result<Query> {
        Query::parse(filter, &mut Scope::new(None, crate::engine::now_ms())?)
    }

    /// A query of a filter with the command's variables.
    ///
    /// # Errors
    /// Those of [`Matcher::parse`].
    pub fn parse(filter: Doc<'_>, scope: &mut Scope) -> Result<Query> {
        let mut query = Query::default();
        if filter.is_empty() {
            return Ok(query);
        }
        (query.id, query.id_only) = id_equality(filter);
        if !query.id_only {
            query.matcher = Some(Arc::new(Matcher::parse(filter, scope)?));
        }
        Ok(query)
    }
}

/// The encoded `_id` that a filter's top level asks for, and whether the filter is nothing but that.
fn id_equality(filter: Doc<'_>) -> (Option<Vec<u8>>, bool) {
    let Some(id) = filter.get("_id") else { return (None, false) };
    let plain = match id.kind {
        Type::Array | Type::Regex | Type::Null | Type::Undefined => false,
        Type::Document => {
            !id.as_doc().and_then(Doc::first).is_some_and(|e| e.name.starts_with(b"$"))
        }
        _ => true,
    };
    if !plain {
        return (None, false);
    }
    let alone = filter.iter().count() == 1;
    (Some(id_key(id)), alone)
}

/// Chooses the way to the documents of `query` in `collection`.
///
/// # Errors
/// `BadValue` (2) for a hint that names no index.
pub fn choose(collection: &Arc<Collection>, query: Query) -> Result<Plan> {
    let collection = collection.clone();
    let matcher = query.matcher;
    if query.hint.is_none()
        && query.natural.is_none()
        && let (Some(id), Some(index)) = (&query.id, collection.id_index())
    {
        let access = Access::Id(entry_key(index, id, 0));
        return Ok(Plan { collection, access, matcher });
    }
    let access = Access::Collection { reverse: query.natural == Some(true) };
    Ok(Plan { collection, access, matcher })
}

/// The error of a hint that names no index.
pub fn no_such_hint() -> Error {
    Error::new(
        Code::BAD_VALUE,
        "planner returned error :: caused by :: hint provided does not correspond to an existing index",
    )
}
