//! `$substrBytes`, `$substrCP`, `$indexOfBytes`, `$indexOfCP`.

use super::arithmetic::to_long;
use super::array::kind_name;
use super::call::{Call, Function};
use super::comparison::bound;
use super::string::coerced;
use super::{Expression, Scope, value_text};
use crate::bson::{Number, Raw, Value};
use crate::error::{Error, Result};

/// `$substr` is an old name of `$substrBytes`.
pub(super) fn substr(argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    Call::parse("$substrBytes", Function::Many(substr_bytes), (3, 3), argument, scope)
}

pub(super) fn substr_bytes(args: Vec<Value<'_>>) -> Result<Value<'_>> {
    let [string, start, length] = &args[..] else { return Ok(Value::NULL) };
    let text = coerced(string)?;
    let number = |value: &Value<'_>, code, what: &str| {
        Number::from_value(value).ok_or_else(|| {
            let found = kind_name(value);
            let message =
                format!("$substrBytes:  {what} must be a numeric type (is BSON type {found})");
            Error::location(code, message)
        })
    };
    let start = number(start, 16034, "starting index")?;
    let length = number(length, 16035, "length")?;
    let (start, length) = (to_long(start)?, to_long(length)?);
    let Ok(start) = usize::try_from(start) else {
        let message = format!("$substrBytes:  starting index must be non-negative (got: {start})");
        return Err(Error::location(50752, message));
    };
    let is_continuation =
        |at: usize| text.as_bytes().get(at).is_some_and(|byte| byte & 0xC0 == 0x80);
    if is_continuation(start) {
        let message = "$substrBytes:  Invalid range, starting index is a UTF-8 continuation byte.";
        return Err(Error::location(28656, message));
    }
    let end = usize::try_from(length).map_or(usize::MAX, |length| start.saturating_add(length));
    if is_continuation(end) {
        let message =
            "$substrBytes:  Invalid range, ending index is in the middle of a UTF-8 character.";
        return Err(Error::location(28657, message));
    }
    let end = end.min(text.len());
    Ok(Value::str(text.get(start.min(end)..end).unwrap_or_default()))
}

pub(super) fn substr_cp(args: Vec<Value<'_>>) -> Result<Value<'_>> {
    let [string, start, length] = &args[..] else { return Ok(Value::NULL) };
    let text = coerced(string)?;
    let whole = |value: &Value<'_>, codes: (i32, i32), what: &str| {
        let Some(number) = Number::from_value(value) else {
            let found = kind_name(value);
            let message =
                format!("$substrCP: {what} must be a numeric type (is BSON type {found})");
            return Err(Error::location(codes.0, message));
        };
        number.to_i32_exact().ok_or_else(|| {
            let found = value_text(value);
            let message = format!(
                "$substrCP: {what} cannot be represented as a 32-bit integral value: {found}"
            );
            Error::location(codes.1, message)
        })
    };
    let start = whole(start, (34450, 34451), "starting index")?;
    let length = whole(length, (34452, 34453), "length")?;
    let Ok(length) = usize::try_from(length) else {
        return Err(Error::location(34454, "$substrCP: length must be a nonnegative integer."));
    };
    let Ok(start) = usize::try_from(start) else {
        return Err(Error::location(
            34455,
            "$substrCP: the starting index must be nonnegative integer.",
        ));
    };
    Ok(Value::str(&text.chars().skip(start).take(length).collect::<String>()))
}

/// String, wanted string, start and end of a search; `None` if there is nothing to search.
fn search<'v>(
    name: &str,
    codes: (i32, i32),
    args: &'v [Value<'_>],
) -> Result<Option<(&'v str, &'v str, usize, usize)>> {
    let (Some(string), Some(wanted)) = (args.first(), args.get(1)) else { return Ok(None) };
    if string.is_nullish() {
        return Ok(None);
    }
    let text = |value: &'v Value<'_>, code, which: &str| {
        value.raw().and_then(Raw::as_str).ok_or_else(|| {
            let found = kind_name(value);
            Error::location(
                code,
                format!("{name} requires a string as the {which} argument, found: {found}"),
            )
        })
    };
    let string = text(string, codes.0, "first")?;
    let wanted = text(wanted, codes.1, "second")?;
    let start = args.get(2).map(|value| bound(name, "starting", value)).transpose()?.unwrap_or(0);
    let end =
        args.get(3).map(|value| bound(name, "ending", value)).transpose()?.unwrap_or(usize::MAX);
    Ok(Some((string, wanted, start, end)))
}

fn found(at: Option<usize>) -> Value<'static> {
    Value::i32(at.and_then(|at| i32::try_from(at).ok()).unwrap_or(-1))
}

pub(super) fn index_of_bytes(args: Vec<Value<'_>>) -> Result<Value<'_>> {
    let Some((string, wanted, start, end)) = search("$indexOfBytes", (40091, 40092), &args)? else {
        return Ok(Value::NULL);
    };
    let bytes = string.as_bytes();
    let Some(part) = bytes.get(start..end.min(bytes.len())) else { return Ok(found(None)) };
    let at = match wanted.is_empty() {
        true => Some(0),
        false => part.windows(wanted.len()).position(|window| window == wanted.as_bytes()),
    };
    Ok(found(at.map(|at| at + start)))
}

pub(super) fn index_of_cp(args: Vec<Value<'_>>) -> Result<Value<'_>> {
    let Some((string, wanted, start, end)) = search("$indexOfCP", (40093, 40094), &args)? else {
        return Ok(Value::NULL);
    };
    if string.is_empty() {
        return Ok(found((wanted.is_empty() && start == 0).then_some(0)));
    }
    let length = string.chars().count();
    let wanted_length = wanted.chars().count();
    let last = end.min(length);
    let starts = string.char_indices().enumerate().skip(start);
    let mut hits =
        starts.take_while(|(at, _)| at + wanted_length <= last).filter(|(_, (offset, _))| {
            string.get(*offset..).is_some_and(|rest| rest.starts_with(wanted))
        });
    Ok(found(hits.next().map(|(at, _)| at)))
}
