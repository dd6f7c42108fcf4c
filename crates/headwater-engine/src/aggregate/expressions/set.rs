//! Operators on arrays as sets: equal values count once, whatever their order.

use std::collections::{HashMap, HashSet};

use super::array::kind_name;
use super::call::{Call, Function, arguments};
use super::{Expression, Scope, raw_is_true};
use crate::bson::{Array, ArrayWriter, Raw, Value};
use crate::collation::ValueOrder;
use crate::error::{Error, Result};
use crate::interrupt::spend;

type Keys = HashSet<Vec<u8>>;

/// What a key costs beside its bytes: it is made, hashed and kept.
const KEY_BYTES: usize = 128;

/// # Errors
/// What interrupts the command.
fn key(order: &ValueOrder, raw: Raw<'_>) -> Result<Vec<u8>> {
    spend(KEY_BYTES + raw.data.len())?;
    Ok(order.key(raw))
}

fn keys(order: &ValueOrder, array: Array<'_>) -> Result<Keys> {
    array.iter().map(|raw| key(order, raw)).collect()
}

/// The different values of an array by their keys: the first of equal ones.
fn values<'a>(order: &ValueOrder, array: Array<'a>) -> Result<HashMap<Vec<u8>, Raw<'a>>> {
    let mut values = HashMap::new();
    for raw in array.iter() {
        values.entry(key(order, raw)?).or_insert(raw);
    }
    Ok(values)
}

pub(super) fn set_union<'a>(order: &ValueOrder, args: Vec<Value<'a>>) -> Result<Value<'a>> {
    if sets(&args, "$setUnion", 17043)? {
        return Ok(Value::NULL);
    }
    let all = args.iter().filter_map(Value::as_array).flat_map(|array| array.iter());
    sorted(order, all.collect())
}

/// Checks that all arguments are arrays up to the first null; tells whether there is a null.
fn sets(args: &[Value<'_>], name: &str, code: i32) -> Result<bool> {
    for arg in args {
        if arg.is_nullish() {
            return Ok(true);
        }
        if arg.as_array().is_none() {
            let what = format!("All operands of {name} must be arrays. One argument is of type: ");
            return Err(Error::location(code, format!("{what}{}", kind_name(arg))));
        }
    }
    Ok(false)
}

/// The different values in MongoDB's order.
fn sorted(order: &ValueOrder, values: Vec<Raw<'_>>) -> Result<Value<'static>> {
    let keyed = values.into_iter().map(|raw| Ok((key(order, raw)?, raw)));
    let mut keyed = keyed.collect::<Result<Vec<_>>>()?;
    keyed.sort_by(|a, b| a.0.cmp(&b.0));
    keyed.dedup_by(|a, b| a.0 == b.0);
    let mut array = ArrayWriter::new();
    keyed.iter().for_each(|(_, raw)| array.raw(*raw));
    Ok(Value::array(array.into_bytes()))
}

pub(super) fn set_intersection<'a>(order: &ValueOrder, args: Vec<Value<'a>>) -> Result<Value<'a>> {
    if sets(&args, "$setIntersection", 17047)? {
        return Ok(Value::NULL);
    }
    let mut sets = args.iter().filter_map(Value::as_array).map(|array| values(order, array));
    let Some(common) = sets.next() else { return sorted(order, Vec::new()) };
    let mut common = common?;
    for other in sets {
        let mut other = other?;
        // The smaller of two sets gives the values that are kept.
        if other.len() < common.len() {
            std::mem::swap(&mut common, &mut other);
        }
        common.retain(|key, _| other.contains_key(key));
    }
    sorted(order, common.into_values().collect())
}

pub(super) fn set_difference<'a>(
    order: &ValueOrder,
    left: Value<'a>,
    right: Value<'a>,
) -> Result<Value<'a>> {
    if left.is_nullish() || right.is_nullish() {
        return Ok(Value::NULL);
    }
    let array = |value: &Value<'_>, code, which: &str| {
        let found = kind_name(value);
        let what = format!(
            "both operands of $setDifference must be arrays. {which} argument is of type: {found}"
        );
        Error::location(code, what)
    };
    let a = left.as_array().ok_or_else(|| array(&left, 17048, "First"))?;
    let b = right.as_array().ok_or_else(|| array(&right, 17049, "Second"))?;
    let mut seen = keys(order, b)?;
    let mut rest = ArrayWriter::new();
    for raw in a.iter() {
        if seen.insert(key(order, raw)?) {
            rest.raw(raw);
        }
    }
    Ok(Value::array(rest.into_bytes()))
}

/// `$setEquals`: constants are looked at before any document is.
pub(super) fn set_equals(argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    let args = arguments(argument, scope)?;
    if args.len() < 2 {
        let message = format!("$setEquals needs at least two arguments had: {}", args.len());
        return Err(Error::location(17045, message));
    }
    let constants = args.iter().enumerate().filter_map(|(at, arg)| Some((at, arg.as_constant()?)));
    for (at, value) in constants {
        if value.as_array().is_none() {
            scope.keep_folding_error(no_array(5_887_502, at, value));
        }
    }
    Call::of("$setEquals", Function::ManyOrdered(are_equal), (2, usize::MAX), args, scope)
}

fn no_array(code: i32, at: usize, found: &Value<'_>) -> Error {
    let (at, found) = (at + 1, kind_name(found));
    let message =
        format!("All operands of $setEquals must be arrays. {at}-th argument is of type: {found}");
    Error::location(code, message)
}

fn are_equal<'a>(order: &ValueOrder, args: Vec<Value<'a>>) -> Result<Value<'a>> {
    let mut first: Option<Keys> = None;
    for (at, arg) in args.iter().enumerate() {
        let Some(array) = arg.as_array() else { return Err(no_array(17044, at, arg)) };
        let keys = keys(order, array)?;
        match &first {
            Some(first) if *first != keys => return Ok(Value::bool(false)),
            Some(_) => {}
            None => first = Some(keys),
        }
    }
    Ok(Value::bool(true))
}

/// `$setIsSubset`: a constant second argument is looked at before any document is.
pub(super) fn set_is_subset(argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    let args = arguments(argument, scope)?;
    if let [Expression::Constant(_), Expression::Constant(_)] = &args[..] {
    } else if let [_, Expression::Constant(value)] = &args[..]
        && value.as_array().is_none()
    {
        scope.keep_folding_error(no_superset(17311, value));
    }
    Call::of("$setIsSubset", Function::TwoOrdered(is_subset), (2, 2), args, scope)
}

fn no_superset(code: i32, found: &Value<'_>) -> Error {
    let found = kind_name(found);
    let what = "both operands of $setIsSubset must be arrays. Second argument is of type: ";
    Error::location(code, format!("{what}{found}"))
}

fn is_subset<'a>(order: &ValueOrder, left: Value<'a>, right: Value<'a>) -> Result<Value<'a>> {
    let a = left.as_array().ok_or_else(|| {
        let found = kind_name(&left);
        let what = "both operands of $setIsSubset must be arrays. First argument is of type: ";
        Error::location(17046, format!("{what}{found}"))
    })?;
    let b = right.as_array().ok_or_else(|| no_superset(17042, &right))?;
    let all = keys(order, b)?;
    for raw in a.iter() {
        if !all.contains(&key(order, raw)?) {
            return Ok(Value::bool(false));
        }
    }
    Ok(Value::bool(true))
}

fn elements<'v>(name: &str, code: i32, value: &'v Value<'_>) -> Result<Array<'v>> {
    value.as_array().ok_or_else(|| {
        Error::location(
            code,
            format!("{name}'s argument must be an array, but is {}", kind_name(value)),
        )
    })
}

pub(super) fn all_elements_true(value: Value<'_>) -> Result<Value<'_>> {
    let array = elements("$allElementsTrue", 17040, &value)?;
    Ok(Value::bool(array.iter().all(raw_is_true)))
}

pub(super) fn any_element_true(value: Value<'_>) -> Result<Value<'_>> {
    let array = elements("$anyElementTrue", 17041, &value)?;
    Ok(Value::bool(array.iter().any(raw_is_true)))
}
