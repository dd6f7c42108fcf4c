//! Accumulators as expressions: `$sum`, `$avg`, `$min`, `$max`, `$stdDevPop`, `$stdDevSamp` over their arguments or one array,
//! and `$firstN`, `$lastN`, `$minN`, `$maxN`, `$percentile`, `$median` over an array.

use super::arithmetic::to_long;
use super::{Expression, Frame, Operator, Scope, bson_text, value_text};
use crate::aggregate::accumulators::{
    Deviation, Keep, Quantiles, check_n, n_arguments, percentile_arguments,
};
use crate::bson::{ArrayWriter, Number, Raw, Sum, Value};
use crate::collation::ValueOrder;
use crate::error::{Error, Result};

/// Gives every value that counts to `take`: those of a single array argument, else the arguments.
fn each(args: &[Value<'_>], mut take: impl FnMut(Raw<'_>)) {
    match args {
        [only] if only.as_array().is_some() => {
            only.as_array().into_iter().flat_map(|array| array.iter()).for_each(take);
        }
        _ => args.iter().filter_map(Value::raw).for_each(&mut take),
    }
}

fn numbers(args: &[Value<'_>], mut take: impl FnMut(Number)) {
    each(args, |raw| {
        if let Some(number) = Number::from_raw(raw) {
            take(number);
        }
    });
}

pub(super) fn sum(args: Vec<Value<'_>>) -> Result<Value<'_>> {
    let mut sum = Sum::default();
    numbers(&args, |number| sum.add(number));
    Ok(sum.finish().to_value())
}

pub(super) fn avg(args: Vec<Value<'_>>) -> Result<Value<'_>> {
    let mut sum = Sum::default();
    numbers(&args, |number| sum.add(number));
    Ok(sum.mean().map_or(Value::NULL, Number::to_value))
}

fn deviation<'a>(args: &[Value<'a>], mut deviation: Deviation) -> Result<Value<'a>> {
    numbers(args, |number| deviation.push(number));
    Ok(deviation.value())
}

pub(super) fn std_dev_pop(args: Vec<Value<'_>>) -> Result<Value<'_>> {
    deviation(&args, Deviation::population())
}

pub(super) fn std_dev_samp(args: Vec<Value<'_>>) -> Result<Value<'_>> {
    deviation(&args, Deviation::sample())
}

fn extreme<'a>(
    order: &ValueOrder,
    args: &[Value<'a>],
    better: std::cmp::Ordering,
) -> Result<Value<'a>> {
    let mut best: Option<Value<'static>> = None;
    each(args, |raw| {
        let value = Value::from(raw);
        if value.is_nullish() {
            return;
        }
        if best.as_ref().and_then(Value::raw).is_none_or(|best| order.compare(raw, best) == better)
        {
            best = Some(value.into_owned());
        }
    });
    Ok(best.unwrap_or(Value::NULL))
}

pub(super) fn min<'a>(order: &ValueOrder, args: Vec<Value<'a>>) -> Result<Value<'a>> {
    extreme(order, &args, std::cmp::Ordering::Less)
}

pub(super) fn max<'a>(order: &ValueOrder, args: Vec<Value<'a>>) -> Result<Value<'a>> {
    extreme(order, &args, std::cmp::Ordering::Greater)
}

#[derive(Debug)]
struct KeepN {
    keep: Keep,
    order: ValueOrder,
    input: Expression,
    n: Expression,
}

impl Operator for KeepN {
    fn eval<'a>(&'a self, frame: &mut Frame<'a>) -> Result<Value<'a>> {
        let n = self.n.eval(frame)?;
        let whole = Number::from_value(&n).map(|n| Ok::<_, Error>((n, to_long(n)?))).transpose()?;
        if whole.is_some_and(|(n, whole)| n.compare(Number::Int64(whole)).is_ne()) {
            let message =
                format!("Value for 'n' must be of integral type, but found {}", value_text(&n));
            return Err(Error::location(5_787_903, message));
        }
        let n = check_n(&n)?;
        let input = self.input.eval(frame)?;
        let Some(array) = input.as_array() else {
            return Err(Error::location(5_788_200, "Input must be an array"));
        };
        let mut values: Vec<Raw<'_>> = array.iter().collect();
        match self.keep {
            Keep::First => {}
            Keep::Last => drop(values.drain(..values.len().saturating_sub(n))),
            Keep::Smallest | Keep::Largest => {
                values.retain(|raw| !Value::from(*raw).is_nullish());
                values.sort_by(|a, b| self.order.compare(*a, *b));
                if self.keep == Keep::Largest {
                    values.reverse();
                }
            }
        }
        let mut kept = ArrayWriter::new();
        values.into_iter().take(n).for_each(|raw| kept.raw(raw));
        Ok(Value::array(kept.into_bytes()))
    }
}

fn keep_n(name: &'static str, argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    let keep = Keep::of(name);
    if argument.as_doc().is_none() && matches!(keep, Keep::First | Keep::Last) {
        let message =
            format!("specification must be an object; found {name}: {}", bson_text(argument));
        return Err(Error::location(5_787_801, message));
    }
    let (input, n) = n_arguments(name, argument)?;
    // MongoDB evaluates none of these before there is a document.
    let errors = scope.folding_error().cloned();
    let n = Expression::parse(n, scope)?;
    let input = Expression::parse(input, scope)?;
    let constant = n.as_constant().is_some() && input.as_constant().is_some();
    let expression =
        Expression::Special(Box::new(KeepN { keep, order: scope.order().clone(), input, n }));
    scope.restore_folding_error(errors);
    Ok(if constant { expression.folded() } else { expression })
}

pub(super) fn first_n(argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    keep_n("$firstN", argument, scope)
}

pub(super) fn last_n(argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    keep_n("$lastN", argument, scope)
}

pub(super) fn min_n(argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    keep_n("$minN", argument, scope)
}

pub(super) fn max_n(argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    keep_n("$maxN", argument, scope)
}

/// `$percentile`, or `$median` where there are no quantiles.
#[derive(Debug)]
struct Percentile {
    input: Expression,
    quantiles: Option<Vec<f64>>,
}

impl Operator for Percentile {
    fn eval<'a>(&'a self, frame: &mut Frame<'a>) -> Result<Value<'a>> {
        let input = self.input.eval(frame)?;
        let mut numbers = Quantiles::default();
        match input.as_array() {
            Some(array) => array.iter().for_each(|raw| numbers.push(&raw.into())),
            // One number is its own quantile.
            None if Number::from_value(&input).is_some_and(Number::is_nan) => {
                let nan = Value::f64(f64::NAN);
                return Ok(match &self.quantiles {
                    Some(quantiles) => {
                        let mut all = ArrayWriter::new();
                        quantiles.iter().filter_map(|_| nan.raw()).for_each(|nan| all.raw(nan));
                        Value::array(all.into_bytes())
                    }
                    None => nan,
                });
            }
            None => numbers.push(&input),
        }
        Ok(match &self.quantiles {
            Some(quantiles) => numbers.array(quantiles),
            None => numbers.values(&[0.5]).pop().unwrap_or(Value::NULL),
        })
    }
}

fn quantiles(name: &'static str, argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    if argument.as_doc().is_none() {
        let code = if name == "$median" { 7_436_201 } else { 7_436_200 };
        let given = bson_text(argument);
        let message = format!("specification must be an object; found {name}: {given}");
        return Err(Error::location(code, message));
    }
    let (input, quantiles) = percentile_arguments(name, argument, scope)?;
    let input = Expression::parse(input, scope)?;
    Ok(Expression::Special(Box::new(Percentile { input, quantiles })))
}

pub(super) fn percentile(argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    quantiles("$percentile", argument, scope)
}

pub(super) fn median(argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    quantiles("$median", argument, scope)
}
