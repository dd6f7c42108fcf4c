//! The stages that name other collections.

use super::{is_plain, write_inner};
use crate::bson::{Array, ArrayWriter, Doc, DocWriter, Number, Raw};
use crate::query::matcher::write_expression;

/// Appends the fields of a `$lookup`.
pub(super) fn lookup(out: &mut DocWriter, doc: Doc<'_>, db: &str) {
    let copied = |out: &mut DocWriter, name: &str| {
        doc.get(name).into_iter().for_each(|value| out.raw(name, value));
    };
    for name in ["from", "as", "localField", "foreignField"] {
        copied(out, name);
    }
    let Some(stages) = doc.get("pipeline") else { return };
    variables(out, doc.get("let"));
    out.array("pipeline", |out| write_inner(out, stages.as_array(), db));
}

fn variables(out: &mut DocWriter, given: Option<Raw<'_>>) {
    let given = given.and_then(Raw::as_doc).unwrap_or(Doc::EMPTY);
    out.document("let", |out| {
        given.iter().for_each(|field| write_expression(out, field.name_str(), field.value));
    });
}

/// Appends the fields of a `$graphLookup`.
pub(super) fn graph_lookup(out: &mut DocWriter, doc: Doc<'_>) {
    let copied = |out: &mut DocWriter, name: &str| {
        doc.get(name).into_iter().for_each(|value| out.raw(name, value));
    };
    for name in ["from", "as", "connectToField", "connectFromField"] {
        copied(out, name);
    }
    write_expression(out, "startWith", doc.get("startWith").unwrap_or(Raw::NULL));
    copied(out, "depthField");
    let depth = doc.get("maxDepth").and_then(Number::from_raw).and_then(Number::to_i64_exact);
    depth.into_iter().for_each(|depth| out.i64("maxDepth", depth));
    copied(out, "restrictSearchWithMatch");
}

/// Appends the fields of a `$unionWith`.
pub(super) fn union_with(out: &mut DocWriter, argument: Raw<'_>, db: &str) {
    let Some(doc) = argument.as_doc() else {
        out.raw("coll", argument);
        return out.array("pipeline", |_| {});
    };
    doc.get("coll").into_iter().for_each(|coll| out.raw("coll", coll));
    let stages = doc.get("pipeline").and_then(Raw::as_array);
    out.array("pipeline", |out| write_inner(out, stages, db));
}

/// Appends the fields of an `$out`.
pub(super) fn out(out: &mut DocWriter, argument: Raw<'_>, db: &str) {
    let Some(doc) = argument.as_doc() else {
        out.raw("coll", argument);
        return out.str("db", db);
    };
    for name in ["coll", "db", "timeseries"] {
        doc.get(name).into_iter().for_each(|value| out.raw(name, value));
    }
}

/// Appends the fields of a `$merge`.
pub(super) fn merge(out: &mut DocWriter, argument: Raw<'_>, db: &str) {
    let doc = argument.as_doc().unwrap_or(Doc::EMPTY);
    let into = doc.get("into").unwrap_or(argument);
    out.document("into", |out| match into.as_doc() {
        Some(into) => {
            match into.get("db") {
                Some(db) => out.raw("db", db),
                None => out.str("db", db),
            }
            into.get("coll").into_iter().for_each(|coll| out.raw("coll", coll));
        }
        None => {
            out.str("db", db);
            out.raw("coll", into);
        }
    });
    match doc.get("on") {
        // One field is shown without its list.
        Some(on) => {
            let only = on.as_array().filter(|on| on.len() == 1).and_then(|on| on.get(0));
            out.raw("on", only.unwrap_or(on));
        }
        None => out.str("on", "_id"),
    }
    match doc.get("whenMatched") {
        Some(stages) if stages.as_array().is_some() => {
            let given = doc.get("let").and_then(Raw::as_doc).unwrap_or(Doc::EMPTY);
            out.document("let", |out| {
                given.iter().for_each(|field| {
                    write_expression(out, field.name_str(), field.value);
                });
                if given.get("new").is_none() {
                    out.str("new", "$$ROOT");
                }
            });
            out.array("whenMatched", |out| changes(out, stages.as_array(), db));
        }
        Some(mode) => out.raw("whenMatched", mode),
        None => out.str("whenMatched", "merge"),
    }
    match doc.get("whenNotMatched") {
        Some(mode) => out.raw("whenNotMatched", mode),
        None => out.str("whenNotMatched", "insert"),
    }
}

/// The stages that change a document that is there.
fn changes(out: &mut ArrayWriter, stages: Option<Array<'_>>, db: &str) {
    let plain = |stage: &Raw<'_>| is_plain(*stage);
    let stages = stages.filter(|stages| !stages.iter().any(|stage| plain(&stage)));
    write_inner(out, stages, db);
}
