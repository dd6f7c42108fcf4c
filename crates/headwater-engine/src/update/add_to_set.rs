//! `$addToSet` with `$each`.

use super::modifier::{Change, Modifier, Operand, Place, nesting};
use super::{splice, text};
use crate::bson::{Array, ArrayWriter, Raw, Value};
use crate::collation::ValueOrder;
use crate::error::{Code, Error, Result};

/// `$addToSet`: appends the values that an array does not have yet.
#[derive(Debug)]
pub(super) struct AddToSet {
    /// The values, each once, as an array.
    values: Vec<u8>,
    depth: usize,
    order: ValueOrder,
}

impl AddToSet {
    pub(super) fn parse(operand: &Operand<'_>) -> Result<AddToSet> {
        let spec = operand.value.as_doc();
        let each = spec.and_then(|spec| spec.first()).filter(|first| first.name == b"$each");
        let mut values = ArrayWriter::new();
        match (each, spec) {
            (Some(each), Some(spec)) => {
                let Some(each) = each.value.as_array() else {
                    return Err(Error::new(
                        Code::TYPE_MISMATCH,
                        format!(
                            "The argument to $each in $addToSet must be an array but it was of type {}",
                            each.value.kind.alias()
                        ),
                    ));
                };
                if spec.iter().nth(1).is_some() {
                    return Err(Error::new(
                        Code::BAD_VALUE,
                        format!(
                            "Found unexpected fields after $each in $addToSet: {}",
                            text::document(spec)
                        ),
                    ));
                }
                distinct(each, &operand.order()).into_iter().for_each(|value| values.raw(value));
            }
            _ => values.raw(operand.value),
        }
        let values = values.into_bytes();
        let depth = nesting(Array::trusted(&values).as_raw());
        Ok(AddToSet { values, depth, order: operand.order() })
    }

    fn values(&self) -> Array<'_> {
        Array::trusted(&self.values)
    }
}

/// The values of an array, of equal ones only the first.
fn distinct<'a>(array: Array<'a>, order: &ValueOrder) -> Vec<Raw<'a>> {
    let mut values: Vec<Raw<'_>> = Vec::new();
    for value in array.iter() {
        if !values.iter().any(|known| order.equal(*known, value)) {
            values.push(value);
        }
    }
    values
}

impl Modifier for AddToSet {
    fn existing<'a>(&'a self, value: Raw<'a>, place: &Place<'_, 'a>) -> Result<Change<'a>> {
        let Some(old) = value.as_array() else {
            return Err(Error::new(
                Code::BAD_VALUE,
                format!(
                    "Cannot apply $addToSet to non-array field. Field named '{}' has non-array type {}",
                    place.name,
                    value.kind.alias()
                ),
            ));
        };
        let mut new: Vec<Raw<'_>> = self.values().iter().collect();
        for element in old.iter() {
            new.retain(|value| !self.order.equal(*value, element));
            if new.is_empty() {
                return Ok(Change::Keep);
            }
        }
        if new.is_empty() {
            return Ok(Change::Keep);
        }
        Ok(Change::Set(splice::append(old, old.len(), new)))
    }

    fn missing<'a>(&'a self, _: &Place<'_, 'a>) -> Result<Option<Value<'a>>> {
        Ok(Some(Value::from(self.values().as_raw())))
    }

    fn depth(&self) -> usize {
        self.depth
    }
}
