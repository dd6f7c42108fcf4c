//! From a filter document to the tree: which names are operators, and where each may stand.

use super::Node;
use super::comparison::equality;
use super::regex::Regex;
use super::table::{Constructor, MATCHERS, UNSUPPORTED};
use super::test::Test;
use crate::aggregate::expressions::Scope;
use crate::bson::{Doc, Element, Raw, Type};
use crate::error::{Code, Error, Result};
use crate::limits::FILTER_DEPTH_MAX;
use crate::query::path::Path;

/// What parsing carries along.
pub(super) struct Parser<'s> {
    /// The variables that expressions may use.
    pub(super) scope: &'s mut Scope,
    depth: usize,
    inside: Inside,
}

/// Where a condition stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inside {
    /// In the filter itself, or under its logical operators.
    Filter,
    /// Somewhere in an `$elemMatch`.
    Element,
}

/// An operator under a path: `{path: {name: value}}`.
#[derive(Clone, Copy)]
pub(super) struct Field<'p, 'a> {
    pub(super) path: &'p Path,
    pub(super) name: &'a str,
    pub(super) value: Raw<'a>,
    /// The document the operator stands in.
    pub(super) siblings: Doc<'a>,
}

/// A top-level operator: `{name: value}`.
#[derive(Clone, Copy)]
pub(super) struct Top<'a> {
    pub(super) name: &'a str,
    pub(super) value: Raw<'a>,
}

/// Compiles a whole filter.
pub(super) fn filter(filter: Doc<'_>, scope: &mut Scope) -> Result<Node> {
    Parser { scope, depth: 0, inside: Inside::Filter }.filter(filter)
}

impl Parser<'_> {
    pub(super) fn inside(&self) -> Inside {
        self.inside
    }

    /// Parses one level deeper.
    pub(super) fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= FILTER_DEPTH_MAX {
            let message =
                format!("Exceeded depth limit of {FILTER_DEPTH_MAX} when converting query to tree");
            return Err(bad_value(message));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    /// Parses what stands in an `$elemMatch`.
    pub(super) fn in_element<T>(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let before = std::mem::replace(&mut self.inside, Inside::Element);
        let parsed = self.nested(parse);
        self.inside = before;
        parsed
    }

    /// A document of conditions, all of which have to hold.
    pub(super) fn filter(&mut self, filter: Doc<'_>) -> Result<Node> {
        let mut nodes = Vec::new();
        for element in filter {
            let node = self.condition(element)?;
            match node {
                Node::Always(true) => {}
                node => nodes.push(node),
            }
        }
        Ok(all_of(nodes))
    }

    fn condition(&mut self, element: Element<'_>) -> Result<Node> {
        let (name, value) = (element.name_str(), element.value);
        if name.starts_with('$') && !matches!(name, "$id" | "$ref" | "$db") {
            return self.top_level(Top { name, value });
        }
        let path = Path::parse(name)?;
        if is_operators(value, false) {
            return self.operators(&path, value.as_doc().unwrap_or(Doc::EMPTY));
        }
        match value.kind {
            Type::Regex => {
                Ok(Node::Field { path, test: Test::Regex(Box::new(Regex::from_value(value)?)) })
            }
            _ => equality(path, value, self),
        }
    }

    fn top_level(&mut self, top: Top<'_>) -> Result<Node> {
        match constructor(top.name) {
            Some(Constructor::Top(parse)) => parse(top, self),
            _ if is_unsupported(top.name) => Err(unsupported(top.name)),
            _ if top.name == "$not" => Err(bad_value(
                "unknown top level operator: $not. If you are trying to negate an entire expression, use $nor.",
            )),
            _ => Err(bad_value(format!(
                "unknown top level operator: {}. If you have a field name that starts with a '$' symbol, consider \
                 using $getField or $setField.",
                top.name
            ))),
        }
    }

    /// A document of operators on one path, all of which have to hold.
    pub(super) fn operators(&mut self, path: &Path, siblings: Doc<'_>) -> Result<Node> {
        let mut nodes = Vec::new();
        for element in siblings {
            let name = element.name_str();
            let field = Field { path, name, value: element.value, siblings };
            match constructor(name) {
                Some(Constructor::Field(parse)) => match parse(field, self)? {
                    Node::And(inner) => nodes.extend(inner),
                    Node::Always(true) => {}
                    node => nodes.push(node),
                },
                _ if is_unsupported(name) => return Err(unsupported(name)),
                _ => return Err(bad_value(format!("unknown operator: {name}"))),
            }
        }
        Ok(all_of(nodes))
    }
}

/// A node that needs all of `nodes`.
pub(super) fn all_of(mut nodes: Vec<Node>) -> Node {
    match nodes.len() {
        0 => Node::Always(true),
        1 => nodes.pop().unwrap_or(Node::Always(true)),
        _ => Node::And(nodes),
    }
}

fn constructor(name: &str) -> Option<Constructor> {
    let at = MATCHERS.binary_search_by_key(&name, |row| row.name).ok()?;
    MATCHERS.get(at).map(|row| row.constructor)
}

fn is_unsupported(name: &str) -> bool {
    UNSUPPORTED.binary_search(&name).is_ok()
}

fn unsupported(name: &str) -> Error {
    Error::not_supported(format_args!("The query operator {name}"))
}

/// Whether a value is a document of operators: its first name starts with `$` and it is no reference to a document. A
/// part of a reference is enough if `part_of_reference`.
pub(super) fn is_operators(value: Raw<'_>, part_of_reference: bool) -> bool {
    let Some(doc) = value.as_doc() else { return false };
    if doc.first().is_none_or(|first| first.name.first() != Some(&b'$')) {
        return false;
    }
    let has = |name| doc.get(name).is_some();
    let reference = match part_of_reference {
        true => has("$ref") || has("$id") || has("$db"),
        false => has("$ref") && has("$id"),
    };
    !reference
}

#[cold]
pub(super) fn bad_value(message: impl Into<String>) -> Error {
    Error::new(Code::BAD_VALUE, message)
}

#[cold]
pub(super) fn failed_to_parse(message: impl Into<String>) -> Error {
    Error::new(Code::FAILED_TO_PARSE, message)
}
