//! The way that `min` and `max` of find name: from key to key of the hinted index.

use std::sync::Arc;

use super::tree::{Access, IndexScan};
use super::{KeyRange, Query, eligible, hinted_index, index};
use crate::bson::Doc;
use crate::bson::key::Direction;
use crate::catalog::Collection;
use crate::collation::may_hold_texts;
use crate::error::{Code, Result};
use crate::index::Index;

impl KeyRange {
    /// Whether there is no bound.
    pub fn is_everything(&self) -> bool {
        self.min.as_doc().is_empty() && self.max.as_doc().is_empty()
    }
}

/// The access, and whether it gives the order that is asked for.
///
/// # Errors
/// `NoQueryExecutionPlans` (291) without a hint of an index, 51174 for an index of other fields, 51175 for bounds that
/// are not in the order of the index.
pub(super) fn access(
    collection: &Arc<Collection>,
    query: &Query,
    natural: Option<Direction>,
) -> Result<(Access, bool)> {
    let failed = |code: Code, why: &str| query.refused(collection, code, why);
    let no_plan = |why| failed(Code::NO_QUERY_EXECUTION_PLANS, why);
    if natural.is_some() {
        return Err(no_plan("min and max are incompatible with $natural"));
    }
    let Some(hint) = &query.hint else {
        let why = "When using min()/max() a hint of which index to use must be provided";
        return Err(no_plan(why));
    };
    let index = hinted_index(collection, query, hint)?;
    let bound = |bound: Doc<'_>, otherwise: Vec<u8>| {
        if bound.is_empty() {
            return Ok(otherwise);
        }
        let why = "The index chosen is not compatible with min/max";
        key(index, bound, query).ok_or_else(|| failed(Code(51174), why))
    };
    let lower = bound(query.range.min.as_doc(), index.id.to_be_bytes().to_vec())?;
    let upper = bound(query.range.max.as_doc(), (index.id + 1).to_be_bytes().to_vec())?;
    if lower >= upper {
        let why = "The value provided for min() does not come before the value provided for max() in the hinted index";
        return Err(failed(Code(51175), why));
    }
    let sort = query.sort.as_ref();
    let order = sort.and_then(|sort| {
        let whole = eligible::hinted(index, None).ok()?;
        index::order(whole.first()?, &[], sort)
    });
    let reverse = order.unwrap_or(false);
    let access = Access::Index(IndexScan::of_range(index.clone(), (lower, upper), reverse));
    Ok((access, sort.is_none() || order.is_some()))
}

/// The whole key of an index for values that are named as its pattern has them; `None` for other names, and for texts where
/// the query compares them otherwise than the index.
fn key(index: &Index, values: Doc<'_>, query: &Query) -> Option<Vec<u8>> {
    if index.wildcard.is_some() {
        return None;
    }
    let same_order = index.order == query.order;
    let mut key = index.id.to_be_bytes().to_vec();
    let mut values = values.iter();
    for (path, direction) in index.paths.paths().iter().zip(&index.directions) {
        let value = values.next().filter(|value| value.name == path.as_str().as_bytes())?;
        if !same_order && may_hold_texts(value.value.kind) {
            return None;
        }
        index.order.append_key(value.value, *direction, &mut key);
    }
    values.next().is_none().then_some(key)
}
