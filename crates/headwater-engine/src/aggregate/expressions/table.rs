//! The tables of expression operators: those that are built, and those that are known but not supported.

use super::call::{Call, Function};
use super::{Expression, Scope};
use super::{
    accumulate, arithmetic, array, bind, bitwise, boolean, comparison, conditional, convert, date,
    hashed, iterate, meta, object, random, regex, replace, sequence, set, size, sort_array, string,
    substring, trigonometry,
};
use crate::bson::Raw;
use crate::collation::ValueOrder;
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

const fn two_ordered(
    name: &'static str,
    run: for<'a> fn(
        &ValueOrder,
        crate::bson::Value<'a>,
        crate::bson::Value<'a>,
    ) -> Result<crate::bson::Value<'a>>,
) -> Row {
    Row { name, build: Build::Call(Function::TwoOrdered(run), (2, 2)) }
}

const fn many_ordered(
    name: &'static str,
    count: (usize, usize),
    run: for<'a> fn(&ValueOrder, Vec<crate::bson::Value<'a>>) -> Result<crate::bson::Value<'a>>,
) -> Row {
    Row { name, build: Build::Call(Function::ManyOrdered(run), count) }
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
    one("$abs", arithmetic::abs),
    one("$acos", trigonometry::acos),
    one("$acosh", trigonometry::acosh),
    many("$add", ANY, arithmetic::add),
    one("$allElementsTrue", set::all_elements_true),
    special("$and", boolean::and),
    one("$anyElementTrue", set::any_element_true),
    two("$arrayElemAt", array::array_elem_at),
    one("$arrayToObject", object::array_to_object),
    one("$asin", trigonometry::asin),
    one("$asinh", trigonometry::asinh),
    one("$atan", trigonometry::atan),
    two("$atan2", trigonometry::atan2),
    one("$atanh", trigonometry::atanh),
    many("$avg", ANY, accumulate::avg),
    one("$binarySize", size::binary_size),
    many("$bitAnd", ANY, bitwise::and),
    one("$bitNot", bitwise::not),
    many("$bitOr", ANY, bitwise::or),
    many("$bitXor", ANY, bitwise::xor),
    one("$bsonSize", size::bson_size),
    one("$ceil", arithmetic::ceil),
    two_ordered("$cmp", comparison::cmp),
    many("$concat", ANY, string::concat),
    many("$concatArrays", ANY, array::concat_arrays),
    special("$cond", conditional::cond),
    special("$const", object::literal),
    special("$convert", convert::convert),
    one("$cos", trigonometry::cos),
    one("$cosh", trigonometry::cosh),
    special("$dateAdd", date::add::date_add),
    special("$dateDiff", date::difference::date_diff),
    special("$dateFromParts", date::parts::date_from_parts),
    special("$dateFromString", date::format::date_from_string),
    special("$dateSubtract", date::add::date_subtract),
    special("$dateToParts", date::parts::date_to_parts),
    special("$dateToString", date::format::date_to_string),
    special("$dateTrunc", date::truncate::date_trunc),
    special("$dayOfMonth", date::parts::day_of_month),
    special("$dayOfWeek", date::parts::day_of_week),
    special("$dayOfYear", date::parts::day_of_year),
    one("$degreesToRadians", trigonometry::degrees_to_radians),
    two("$divide", arithmetic::divide),
    two_ordered("$eq", comparison::eq),
    one("$exp", arithmetic::exp),
    special("$filter", iterate::filter),
    one("$first", array::first),
    special("$firstN", accumulate::first_n),
    one("$floor", arithmetic::floor),
    special("$getField", object::get_field),
    two_ordered("$gt", comparison::gt),
    two_ordered("$gte", comparison::gte),
    special("$hour", date::parts::hour),
    special("$ifNull", conditional::if_null),
    two_ordered("$in", comparison::r#in),
    many_ordered("$indexOfArray", (2, 4), comparison::index_of_array),
    many("$indexOfBytes", (2, 4), substring::index_of_bytes),
    many("$indexOfCP", (2, 4), substring::index_of_cp),
    one("$isArray", array::is_array),
    one("$isNumber", size::is_number),
    special("$isoDayOfWeek", date::parts::iso_day),
    special("$isoWeek", date::parts::iso_week_of),
    special("$isoWeekYear", date::parts::iso_week_year),
    one("$last", array::last),
    special("$lastN", accumulate::last_n),
    special("$let", bind::r#let),
    special("$literal", object::literal),
    one("$ln", arithmetic::ln),
    two("$log", arithmetic::log),
    one("$log10", arithmetic::log10),
    two_ordered("$lt", comparison::lt),
    two_ordered("$lte", comparison::lte),
    special("$ltrim", replace::ltrim),
    special("$map", iterate::map),
    many_ordered("$max", ANY, accumulate::max),
    special("$maxN", accumulate::max_n),
    special("$median", accumulate::median),
    many("$mergeObjects", ANY, object::merge_objects),
    special("$meta", meta::meta),
    special("$millisecond", date::parts::millisecond),
    many_ordered("$min", ANY, accumulate::min),
    special("$minN", accumulate::min_n),
    special("$minute", date::parts::minute),
    two("$mod", arithmetic::modulo),
    special("$month", date::parts::month),
    many("$multiply", ANY, arithmetic::multiply),
    two_ordered("$ne", comparison::ne),
    one("$not", boolean::not),
    one("$objectToArray", object::object_to_array),
    special("$or", boolean::or),
    special("$percentile", accumulate::percentile),
    two("$pow", arithmetic::pow),
    one("$radiansToDegrees", trigonometry::radians_to_degrees),
    special("$rand", random::rand),
    many("$range", (2, 3), sequence::range),
    special("$reduce", iterate::reduce),
    special("$regexFind", regex::regex_find),
    special("$regexFindAll", regex::regex_find_all),
    special("$regexMatch", regex::regex_match),
    special("$replaceAll", replace::replace_all),
    special("$replaceOne", replace::replace_one),
    one("$reverseArray", array::reverse_array),
    many("$round", (1, 2), arithmetic::round),
    special("$rtrim", replace::rtrim),
    special("$second", date::parts::second),
    two_ordered("$setDifference", set::set_difference),
    special("$setEquals", set::set_equals),
    special("$setField", object::set_field),
    many_ordered("$setIntersection", ANY, set::set_intersection),
    special("$setIsSubset", set::set_is_subset),
    many_ordered("$setUnion", ANY, set::set_union),
    one("$sin", trigonometry::sin),
    one("$sinh", trigonometry::sinh),
    one("$size", array::size),
    many("$slice", (2, 3), sequence::slice),
    special("$sortArray", sort_array::sort_array),
    two("$split", string::split),
    one("$sqrt", arithmetic::sqrt),
    many("$stdDevPop", ANY, accumulate::std_dev_pop),
    many("$stdDevSamp", ANY, accumulate::std_dev_samp),
    one("$strLenBytes", string::str_len_bytes),
    one("$strLenCP", string::str_len_cp),
    two("$strcasecmp", string::strcasecmp),
    special("$substr", substring::substr),
    many("$substrBytes", (3, 3), substring::substr_bytes),
    many("$substrCP", (3, 3), substring::substr_cp),
    two("$subtract", arithmetic::subtract),
    many("$sum", ANY, accumulate::sum),
    special("$switch", conditional::switch),
    one("$tan", trigonometry::tan),
    one("$tanh", trigonometry::tanh),
    special("$toBool", convert::to_bool),
    special("$toDate", convert::to_date_short),
    special("$toDecimal", convert::to_decimal),
    special("$toDouble", convert::to_double),
    special("$toHashedIndexKey", hashed::to_hashed_index_key),
    special("$toInt", convert::to_int),
    special("$toLong", convert::to_long),
    one("$toLower", string::to_lower),
    special("$toObjectId", convert::to_object_id),
    special("$toString", convert::to_string),
    special("$toUUID", convert::to_uuid),
    one("$toUpper", string::to_upper),
    special("$trim", replace::trim),
    many("$trunc", (1, 2), arithmetic::trunc),
    one("$tsIncrement", size::ts_increment),
    one("$tsSecond", size::ts_second),
    one("$type", size::type_of),
    special("$unsetField", object::unset_field),
    special("$week", date::parts::week),
    special("$year", date::parts::year),
    special("$zip", sequence::zip),
];

/// Operators of MongoDB 8.0 that this version does not have, sorted.
pub static UNSUPPORTED_EXPRESSIONS: &[&str] = &["$function"];
