//! Expressions as MongoDB shows them: constants are named so, and the arguments of operators stand in arrays.

use crate::bson::{Array, ArrayWriter, Doc, DocWriter, Raw, Type};

/// Operators whose only argument is shown without an array: those that name their arguments need no rule, since a
/// document without operators stays one.
const BARE: [&str; 3] = ["$getField", "$meta", "$rand"];

/// Operators on a date, which is shown as a named argument also where it is the only one.
const DATES: [&str; 13] = [
    "$dayOfMonth",
    "$dayOfWeek",
    "$dayOfYear",
    "$hour",
    "$isoDayOfWeek",
    "$isoWeek",
    "$isoWeekYear",
    "$millisecond",
    "$minute",
    "$month",
    "$second",
    "$week",
    "$year",
];

/// Appends an expression as a field.
pub(crate) fn canonical(out: &mut DocWriter, name: &str, value: Raw<'_>) {
    match value.kind {
        Type::String if value.as_str().is_some_and(|text| text.starts_with('$')) => {
            out.raw(name, value);
        }
        Type::Document => out.document(name, |out| document(out, Doc::trusted(value.data))),
        Type::Array if is_constant(value) => out.document(name, |out| out.raw("$const", value)),
        Type::Array => out.array(name, |out| items(out, value)),
        _ => out.document(name, |out| out.raw("$const", value)),
    }
}

fn document(out: &mut DocWriter, doc: Doc<'_>) {
    for field in doc {
        let name = field.name_str();
        match (name, field.value.kind) {
            ("$literal" | "$const", _) => out.raw("$const", field.value),
            (_, _) if DATES.binary_search(&name).is_ok() && !is_named(field.value) => {
                let only = field.value.as_array().filter(|all| all.len() == 1);
                let date = only.and_then(|only| only.get(0)).unwrap_or(field.value);
                out.document(name, |out| canonical(out, "date", date));
            }
            ("$cond", Type::Document) if is_named(field.value) => out.array(name, |out| {
                let inner = Doc::trusted(field.value.data);
                let parts = ["if", "then", "else"].into_iter().filter_map(|part| inner.get(part));
                parts.for_each(|part| item(out, part));
            }),
            (_, Type::Array) if name.starts_with('$') => {
                out.array(name, |out| items(out, field.value));
            }
            (_, Type::Document) => {
                let inner = Doc::trusted(field.value.data);
                let wraps = name.starts_with('$') && !BARE.contains(&name) && is_operator(inner);
                match wraps {
                    true => out.array(name, |out| out.document(|out| document(out, inner))),
                    false => canonical(out, name, field.value),
                }
            }
            _ if name.starts_with('$') && !BARE.contains(&name) => {
                out.array(name, |out| item(out, field.value));
            }
            _ => canonical(out, name, field.value),
        }
    }
}

fn items(out: &mut ArrayWriter, value: Raw<'_>) {
    value.as_array().into_iter().flat_map(Array::iter).for_each(|value| item(out, value));
}

fn item(out: &mut ArrayWriter, value: Raw<'_>) {
    let mut holder = DocWriter::new();
    canonical(&mut holder, "", value);
    holder.finish().as_doc().iter().for_each(|field| out.raw(field.value));
}

/// Whether the arguments of an operator are named.
fn is_named(value: Raw<'_>) -> bool {
    value.kind == Type::Document && !is_operator(Doc::trusted(value.data))
}

fn is_operator(doc: Doc<'_>) -> bool {
    doc.first().is_some_and(|first| first.name.first() == Some(&b'$'))
}

/// Whether nothing in a value has to be computed.
fn is_constant(value: Raw<'_>) -> bool {
    match value.kind {
        Type::String => value.as_str().is_some_and(|text| !text.starts_with('$')),
        Type::Document => {
            let doc = Doc::trusted(value.data);
            !is_operator(doc) && doc.iter().all(|field| is_constant(field.value))
        }
        Type::Array => value.as_array().into_iter().flat_map(Array::iter).all(is_constant),
        _ => true,
    }
}
