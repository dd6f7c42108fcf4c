//! Operators that evaluate an expression for every value of an array: `$map`, `$filter`, `$reduce`.

use super::array::{kind_name, whole_i32};
use super::named::Named;
use super::room::check_room;
use super::{Expression, Frame, Operator, Scope, check_variable_name, is_true};
use crate::aggregate::depth;
use crate::bson::print::computed as value_text;
use crate::bson::{ArrayWriter, Raw, Type, Value};
use crate::error::{Error, Result};
use crate::interrupt::check_round;
use crate::limits::COMMAND_DEPTH_MAX;

/// Calls `visit` for every value of an array until it wants no more: with borrowed ones if the array is, else with copies.
///
/// # Errors
/// What `visit` raises; the interruptions of the command.
fn each<'a>(array: &Value<'a>, mut visit: impl FnMut(Value<'a>) -> Result<bool>) -> Result<()> {
    let borrowed = array.borrowed().and_then(Raw::as_array);
    if let Some(array) = borrowed {
        for (round, raw) in array.iter().enumerate() {
            check_round(round)?;
            if !visit(Value::from(raw))? {
                break;
            }
        }
        return Ok(());
    }
    for (round, raw) in array.as_array().into_iter().flat_map(|array| array.iter()).enumerate() {
        check_round(round)?;
        if !visit(Value::owned(raw.kind, raw.data))? {
            break;
        }
    }
    Ok(())
}

/// The name of the variable for the current value, `this` if it is not given.
fn variable_name<'a>(raw: Option<Raw<'a>>) -> Result<&'a str> {
    let Some(raw) = raw else { return Ok("this") };
    let name = raw.as_str().unwrap_or_default();
    check_variable_name(name)?;
    Ok(name)
}

#[derive(Debug)]
struct Map {
    input: Expression,
    slot: usize,
    body: Expression,
}

impl Operator for Map {
    fn eval<'a>(&'a self, frame: &mut Frame<'a>) -> Result<Value<'a>> {
        let input = self.input.eval(frame)?;
        if input.is_nullish() {
            return Ok(Value::NULL);
        }
        if input.kind() != Some(Type::Array) {
            let message = format!("input to $map must be an array not {}", kind_name(&input));
            return Err(Error::location(16883, message));
        }
        let mut mapped = ArrayWriter::new();
        each(&input, |item| {
            frame.set(self.slot, item);
            let value = self.body.eval(frame)?;
            let raw = value.raw().unwrap_or(Raw::NULL);
            check_room(mapped.len() + raw.data.len())?;
            mapped.raw(raw);
            Ok(true)
        })?;
        Ok(Value::array(mapped.into_bytes()))
    }
}

/// `{$map: {input, as, in}}`.
pub(super) fn map(argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    let Some(doc) = argument.as_doc() else {
        return Err(Error::location(16878, "$map only supports an object as its argument"));
    };
    let unknown =
        |name: &str| Error::location(16879, format!("Unrecognized parameter to $map: {name}"));
    let named = Named::parse(doc, ["input", "as", "in"], unknown)?;
    let input =
        named.required(0, || Error::location(16880, "Missing 'input' parameter to $map"))?;
    let body = named.required(2, || Error::location(16882, "Missing 'in' parameter to $map"))?;
    let input = Expression::parse(input, scope)?;
    let name = variable_name(named.raw(1))?;
    let (slot, body) = scope.with_slots(&[name], |scope| Expression::parse(body, scope))?;
    Ok(Expression::Special(Box::new(Map { input, slot, body })))
}

#[derive(Debug)]
struct Filter {
    input: Expression,
    slot: usize,
    test: Expression,
    limit: Option<Expression>,
}

impl Filter {
    /// How many values to keep at most; `None` for all.
    fn limit<'a>(&'a self, frame: &mut Frame<'a>) -> Result<Option<usize>> {
        let Some(limit) = &self.limit else { return Ok(None) };
        let value = limit.eval(frame)?;
        if value.is_nullish() {
            return Ok(None);
        }
        let Some(limit) = whole_i32(&value) else {
            let what = "$filter: limit must be represented as a 32-bit integral value: ";
            return Err(Error::location(327_391, format!("{what}{}", value_text(&value))));
        };
        match usize::try_from(limit) {
            Ok(limit) if limit > 0 => Ok(Some(limit)),
            _ => {
                let message = format!("$filter: limit must be greater than 0: {limit}");
                Err(Error::location(327_392, message))
            }
        }
    }
}

impl Operator for Filter {
    fn eval<'a>(&'a self, frame: &mut Frame<'a>) -> Result<Value<'a>> {
        let input = self.input.eval(frame)?;
        if input.is_nullish() {
            return Ok(Value::NULL);
        }
        if input.kind() != Some(Type::Array) {
            let message = format!("input to $filter must be an array not {}", kind_name(&input));
            return Err(Error::location(28651, message));
        }
        if input.as_array().is_some_and(|array| array.is_empty()) {
            return Ok(input);
        }
        let limit = self.limit(frame)?.unwrap_or(usize::MAX);
        let mut kept = ArrayWriter::new();
        each(&input, |item| {
            frame.set(self.slot, item);
            if is_true(&self.test.eval(frame)?) {
                kept.raw(frame.get(self.slot).raw().unwrap_or(Raw::NULL));
            }
            Ok(kept.count() < limit)
        })?;
        Ok(Value::array(kept.into_bytes()))
    }
}

/// `{$filter: {input, as, cond, limit}}`.
pub(super) fn filter(argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    let Some(doc) = argument.as_doc() else {
        return Err(Error::location(28646, "$filter only supports an object as its argument"));
    };
    let unknown =
        |name: &str| Error::location(28647, format!("Unrecognized parameter to $filter: {name}"));
    let named = Named::parse(doc, ["input", "as", "cond", "limit"], unknown)?;
    let input =
        named.required(0, || Error::location(28648, "Missing 'input' parameter to $filter"))?;
    let test =
        named.required(2, || Error::location(28650, "Missing 'cond' parameter to $filter"))?;
    let input = Expression::parse(input, scope)?;
    let limit = named.expression(3, scope)?;
    let name = variable_name(named.raw(1))?;
    let (slot, test) = scope.with_slots(&[name], |scope| Expression::parse(test, scope))?;
    Ok(Expression::Special(Box::new(Filter { input, slot, test, limit })))
}

#[derive(Debug)]
struct Reduce {
    input: Expression,
    initial: Expression,
    first: usize,
    body: Expression,
}

impl Operator for Reduce {
    fn eval<'a>(&'a self, frame: &mut Frame<'a>) -> Result<Value<'a>> {
        let input = self.input.eval(frame)?;
        if input.is_nullish() {
            return Ok(Value::NULL);
        }
        if input.kind() != Some(Type::Array) {
            let message =
                format!("$reduce requires that 'input' be an array, found: {}", value_text(&input));
            return Err(Error::location(40080, message));
        }
        let mut value = self.initial.eval(frame)?;
        each(&input, |item| {
            frame.set(self.first, item);
            frame.set(self.first + 1, std::mem::replace(&mut value, Value::MISSING));
            value = self.body.eval(frame)?;
            if let Some(raw) = value.raw() {
                depth::check(raw, COMMAND_DEPTH_MAX)?;
            }
            Ok(true)
        })?;
        Ok(value)
    }
}

/// `{$reduce: {input, initialValue, in}}`.
pub(super) fn reduce(argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    let Some(doc) = argument.as_doc() else {
        let found = argument.kind.alias();
        return Err(Error::location(
            40075,
            format!("$reduce requires an object as an argument, found: {found}"),
        ));
    };
    let unknown =
        |name: &str| Error::location(40076, format!("$reduce found an unknown argument: {name}"));
    let named = Named::parse(doc, ["input", "initialValue", "in"], unknown)?;
    let missing = |code, what| {
        move || Error::location(code, format!("$reduce requires '{what}' to be specified"))
    };
    let input = named.required(0, missing(40077, "input"))?;
    let initial = named.required(1, missing(40078, "initialValue"))?;
    let body = named.required(2, missing(40079, "in"))?;
    let input = Expression::parse(input, scope)?;
    let initial = Expression::parse(initial, scope)?;
    let (first, body) =
        scope.with_slots(&["this", "value"], |scope| Expression::parse(body, scope))?;
    Ok(Expression::Special(Box::new(Reduce { input, initial, first, body })))
}
