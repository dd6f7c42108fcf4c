//! `$inc` and `$mul`.

use super::modifier::{Change, Modifier, Operand, Place};
use crate::bson::{Number, Raw, Value};
use crate::error::{Code, Error, Result};

/// `$inc` or `$mul` by a number.
#[derive(Debug)]
pub(super) struct Arithmetic {
    operation: Operation,
    by: Number,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Inc,
    Mul,
}

impl Arithmetic {
    pub(super) fn inc(operand: &Operand<'_>) -> Result<Arithmetic> {
        Arithmetic::parse(Operation::Inc, operand)
    }

    pub(super) fn mul(operand: &Operand<'_>) -> Result<Arithmetic> {
        Arithmetic::parse(Operation::Mul, operand)
    }

    fn parse(operation: Operation, operand: &Operand<'_>) -> Result<Arithmetic> {
        match Number::from_raw(operand.value) {
            Some(by) => Ok(Arithmetic { operation, by }),
            None => {
                let verb = if operation == Operation::Inc { "increment" } else { "multiply" };
                Err(Error::new(
                    Code::TYPE_MISMATCH,
                    format!("Cannot {verb} with non-numeric argument: {{{}}}", operand.text()),
                ))
            }
        }
    }

    fn name(&self) -> &'static str {
        match self.operation {
            Operation::Inc => "$inc",
            Operation::Mul => "$mul",
        }
    }

    fn run(&self, to: Number) -> Option<Number> {
        match self.operation {
            Operation::Inc => to.checked_add(self.by),
            Operation::Mul => to.checked_mul(self.by),
        }
    }
}

/// Whether a number became another one: of another type, or unequal. A NaN always did.
fn differs(old: Number, new: Number) -> bool {
    old.kind() != new.kind() || new.is_nan() || old.compare(new).is_ne()
}

/// A number as messages of overflow show it.
fn shown(number: Number) -> String {
    match number {
        Number::Int32(v) => format!("(NumberInt){v}"),
        Number::Int64(v) => format!("(NumberLong){v}"),
        Number::Double(v) => format!("(NumberDouble){v}"),
        Number::Decimal(v) => format!("(NumberDecimal){v}"),
    }
}

impl Modifier for Arithmetic {
    fn existing<'a>(&'a self, value: Raw<'a>, place: &Place<'_, 'a>) -> Result<Change<'a>> {
        let Some(old) = Number::from_raw(value) else {
            return Err(Error::new(
                Code::TYPE_MISMATCH,
                format!(
                    "Cannot apply {} to a value of non-numeric type. {{{}}} has the field '{}' of non-numeric type {}",
                    self.name(),
                    place.id(),
                    place.name,
                    value.kind.alias()
                ),
            ));
        };
        match self.run(old) {
            Some(new) if differs(old, new) => Ok(Change::Set(new.to_value())),
            Some(_) => Ok(Change::Keep),
            None => Err(Error::new(
                Code::BAD_VALUE,
                format!(
                    "Failed to apply {} operations to current value ({}) for document {{{}}}",
                    self.name(),
                    shown(old),
                    place.id()
                ),
            )),
        }
    }

    fn missing<'a>(&'a self, _: &Place<'_, 'a>) -> Result<Option<Value<'a>>> {
        let value = match self.operation {
            Operation::Inc => self.by,
            Operation::Mul => self.by.mul(Number::Int32(0)),
        };
        Ok(Some(value.to_value()))
    }
}
