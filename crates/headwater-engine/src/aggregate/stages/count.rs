//! `$count` and `$sortByCount`: both stand for a `$group` and one more stage.

use super::{Parsed, group, project, sort};
use crate::aggregate::pipeline::Context;
use crate::bson::{DocWriter, Raw, Type};
use crate::error::{Error, Result};

/// `{$count: name}` stands for `$group` with `_id: null` and a `$project` without `_id`.
pub(super) fn parse(raw: Raw<'_>, context: &mut Context<'_>) -> Result<Parsed> {
    let name = raw.as_str().unwrap_or_default();
    if name.is_empty() {
        return Err(Error::location(40156, "the count field must be a non-empty string"));
    }
    if name.starts_with('$') {
        return Err(Error::location(40158, "the count field cannot be a $-prefixed path"));
    }
    if name.contains('\0') {
        return Err(Error::location(40159, "the count field cannot contain a null byte"));
    }
    if name.contains('.') {
        return Err(Error::location(40160, "the count field cannot contain '.'"));
    }
    if name == "_id" {
        return Err(Error::location(9_039_800, "the count field cannot be '_id'"));
    }
    let mut spec = DocWriter::new();
    spec.document("group", |spec| {
        spec.null("_id");
        spec.document(name, |sum| sum.i32("$sum", 1));
    });
    spec.document("project", |spec| spec.bool("_id", false));
    desugared(spec, context, [("group", group::parse), ("project", project::project)])
}

type Parse = fn(Raw<'_>, &mut Context<'_>) -> Result<Parsed>;

/// Parses the stages that a stage stands for, each from a field of `spec`.
pub(super) fn desugared<const N: usize>(
    spec: DocWriter,
    context: &mut Context<'_>,
    stages: [(&str, Parse); N],
) -> Result<Parsed> {
    let spec = spec.finish();
    let mut parsed = Vec::new();
    for (name, parse) in stages {
        let raw = spec.as_doc().get(name).unwrap_or(Raw::NULL);
        parsed.extend(parse(raw, context)?);
    }
    Ok(parsed)
}

/// `{$sortByCount: expression}` stands for `$group` by the expression and `$sort` by the number, largest first.
pub(super) fn sort_by_count(raw: Raw<'_>, context: &mut Context<'_>) -> Result<Parsed> {
    let needs = "the sortByCount field must be defined as a $-prefixed path or an expression inside an object";
    match raw.kind {
        Type::String if !raw.as_str().is_some_and(|text| text.starts_with('$')) => {
            return Err(Error::location(40148, needs));
        }
        Type::Document => {
            let first = raw.as_doc().and_then(|doc| doc.first());
            if !first.is_some_and(|e| e.name.starts_with(b"$")) {
                return Err(Error::location(40147, needs));
            }
        }
        Type::String => {}
        _ => {
            let message = "the sortByCount field must be specified as a string or as an object";
            return Err(Error::location(40149, message));
        }
    }
    let mut spec = DocWriter::new();
    spec.document("group", |spec| {
        spec.raw("_id", raw);
        spec.document("count", |sum| sum.i32("$sum", 1));
    });
    spec.document("sort", |spec| spec.i32("count", -1));
    desugared(spec, context, [("group", group::parse), ("sort", sort::parse)])
}
