//! Units of time and days of the week as arguments.

use crate::aggregate::expressions::array::kind_name;
use crate::aggregate::expressions::{Expression, Frame};
use crate::bson::{Raw, Value};
use crate::error::{Code, Error, Result};

/// A unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Year,
    Quarter,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
    Millisecond,
}

impl Unit {
    /// The unit of a name.
    pub(crate) fn parse(name: &str) -> Option<Unit> {
        Some(match name {
            "year" => Unit::Year,
            "quarter" => Unit::Quarter,
            "month" => Unit::Month,
            "week" => Unit::Week,
            "day" => Unit::Day,
            "hour" => Unit::Hour,
            "minute" => Unit::Minute,
            "second" => Unit::Second,
            "millisecond" => Unit::Millisecond,
            _ => return None,
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Unit::Year => "year",
            Unit::Quarter => "quarter",
            Unit::Month => "month",
            Unit::Week => "week",
            Unit::Day => "day",
            Unit::Hour => "hour",
            Unit::Minute => "minute",
            Unit::Second => "second",
            Unit::Millisecond => "millisecond",
        }
    }

    /// The milliseconds of a unit that has always as many; of a month 30 days.
    pub(crate) fn millis(self) -> i64 {
        match self {
            Unit::Year => 365 * super::DAY_MS,
            Unit::Quarter => 90 * super::DAY_MS,
            Unit::Month => 30 * super::DAY_MS,
            Unit::Week => 7 * super::DAY_MS,
            Unit::Day => super::DAY_MS,
            Unit::Hour => 3_600_000,
            Unit::Minute => 60_000,
            Unit::Second => 1000,
            Unit::Millisecond => 1,
        }
    }

    /// The months of a unit that is counted in months.
    pub(crate) fn months(self) -> Option<i64> {
        match self {
            Unit::Year => Some(12),
            Unit::Quarter => Some(3),
            Unit::Month => Some(1),
            _ => None,
        }
    }
}

/// The error for a name that is no unit.
pub(crate) fn unknown_unit(name: &str) -> Error {
    Error::new(Code::FAILED_TO_PARSE, format!("unknown time unit value: {name}"))
}

/// The `unit` argument of an operator, `None` for null.
pub(super) fn unit_argument(operator: &str, value: &Value<'_>) -> Result<Option<Unit>> {
    if value.is_nullish() {
        return Ok(None);
    }
    let Some(name) = value.raw().and_then(Raw::as_str) else {
        let message =
            format!("{operator} requires 'unit' to be a string, but got {}", kind_name(value));
        return Err(Error::location(5_439_013, message));
    };
    match Unit::parse(name) {
        Some(unit) => Ok(Some(unit)),
        None => {
            let what = format!("{operator} parameter 'unit' value parsing failed :: caused by :: ");
            Err(unknown_unit(name).with_prefix(what))
        }
    }
}

/// Whether a unit is known to be a week.
pub(super) fn is_week(unit: &Expression) -> bool {
    unit.as_constant().and_then(Value::raw).and_then(Raw::as_str) == Some("week")
}

/// The day that weeks start on, from 1, Monday, to 7; `None` for null. A value that has to be computed is looked at
/// only where the unit is a week.
pub(super) fn week_start<'a>(
    operator: &str,
    unit: Unit,
    day: Option<&'a Expression>,
    frame: &mut Frame<'a>,
) -> Result<Option<i64>> {
    match day {
        Some(day) if unit == Unit::Week || day.as_constant().is_some() => {
            week_start_argument(operator, &day.eval(frame)?)
        }
        _ => Ok(Some(7)),
    }
}

/// The `startOfWeek` argument as a day from 1, Monday, to 7; `None` for null.
pub(super) fn week_start_argument(operator: &str, value: &Value<'_>) -> Result<Option<i64>> {
    if value.is_nullish() {
        return Ok(None);
    }
    let Some(name) = value.raw().and_then(Raw::as_str) else {
        let found = kind_name(value);
        let message = format!("{operator} requires 'startOfWeek' to be a string, but got {found}");
        return Err(Error::location(5_439_015, message));
    };
    let known = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let lower = name.to_ascii_lowercase();
    let at = known.iter().position(|day| *day == lower || day.get(..3) == Some(&lower));
    match at {
        Some(at) => Ok(Some(at as i64 + 1)),
        None => {
            let what = "parameter 'startOfWeek' value cannot be recognized as a day of a week";
            Err(Error::location(5_439_016, format!("{operator} {what}: {name}")))
        }
    }
}
