//! `$replaceOne`, `$replaceAll`, `$trim`, `$ltrim`, `$rtrim`.

use super::array::kind_name;
use super::named::Named;
use super::room::check_text;
use super::string::text;
use super::{Expression, Frame, Operator, Scope, value_text};
use crate::bson::{Raw, Value};
use crate::error::{Error, Result};

#[derive(Debug)]
struct Replace {
    name: &'static str,
    input: Expression,
    find: Expression,
    replacement: Expression,
}

impl Operator for Replace {
    fn eval<'a>(&'a self, frame: &mut Frame<'a>) -> Result<Value<'a>> {
        let name = self.name;
        let input = self.input.eval(frame)?;
        let find = self.find.eval(frame)?;
        let replacement = self.replacement.eval(frame)?;
        let wrong = |code, what: &'static str| {
            move |found: String| {
                Error::location(
                    code,
                    format!("{name} requires that '{what}' be a string, found: {found}"),
                )
            }
        };
        // What is no string is refused before nulls are looked at.
        let mut texts = [None; 3];
        let args = [
            (&input, 51746, "input"),
            (&find, 51745, "find"),
            (&replacement, 51744, "replacement"),
        ];
        for ((value, code, what), place) in args.into_iter().zip(&mut texts) {
            if !value.is_nullish() {
                *place = Some(text(value, wrong(code, what))?);
            }
        }
        let [Some(input), Some(find), Some(replacement)] = texts else { return Ok(Value::NULL) };
        if replacement.len() > find.len() {
            let most = if name == "$replaceOne" { 1 } else { usize::MAX };
            let found = input.matches(find).take(most).count();
            let more = found.saturating_mul(replacement.len() - find.len());
            check_text(input.len().saturating_add(more))?;
        }
        let replaced = match name {
            "$replaceOne" => input.replacen(find, replacement, 1),
            _ => input.replace(find, replacement),
        };
        Ok(Value::str(&replaced))
    }
}

fn replace(name: &'static str, argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    let Some(doc) = argument.as_doc() else {
        let found = argument.kind.alias();
        let message = format!("{name} requires an object as an argument, found: {found}");
        return Err(Error::location(51751, message));
    };
    let unknown =
        |field: &str| Error::location(51750, format!("{name} found an unknown argument: {field}"));
    let named = Named::parse(doc, ["input", "find", "replacement"], unknown)?;
    let missing = |code, what| {
        move || Error::location(code, format!("{name} requires '{what}' to be specified"))
    };
    let input = named.required(0, missing(51749, "input"))?;
    let find = named.required(1, missing(51748, "find"))?;
    let replacement = named.required(2, missing(51747, "replacement"))?;
    let input = Expression::parse(input, scope)?;
    let find = Expression::parse(find, scope)?;
    let replacement = Expression::parse(replacement, scope)?;
    // MongoDB computes it for each document, constants or not.
    Ok(Expression::Special(Box::new(Replace { name, input, find, replacement })))
}

pub(super) fn replace_one(argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    replace("$replaceOne", argument, scope)
}

pub(super) fn replace_all(argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    replace("$replaceAll", argument, scope)
}

#[derive(Debug)]
struct Trim {
    name: &'static str,
    input: Expression,
    chars: Option<Expression>,
}

/// What is trimmed if nothing else is given.
fn is_space(c: char) -> bool {
    matches!(
        c,
        '\0' | '\t' | '\n' | '\u{B}' | '\u{C}' | '\r' | ' ' | '\u{A0}' | '\u{1680}' | '\u{2000}'
            ..='\u{200A}'
    )
}

impl Operator for Trim {
    fn eval<'a>(&'a self, frame: &mut Frame<'a>) -> Result<Value<'a>> {
        let name = self.name;
        let input = self.input.eval(frame)?;
        if input.is_nullish() {
            return Ok(Value::NULL);
        }
        let wrong = |code, what: &'static str, value: &Value<'_>| {
            let (found, kind) = (value_text(value), kind_name(value));
            let message = format!(
                "{name} requires {what} to be a string, got {found} (of type {kind}) instead."
            );
            Error::location(code, message)
        };
        let string = text(&input, |_| wrong(50699, "its input", &input))?;
        let chars = match &self.chars {
            None => None,
            Some(chars) => {
                let chars = chars.eval(frame)?;
                if chars.is_nullish() {
                    return Ok(Value::NULL);
                }
                Some(text(&chars, |_| wrong(50700, "'chars'", &chars))?.chars().collect::<Vec<_>>())
            }
        };
        let trims =
            |c: char| chars.as_ref().map_or_else(|| is_space(c), |chars| chars.contains(&c));
        Ok(Value::str(match name {
            "$ltrim" => string.trim_start_matches(trims),
            "$rtrim" => string.trim_end_matches(trims),
            _ => string.trim_start_matches(trims).trim_end_matches(trims),
        }))
    }
}

fn trimming(name: &'static str, argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    let Some(doc) = argument.as_doc() else {
        let found = argument.kind.alias();
        let message = format!("{name} only supports an object as an argument, found {found}");
        return Err(Error::location(50696, message));
    };
    let unknown =
        |field: &str| Error::location(50694, format!("{name} found an unknown argument: {field}"));
    let named = Named::parse(doc, ["input", "chars"], unknown)?;
    let input = named
        .required(0, || Error::location(50695, format!("{name} requires an 'input' field")))?;
    let input = Expression::parse(input, scope)?;
    let chars = named.expression(1, scope)?;
    let constant = input.as_constant().is_some()
        && chars.as_ref().is_none_or(|chars| chars.as_constant().is_some());
    let call = Expression::Special(Box::new(Trim { name, input, chars }));
    Ok(if constant { call.folding(scope) } else { call })
}

pub(super) fn trim(argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    trimming("$trim", argument, scope)
}

pub(super) fn ltrim(argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    trimming("$ltrim", argument, scope)
}

pub(super) fn rtrim(argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    trimming("$rtrim", argument, scope)
}
