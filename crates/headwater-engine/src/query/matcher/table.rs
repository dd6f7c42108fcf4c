//! The query operators: name and constructor, sorted; and the names that are known but not supported.

use super::parse::{Field, Parser, Top};
use super::{Node, arithmetic, array, bits, comparison, element, logical, regex, schema};
use crate::error::Result;

/// An operator.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Its name, with the `$`.
    pub name: &'static str,
    pub(super) constructor: Constructor,
}

/// How an operator is compiled.
#[derive(Debug, Clone, Copy)]
pub(super) enum Constructor {
    /// One that stands under a path.
    Field(fn(Field<'_, '_>, &mut Parser<'_>) -> Result<Node>),
    /// One that stands beside paths.
    Top(fn(Top<'_>, &mut Parser<'_>) -> Result<Node>),
}

const fn field(
    name: &'static str,
    parse: fn(Field<'_, '_>, &mut Parser<'_>) -> Result<Node>,
) -> Row {
    Row { name, constructor: Constructor::Field(parse) }
}

const fn top(name: &'static str, parse: fn(Top<'_>, &mut Parser<'_>) -> Result<Node>) -> Row {
    Row { name, constructor: Constructor::Top(parse) }
}

/// Every query operator, sorted by name.
pub const MATCHERS: &[Row] = &[
    field("$all", array::all),
    top("$alwaysFalse", logical::always_false),
    top("$alwaysTrue", logical::always_true),
    top("$and", logical::and),
    field("$bitsAllClear", bits::all_clear),
    field("$bitsAllSet", bits::all_set),
    field("$bitsAnyClear", bits::any_clear),
    field("$bitsAnySet", bits::any_set),
    top("$comment", logical::comment),
    field("$elemMatch", array::elem_match),
    field("$eq", comparison::eq),
    field("$exists", element::exists),
    top("$expr", logical::expr),
    field("$gt", comparison::gt),
    field("$gte", comparison::gte),
    field("$in", comparison::is_in),
    top("$jsonSchema", schema::json_schema),
    field("$lt", comparison::lt),
    field("$lte", comparison::lte),
    field("$mod", arithmetic::modulo),
    field("$ne", comparison::ne),
    field("$nin", comparison::not_in),
    top("$nor", logical::nor),
    field("$not", logical::not),
    field("$options", regex::options),
    top("$or", logical::or),
    field("$regex", regex::regex),
    top("$sampleRate", logical::sample_rate),
    field("$size", array::size),
    field("$type", element::of_type),
    top("$where", logical::js_where),
];

/// Query operators of MongoDB that are known but not supported, sorted.
pub const UNSUPPORTED: &[&str] =
    &["$geoIntersects", "$geoWithin", "$near", "$nearSphere", "$text", "$within"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_sorted() {
        assert!(MATCHERS.is_sorted_by_key(|row| row.name));
        assert!(UNSUPPORTED.is_sorted());
    }
}
