//! Window functions: accumulators over windows, and the functions that only windows have. How they are written is the
//! business of [`super::syntax`].

use std::ops::Range;
use std::sync::Arc;

use super::Order;
use super::bounds::Bounds;
use super::column::Column;
use super::series::{self, Covariance, Smoothing};
use crate::aggregate::accumulators::{self, AccumulatorSpec, Sliding};
use crate::aggregate::expressions::date::unit::Unit;
use crate::aggregate::expressions::{Expression, Frame};
use crate::bson::{Doc, Value};
use crate::error::Result;
use crate::interrupt::check_round;
use crate::limits::STAGE_MEMORY_BYTES_MAX;
use crate::query::exec::Environment;
use crate::query::sequence::{Chunk, Sequence};

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
        docs: &Sequence,
        order: Option<&Order>,
        column: &mut Column,
        env: &dyn Environment,
    ) -> Result<()> {
        let inputs = |expression: &Expression| inputs(docs, expression, env);
        let times = || times(docs, order);
        match self {
            Function::Accumulator(spec, bounds) => {
                accumulate(&**spec, bounds, docs, order, column, env)
            }
            Function::Rank(ranking) => {
                let ranks = series::rank(*ranking, &places(docs, order)?);
                column.extend(ranks.into_iter().map(Ok))
            }
            Function::Shift { output, by, default } => {
                let mut chunk = Chunk::default();
                for at in 0..docs.len() {
                    env.check()?;
                    let doc = match usize::try_from(at as i64 + by) {
                        Ok(at) => docs.get(at, &mut chunk)?,
                        Err(_) => None,
                    };
                    column.push(match doc {
                        None => default.clone(),
                        Some(doc) => {
                            let value = output.evaluate(doc)?;
                            if value.is_missing() { Value::NULL } else { value.into_owned() }
                        }
                    })?;
                }
                Ok(())
            }
            Function::Smooth(input, smoothing) => {
                column.extend(smoothing.run(&inputs(input)?).into_iter().map(Ok))
            }
            Function::Derivative(input, unit, bounds) => {
                let (values, times) = (inputs(input)?, times()?);
                let windows = bounds.windows(&times)?.into_iter();
                column.extend(
                    windows.map(|window| series::derivative(&times, &values, window, *unit)),
                )
            }
            Function::Integral(input, unit, bounds) => {
                let (values, times) = (inputs(input)?, times()?);
                let windows = bounds.windows(&times)?.into_iter();
                column
                    .extend(windows.map(|window| series::integral(&times, &values, window, *unit)))
            }
            Function::Covariance { x, y, sample, bounds } => {
                let (x, y) = (inputs(x)?, inputs(y)?);
                let pairs: Vec<_> = x.into_iter().zip(y).collect();
                let covariance = Covariance::new(*sample);
                slide(covariance, &pairs, windows(bounds, docs, order)?, column, env)
            }
            Function::LinearFill(input) => {
                let filled = series::linear_fill(&times()?, inputs(input)?)?;
                column.extend(filled.into_iter().map(Ok))
            }
            Function::CarryForward(input) => {
                column.extend(series::carry_forward(inputs(input)?).into_iter().map(Ok))
            }
        }
    }
}

/// The value of an expression for every document.
fn inputs(
    docs: &Sequence,
    expression: &Expression,
    env: &dyn Environment,
) -> Result<Vec<Value<'static>>> {
    let mut values = Vec::with_capacity(docs.len());
    let mut bytes = 0;
    docs.each(|doc| {
        env.check()?;
        let value = expression.evaluate(doc)?.into_owned();
        bytes += value.raw().map_or(0, |raw| raw.data.len());
        if bytes > STAGE_MEMORY_BYTES_MAX {
            return Err(accumulators::memory_exceeded("$setWindowFields"));
        }
        values.push(value);
        Ok(())
    })?;
    Ok(values)
}

/// The values that documents are in the order of, where there is one field.
fn times(docs: &Sequence, order: Option<&Order>) -> Result<Vec<Value<'static>>> {
    let path = order.and_then(Order::only);
    let mut values = Vec::with_capacity(docs.len());
    docs.each(|doc| {
        values.push(path.map_or(Value::MISSING, |path| path.of_doc(doc).into_owned()));
        Ok(())
    })?;
    Ok(values)
}

/// The window of each document.
fn windows(bounds: &Bounds, docs: &Sequence, order: Option<&Order>) -> Result<Vec<Range<usize>>> {
    match bounds.by_count(docs.len()) {
        Some(windows) => Ok(windows),
        None => bounds.windows(&times(docs, order)?),
    }
}

/// The encoded places of documents in the order.
fn places(docs: &Sequence, order: Option<&Order>) -> Result<Vec<Vec<u8>>> {
    let mut places = Vec::with_capacity(docs.len());
    docs.each(|doc| {
        let mut key = Vec::new();
        if let Some(order) = order {
            order.pattern.write_key(doc, &mut key)?;
        }
        places.push(key);
        Ok(())
    })?;
    Ok(places)
}

/// What is computed of a window by what comes and goes.
pub(super) trait Slides {
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
    column: &mut Column,
    env: &dyn Environment,
) -> Result<()> {
    let mut taken = 0..0;
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
        column.push(state.value())?;
    }
    Ok(())
}

fn accumulate(
    spec: &dyn AccumulatorSpec,
    bounds: &Bounds,
    docs: &Sequence,
    order: Option<&Order>,
    column: &mut Column,
    env: &dyn Environment,
) -> Result<()> {
    let windows = windows(bounds, docs, order)?;
    if !bounds.grows()
        && let Some(sliding) = spec.start(Doc::EMPTY)?.sliding()
    {
        let values = inputs(docs, spec.input(), env)?;
        return slide(sliding, &values, windows, column, env);
    }
    let mut chunk = Chunk::default();
    let mut state = spec.start(Doc::EMPTY)?;
    let (mut taken, mut last) = (0..0, None);
    for window in windows {
        env.check()?;
        if window == taken
            && let Some(last) = &last
        {
            column.push(Value::clone(last))?;
            continue;
        }
        if !(bounds.grows() && window.start == taken.start && window.end >= taken.end) {
            state = spec.start(Doc::EMPTY)?;
            taken = window.start..window.start;
        }
        for at in taken.end..window.end {
            check_round(at)?;
            let Some(doc) = docs.get(at, &mut chunk)? else { continue };
            let value = spec.input().eval(&mut Frame::new(doc))?;
            state.add(value, doc)?;
        }
        taken = window;
        let value = state.finish()?;
        last = Some(value.clone());
        column.push(value)?;
    }
    Ok(())
}
