//! Stages that may stand before others that were written before them: a `$match` before what only changes other fields, a
//! `$skip` or `$limit` before what gives one document for each. The earlier they stand, the more of them a find plan
//! answers, and the fewer documents the other stages make.
//!
//! Knows stages by what they say of themselves ([`StageSpec::keeps`], [`StageSpec::is_one_to_one`]).

use std::sync::Arc;

use super::stages::{Shape, StageSpec};
use crate::bson::{Doc, Element, Raw};

/// Moves each stage as far to the front as it may stand; `origins` tells of each from which stage of the command it comes,
/// and moves along.
pub(super) fn to_the_front(stages: &mut [Arc<dyn StageSpec>], origins: &mut [usize]) {
    for from in 1..stages.len() {
        let mut at = from;
        while at > 0 && may_stand_before(stages, origins, at) {
            stages.swap(at - 1, at);
            origins.swap(at - 1, at);
            at -= 1;
        }
    }
}

/// Whether the stage at a place may as well stand before the one before it.
fn may_stand_before(stages: &[Arc<dyn StageSpec>], origins: &[usize], at: usize) -> bool {
    let (Some(stage), Some(before)) = (stages.get(at), stages.get(at - 1)) else { return false };
    let origin = |at: usize| origins.get(at);
    // What one stage of the command stands for stays together.
    let parted = at >= 2 && origin(at - 1) == origin(at - 2) || origin(at) == origin(at - 1);
    if parted || before.metadata_needs().any() {
        return false;
    }
    match stage.shape() {
        Shape::Match(filter) => reads_only(filter, &|field| before.keeps(field)),
        Shape::Skip(_) | Shape::Limit(_) => before.is_one_to_one(),
        _ => false,
    }
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
