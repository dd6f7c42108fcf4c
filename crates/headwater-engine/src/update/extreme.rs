//! `$min` and `$max`.

use std::cmp::Ordering;

use super::modifier::{Change, Modifier, Operand, Place, nesting};
use crate::bson::{Raw, Type, Value};
use crate::collation::ValueOrder;
use crate::error::Result;

/// `$min` or `$max`: replaces a value by the operand if the operand is smaller or greater.
#[derive(Debug)]
pub(super) struct Extreme {
    replaces_when: Ordering,
    kind: Type,
    data: Box<[u8]>,
    depth: usize,
    order: ValueOrder,
}

impl Extreme {
    pub(super) fn min(operand: &Operand<'_>) -> Result<Extreme> {
        Ok(Extreme::new(Ordering::Less, operand))
    }

    pub(super) fn max(operand: &Operand<'_>) -> Result<Extreme> {
        Ok(Extreme::new(Ordering::Greater, operand))
    }

    fn new(replaces_when: Ordering, operand: &Operand<'_>) -> Extreme {
        let (value, order) = (operand.value, operand.order());
        let depth = nesting(value);
        Extreme { replaces_when, kind: value.kind, data: value.data.into(), depth, order }
    }

    fn value(&self) -> Raw<'_> {
        Raw { kind: self.kind, data: &self.data }
    }
}

impl Modifier for Extreme {
    fn existing<'a>(&'a self, value: Raw<'a>, _: &Place<'_, 'a>) -> Result<Change<'a>> {
        let replaces = self.order.compare(self.value(), value) == self.replaces_when;
        Ok(if replaces { Change::Set(self.value().into()) } else { Change::Keep })
    }

    fn missing<'a>(&'a self, _: &Place<'_, 'a>) -> Result<Option<Value<'a>>> {
        Ok(Some(self.value().into()))
    }

    fn depth(&self) -> usize {
        self.depth
    }
}
