//! `$bitAnd`, `$bitOr`, `$bitXor`, `$bitNot`: int32 stays int32 unless an int64 is among the operands.

use super::array::kind_name;
use crate::bson::{Number, Value, View};
use crate::error::{Code, Error, Result};

fn fold<'a>(
    name: &str,
    start: i64,
    args: &[Value<'a>],
    run: fn(i64, i64) -> i64,
) -> Result<Value<'a>> {
    let mut bits = start;
    let mut long = false;
    for arg in args {
        match arg.view() {
            Some(View::Int32(value)) => bits = run(bits, i64::from(value)),
            Some(View::Int64(value)) => {
                long = true;
                bits = run(bits, value);
            }
            _ if arg.is_nullish() => return Ok(Value::NULL),
            _ => {
                let message = format!("{name} only supports int and long operands.");
                return Err(Error::new(Code::TYPE_MISMATCH, message));
            }
        }
    }
    Ok(if long { Value::i64(bits) } else { Value::i32(bits as i32) })
}

pub(super) fn and(args: Vec<Value<'_>>) -> Result<Value<'_>> {
    fold("$bitAnd", -1, &args, |a, b| a & b)
}

pub(super) fn or(args: Vec<Value<'_>>) -> Result<Value<'_>> {
    fold("$bitOr", 0, &args, |a, b| a | b)
}

pub(super) fn xor(args: Vec<Value<'_>>) -> Result<Value<'_>> {
    fold("$bitXor", 0, &args, |a, b| a ^ b)
}

pub(super) fn not(value: Value<'_>) -> Result<Value<'_>> {
    match value.view() {
        Some(View::Int32(bits)) => Ok(Value::i32(!bits)),
        Some(View::Int64(bits)) => Ok(Value::i64(!bits)),
        _ if value.is_nullish() => Ok(Value::NULL),
        _ if Number::from_value(&value).is_none() => {
            let found = kind_name(&value);
            let message = format!("$bitNot only supports numeric types, not {found}");
            Err(Error::location(28765, message))
        }
        _ => {
            let message =
                format!("$bitNot only supports int and long, not: {}.", kind_name(&value));
            Err(Error::new(Code::TYPE_MISMATCH, message))
        }
    }
}
