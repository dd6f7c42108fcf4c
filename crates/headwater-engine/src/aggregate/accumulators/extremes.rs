//! `$first`, `$last`, `$min`, `$max`.

use std::cmp::Ordering;

use super::Accumulator;
use crate::bson::{Doc, Value};
use crate::collation::ValueOrder;
use crate::error::Result;

fn size(value: Option<&Value<'_>>) -> usize {
    size_of::<Value<'_>>() + value.and_then(Value::raw).map_or(0, |raw| raw.data.len())
}

fn or_null(value: Option<&Value<'static>>) -> Value<'static> {
    value.filter(|value| !value.is_missing()).cloned().unwrap_or(Value::NULL)
}

/// `$first`; a missing value is null.
#[derive(Debug, Default)]
pub(super) struct First(Option<Value<'static>>);

impl Accumulator for First {
    fn add(&mut self, value: Value<'_>, _: Doc<'_>) -> Result<()> {
        if self.0.is_none() {
            self.0 = Some(value.into_owned());
        }
        Ok(())
    }

    fn finish(&self) -> Result<Value<'static>> {
        Ok(or_null(self.0.as_ref()))
    }

    fn bytes(&self) -> usize {
        size(self.0.as_ref())
    }
}

/// `$last`; a missing value is null.
#[derive(Debug, Default)]
pub(super) struct Last(Option<Value<'static>>);

impl Accumulator for Last {
    fn add(&mut self, value: Value<'_>, _: Doc<'_>) -> Result<()> {
        self.0 = Some(value.into_owned());
        Ok(())
    }

    fn finish(&self) -> Result<Value<'static>> {
        Ok(or_null(self.0.as_ref()))
    }

    fn bytes(&self) -> usize {
        size(self.0.as_ref())
    }
}

/// `$min` and `$max`; null and missing do not count.
#[derive(Debug)]
pub(super) struct Extreme {
    order: ValueOrder,
    better: Ordering,
    value: Option<Value<'static>>,
}

impl Extreme {
    pub(super) fn min(order: &ValueOrder) -> Extreme {
        Extreme { order: order.clone(), better: Ordering::Less, value: None }
    }

    pub(super) fn max(order: &ValueOrder) -> Extreme {
        Extreme { order: order.clone(), better: Ordering::Greater, value: None }
    }
}

impl Accumulator for Extreme {
    fn add(&mut self, value: Value<'_>, _: Doc<'_>) -> Result<()> {
        if value.is_nullish() {
            return Ok(());
        }
        let order = |best| self.order.compare_values(&value, best);
        if self.value.as_ref().is_none_or(|best| order(best) == self.better) {
            self.value = Some(value.into_owned());
        }
        Ok(())
    }

    fn finish(&self) -> Result<Value<'static>> {
        Ok(or_null(self.value.as_ref()))
    }

    fn bytes(&self) -> usize {
        size(self.value.as_ref())
    }
}
