//! `$let`: expressions with variables of their own.

use super::named::Named;
use super::{Expression, Frame, Operator, Scope, check_variable_name};
use crate::bson::{Raw, Value};
use crate::error::{Error, Result};

#[derive(Debug)]
struct Let {
    first: usize,
    values: Vec<Expression>,
    body: Expression,
}

impl Operator for Let {
    fn eval<'a>(&'a self, frame: &mut Frame<'a>) -> Result<Value<'a>> {
        for (i, value) in self.values.iter().enumerate() {
            let value = value.eval(frame)?;
            frame.set(self.first + i, value);
        }
        self.body.eval(frame)
    }
}

/// `{$let: {vars: {name: value, ...}, in: expression}}`. The values do not see each other's names.
pub(super) fn r#let(argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    let Some(doc) = argument.as_doc() else {
        return Err(Error::location(16874, "$let only supports an object as its argument"));
    };
    let unknown =
        |name: &str| Error::location(16875, format!("Unrecognized parameter to $let: {name}"));
    let named = Named::parse(doc, ["vars", "in"], unknown)?;
    let vars = named.required(0, || Error::location(16876, "Missing 'vars' parameter to $let"))?;
    let body = named.required(1, || Error::location(16877, "Missing 'in' parameter to $let"))?;
    let Some(vars) = vars.as_doc() else {
        return Err(Error::location(10065, "invalid parameter: expected an object (vars)"));
    };
    let names: Vec<_> = vars.iter().map(|element| element.name_str()).collect();
    // The slots are reserved before the values are compiled, so that a value's own variables do not overwrite them.
    let (first, (values, body)) = scope.with_slots(&vec!["\0"; names.len()], |scope| {
        let values = vars.iter().map(|e| Expression::parse(e.value, scope));
        let values = values.collect::<Result<Vec<_>>>()?;
        names.iter().try_for_each(|name| check_variable_name(name))?;
        let body = scope.with_aliases(&names, |scope| Expression::parse(body, scope))?;
        Ok((values, body))
    })?;
    Ok(match body {
        Expression::Constant(_) => body,
        body => Expression::Special(Box::new(Let { first, values, body })),
    })
}
