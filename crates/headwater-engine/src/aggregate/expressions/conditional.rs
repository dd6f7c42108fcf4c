//! `$cond`, `$ifNull`, `$switch`.

use super::call::{arguments, wrong_count};
use super::named::Named;
use super::{Expression, Frame, Operator, Scope, is_true};
use crate::bson::{Raw, Type, Value};
use crate::error::{Error, Result};

#[derive(Debug)]
struct Cond {
    test: Expression,
    then: Expression,
    otherwise: Expression,
}

impl Operator for Cond {
    fn eval<'a>(&'a self, frame: &mut Frame<'a>) -> Result<Value<'a>> {
        let branch = if is_true(&self.test.eval(frame)?) { &self.then } else { &self.otherwise };
        branch.eval(frame)
    }
}

/// `{$cond: [if, then, else]}` or `{$cond: {if, then, else}}`.
pub(super) fn cond(argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    let Some(doc) = argument.as_doc() else {
        let args = arguments(argument, scope)?;
        let given = args.len();
        let [test, then, otherwise] =
            <[Expression; 3]>::try_from(args).map_err(|_| wrong_count("$cond", 3, 3, given))?;
        return Ok(chosen(test, then, otherwise));
    };
    let unknown =
        |name: &str| Error::location(17083, format!("Unrecognized parameter to $cond: {name}"));
    let named = Named::parse(doc, ["if", "then", "else"], unknown)?;
    let missing =
        |code, name| move || Error::location(code, format!("Missing '{name}' parameter to $cond"));
    let test = named.required(0, missing(17080, "if"))?;
    let then = named.required(1, missing(17081, "then"))?;
    let otherwise = named.required(2, missing(17082, "else"))?;
    let test = Expression::parse(test, scope)?;
    let then = Expression::parse(then, scope)?;
    Ok(chosen(test, then, Expression::parse(otherwise, scope)?))
}

fn chosen(test: Expression, then: Expression, otherwise: Expression) -> Expression {
    match test.as_constant().map(is_true) {
        Some(true) => then,
        Some(false) => otherwise,
        None => Expression::Special(Box::new(Cond { test, then, otherwise })),
    }
}

#[derive(Debug)]
struct IfNull(Vec<Expression>);

impl Operator for IfNull {
    fn eval<'a>(&'a self, frame: &mut Frame<'a>) -> Result<Value<'a>> {
        let mut value = Value::MISSING;
        for arg in &self.0 {
            value = arg.eval(frame)?;
            if !value.is_nullish() {
                break;
            }
        }
        Ok(value)
    }
}

/// `{$ifNull: [value, ..., replacement]}`.
pub(super) fn if_null(argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    let args = arguments(argument, scope)?;
    if args.len() < 2 {
        let message = format!("$ifNull needs at least two arguments, had: {}", args.len());
        return Err(Error::location(1_257_300, message));
    }
    let mut args = args;
    let is_null = |arg: &Expression| arg.as_constant().is_some_and(Value::is_nullish);
    let nulls = args.iter().take(args.len() - 1).take_while(|arg| is_null(arg)).count();
    args.drain(..nulls);
    if args.first().is_some_and(|arg| arg.as_constant().is_some()) {
        return Ok(args.swap_remove(0));
    }
    let constant = args.iter().all(|arg| arg.as_constant().is_some());
    let expression = Expression::Special(Box::new(IfNull(args)));
    Ok(if constant { expression.folding(scope) } else { expression })
}

#[derive(Debug)]
struct Switch {
    branches: Vec<(Expression, Expression)>,
    default: Option<Expression>,
}

impl Operator for Switch {
    fn eval<'a>(&'a self, frame: &mut Frame<'a>) -> Result<Value<'a>> {
        for (case, then) in &self.branches {
            if is_true(&case.eval(frame)?) {
                return then.eval(frame);
            }
        }
        match &self.default {
            Some(default) => default.eval(frame),
            None => {
                let message = "$switch could not find a matching branch for an input, and no default was specified.";
                Err(Error::location(40066, message))
            }
        }
    }
}

/// `{$switch: {branches: [{case, then}, ...], default}}`.
pub(super) fn switch(argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    let Some(doc) = argument.as_doc() else {
        let found = argument.kind.alias();
        return Err(Error::location(
            40060,
            format!("$switch requires an object as an argument, found: {found}"),
        ));
    };
    let mut branches = Vec::new();
    let mut default = None;
    for element in doc {
        match element.name {
            b"branches" => branches = parse_branches(element.value, scope)?,
            b"default" if default.is_some() => {
                return Err(Error::location(40121, "$switch found more than one default"));
            }
            b"default" => default = Some(Expression::parse(element.value, scope)?),
            _ => {
                let name = element.name_str();
                return Err(Error::location(
                    40067,
                    format!("$switch found an unknown argument: {name}"),
                ));
            }
        }
    }
    if branches.is_empty() {
        return Err(Error::location(40068, "$switch requires at least one branch"));
    }
    branches.retain(|(case, _)| case.as_constant().is_none_or(is_true));
    if branches.is_empty() && default.is_none() {
        let what = "Cannot execute a switch statement where all the cases evaluate to false without a default";
        scope.keep_folding_error(Error::location(40069, what));
    }
    let decided = branches.first().is_none_or(|(case, _)| case.as_constant().is_some());
    if decided && !branches.is_empty() {
        return Ok(branches.swap_remove(0).1);
    }
    Ok(match default {
        Some(default) if decided => default,
        default => Expression::Special(Box::new(Switch { branches, default })),
    })
}

fn parse_branches(raw: Raw<'_>, scope: &mut Scope) -> Result<Vec<(Expression, Expression)>> {
    let Some(array) = raw.as_array() else {
        let found = raw.kind.alias();
        return Err(Error::location(
            40061,
            format!("$switch expected an array for 'branches', found: {found}"),
        ));
    };
    array.iter().map(|branch| parse_branch(branch, scope)).collect()
}

fn parse_branch(raw: Raw<'_>, scope: &mut Scope) -> Result<(Expression, Expression)> {
    if raw.kind != Type::Document {
        let found = raw.kind.alias();
        let message = format!("$switch expected each branch to be an object, found: {found}");
        return Err(Error::location(40062, message));
    }
    let doc = raw.as_doc().unwrap_or(crate::bson::Doc::EMPTY);
    let unknown = |name: &str| {
        Error::location(40063, format!("$switch found an unknown argument to a branch: {name}"))
    };
    let named = Named::parse(doc, ["case", "then"], unknown)?;
    let case = named.required(0, || {
        Error::location(40064, "$switch requires each branch have a 'case' expression")
    })?;
    let then = named.required(1, || {
        Error::location(40065, "$switch requires each branch have a 'then' expression.")
    })?;
    Ok((Expression::parse(case, scope)?, Expression::parse(then, scope)?))
}
