//! `$all`, `$elemMatch`, `$size`: operators that look at arrays.

use super::Node;
use super::comparison::equality;
use super::element::{integer, text};
use super::logical::is_value_condition;
use super::parse::{Field, Parser, all_of, bad_value, is_operators};
use super::regex::Regex;
use super::test::Test;
use crate::bson::{Doc, Raw, Type};
use crate::error::Result;
use crate::query::path::Path;

pub(super) fn size(field: Field<'_, '_>, _: &mut Parser<'_>) -> Result<Node> {
    let len = integer(field.name, field.value)
        .and_then(|len| match len {
            0.. => Ok(len),
            _ => {
                Err(format!("Expected a non-negative number in: {}", text(field.name, field.value)))
            }
        })
        .map_err(|message| bad_value(format!("Failed to parse $size. {message}")))?;
    Ok(Node::Field { path: field.path.clone(), test: Test::Size(len) })
}

pub(super) fn elem_match(field: Field<'_, '_>, parser: &mut Parser<'_>) -> Result<Node> {
    let Some(condition) = field.value.as_doc() else {
        return Err(bad_value("$elemMatch needs an Object"));
    };
    let test = if is_value_condition(field.value) {
        let path = Path::parse("")?;
        Test::Element(Box::new(parser.in_element(|parser| parser.operators(&path, condition))?))
    } else {
        Test::ElementDoc(Box::new(parser.in_element(|parser| parser.filter(condition))?))
    };
    Ok(Node::Field { path: field.path.clone(), test })
}

pub(super) fn all(field: Field<'_, '_>, parser: &mut Parser<'_>) -> Result<Node> {
    let Some(array) = field.value.as_array() else {
        return Err(bad_value("$all needs an array"));
    };
    let Some(first) = array.get(0) else { return Ok(Node::Always(false)) };
    let element_matches = is_elem_match(first);
    let mut nodes = Vec::new();
    for value in array.iter() {
        let node = match value.kind {
            _ if element_matches => {
                if !is_elem_match(value) {
                    return Err(bad_value("$all/$elemMatch has to be consistent"));
                }
                parser.operators(field.path, value.as_doc().unwrap_or(Doc::EMPTY))?
            }
            Type::Regex => Node::Field {
                path: field.path.clone(),
                test: Test::Regex(Box::new(Regex::from_value(value)?)),
            },
            _ if is_operators(value, false) => {
                return Err(bad_value("no $ expressions in $all"));
            }
            _ => equality(field.path.clone(), value, parser)?,
        };
        nodes.push(node);
    }
    Ok(all_of(nodes))
}

fn is_elem_match(value: Raw<'_>) -> bool {
    value.as_doc().and_then(Doc::first).is_some_and(|first| first.name == b"$elemMatch")
}
