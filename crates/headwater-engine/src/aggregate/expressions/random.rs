//! `$rand`.

use super::{Expression, Frame, Operator, Scope};
use crate::aggregate::random::Random;
use crate::bson::{Raw, Value};
use crate::error::{Error, Result};

#[derive(Debug)]
struct Rand;

impl Operator for Rand {
    fn eval<'a>(&'a self, _: &mut Frame<'a>) -> Result<Value<'a>> {
        Ok(Value::f64(Random::new().unit()))
    }
}

/// `{$rand: {}}`: from 0 to below 1, another number for every document.
pub(super) fn rand(argument: Raw<'_>, _: &mut Scope) -> Result<Expression> {
    let empty = match (argument.as_doc(), argument.as_array()) {
        (Some(doc), _) => doc.is_empty(),
        (_, Some(array)) => array.is_empty(),
        _ => {
            let message = "invalid parameter: expected an object ($rand)";
            return Err(Error::location(10065, message));
        }
    };
    if !empty {
        return Err(Error::location(3_040_501, "$rand does not currently accept arguments"));
    }
    Ok(Expression::Special(Box::new(Rand)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::expressions::bson_text;
    use crate::bson::Doc;

    #[test]
    fn two_evaluations_differ() {
        let mut scope = Scope::new(None, 0).unwrap();
        let rand = rand(Doc::EMPTY.as_raw(), &mut scope).unwrap();
        let number = || bson_text(rand.evaluate(Doc::EMPTY).unwrap().raw().unwrap());
        assert_ne!(number(), number());
    }
}
