//! The filter of a partial index: which operators it may have. Source: recorded replies.

use std::sync::Arc;

use super::options::{truth, wrong};
use super::read::mistyped;
use crate::aggregate::expressions::Scope;
use crate::bson::{Doc, DocWriter, Raw};
use crate::collation::Collation;
use crate::error::{Code, Error, Result};
use crate::query::matcher::{Canonical, Matcher, Node, Test};

/// How deep operators may nest.
const DEPTH_MAX: usize = 4;

/// The compiled filter of an index with that collation.
///
/// # Errors
/// Those of compiling a filter.
pub(in crate::index) fn compile(
    filter: Doc<'_>,
    collation: Option<&Arc<Collation>>,
) -> Result<Matcher> {
    Matcher::parse(filter, &mut Scope::collated(None, 0, collation.cloned())?)
}

/// Checks the filter of a specification by itself.
///
/// # Errors
/// `TypeMismatch` (14), `BadValue` (2), `QueryFeatureNotAllowed` (224); those of compiling a filter.
pub(super) fn check_shape(spec: Doc<'_>, value: Raw<'_>) -> Result<()> {
    let filter = value.as_doc();
    let filter =
        filter.ok_or_else(|| mistyped(spec, "partialFilterExpression", "an object", value))?;
    let matcher = refused(filter).map_or_else(|| compile(filter, None), Err);
    matcher.map(|_| ()).map_err(|error| wrong(spec, error.code(), error.message()))
}

/// Whether an index can be filtered so; the error is the message.
pub(super) fn check_use(spec: Doc<'_>, filter: Doc<'_>) -> Result<(), String> {
    if spec.get("sparse").and_then(truth) == Some(true) {
        return Err("cannot mix \"partialFilterExpression\" and \"sparse\" options".to_owned());
    }
    let Ok(matcher) = compile(filter, None) else { return Ok(()) };
    match check_node(matcher.root(), 1) {
        Err(Fault::Depth) => {
            Err(format!("partialFilterExpression depth may not exceed {DEPTH_MAX}"))
        }
        Ok(()) if !has_constant(filter) => Ok(()),
        _ => {
            let shown = offending(filter).unwrap_or_default();
            Err(format!("Expression not supported in partial index: {shown}\n"))
        }
    }
}

/// Why a filter may not be that of an index.
enum Fault {
    Depth,
    Condition,
}

/// The elements of a filter and of the branches in it.
fn each<'a>(filter: Doc<'a>, visit: &mut dyn FnMut(&'a str)) {
    let mut left = vec![filter];
    while let Some(filter) = left.pop() {
        for element in filter {
            visit(element.name_str());
            if let "$and" | "$or" | "$nor" = element.name_str() {
                left.extend(
                    element.value.as_array().iter().flat_map(|a| a.iter()).filter_map(Raw::as_doc),
                );
            }
        }
    }
}

/// The error of what no index may be filtered by.
fn refused(filter: Doc<'_>) -> Option<Error> {
    let mut found = None;
    each(filter, &mut |name| {
        let code = match name {
            "$expr" | "$jsonSchema" => Code::QUERY_FEATURE_NOT_ALLOWED,
            "$text" | "$where" => Code::BAD_VALUE,
            _ => return,
        };
        let message = format!("{name} is not allowed in this context");
        found.get_or_insert(Error::new(code, message));
    });
    found
}

/// Conditions that look at no field.
const CONSTANTS: [&str; 3] = ["$alwaysFalse", "$alwaysTrue", "$sampleRate"];

fn has_constant(filter: Doc<'_>) -> bool {
    let mut found = false;
    each(filter, &mut |name| found |= CONSTANTS.contains(&name));
    found
}

fn check_node(node: &Node, depth: usize) -> Result<(), Fault> {
    if depth > DEPTH_MAX {
        return Err(Fault::Depth);
    }
    match node {
        Node::And(nodes) | Node::Or(nodes) => {
            nodes.iter().try_for_each(|node| check_node(node, depth + 1))
        }
        Node::Field {
            test: Test::Compare(_) | Test::In(_) | Test::Exists | Test::Type(_), ..
        } => Ok(()),
        Node::Always(true) => Ok(()),
        _ => Err(Fault::Condition),
    }
}

/// The first condition that an index may not be filtered by, as messages show it.
fn offending(filter: Doc<'_>) -> Option<String> {
    filter.iter().find_map(|element| {
        if let "$and" | "$or" = element.name_str() {
            let branches = element.value.as_array()?;
            return branches.iter().filter_map(Raw::as_doc).find_map(offending);
        }
        if CONSTANTS.contains(&element.name_str()) {
            return Some(format!("{}: 1", element.name_str()));
        }
        let mut alone = DocWriter::new();
        alone.raw_bytes(element.name, element.value);
        let alone = alone.finish();
        let matcher = compile(alone.as_doc(), None).ok()?;
        let is_it = matches!(check_node(matcher.root(), 1), Err(Fault::Condition));
        is_it.then(|| Canonical::of(alone.as_doc()).to_string())
    })
}
