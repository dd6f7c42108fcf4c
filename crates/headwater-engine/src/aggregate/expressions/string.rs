//! Operators on strings: joining, case, length, comparison, splitting.

use super::array::kind_name;
use super::room::check_text;
use super::{date, value_text};
use crate::bson::print::general;
use crate::bson::{ArrayWriter, Raw, Value, View};
use crate::error::{Error, Result};

/// The text of a value where strings are expected but numbers, dates and timestamps are taken too; null is empty.
///
/// # Errors
/// 16007 for any other type.
pub(super) fn coerced(value: &Value<'_>) -> Result<String> {
    Ok(match value.view() {
        None | Some(View::Null | View::Undefined) => String::new(),
        Some(View::String(text) | View::Symbol(text) | View::Code(text)) => text.to_owned(),
        Some(View::Int32(number)) => number.to_string(),
        Some(View::Int64(number)) => number.to_string(),
        Some(View::Double(number)) => general(number, 6),
        Some(View::Decimal(bytes)) => crate::bson::Decimal::from_bytes(bytes).to_string(),
        Some(View::Date(ms)) => date::iso_text(ms).map_err(|error| {
            error.with_prefix(format_args!("failed while coercing date to string :: caused by :: "))
        })?,
        Some(View::Timestamp(timestamp)) => date::timestamp_text(timestamp),
        Some(_) => {
            let message = format!("can't convert from BSON type {} to String", kind_name(value));
            return Err(Error::location(16007, message));
        }
    })
}

pub(super) fn concat(args: Vec<Value<'_>>) -> Result<Value<'_>> {
    let mut joined = String::new();
    for arg in &args {
        match arg.raw().and_then(Raw::as_str) {
            Some(text) => {
                check_text(joined.len() + text.len())?;
                joined.push_str(text);
            }
            None if arg.is_nullish() => return Ok(Value::NULL),
            None => {
                let message = format!("$concat only supports strings, not {}", kind_name(arg));
                return Err(Error::location(16702, message));
            }
        }
    }
    Ok(Value::str(&joined))
}

pub(super) fn to_lower(value: Value<'_>) -> Result<Value<'_>> {
    Ok(Value::str(&coerced(&value)?.to_ascii_lowercase()))
}

pub(super) fn to_upper(value: Value<'_>) -> Result<Value<'_>> {
    Ok(Value::str(&coerced(&value)?.to_ascii_uppercase()))
}

pub(super) fn strcasecmp<'a>(a: Value<'a>, b: Value<'a>) -> Result<Value<'a>> {
    let (a, b) = (coerced(&a)?.to_ascii_uppercase(), coerced(&b)?.to_ascii_uppercase());
    Ok(Value::i32(a.as_bytes().cmp(b.as_bytes()) as i32))
}

fn count(length: usize) -> Value<'static> {
    Value::i32(i32::try_from(length).unwrap_or(i32::MAX))
}

pub(super) fn str_len_cp(value: Value<'_>) -> Result<Value<'_>> {
    match value.raw().and_then(Raw::as_str) {
        Some(text) => Ok(count(text.chars().count())),
        None => {
            let message =
                format!("$strLenCP requires a string argument, found: {}", kind_name(&value));
            Err(Error::location(34471, message))
        }
    }
}

pub(super) fn str_len_bytes(value: Value<'_>) -> Result<Value<'_>> {
    match value.raw().and_then(Raw::as_str) {
        Some(text) => Ok(count(text.len())),
        None => {
            let message =
                format!("$strLenBytes requires a string argument, found: {}", kind_name(&value));
            Err(Error::location(34473, message))
        }
    }
}

pub(super) fn split<'a>(value: Value<'a>, separator: Value<'a>) -> Result<Value<'a>> {
    if value.is_nullish() || separator.is_nullish() {
        return Ok(Value::NULL);
    }
    let text = |value: &Value<'_>, code, which: &str| {
        let found = kind_name(value);
        let what = "$split requires an expression that evaluates to a string as a";
        Error::location(code, format!("{what} {which} argument, found: {found}"))
    };
    let string = value.raw().and_then(Raw::as_str).ok_or_else(|| text(&value, 40085, "first"))?;
    let by =
        separator.raw().and_then(Raw::as_str).ok_or_else(|| text(&separator, 40086, "second"))?;
    if by.is_empty() {
        return Err(Error::location(40087, "$split requires a non-empty separator"));
    }
    let mut parts = ArrayWriter::new();
    string.split(by).for_each(|part| parts.str(part));
    Ok(Value::array(parts.into_bytes()))
}

/// The text of a value that must be a string.
pub(super) fn text<'v>(
    value: &'v Value<'_>,
    error: impl FnOnce(String) -> Error,
) -> Result<&'v str> {
    value.raw().and_then(Raw::as_str).ok_or_else(|| error(value_text(value)))
}
