//! The tables of expression operators: those that are built, and those that are known but not supported.

use super::call::{Call, Function};
use super::{Expression, Scope};
use super::{array, bind, boolean, conditional, iterate, object, string};
use crate::bson::Raw;
use crate::error::Result;

/// One operator: its name and how its argument becomes an expression.
#[derive(Debug)]
pub struct Row {
    /// The name with its `$`.
    pub name: &'static str,
    build: Build,
}

#[derive(Debug)]
enum Build {
    Call(Function, (usize, usize)),
    Special(fn(Raw<'_>, &mut Scope) -> Result<Expression>),
}

impl Row {
    /// Compiles the operator with its argument.
    pub(super) fn parse(&self, argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
        match self.build {
            Build::Call(function, count) => {
                Call::parse(self.name, function, count, argument, scope)
            }
            Build::Special(parse) => parse(argument, scope),
        }
    }
}

const ANY: (usize, usize) = (0, usize::MAX);

const fn one(
    name: &'static str,
    run: for<'a> fn(crate::bson::Value<'a>) -> Result<crate::bson::Value<'a>>,
) -> Row {
    Row { name, build: Build::Call(Function::One(run), (1, 1)) }
}

const fn two(
    name: &'static str,
    run: for<'a> fn(
        crate::bson::Value<'a>,
        crate::bson::Value<'a>,
    ) -> Result<crate::bson::Value<'a>>,
) -> Row {
    Row { name, build: Build::Call(Function::Two(run), (2, 2)) }
}

const fn many(
    name: &'static str,
    count: (usize, usize),
    run: for<'a> fn(Vec<crate::bson::Value<'a>>) -> Result<crate::bson::Value<'a>>,
) -> Row {
    Row { name, build: Build::Call(Function::Many(run), count) }
}

const fn special(name: &'static str, parse: fn(Raw<'_>, &mut Scope) -> Result<Expression>) -> Row {
    Row { name, build: Build::Special(parse) }
}

/// Every operator, sorted by name.
pub static EXPRESSIONS: &[Row] = &[
    special("$and", boolean::and),
    two("$arrayElemAt", array::array_elem_at),
    one("$arrayToObject", object::array_to_object),
    many("$concat", ANY, string::concat),
    many("$concatArrays", ANY, array::concat_arrays),
    special("$cond", conditional::cond),
    special("$const", object::literal),
    special("$filter", iterate::filter),
    one("$first", array::first),
    special("$getField", object::get_field),
    special("$ifNull", conditional::if_null),
    one("$isArray", array::is_array),
    one("$last", array::last),
    special("$let", bind::r#let),
    special("$literal", object::literal),
    special("$map", iterate::map),
    many("$mergeObjects", ANY, object::merge_objects),
    one("$not", boolean::not),
    one("$objectToArray", object::object_to_array),
    special("$or", boolean::or),
    special("$reduce", iterate::reduce),
    one("$reverseArray", array::reverse_array),
    special("$setField", object::set_field),
    one("$size", array::size),
    special("$switch", conditional::switch),
    special("$unsetField", object::unset_field),
];

/// Operators of MongoDB 8.0 that this version does not have, sorted.
pub static UNSUPPORTED_EXPRESSIONS: &[&str] = &["$function", "$meta"];
