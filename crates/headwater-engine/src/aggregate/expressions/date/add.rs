//! `$dateAdd`, `$dateSubtract`.

use super::unit::{Unit, unit_argument};
use super::zone::{Zone, ZoneArgument};
use super::{Civil, DAY_MS, as_date, days};
use crate::aggregate::expressions::named::Named;
use crate::aggregate::expressions::{Expression, Frame, Operator, Scope};
use crate::bson::{Number, Raw, Value};
use crate::error::{Code, Error, Result};

/// The moment `amount` units after another. Units of a day and more keep the local time of day, those of a month and
/// more the day of the month where there is one.
///
/// # Errors
/// 5976500, 5166406 and 159 for what does not fit.
pub(crate) fn add(start: i64, unit: Unit, amount: i64, zone: &Zone) -> Result<i64> {
    if unit == Unit::Millisecond {
        return start.checked_add(amount).ok_or_else(|| {
            let wrapped = start.wrapping_add(amount);
            Error::new(Code(159), format!("Overflow while adding {amount}ms to {wrapped}ms"))
        });
    }
    let most = u64::MAX / unit.millis().unsigned_abs();
    if amount.unsigned_abs() > most {
        let message = format!("invalid dateAdd 'amount' parameter value: {amount} {}", unit.name());
        return Err(Error::location(5_976_500, message));
    }
    let overflow = || Error::location(5_166_406, "dateAdd overflowed");
    if matches!(unit, Unit::Hour | Unit::Minute | Unit::Second) {
        let ms = amount.checked_mul(unit.millis()).ok_or_else(overflow)?;
        return start.checked_add(ms).ok_or_else(overflow);
    }
    let local = zone.local(start);
    let (day, time) = (local.div_euclid(DAY_MS), local.rem_euclid(DAY_MS));
    let day = match unit.months() {
        Some(months) => {
            let parts = Civil::of(local);
            let month =
                months.checked_mul(amount).and_then(|months| months.checked_add(parts.month));
            let month = month.ok_or_else(overflow)?;
            let first = days(parts.year, month, 1);
            let length = days(parts.year, month + 1, 1) - first;
            first + parts.day.min(length) - 1
        }
        None => amount
            .checked_mul(if unit == Unit::Week { 7 } else { 1 })
            .and_then(|days| days.checked_add(day))
            .ok_or_else(overflow)?,
    };
    let moved = day.checked_mul(DAY_MS).and_then(|ms| ms.checked_add(time)).ok_or_else(overflow)?;
    Ok(zone.moment(moved, zone.is_dst(start)))
}

#[derive(Debug)]
struct Shift {
    name: &'static str,
    start: Expression,
    unit: Expression,
    amount: Expression,
    zone: ZoneArgument,
}

impl Operator for Shift {
    fn eval<'a>(&'a self, frame: &mut Frame<'a>) -> Result<Value<'a>> {
        let start = self.start.eval(frame)?;
        if start.is_nullish() {
            return Ok(Value::NULL);
        }
        let unit = self.unit.eval(frame)?;
        let Some(unit) = unit_argument(self.name, &unit)? else { return Ok(Value::NULL) };
        let amount = self.amount.eval(frame)?;
        if amount.is_nullish() {
            return Ok(Value::NULL);
        }
        let Some(zone) = self.zone.eval(frame)? else { return Ok(Value::NULL) };
        let Some(start) = as_date(&start) else {
            let message = format!("{} requires startDate to be convertible to a date", self.name);
            return Err(Error::location(5_166_403, message));
        };
        let Some(amount) = Number::from_value(&amount).and_then(Number::to_i64_exact) else {
            let message = format!("{} expects integer amount of time units", self.name);
            return Err(Error::location(5_166_405, message));
        };
        let amount = match self.name {
            "$dateSubtract" => amount.checked_neg().ok_or_else(|| {
                let message = format!("invalid $dateSubtract 'amount' parameter value: {amount}");
                Error::location(6_045_000, message)
            })?,
            _ => amount,
        };
        add(start, unit, amount, &zone).map(Value::date)
    }
}

fn shift(name: &'static str, argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    let Some(doc) = argument.as_doc() else {
        let message = format!("{name} expects an object as its argument");
        return Err(Error::location(5_166_400, message));
    };
    let unknown = |field: &str| {
        let expected = "Expected arguments are startDate, unit, amount, and optionally timezone.";
        Error::location(5_166_401, format!("Unrecognized argument to {name}: {field}. {expected}"))
    };
    let named = Named::parse(doc, ["startDate", "unit", "amount", "timezone"], unknown)?;
    let missing = || {
        Error::location(
            5_166_402,
            format!("{name} requires startDate, unit, and amount to be present"),
        )
    };
    let start = named.required(0, missing)?;
    let unit = named.required(1, missing)?;
    let amount = named.required(2, missing)?;
    let start = Expression::parse(start, scope)?;
    let unit = Expression::parse(unit, scope)?;
    let amount = Expression::parse(amount, scope)?;
    let zone = named.expression(3, scope)?;
    check_unit(name, &unit, scope);
    check_zone_type(zone.as_ref(), scope, |error| error);
    let zone = ZoneArgument::new(zone);
    zone.check(scope);
    let constant = zone.is_constant()
        && [&start, &unit, &amount].iter().all(|arg| arg.as_constant().is_some());
    let call = Expression::Special(Box::new(Shift { name, start, unit, amount, zone }));
    Ok(if constant { call.folding(scope) } else { call })
}

/// Notes the error of a constant unit.
pub(super) fn check_unit(name: &str, unit: &Expression, scope: &mut Scope) {
    if let Some(value) = unit.as_constant()
        && let Err(error) = unit_argument(name, value)
    {
        scope.keep_folding_error(error);
    }
}

/// Notes the error of a constant time zone that is no string.
pub(super) fn check_zone_type(
    zone: Option<&Expression>,
    scope: &mut Scope,
    words: fn(Error) -> Error,
) {
    let Some(value) = zone.and_then(Expression::as_constant) else { return };
    if !value.is_nullish() && value.raw().and_then(Raw::as_str).is_none() {
        let found = crate::aggregate::expressions::array::kind_name(value);
        let message = format!("timezone must evaluate to a string, found {found}");
        scope.keep_folding_error(words(Error::location(40517, message)));
    }
}

pub(in super::super) fn date_add(argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    shift("$dateAdd", argument, scope)
}

pub(in super::super) fn date_subtract(argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    shift("$dateSubtract", argument, scope)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_of_the_month_is_clamped() {
        let january_31 = days(2024, 1, 31) * DAY_MS;
        let moved = add(january_31, Unit::Month, 1, &Zone::Utc).unwrap();
        assert_eq!(moved, days(2024, 2, 29) * DAY_MS);
    }
}
