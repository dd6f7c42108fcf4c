//! Window functions: accumulators over windows, and the functions that only windows have.

use std::ops::Range;
use std::sync::Arc;

use super::Order;
use super::bounds::Bounds;
use super::series::{self, Covariance, Smoothing};
use crate::aggregate::accumulators::{self, ACCUMULATORS, AccumulatorSpec, Sliding};
use crate::aggregate::expressions::date::unit::{Unit, unknown_unit};
use crate::aggregate::expressions::{Expression, Frame, Scope, bson_text};
use crate::bson::{Doc, DocBuf, Element, Number, Raw, Value};
use crate::error::{Code, Error, Result};
use crate::query::exec::Environment;

/// A parsed window function.
#[derive(Debug)]
pub(in super::super) enum Function {
    /// An accumulator over a window.
    Accumulator(Arc<dyn AccumulatorSpec>, Bounds),
    /// `$rank`, `$denseRank`, `$documentNumber`.
    Rank(Ranking),
    /// `$shift`.
    Shift { output: Expression, by: i64, default: Value<'static> },
    /// `$expMovingAvg`.
    Smooth(Expression, Smoothing),
    /// `$derivative`.
    Derivative(Expression, Option<Unit>, Bounds),
    /// `$integral`.
    Integral(Expression, Option<Unit>, Bounds),
    /// `$covariancePop`, `$covarianceSamp`.
    Covariance { x: Expression, y: Expression, sample: bool, bounds: Bounds },
    /// `$linearFill`.
    LinearFill(Expression),
    /// `$locf`.
    CarryForward(Expression),
}

/// How documents are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Ranking {
    Rank,
    Dense,
    Number,
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(Code::FAILED_TO_PARSE, message)
}

/// Accumulators that are no window functions in MongoDB 8.0.
const NO_WINDOW: [&str; 1] = ["$mergeObjects"];

impl Function {
    /// Parses `field: {$function: argument, window: {...}}`.
    ///
    /// # Errors
    /// 9 mostly.
    pub(super) fn parse(
        element: Element<'_>,
        order: Option<&Order>,
        scope: &mut Scope,
    ) -> Result<Function> {
        let field = element.name_str();
        let Some(doc) = element.value.as_doc() else {
            let found = element.value.kind.alias();
            return Err(invalid(format!("The field '{field}' must be an object, found {found}")));
        };
        let (mut function, mut window) = (None, None);
        for part in doc {
            let name = part.name_str();
            match name {
                "window" => window = Some(part.value),
                _ if name.starts_with('$') && function.is_none() => {
                    function = Some((name, part.value))
                }
                _ if name.starts_with('$') => {
                    return Err(invalid("Cannot specify two functions in window function spec"));
                }
                _ => {
                    return Err(invalid(format!(
                        "Window function found an unknown argument: {name}"
                    )));
                }
            }
        }
        let Some((name, argument)) = function else {
            return Err(invalid("Expected a $-prefixed window function"));
        };
        Function::parse_named(name, argument, window, order, scope)
    }

    /// Parses the function `name` with its argument.
    ///
    /// # Errors
    /// As [`Function::parse`].
    fn parse_named(
        name: &str,
        argument: Raw<'_>,
        window: Option<Raw<'_>>,
        order: Option<&Order>,
        scope: &mut Scope,
    ) -> Result<Function> {
        let bounds = |order| window.map_or(Ok(Bounds::ALL), |window| Bounds::parse(window, order));
        let no_window = || match window {
            Some(_) => Err(invalid(format!("{name} does not accept a 'window' field"))),
            None => Ok(()),
        };
        let one_sort = |code| match order.and_then(Order::only) {
            Some(_) => Ok(()),
            None => {
                let message = format!(
                    "{name} must be specified with a top level sortBy expression with exactly one element"
                );
                Err(Error::location(code, message))
            }
        };
        match name {
            "$rank" | "$denseRank" | "$documentNumber" => {
                no_window().map_err(|_| {
                    Error::location(
                        5_371_601,
                        "Rank style window functions take no other arguments",
                    )
                })?;
                if !argument.as_doc().is_some_and(Doc::is_empty) {
                    let message = format!("{name} must be specified with '{{}}' as the value");
                    return Err(Error::location(5_371_603, message));
                }
                one_sort(5_371_602)?;
                Ok(Function::Rank(match name {
                    "$rank" => Ranking::Rank,
                    "$denseRank" => Ranking::Dense,
                    _ => Ranking::Number,
                }))
            }
            "$shift" => {
                no_window()?;
                if order.is_none() {
                    return Err(invalid("'$shift' requires a sortBy"));
                }
                parse_shift(argument, scope)
            }
            "$expMovingAvg" => {
                no_window()?;
                if order.is_none() {
                    return Err(invalid("$expMovingAvg requires an explicit 'sortBy'"));
                }
                parse_smoothing(argument, scope)
            }
            "$derivative" | "$integral" => {
                let (input, unit) = parse_rate(name, argument, scope)?;
                if order.and_then(Order::only).is_none() {
                    return Err(invalid(format!(
                        "{name} requires a sortBy with exactly one element"
                    )));
                }
                if window.is_none() && name == "$derivative" {
                    return Err(invalid("$derivative requires explicit window bounds"));
                }
                let bounds = bounds(order)?;
                Ok(match name {
                    "$derivative" => Function::Derivative(input, unit, bounds),
                    _ => Function::Integral(input, unit, bounds),
                })
            }
            "$covariancePop" | "$covarianceSamp" => {
                let pair: Vec<Raw<'_>> =
                    argument.as_array().into_iter().flat_map(|array| array.iter()).collect();
                let bounds = bounds(order)?;
                let (x, y) = match pair[..] {
                    [x, y] => (Expression::parse(x, scope)?, Expression::parse(y, scope)?),
                    _ => {
                        // What is no pair has no covariance.
                        Expression::parse(argument, scope)?;
                        (Expression::Constant(Value::NULL), Expression::Constant(Value::NULL))
                    }
                };
                Ok(Function::Covariance { x, y, sample: name == "$covarianceSamp", bounds })
            }
            "$linearFill" => {
                no_window()?;
                one_sort(605_001)?;
                Ok(Function::LinearFill(Expression::parse(argument, scope)?))
            }
            "$locf" => {
                no_window()?;
                Ok(Function::CarryForward(Expression::parse(argument, scope)?))
            }
            "$count" if !argument.as_doc().is_some_and(Doc::is_empty) => {
                Err(invalid("$count only accepts an empty object as input"))
            }
            _ if NO_WINDOW.contains(&name)
                || ACCUMULATORS.binary_search_by_key(&name, |row| row.name).is_err() =>
            {
                Err(invalid(format!("Unrecognized window function, {name}")))
            }
            _ => {
                let bounds = bounds(order)?;
                Ok(Function::Accumulator(accumulators::parse(name, argument, scope)?, bounds))
            }
        }
    }

    /// The function of a method of `$fill`.
    ///
    /// # Errors
    /// As [`Function::parse`].
    pub(in super::super) fn fill(
        method: &str,
        argument: Raw<'_>,
        order: Option<Doc<'_>>,
        scope: &mut Scope,
    ) -> Result<Function> {
        let order = order.map(|spec| Order::parse(spec, scope)).transpose()?;
        let name = if method == "linear" { "$linearFill" } else { "$locf" };
        Function::parse_named(name, argument, None, order.as_ref(), scope)
    }

    /// The value for every document of a partition.
    ///
    /// # Errors
    /// What the expressions and the function raise.
    pub(super) fn compute(
        &self,
        docs: &[DocBuf],
        order: Option<&Order>,
        env: &dyn Environment,
    ) -> Result<Vec<Value<'static>>> {
        let inputs = |expression: &Expression| -> Result<Vec<Value<'static>>> {
            docs.iter()
                .map(|doc| expression.evaluate(doc.as_doc()).map(Value::into_owned))
                .collect()
        };
        let times = || -> Vec<Value<'_>> {
            let path = order.and_then(Order::only);
            docs.iter()
                .map(|doc| path.map_or(Value::MISSING, |path| path.of_doc(doc.as_doc())))
                .collect()
        };
        match self {
            Function::Accumulator(spec, bounds) => accumulate(&**spec, bounds, docs, order, env),
            Function::Rank(ranking) => Ok(series::rank(*ranking, &places(docs, order)?)),
            Function::Shift { output, by, default } => {
                let values = inputs(output)?;
                let at = |i: usize| usize::try_from(i as i64 + by).ok().and_then(|i| values.get(i));
                let or_null = |value: &Value<'static>| match value.is_missing() {
                    true => Value::NULL,
                    false => value.clone(),
                };
                Ok((0..docs.len())
                    .map(|i| at(i).map_or_else(|| default.clone(), or_null))
                    .collect())
            }
            Function::Smooth(input, smoothing) => Ok(smoothing.run(&inputs(input)?)),
            Function::Derivative(input, unit, bounds) => {
                let (values, times) = (inputs(input)?, times());
                let windows = bounds.windows(docs, order)?;
                windows
                    .into_iter()
                    .map(|window| series::derivative(&times, &values, window, *unit))
                    .collect()
            }
            Function::Integral(input, unit, bounds) => {
                let (values, times) = (inputs(input)?, times());
                let windows = bounds.windows(docs, order)?;
                windows
                    .into_iter()
                    .map(|window| series::integral(&times, &values, window, *unit))
                    .collect()
            }
            Function::Covariance { x, y, sample, bounds } => {
                let (x, y) = (inputs(x)?, inputs(y)?);
                let pairs: Vec<_> = x.into_iter().zip(y).collect();
                let covariance = Covariance::new(*sample);
                slide(covariance, &pairs, bounds.windows(docs, order)?, env)
            }
            Function::LinearFill(input) => series::linear_fill(&times(), inputs(input)?),
            Function::CarryForward(input) => Ok(series::carry_forward(inputs(input)?)),
        }
    }
}

/// The encoded places of documents in the order.
fn places(docs: &[DocBuf], order: Option<&Order>) -> Result<Vec<Vec<u8>>> {
    let place = |doc: &DocBuf| {
        let mut key = Vec::new();
        if let Some(order) = order {
            order.pattern.write_key(doc.as_doc(), &mut key)?;
        }
        Ok(key)
    };
    docs.iter().map(place).collect()
}

/// What is computed of a window by what comes and goes.
trait Slides {
    type Item;
    /// What an empty window has.
    fn clear(&mut self);
    fn add(&mut self, item: &Self::Item);
    fn remove(&mut self, item: &Self::Item);
    fn value(&self) -> Value<'static>;
}

impl Slides for Sliding {
    type Item = Value<'static>;

    fn clear(&mut self) {
        self.clear();
    }

    fn add(&mut self, item: &Value<'static>) {
        self.add(item);
    }

    fn remove(&mut self, item: &Value<'static>) {
        self.remove(item);
    }

    fn value(&self) -> Value<'static> {
        self.value()
    }
}

impl Slides for Covariance {
    type Item = (Value<'static>, Value<'static>);

    fn clear(&mut self) {
        self.clear();
    }

    fn add(&mut self, (x, y): &Self::Item) {
        self.add(x, y);
    }

    fn remove(&mut self, (x, y): &Self::Item) {
        self.remove(x, y);
    }

    fn value(&self) -> Value<'static> {
        self.value()
    }
}

/// The value of every window: what is new comes in first, then what is behind it goes.
fn slide<S: Slides>(
    mut state: S,
    items: &[S::Item],
    windows: Vec<Range<usize>>,
    env: &dyn Environment,
) -> Result<Vec<Value<'static>>> {
    let mut taken = 0..0;
    let mut values = Vec::with_capacity(items.len());
    for window in windows {
        env.check()?;
        if window.start < taken.start || window.end < taken.end || window.start >= taken.end {
            state.clear();
            taken = window.start..window.start;
        }
        let (new, gone) = (taken.end..window.end, taken.start..window.start);
        items.get(new).unwrap_or_default().iter().for_each(|item| state.add(item));
        items.get(gone).unwrap_or_default().iter().for_each(|item| state.remove(item));
        taken = window;
        values.push(state.value());
    }
    Ok(values)
}

fn accumulate(
    spec: &dyn AccumulatorSpec,
    bounds: &Bounds,
    docs: &[DocBuf],
    order: Option<&Order>,
    env: &dyn Environment,
) -> Result<Vec<Value<'static>>> {
    let windows = bounds.windows(docs, order)?;
    if !bounds.grows()
        && let Some(sliding) = spec.start(Doc::EMPTY)?.sliding()
    {
        let value = |doc: &DocBuf| {
            let value = spec.input().eval(&mut Frame::new(doc.as_doc()))?;
            Ok(value.into_owned())
        };
        let values: Vec<_> = docs.iter().map(value).collect::<Result<_>>()?;
        return slide(sliding, &values, windows, env);
    }
    let add = |state: &mut Box<dyn accumulators::Accumulator>, at: usize| -> Result<()> {
        let Some(doc) = docs.get(at) else { return Ok(()) };
        let value = spec.input().eval(&mut Frame::new(doc.as_doc()))?;
        state.add(value, doc.as_doc())
    };
    let mut results: Vec<Value<'static>> = Vec::with_capacity(docs.len());
    let mut state = spec.start(Doc::EMPTY)?;
    let mut taken = 0..0;
    for window in windows {
        env.check()?;
        if window == taken && !results.is_empty() {
            results.push(results.last().cloned().unwrap_or(Value::NULL));
            continue;
        }
        if !(bounds.grows() && window.start == taken.start && window.end >= taken.end) {
            state = spec.start(Doc::EMPTY)?;
            taken = window.start..window.start;
        }
        for at in taken.end..window.end {
            add(&mut state, at)?;
        }
        taken = window;
        results.push(state.finish()?);
    }
    Ok(results)
}

fn parse_shift(argument: Raw<'_>, scope: &mut Scope) -> Result<Function> {
    let Some(doc) = argument.as_doc() else {
        return Err(invalid(format!(
            "Argument to $shift must be an object: {}",
            bson_text(argument)
        )));
    };
    let (mut output, mut by, mut default) = (None, None, Value::NULL);
    for part in doc {
        match part.name {
            b"output" => output = Some(Expression::parse(part.value, scope)?),
            b"by" => {
                let number = Number::from_raw(part.value).and_then(Number::to_i32_exact);
                by = Some(number.ok_or_else(|| {
                    let shown = bson_text(part.value);
                    invalid(format!("'$shift:by' field must be an integer, but found  by: {shown}"))
                })?);
            }
            b"default" => match Expression::parse(part.value, scope)? {
                Expression::Constant(value) => {
                    default = if value.is_missing() { Value::NULL } else { value }
                }
                _ => {
                    return Err(invalid(
                        "'$shift:default' expression must yield a constant value.",
                    ));
                }
            },
            _ => return Err(invalid("Unknown argument in $shift")),
        }
    }
    let output = output.ok_or_else(|| invalid("$shift requires an 'output' expression."))?;
    let by = by.ok_or_else(|| invalid("$shift requires 'by' as an integer value."))?;
    Ok(Function::Shift { output, by: i64::from(by), default })
}

fn parse_smoothing(argument: Raw<'_>, scope: &mut Scope) -> Result<Function> {
    let wrong = || {
        invalid(
            "$expMovingAvg sub object must have exactly two fields: An 'input' field, and either an 'N' field or an 'alpha' field",
        )
    };
    let doc = argument.as_doc().ok_or_else(wrong)?;
    let (mut input, mut smoothing) = (None, None);
    for part in doc {
        match part.name {
            b"input" if input.is_none() => input = Some(Expression::parse(part.value, scope)?),
            b"N" if smoothing.is_none() => smoothing = Some(Smoothing::of_n(part.value)?),
            b"alpha" if smoothing.is_none() => smoothing = Some(Smoothing::of_alpha(part.value)?),
            _ => return Err(wrong()),
        }
    }
    match (input, smoothing) {
        (Some(input), Some(smoothing)) => Ok(Function::Smooth(input, smoothing)),
        _ => Err(wrong()),
    }
}

fn parse_rate(
    name: &str,
    argument: Raw<'_>,
    scope: &mut Scope,
) -> Result<(Expression, Option<Unit>)> {
    let doc = argument.as_doc().ok_or_else(|| {
        invalid(format!(
            "{name} expects an object, but got a {}: {}",
            argument.kind.alias(),
            bson_text(argument)
        ))
    })?;
    let (mut input, mut unit) = (None, None);
    for part in doc {
        match part.name {
            b"input" => input = Some(Expression::parse(part.value, scope)?),
            b"unit" => {
                let text = part.value.as_str().ok_or_else(|| {
                    invalid(format!(
                        "{name} 'unit' must be a string, but got {}",
                        part.value.kind.alias()
                    ))
                })?;
                let parsed = Unit::parse(text).ok_or_else(|| unknown_unit(text))?;
                if parsed.months().is_some() {
                    return Err(Error::location(5_490_710, "unit must be 'week' or smaller"));
                }
                unit = Some(parsed);
            }
            _ => {
                return Err(invalid(format!(
                    "{name} got unexpected argument: {}",
                    part.name_str()
                )));
            }
        }
    }
    let input = input.ok_or_else(|| invalid(format!("{name} requires an 'input' expression")))?;
    Ok((input, unit))
}
