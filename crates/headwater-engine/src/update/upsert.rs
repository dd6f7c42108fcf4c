//! The document that an upsert starts from: what the filter says with equalities; and its `_id`.

use super::replace::dollar_name;
use crate::bson::{Doc, DocBuf, DocWriter, Raw, Type, equal};
use crate::error::{Code, Error, Result};
use crate::query::matcher::refuse_special;

/// Which of the filter's equalities count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Take {
    /// All.
    All,
    /// Only that of `_id`.
    Id,
}

/// Fields that the filter demands to be equal to a value, nested as a document.
#[derive(Debug, Default)]
struct Tree<'a> {
    fields: Vec<(&'a str, Branch<'a>)>,
}

#[derive(Debug)]
enum Branch<'a> {
    Value(Raw<'a>),
    Inner(Tree<'a>),
}

/// Checks a filter that a new document may have to be made of. Called before anything is looked for.
///
/// # Errors
/// `QueryFeatureNotAllowed` (224) for an `$expr`.
pub fn check_upsert_filter(filter: Doc<'_>) -> Result<()> {
    refuse_special(filter, &["$expr"]).map_err(|error| {
        Error::new(error.code(), "$expr is not allowed in the query predicate for an upsert")
    })
}

/// The document that a client supplies for an upsert to insert: the constant `new`.
pub(super) fn supplied(constants: Option<Doc<'_>>, upsert: bool) -> Result<Doc<'_>> {
    if !upsert {
        let message = "cannot specify 'upsertSupplied: true' for a non-upsert operation";
        return Err(Error::new(Code::FAILED_TO_PARSE, message));
    }
    constants.and_then(|constants| constants.get("new")).and_then(Raw::as_doc).ok_or_else(|| {
        let message =
            "the parameter 'upsertSupplied' is set to 'true', but no document was supplied";
        Error::new(Code::FAILED_TO_PARSE, message)
    })
}

/// The document of a filter's equalities.
pub(super) fn seed(filter: Doc<'_>, take: Take) -> Result<DocBuf> {
    let mut equalities = Vec::new();
    collect(filter, &mut equalities);
    let mut tree = Tree::default();
    for (at, &(path, value)) in equalities.iter().enumerate() {
        if take == Take::Id && path != "_id" {
            if path.starts_with("_id.") {
                return Err(Error::location(
                    111,
                    format!(
                        "field at '_id' must be exactly specified, field at sub-path '{path}'found"
                    ),
                ));
            }
            continue;
        }
        if path.is_empty() {
            let message = "Cannot call setValue on the root object";
            return Err(Error::new(Code::ILLEGAL_OPERATION, message));
        }
        check_unique(path, equalities.get(..at).unwrap_or_default())?;
        tree.insert(path, value);
    }
    let mut out = DocWriter::new();
    tree.write(&mut out);
    Ok(out.finish())
}

fn check_unique(path: &str, before: &[(&str, Raw<'_>)]) -> Result<()> {
    let under = |long: &str, short: &str| {
        long.strip_prefix(short).is_some_and(|rest| rest.starts_with('.'))
    };
    for (other, _) in before {
        let what = if *other == path {
            format!("path '{path}' is matched twice")
        } else if under(path, other) {
            format!("both paths '{path}' and '{other}' are matched")
        } else if under(other, path) {
            format!("both paths '{other}' and '{path}' are matched")
        } else {
            continue;
        };
        return Err(Error::new(
            Code::NOT_SINGLE_VALUE_FIELD,
            format!("cannot infer query fields to set, {what}"),
        ));
    }
    Ok(())
}

/// Collects the equalities of a filter that is known to be valid.
fn collect<'a>(filter: Doc<'a>, out: &mut Vec<(&'a str, Raw<'a>)>) {
    for element in filter {
        let name = element.name_str();
        match name {
            "$and" => branches(element.value).for_each(|branch| collect(branch, out)),
            "$or" => alternatives(element.value, out),
            _ if name.starts_with('$') => {}
            _ => field(name, element.value, out),
        }
    }
}

/// Collects from an `$or`: of its only branch, or of branches that all say the same one equality.
fn alternatives<'a>(value: Raw<'a>, out: &mut Vec<(&'a str, Raw<'a>)>) {
    let mut all = branches(value).map(|branch| {
        let mut equalities = Vec::new();
        collect(branch, &mut equalities);
        (branch.iter().count(), equalities)
    });
    let Some((fields, first)) = all.next() else { return };
    let same = |(others, other): (usize, Vec<(&str, Raw<'_>)>)| {
        let single = (fields, others, first.len(), other.len()) == (1, 1, 1, 1);
        single && first.iter().zip(&other).all(|(a, b)| a.0 == b.0 && equal(a.1, b.1))
    };
    if all.all(same) {
        out.extend(first);
    }
}

fn branches(value: Raw<'_>) -> impl Iterator<Item = Doc<'_>> {
    value.as_array().into_iter().flat_map(|array| array.iter().filter_map(Raw::as_doc))
}

fn field<'a>(path: &'a str, condition: Raw<'a>, out: &mut Vec<(&'a str, Raw<'a>)>) {
    let operators = condition.as_doc().filter(|doc| {
        doc.first().is_some_and(|e| {
            e.name.first() == Some(&b'$') && !matches!(e.name, b"$ref" | b"$id" | b"$db")
        })
    });
    let Some(operators) = operators else {
        if condition.kind != Type::Regex {
            out.push((path, condition));
        }
        return;
    };
    for operator in operators {
        let one = || {
            let mut values = operator.value.as_array()?.iter();
            values.next().filter(|_| values.next().is_none())
        };
        let is_operator = |value: &Raw<'_>| {
            let first = value.as_doc().and_then(Doc::first);
            first.is_some_and(|e| e.name == b"$elemMatch")
        };
        match operator.name {
            b"$eq" => out.push((path, operator.value)),
            b"$in" | b"$all" => out.extend(
                one()
                    .filter(|value| value.kind != Type::Regex && !is_operator(value))
                    .map(|value| (path, value)),
            ),
            _ => {}
        }
    }
}

impl<'a> Tree<'a> {
    fn insert(&mut self, path: &'a str, value: Raw<'a>) {
        let mut tree = self;
        let mut rest = path;
        loop {
            let Some((name, after)) = rest.split_once('.') else {
                tree.fields.push((rest, Branch::Value(value)));
                return;
            };
            let at = tree.fields.iter().position(|(field, _)| *field == name);
            let at = at.unwrap_or_else(|| {
                tree.fields.push((name, Branch::Inner(Tree::default())));
                tree.fields.len() - 1
            });
            match tree.fields.get_mut(at) {
                Some((_, Branch::Inner(inner))) => tree = inner,
                _ => return,
            }
            rest = after;
        }
    }

    fn write(&self, out: &mut DocWriter) {
        for (name, branch) in &self.fields {
            match branch {
                Branch::Value(value) => out.raw(name, *value),
                Branch::Inner(inner) => out.document(name, |out| inner.write(out)),
            }
        }
    }
}

/// The document with its `_id` first, a new one if it has none.
pub(super) fn with_id_first(document: DocBuf, new_id: impl FnOnce() -> [u8; 12]) -> Result<DocBuf> {
    let doc = document.as_doc();
    let id = doc.get("_id");
    if let Some(id) = id {
        check_id(id)?;
        if doc.first().is_some_and(|first| first.name == b"_id") {
            return Ok(document);
        }
    }
    let mut out = DocWriter::append_to(Vec::with_capacity(doc.as_bytes().len() + 17));
    match id {
        Some(id) => out.raw("_id", id),
        None => out.object_id("_id", new_id()),
    }
    for element in doc.iter().filter(|element| element.name != b"_id") {
        out.raw_bytes(element.name, element.value);
    }
    Ok(out.finish())
}

/// Checks that a value may be an `_id`: no array, regular expression or undefined, no names that start with `$`.
pub(super) fn check_id(id: Raw<'_>) -> Result<()> {
    match id.kind {
        Type::Array | Type::Regex | Type::Undefined => Err(Error::new(
            Code::INVALID_ID_FIELD,
            format!("The '_id' value cannot be of type {}", id.kind.alias()),
        )),
        Type::Document => check_id_names(Doc::trusted(id.data), "_id"),
        _ => Ok(()),
    }
}

/// The documents that an update makes nest no deeper than those that are stored.
fn check_id_names(doc: Doc<'_>, path: &str) -> Result<()> {
    for element in doc {
        let path = format!("{path}.{}", element.name_str());
        if element.name.first() == Some(&b'$') {
            return Err(dollar_name(element.name_str(), &path));
        }
        if let Some(below) = element.value.as_doc() {
            check_id_names(below, &path)?;
        }
    }
    Ok(())
}
