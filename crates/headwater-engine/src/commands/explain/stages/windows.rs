//! `$setWindowFields`, and what looks at documents in an order as it does: each stands for the order and the stage behind it.

use super::{accumulators, document, is_field, is_plain, sort, stage};
use crate::bson::{Array, Doc, DocBuf, DocWriter, Element, Number, Raw};
use crate::query::matcher::write_expression;

/// The name by which documents are ordered whose partition is computed.
const PARTITION: &str = "__internal_setWindowFields_partition_key";
/// Functions that have no window.
const WITHOUT_WINDOW: [&str; 7] =
    ["$denseRank", "$documentNumber", "$expMovingAvg", "$linearFill", "$locf", "$rank", "$shift"];

/// `$setWindowFields`.
pub(super) fn fields(doc: Doc<'_>) -> Vec<DocBuf> {
    let partition = doc.get("partitionBy").filter(|by| !is_plain(*by));
    let partition = partition.map(|by| document(|out| write_expression(out, "by", by)));
    let output = doc.get("output").and_then(Raw::as_doc).unwrap_or(Doc::EMPTY);
    let outputs = document(|out| {
        for field in output {
            let function = field.value.as_doc().unwrap_or(Doc::EMPTY);
            out.document(field.name_str(), |out| write(out, function));
        }
    });
    ordered(partition, doc.get("sortBy").and_then(Raw::as_doc), &outputs)
}

/// The order of partitions and documents in them, and the stage that computes the outputs.
fn ordered(partition: Option<DocBuf>, order: Option<Doc<'_>>, outputs: &DocBuf) -> Vec<DocBuf> {
    let by = partition.as_ref().and_then(|by| by.as_doc().get("by"));
    let mut stages = Vec::new();
    if by.is_some() || order.is_some() {
        stages.push(sorted(|out| {
            if let Some(by) = by {
                let path = by.as_str().filter(|_| is_field(by)).and_then(|path| path.get(1..));
                out.i32(path.unwrap_or(PARTITION), 1);
            }
            order.into_iter().for_each(|order| out.extend(order));
        }));
    }
    stages.push(stage("$_internalSetWindowFields", |out| {
        by.into_iter().for_each(|by| out.raw("partitionBy", by));
        order.into_iter().for_each(|order| out.doc("sortBy", order));
        out.doc("output", outputs.as_doc());
    }));
    stages
}

/// A `$sort` whose keys the stage behind it looks at.
fn sorted(pattern: impl FnOnce(&mut DocWriter)) -> DocBuf {
    stage("$sort", |out| {
        out.document("sortKey", pattern);
        out.bool("outputSortKeyMetadata", true);
    })
}

/// Appends a function with its window.
fn write(out: &mut DocWriter, function: Doc<'_>) {
    let Some(part) = function.iter().find(|part| part.name.starts_with(b"$")) else { return };
    let (name, argument) = (part.name_str(), part.value);
    let named = argument.as_doc().unwrap_or(Doc::EMPTY);
    let given = |out: &mut DocWriter, names: &[&str]| {
        for name in names {
            if let Some(value) = named.get(name) {
                write_expression(out, name, value);
            }
        }
    };
    match name {
        "$denseRank" | "$documentNumber" | "$rank" => out.raw(name, argument),
        "$shift" => out.document(name, |out| {
            let by = named.get("by").and_then(Number::from_raw).and_then(Number::to_i64_exact);
            out.i32("by", by.and_then(|by| i32::try_from(by).ok()).unwrap_or(0));
            given(out, &["output"]);
            out.raw("default", named.get("default").unwrap_or(Raw::NULL));
        }),
        "$expMovingAvg" => out.document(name, |out| {
            match named.get("N").and_then(Number::from_raw).and_then(Number::to_i64_exact) {
                Some(count) => out.i64("N", count),
                None => out.raw("alpha", named.get("alpha").unwrap_or(Raw::NULL)),
            }
            given(out, &["input"]);
        }),
        "$derivative" | "$integral" => out.document(name, |out| {
            given(out, &["input"]);
            named.get("unit").into_iter().for_each(|unit| out.raw("unit", unit));
        }),
        _ => accumulators::write(out, function),
    }
    let window = function.get("window").filter(|_| !WITHOUT_WINDOW.contains(&name));
    match window.filter(|window| window.as_doc().is_some_and(|doc| !doc.is_empty())) {
        Some(window) => out.raw("window", window),
        None if WITHOUT_WINDOW.contains(&name) => {}
        None => out.document("window", |out| {
            out.array("documents", |out| ["unbounded"; 2].iter().for_each(|end| out.str(end)));
        }),
    }
}

/// `$fill`: a stage for what comes from other documents, and one for values.
pub(super) fn fill(doc: Doc<'_>) -> Vec<DocBuf> {
    let output = doc.get("output").and_then(Raw::as_doc).unwrap_or(Doc::EMPTY);
    let (mut carried, mut values) = (DocWriter::new(), DocWriter::new());
    for field in output {
        let name = field.name_str();
        let reference = format!("${name}");
        if let Some(value) = part(field, "value") {
            let filled = document(|out| {
                out.array("$ifNull", |out| {
                    out.str(&reference);
                    out.raw(value);
                });
            });
            values.doc(name, filled.as_doc());
        } else if let Some(method) = part(field, "method") {
            let linear = method.as_str() == Some("linear");
            let function = if linear { "$linearFill" } else { "$locf" };
            carried.document(name, |out| out.str(function, &reference));
        }
    }
    let mut stages = Vec::new();
    if !carried.is_empty() {
        let order = doc.get("sortBy").and_then(Raw::as_doc);
        stages = ordered(partition(doc), order, &carried.finish());
    }
    if !values.is_empty() {
        let values = values.finish();
        stages.push(stage("$addFields", |out| super::paths::added(values.as_doc()).write(out)));
    }
    stages
}

/// A part of what is said of how a field is filled.
fn part<'a>(field: Element<'a>, name: &str) -> Option<Raw<'a>> {
    field.value.as_doc()?.get(name)
}

/// What a `$fill` partitions by.
fn partition(doc: Doc<'_>) -> Option<DocBuf> {
    if let Some(by) = doc.get("partitionBy").filter(|by| !is_plain(*by)) {
        return Some(document(|out| write_expression(out, "by", by)));
    }
    let fields = doc.get("partitionByFields").and_then(Raw::as_array)?;
    Some(document(|out| {
        out.document("by", |out| {
            for name in fields.iter().filter_map(Raw::as_str) {
                out.str(name, &format!("${name}"));
            }
        });
    }))
}

/// `$densify`.
pub(super) fn densify(doc: Doc<'_>) -> Vec<DocBuf> {
    let fields = doc.get("partitionByFields").and_then(Raw::as_array);
    let parts: Vec<&str> =
        fields.into_iter().flat_map(Array::iter).filter_map(Raw::as_str).collect();
    let field = doc.get("field").and_then(Raw::as_str).unwrap_or_default();
    let range = doc.get("range").and_then(Raw::as_doc).unwrap_or(Doc::EMPTY);
    let full = range.get("bounds").and_then(Raw::as_str) == Some("full");
    let order = sort(|out| {
        parts.iter().filter(|_| !full).for_each(|part| out.i32(part, 1));
        out.i32(field, 1);
    });
    let densify = stage("$_internalDensify", |out| {
        out.str("field", field);
        out.array("partitionByFields", |out| parts.iter().for_each(|part| out.str(part)));
        out.document("range", |out| {
            for name in ["step", "bounds", "unit"] {
                range.get(name).into_iter().for_each(|value| out.raw(name, value));
            }
        });
    });
    vec![order, densify]
}
