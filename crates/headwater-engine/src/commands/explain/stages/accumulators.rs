//! `$group` and the buckets, and how accumulators are shown wherever they stand.

use super::{document, sort, stage};
use crate::bson::{Array, ArrayWriter, Doc, DocBuf, DocWriter, Number, Raw, Type};
use crate::query::matcher::write_expression;

/// Appends the fields of a `$group`.
pub(super) fn group(out: &mut DocWriter, doc: Doc<'_>) {
    for field in doc {
        let name = field.name_str();
        match field.value.as_doc().filter(|_| name != "_id") {
            Some(accumulator) => out.document(name, |out| write(out, accumulator)),
            None => id(out, field.value),
        }
    }
}

fn id(out: &mut DocWriter, value: Raw<'_>) {
    match value.as_doc().is_some_and(Doc::is_empty) {
        true => out.document("_id", |out| out.raw("$const", value)),
        false => write_expression(out, "_id", value),
    }
}

/// Appends an accumulator with its argument, named as it runs; what stands beside it is left out.
pub(super) fn write(out: &mut DocWriter, accumulator: Doc<'_>) {
    let Some(part) = accumulator.iter().find(|part| part.name.starts_with(b"$")) else { return };
    let (name, argument) = (part.name_str(), part.value);
    let named = argument.as_doc().unwrap_or(Doc::EMPTY);
    match name {
        "$count" => one_for_each(out),
        "$bottom" | "$bottomN" | "$top" | "$topN" => out.document(name, |out| {
            expressions(out, named, &["n", "output"]);
            named.get("sortBy").into_iter().for_each(|order| out.raw("sortBy", order));
        }),
        "$firstN" | "$lastN" | "$maxN" | "$minN" => {
            out.document(name, |out| expressions(out, named, &["n", "input"]));
        }
        "$median" | "$percentile" => out.document(name, |out| {
            expressions(out, named, &["input"]);
            if let Some(shares) = named.get("p") {
                let shares = shares.as_array();
                out.array("p", |out| shares.into_iter().for_each(|all| doubles(out, all)));
            }
            named.get("method").into_iter().for_each(|method| out.raw("method", method));
        }),
        _ => write_expression(out, name, argument),
    }
}

fn expressions(out: &mut DocWriter, named: Doc<'_>, names: &[&str]) {
    for name in names {
        if let Some(value) = named.get(name) {
            write_expression(out, name, value);
        }
    }
}

fn doubles(out: &mut ArrayWriter, all: Array<'_>) {
    for value in all.iter() {
        match Number::from_raw(value) {
            Some(number) => {
                out.raw(Raw { kind: Type::Double, data: &number.to_f64().to_le_bytes() });
            }
            None => out.raw(value),
        }
    }
}

/// Appends what counts documents.
pub(super) fn one_for_each(out: &mut DocWriter) {
    out.document("$sum", |out| out.i32("$const", 1));
}

/// `$bucket`: a group by the lower boundary, and the order of the boundaries.
pub(super) fn bucket(doc: Doc<'_>) -> Vec<DocBuf> {
    let by = doc.get("groupBy").unwrap_or(Raw::NULL);
    let boundaries: Vec<Raw<'_>> =
        doc.get("boundaries").and_then(Raw::as_array).into_iter().flat_map(Array::iter).collect();
    let group = stage("$group", |out| {
        out.document("_id", |out| {
            out.document("$switch", |out| {
                out.array("branches", |out| {
                    boundaries.windows(2).for_each(|pair| branch(out, by, pair));
                });
                if let Some(other) = doc.get("default") {
                    write_expression(out, "default", other);
                }
            });
        });
        outputs(out, doc);
    });
    vec![group, sort(|out| out.i32("_id", 1))]
}

/// Appends the case of a value between two boundaries.
fn branch(out: &mut ArrayWriter, by: Raw<'_>, pair: &[Raw<'_>]) {
    let [low, high] = pair else { return };
    let by = document(|out| write_expression(out, "by", by));
    let bound = |name: &str, bound: Raw<'_>| {
        let bound = document(|out| write_expression(out, "bound", bound));
        document(|out| {
            out.array(name, |out| {
                let sides = [by.as_doc().get("by"), bound.as_doc().get("bound")];
                sides.into_iter().flatten().for_each(|side| out.raw(side));
            });
        })
    };
    out.document(|out| {
        out.document("case", |out| {
            out.array("$and", |out| {
                out.doc(bound("$gte", *low).as_doc());
                out.doc(bound("$lt", *high).as_doc());
            });
        });
        write_expression(out, "then", *low);
    });
}

/// Appends the fields of a `$bucketAuto`.
pub(super) fn bucket_auto(out: &mut DocWriter, doc: Doc<'_>) {
    expressions(out, doc, &["groupBy"]);
    let buckets = doc.get("buckets").and_then(Number::from_raw).and_then(Number::to_i64_exact);
    out.i32("buckets", buckets.and_then(|count| i32::try_from(count).ok()).unwrap_or(0));
    doc.get("granularity").into_iter().for_each(|by| out.raw("granularity", by));
    out.document("output", |out| outputs(out, doc));
}

/// Appends what is asked for of each bucket, the number of documents where nothing is.
fn outputs(out: &mut DocWriter, doc: Doc<'_>) {
    match doc.get("output").and_then(Raw::as_doc) {
        Some(output) => group(out, output),
        None => out.document("count", one_for_each),
    }
}
