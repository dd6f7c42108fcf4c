//! Operators on arrays as sequences: `$slice`, `$range`, `$zip`.

use super::array::{kind_name, streamed, whole_i32};
use super::room::check_room;
use super::{Expression, Frame, Operator, Scope, value_text};
use crate::bson::{ArrayWriter, Raw, Type, Value};
use crate::error::{Error, Result};
use crate::interrupt::spend;
use crate::limits::STAGE_MEMORY_BYTES_MAX;

/// `{$slice: [array, n]}` or `{$slice: [array, position, n]}`.
pub(super) fn slice(args: Vec<Value<'_>>) -> Result<Value<'_>> {
    if args.iter().take(2).any(Value::is_nullish) {
        return Ok(Value::NULL);
    }
    let (Some(array), Some(second)) = (args.first(), args.get(1)) else { return Ok(Value::NULL) };
    let Some(items) = array.as_array() else {
        let found = kind_name(array);
        let message = format!("First argument to $slice must be an array, but is of type: {found}");
        return Err(Error::location(28724, message));
    };
    let number = |value: &Value<'_>, codes: (i32, i32), which: &str| {
        if !value.kind().is_some_and(Type::is_number) {
            let found = kind_name(value);
            let what = if which == "Third" { "numeric" } else { "a numeric value" };
            let message =
                format!("{which} argument to $slice must be {what}, but is of type: {found}");
            return Err(Error::location(codes.0, message));
        }
        whole_i32(value).ok_or_else(|| {
            let found = streamed(value);
            let message = format!(
                "{which} argument to $slice can't be represented as a 32-bit integer: {found}"
            );
            Error::location(codes.1, message)
        })
    };
    let second = i64::from(number(second, (28725, 28726), "Second")?);
    let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let from_end = |position: i64| {
        if position < 0 { (length + position).max(0) } else { position.min(length) }
    };
    let (start, end) = match args.get(2) {
        None if second < 0 => (from_end(second), length),
        None => (0, second.min(length)),
        Some(third) if third.is_nullish() => return Ok(Value::NULL),
        Some(third) => {
            let count = number(third, (28727, 28728), "Third")?;
            if count <= 0 {
                let message = format!("Third argument to $slice must be positive: {count}");
                return Err(Error::location(28729, message));
            }
            let start = from_end(second);
            (start, (start + i64::from(count)).min(length))
        }
    };
    let (start, end) = (start as usize, end as usize);
    let mut part = ArrayWriter::new();
    items.iter().take(end).skip(start).for_each(|raw| part.raw(raw));
    Ok(Value::array(part.into_bytes()))
}

/// `{$range: [start, end, step]}`.
pub(super) fn range(args: Vec<Value<'_>>) -> Result<Value<'_>> {
    let bound = |at: usize, codes: (i32, i32), what: &str| -> Result<i64> {
        let value = args.get(at).unwrap_or(&Value::MISSING);
        if !value.kind().is_some_and(Type::is_number) {
            let found = kind_name(value);
            let message = format!("$range requires a numeric {what}, found value of type: {found}");
            return Err(Error::location(codes.0, message));
        }
        let article = if what.starts_with('e') { "an" } else { "a" };
        whole_i32(value).map(i64::from).ok_or_else(|| {
            let found = value_text(value);
            let what = format!("$range requires {article} {what} that can be represented as a 32-bit integer, found value: ");
            Error::location(codes.1, format!("{what}{found}"))
        })
    };
    let start = bound(0, (34443, 34444), "starting value")?;
    let end = bound(1, (34445, 34446), "ending value")?;
    let step = match args.get(2) {
        None => 1,
        Some(value) if !value.kind().is_some_and(Type::is_number) => {
            let message = format!(
                "$range requires a numeric step value, found value of type:{}",
                kind_name(value)
            );
            return Err(Error::location(34447, message));
        }
        Some(_) => bound(2, (34447, 34448), "step value")?,
    };
    if step == 0 {
        return Err(Error::location(34449, "$range requires a non-zero step value"));
    }
    // MongoDB reckons with the size of its values in memory.
    let count = if (end > start) == (step > 0) { (end - start).unsigned_abs() } else { 0 };
    let bytes = count.div_ceil(step.unsigned_abs()) * 16 + 40;
    if bytes > STAGE_MEMORY_BYTES_MAX as u64 {
        let message = format!(
            "$range would use too much memory ({bytes} bytes) and cannot spill to disk. Memory limit: {STAGE_MEMORY_BYTES_MAX} bytes"
        );
        return Err(Error::new(crate::error::Code::EXCEEDED_MEMORY_LIMIT, message));
    }
    let mut values = ArrayWriter::new();
    let mut at = start;
    while if step > 0 { at < end } else { at > end } {
        values.i32(at as i32);
        at += step;
    }
    Ok(Value::array(values.into_bytes()))
}

#[derive(Debug)]
struct Zip {
    inputs: Vec<Expression>,
    longest: bool,
    defaults: Vec<Expression>,
}

impl Operator for Zip {
    fn eval<'a>(&'a self, frame: &mut Frame<'a>) -> Result<Value<'a>> {
        let mut arrays = Vec::new();
        for input in &self.inputs {
            let value = input.eval(frame)?;
            if value.is_nullish() {
                return Ok(Value::NULL);
            }
            if value.kind() != Some(Type::Array) {
                let message =
                    format!("$zip found a non-array expression in input: {}", value_text(&value));
                return Err(Error::location(34468, message));
            }
            arrays.push(value);
        }
        let defaults =
            self.defaults.iter().map(|default| default.eval(frame)).collect::<Result<Vec<_>>>()?;
        let mut rows: Vec<_> =
            arrays.iter().filter_map(Value::as_array).map(|array| array.iter()).collect();
        let mut zipped = ArrayWriter::new();
        let mut next = Vec::with_capacity(rows.len());
        loop {
            next.clear();
            next.extend(rows.iter_mut().map(Iterator::next));
            let ended = next.iter().filter(|value| value.is_none()).count();
            if ended == rows.len() || (ended > 0 && !self.longest) {
                break;
            }
            let before = zipped.len();
            zipped.array(|tuple| {
                for (row, value) in next.iter().enumerate() {
                    let default = || defaults.get(row).and_then(Value::raw);
                    tuple.raw(value.or_else(default).unwrap_or(Raw::NULL));
                }
            });
            check_room(zipped.len())?;
            spend(zipped.len() - before)?;
        }
        Ok(Value::array(zipped.into_bytes()))
    }
}

/// `{$zip: {inputs: [array, ...], useLongestLength, defaults}}`.
pub(super) fn zip(argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    let Some(doc) = argument.as_doc() else {
        let found = argument.kind.alias();
        let message = format!("$zip only supports an object as an argument, found {found}");
        return Err(Error::location(34460, message));
    };
    let (mut inputs, mut longest, mut defaults) = (Vec::new(), false, Vec::new());
    let mut any_defaults = false;
    let list = |raw: Raw<'_>, code, what: &str, scope: &mut Scope| {
        let Some(array) = raw.as_array() else {
            let found = raw.kind.alias();
            let message = format!("{what} must be an array of expressions, found {found}");
            return Err(Error::location(code, message));
        };
        array.iter().map(|raw| Expression::parse(raw, scope)).collect::<Result<Vec<_>>>()
    };
    for element in doc {
        match element.name {
            b"inputs" => inputs = list(element.value, 34461, "inputs", scope)?,
            // What is no array gives no defaults, but is one more argument.
            b"defaults" if element.value.as_array().is_none() => any_defaults = true,
            b"defaults" => defaults = list(element.value, 34462, "defaults", scope)?,
            b"useLongestLength" => {
                longest = element.value.as_bool().ok_or_else(|| {
                    // MongoDB names the type of the whole argument.
                    Error::location(34463, "useLongestLength must be a bool, found object")
                })?;
            }
            _ => {
                let message = format!("$zip found an unknown argument: {}", element.name_str());
                return Err(Error::location(34464, message));
            }
        }
    }
    if inputs.is_empty() {
        return Err(Error::location(34465, "$zip requires at least one input array"));
    }
    if (any_defaults || !defaults.is_empty()) && !longest {
        let message = "cannot specify defaults unless useLongestLength is true";
        return Err(Error::location(34466, message));
    }
    if !defaults.is_empty() && defaults.len() != inputs.len() {
        return Err(Error::location(34467, "defaults and inputs must have the same length"));
    }
    let constant = inputs.iter().chain(&defaults).all(|arg| arg.as_constant().is_some());
    let zip = Expression::Special(Box::new(Zip { inputs, longest, defaults }));
    Ok(if constant { zip.folding(scope) } else { zip })
}
