//! `$count`, `$stdDevPop`, `$stdDevSamp`.

use std::sync::Arc;

use super::{Accumulator, AccumulatorSpec, Simple, Sliding, State};
use crate::aggregate::expressions::{Expression, Scope};
use crate::bson::{Doc, Number, Raw, Sum, Value};
use crate::error::{Code, Error, Result};

/// `{$count: {}}` is `{$sum: 1}`.
pub(super) fn count(
    _: &'static str,
    argument: Raw<'_>,
    scope: &mut Scope,
) -> Result<Arc<dyn AccumulatorSpec>> {
    if !argument.as_doc().is_some_and(Doc::is_empty) {
        let message = "$count takes no arguments, i.e. $count:{}";
        return Err(Error::new(Code::TYPE_MISMATCH, message));
    }
    let input = Expression::Constant(Value::i32(1));
    let order = scope.order().clone();
    Ok(Arc::new(Simple { input, order, start: |_| State::Sum(Sum::default()) }))
}

/// `$stdDevPop` and `$stdDevSamp`, by Welford's method.
#[derive(Debug)]
pub(crate) struct Deviation {
    count: u64,
    mean: f64,
    squares: f64,
    finite: bool,
    sample: bool,
}

impl Deviation {
    pub(crate) fn population() -> Deviation {
        Deviation { count: 0, mean: 0.0, squares: 0.0, finite: true, sample: false }
    }

    pub(crate) fn sample() -> Deviation {
        Deviation { sample: true, ..Deviation::population() }
    }

    pub(crate) fn push(&mut self, number: Number) {
        let value = number.to_f64();
        self.finite &= value.is_finite();
        self.count += 1;
        let delta = value - self.mean;
        if delta != 0.0 {
            self.mean += delta / self.count as f64;
            self.squares += delta * (value - self.mean);
        }
    }

    pub(crate) fn value(&self) -> Value<'static> {
        let divisor = if self.sample { self.count.saturating_sub(1) } else { self.count };
        match divisor {
            0 => Value::NULL,
            _ if !self.finite => Value::f64(f64::NAN),
            _ => Value::f64((self.squares / divisor as f64).sqrt()),
        }
    }
}

impl Accumulator for Deviation {
    fn add(&mut self, value: Value<'_>, _: Doc<'_>) -> Result<()> {
        if let Some(number) = Number::from_value(&value) {
            self.push(number);
        }
        Ok(())
    }

    fn finish(&self) -> Result<Value<'static>> {
        Ok(self.value())
    }

    fn bytes(&self) -> usize {
        size_of::<Deviation>()
    }

    fn sliding(&self) -> Option<Sliding> {
        Some(Sliding::deviation(self.sample))
    }
}
