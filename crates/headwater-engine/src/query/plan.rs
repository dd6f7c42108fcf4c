//! Planning: from a filter, a sort and a hint to the way that the documents are found.
//!
//! An `_id` that the filter names is found by it. Else every way through the indexes is weighed by what it would read,
//! as the store estimates it, and the cheapest is taken.

mod branches;
pub mod cache;
mod choose;
mod cost;
pub(crate) mod eligible;
pub mod ends;
mod equality;
mod gives;
mod index;
mod memory;
mod ranged;
mod refused;
mod several;
mod shape;
pub mod tree;
mod way;

use std::sync::Arc;

pub use choose::choose;
pub use cost::Cost;
pub use equality::may_name_one;
pub use refused::Asked;
pub use shape::shape_text;
pub use tree::Gives;

use super::matcher::Matcher;
use super::sort::SortPattern;
use crate::aggregate::expressions::{Scope, document_text};
use crate::bson::key::Direction;
use crate::bson::{Doc, DocBuf, Number, Raw, Type};
use crate::catalog::Collection;
use crate::collation::{ValueOrder, may_hold_texts};
use crate::commands::Fields;
use crate::error::{Code, Error, Result};
use crate::index::Index;
use crate::index::keys::id_key;
use tree::{Access, Plan};

/// What is asked of a collection.
#[derive(Debug, Default)]
pub struct Query {
    /// Which documents.
    pub matcher: Option<Arc<Matcher>>,
    /// The filter taken apart at an `$or`: documents that match it match one of these, and the other way round.
    branches: Vec<Arc<Matcher>>,
    /// The one `_id` that the filter allows, encoded by `order`.
    pub id: Option<Vec<u8>>,
    /// Whether that `_id` holds texts.
    id_holds_texts: bool,
    /// What the filter says in place of a matcher, if that is a value of an indexed field and nothing else.
    equality: Option<equality::Equality>,
    /// How values compare.
    pub order: ValueOrder,
    /// Whether the filter says nothing but that.
    pub id_only: bool,
    /// In which order, if it matters.
    pub sort: Option<SortPattern>,
    /// The order of `$natural`, if that is asked for.
    pub natural: Option<Direction>,
    /// What must be used.
    pub hint: Option<Hint>,
    /// The keys of the hinted index to read, `min` and `max` of find.
    pub range: KeyRange,
    /// Documents that are asked for at most, those skipped included.
    pub limit: Option<u64>,
    /// What is asked of the documents.
    pub wants: Wants,
    /// Whether whoever takes [`Wants::Fields`] tells an absent value from null.
    pub tells_absent: bool,
    /// Whether the ways that are not taken are to be noted.
    pub explains: bool,
    /// What errors show of it.
    pub asked: Option<Box<Asked>>,
}

/// What a query wants of the documents that it finds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Wants {
    /// All of them.
    #[default]
    Documents,
    /// The values at these paths. What is given may have other fields, and stand in another order than the document.
    Fields(Vec<String>),
    /// Their number.
    Count,
    /// The different values at a path.
    Distinct(String),
}

/// Where to begin and where to end in an index: key patterns with values instead of directions, empty for no bound.
#[derive(Debug, Clone, Default)]
pub struct KeyRange {
    /// The first key.
    pub min: DocBuf,
    /// The first key behind.
    pub max: DocBuf,
}

/// What a client says must be used.
#[derive(Debug, Clone)]
pub enum Hint {
    /// An index by its name.
    Name(String),
    /// An index by its key pattern.
    Pattern(DocBuf),
    /// The collection in natural order.
    Natural(Direction),
}

/// A plan and what it already does of the query.
#[derive(Debug)]
pub struct Chosen {
    /// The way to the documents.
    pub plan: Plan,
    /// Whether they come in the order that is asked for.
    pub sorted: bool,
    /// The whole filter, for whoever needs to know how a document matched.
    pub filter: Option<Arc<Matcher>>,
    /// Whether it is what the collection's [`cache::PlanCache`] holds for queries like it.
    pub cached: bool,
    /// The ways that were not taken, the cheapest first; noted for `explain` alone ([`Query::explains`]).
    pub rejected: Vec<Rejected>,
}

/// A way to the documents that was not taken.
#[derive(Debug, Clone)]
pub struct Rejected {
    /// The way.
    pub access: Access,
    /// Whether documents come in the order that is asked for.
    pub sorted: bool,
    /// Whether its bounds decide alone.
    pub exact: bool,
    /// What it would have handed on.
    pub gives: Gives,
    /// What it was expected to cost.
    pub cost: Cost,
}

impl Hint {
    /// The `hint` of a command or statement; the empty document asks for nothing.
    ///
    /// # Errors
    /// As [`Hint::parse`].
    pub fn argument(fields: Fields<'_>) -> Result<Option<Hint>> {
        let hint = fields.raw("hint").filter(|hint| !hint.as_doc().is_some_and(Doc::is_empty));
        hint.map(Hint::parse).transpose()
    }

    /// Reads the `hint` argument.
    ///
    /// # Errors
    /// `FailedToParse` (9) for what is neither name nor pattern; `BadValue` (2) for a wrong `$natural`.
    pub fn parse(raw: Raw<'_>) -> Result<Hint> {
        if let Some(name) = raw.as_str() {
            return Ok(Hint::Name(name.to_owned()));
        }
        let Some(pattern) = raw.as_doc() else {
            return Err(Error::new(Code::FAILED_TO_PARSE, "Hint must be a string or an object"));
        };
        let Some(natural) = pattern.get("$natural") else {
            return Ok(Hint::Pattern(pattern.to_buf()));
        };
        let alone = pattern.iter().count() == 1;
        match Number::from_raw(natural).and_then(Number::to_i64_exact) {
            Some(1) if alone => Ok(Hint::Natural(Direction::Ascending)),
            Some(-1) if alone => Ok(Hint::Natural(Direction::Descending)),
            _ => Err(Error::new(
                Code::BAD_VALUE,
                "$natural hint cannot be set to a value other than -1 or 1.",
            )),
        }
    }
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
        if filter.is_empty() {
            return Ok(Query { order: scope.order().clone(), ..Query::default() });
        }
        let mut query = Query::of_id(filter, scope.order());
        query.matcher = Some(Arc::new(Matcher::parse(filter, scope)?));
        query.branches = branches::of(filter, scope);
        match scope.take_folding_error() {
            Some(error) => Err(error.with_prefix("Failed to optimize expression :: caused by :: ")),
            None => Ok(query),
        }
    }

    /// As [`Query::parse`] without compiling a filter that names nothing but an `_id`, or one value of another field,
    /// which can be found in an index of `collection`: nobody asks how it matched, and of the second kind whole documents
    /// or their number are wanted.
    ///
    /// # Errors
    /// Those of [`Matcher::parse`].
    pub fn express(
        filter: Doc<'_>,
        order: &ValueOrder,
        collection: Option<&Collection>,
        whole: bool,
        scope: impl FnOnce() -> Result<Scope>,
    ) -> Result<Query> {
        let query = Query::of_id(filter, order);
        let has_it = |index: &Arc<Index>| query.id_in(index).is_some();
        let found_by_id =
            collection.is_none_or(|collection| collection.id_index().is_some_and(has_it));
        if query.id_only && found_by_id {
            return Ok(query);
        }
        let equality = collection
            .filter(|_| whole && query.id.is_none())
            .and_then(|collection| equality::Equality::of(filter, order, collection));
        match equality {
            Some(equality) => Ok(Query { equality: Some(equality), ..query }),
            None => Query::parse(filter, &mut scope()?),
        }
    }

    /// What a filter's top level says of the `_id`: the one it asks for, and whether it asks for nothing else.
    fn of_id(filter: Doc<'_>, order: &ValueOrder) -> Query {
        let mut query = Query { order: order.clone(), ..Query::default() };
        if let Some(id) = plain_id(filter) {
            query.id = Some(id_key(id, order));
            query.id_holds_texts = may_hold_texts(id.kind);
            query.id_only = filter.iter().count() == 1;
        }
        query
    }

    /// The entry of the one `_id` that the filter allows in the `_id` index, encoded; `None` as well if texts compare
    /// otherwise in that index.
    pub fn id_in<'q>(&'q self, index: &Index) -> Option<&'q [u8]> {
        let same = !self.id_holds_texts || self.order == index.order;
        self.id.as_deref().filter(|_| same)
    }
}

/// The `_id` that a filter's top level asks for.
fn plain_id(filter: Doc<'_>) -> Option<Raw<'_>> {
    let id = filter.get("_id")?;
    let plain = match id.kind {
        Type::Array | Type::Regex | Type::Null | Type::Undefined => false,
        Type::Document => {
            !id.as_doc().and_then(Doc::first).is_some_and(|e| e.name.starts_with(b"$"))
        }
        _ => true,
    };
    plain.then_some(id)
}

fn hinted_index<'c>(
    collection: &'c Collection,
    query: &Query,
    hint: &Hint,
) -> Result<&'c Arc<Index>> {
    let found = match hint {
        Hint::Name(name) => collection.index(name).filter(|index| !index.hidden),
        Hint::Pattern(pattern) => {
            let same = |index: &&Arc<Index>| {
                !index.hidden && same_pattern(index.key_pattern(), pattern.as_doc())
            };
            let mut found = collection.indexes.iter().filter(same);
            let first = found.next();
            if let (Some(first), Some(second)) = (first, found.next()) {
                return Err(query.refused(
                    collection,
                    Code::INDEX_NOT_FOUND,
                    ambiguous_hint(first, second),
                ));
            }
            first
        }
        Hint::Natural(_) => None,
    };
    found.ok_or_else(|| {
        let why = "hint provided does not correspond to an existing index";
        query.refused(collection, Code::BAD_VALUE, why)
    })
}

fn ambiguous_hint(first: &Index, second: &Index) -> String {
    let shown = |index: &Index| {
        let (key, spec) = (document_text(index.key_pattern()), document_text(index.spec.as_doc()));
        format!("kp: {key} name: '({}, )' io: {spec}", index.name)
    };
    let (first, second) = (shown(first), shown(second));
    format!("Hint matched multiple indexes, must hint by index name. Matched: {first} and {second}")
}

/// Whether two key patterns name the same fields with equal values.
pub fn same_pattern(one: Doc<'_>, other: Doc<'_>) -> bool {
    let mut others = other.iter();
    one.iter().all(|a| {
        others
            .next()
            .is_some_and(|b| a.name == b.name && crate::bson::compare(a.value, b.value).is_eq())
    }) && others.next().is_none()
}
