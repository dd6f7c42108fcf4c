//! `$dateToString` and `$dateFromString`, and the formats of both.

use super::layout;
use super::parse;
use super::parts::Part;
use super::zone::{Zone, ZoneArgument};
use super::{check_year, month_name, to_date};
use crate::aggregate::expressions::array::kind_name;
use crate::aggregate::expressions::named::Named;
use crate::aggregate::expressions::{Expression, Frame, Operator, Scope, value_text};
use crate::bson::{Raw, Type, Value};
use crate::error::{Code, Error, Result};

/// Checks the letters behind `%` in a format.
///
/// # Errors
/// 18535, 18536.
fn check(format: &str, known: &str) -> Result<()> {
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            continue;
        }
        match chars.next() {
            None => return Err(Error::location(18535, "Unmatched '%' at end of format string")),
            Some(letter) if !known.contains(letter) => {
                let message = format!("Invalid format character '%{letter}' in format string");
                return Err(Error::location(18536, message));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

const PRINTED: &str = "dGHjLmMSuUVwYzZbB%";
const READ: &str = "dGHjLmMSuVYzZbB%";

/// A date as text in a format.
fn print(format: &str, ms: i64, zone: &Zone) -> Result<String> {
    use std::fmt::Write as _;
    let local = zone.local(ms);
    let offset = zone.offset(ms);
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let of = |part: Part| part.of(local);
        let _ = match chars.next() {
            Some('Y') => {
                check_year(of(Part::Year))?;
                write!(out, "{:04}", of(Part::Year))
            }
            Some('G') => {
                check_year(of(Part::IsoWeekYear))?;
                write!(out, "{:04}", of(Part::IsoWeekYear))
            }
            Some('m') => write!(out, "{:02}", of(Part::Month)),
            Some('d') => write!(out, "{:02}", of(Part::DayOfMonth)),
            Some('H') => write!(out, "{:02}", of(Part::Hour)),
            Some('M') => write!(out, "{:02}", of(Part::Minute)),
            Some('S') => write!(out, "{:02}", of(Part::Second)),
            Some('L') => write!(out, "{:03}", of(Part::Millisecond)),
            Some('j') => write!(out, "{:03}", of(Part::DayOfYear)),
            Some('U') => write!(out, "{:02}", of(Part::Week)),
            Some('V') => write!(out, "{:02}", of(Part::IsoWeek)),
            Some('u') => write!(out, "{}", of(Part::IsoDayOfWeek)),
            Some('w') => write!(out, "{}", of(Part::DayOfWeek)),
            Some('b') => {
                write!(out, "{}", month_name(of(Part::Month)).get(..3).unwrap_or_default())
            }
            Some('B') => write!(out, "{}", month_name(of(Part::Month))),
            Some('z') => {
                let (sign, seconds) = (if offset < 0 { '-' } else { '+' }, offset.abs());
                write!(out, "{sign}{:02}{:02}", seconds / 3600, seconds / 60 % 60)
            }
            Some('Z') => write!(out, "{}", offset / 60),
            Some(other) => write!(out, "{other}"),
            None => Ok(()),
        };
    }
    Ok(out)
}

#[derive(Debug)]
struct ToText {
    date: Expression,
    format: Option<Expression>,
    zone: ZoneArgument,
    on_null: Option<Expression>,
}

impl Operator for ToText {
    fn eval<'a>(&'a self, frame: &mut Frame<'a>) -> Result<Value<'a>> {
        let date = self.date.eval(frame)?;
        let format = self.format.as_ref().map(|format| format.eval(frame)).transpose()?;
        if let Some(format) = format.as_ref().and_then(|format| format.raw()?.as_str()) {
            check(format, PRINTED)?;
        } else if let Some(format) = format.as_ref().filter(|format| !format.is_nullish()) {
            let (kind, text) = (kind_name(format), value_text(format));
            let message = format!(
                "$dateToString requires that 'format' be a string, found: {kind} with value {text}"
            );
            return Err(Error::location(18533, message));
        }
        let zone = self.zone.eval(frame)?;
        if date.is_nullish() {
            return match &self.on_null {
                Some(value) => value.eval(frame),
                None => Ok(Value::NULL),
            };
        }
        let Some(zone) = zone else { return Ok(Value::NULL) };
        let default = match zone.is_utc() {
            true => "%Y-%m-%dT%H:%M:%S.%LZ",
            false => "%Y-%m-%dT%H:%M:%S.%L",
        };
        let format = match &format {
            None => default,
            Some(format) => match format.raw().and_then(Raw::as_str) {
                Some(format) => format,
                None => return Ok(Value::NULL),
            },
        };
        Ok(Value::str(&print(format, to_date(&date)?, &zone)?))
    }
}

/// `{$dateToString: {date, format, timezone, onNull}}`.
pub(in super::super) fn date_to_string(argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    let Some(doc) = argument.as_doc() else {
        let message = "$dateToString only supports an object as its argument";
        return Err(Error::location(18629, message));
    };
    let unknown = |field: &str| {
        Error::location(18534, format!("Unrecognized argument to $dateToString: {field}"))
    };
    let named = Named::parse(doc, ["date", "format", "timezone", "onNull"], unknown)?;
    let date = named
        .required(0, || Error::location(18628, "Missing 'date' parameter to $dateToString"))?;
    let date = Expression::parse(date, scope)?;
    let format = named.expression(1, scope)?;
    let zone = ZoneArgument::new(named.expression(2, scope)?);
    let on_null = named.expression(3, scope)?;
    zone.check(scope);
    let all = [Some(&date), format.as_ref(), on_null.as_ref()];
    let constant =
        zone.is_constant() && all.into_iter().flatten().all(|arg| arg.as_constant().is_some());
    let call = Expression::Special(Box::new(ToText { date, format, zone, on_null }));
    Ok(if constant { call.folding(scope) } else { call })
}

#[derive(Debug)]
struct FromText {
    text: Expression,
    format: Option<Expression>,
    zone: ZoneArgument,
    on_null: Option<Expression>,
    on_error: Option<Expression>,
}

impl FromText {
    /// The format as a text, `None` for null; MongoDB looks at it even where there is no text to read.
    fn format<'a>(&'a self, frame: &mut Frame<'a>) -> Result<Option<Value<'a>>> {
        let Some(format) = &self.format else { return Ok(None) };
        let format = format.eval(frame)?;
        if format.is_nullish() {
            return Ok(Some(format));
        }
        match format.raw().and_then(Raw::as_str) {
            Some(text) => check(text, READ)?,
            None => {
                let (kind, found) = (kind_name(&format), value_text(&format));
                let message = format!(
                    "$dateFromString requires that 'format' be a string, found: {kind} with value {found}"
                );
                return Err(Error::location(40684, message));
            }
        }
        Ok(Some(format))
    }
}

/// The date that a value says in a format, or in any common form without one.
fn date_of(value: &Value<'_>, format: Option<&Value<'_>>, zone: &Zone) -> Result<i64> {
    let Some(text) = value.raw().and_then(Raw::as_str) else {
        let (kind, found) = (kind_name(value), value_text(value));
        let message = format!(
            "$dateFromString requires that 'dateString' be a string, found: {kind} with value {found}"
        );
        return Err(parse::failure(message));
    };
    match format.and_then(Value::raw).and_then(Raw::as_str) {
        Some(format) => layout::read(text, format, zone),
        None => parse::free(text, zone),
    }
}

impl Operator for FromText {
    fn eval<'a>(&'a self, frame: &mut Frame<'a>) -> Result<Value<'a>> {
        let text = self.text.eval(frame)?;
        let format = self.format(frame)?;
        let zone = self.zone.eval(frame)?;
        if text.is_nullish() {
            return match &self.on_null {
                Some(value) => value.eval(frame),
                None => Ok(Value::NULL),
            };
        }
        let null = format.as_ref().is_some_and(Value::is_nullish);
        let zone = match zone {
            Some(zone) if !null => zone,
            _ if text.kind() == Some(Type::String) => return Ok(Value::NULL),
            _ => Zone::Utc,
        };
        match (date_of(&text, format.as_ref(), &zone), &self.on_error) {
            (Err(error), Some(value)) if error.code() == Code(241) => value.eval(frame),
            (result, _) => result.map(Value::date),
        }
    }
}

/// `{$dateFromString: {dateString, format, timezone, onNull, onError}}`.
pub(in super::super) fn date_from_string(
    argument: Raw<'_>,
    scope: &mut Scope,
) -> Result<Expression> {
    let Some(doc) = argument.as_doc() else {
        let what = "$dateFromString only supports an object as an argument, found: ";
        return Err(Error::location(40540, format!("{what}{}", argument.kind.alias())));
    };
    let unknown = |field: &str| {
        Error::location(40541, format!("Unrecognized argument to $dateFromString: {field}"))
    };
    let named =
        Named::parse(doc, ["dateString", "format", "timezone", "onNull", "onError"], unknown)?;
    let text = named.required(0, || {
        Error::location(40542, "Missing 'dateString' parameter to $dateFromString")
    })?;
    let text = Expression::parse(text, scope)?;
    let format = named.expression(1, scope)?;
    let zone = ZoneArgument::new(named.expression(2, scope)?);
    let on_null = named.expression(3, scope)?;
    let on_error = named.expression(4, scope)?;
    zone.check(scope);
    let all = [Some(&text), format.as_ref(), on_null.as_ref(), on_error.as_ref()];
    let constant =
        zone.is_constant() && all.into_iter().flatten().all(|arg| arg.as_constant().is_some());
    let call = Expression::Special(Box::new(FromText { text, format, zone, on_null, on_error }));
    Ok(if constant { call.folding(scope) } else { call })
}
