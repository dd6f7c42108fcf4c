//! `$set`, `$setOnInsert` and `$unset`.

use super::modifier::{Change, Modifier, Operand, Place, Unreachable, nesting};
use crate::bson::{Raw, Type, Value};
use crate::error::Result;

/// `$set` and `$setOnInsert`.
#[derive(Debug)]
pub(super) struct Set {
    kind: Type,
    data: Box<[u8]>,
    depth: usize,
    on_insert: bool,
}

/// `$unset`.
#[derive(Debug)]
pub(super) struct Unset;

impl Set {
    pub(super) fn parse(operand: &Operand<'_>) -> Result<Set> {
        let Raw { kind, data } = operand.value;
        Ok(Set { kind, data: data.into(), depth: nesting(operand.value), on_insert: false })
    }

    pub(super) fn parse_on_insert(operand: &Operand<'_>) -> Result<Set> {
        Set::parse(operand).map(|set| Set { on_insert: true, ..set })
    }

    fn value(&self) -> Raw<'_> {
        Raw { kind: self.kind, data: &self.data }
    }

    fn applies(&self, place: &Place<'_, '_>) -> bool {
        place.insert || !self.on_insert
    }
}

impl Modifier for Set {
    fn existing<'a>(&'a self, value: Raw<'a>, place: &Place<'_, 'a>) -> Result<Change<'a>> {
        let same = value.kind == self.kind && *value.data == *self.data;
        Ok(if same || !self.applies(place) {
            Change::Keep
        } else {
            Change::Set(self.value().into())
        })
    }

    fn missing<'a>(&'a self, place: &Place<'_, 'a>) -> Result<Option<Value<'a>>> {
        Ok(self.applies(place).then(|| self.value().into()))
    }

    fn unreachable(&self, place: &Place<'_, '_>) -> Result<Unreachable> {
        Ok(if self.applies(place) { Unreachable::CannotCreate } else { Unreachable::Ignored })
    }

    fn depth(&self) -> usize {
        self.depth
    }
}

impl Unset {
    pub(super) fn parse(_: &Operand<'_>) -> Result<Unset> {
        Ok(Unset)
    }
}

impl Modifier for Unset {
    fn existing<'a>(&'a self, _: Raw<'a>, _: &Place<'_, 'a>) -> Result<Change<'a>> {
        Ok(Change::Remove)
    }

    fn missing<'a>(&'a self, _: &Place<'_, 'a>) -> Result<Option<Value<'a>>> {
        Ok(None)
    }

    fn unreachable(&self, _: &Place<'_, '_>) -> Result<Unreachable> {
        Ok(Unreachable::Ignored)
    }
}
