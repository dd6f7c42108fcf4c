//! `$cmp`, `$eq`, `$ne`, `$gt`, `$gte`, `$lt`, `$lte`, `$in`, `$indexOfArray`: MongoDB's order across all types.

use std::cmp::Ordering;

use super::array::{kind_name, whole_i32};
use crate::bson::Value;
use crate::bson::print::computed as value_text;
use crate::collation::ValueOrder;
use crate::error::{Error, Result};

pub(super) fn cmp<'a>(order: &ValueOrder, a: Value<'a>, b: Value<'a>) -> Result<Value<'a>> {
    Ok(Value::i32(order.compare_values(&a, &b) as i32))
}

macro_rules! comparisons {
    ($($name:ident = $test:path;)*) => {$(
        pub(super) fn $name<'a>(
            order: &ValueOrder,
            a: Value<'a>,
            b: Value<'a>,
        ) -> Result<Value<'a>> {
            let test: fn(Ordering) -> bool = $test;
            Ok(Value::bool(test(order.compare_values(&a, &b))))
        }
    )*};
}

comparisons! {
    gt = Ordering::is_gt;
    gte = Ordering::is_ge;
    lt = Ordering::is_lt;
    lte = Ordering::is_le;
}

fn same(order: &ValueOrder, a: &Value<'_>, b: &Value<'_>) -> bool {
    match (a.raw(), b.raw()) {
        (Some(a), Some(b)) => order.equal(a, b),
        _ => order.compare_values(a, b).is_eq(),
    }
}

pub(super) fn eq<'a>(order: &ValueOrder, a: Value<'a>, b: Value<'a>) -> Result<Value<'a>> {
    Ok(Value::bool(same(order, &a, &b)))
}

pub(super) fn ne<'a>(order: &ValueOrder, a: Value<'a>, b: Value<'a>) -> Result<Value<'a>> {
    Ok(Value::bool(!same(order, &a, &b)))
}

pub(super) fn r#in<'a>(
    order: &ValueOrder,
    value: Value<'a>,
    array: Value<'a>,
) -> Result<Value<'a>> {
    let Some(items) = array.as_array() else {
        let message =
            format!("$in requires an array as a second argument, found: {}", kind_name(&array));
        return Err(Error::location(40081, message));
    };
    let found = value.raw().is_some_and(|value| items.iter().any(|item| order.equal(item, value)));
    Ok(Value::bool(found))
}

/// `{$indexOfArray: [array, value, start, end]}`.
pub(super) fn index_of_array<'a>(order: &ValueOrder, args: Vec<Value<'a>>) -> Result<Value<'a>> {
    let (Some(array), Some(wanted)) = (args.first(), args.get(1)) else { return Ok(Value::NULL) };
    if array.is_nullish() {
        return Ok(Value::NULL);
    }
    let Some(items) = array.as_array() else {
        let what = "$indexOfArray requires an array as a first argument, found: ";
        return Err(Error::location(40090, format!("{what}{}", kind_name(array))));
    };
    let start =
        args.get(2).map(|v| bound("$indexOfArray", "starting", v)).transpose()?.unwrap_or(0);
    let end =
        args.get(3).map(|v| bound("$indexOfArray", "ending", v)).transpose()?.unwrap_or(usize::MAX);
    let found = items.iter().enumerate().take(end).skip(start);
    let mut found =
        found.filter(|(_, item)| wanted.raw().is_some_and(|wanted| order.equal(*item, wanted)));
    Ok(Value::i32(found.next().map_or(-1, |(at, _)| i32::try_from(at).unwrap_or(i32::MAX))))
}

/// A start or end of a search: a non-negative integer.
pub(super) fn bound(name: &str, which: &str, value: &Value<'_>) -> Result<usize> {
    let Some(number) = whole_i32(value) else {
        let (kind, text) = (kind_name(value), value_text(value));
        let message = format!(
            "{name}requires an integral {which} index, found a value of type: {kind}, with value: {text}"
        );
        return Err(Error::location(40096, message));
    };
    usize::try_from(number).map_err(|_| {
        Error::location(
            40097,
            format!("{name} requires a nonnegative {which} index, found: {number}"),
        )
    })
}
