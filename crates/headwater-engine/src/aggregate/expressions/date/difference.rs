//! `$dateDiff`: the boundaries of units between two dates.

use super::add::{check_unit, check_zone_type};
use super::parts::Part;
use super::unit::{Unit, is_week, unit_argument, week_start, week_start_argument};
use super::zone::{Zone, ZoneArgument};
use super::{DAY_MS, as_date, iso_day_of_week};
use crate::aggregate::expressions::array::kind_name;
use crate::aggregate::expressions::named::Named;
use crate::aggregate::expressions::{Expression, Frame, Operator, Scope};
use crate::bson::{Raw, Value};
use crate::error::{Error, Result};

/// How many boundaries of a unit lie between two moments; `week_start` is a day from 1, Monday, to 7.
fn difference(start: i64, end: i64, unit: Unit, zone: &Zone, week_start: i64) -> Option<i64> {
    let (a, b) = (zone.local(start), zone.local(end));
    let (day_a, day_b) = (a.div_euclid(DAY_MS), b.div_euclid(DAY_MS));
    let months =
        || (Part::Year.of(b) - Part::Year.of(a)) * 12 + Part::Month.of(b) - Part::Month.of(a);
    // What clocks were set forward or back does not count.
    let shift = (zone.offset(end) - zone.offset(start)) * 1000;
    Some(match unit {
        Unit::Year => Part::Year.of(b) - Part::Year.of(a),
        Unit::Quarter => {
            let quarter = |local| Part::Year.of(local) * 4 + (Part::Month.of(local) - 1) / 3;
            quarter(b) - quarter(a)
        }
        Unit::Month => months(),
        Unit::Week => {
            let begin = |day: i64| day - (iso_day_of_week(day) - week_start).rem_euclid(7);
            (begin(day_b) - begin(day_a)) / 7
        }
        Unit::Day => day_b - day_a,
        Unit::Hour | Unit::Minute => {
            let length = unit.millis();
            b.div_euclid(length) - a.div_euclid(length) - shift / length
        }
        Unit::Second => end.div_euclid(1000) - start.div_euclid(1000),
        Unit::Millisecond => return end.checked_sub(start),
    })
}

#[derive(Debug)]
struct DateDiff {
    start: Expression,
    end: Expression,
    unit: Expression,
    zone: ZoneArgument,
    week_start: Option<Expression>,
}

const NAME: &str = "$dateDiff";

impl Operator for DateDiff {
    fn eval<'a>(&'a self, frame: &mut Frame<'a>) -> Result<Value<'a>> {
        let start = self.start.eval(frame)?;
        if start.is_nullish() {
            return Ok(Value::NULL);
        }
        let end = self.end.eval(frame)?;
        if end.is_nullish() {
            return Ok(Value::NULL);
        }
        let unit = self.unit.eval(frame)?;
        let Some(unit) = unit_argument(NAME, &unit)? else { return Ok(Value::NULL) };
        let Some(first_day) = week_start(NAME, unit, self.week_start.as_ref(), frame)? else {
            return Ok(Value::NULL);
        };
        let zone = self.zone.eval(frame).map_err(zone_failed)?;
        let Some(zone) = zone else { return Ok(Value::NULL) };
        let date = |value: &Value<'_>, what: &str| {
            as_date(value).ok_or_else(|| {
                let found = kind_name(value);
                let message = format!("{NAME} requires '{what}' to be a date, but got {found}");
                Error::location(5_166_307, message)
            })
        };
        let (start, end) = (date(&start, "startDate")?, date(&end, "endDate")?);
        difference(start, end, unit, &zone, first_day)
            .map(Value::i64)
            .ok_or_else(|| Error::location(5_166_308, "dateDiff overflowed"))
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

/// `{$dateDiff: {startDate, endDate, unit, timezone, startOfWeek}}`.
pub(in super::super) fn date_diff(argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    let Some(doc) = argument.as_doc() else {
        return Err(Error::location(
            5_166_301,
            "$dateDiff only supports an object as its argument",
        ));
    };
    let unknown = |field: &str| {
        Error::location(5_166_302, format!("Unrecognized argument to $dateDiff: {field}"))
    };
    let named =
        Named::parse(doc, ["startDate", "endDate", "unit", "timezone", "startOfWeek"], unknown)?;
    let missing = |code, what| {
        move || Error::location(code, format!("Missing '{what}' parameter to $dateDiff"))
    };
    let start = named.required(0, missing(5_166_303, "startDate"))?;
    let end = named.required(1, missing(5_166_304, "endDate"))?;
    let unit = named.required(2, missing(5_166_305, "unit"))?;
    let start = Expression::parse(start, scope)?;
    let end = Expression::parse(end, scope)?;
    let unit = Expression::parse(unit, scope)?;
    let zone = named.expression(3, scope)?;
    let mut week_start = named.expression(4, scope)?;
    check_unit(NAME, &unit, scope);
    let all = [Some(&start), Some(&end), Some(&unit), zone.as_ref(), week_start.as_ref()];
    let constant = all.into_iter().flatten().all(|arg| arg.as_constant().is_some());
    if constant && !is_week(&unit) {
        // Where all is known MongoDB does not look at it.
        week_start = None;
    }
    check_week_start(NAME, week_start.as_ref(), scope);
    check_zone_type(zone.as_ref(), scope, zone_failed);
    let zone = ZoneArgument::new(zone);
    zone.check_with(scope, zone_failed);
    let call = Expression::Special(Box::new(DateDiff { start, end, unit, zone, week_start }));
    Ok(if constant { call.folding(scope) } else { call })
}

/// Notes the error of a constant day of the week.
pub(super) fn check_week_start(name: &str, day: Option<&Expression>, scope: &mut Scope) {
    if let Some(value) = day.and_then(Expression::as_constant)
        && let Err(error) = week_start_argument(name, value)
    {
        scope.keep_folding_error(error);
    }
}
