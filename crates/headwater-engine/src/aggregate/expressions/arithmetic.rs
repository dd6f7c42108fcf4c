//! Arithmetic: `$add`, `$subtract`, `$multiply`, `$divide`, `$mod`, powers, logarithms and rounding.

use super::array::{kind_name, streamed};
use crate::bson::print::computed as value_text;
use crate::bson::{Number, Product, Rounding, Total, Type, Value, View};
use crate::error::{Code, Error, Result};

fn date_ms(value: &Value<'_>) -> Option<i64> {
    match value.view() {
        Some(View::Date(ms)) => Some(ms),
        _ => None,
    }
}

#[cold]
fn type_mismatch(message: String) -> Error {
    Error::new(Code::TYPE_MISMATCH, message)
}

#[cold]
fn date_overflow() -> Error {
    Error::new(Code::OVERFLOW, "date overflow")
}

/// A number of milliseconds as it is added to a date: rounded, half away from zero.
fn to_ms(number: Number) -> Option<i64> {
    match number {
        Number::Double(value) => Number::Double(value.round()).to_i64_exact(),
        Number::Decimal(value) => value.round_to_integral(Rounding::HalfEven).to_i64_exact(),
        other => other.to_i64_exact(),
    }
}

pub(super) fn add(args: Vec<Value<'_>>) -> Result<Value<'_>> {
    let mut total = Total::default();
    let mut date = None;
    let mut ms: i64 = 0;
    for arg in &args {
        if let Some(number) = Number::from_value(arg) {
            total.add(number);
            if date.is_some() || args.iter().any(|arg| arg.kind() == Some(Type::Date)) {
                ms = to_ms(number).and_then(|n| ms.checked_add(n)).ok_or_else(date_overflow)?;
            }
        } else if arg.is_nullish() {
            return Ok(Value::NULL);
        } else if let Some(value) = date_ms(arg) {
            if date.replace(value).is_some() {
                return Err(Error::location(16612, "only one date allowed in an $add expression"));
            }
        } else {
            let message =
                format!("$add only supports numeric or date types, not {}", kind_name(arg));
            return Err(type_mismatch(message));
        }
    }
    match date {
        Some(date) => date.checked_add(ms).map(Value::date).ok_or_else(date_overflow),
        None => Ok(total.finish().to_value()),
    }
}

pub(super) fn subtract<'a>(left: Value<'a>, right: Value<'a>) -> Result<Value<'a>> {
    if let (Some(a), Some(b)) = (Number::from_value(&left), Number::from_value(&right)) {
        return Ok(a.sub(b).to_value());
    }
    if left.is_nullish() || right.is_nullish() {
        return Ok(Value::NULL);
    }
    if let Some(date) = date_ms(&left) {
        if let Some(other) = date_ms(&right) {
            // MongoDB does not look whether the difference fits.
            return Ok(Value::i64(date.wrapping_sub(other)));
        }
        if let Some(number) = Number::from_value(&right) {
            let ms = to_ms(number).and_then(|ms| date.checked_sub(ms));
            return ms.map(Value::date).ok_or_else(date_overflow);
        }
        return Err(type_mismatch(format!("can't $subtract {} from Date", kind_name(&right))));
    }
    Err(type_mismatch(format!("can't $subtract {} from {}", kind_name(&right), kind_name(&left))))
}

pub(super) fn multiply(args: Vec<Value<'_>>) -> Result<Value<'_>> {
    let mut product = Product::default();
    for arg in &args {
        match Number::from_value(arg) {
            Some(number) => product.mul(number),
            None if arg.is_nullish() => return Ok(Value::NULL),
            None => {
                let message =
                    format!("$multiply only supports numeric types, not {}", kind_name(arg));
                return Err(type_mismatch(message));
            }
        }
    }
    Ok(product.finish().to_value())
}

pub(super) fn divide<'a>(left: Value<'a>, right: Value<'a>) -> Result<Value<'a>> {
    if let (Some(a), Some(b)) = (Number::from_value(&left), Number::from_value(&right)) {
        let quotient = a.div(b).map(Number::to_value);
        return quotient.ok_or_else(|| Error::new(Code::BAD_VALUE, "can't $divide by zero"));
    }
    if left.is_nullish() || right.is_nullish() {
        return Ok(Value::NULL);
    }
    let (a, b) = (kind_name(&left), kind_name(&right));
    Err(type_mismatch(format!("$divide only supports numeric types, not {a} and {b}")))
}

pub(super) fn modulo<'a>(left: Value<'a>, right: Value<'a>) -> Result<Value<'a>> {
    if let (Some(a), Some(b)) = (Number::from_value(&left), Number::from_value(&right)) {
        let decimal = a.kind() == Type::Decimal || b.kind() == Type::Decimal;
        let code = if decimal { 5_733_415 } else { 16610 };
        return a
            .rem(b)
            .map(Number::to_value)
            .ok_or_else(|| Error::location(code, "can't $mod by zero"));
    }
    if left.is_nullish() || right.is_nullish() {
        return Ok(Value::NULL);
    }
    let (a, b) = (kind_name(&left), kind_name(&right));
    Err(Error::location(16611, format!("$mod only supports numeric types, not {a} and {b}")))
}

pub(super) fn pow<'a>(base: Value<'a>, exponent: Value<'a>) -> Result<Value<'a>> {
    if base.is_nullish() || exponent.is_nullish() {
        return Ok(Value::NULL);
    }
    let Some(a) = Number::from_value(&base) else {
        let message = format!("$pow's base must be numeric, not {}", kind_name(&base));
        return Err(Error::location(28762, message));
    };
    let Some(b) = Number::from_value(&exponent) else {
        let message = format!("$pow's exponent must be numeric, not {}", kind_name(&exponent));
        return Err(Error::location(28763, message));
    };
    let message = "$pow cannot take a base of 0 and a negative exponent";
    // Among decimals MongoDB looks at the sign alone.
    let negative_zero = matches!((a, b), (Number::Decimal(_), _) | (_, Number::Decimal(_)))
        && a.compare(Number::Int32(0)).is_eq()
        && b.to_decimal().is_negative()
        && !b.is_nan();
    let power = if negative_zero { None } else { a.pow(b) };
    power.map(Number::to_value).ok_or_else(|| Error::location(28764, message))
}

/// A number as an integer argument: cut off, or rounded where it is a decimal.
///
/// # Errors
/// 31109 if it does not fit.
pub(super) fn to_long(number: Number) -> Result<i64> {
    let (whole, what) = match number {
        Number::Decimal(value) => {
            (value.round_to_integral(Rounding::HalfEven).to_i64_exact(), "decimal value")
        }
        other => (other.to_i64_truncated(), "value"),
    };
    whole.ok_or_else(|| {
        let text = value_text(&number.to_value());
        Error::location(31109, format!("Can't coerce out of range {what} {text} to long"))
    })
}

/// The number that an operator of one number takes; `None` for null.
pub(super) fn operand(name: &str, value: &Value<'_>) -> Result<Option<Number>> {
    match Number::from_value(value) {
        None if value.is_nullish() => Ok(None),
        None => {
            let message = format!("{name} only supports numeric types, not {}", kind_name(value));
            Err(Error::location(28765, message))
        }
        number => Ok(number),
    }
}

fn is_below(number: Number, bound: i32) -> bool {
    !number.is_nan() && number.compare(Number::Int32(bound)).is_lt()
}

fn is_positive(number: Number) -> bool {
    number.is_nan() || number.compare(Number::Int32(0)).is_gt()
}

/// A NaN of any type as a double, as logarithms give it.
fn plain_nan(number: Number) -> Number {
    if number.is_nan() { Number::Double(f64::NAN) } else { number }
}

macro_rules! unary {
    ($($name:ident($op:literal, $number:ident) = $run:expr;)*) => {$(
        pub(super) fn $name(value: Value<'_>) -> Result<Value<'_>> {
            let Some($number) = operand($op, &value)? else { return Ok(Value::NULL) };
            let result: Number = $run;
            Ok(result.to_value())
        }
    )*};
}

fn checked_log(op: &str, code: i32, number: Number) -> Result<Number> {
    if is_positive(number) {
        return Ok(number);
    }
    let text = streamed(&number.to_value());
    Err(Error::location(code, format!("{op}'s argument must be a positive number, but is {text}")))
}

/// The double or decimal function of a number.
pub(super) fn real(
    number: Number,
    double: fn(f64) -> f64,
    decimal: fn(crate::bson::Decimal) -> crate::bson::Decimal,
) -> Number {
    match number {
        Number::Decimal(value) => Number::Decimal(decimal(value)),
        other => Number::Double(double(other.to_f64())),
    }
}

unary! {
    abs("$abs", n) = n.abs().ok_or_else(|| Error::location(28680, "can't take $abs of long long min"))?;
    ceil("$ceil", n) = n.ceil();
    floor("$floor", n) = n.floor();
    exp("$exp", n) = real(n, f64::exp, crate::bson::Decimal::exp);
    ln("$ln", n) = real(plain_nan(checked_log("$ln", 28766, n)?), f64::ln, crate::bson::Decimal::ln);
    log10("$log10", n) = real(plain_nan(checked_log("$log10", 28761, n)?), f64::log10, crate::bson::Decimal::log10);
    sqrt("$sqrt", n) = if is_below(n, 0) {
        return Err(Error::location(28714, "$sqrt's argument must be greater than or equal to 0"));
    } else {
        real(n, f64::sqrt, crate::bson::Decimal::sqrt)
    };
}

pub(super) fn log<'a>(value: Value<'a>, base: Value<'a>) -> Result<Value<'a>> {
    if value.is_nullish() || base.is_nullish() {
        return Ok(Value::NULL);
    }
    let numeric = |value: &Value<'_>, what: &str, code| {
        Number::from_value(value).ok_or_else(|| {
            Error::location(
                code,
                format!("$log's {what} must be numeric, not {}", kind_name(value)),
            )
        })
    };
    let number = numeric(&value, "argument", 28756)?;
    let by = numeric(&base, "base", 28757)?;
    let is_one = |by: Number| by.compare(Number::Int32(1)).is_eq();
    if let (Number::Decimal(_), _) | (_, Number::Decimal(_)) = (number, by)
        && !number.is_nan()
        && !by.is_nan()
        && is_positive(number)
        && is_positive(by)
        && !is_one(by)
    {
        return Ok(Number::Decimal(number.to_decimal().log(by.to_decimal())).to_value());
    }
    // What is wrong is looked for in the doubles, among which the smallest decimals are zero.
    let (number, by) = (Number::Double(number.to_f64()), Number::Double(by.to_f64()));
    checked_log("$log", 28758, number)?;
    if !is_positive(by) || is_one(by) {
        let text = streamed(&by.to_value());
        let message =
            format!("$log's base must be a positive number not equal to 1, but is {text}");
        return Err(Error::location(28759, message));
    }
    Ok(Value::f64(number.to_f64().ln() / by.to_f64().ln()))
}

pub(super) fn round(args: Vec<Value<'_>>) -> Result<Value<'_>> {
    to_place("$round", &args, Number::round)
}

pub(super) fn trunc(args: Vec<Value<'_>>) -> Result<Value<'_>> {
    to_place("$trunc", &args, Number::trunc)
}

fn to_place(
    name: &str,
    args: &[Value<'_>],
    run: fn(Number, i32) -> Option<Number>,
) -> Result<Value<'static>> {
    let value = args.first().unwrap_or(&Value::MISSING);
    if value.is_nullish() {
        return Ok(Value::NULL);
    }
    let Some(number) = Number::from_value(value) else {
        let message = format!("{name} only supports numeric types, not {}", kind_name(value));
        return Err(Error::location(51081, message));
    };
    let place = match args.get(1) {
        None => 0,
        Some(place) if place.is_nullish() => return Ok(Value::NULL),
        Some(place) => precision(name, place)?,
    };
    run(number, place).map(Number::to_value).ok_or_else(|| {
        let what = format!(
            "invalid conversion from Decimal128 result in {name} resulting from arguments: "
        );
        Error::location(51080, format!("{what}[{}, {place}]", value_text(value)))
    })
}

fn precision(name: &str, value: &Value<'_>) -> Result<i32> {
    let Some(number) = Number::from_value(value) else {
        let message = format!("can't convert from BSON type {} to long", kind_name(value));
        return Err(Error::location(16004, message));
    };
    let truncated = to_long(number)?;
    if number.to_i32_exact().is_none() {
        let message = format!("precision argument to  {name} must be a integral value");
        return Err(Error::location(51082, message));
    }
    if !(-20..=100).contains(&truncated) {
        let message = format!(
            "cannot apply {name} with precision value {truncated} value must be in [-20, 100]"
        );
        return Err(Error::location(51083, message));
    }
    Ok(truncated as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_sum_that_does_not_fit_becomes_a_double() {
        let sum = add(vec![Value::i64(i64::MAX), Value::i32(1)]).unwrap();
        assert_eq!(sum.kind(), Some(Type::Double));
        let sum = add(vec![Value::i32(i32::MAX), Value::i32(1)]).unwrap();
        assert_eq!(sum.kind(), Some(Type::Int64));
    }

    #[test]
    fn a_date_cannot_leave_its_range() {
        assert!(add(vec![Value::date(i64::MAX), Value::i32(1)]).is_err());
        assert!(subtract(Value::date(i64::MIN), Value::i32(1)).is_err());
    }
}
