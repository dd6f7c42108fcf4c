//! `$mod`.

use super::Node;
use super::parse::{Field, Parser, bad_value};
use super::test::Test;
use crate::bson::{Number, Raw};
use crate::error::Result;

/// `value mod divisor == remainder`, all truncated to integers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Modulo {
    divisor: i64,
    remainder: i64,
}

impl Modulo {
    pub(super) fn matches(self, value: Raw<'_>) -> bool {
        let dividend = Number::from_raw(value).and_then(Number::to_i64_truncated);
        dividend.is_some_and(|dividend| dividend.wrapping_rem(self.divisor) == self.remainder)
    }
}

pub(super) fn modulo(field: Field<'_, '_>, _: &mut Parser<'_>) -> Result<Node> {
    let Some(array) = field.value.as_array() else {
        return Err(bad_value("malformed mod, needs to be an array"));
    };
    let mut values = array.iter();
    let mut operand = |what| {
        let Some(value) = values.next() else {
            return Err(bad_value("malformed mod, not enough elements"));
        };
        Number::from_raw(value)
            .ok_or_else(|| bad_value(format!("malformed mod, {what} not a number")))
    };
    let (divisor, remainder) = (operand("divisor")?, operand("remainder")?);
    if values.next().is_some() {
        return Err(bad_value("malformed mod, too many elements"));
    }
    let divisor = integral("divisor", divisor)?;
    let remainder = integral("remainder", remainder)?;
    if divisor == 0 {
        return Err(bad_value("divisor cannot be 0"));
    }
    let test = Test::Mod(Modulo { divisor, remainder });
    Ok(Node::Field { path: field.path.clone(), test })
}

fn integral(what: &str, number: Number) -> Result<i64> {
    number.to_i64_truncated().ok_or_else(|| {
        let why = match number.is_finite() {
            true => "Out of bounds coercing to integral value",
            false => "Unable to coerce NaN/Inf to integral type",
        };
        bad_value(format!("malformed mod, {what} value is invalid :: caused by :: {why}"))
    })
}
