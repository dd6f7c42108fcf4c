//! Operators on arrays that need no order: access, size, concatenation.

use super::room::check_room;
use crate::bson::print::computed as value_text;
use crate::bson::{Array, ArrayWriter, Number, Raw, Type, Value};
use crate::error::{Error, Result};
use crate::interrupt::spend;

/// The type's name as error messages give it, `missing` if there is no value.
pub(super) fn kind_name(value: &Value<'_>) -> &'static str {
    value.kind().map_or("missing", Type::alias)
}

/// A number as MongoDB streams a double: six digits.
pub(super) fn streamed(value: &Value<'_>) -> String {
    let number = Number::from_value(value).map_or(0.0, Number::to_f64);
    let scientific = format!("{number:.5e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let cut = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    match exponent {
        _ if number == 0.0 || !number.is_finite() => value_text(&Value::f64(number)),
        -4..6 => cut(&format!("{number:.*}", usize::try_from(5 - exponent).unwrap_or(0))),
        _ => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{}e{sign}{:02}", cut(mantissa), exponent.abs())
        }
    }
}

/// A part of a value: borrowed if the value is, else copied.
pub(super) fn part<'a>(
    value: &Value<'a>,
    pick: impl for<'r> FnOnce(Raw<'r>) -> Option<Raw<'r>>,
) -> Value<'a> {
    match value.borrowed() {
        Some(raw) => pick(raw).into(),
        None => value
            .raw()
            .and_then(pick)
            .map_or(Value::MISSING, |raw| Value::owned(raw.kind, raw.data)),
    }
}

pub(super) fn is_array(value: Value<'_>) -> Result<Value<'_>> {
    Ok(Value::bool(value.kind() == Some(Type::Array)))
}

pub(super) fn size(value: Value<'_>) -> Result<Value<'_>> {
    match value.as_array() {
        Some(array) => Ok(Value::i32(i32::try_from(array.len()).unwrap_or(i32::MAX))),
        None => {
            let message = format!(
                "The argument to $size must be an array, but was of type: {}",
                kind_name(&value)
            );
            Err(Error::location(17124, message))
        }
    }
}

/// The value at an index counted from the start, or from the end if it is negative.
fn at(array: Array<'_>, index: i64) -> Option<Raw<'_>> {
    let index = match usize::try_from(index) {
        Ok(index) => index,
        Err(_) => array.len().checked_sub(usize::try_from(index.unsigned_abs()).ok()?)?,
    };
    array.get(index)
}

/// The integer that a value is, if it is a whole number of 32 bits.
pub(super) fn whole_i32(value: &Value<'_>) -> Option<i32> {
    super::number::whole_i32(value.raw()?)
}

pub(super) fn array_elem_at<'a>(array: Value<'a>, index: Value<'a>) -> Result<Value<'a>> {
    if array.is_nullish() || index.is_nullish() {
        return Ok(Value::NULL);
    }
    if array.kind() != Some(Type::Array) {
        let message =
            format!("$arrayElemAt's first argument must be an array, but is {}", kind_name(&array));
        return Err(Error::location(28689, message));
    }
    if !index.kind().is_some_and(Type::is_number) {
        let found = kind_name(&index);
        let message =
            format!("$arrayElemAt's second argument must be a numeric value, but is {found}");
        return Err(Error::location(28690, message));
    }
    let Some(index) = whole_i32(&index) else {
        let what = "$arrayElemAt's second argument must be representable as a 32-bit integer: ";
        return Err(Error::location(28691, format!("{what}{}", streamed(&index))));
    };
    Ok(part(&array, |raw| at(raw.as_array()?, i64::from(index))))
}

fn end<'a>(name: &str, array: Value<'a>, index: i64) -> Result<Value<'a>> {
    if array.is_nullish() {
        return Ok(Value::NULL);
    }
    if array.kind() != Some(Type::Array) {
        let message = format!("{name}'s argument must be an array, but is {}", kind_name(&array));
        return Err(Error::location(28689, message));
    }
    Ok(part(&array, |raw| at(raw.as_array()?, index)))
}

pub(super) fn first(array: Value<'_>) -> Result<Value<'_>> {
    end("$first", array, 0)
}

pub(super) fn last(array: Value<'_>) -> Result<Value<'_>> {
    end("$last", array, -1)
}

pub(super) fn concat_arrays(args: Vec<Value<'_>>) -> Result<Value<'_>> {
    let mut joined = ArrayWriter::new();
    for arg in &args {
        if arg.is_nullish() {
            return Ok(Value::NULL);
        }
        let Some(array) = arg.as_array() else {
            let message = format!("$concatArrays only supports arrays, not {}", kind_name(arg));
            return Err(Error::location(28664, message));
        };
        check_room(joined.len() + array.as_bytes().len())?;
        for value in array.iter() {
            spend(value.data.len())?;
            joined.raw(value);
        }
    }
    Ok(Value::array(joined.into_bytes()))
}

pub(super) fn reverse_array(value: Value<'_>) -> Result<Value<'_>> {
    if value.is_nullish() {
        return Ok(Value::NULL);
    }
    let Some(array) = value.as_array() else {
        let message = format!(
            "The argument to $reverseArray must be an array, but was of type: {}",
            kind_name(&value)
        );
        return Err(Error::location(34435, message));
    };
    let values: Vec<_> = array.iter().collect();
    let mut reversed = ArrayWriter::new();
    values.into_iter().rev().for_each(|value| reversed.raw(value));
    Ok(Value::array(reversed.into_bytes()))
}
