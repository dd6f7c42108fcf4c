//! `$bsonSize`, `$binarySize`, `$tsSecond`, `$tsIncrement`, `$type`, `$isNumber`.

use super::array::kind_name;
use crate::bson::{Type, Value, View};
use crate::error::{Error, Result};

fn length(length: usize) -> Value<'static> {
    Value::i32(i32::try_from(length).unwrap_or(i32::MAX))
}

pub(super) fn bson_size(value: Value<'_>) -> Result<Value<'_>> {
    match value.as_doc() {
        Some(doc) => Ok(length(doc.as_bytes().len())),
        None if value.is_nullish() => Ok(Value::NULL),
        None => {
            let message =
                format!("$bsonSize requires a document input, found: {}", kind_name(&value));
            Err(Error::location(31393, message))
        }
    }
}

pub(super) fn binary_size(value: Value<'_>) -> Result<Value<'_>> {
    match value.view() {
        Some(View::String(text)) => Ok(length(text.len())),
        // The old subtype 2 counts with its inner length.
        Some(View::Binary { .. }) => Ok(length(value.raw().map_or(0, |raw| raw.binary().len()))),
        _ if value.is_nullish() => Ok(Value::NULL),
        _ => {
            let what = "$binarySize requires a string or BinData argument, found: ";
            Err(Error::location(51276, format!("{what}{}", kind_name(&value))))
        }
    }
}

fn timestamp<'a>(
    name: &str,
    code: i32,
    value: &Value<'a>,
    part: fn(u64) -> u64,
) -> Result<Value<'a>> {
    match value.view() {
        Some(View::Timestamp(timestamp)) => Ok(Value::i64(part(timestamp) as i64)),
        _ if value.is_nullish() => Ok(Value::NULL),
        _ => {
            let message =
                format!(" Argument to {name} must be a timestamp, but is {}", kind_name(value));
            Err(Error::location(code, message))
        }
    }
}

pub(super) fn ts_second(value: Value<'_>) -> Result<Value<'_>> {
    timestamp("$tsSecond", 5_687_301, &value, |timestamp| timestamp >> 32)
}

pub(super) fn ts_increment(value: Value<'_>) -> Result<Value<'_>> {
    timestamp("$tsIncrement", 5_687_302, &value, |timestamp| timestamp & 0xFFFF_FFFF)
}

pub(super) fn type_of(value: Value<'_>) -> Result<Value<'_>> {
    Ok(Value::str(kind_name(&value)))
}

pub(super) fn is_number(value: Value<'_>) -> Result<Value<'_>> {
    Ok(Value::bool(value.kind().is_some_and(Type::is_number)))
}
