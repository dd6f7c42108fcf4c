//! `$dateTrunc`: the start of the bin of time in which a date lies. Bins are counted from 2000-01-01 in the time zone.

use super::add::{add, check_unit, check_zone_type};
use super::difference::check_week_start;
use super::parts::Part;
use super::unit::{Unit, is_week, unit_argument, week_start};
use super::zone::{Zone, ZoneArgument};
use super::{DAY_MS, as_date, iso_day_of_week};
use crate::aggregate::expressions::array::kind_name;
use crate::aggregate::expressions::named::Named;
use crate::aggregate::expressions::{Expression, Frame, Operator, Scope, value_text};
use crate::bson::{Number, Raw, Value};
use crate::error::{Error, Result};

const NAME: &str = "$dateTrunc";

/// 2000-01-01, a Saturday.
const REFERENCE_DAY: i64 = 10_957;

/// The largest bin of units of a day and more.
const SIZE_MAX: i64 = 100_000_000_000;

/// The start of the bin of `size` units in which a moment lies.
///
/// # Errors
/// 5439000, 5439006 and those of [`add`] for what does not fit.
fn truncate(date: i64, unit: Unit, size: i64, zone: &Zone, week_start: i64) -> Result<i64> {
    let overflow = || Error::location(5_439_000, "dateTrunc overflowed");
    let floor = |value: i64, size: i64| value.checked_sub(value.rem_euclid(size));
    if matches!(unit, Unit::Hour | Unit::Minute | Unit::Second | Unit::Millisecond) {
        let reference = zone.moment(REFERENCE_DAY * DAY_MS, false);
        let bin = || {
            let length = unit.millis().checked_mul(size)?;
            floor(date.checked_sub(reference)?, length)?.checked_add(reference)
        };
        return bin().ok_or_else(overflow);
    }
    if size > SIZE_MAX {
        return Err(Error::location(5_439_006, "dateTrunc unsupported binSize value"));
    }
    let local = zone.local(date);
    let (reference, since) = match unit.months() {
        Some(months) => {
            let month = (Part::Year.of(local) - 2000) * 12 + Part::Month.of(local) - 1;
            (REFERENCE_DAY, month.div_euclid(months))
        }
        None => {
            let (reference, length) = match unit {
                Unit::Week => {
                    (REFERENCE_DAY + (week_start - iso_day_of_week(REFERENCE_DAY)).rem_euclid(7), 7)
                }
                _ => (REFERENCE_DAY, 1),
            };
            (reference, (local.div_euclid(DAY_MS) - reference).div_euclid(length))
        }
    };
    let bin = floor(since, size).ok_or_else(overflow)?;
    add(zone.moment(reference * DAY_MS, false), unit, bin, zone)
}

#[derive(Debug)]
struct DateTrunc {
    date: Expression,
    unit: Expression,
    size: Option<Expression>,
    zone: ZoneArgument,
    week_start: Option<Expression>,
}

fn size_argument(value: &Value<'_>) -> Result<i64> {
    let Some(size) = Number::from_value(value).and_then(Number::to_i64_exact) else {
        let (text, kind) = (value_text(value), kind_name(value));
        let message = format!(
            "{NAME} requires 'binSize' to be a 64-bit integer, but got value '{text}' of type {kind}"
        );
        return Err(Error::location(5_439_017, message));
    };
    if size <= 0 {
        let message =
            format!("{NAME} requires 'binSize' to be greater than 0, but got value {size}");
        return Err(Error::location(5_439_018, message));
    }
    Ok(size)
}

impl Operator for DateTrunc {
    fn eval<'a>(&'a self, frame: &mut Frame<'a>) -> Result<Value<'a>> {
        let date = self.date.eval(frame)?;
        if date.is_nullish() {
            return Ok(Value::NULL);
        }
        let size = match &self.size {
            None => 1,
            Some(size) => {
                let size = size.eval(frame)?;
                if size.is_nullish() {
                    return Ok(Value::NULL);
                }
                size_argument(&size)?
            }
        };
        let Some(unit) = unit_argument(NAME, &self.unit.eval(frame)?)? else {
            return Ok(Value::NULL);
        };
        let Some(first_day) = week_start(NAME, unit, self.week_start.as_ref(), frame)? else {
            return Ok(Value::NULL);
        };
        let Some(zone) = self.zone.eval(frame).map_err(zone_failed)? else {
            return Ok(Value::NULL);
        };
        let Some(date) = as_date(&date) else {
            let message =
                format!("{NAME} requires 'date' to be a date, but got {}", kind_name(&date));
            return Err(Error::location(5_166_307, message));
        };
        truncate(date, unit, size, &zone, first_day).map(Value::date)
    }
}

fn zone_failed(error: Error) -> Error {
    match error.code().0 {
        40485 | 40517 => error.with_prefix(format_args!(
            "{NAME} parameter 'timezone' value parsing failed :: caused by :: "
        )),
        _ => error,
    }
}

/// `{$dateTrunc: {date, unit, binSize, timezone, startOfWeek}}`.
pub(in super::super) fn date_trunc(argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    let Some(doc) = argument.as_doc() else {
        return Err(Error::location(
            5_439_007,
            "$dateTrunc only supports an object as its argument",
        ));
    };
    let unknown = |field: &str| {
        let expected =
            "Expected arguments are date, unit, and optionally, binSize, timezone, startOfWeek";
        Error::location(
            5_439_008,
            format!("Unrecognized argument to $dateTrunc: {field}. {expected}"),
        )
    };
    let named = Named::parse(doc, ["date", "unit", "binSize", "timezone", "startOfWeek"], unknown)?;
    let missing = |code, what| {
        move || Error::location(code, format!("Missing '{what}' parameter to $dateTrunc"))
    };
    let date = named.required(0, missing(5_439_009, "date"))?;
    let unit = named.required(1, missing(5_439_010, "unit"))?;
    let date = Expression::parse(date, scope)?;
    let unit = Expression::parse(unit, scope)?;
    let size = named.expression(2, scope)?;
    let zone = named.expression(3, scope)?;
    let mut week_start = named.expression(4, scope)?;
    check_unit(NAME, &unit, scope);
    let all = [Some(&date), Some(&unit), size.as_ref(), zone.as_ref(), week_start.as_ref()];
    let constant = all.into_iter().flatten().all(|arg| arg.as_constant().is_some());
    if constant && !is_week(&unit) {
        // Where all is known MongoDB does not look at it.
        week_start = None;
    }
    check_week_start(NAME, week_start.as_ref(), scope);
    if let Some(value) = size.as_ref().and_then(Expression::as_constant)
        && !value.is_nullish()
        && let Err(error) = size_argument(value)
    {
        scope.keep_folding_error(error);
    }
    check_zone_type(zone.as_ref(), scope, zone_failed);
    let zone = ZoneArgument::new(zone);
    zone.check_with(scope, zone_failed);
    let call = Expression::Special(Box::new(DateTrunc { date, unit, size, zone, week_start }));
    Ok(if constant { call.folding(scope) } else { call })
}

#[cfg(test)]
mod tests {
    use super::super::days;
    use super::*;

    #[test]
    fn weeks_start_where_they_are_told_to() {
        let wednesday = days(2024, 2, 28) * DAY_MS + 5;
        let truncated = |start| truncate(wednesday, Unit::Week, 1, &Zone::Utc, start).unwrap();
        assert_eq!(truncated(1), days(2024, 2, 26) * DAY_MS);
        assert_eq!(truncated(7), days(2024, 2, 25) * DAY_MS);
    }
}
