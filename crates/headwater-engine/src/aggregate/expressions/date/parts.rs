//! `$year`, `$month`, ... and `$dateToParts`, `$dateFromParts`.

use super::zone::ZoneArgument;
use super::{Civil, DAY_MS, days, iso_day_of_week, iso_days, iso_week, to_date};
use crate::aggregate::expressions::array::kind_name;
use crate::aggregate::expressions::named::Named;
use crate::aggregate::expressions::{
    Expression, Frame, Operator, Scope, bson_text, is_true, value_text,
};
use crate::bson::{Doc, DocWriter, Number, Raw, Type, Value};
use crate::error::{Code, Error, Result};

/// A part of a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Part {
    Year,
    Month,
    DayOfMonth,
    Hour,
    Minute,
    Second,
    Millisecond,
    DayOfYear,
    DayOfWeek,
    Week,
    IsoWeekYear,
    IsoWeek,
    IsoDayOfWeek,
}

impl Part {
    /// The part of a local time.
    pub(super) fn of(self, local_ms: i64) -> i64 {
        let parts = Civil::of(local_ms);
        let day = local_ms.div_euclid(DAY_MS);
        match self {
            Part::Year => parts.year,
            Part::Month => parts.month,
            Part::DayOfMonth => parts.day,
            Part::Hour => parts.hour,
            Part::Minute => parts.minute,
            Part::Second => parts.second,
            Part::Millisecond => parts.milli,
            Part::DayOfYear => day - days(parts.year, 1, 1) + 1,
            Part::DayOfWeek => iso_day_of_week(day) % 7 + 1,
            Part::Week => {
                let day_of_year = day - days(parts.year, 1, 1);
                (day_of_year + 7 - iso_day_of_week(day) % 7) / 7
            }
            Part::IsoWeekYear => iso_week(day).0,
            Part::IsoWeek => iso_week(day).1,
            Part::IsoDayOfWeek => iso_day_of_week(day),
        }
    }
}

#[derive(Debug)]
struct PartOf {
    part: Part,
    date: Expression,
    zone: ZoneArgument,
}

impl Operator for PartOf {
    fn eval<'a>(&'a self, frame: &mut Frame<'a>) -> Result<Value<'a>> {
        let date = self.date.eval(frame)?;
        if date.is_nullish() {
            return Ok(Value::NULL);
        }
        let date = to_date(&date)?;
        let Some(zone) = self.zone.eval(frame)? else { return Ok(Value::NULL) };
        let part = self.part.of(zone.local(date));
        Ok(match self.part {
            Part::IsoWeekYear => Value::i64(part),
            _ => Value::i32(i32::try_from(part).unwrap_or(i32::MAX)),
        })
    }
}

/// `{$year: date}` and its kin, also `{$year: {date, timezone}}`.
fn part(name: &str, part: Part, argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    let plain = |doc: Doc<'_>| doc.first().is_some_and(|first| first.name.starts_with(b"$"));
    let (date, zone) = match (argument.as_doc(), argument.as_array()) {
        (Some(doc), _) if !plain(doc) => {
            let unknown = |field: &str| {
                Error::location(40535, format!("unrecognized option to {name}: \"{field}\""))
            };
            let named = Named::parse(doc, ["date", "timezone"], unknown)?;
            let date = named.required(0, || {
                let given = bson_text(argument);
                let message =
                    format!("missing 'date' argument to {name}, provided: {name}: {given}");
                Error::location(40539, message)
            })?;
            (Expression::parse(date, scope)?, named.expression(1, scope)?)
        }
        (_, Some(array)) => {
            let given = array.len();
            let (1, Some(only)) = (given, array.get(0)) else {
                let message = format!(
                    "{name} accepts exactly one argument if given an array, but was given {given}"
                );
                return Err(Error::location(40536, message));
            };
            (Expression::parse(only, scope)?, None)
        }
        _ => (Expression::parse(argument, scope)?, None),
    };
    let zone = ZoneArgument::new(zone);
    let constant = date.as_constant().is_some() && zone.is_constant();
    if date.as_constant().is_none() {
        zone.check(scope);
    }
    let call = Expression::Special(Box::new(PartOf { part, date, zone }));
    Ok(if constant { call.folding(scope) } else { call })
}

macro_rules! parts {
    ($($function:ident($name:literal, $part:ident);)*) => {$(
        pub(in super::super) fn $function(argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
            part($name, Part::$part, argument, scope)
        }
    )*};
}

parts! {
    year("$year", Year);
    month("$month", Month);
    day_of_month("$dayOfMonth", DayOfMonth);
    hour("$hour", Hour);
    minute("$minute", Minute);
    second("$second", Second);
    millisecond("$millisecond", Millisecond);
    day_of_year("$dayOfYear", DayOfYear);
    day_of_week("$dayOfWeek", DayOfWeek);
    week("$week", Week);
    iso_week_year("$isoWeekYear", IsoWeekYear);
    iso_week_of("$isoWeek", IsoWeek);
    iso_day("$isoDayOfWeek", IsoDayOfWeek);
}

#[derive(Debug)]
struct ToParts {
    date: Expression,
    zone: ZoneArgument,
    iso: Option<Expression>,
}

impl Operator for ToParts {
    fn eval<'a>(&'a self, frame: &mut Frame<'a>) -> Result<Value<'a>> {
        let date = self.date.eval(frame)?;
        let Some(zone) = self.zone.eval(frame)? else { return Ok(Value::NULL) };
        let iso = match &self.iso {
            None => false,
            Some(iso) => {
                let iso = iso.eval(frame)?;
                if iso.is_nullish() {
                    return Ok(Value::NULL);
                }
                if iso.kind() != Some(Type::Bool) {
                    let found = kind_name(&iso);
                    let message = format!("iso8601 must evaluate to a bool, found {found}");
                    return Err(Error::location(40521, message));
                }
                is_true(&iso)
            }
        };
        if date.is_nullish() {
            return Ok(Value::NULL);
        }
        let local = zone.local(to_date(&date)?);
        let natural = [("year", Part::Year), ("month", Part::Month), ("day", Part::DayOfMonth)];
        let weekly = [
            ("isoWeekYear", Part::IsoWeekYear),
            ("isoWeek", Part::IsoWeek),
            ("isoDayOfWeek", Part::IsoDayOfWeek),
        ];
        let time = [
            ("hour", Part::Hour),
            ("minute", Part::Minute),
            ("second", Part::Second),
            ("millisecond", Part::Millisecond),
        ];
        let mut parts = DocWriter::new();
        for (name, part) in if iso { weekly } else { natural }.into_iter().chain(time) {
            parts.i32(name, i32::try_from(part.of(local)).unwrap_or(i32::MAX));
        }
        Ok(Value::doc(parts.finish()))
    }
}

/// `{$dateToParts: {date, timezone, iso8601}}`.
pub(in super::super) fn date_to_parts(argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    let Some(doc) = argument.as_doc() else {
        let message = "$dateToParts only supports an object as its argument";
        return Err(Error::location(40524, message));
    };
    let unknown = |field: &str| {
        Error::location(40520, format!("Unrecognized argument to $dateToParts: {field}"))
    };
    let named = Named::parse(doc, ["date", "timezone", "iso8601"], unknown)?;
    let date =
        named.required(0, || Error::location(40522, "Missing 'date' parameter to $dateToParts"))?;
    let date = Expression::parse(date, scope)?;
    let zone = ZoneArgument::new(named.expression(1, scope)?);
    let iso = named.expression(2, scope)?;
    let constant = date.as_constant().is_some()
        && zone.is_constant()
        && iso.as_ref().is_none_or(|iso| iso.as_constant().is_some());
    zone.check(scope);
    let call = Expression::Special(Box::new(ToParts { date, zone, iso }));
    Ok(if constant { call.folding(scope) } else { call })
}

const FIELDS: [&str; 10] = [
    "year",
    "month",
    "day",
    "hour",
    "minute",
    "second",
    "millisecond",
    "isoWeekYear",
    "isoWeek",
    "isoDayOfWeek",
];

#[derive(Debug)]
struct FromParts {
    fields: [Option<Expression>; 10],
    zone: ZoneArgument,
}

impl FromParts {
    /// The value of a field or its default; `None` for null.
    fn field<'a>(&'a self, at: usize, default: i64, frame: &mut Frame<'a>) -> Result<Option<i64>> {
        let (Some(name), Some(Some(expression))) = (FIELDS.get(at), self.fields.get(at)) else {
            return Ok(Some(default));
        };
        let value = expression.eval(frame)?;
        if value.is_nullish() {
            return Ok(None);
        }
        let Some(number) = Number::from_value(&value).and_then(Number::to_i64_exact) else {
            let (kind, text) = (kind_name(&value), value_text(&value));
            let message =
                format!("'{name}' must evaluate to an integer, found {kind} with value {text}");
            return Err(Error::location(40515, message));
        };
        match *name {
            "year" | "isoWeekYear" | "second" | "millisecond" => Ok(Some(number)),
            _ if i16::try_from(number).is_err() => {
                let message = format!(
                    "'{name}' must evaluate to a value in the range [-32768, 32767]; value {number} is not in range"
                );
                Err(Error::location(31034, message))
            }
            _ => Ok(Some(number)),
        }
    }
}

impl Operator for FromParts {
    fn eval<'a>(&'a self, frame: &mut Frame<'a>) -> Result<Value<'a>> {
        let iso = self.fields.get(7).is_some_and(Option::is_some);
        let mut values = [0; 10];
        let defaults = [1970, 1, 1, 0, 0, 0, 0, 1970, 1, 1];
        let mut take = |places: &[usize], frame: &mut Frame<'a>| -> Result<bool> {
            for &at in places {
                let default = defaults.get(at).copied().unwrap_or(0);
                let Some(value) = self.field(at, default, frame)? else { return Ok(false) };
                if let Some(place) = values.get_mut(at) {
                    *place = value;
                }
            }
            Ok(true)
        };
        // MongoDB looks at the time of day first, then at the zone.
        if !take(&[3, 4, 5, 6], frame)? {
            return Ok(Value::NULL);
        }
        let Some(zone) = self.zone.eval(frame)? else { return Ok(Value::NULL) };
        if !take(if iso { &[7, 8, 9] } else { &[0, 1, 2] }, frame)? {
            return Ok(Value::NULL);
        }
        let [year, month, day, hour, minute, second, milli, iso_year, week, day_of_week] = values;
        let (name, code, given) =
            if iso { ("isoWeekYear", 31095, iso_year) } else { ("year", 40523, year) };
        if !(1..=9999).contains(&given) {
            let message = format!(
                "'{name}' must evaluate to an integer in the range 1 to 9999, found {given}"
            );
            return Err(Error::location(code, message));
        }
        let day = if iso { iso_days(iso_year, week, day_of_week) } else { days(year, month, day) };
        let local = day * DAY_MS + (hour * 60 + minute) * 60_000;
        let local = second.checked_mul(1000).and_then(|ms| ms.checked_add(local));
        let local = local.and_then(|local| local.checked_add(milli));
        let moment = local.map(|local| zone.moment(local, false));
        moment.map(Value::date).ok_or_else(|| {
            let message =
                "Overflow casting from a lower-precision duration to a higher-precision duration";
            Error::new(Code::DURATION_OVERFLOW, message)
        })
    }
}

/// `{$dateFromParts: {year, month, ..., timezone}}` or with `isoWeekYear`.
pub(in super::super) fn date_from_parts(
    argument: Raw<'_>,
    scope: &mut Scope,
) -> Result<Expression> {
    let Some(doc) = argument.as_doc() else {
        let message = "$dateFromParts only supports an object as its argument";
        return Err(Error::location(40519, message));
    };
    let unknown = |field: &str| {
        Error::location(40518, format!("Unrecognized argument to $dateFromParts: {field}"))
    };
    let [a, b, c, d, e, f, g, h, i, j] = FIELDS;
    let named = Named::parse(doc, [a, b, c, d, e, f, g, h, i, j, "timezone"], unknown)?;
    let given = |at: usize| named.raw(at).is_some();
    if !given(0) && !given(7) {
        let message = "$dateFromParts requires either 'year' or 'isoWeekYear' to be present";
        return Err(Error::location(40516, message));
    }
    let iso_given = [7, 8, 9].into_iter().any(given);
    let natural_given = [0, 1, 2].into_iter().any(given);
    if iso_given && natural_given {
        let code = if given(0) { 40489 } else { 40525 };
        let message = match given(0) {
            true => "$dateFromParts does not allow mixing natural dates with ISO dates",
            false => "$dateFromParts does not allow mixing ISO dates with natural dates",
        };
        return Err(Error::location(code, message));
    }
    let mut fields = [const { None }; 10];
    for (at, field) in fields.iter_mut().enumerate() {
        *field = named.expression(at, scope)?;
    }
    let zone = ZoneArgument::new(named.expression(10, scope)?);
    let constant = zone.is_constant()
        && fields.iter().flatten().all(|field: &Expression| field.as_constant().is_some());
    if !constant {
        zone.check(scope);
    }
    let call = Expression::Special(Box::new(FromParts { fields, zone }));
    Ok(if constant { call.folding(scope) } else { call })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bson::iso::date_of;

    #[test]
    fn weeks_before_the_first_sunday_are_week_0() {
        let monday = days(2024, 1, 1) * DAY_MS;
        assert_eq!(Part::Week.of(monday), 0);
        assert_eq!(Part::IsoWeek.of(monday), 1);
        assert_eq!(Part::DayOfWeek.of(monday), 2);
        assert_eq!(date_of(days(2023, 14, 1)), (2024, 2, 1));
    }
}
