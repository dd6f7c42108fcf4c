//! `$toHashedIndexKey`.

use super::{Expression, Frame, Operator, Scope};
use crate::bson::{Raw, Value};
use crate::error::Result;
use crate::index::hashed::hash;

#[derive(Debug)]
struct Hashed {
    value: Expression,
}

impl Operator for Hashed {
    fn eval<'a>(&'a self, frame: &mut Frame<'a>) -> Result<Value<'a>> {
        let value = self.value.eval(frame)?;
        Ok(Value::i64(hash(value.raw().unwrap_or(Raw::NULL), None)))
    }
}

/// `{$toHashedIndexKey: value}`: what stands for the value in a hashed index; what is missing counts as null. An array is a
/// value here, not a list of arguments.
pub(super) fn to_hashed_index_key(argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    let value = Expression::parse(argument, scope)?;
    Ok(Expression::Special(Box::new(Hashed { value })))
}
