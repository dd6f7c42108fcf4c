//! Stages that may stand before others that were written before them: a `$match`, or the part of it that can, before what
//! only changes other fields, a `$skip` or `$limit` before what gives one document for each. The earlier they stand, the
//! more of them a find plan answers, and the fewer documents the other stages make. What a `$match` asks of joined documents
//! is told to the `$lookup` that joins them.
//!
//! Knows stages by what they say of themselves ([`StageSpec::keeps`], [`StageSpec::is_one_to_one`]).

use std::sync::Arc;

use super::expressions::Scope;
use super::pipeline::conjunction;
use super::stages::{Shape, StageSpec};
use crate::bson::{Doc, DocBuf, DocWriter, Element, Raw};
use crate::error::Result;

/// Moves each stage as far to the front as it may stand; `origins` tells of each from which stage of the command it comes,
/// and moves along.
///
/// # Errors
/// None but those of parsing a part of a filter, which was parsed already.
pub(super) fn to_the_front(
    stages: &mut Vec<Arc<dyn StageSpec>>,
    origins: &mut Vec<usize>,
    scope: &mut Scope,
) -> Result<()> {
    let mut from = 1;
    while from < stages.len() {
        let mut at = from;
        while at > 0 {
            if may_stand_before(stages, origins, at) {
                stages.swap(at - 1, at);
                origins.swap(at - 1, at);
                at -= 1;
                continue;
            }
            let Some([movable, rest]) = parts(stages, origins, at, scope)? else { break };
            // What moves stands where the whole stood; the loop takes it on from there.
            stages[at] = rest;
            stages.insert(at, movable);
            origins.insert(at, origins[at]);
            from += 1;
        }
        from += 1;
    }
    Ok(())
}

/// The two parts of a `$match` of which the first may stand before the stage before it.
fn parts(
    stages: &[Arc<dyn StageSpec>],
    origins: &[usize],
    at: usize,
    scope: &mut Scope,
) -> Result<Option<[Arc<dyn StageSpec>; 2]>> {
    let (Some(stage), Some(before)) = (stages.get(at), stages.get(at - 1)) else { return Ok(None) };
    // Parsing the parts must not tell again what parsing the whole has told.
    if is_bound(stages, origins, at) || scope.folding_error().is_some() {
        return Ok(None);
    }
    let Shape::Match(filter) = stage.shape() else { return Ok(None) };
    let mut all = Vec::new();
    conjuncts(filter, &mut all);
    let may_move = |filter: &DocBuf| reads_only(filter.as_doc(), &|field| before.keeps(field));
    let (movable, rest): (Vec<DocBuf>, Vec<DocBuf>) = all.into_iter().partition(may_move);
    if movable.is_empty() || rest.is_empty() {
        return Ok(None);
    }
    let stage = |filters: &[DocBuf], scope: &mut Scope| {
        let filters: Vec<Doc<'_>> = filters.iter().map(DocBuf::as_doc).collect();
        super::stages::match_of(conjunction(&filters).as_doc(), scope)
    };
    Ok(Some([stage(&movable, scope)?, stage(&rest, scope)?]))
}

/// The conditions that a filter joins by "and", each as a filter.
fn conjuncts(filter: Doc<'_>, all: &mut Vec<DocBuf>) {
    for element in filter {
        let inner = element.value.as_array().filter(|_| element.name == b"$and");
        match inner {
            Some(filters) => {
                filters.iter().filter_map(Raw::as_doc).for_each(|filter| conjuncts(filter, all));
            }
            None => {
                let mut one = DocWriter::new();
                one.raw_bytes(element.name, element.value);
                all.push(one.finish());
            }
        }
    }
}

/// Tells each `$lookup` whose documents are unwound what a `$match` behind that asks of them. The `$match` stays.
///
/// # Errors
/// None but those of parsing a part of a filter, which was parsed already.
pub(super) fn into_joins(stages: &mut [Arc<dyn StageSpec>], scope: &mut Scope) -> Result<()> {
    for at in 2..stages.len() {
        let [join, unwind, filter] = [at - 2, at - 1, at].map(|at| stages.get(at));
        let (Some(join), Some(unwind), Some(filter)) = (join, unwind, filter) else { continue };
        let Some(field) = unwind.unwinds() else { continue };
        let Shape::Match(filter) = filter.shape() else { continue };
        let below = below(filter, &[field, b"."].concat(), false).unwrap_or_default();
        if scope.folding_error().is_none()
            && !below.as_doc().is_empty()
            && let Some(joined) = join.joined_if(field, below.as_doc(), scope)?
        {
            stages[at - 2] = joined;
        }
    }
    Ok(())
}

/// What a filter asks of the fields below a path, whose names lose it. Other conditions are left out, unless `whole` says
/// that none may be; then there is no answer.
fn below(filter: Doc<'_>, path: &[u8], whole: bool) -> Option<DocBuf> {
    let mut out = DocWriter::new();
    for element in filter {
        let inner = element.value.as_array().into_iter().flat_map(|array| array.iter());
        let inner = inner.filter_map(Raw::as_doc);
        let stripped: Option<Vec<DocBuf>> = match element.name {
            b"$and" => inner.map(|filter| below(filter, path, whole)).collect(),
            // An empty condition holds of every document.
            b"$or" | b"$nor" => inner
                .map(|filter| below(filter, path, true).filter(|inner| !inner.as_doc().is_empty()))
                .collect(),
            _ => {
                let name = element.name.strip_prefix(path).filter(|name| !name.is_empty());
                name.map(|name| {
                    out.raw_bytes(name, element.value);
                    Vec::new()
                })
            }
        };
        match stripped {
            None if whole => return None,
            Some(filters) if filters.iter().any(|filter| !filter.as_doc().is_empty()) => {
                let filters = filters.iter().filter(|filter| !filter.as_doc().is_empty());
                let name = element.name_str();
                out.array(name, |all| filters.for_each(|filter| all.doc(filter.as_doc())));
            }
            _ => {}
        }
    }
    Some(out.finish())
}

/// Whether the stage at a place may as well stand before the one before it.
fn may_stand_before(stages: &[Arc<dyn StageSpec>], origins: &[usize], at: usize) -> bool {
    let (Some(stage), Some(before)) = (stages.get(at), stages.get(at - 1)) else { return false };
    if is_bound(stages, origins, at) {
        return false;
    }
    match stage.shape() {
        Shape::Match(filter) => reads_only(filter, &|field| before.keeps(field)),
        Shape::Skip(_) | Shape::Limit(_) => before.is_one_to_one(),
        _ => false,
    }
}

/// Whether the stage at a place has to stay behind the one before it, whatever both are.
fn is_bound(stages: &[Arc<dyn StageSpec>], origins: &[usize], at: usize) -> bool {
    let origin = |at: usize| origins.get(at);
    // What one stage of the command stands for stays together.
    let parted = at >= 2 && origin(at - 1) == origin(at - 2) || origin(at) == origin(at - 1);
    parted || stages.get(at - 1).is_none_or(|before| before.metadata_needs().any())
}

/// Whether a filter asks for nothing but fields of which `keeps` holds; by the name that a path begins with.
fn reads_only(filter: Doc<'_>, keeps: &dyn Fn(&[u8]) -> bool) -> bool {
    let holds = |element: Element<'_>| match element.name {
        b"$and" | b"$or" | b"$nor" => element.value.as_array().is_some_and(|filters| {
            filters.iter().filter_map(Raw::as_doc).all(|filter| reads_only(filter, keeps))
        }),
        // An expression may read anything, and may fail for a document that the stage before drops.
        name if name.starts_with(b"$") => false,
        name => keeps(name.split(|byte| *byte == b'.').next().unwrap_or_default()),
    };
    filter.iter().all(holds)
}
