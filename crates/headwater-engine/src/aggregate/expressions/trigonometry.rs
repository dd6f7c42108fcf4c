//! Trigonometry over doubles and decimals.

use super::arithmetic::{operand, real};
use super::array::{kind_name, streamed};
use crate::bson::print::computed as value_text;
use crate::bson::{Decimal, Number, Value};
use crate::error::{Error, Result};

/// The values that a function is defined for, with the text of error messages.
struct Bounds {
    text: &'static str,
    holds: fn(f64) -> bool,
}

const FINITE: Bounds = Bounds { text: "(-inf,inf)", holds: f64::is_finite };
const UNIT: Bounds = Bounds { text: "[-1,1]", holds: |x| (-1.0..=1.0).contains(&x) };
const FROM_ONE: Bounds = Bounds { text: "[1,inf]", holds: |x| x >= 1.0 };
const ANY: Bounds = Bounds { text: "[-inf,inf]", holds: |_| true };

fn bounded(name: &str, bounds: &Bounds, number: Number) -> Result<Number> {
    // A decimal may be finite and yet too large for a double.
    let finite = bounds.text == FINITE.text && number.is_finite();
    if number.is_nan() || finite || (bounds.holds)(number.to_f64()) {
        return Ok(number);
    }
    let text = match number {
        Number::Decimal(_) => value_text(&number.to_value()),
        _ => streamed(&number.to_value()),
    };
    let message = format!("cannot apply {name} to {text}, value must be in {}", bounds.text);
    Err(Error::location(50989, message))
}

/// The functions of doubles. The inverse hyperbolic ones are those of the C library (fdlibm), which lose no digit.
mod double {
    macro_rules! same {
        ($($name:ident)*) => {$(
            pub(super) fn $name(x: f64) -> f64 {
                x.$name()
            }
        )*};
    }

    same! { sin cos tan asin acos atan sinh cosh tanh }

    pub(super) fn acosh(x: f64) -> f64 {
        let t = x - 1.0;
        match x {
            _ if x > 268_435_456.0 => x.ln() + std::f64::consts::LN_2,
            _ if x > 2.0 => (2.0 * x - 1.0 / (x + (x * x - 1.0).sqrt())).ln(),
            _ => (t + (2.0 * t + t * t).sqrt()).ln_1p(),
        }
    }

    pub(super) fn asinh(x: f64) -> f64 {
        let a = x.abs();
        let value = match a {
            _ if !a.is_finite() || a < 1.0 / 268_435_456.0 => return x,
            _ if a > 268_435_456.0 => a.ln() + std::f64::consts::LN_2,
            _ if a > 2.0 => (2.0 * a + 1.0 / ((x * x + 1.0).sqrt() + a)).ln(),
            _ => (a + x * x / (1.0 + (1.0 + x * x).sqrt())).ln_1p(),
        };
        value.copysign(x)
    }

    pub(super) fn atanh(x: f64) -> f64 {
        let a = x.abs();
        let twice = a + a;
        let value = match a {
            _ if a < 1.0 / 268_435_456.0 => return x,
            _ if a < 0.5 => 0.5 * (twice + twice * a / (1.0 - a)).ln_1p(),
            _ => 0.5 * (twice / (1.0 - a)).ln_1p(),
        };
        value.copysign(x)
    }
}

macro_rules! functions {
    ($($name:ident($op:literal, $bounds:ident);)*) => {$(
        pub(super) fn $name(value: Value<'_>) -> Result<Value<'_>> {
            let Some(number) = operand($op, &value)? else { return Ok(Value::NULL) };
            Ok(real(bounded($op, &$bounds, number)?, double::$name, Decimal::$name).to_value())
        }
    )*};
}

functions! {
    sin("$sin", FINITE);
    cos("$cos", FINITE);
    tan("$tan", FINITE);
    asin("$asin", UNIT);
    acos("$acos", UNIT);
    atan("$atan", ANY);
    sinh("$sinh", ANY);
    cosh("$cosh", ANY);
    tanh("$tanh", ANY);
    asinh("$asinh", ANY);
    acosh("$acosh", FROM_ONE);
    atanh("$atanh", UNIT);
}

pub(super) fn atan2<'a>(y: Value<'a>, x: Value<'a>) -> Result<Value<'a>> {
    if y.is_nullish() {
        return Ok(Value::NULL);
    }
    let numeric = |value: &Value<'_>, code| {
        Number::from_value(value).ok_or_else(|| {
            Error::location(
                code,
                format!("$atan2 only supports numeric types, not {}", kind_name(value)),
            )
        })
    };
    let y = numeric(&y, 51044)?;
    if x.is_nullish() {
        return Ok(Value::NULL);
    }
    let x = numeric(&x, 51045)?;
    Ok(match (y, x) {
        (Number::Decimal(_), _) | (_, Number::Decimal(_)) => {
            Number::Decimal(y.to_decimal().atan2(x.to_decimal())).to_value()
        }
        _ => Value::f64(y.to_f64().atan2(x.to_f64())),
    })
}

fn scaled<'a>(name: &str, value: Value<'a>, double: f64, decimal: &str) -> Result<Value<'a>> {
    let Some(number) = operand(name, &value)? else { return Ok(Value::NULL) };
    Ok(match number {
        Number::Decimal(value) => {
            let factor = decimal.parse().unwrap_or(Decimal::NAN);
            Number::Decimal(value.mul(factor)).to_value()
        }
        other => Value::f64(other.to_f64() * double),
    })
}

pub(super) fn degrees_to_radians(value: Value<'_>) -> Result<Value<'_>> {
    let factor = std::f64::consts::PI / 180.0;
    scaled("$degreesToRadians", value, factor, "0.01745329251994329576923690768488613")
}

pub(super) fn radians_to_degrees(value: Value<'_>) -> Result<Value<'_>> {
    let factor = 180.0 / std::f64::consts::PI;
    scaled("$radiansToDegrees", value, factor, "57.29577951308232087679815481410517")
}
