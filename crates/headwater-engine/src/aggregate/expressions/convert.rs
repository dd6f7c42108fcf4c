//! `$convert` and its short forms `$toInt`, `$toString`, ...

mod binary;
mod number;
mod target;

use super::array::kind_name;
use super::named::Named;
use super::{Expression, Frame, Operator, Scope, date, is_true};
use crate::bson::print::computed as value_text;
use crate::bson::{Raw, Type, Value, View};
use crate::error::{Code, Error, Result};

use binary::Format;
use target::{Subtype, Target};

/// The code of a value that cannot be converted; `onError` stands in for it.
const FAILURE: Code = Code(241);

#[cold]
fn failure(message: String) -> Error {
    Error::new(FAILURE, message)
}

#[derive(Debug)]
struct Convert {
    input: Expression,
    to: Expression,
    on_error: Option<Expression>,
    on_null: Option<Expression>,
    format: Option<Expression>,
}

impl Operator for Convert {
    fn eval<'a>(&'a self, frame: &mut Frame<'a>) -> Result<Value<'a>> {
        let to = self.to.eval(frame)?;
        let input = self.input.eval(frame)?;
        let format = self.format.as_ref().map(|format| format.eval(frame)).transpose()?;
        let target = Target::parse(&to)?;
        if input.is_nullish() {
            return match &self.on_null {
                Some(value) => value.eval(frame),
                None => Ok(Value::NULL),
            };
        }
        let Some(target) = target else { return Ok(Value::NULL) };
        let format = match format.filter(|format| !format.is_nullish()) {
            Some(format) => Some(Format::parse(&format)?),
            None => None,
        };
        match (converted(&input, target, format), &self.on_error) {
            (Err(error), Some(value)) if error.code() == FAILURE => value.eval(frame),
            (result, _) => result,
        }
    }
}

fn converted<'a>(
    input: &Value<'a>,
    target: Target<'_>,
    format: Option<Format>,
) -> Result<Value<'a>> {
    if input.kind() == target.kind && target.kind.is_some_and(is_kept) {
        return Ok(input.clone());
    }
    let unsupported = || {
        let (from, to) = (kind_name(input), target.kind.map_or("missing", Type::alias));
        failure(format!(
            "Unsupported conversion from {from} to {to} in $convert with no onError value"
        ))
    };
    let view = input.view().ok_or_else(unsupported)?;
    match target.kind.ok_or_else(unsupported)? {
        Type::Bool => Ok(Value::bool(is_true(input))),
        Type::Double => number::to_double(view).ok_or_else(unsupported)?.map(Value::f64),
        Type::Int32 => number::to_int(view).ok_or_else(unsupported)?.map(Value::i32),
        Type::Int64 => number::to_long(view).ok_or_else(unsupported)?.map(Value::i64),
        Type::Decimal => number::to_decimal(view)
            .ok_or_else(unsupported)?
            .map(|value| Value::decimal(value.to_bytes())),
        Type::Date => to_date(view).ok_or_else(unsupported)?.map(Value::date),
        Type::ObjectId => match view {
            View::String(text) => object_id(text),
            _ => Err(unsupported()),
        },
        Type::String => match view {
            View::Binary { subtype, .. } => {
                let bytes = input.raw().map_or(&[][..], Raw::binary);
                binary::to_text(subtype, bytes, format).map(|text| Value::str(&text))
            }
            _ => text(view).ok_or_else(unsupported)?.map(|text| Value::str(&text)),
        },
        Type::Binary => match view {
            View::String(text) => binary::from_text(text, target.subtype, format),
            View::Binary { subtype, .. } if subtype == target.subtype.get()? => Ok(input.clone()),
            View::Binary { .. } => Err(failure(
                "Conversions between different BinData subtypes are not supported".to_owned(),
            )),
            _ => Err(unsupported()),
        },
        _ => Err(unsupported()),
    }
}

/// Whether values of a type are converted to their own type.
fn is_kept(kind: Type) -> bool {
    use Type::{Bool, Date, Decimal, Double, Int32, Int64, ObjectId, String};
    matches!(kind, Bool | Date | Decimal | Double | Int32 | Int64 | ObjectId | String)
}

fn to_date(view: View<'_>) -> Option<Result<i64>> {
    Some(match view {
        View::Double(_) | View::Decimal(_) | View::Int64(_) => number::to_long(view)?,
        View::String(text) => date::parse::free(text, &date::zone::Zone::Utc),
        View::ObjectId([a, b, c, d, ..]) => Ok(i64::from(i32::from_be_bytes([a, b, c, d])) * 1000),
        View::Timestamp(timestamp) => Ok((timestamp >> 32) as i64 * 1000),
        _ => return None,
    })
}

fn object_id(text: &str) -> Result<Value<'static>> {
    let wrong = |what: String| {
        failure(format!(
            "Failed to parse objectId '{text}' in $convert with no onError value: {what}"
        ))
    };
    if text.len() != 24 {
        let what = "Invalid string length for parsing to OID, expected 24 but found ";
        return Err(wrong(format!("{what}{}", text.len())));
    }
    let bytes = binary::from_hex(text).ok_or_else(|| {
        let found = text.chars().find(|c| !c.is_ascii_hexdigit()).unwrap_or(' ');
        wrong(format!("Invalid character found in hex string: {found}"))
    })?;
    Ok(Value::owned(Type::ObjectId, &bytes))
}

fn text(view: View<'_>) -> Option<Result<String>> {
    Some(match view {
        View::Double(value) => Ok(number::double_text(value)),
        View::Int32(value) => Ok(value.to_string()),
        View::Int64(value) => Ok(value.to_string()),
        View::Decimal(bytes) => Ok(crate::bson::Decimal::from_bytes(bytes).to_string()),
        View::Bool(value) => Ok(value.to_string()),
        View::ObjectId(id) => Ok(binary::hex(&id).to_lowercase()),
        View::Date(ms) => date::iso_text(ms),
        _ => return None,
    })
}

/// `{$convert: {input, to, onError, onNull, format}}`.
pub(super) fn convert(argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    let invalid = |message: String| Error::new(Code::FAILED_TO_PARSE, message);
    let Some(doc) = argument.as_doc() else {
        let found = argument.kind.alias();
        return Err(invalid(format!(
            "$convert expects an object of named arguments but found: {found}"
        )));
    };
    let unknown = |field: &str| invalid(format!("$convert found an unknown argument: {field}"));
    let named = Named::parse(doc, ["input", "to", "onError", "onNull", "format"], unknown)?;
    let input =
        named.required(0, || invalid("Missing 'input' parameter to $convert".to_owned()))?;
    let to = named.required(1, || invalid("Missing 'to' parameter to $convert".to_owned()))?;
    let input = Expression::parse(input, scope)?;
    let to = Expression::parse(to, scope)?;
    let on_error = named.expression(2, scope)?;
    let on_null = named.expression(3, scope)?;
    let format = named.expression(4, scope)?;
    let all = [Some(&input), Some(&to), on_error.as_ref(), on_null.as_ref(), format.as_ref()];
    let constant = all.into_iter().flatten().all(|arg| arg.as_constant().is_some());
    let convert = Expression::Special(Box::new(Convert { input, to, on_error, on_null, format }));
    Ok(if constant { convert.folding(scope) } else { convert })
}

/// A short form with the target built in.
#[derive(Debug)]
struct Short {
    input: Expression,
    target: Target<'static>,
    format: Option<Format>,
}

impl Operator for Short {
    fn eval<'a>(&'a self, frame: &mut Frame<'a>) -> Result<Value<'a>> {
        let input = self.input.eval(frame)?;
        if input.is_nullish() {
            return Ok(Value::NULL);
        }
        converted(&input, self.target, self.format)
    }
}

fn short(
    name: &str,
    target: Target<'static>,
    format: Option<Format>,
    argument: Raw<'_>,
    scope: &mut Scope,
) -> Result<Expression> {
    let input = match argument.as_array() {
        Some(array) => {
            let given = array.len();
            let (1, Some(only)) = (given, array.get(0)) else {
                let message = format!("{name} requires a single argument, got {given}");
                return Err(Error::location(50723, message));
            };
            Expression::parse(only, scope)?
        }
        None => Expression::parse(argument, scope)?,
    };
    let constant = input.as_constant().is_some();
    let short = Expression::Special(Box::new(Short { input, target, format }));
    Ok(if constant { short.folding(scope) } else { short })
}

macro_rules! shorts {
    ($($function:ident($name:literal, $kind:ident, $subtype:literal, $format:expr);)*) => {$(
        pub(super) fn $function(argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
            let target = Target { kind: Some(Type::$kind), subtype: Subtype::Known($subtype) };
            short($name, target, $format, argument, scope)
        }
    )*};
}

shorts! {
    to_bool("$toBool", Bool, 0, None);
    to_date_short("$toDate", Date, 0, None);
    to_decimal("$toDecimal", Decimal, 0, None);
    to_double("$toDouble", Double, 0, None);
    to_int("$toInt", Int32, 0, None);
    to_long("$toLong", Int64, 0, None);
    to_object_id("$toObjectId", ObjectId, 0, None);
    to_string("$toString", String, 0, Some(Format::Auto));
    to_uuid("$toUUID", Binary, 4, Some(Format::Uuid));
}

/// A value inside an error message.
fn shown(value: &Value<'_>) -> String {
    value_text(value)
}
