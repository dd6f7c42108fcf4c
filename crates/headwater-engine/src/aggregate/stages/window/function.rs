//! Window functions: accumulators over windows, and the functions that only windows have. How they are written is the
//! business of [`super::syntax`].

use std::ops::Range;
use std::sync::Arc;

use super::Order;
use super::bounds::Bounds;
use super::series::{self, Covariance, Smoothing};
use crate::aggregate::accumulators::{self, AccumulatorSpec, Sliding};
use crate::aggregate::expressions::date::unit::Unit;
use crate::aggregate::expressions::{Expression, Frame};
use crate::bson::{Doc, DocBuf, Value};
use crate::error::Result;
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

impl Function {
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
                let shifted = |at: usize| {
                    let at = usize::try_from(at as i64 + by).ok();
                    let Some(doc) = at.and_then(|at| docs.get(at)) else {
                        return Ok(default.clone());
                    };
                    let value = output.evaluate(doc.as_doc())?;
                    Ok(if value.is_missing() { Value::NULL } else { value.into_owned() })
                };
                (0..docs.len()).map(shifted).collect()
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
    let add = |state: &mut accumulators::State, at: usize| -> Result<()> {
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
