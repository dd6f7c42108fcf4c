//! `$and`, `$or`, `$not`.

use super::call::arguments;
use super::{Expression, Frame, Operator, Scope, is_true};
use crate::bson::{Raw, Value};
use crate::error::Result;

/// `$and` and `$or`: arguments are evaluated until one decides.
#[derive(Debug)]
struct Junction {
    decisive: bool,
    args: Vec<Expression>,
}

impl Operator for Junction {
    fn eval<'a>(&'a self, frame: &mut Frame<'a>) -> Result<Value<'a>> {
        for arg in &self.args {
            if is_true(&arg.eval(frame)?) == self.decisive {
                return Ok(Value::bool(self.decisive));
            }
        }
        Ok(Value::bool(!self.decisive))
    }

    fn conjuncts(&self) -> Option<&[Expression]> {
        (!self.decisive).then_some(&self.args)
    }
}

fn junction(decisive: bool, argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    let mut args = arguments(argument, scope)?;
    // A deciding constant decides wherever it stands.
    let decides = |arg: &Expression| arg.as_constant().is_some_and(|v| is_true(v) == decisive);
    if args.iter().any(decides) {
        return Ok(Expression::Constant(Value::bool(decisive)));
    }
    args.retain(|arg| arg.as_constant().is_none());
    if args.is_empty() {
        return Ok(Expression::Constant(Value::bool(!decisive)));
    }
    Ok(Expression::Special(Box::new(Junction { decisive, args })))
}

pub(super) fn and(argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    junction(false, argument, scope)
}

pub(super) fn or(argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    junction(true, argument, scope)
}

pub(super) fn not(value: Value<'_>) -> Result<Value<'_>> {
    Ok(Value::bool(!is_true(&value)))
}
