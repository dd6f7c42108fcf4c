//! Outputs that look at no document behind the current one: they are computed while documents come, one after the other, and
//! keep no more than their windows.
//!
//! They come to what [`super::function`] computes of a whole partition, by the same steps.

use std::collections::VecDeque;

use super::Order;
use super::bounds::Bounds;
use super::function::{Function, Slides};
use super::series::{Covariance, Ranks};
use crate::aggregate::accumulators::{self, Sliding, State};
use crate::bson::{Doc, Number, Value};
use crate::error::{Error, Result};
use crate::limits::STAGE_MEMORY_BYTES_MAX;

/// Farthest `$shift`, in documents. What it looks back at is held in memory: values of 16 MB at most each.
const SHIFT_BACK_MAX: i64 = 6;

/// The state of an output while the documents of a partition come in.
pub(super) struct Flow {
    /// How many documents have come.
    count: i64,
    kind: Kind,
}

enum Kind {
    /// Values that come and go.
    Slide(Sliding, Moving<Value<'static>>),
    Covariance(Box<Covariance>, Moving<(Value<'static>, Value<'static>)>),
    /// Values that are looked at again for each window.
    Again(Moving<Late>),
    /// Values that come, from the first document on, and those that have yet to come.
    Grow(State, Moving<Late>),
    Rank(Ranks),
    /// Values of the last documents.
    Shift(VecDeque<Late>),
    Smooth(Option<Number>),
    CarryForward(Value<'static>),
}

/// A value for later: an error counts when the value is asked for.
type Late = Result<Value<'static>>;

/// Whether an output can be computed so.
pub(super) fn flows(function: &Function) -> bool {
    match function {
        Function::Accumulator(spec, bounds) => match bounds.back() {
            Some((None, 0)) => true,
            Some(_) => !spec.reads_documents(),
            None => false,
        },
        Function::Covariance { bounds, .. } => bounds.back().is_some_and(|(low, _)| low.is_some()),
        Function::Shift { by, .. } => (-SHIFT_BACK_MAX..=0).contains(by),
        Function::Rank(_) | Function::Smooth(..) | Function::CarryForward(_) => true,
        Function::Derivative(..) | Function::Integral(..) | Function::LinearFill(_) => false,
    }
}

impl Flow {
    /// Before the first document of a partition, of an output that [`flows`].
    ///
    /// # Errors
    /// An argument of an accumulator that is invalid.
    pub(super) fn begin(function: &Function) -> Result<Flow> {
        let kind = match function {
            Function::Accumulator(spec, bounds) => {
                let state = spec.start(Doc::EMPTY)?;
                match bounds.back() {
                    None | Some((None, _)) => Kind::Grow(state, Moving::default()),
                    Some(_) => match state.sliding() {
                        Some(sliding) => Kind::Slide(sliding, Moving::default()),
                        None => Kind::Again(Moving::default()),
                    },
                }
            }
            Function::Covariance { sample, .. } => {
                Kind::Covariance(Box::new(Covariance::new(*sample)), Moving::default())
            }
            Function::Rank(_) => Kind::Rank(Ranks::default()),
            Function::Shift { .. } => Kind::Shift(VecDeque::new()),
            Function::Smooth(..) => Kind::Smooth(None),
            Function::CarryForward(_)
            | Function::Derivative(..)
            | Function::Integral(..)
            | Function::LinearFill(_) => Kind::CarryForward(Value::NULL),
        };
        Ok(Flow { count: 0, kind })
    }

    /// The value for the next document.
    ///
    /// # Errors
    /// What the expressions and the function raise; 146 if a window keeps more than it may.
    pub(super) fn next(
        &mut self,
        function: &Function,
        order: Option<&Order>,
        doc: Doc<'_>,
    ) -> Result<Value<'static>> {
        let at = self.count;
        self.count += 1;
        match (&mut self.kind, function) {
            (Kind::Slide(state, moving), Function::Accumulator(spec, bounds)) => {
                let value = spec.input().evaluate(doc)?.into_owned();
                let bytes = bytes_of(&value);
                moving.push(value, bytes)?;
                moving.slide(window(bounds, at), state);
                Ok(state.value())
            }
            (Kind::Covariance(state, moving), Function::Covariance { x, y, bounds, .. }) => {
                let pair = (x.evaluate(doc)?.into_owned(), y.evaluate(doc)?.into_owned());
                moving.push(pair, size_of::<[Value<'_>; 2]>())?;
                moving.slide(window(bounds, at), &mut **state);
                Ok(state.value())
            }
            (Kind::Again(moving), Function::Accumulator(spec, bounds)) => {
                moving.push_late(spec.input().evaluate(doc).map(Value::into_owned))?;
                let mut state = spec.start(Doc::EMPTY)?;
                for value in moving.show(window(bounds, at)) {
                    let value = value.as_ref().map_err(Error::clone)?;
                    state.add(value.raw().into(), Doc::EMPTY)?;
                }
                state.finish()
            }
            (Kind::Grow(state, waiting), Function::Accumulator(spec, bounds)) => {
                let (_, high) = bounds.back().unwrap_or((None, 0));
                let value = spec.input().evaluate(doc);
                if high == 0 {
                    state.add(value?, doc)?;
                } else {
                    waiting.push_late(value.map(Value::into_owned))?;
                    let new = (at.saturating_add(high).max(0), window(bounds, at).1);
                    for value in waiting.show(new) {
                        let value = value.as_ref().map_err(Error::clone)?;
                        state.add(value.raw().into(), Doc::EMPTY)?;
                    }
                }
                state.finish()
            }
            (Kind::Rank(ranks), Function::Rank(ranking)) => {
                let mut place = Vec::new();
                if let Some(order) = order {
                    order.pattern.write_key(doc, &mut place)?;
                }
                Ok(ranks.next(*ranking, &place))
            }
            (Kind::Shift(back), Function::Shift { output, by, default }) => {
                let value = output.evaluate(doc).map(Value::into_owned);
                back.push_back(value);
                if back.len() as i64 <= -by {
                    return Ok(default.clone());
                }
                let value = back.pop_front().unwrap_or(Ok(Value::NULL))?;
                Ok(if value.is_missing() { Value::NULL } else { value })
            }
            (Kind::Smooth(average), Function::Smooth(input, smoothing)) => {
                Ok(smoothing.step(average, &input.evaluate(doc)?))
            }
            (Kind::CarryForward(last), Function::CarryForward(input)) => {
                let value = input.evaluate(doc)?;
                if !value.is_nullish() {
                    *last = value.into_owned();
                }
                Ok(last.clone())
            }
            _ => Ok(Value::MISSING),
        }
    }
}

/// The window of the document of that number among those before it: where it starts and ends.
fn window(bounds: &Bounds, at: i64) -> (i64, i64) {
    let (low, high) = bounds.back().unwrap_or((None, 0));
    let start = low.map_or(0, |low| at.saturating_add(low).max(0));
    let end = at.saturating_add(high).saturating_add(1).max(0);
    (start, end.max(start))
}

/// The items of a window that moves on, and those that it has not reached.
struct Moving<T> {
    /// Each with its size in bytes.
    items: VecDeque<(T, usize)>,
    /// The number of the first item.
    first: i64,
    /// The window that was taken in last.
    taken: (i64, i64),
    bytes: usize,
}

impl<T> Default for Moving<T> {
    fn default() -> Moving<T> {
        Moving { items: VecDeque::new(), first: 0, taken: (0, 0), bytes: 0 }
    }
}

impl Moving<Late> {
    fn push_late(&mut self, value: Late) -> Result<()> {
        let bytes = value.as_ref().map_or(0, bytes_of);
        self.push(value, bytes)
    }
}

fn bytes_of(value: &Value<'_>) -> usize {
    size_of::<Value<'_>>() + value.raw().map_or(0, |raw| raw.data.len())
}

impl<T> Moving<T> {
    fn push(&mut self, item: T, bytes: usize) -> Result<()> {
        self.bytes += bytes;
        if self.bytes > STAGE_MEMORY_BYTES_MAX {
            return Err(accumulators::memory_exceeded("$setWindowFields"));
        }
        self.items.push_back((item, bytes));
        Ok(())
    }

    /// The items of these numbers.
    fn range(&self, (start, end): (i64, i64)) -> impl Iterator<Item = &T> {
        let at = |number: i64| usize::try_from(number - self.first).unwrap_or(0);
        let count = at(end).saturating_sub(at(start));
        self.items.iter().skip(at(start)).take(count).map(|(item, _)| item)
    }

    /// Has the items of a window taken in that are new, then the others taken out.
    fn slide(&mut self, window: (i64, i64), state: &mut impl Slides<Item = T>) {
        let mut taken = self.taken;
        if window.0 < taken.0 || window.1 < taken.1 || window.0 >= taken.1 {
            state.clear();
            taken = (window.0, window.0);
        }
        self.range((taken.1, window.1)).for_each(|item| state.add(item));
        self.range((taken.0, window.0)).for_each(|item| state.remove(item));
        self.taken = window;
        self.forget_before(window.0);
    }

    /// The items of a window; those before it are not asked for again.
    fn show(&mut self, window: (i64, i64)) -> impl Iterator<Item = &T> {
        self.forget_before(window.0);
        self.range(window)
    }

    fn forget_before(&mut self, number: i64) {
        while self.first < number
            && let Some((_, bytes)) = self.items.pop_front()
        {
            self.first += 1;
            self.bytes -= bytes;
        }
    }
}
