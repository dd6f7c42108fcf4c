//! The values that a filter names, from which bounds of indexes are made.

use super::{Canonical, Condition, Test};
use crate::bson::{Array, Raw, Type, Value};

impl Canonical<'_> {
    /// The values that the filter compares with, and those that stand for what is absent or begins an array.
    pub fn values(&self) -> Vec<Value<'static>> {
        let mut values = vec![Value::NULL];
        self.root.values(&mut values);
        values
    }
}

impl Condition<'_> {
    fn values(&self, into: &mut Vec<Value<'static>>) {
        match self {
            Condition::And(inner) | Condition::Or(inner) | Condition::Nor(inner) => {
                inner.iter().for_each(|condition| condition.values(into));
            }
            Condition::Not(inner) => inner.values(into),
            Condition::Field { test, .. } => test.values(into),
            Condition::Always(_) | Condition::Whole { .. } => {}
        }
    }
}

impl Test<'_> {
    fn values(&self, into: &mut Vec<Value<'static>>) {
        match self {
            Test::Compare { value, .. } => push(value.0, into),
            Test::In { values, regexes } => {
                values.iter().for_each(|value| push(value.0, into));
                regexes.iter().for_each(|regex| into.push(regex.to_value()));
            }
            Test::Regex(regex) => into.push(regex.to_value()),
            Test::ElementDoc(inner) | Test::Element(inner) => inner.values(into),
            Test::Exists | Test::Type(_) | Test::Mod(..) | Test::Bits { .. } | Test::Size(_) => {}
        }
    }
}

fn push(raw: Raw<'_>, into: &mut Vec<Value<'static>>) {
    into.push(Value::owned(raw.kind, raw.data));
    if let Some(first) = raw.as_array().into_iter().flat_map(Array::iter).next() {
        into.push(Value::owned(first.kind, first.data));
    }
}

impl super::Pattern<'_> {
    pub(super) fn to_value(&self) -> Value<'static> {
        let data = [self.pattern.as_bytes(), &[0], self.options.as_bytes(), &[0]].concat();
        Value::from_vec(Type::Regex, data)
    }
}
