//! `$pop`.

use super::modifier::{Change, Modifier, Operand, Place, Unreachable};
use crate::bson::{ArrayWriter, Number, Raw, Value};
use crate::error::{Code, Error, Result};

/// `$pop`: removes an array's first or last element.
#[derive(Debug)]
pub(super) struct Pop {
    first: bool,
}

impl Pop {
    pub(super) fn parse(operand: &Operand<'_>) -> Result<Pop> {
        let failed = |what: String| Err(Error::new(Code::FAILED_TO_PARSE, what));
        let Some(number) = Number::from_raw(operand.value) else {
            return failed(format!("Expected a number in: {}", operand.text()));
        };
        match number.to_i64_exact() {
            Some(end @ (1 | -1)) => Ok(Pop { first: end < 0 }),
            Some(other) => failed(format!("$pop expects 1 or -1, found: {other}")),
            None => failed(format!("Expected an integer: {}", operand.text())),
        }
    }
}

impl Modifier for Pop {
    fn existing<'a>(&'a self, value: Raw<'a>, place: &Place<'_, 'a>) -> Result<Change<'a>> {
        let Some(array) = value.as_array() else {
            return Err(Error::new(
                Code::TYPE_MISMATCH,
                format!(
                    "Path '{}' contains an element of non-array type '{}'",
                    place.path,
                    value.kind.alias()
                ),
            ));
        };
        let Some(left) = array.len().checked_sub(1) else {
            return Ok(Change::Keep);
        };
        let mut new = ArrayWriter::new();
        array.iter().skip(usize::from(self.first)).take(left).for_each(|value| new.raw(value));
        Ok(Change::Set(Value::array(new.into_bytes())))
    }

    fn missing<'a>(&'a self, _: &Place<'_, 'a>) -> Result<Option<Value<'a>>> {
        Ok(None)
    }

    fn unreachable(&self, _: &Place<'_, '_>) -> Result<Unreachable> {
        Ok(Unreachable::CannotTraverse)
    }
}
