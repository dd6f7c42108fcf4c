//! From a filter's document to conditions, by the rules of `matcher/parse.rs`; what that has refused does not come here.

use super::expression::canonical as canonical_expression;
use super::normal::{all_of, any_of, none_of, not, one_in};
use super::{Condition, Constant, Pattern, Test, TypeName};
use crate::bson::{Array, Doc, DocWriter, Element, Number, Raw, Type, View};
use crate::query::matcher::bits::positions;
use crate::query::matcher::element::{is_true, type_of_alias};
use crate::query::matcher::logical::is_value_condition;
use crate::query::matcher::parse::is_operators;

/// All conditions of a document.
pub(super) fn filter(filter: Doc<'_>) -> Condition<'_> {
    all_of(filter.iter().filter_map(condition).collect())
}

fn condition(element: Element<'_>) -> Option<Condition<'_>> {
    let (name, value) = (element.name_str(), element.value);
    if name.starts_with('$') && !matches!(name, "$id" | "$ref" | "$db") {
        return top_level(name, value);
    }
    Some(match value.kind {
        Type::Document if is_operators(value, false) => {
            operators(name, value.as_doc().unwrap_or(Doc::EMPTY))
        }
        _ => equality(name, value),
    })
}

fn top_level<'f>(name: &'f str, value: Raw<'f>) -> Option<Condition<'f>> {
    let branches = || {
        let branches = value.as_array().into_iter().flat_map(Array::iter);
        branches.filter_map(Raw::as_doc).map(filter).collect()
    };
    Some(match name {
        "$and" => all_of(branches()),
        "$or" => any_of(branches()),
        "$nor" => none_of(branches()),
        "$comment" => return None,
        "$alwaysTrue" => Condition::Always(true),
        "$alwaysFalse" => Condition::Always(false),
        "$expr" => whole(name, |out| canonical_expression(out, name, value)),
        "$sampleRate" => whole("$expr", |out| {
            out.document("$expr", |expr| {
                expr.array("$lt", |lt| {
                    lt.document(|rand| rand.document("$rand", |_| {}));
                    lt.document(|rate| rate.raw("$const", value));
                });
            });
        }),
        "$jsonSchema" if value.as_doc().is_some_and(Doc::is_empty) => return None,
        _ => whole(name, |out| out.raw(name, value)),
    })
}

fn whole<'f>(name: &'f str, write: impl FnOnce(&mut DocWriter)) -> Condition<'f> {
    let mut argument = DocWriter::new();
    write(&mut argument);
    Condition::Whole { name, argument: argument.finish() }
}

fn field<'f>(path: &'f str, test: Test<'f>) -> Condition<'f> {
    Condition::Field { path, test }
}

fn compare<'f>(path: &'f str, relation: &'static str, value: Raw<'f>) -> Condition<'f> {
    field(path, Test::Compare { relation, value: Constant(value) })
}

/// `{path: value}`.
fn equality<'f>(path: &'f str, value: Raw<'f>) -> Condition<'f> {
    match value.view() {
        View::Regex { pattern, options } => {
            let (pattern, options) = (pattern.into(), options.into());
            field(path, Test::Regex(Pattern { pattern, options }))
        }
        _ => compare(path, "$eq", value),
    }
}

/// A document of operators on one path.
fn operators<'f>(path: &'f str, siblings: Doc<'f>) -> Condition<'f> {
    let each = |element: Element<'f>| operator(path, element.name_str(), element.value, siblings);
    all_of(siblings.iter().filter_map(each).collect())
}

fn operator<'f>(
    path: &'f str,
    name: &'f str,
    value: Raw<'f>,
    siblings: Doc<'f>,
) -> Option<Condition<'f>> {
    let doc = || value.as_doc().unwrap_or(Doc::EMPTY);
    Some(match name {
        "$eq" => compare(path, "$eq", value),
        "$ne" => not(compare(path, "$eq", value)),
        "$lt" => compare(path, "$lt", value),
        "$lte" => compare(path, "$lte", value),
        "$gt" => compare(path, "$gt", value),
        "$gte" => compare(path, "$gte", value),
        "$in" => list(path, value),
        "$nin" => not(list(path, value)),
        "$not" => not(match value.kind {
            Type::Document => operators(path, doc()),
            _ => equality(path, value),
        }),
        "$exists" if is_true(value) => field(path, Test::Exists),
        "$exists" => not(field(path, Test::Exists)),
        "$regex" => field(path, Test::Regex(regex(value, siblings))),
        "$options" => return None,
        "$type" => field(path, Test::Type(types(value))),
        "$size" => field(path, Test::Size(whole_number(value))),
        "$mod" => {
            let at = |at| value.as_array().and_then(|pair| pair.get(at)).map_or(0, whole_number);
            field(path, Test::Mod(at(0), at(1)))
        }
        "$bitsAllClear" | "$bitsAllSet" | "$bitsAnyClear" | "$bitsAnySet" => {
            field(path, Test::Bits { name, positions: positions(value) })
        }
        "$all" => all(path, value),
        "$elemMatch" if is_value_condition(value) => {
            field(path, Test::Element(Box::new(operators("", doc()))))
        }
        "$elemMatch" => field(path, Test::ElementDoc(Box::new(filter(doc())))),
        _ => return None,
    })
}

fn list<'f>(path: &'f str, value: Raw<'f>) -> Condition<'f> {
    let (mut values, mut regexes) = (Vec::new(), Vec::new());
    for value in value.as_array().into_iter().flat_map(Array::iter) {
        match value.view() {
            View::Regex { pattern, options } => {
                regexes.push(Pattern { pattern: pattern.into(), options: options.into() });
            }
            _ => values.push(Constant(value)),
        }
    }
    one_in(path, values, regexes)
}

fn all<'f>(path: &'f str, value: Raw<'f>) -> Condition<'f> {
    let Some(array) = value.as_array().filter(|array| !array.is_empty()) else {
        return Condition::Always(false);
    };
    let each = |value: Raw<'f>| match value.as_doc().filter(|_| is_operators(value, false)) {
        Some(element) => operators(path, element),
        None => equality(path, value),
    };
    all_of(array.iter().map(each).collect())
}

/// `$regex` with the `$options` beside it.
fn regex<'f>(value: Raw<'f>, siblings: Doc<'f>) -> Pattern<'f> {
    let beside = siblings.get("$options").and_then(Raw::as_str);
    match value.view() {
        View::Regex { pattern, options } => {
            Pattern { pattern: pattern.into(), options: beside.unwrap_or(options).into() }
        }
        _ => Pattern {
            pattern: value.as_str().unwrap_or_default().into(),
            options: beside.unwrap_or_default().into(),
        },
    }
}

fn types(value: Raw<'_>) -> Vec<TypeName> {
    let mut types: Vec<TypeName> = match value.as_array() {
        Some(array) => array.iter().map(type_name).collect(),
        None => vec![type_name(value)],
    };
    types.sort_by_key(|name| match name {
        TypeName::Number => i32::MIN,
        TypeName::Code(code) => *code,
    });
    types.dedup();
    types
}

fn type_name(value: Raw<'_>) -> TypeName {
    let code = |kind: Type| match kind {
        Type::MinKey => -1,
        other => other as i32,
    };
    match value.as_str() {
        Some("number") => TypeName::Number,
        Some(alias) => TypeName::Code(type_of_alias(alias).map_or(0, code)),
        None => TypeName::Code(i32::try_from(whole_number(value)).unwrap_or(0)),
    }
}

fn whole_number(value: Raw<'_>) -> i64 {
    Number::from_raw(value).and_then(Number::to_i64_truncated).unwrap_or(0)
}
