//! `$pull` and `$pullAll`.

use super::modifier::{Change, Modifier, Operand, Place, Unreachable};
use crate::bson::{Array, ArrayWriter, Doc, Raw, Type, Value};
use crate::collation::ValueOrder;
use crate::error::{Code, Error, Result};
use crate::query::matcher::{Matcher, SPECIAL, refuse_special};

/// `$pull` or `$pullAll`: removes the array elements that something is true of.
#[derive(Debug)]
pub(super) struct Pull {
    what: What,
    order: ValueOrder,
}

#[derive(Debug)]
enum What {
    /// Elements that equal a value of this array.
    OneOf(Vec<u8>),
    /// Documents that match.
    Documents(Matcher),
    /// Elements that satisfy the condition.
    Condition(Matcher),
}

impl Pull {
    pub(super) fn parse(operand: &Operand<'_>) -> Result<Pull> {
        let value = operand.value;
        let what = match value.kind {
            Type::Document => {
                let condition = Doc::trusted(value.data);
                if condition.first().is_some_and(|first| stands_under_a_path(first.name)) {
                    What::Condition(Matcher::parse_condition(value, &mut operand.scope()?)?)
                } else {
                    refuse_special(condition, &SPECIAL)?;
                    What::Documents(Matcher::parse(condition, &mut operand.scope()?)?)
                }
            }
            Type::Regex => What::Condition(Matcher::parse_condition(value, &mut operand.scope()?)?),
            _ => {
                let mut one = ArrayWriter::new();
                one.raw(value);
                What::OneOf(one.into_bytes())
            }
        };
        Ok(Pull { what, order: operand.order() })
    }

    pub(super) fn parse_all(operand: &Operand<'_>) -> Result<Pull> {
        match operand.value.as_array() {
            Some(values) => {
                let what = What::OneOf(values.as_bytes().to_vec());
                Ok(Pull { what, order: operand.order() })
            }
            None => Err(Error::new(
                Code::BAD_VALUE,
                format!(
                    "$pullAll requires an array argument but was given a {}",
                    operand.value.kind.alias()
                ),
            )),
        }
    }

    fn takes(&self, element: Raw<'_>) -> Result<bool> {
        match &self.what {
            What::OneOf(values) => {
                Ok(Array::trusted(values).iter().any(|value| self.order.equal(value, element)))
            }
            What::Documents(matcher) => match element.as_doc() {
                Some(doc) => matcher.matches(doc),
                None => Ok(false),
            },
            What::Condition(matcher) => matcher.matches_field("", element),
        }
    }
}

/// Whether a name is an operator that stands under a path, such as `$gt`, rather than beside paths, such as `$or`.
fn stands_under_a_path(name: &[u8]) -> bool {
    name.first() == Some(&b'$')
        && !matches!(
            name,
            b"$and"
                | b"$or"
                | b"$nor"
                | b"$not"
                | b"$expr"
                | b"$where"
                | b"$text"
                | b"$comment"
                | b"$alwaysTrue"
                | b"$alwaysFalse"
                | b"$sampleRate"
                | b"$jsonSchema"
                | b"$ref"
                | b"$id"
                | b"$db"
        )
}

impl Modifier for Pull {
    fn existing<'a>(&'a self, value: Raw<'a>, _: &Place<'_, 'a>) -> Result<Change<'a>> {
        let Some(array) = value.as_array() else {
            return Err(Error::new(Code::BAD_VALUE, "Cannot apply $pull to a non-array value"));
        };
        let mut kept = ArrayWriter::new();
        let mut pulled = false;
        for element in array.iter() {
            if self.takes(element)? {
                pulled = true;
            } else {
                kept.raw(element);
            }
        }
        Ok(if pulled { Change::Set(Value::array(kept.into_bytes())) } else { Change::Keep })
    }

    fn missing<'a>(&'a self, _: &Place<'_, 'a>) -> Result<Option<Value<'a>>> {
        Ok(None)
    }

    fn unreachable(&self, _: &Place<'_, '_>) -> Result<Unreachable> {
        Ok(Unreachable::CannotTraverse)
    }
}
