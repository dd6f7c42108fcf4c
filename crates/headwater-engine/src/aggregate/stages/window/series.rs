//! The functions of series: ranks, moving averages, rates of change, filling gaps.

use std::ops::Range;

use super::function::Ranking;
use crate::aggregate::accumulators::Total;
use crate::aggregate::expressions::bson_text;
use crate::aggregate::expressions::date::unit::Unit;
use crate::bson::{Decimal, Number, Raw, Type, Value, View};
use crate::error::{Code, Error, Result};

/// The ranks of documents whose encoded places are in order.
pub(super) fn rank(ranking: Ranking, places: &[Vec<u8>]) -> Vec<Value<'static>> {
    let mut ranks = Ranks::default();
    places.iter().map(|place| ranks.next(ranking, place)).collect()
}

/// The ranks so far.
#[derive(Debug, Default)]
pub(super) struct Ranks {
    last: Vec<u8>,
    count: i64,
    rank: i64,
    dense: i64,
}

impl Ranks {
    /// The rank of the next document.
    pub(super) fn next(&mut self, ranking: Ranking, place: &[u8]) -> Value<'static> {
        if self.count == 0 || self.last != place {
            self.rank = self.count + 1;
            self.dense += 1;
            self.last.clear();
            self.last.extend_from_slice(place);
        }
        self.count += 1;
        let number = match ranking {
            Ranking::Rank => self.rank,
            Ranking::Dense => self.dense,
            Ranking::Number => self.count,
        };
        Number::int_or_long(number).to_value()
    }
}

/// The weight of the newest value in `$expMovingAvg`.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Smoothing(Decimal);

impl Smoothing {
    pub(super) fn of_n(raw: Raw<'_>) -> Result<Smoothing> {
        let invalid = |found: String| {
            let message = format!("'N' field must be an integer, but found {found}");
            Error::new(Code::FAILED_TO_PARSE, message)
        };
        let number =
            Number::from_raw(raw).ok_or_else(|| invalid(format!("type {}", raw.kind.alias())))?;
        let n = number.to_i64_exact().ok_or_else(|| {
            let advice = "To use a non-integer, use the 'alpha' argument instead";
            invalid(format!(" N: {}. {advice}", bson_text(raw)))
        })?;
        if n <= 0 {
            let message = format!("'N' must be greater than zero. Got {n}");
            return Err(Error::new(Code::FAILED_TO_PARSE, message));
        }
        Ok(Smoothing(Decimal::from(2).div(Decimal::from(n).add(Decimal::from(1)))))
    }

    pub(super) fn of_alpha(raw: Raw<'_>) -> Result<Smoothing> {
        let number = Number::from_raw(raw)
            .ok_or_else(|| Error::new(Code::FAILED_TO_PARSE, "'alpha' must be a number"))?;
        let alpha = number.to_f64();
        if !(alpha > 0.0 && alpha < 1.0) {
            let message = format!(
                "'alpha' must be between 0 and 1 (exclusive), found alpha: {}",
                bson_text(raw)
            );
            return Err(Error::new(Code::FAILED_TO_PARSE, message));
        }
        Ok(Smoothing(number.to_decimal()))
    }

    pub(super) fn run(self, inputs: &[Value<'static>]) -> Vec<Value<'static>> {
        let mut average = None;
        inputs.iter().map(|input| self.step(&mut average, input)).collect()
    }

    /// The average with one more input.
    pub(super) fn step(self, average: &mut Option<Number>, input: &Value<'_>) -> Value<'static> {
        if let Some(number) = Number::from_value(input) {
            *average = Some(match *average {
                None => match number {
                    Number::Decimal(_) => number,
                    other => Number::Double(other.to_f64()),
                },
                Some(before) => self.blend(before, number),
            });
        }
        average.map_or(Value::NULL, Number::to_value)
    }

    fn blend(self, before: Number, now: Number) -> Number {
        if let (Number::Decimal(_), _) | (_, Number::Decimal(_)) = (before, now) {
            let rest = Decimal::from(1).sub(self.0);
            return Number::Decimal(
                now.to_decimal().mul(self.0).add(before.to_decimal().mul(rest)),
            );
        }
        let alpha = self.0.to_f64();
        Number::Double(now.to_f64() * alpha + before.to_f64() * (1.0 - alpha))
    }
}

/// The place of a document on the axis, in units where it is a date.
fn place(time: &Value<'_>, unit: Option<Unit>) -> Option<(Number, bool)> {
    match time.view()? {
        View::Date(ms) => {
            let length = unit.map_or(1, Unit::millis);
            Some((Number::Double(ms as f64 / length as f64), true))
        }
        _ => Number::from_value(time).map(|number| (number, false)),
    }
}

/// The rate of change from the first to the last document of a window.
pub(super) fn derivative(
    times: &[Value<'_>],
    values: &[Value<'static>],
    window: Range<usize>,
    unit: Option<Unit>,
) -> Result<Value<'static>> {
    if window.is_empty() {
        return Ok(Value::NULL);
    }
    let (first, last) = (window.start, window.end - 1);
    let [(t0, v0), (t1, v1)] = [first, last].map(|at| {
        (times.get(at).unwrap_or(&Value::MISSING), values.get(at).unwrap_or(&Value::MISSING))
    });
    for time in [t0, t1] {
        match (time.kind(), unit) {
            (Some(Type::Date), None) => {
                let message = "$derivative where the sortBy is a Date requires an 'unit'";
                return Err(Error::location(5_624_901, message));
            }
            (Some(Type::Date), Some(_)) => {}
            (_, Some(_)) => {
                let message = "$derivative with 'unit' expects the sortBy field to be a Date";
                return Err(Error::location(5_624_900, message));
            }
            (Some(kind), None) if kind.is_number() => {}
            _ => {
                let message = "$derivative (with no 'unit') expects the sortBy field to be numeric";
                return Err(Error::location(5_624_902, message));
            }
        }
    }
    if v0.is_nullish() || v1.is_nullish() {
        return Err(Error::location(5_624_903, "$derivative input must not be null or missing"));
    }
    let (Some(a), Some(b)) = (Number::from_value(v0), Number::from_value(v1)) else {
        let kind = |value: &Value<'_>| value.kind().map_or("missing", Type::alias);
        let message = format!("can't $subtract {} from {}", kind(v0), kind(v1));
        return Err(Error::new(Code::TYPE_MISMATCH, message));
    };
    let rise = b.sub(a);
    let rate = match (t0.view(), t1.view()) {
        (Some(View::Date(a)), Some(View::Date(b))) => {
            let length = Number::Int64(unit.map_or(1, Unit::millis));
            rise.div(Number::Int64(b.saturating_sub(a))).map(|rate| rate.mul(length))
        }
        _ => match (Number::from_value(t0), Number::from_value(t1)) {
            (Some(a), Some(b)) => rise.div(b.sub(a)),
            _ => None,
        },
    };
    Ok(rate.map_or(Value::NULL, Number::to_value))
}

/// The area under the values of a window, by trapezoids.
pub(super) fn integral(
    times: &[Value<'_>],
    values: &[Value<'static>],
    window: Range<usize>,
    unit: Option<Unit>,
) -> Result<Value<'static>> {
    if window.is_empty() {
        return Ok(Value::NULL);
    }
    let mut points = Vec::with_capacity(window.len());
    for at in window {
        let (Some(time), Some(value)) = (times.get(at), values.get(at)) else { continue };
        let (Some((place, is_date)), Some(number)) = (place(time, None), Number::from_value(value))
        else {
            let message = "The input value of $integral window function must be a vector of 2 value, the first value must \
                           be numeric or date type and the second must be numeric.";
            return Err(Error::location(5_423_900, message));
        };
        match (is_date, unit) {
            (true, None) => {
                let message = "$integral where the sortBy is a Date requires an 'unit'";
                return Err(Error::location(5_423_902, message));
            }
            (false, Some(_)) => {
                let message = "$integral with 'unit' expects the sortBy field to be a Date";
                return Err(Error::location(5_423_901, message));
            }
            _ => points.push((place, number)),
        }
    }
    let mut total = Number::Int32(0);
    for pair in points.windows(2) {
        if let [(t0, v0), (t1, v1)] = *pair {
            let area = t1.sub(t0).mul(v0.add(v1));
            let half = area.div(Number::Int32(2)).unwrap_or(area);
            total = total.add(half);
        }
    }
    if let Some(unit) = unit {
        total = total.div(Number::Int64(unit.millis())).unwrap_or(total);
    }
    Ok(total.to_value())
}

/// The covariance of the pairs of numbers in a window; what is no such pair does not count.
pub(super) struct Covariance {
    sample: bool,
    count: i64,
    /// Pairs with an infinity or NaN.
    special: i64,
    mean_x: Total,
    mean_y: Total,
    sum: Total,
}

impl Covariance {
    /// That of nothing yet.
    pub(super) fn new(sample: bool) -> Covariance {
        let (mean_x, mean_y, sum) = Default::default();
        Covariance { sample, count: 0, special: 0, mean_x, mean_y, sum }
    }

    /// Nothing is in the window any more.
    pub(super) fn clear(&mut self) {
        *self = Covariance::new(self.sample);
    }

    /// The numbers of a pair, `None` if it does not count.
    fn pair(&mut self, x: &Value<'_>, y: &Value<'_>, by: i64) -> Option<(Number, Number)> {
        let (x, y) = (Number::from_value(x)?, Number::from_value(y)?);
        if !x.is_finite() || !y.is_finite() {
            self.special += by;
            return None;
        }
        self.count += by;
        Some((x, y))
    }

    /// A pair comes into the window.
    pub(super) fn add(&mut self, x: &Value<'_>, y: &Value<'_>) {
        let Some((x, y)) = self.pair(x, y, 1) else { return };
        let n = Number::Int64(self.count);
        let step_x = x.sub(self.mean_x.value());
        self.mean_x.change(step_x.div(n).unwrap_or(step_x), 1);
        let step_y = y.sub(self.mean_y.value());
        self.mean_y.change(step_y.div(n).unwrap_or(step_y), 1);
        self.sum.change(step_x.mul(y.sub(self.mean_y.value())), 1);
    }

    /// A pair leaves the window.
    pub(super) fn remove(&mut self, x: &Value<'_>, y: &Value<'_>) {
        let Some((x, y)) = self.pair(x, y, -1) else { return };
        if self.count == 0 {
            *self = Covariance { special: self.special, ..Covariance::new(self.sample) };
            return;
        }
        let n = Number::Int64(self.count);
        let step_x = x.sub(self.mean_x.value());
        self.mean_x.change(step_x.div(n).unwrap_or(step_x), -1);
        let step_y = y.sub(self.mean_y.value());
        self.sum.change(x.sub(self.mean_x.value()).mul(step_y), -1);
        self.mean_y.change(step_y.div(n).unwrap_or(step_y), -1);
    }

    /// The result for the window as it is.
    pub(super) fn value(&self) -> Value<'static> {
        let divisor = if self.sample { self.count - 1 } else { self.count };
        match (divisor, self.count) {
            (..=0, _) => Value::NULL,
            // One pair varies with nothing, whatever stands beside it.
            (_, 1) => Value::f64(0.0),
            _ if self.special > 0 => Value::f64(f64::NAN),
            _ => {
                let mean = self.sum.value().div(Number::Int64(divisor));
                mean.map_or(Value::NULL, Number::to_value)
            }
        }
    }
}

/// Fills nulls with the last value before them.
pub(super) fn carry_forward(values: Vec<Value<'static>>) -> Vec<Value<'static>> {
    let mut last = Value::NULL;
    let mut fill = |value: Value<'static>| {
        if !value.is_nullish() {
            last = value;
        }
        last.clone()
    };
    values.into_iter().map(&mut fill).collect()
}

/// Fills nulls on the line between the values around them.
pub(super) fn linear_fill(
    times: &[Value<'_>],
    values: Vec<Value<'static>>,
) -> Result<Vec<Value<'static>>> {
    let mut places = Vec::with_capacity(times.len());
    for time in times {
        let Some((place, _)) = place(time, None) else {
            let found = time.kind().map_or("missing", Type::alias);
            let message =
                format!("Value of the sortBy field must be numeric or a date, but found {found}");
            return Err(Error::new(Code::TYPE_MISMATCH, message));
        };
        if places.last().is_some_and(|last: &Number| last.compare(place).is_eq()) {
            let message = "There can be no repeated values in the sort field in the same partition";
            return Err(Error::location(6_050_106, message));
        }
        places.push(place);
    }
    for value in &values {
        if !value.is_nullish() && Number::from_value(value).is_none() {
            let found = value.kind().map_or("missing", Type::alias);
            let message =
                format!("Value to be filled must be numeric or nullish, but found {found}");
            return Err(Error::new(Code::TYPE_MISMATCH, message));
        }
    }
    let known: Vec<(usize, Number)> = values
        .iter()
        .enumerate()
        .filter_map(|(at, value)| Some((at, Number::from_value(value)?)))
        .collect();
    let mut filled = Vec::with_capacity(values.len());
    for (at, value) in values.into_iter().enumerate() {
        if !value.is_nullish() {
            filled.push(value);
            continue;
        }
        let after = known.partition_point(|(known, _)| *known < at);
        let around =
            after.checked_sub(1).and_then(|before| Some((known.get(before)?, known.get(after)?)));
        filled.push(match around {
            None => Value::NULL,
            Some(((i, v0), (j, v1))) => {
                let place = |at: usize| places.get(at).copied().unwrap_or(Number::Int32(0));
                let (t0, t1, t) = (place(*i), place(*j), place(at));
                let share = t.sub(t0).div(t1.sub(t0)).unwrap_or(Number::Int32(0));
                let slope = v1.sub(*v0).div(t1.sub(t0)).unwrap_or(share);
                v0.add(slope.mul(t.sub(t0))).to_value()
            }
        });
    }
    Ok(filled)
}
