//! `$firstN`, `$lastN`, `$minN`, `$maxN`.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Accumulator, AccumulatorSpec, check_n, memory_exceeded};
use crate::aggregate::expressions::{Expression, Scope, bson_text};
use crate::bson::{Doc, Raw, Value};
use crate::collation::ValueOrder;
use crate::error::{Error, Result};
use crate::limits::STAGE_MEMORY_BYTES_MAX;

/// Which values are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    First,
    Last,
    Smallest,
    Largest,
}

impl Keep {
    pub(crate) fn of(name: &str) -> Keep {
        match name {
            "$firstN" => Keep::First,
            "$lastN" => Keep::Last,
            "$minN" => Keep::Smallest,
            _ => Keep::Largest,
        }
    }
}

#[derive(Debug)]
struct Spec {
    name: &'static str,
    order: ValueOrder,
    input: Expression,
    n: Expression,
}

/// The arguments `input` and `n` as they stand.
///
/// # Errors
/// 5787801, 5787900, 5787901, 5787906, 5787907.
pub(crate) fn arguments<'a>(name: &str, argument: Raw<'a>) -> Result<(Raw<'a>, Raw<'a>)> {
    let Some(doc) = argument.as_doc() else {
        let message =
            format!("specification must be an object; found {name}: {}", bson_text(argument));
        let code = if matches!(name, "$firstN" | "$lastN") { 5_787_801 } else { 5_787_900 };
        return Err(Error::location(code, message));
    };
    let (mut input, mut n) = (None, None);
    for element in doc {
        match element.name {
            b"input" => input = Some(element.value),
            b"n" => n = Some(element.value),
            _ => {
                let message = format!("Unknown argument for 'n' operator: {}", element.name_str());
                return Err(Error::location(5_787_901, message));
            }
        }
    }
    let n = n.ok_or_else(|| Error::location(5_787_906, "Missing value for 'n'"))?;
    let input = input.ok_or_else(|| Error::location(5_787_907, "Missing value for 'input'"))?;
    Ok((input, n))
}

pub(super) fn parse(
    name: &'static str,
    argument: Raw<'_>,
    scope: &mut Scope,
) -> Result<Arc<dyn AccumulatorSpec>> {
    let (input, n) = arguments(name, argument)?;
    let n = Expression::parse(n, scope)?;
    let order = scope.order().clone();
    Ok(Arc::new(Spec { name, order, input: Expression::parse(input, scope)?, n }))
}

impl AccumulatorSpec for Spec {
    fn input(&self) -> &Expression {
        &self.input
    }

    fn start(&self, id: Doc<'_>) -> Result<super::State> {
        let n = check_n(&self.n.evaluate(id)?)?;
        let (order, values) = (self.order.clone(), VecDeque::new());
        let keep = Keep::of(self.name);
        Ok(super::State::other(Kept { name: self.name, keep, order, n, values, bytes: 0 }))
    }
}

/// The values kept so far; the smallest or largest in order, best first.
struct Kept {
    name: &'static str,
    keep: Keep,
    order: ValueOrder,
    n: usize,
    values: VecDeque<Value<'static>>,
    bytes: usize,
}

fn size(value: &Value<'_>) -> usize {
    size_of::<Value<'_>>() + value.raw().map_or(0, |raw| raw.data.len())
}

impl Accumulator for Kept {
    fn add(&mut self, value: Value<'_>, _: Doc<'_>) -> Result<()> {
        let at = match self.keep {
            Keep::First if self.values.len() >= self.n => return Ok(()),
            Keep::First | Keep::Last => self.values.len(),
            Keep::Smallest | Keep::Largest if value.is_nullish() => return Ok(()),
            Keep::Smallest => {
                self.values.partition_point(|kept| self.order.compare_values(kept, &value).is_le())
            }
            Keep::Largest => {
                self.values.partition_point(|kept| self.order.compare_values(kept, &value).is_ge())
            }
        };
        if at >= self.n && self.keep != Keep::Last {
            return Ok(());
        }
        self.bytes += size(&value);
        self.values.insert(at, value.into_owned());
        if self.values.len() > self.n {
            let dropped = if self.keep == Keep::Last {
                self.values.pop_front()
            } else {
                self.values.pop_back()
            };
            self.bytes -= dropped.map_or(0, |value| size(&value));
        }
        if self.bytes > STAGE_MEMORY_BYTES_MAX {
            return Err(memory_exceeded(self.name));
        }
        Ok(())
    }

    fn finish(&self) -> Result<Value<'static>> {
        Ok(super::collect::array(&self.values))
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}
