//! Taking a filter apart at an `$or`, so that each branch can be found through an index of its own.

use std::sync::Arc;

use crate::aggregate::expressions::Scope;
use crate::bson::{Doc, DocBuf, DocWriter, Raw};
use crate::query::matcher::Matcher;

/// Branches that are taken apart at most.
const BRANCHES_MAX: usize = 500;

/// Filters of which each document that matches `filter` matches at least one, and no other document does: the branches
/// of its first `$or`, each with all that stands beside it. None for a filter without one at its top.
pub(super) fn of(filter: Doc<'_>, scope: &mut Scope) -> Vec<Arc<Matcher>> {
    let mut parts = Vec::new();
    take_apart(filter, &mut parts);
    let is_or = |part: &DocBuf| part.as_doc().first().is_some_and(|first| first.name == b"$or");
    let Some(at) = parts.iter().position(is_or) else { return Vec::new() };
    let or = parts.remove(at);
    let branches = or.as_doc().first().and_then(|first| first.value.as_array());
    let Some(branches) = branches.filter(|list| (2..=BRANCHES_MAX).contains(&list.len())) else {
        return Vec::new();
    };
    let of_branch = |branch: Raw<'_>| {
        let mut whole = DocWriter::new();
        whole.array("$and", |and| {
            and.raw(branch);
            parts.iter().for_each(|part| and.doc(part.as_doc()));
        });
        Matcher::parse(whole.finish().as_doc(), scope).ok().map(Arc::new)
    };
    branches.iter().map(of_branch).collect::<Option<Vec<_>>>().unwrap_or_default()
}

/// The conditions of a filter, those of a top-level `$and` one by one.
fn take_apart(filter: Doc<'_>, parts: &mut Vec<DocBuf>) {
    for element in filter {
        let and = element.value.as_array().filter(|_| element.name == b"$and");
        match and {
            Some(and) => and.iter().filter_map(Raw::as_doc).for_each(|doc| {
                let mut part = DocWriter::new();
                part.extend(doc);
                parts.push(part.finish());
            }),
            None => {
                let mut part = DocWriter::new();
                part.raw_bytes(element.name, element.value);
                parts.push(part.finish());
            }
        }
    }
}
