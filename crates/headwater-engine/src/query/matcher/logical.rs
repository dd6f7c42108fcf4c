//! `$and`, `$or`, `$nor`, `$not`, and the conditions that look at no value.

use super::Node;
use super::comparison::{List, Relation};
use super::element::integer;
use super::parse::{Field, Inside, Parser, Top, all_of, bad_value, failed_to_parse, is_operators};
use super::regex::Regex;
use super::test::Test;
use crate::aggregate::expressions::{Expression, is_true};
use crate::bson::{Decimal, Doc, Raw, Type, View};
use crate::error::{Error, Result};

fn branches(top: Top<'_>, parser: &mut Parser<'_>) -> Result<Vec<Node>> {
    let name = top.name;
    let Some(array) = top.value.as_array() else {
        return Err(bad_value(format!("{name} argument must be an array")));
    };
    if array.is_empty() {
        return Err(bad_value(format!("{name} argument must be a non-empty array")));
    }
    let mut nodes = Vec::new();
    for branch in array.iter() {
        let Some(branch) = branch.as_doc() else {
            return Err(bad_value(format!("{name} argument's entries must be objects")));
        };
        nodes.push(parser.nested(|parser| parser.filter(branch))?);
    }
    Ok(nodes)
}

pub(super) fn and(top: Top<'_>, parser: &mut Parser<'_>) -> Result<Node> {
    let mut nodes = Vec::new();
    for node in branches(top, parser)? {
        match node {
            Node::Always(true) => {}
            Node::And(inner) => nodes.extend(inner),
            node => nodes.push(node),
        }
    }
    Ok(all_of(nodes))
}

pub(super) fn or(top: Top<'_>, parser: &mut Parser<'_>) -> Result<Node> {
    let nodes = branches(top, parser)?;
    Ok(one_of(nodes))
}

/// A node that needs one of `nodes`: equalities on one path are one `$in`.
fn one_of(nodes: Vec<Node>) -> Node {
    let Some(Node::Field { path, .. }) = nodes.first() else { return Node::Or(nodes) };
    let mut values = Vec::new();
    for node in &nodes {
        match node {
            Node::Field { path: other, test: Test::Compare(comparison) }
                if other == path && comparison.relation == Relation::Eq =>
            {
                values.push(comparison.operand.clone());
            }
            _ => return Node::Or(nodes),
        }
    }
    match values.len() {
        1 => Node::Or(nodes),
        _ => {
            let test = Test::In(Box::new(List::new(values, Vec::new())));
            Node::Field { path: path.clone(), test }
        }
    }
}

pub(super) fn nor(top: Top<'_>, parser: &mut Parser<'_>) -> Result<Node> {
    Ok(Node::Nor(branches(top, parser)?))
}

pub(super) fn not(field: Field<'_, '_>, parser: &mut Parser<'_>) -> Result<Node> {
    let node = match field.value.kind {
        Type::Regex => Node::Field {
            path: field.path.clone(),
            test: Test::Regex(Box::new(Regex::from_value(field.value)?)),
        },
        Type::Document => {
            let operators = field.value.as_doc().unwrap_or(Doc::EMPTY);
            if operators.is_empty() {
                return Err(bad_value("$not argument must be a non-empty object"));
            }
            parser.nested(|parser| parser.operators(field.path, operators))?
        }
        _ => return Err(bad_value("$not argument must be a regex or an object")),
    };
    Ok(Node::Not(Box::new(node)))
}

pub(super) fn comment(_: Top<'_>, _: &mut Parser<'_>) -> Result<Node> {
    Ok(Node::Always(true))
}

fn require_one(top: Top<'_>) -> Result<()> {
    if integer(top.name, top.value).map_err(failed_to_parse)? == 1 {
        return Ok(());
    }
    Err(failed_to_parse(format!("{} must be an integer value of 1", top.name)))
}

pub(super) fn always_true(top: Top<'_>, _: &mut Parser<'_>) -> Result<Node> {
    require_one(top).map(|()| Node::Always(true))
}

pub(super) fn always_false(top: Top<'_>, _: &mut Parser<'_>) -> Result<Node> {
    require_one(top).map(|()| Node::Always(false))
}

pub(super) fn sample_rate(top: Top<'_>, parser: &mut Parser<'_>) -> Result<Node> {
    if parser.inside() == Inside::Element {
        return Err(bad_value("$sampleRate can only be applied to the top-level document"));
    }
    let rate = match top.value.view() {
        View::Int32(value) => f64::from(value),
        View::Int64(value) => value as f64,
        View::Double(value) => value,
        View::Decimal(bytes) => Decimal::from_bytes(bytes).to_f64(),
        _ => return Err(bad_value("argument to $sampleRate must be a numeric type")),
    };
    if !(0.0..=1.0).contains(&rate) {
        return Err(bad_value("numeric argument to $sampleRate must be in [0, 1]"));
    }
    Ok(match rate {
        1.0 => Node::Always(true),
        0.0 => Node::Always(false),
        rate => Node::Sample(rate),
    })
}

pub(super) fn expr(top: Top<'_>, parser: &mut Parser<'_>) -> Result<Node> {
    if parser.inside() == Inside::Element {
        return Err(bad_value("$expr can only be applied to the top-level document"));
    }
    let expression = Expression::parse(top.value, parser.scope)?;
    Ok(match expression.as_constant() {
        Some(constant) => Node::Always(is_true(constant)),
        None => Node::Expr(Box::new(expression)),
    })
}

/// JavaScript is not run; what is wrong with a `$where` anyway is told all the same.
pub(super) fn js_where(top: Top<'_>, parser: &mut Parser<'_>) -> Result<Node> {
    if parser.inside() == Inside::Element {
        return Err(bad_value("$where can only be applied to the top-level document"));
    }
    match top.value.kind {
        Type::String | Type::Code | Type::CodeWithScope => {
            Err(Error::not_supported("The query operator $where"))
        }
        _ => Err(bad_value("$where got bad type")),
    }
}

/// Whether `$elemMatch`'s argument is about the elements as values, not about their fields.
pub(super) fn is_value_condition(value: Raw<'_>) -> bool {
    let first = value.as_doc().and_then(Doc::first);
    is_operators(value, true) && first.is_some_and(|first| !is_pathless(first.name))
}

/// Whether an operator stands for itself, not under a path.
fn is_pathless(name: &[u8]) -> bool {
    matches!(
        name,
        b"$alwaysFalse"
            | b"$alwaysTrue"
            | b"$and"
            | b"$comment"
            | b"$expr"
            | b"$jsonSchema"
            | b"$nor"
            | b"$or"
            | b"$sampleRate"
            | b"$text"
            | b"$where"
    )
}
