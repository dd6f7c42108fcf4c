//! Stages of a pipeline as MongoDB shows them: under the names and with the arguments that stand behind their short forms.
//! Made from what was written, which the parser has taken. Knows nothing of how stages run.

mod accumulators;
mod joins;
pub(super) mod paths;
mod windows;

use super::node::shown_filter;
use crate::bson::{Array, ArrayWriter, Doc, DocBuf, DocWriter, Element, Number, Raw, Type};
use crate::query::matcher::write_expression;

/// The stages that a written stage stands for, each a document of one field. `db` is the database of the pipeline.
pub(super) fn shown(stage: Element<'_>, db: &str) -> Vec<DocBuf> {
    let name = stage.name_str();
    let doc = stage.value.as_doc().unwrap_or(Doc::EMPTY);
    match name {
        "$bucket" => accumulators::bucket(doc),
        "$count" => counted(stage.value.as_str().unwrap_or_default()),
        "$densify" => windows::densify(doc),
        "$fill" => windows::fill(doc),
        "$setWindowFields" => windows::fields(doc),
        "$sortByCount" => counted_by(stage.value),
        _ => vec![document(|out| write(out, name, stage.value, db))],
    }
}

/// The stages of a pipeline inside a stage.
fn write_inner(out: &mut ArrayWriter, stages: Option<Array<'_>>, db: &str) {
    let stages = stages.into_iter().flat_map(Array::iter);
    let mut all: Vec<DocBuf> = Vec::new();
    for stage in stages.filter_map(Raw::as_doc).filter_map(Doc::first) {
        all.extend(shown(stage, db));
    }
    let gone = limit_sorts(&mut all);
    let left = all.iter().enumerate().filter(|(at, _)| !gone.contains(at));
    left.for_each(|(_, stage)| out.doc(stage.as_doc()));
}

/// Tells each `$sort` how many documents a `$limit` behind it lets through. Gives the places of these limits, which are not
/// shown any more.
pub(super) fn limit_sorts(stages: &mut [DocBuf]) -> Vec<usize> {
    let mut gone = Vec::new();
    let count = |stage: &DocBuf, name: &str| {
        stage.as_doc().get(name).and_then(Number::from_raw).and_then(Number::to_i64_exact)
    };
    for at in 0..stages.len() {
        let Some(pattern) = stages.get(at).and_then(|stage| {
            let sort = stage.as_doc().get("$sort").and_then(Raw::as_doc)?;
            sort.get("sortKey").and_then(Raw::as_doc).map(Doc::to_buf)
        }) else {
            continue;
        };
        let (mut skipped, mut limit): (i64, Option<i64>) = (0, None);
        for (next, stage) in stages.iter().enumerate().skip(at + 1) {
            if let Some(skip) = count(stage, "$skip") {
                skipped = skipped.saturating_add(skip);
            } else if let Some(most) = count(stage, "$limit") {
                let most = skipped.saturating_add(most);
                limit = Some(limit.map_or(most, |limit| limit.min(most)));
                gone.push(next);
            } else {
                break;
            }
        }
        if let (Some(stage), Some(limit)) = (stages.get_mut(at), limit) {
            *stage = document(|out| {
                out.document("$sort", |out| {
                    out.doc("sortKey", pattern.as_doc());
                    out.i64("limit", limit);
                });
            });
        }
    }
    gone
}

/// Appends a stage that stands for itself alone.
fn write(out: &mut DocWriter, name: &str, argument: Raw<'_>, db: &str) {
    let doc = argument.as_doc().unwrap_or(Doc::EMPTY);
    let number = Number::from_raw(argument).and_then(Number::to_i64_exact);
    match (name, number) {
        ("$addFields" | "$set", _) => {
            out.document(name, |out| paths::added(doc).write(out));
        }
        ("$bucketAuto", _) => out.document(name, |out| accumulators::bucket_auto(out, doc)),
        ("$collStats", _) => out.document(name, |out| coll_stats(out, doc)),
        ("$facet", _) => out.document(name, |out| {
            for pipeline in doc {
                out.array(pipeline.name_str(), |out| {
                    out.document(|out| out.document("$internalFacetTeeConsumer", |_| {}));
                    write_inner(out, pipeline.value.as_array(), db);
                });
            }
        }),
        ("$graphLookup", _) => out.document(name, |out| joins::graph_lookup(out, doc)),
        ("$group", _) => out.document(name, |out| accumulators::group(out, doc)),
        ("$lookup", _) => out.document(name, |out| joins::lookup(out, doc, db)),
        ("$match", _) => {
            out.doc(name, shown_filter(doc).unwrap_or_default().as_doc());
        }
        ("$merge", _) => out.document(name, |out| joins::merge(out, argument, db)),
        ("$out", _) => out.document(name, |out| joins::out(out, argument, db)),
        ("$planCacheStats", _) => out.document(name, |out| {
            let all = doc.get("allHosts").and_then(Raw::as_bool);
            out.bool("allHosts", all.unwrap_or(false));
        }),
        ("$project", _) => out.document(name, |out| paths::projected(doc).write(out)),
        ("$redact", _) => write_expression(out, name, argument),
        ("$replaceRoot" | "$replaceWith", _) => out.document("$replaceRoot", |out| {
            let inner = doc.get("newRoot").filter(|_| name == "$replaceRoot");
            write_expression(out, "newRoot", inner.unwrap_or(argument));
        }),
        ("$sample", _) => out.document(name, |out| {
            let size = doc.get("size").and_then(Number::from_raw).and_then(Number::to_i64_exact);
            out.i64("size", size.unwrap_or(0));
        }),
        ("$skip" | "$limit", Some(count)) => out.i64(name, count),
        ("$sort", _) => out.document(name, |out| out.doc("sortKey", doc)),
        ("$unionWith", _) => out.document(name, |out| joins::union_with(out, argument, db)),
        ("$unset", _) => out.document("$project", |out| paths::left_out(argument).write(out)),
        ("$unwind", _) => out.document(name, |out| unwind(out, argument)),
        _ => out.raw(name, argument),
    }
}

fn unwind(out: &mut DocWriter, argument: Raw<'_>) {
    let Some(doc) = argument.as_doc() else { return out.raw("path", argument) };
    let given = |name: &str| doc.get(name);
    out.raw("path", given("path").unwrap_or(Raw::NULL));
    if given("preserveNullAndEmptyArrays").and_then(Raw::as_bool) == Some(true) {
        out.bool("preserveNullAndEmptyArrays", true);
    }
    if let Some(index) = given("includeArrayIndex") {
        out.raw("includeArrayIndex", index);
    }
}

fn coll_stats(out: &mut DocWriter, doc: Doc<'_>) {
    for field in doc {
        let name = field.name_str();
        match field.value.as_doc().filter(|_| name == "storageStats") {
            Some(asked) => out.document(name, |out| {
                out.extend(asked);
                for (name, value) in
                    [("verbose", false), ("waitForLock", true), ("numericOnly", false)]
                {
                    if asked.get(name).is_none() {
                        out.bool(name, value);
                    }
                }
            }),
            None => out.raw(name, field.value),
        }
    }
}

/// `$count`: a group of all documents and what shows of it nothing but the number.
fn counted(name: &str) -> Vec<DocBuf> {
    let group = stage("$group", |out| {
        out.document("_id", |out| out.null("$const"));
        out.document(name, accumulators::one_for_each);
    });
    let project = stage("$project", |out| {
        out.bool(name, true);
        out.bool("_id", false);
    });
    vec![group, project]
}

fn counted_by(expression: Raw<'_>) -> Vec<DocBuf> {
    let group = stage("$group", |out| {
        write_expression(out, "_id", expression);
        out.document("count", accumulators::one_for_each);
    });
    vec![group, sort(|out| out.i32("count", -1))]
}

/// A `$sort` by a pattern.
fn sort(pattern: impl FnOnce(&mut DocWriter)) -> DocBuf {
    stage("$sort", |out| out.document("sortKey", pattern))
}

fn stage(name: &str, fill: impl FnOnce(&mut DocWriter)) -> DocBuf {
    document(|out| out.document(name, fill))
}

fn document(fill: impl FnOnce(&mut DocWriter)) -> DocBuf {
    let mut out = DocWriter::new();
    fill(&mut out);
    out.finish()
}

/// Whether a value is the name of a field, not one of another expression.
fn is_field(value: Raw<'_>) -> bool {
    value.as_str().is_some_and(|text| text.starts_with('$') && !text.starts_with("$$"))
}

/// Whether a value can be nothing but a constant.
fn is_plain(value: Raw<'_>) -> bool {
    match value.kind {
        Type::String => value.as_str().is_some_and(|text| !text.starts_with('$')),
        Type::Document | Type::Array => false,
        _ => true,
    }
}
