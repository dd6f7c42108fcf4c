//! `$bit`.

use super::modifier::{Change, Modifier, Operand, Place};
use super::text;
use crate::bson::{Number, Raw, Value};
use crate::error::{Code, Error, Result};

/// `$bit`: bitwise operations on an integer, one after the other.
#[derive(Debug)]
pub(super) struct Bit {
    steps: Vec<(Operation, Number)>,
}

#[derive(Debug, Clone, Copy)]
enum Operation {
    And,
    Or,
    Xor,
}

#[cold]
fn bad(what: impl Into<String>) -> Error {
    Error::new(Code::BAD_VALUE, what)
}

impl Bit {
    pub(super) fn parse(operand: &Operand<'_>) -> Result<Bit> {
        let Some(steps) = operand.value.as_doc() else {
            return Err(bad(format!(
                "The $bit modifier is not compatible with a {}. You must pass in an embedded document: \
                 {{$bit: {{field: {{and/or/xor: #}}}}",
                operand.value.kind.alias()
            )));
        };
        let steps = steps.iter().map(|step| {
            let name = step.name_str();
            let operation = match name {
                "and" => Operation::And,
                "or" => Operation::Or,
                "xor" => Operation::Xor,
                _ => {
                    return Err(bad(format!(
                        "The $bit modifier only supports 'and', 'or', and 'xor', not '{name}' which is an unknown \
                         operator: {{{}}}",
                        text::element(name, step.value)
                    )));
                }
            };
            match integer(step.value) {
                Some(by) => Ok((operation, by)),
                None => Err(bad(format!(
                    "The $bit modifier field must be an Integer(32/64 bit); a '{}' is not supported here: {{{}}}",
                    step.value.kind.alias(),
                    text::element(name, step.value)
                ))),
            }
        });
        let steps = steps.collect::<Result<Vec<_>>>()?;
        if steps.is_empty() {
            return Err(bad(
                "You must pass in at least one bitwise operation. The format is: {$bit: {field: {and/or/xor: #}}",
            ));
        }
        Ok(Bit { steps })
    }

    fn run(&self, start: Number) -> Number {
        self.steps.iter().fold(start, |value, (operation, by)| operation.run(value, *by))
    }
}

/// The value if it is an int32 or int64.
fn integer(value: Raw<'_>) -> Option<Number> {
    Number::from_raw(value).filter(|n| matches!(n, Number::Int32(_) | Number::Int64(_)))
}

impl Operation {
    /// An int32 if both are, else an int64.
    fn run(self, a: Number, b: Number) -> Number {
        match (a, b) {
            (Number::Int32(a), Number::Int32(b)) => Number::Int32(match self {
                Operation::And => a & b,
                Operation::Or => a | b,
                Operation::Xor => a ^ b,
            }),
            _ => {
                let [a, b] = [a, b].map(Number::to_i64_saturating);
                Number::Int64(match self {
                    Operation::And => a & b,
                    Operation::Or => a | b,
                    Operation::Xor => a ^ b,
                })
            }
        }
    }
}

impl Modifier for Bit {
    fn existing<'a>(&'a self, value: Raw<'a>, place: &Place<'_, 'a>) -> Result<Change<'a>> {
        let Some(old) = integer(value) else {
            let id = place.root.get("_id").map(|id| text::element("_id", id));
            return Err(bad(format!(
                "Cannot apply $bit to a value of non-integral type.{} has the field {} of non-integer type {}",
                id.as_deref().unwrap_or("INVALID-MUTABLE-ELEMENT"),
                place.name,
                value.kind.alias()
            )));
        };
        let new = self.run(old).to_value();
        let same = new.raw().is_some_and(|new| new.kind == value.kind && new.data == value.data);
        Ok(if same { Change::Keep } else { Change::Set(new) })
    }

    fn missing<'a>(&'a self, _: &Place<'_, 'a>) -> Result<Option<Value<'a>>> {
        Ok(Some(self.run(Number::Int32(0)).to_value()))
    }
}
