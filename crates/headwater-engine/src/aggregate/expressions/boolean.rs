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
}

fn junction(decisive: bool, argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    let mut args = arguments(argument, scope)?;
    // What comes after a deciding constant is never looked at.
    let decides = |arg: &Expression| arg.as_constant().is_some_and(|v| is_true(v) == decisive);
    if let Some(at) = args.iter().position(decides) {
        args.truncate(at + 1);
    }
    args.retain(|arg| arg.as_constant().is_none_or(|v| is_true(v) == decisive));
    if args.iter().all(|arg| arg.as_constant().is_some()) {
        return Ok(Expression::Constant(Value::bool(if args.is_empty() {
            !decisive
        } else {
            decisive
        })));
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
