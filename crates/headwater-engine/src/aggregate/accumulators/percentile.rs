//! `$percentile` and `$median`. MongoDB's digest is exact for what fits into it; this keeps all numbers and is exact always.

use std::sync::Arc;

use super::{Accumulator, AccumulatorSpec, memory_exceeded};
use crate::aggregate::expressions::{Expression, Scope, bson_text, value_text};
use crate::bson::{ArrayWriter, Doc, Number, Raw, Type, Value};
use crate::error::{Code, Error, Result};
use crate::limits::STAGE_MEMORY_BYTES_MAX;

#[derive(Debug)]
struct Spec {
    name: &'static str,
    input: Expression,
    quantiles: Arc<[f64]>,
}

/// The arguments `input` and `p` as they stand; `$median` has no `p`.
///
/// # Errors
/// 7436100, 40414, 40415, 7750300 to 7750303, 2.
pub(crate) fn arguments<'a>(
    name: &str,
    argument: Raw<'a>,
    scope: &mut Scope,
) -> Result<(Raw<'a>, Option<Vec<f64>>)> {
    use crate::aggregate::pipeline::{expect, missing_field, unknown_field};
    let Some(doc) = argument.as_doc() else {
        let code = if name == "$median" { 7_436_100 } else { 7_429_703 };
        let message =
            format!("specification must be an object; found {name}: {}", bson_text(argument));
        return Err(Error::location(code, message));
    };
    let (mut input, mut p, mut method) = (None, None, None);
    for element in doc {
        match element.name {
            b"input" => input = Some(element.value),
            b"p" if name == "$percentile" => p = Some(element.value),
            b"method" => {
                expect(element.value, Type::String, name, "method")?;
                method = element.value.as_str();
            }
            _ => return Err(unknown_field(name, element.name_str())),
        }
    }
    let input = input.ok_or_else(|| missing_field(name, "input"))?;
    if name == "$percentile" && p.is_none() {
        return Err(missing_field(name, "p"));
    }
    let method = method.ok_or_else(|| missing_field(name, "method"))?;
    let quantiles = p.map(|p| parse_quantiles(p, scope)).transpose()?;
    if method != "approximate" {
        let message = "Currently only 'approximate' can be used as a percentile 'method'.";
        return Err(Error::new(Code::BAD_VALUE, message));
    }
    Ok((input, quantiles))
}

fn parse_quantiles(raw: Raw<'_>, scope: &mut Scope) -> Result<Vec<f64>> {
    let expression = Expression::parse_constant(raw, scope)?;
    let Some(value) = expression.as_constant() else {
        let what =
            "The $percentile 'p' field must be an array of constant values, but found value: ";
        return Err(Error::location(7_750_300, format!("{what}{}.", bson_text(raw))));
    };
    let expected =
        "The $percentile 'p' field must be an array of numbers from [0.0, 1.0], but found: ";
    let Some(array) = value.as_array().filter(|array| !array.is_empty()) else {
        return Err(Error::location(7_750_301, format!("{expected}{}", value_text(value))));
    };
    let quantile = |raw: Raw<'_>| {
        let text = || value_text(&raw.into());
        let number = Number::from_raw(raw)
            .ok_or_else(|| Error::location(7_750_302, format!("{expected}{}", text())))?
            .to_f64();
        match (0.0..=1.0).contains(&number) {
            true => Ok(number),
            false => Err(Error::location(7_750_303, format!("{expected}{}", text()))),
        }
    };
    array.iter().map(quantile).collect()
}

pub(super) fn percentile(
    name: &'static str,
    argument: Raw<'_>,
    scope: &mut Scope,
) -> Result<Arc<dyn AccumulatorSpec>> {
    let (input, quantiles) = arguments(name, argument, scope)?;
    let quantiles = quantiles.unwrap_or_default().into();
    Ok(Arc::new(Spec { name, input: Expression::parse(input, scope)?, quantiles }))
}

pub(super) fn median(
    name: &'static str,
    argument: Raw<'_>,
    scope: &mut Scope,
) -> Result<Arc<dyn AccumulatorSpec>> {
    let (input, _) = arguments(name, argument, scope)?;
    Ok(Arc::new(Spec { name, input: Expression::parse(input, scope)?, quantiles: Arc::new([0.5]) }))
}

impl AccumulatorSpec for Spec {
    fn input(&self) -> &Expression {
        &self.input
    }

    fn start(&self, _: Doc<'_>) -> Result<super::State> {
        let quantiles = Arc::clone(&self.quantiles);
        Ok(super::State::other(State { name: self.name, quantiles, numbers: Quantiles::default() }))
    }
}

struct State {
    name: &'static str,
    quantiles: Arc<[f64]>,
    numbers: Quantiles,
}

/// The numbers whose quantiles are asked.
#[derive(Debug, Default)]
pub(crate) struct Quantiles(Vec<f64>);

impl Quantiles {
    /// Takes a value; what is no number, and NaN, does not count.
    pub(crate) fn push(&mut self, value: &Value<'_>) {
        if let Some(number) = Number::from_value(value).map(Number::to_f64)
            && !number.is_nan()
        {
            self.0.push(number);
        }
    }

    /// The smallest number below or at which the part `p` of all numbers lies, for each `p`.
    pub(crate) fn values(&self, quantiles: &[f64]) -> Vec<Value<'static>> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |p: f64| {
            let rank = (p * sorted.len() as f64).ceil() as usize;
            sorted.get(rank.saturating_sub(1)).map_or(Value::NULL, |&value| Value::f64(value))
        };
        quantiles.iter().map(|&p| at(p)).collect()
    }

    /// As `$percentile` has it: an array.
    pub(crate) fn array(&self, quantiles: &[f64]) -> Value<'static> {
        let mut array = ArrayWriter::new();
        for value in self.values(quantiles) {
            array.raw(value.raw().unwrap_or(Raw::NULL));
        }
        Value::array(array.into_bytes())
    }
}

impl Accumulator for State {
    fn add(&mut self, value: Value<'_>, _: Doc<'_>) -> Result<()> {
        self.numbers.push(&value);
        if self.bytes() > STAGE_MEMORY_BYTES_MAX {
            return Err(memory_exceeded(self.name));
        }
        Ok(())
    }

    fn finish(&self) -> Result<Value<'static>> {
        Ok(match self.name {
            "$median" => self.numbers.values(&self.quantiles).pop().unwrap_or(Value::NULL),
            _ => self.numbers.array(&self.quantiles),
        })
    }

    fn bytes(&self) -> usize {
        self.numbers.0.len() * size_of::<f64>()
    }
}
