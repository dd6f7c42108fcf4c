//! Conversions to numbers, and doubles as text.

use super::failure;
use crate::bson::{Decimal, Number, View};
use crate::error::{Error, Result};

fn number(view: View<'_>) -> Option<Number> {
    Some(match view {
        View::Double(value) => Number::Double(value),
        View::Int32(value) => Number::Int32(value),
        View::Int64(value) => Number::Int64(value),
        View::Decimal(bytes) => Number::Decimal(Decimal::from_bytes(bytes)),
        View::Bool(value) => Number::Int32(i32::from(value)),
        _ => return None,
    })
}

fn unreadable(text: &str, what: &str) -> Error {
    failure(format!("Failed to parse number '{text}' in $convert with no onError value: {what}"))
}

fn overflow(number: Number) -> Error {
    // MongoDB leaves a long out.
    let text = match number {
        Number::Int64(_) => String::new(),
        number => super::shown(&number.to_value()),
    };
    failure(format!(
        "Conversion would overflow target type in $convert with no onError value: {text}"
    ))
}

pub(super) fn to_double(view: View<'_>) -> Option<Result<f64>> {
    Some(match view {
        View::String(text) => parse_double(text),
        View::Date(ms) => Ok(ms as f64),
        _ => {
            let number = number(view)?;
            let value = number.to_f64();
            let small = matches!(number, Number::Decimal(_)) && value.abs() < f64::MIN_POSITIVE;
            let lost = small && number.compare(Number::Double(value)).is_ne();
            match number.is_finite() && (!value.is_finite() || lost) {
                true => Err(overflow(number)),
                false => Ok(value),
            }
        }
    })
}

/// Refuses what no text of a number is, whatever its type.
fn check_text(text: &str) -> Result<()> {
    if text.is_empty() {
        return Err(unreadable(text, "Empty string"));
    }
    let digits = text.trim_start_matches(['+', '-']);
    if digits.starts_with("0x") || digits.starts_with("0X") {
        let message =
            format!("Illegal hexadecimal input in $convert with no onError value: {text}");
        return Err(failure(message));
    }
    Ok(())
}

fn parse_decimal(text: &str) -> Result<Decimal> {
    check_text(text)?;
    let value = Decimal::parse_cut(text)
        .map_err(|_| unreadable(text, "Failed to parse string to decimal"))?;
    if value.is_infinite() && !text.contains(['i', 'I']) {
        return Err(unreadable(text, "Conversion from string to decimal would overflow"));
    }
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    if value.is_zero() && mantissa.contains(|c: char| ('1'..='9').contains(&c)) {
        return Err(unreadable(text, "Conversion from string to decimal would underflow"));
    }
    Ok(value)
}

/// How many bytes of a text read as a double, as C's `strtod` has it.
fn double_prefix(text: &str) -> usize {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let sign = text.len() - unsigned.len();
    let lower = unsigned.to_ascii_lowercase();
    if let Some(word) = ["infinity", "inf"].into_iter().find(|word| lower.starts_with(word)) {
        return sign + word.len();
    }
    if let Some(rest) = lower.strip_prefix("nan") {
        let inner = rest.strip_prefix('(').and_then(|rest| rest.split_once(')'));
        let payload = inner
            .map(|(inner, _)| inner)
            .filter(|inner| inner.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
        return sign + 3 + payload.map_or(0, |payload| payload.len() + 2);
    }
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits(&lower);
    let behind = lower.get(whole..).unwrap_or_default();
    let fraction = behind.strip_prefix('.').map_or(0, digits);
    if whole + fraction == 0 {
        return 0;
    }
    let point = usize::from(behind.starts_with('.'));
    let length = whole + point + fraction;
    let exponent = lower.get(length..).and_then(|rest| rest.strip_prefix('e')).map_or(0, |rest| {
        let unsigned = rest.strip_prefix(['+', '-']).unwrap_or(rest);
        match digits(unsigned) {
            0 => 0,
            count => 1 + (rest.len() - unsigned.len()) + count,
        }
    });
    sign + length + exponent
}

fn parse_double(text: &str) -> Result<f64> {
    check_text(text)?;
    let digits = text.trim_start_matches(['+', '-']);
    match double_prefix(text) {
        _ if digits.starts_with(|c: char| c.is_ascii_whitespace()) => {
            return Err(unreadable(text, "Leading whitespace"));
        }
        0 => return Err(unreadable(text, "Invalid number")),
        length if length < text.len() => {
            return Err(unreadable(text, "Did not consume whole string"));
        }
        _ => {}
    }
    let value = text.parse::<f64>().unwrap_or(f64::NAN);
    let mantissa = digits.split(['e', 'E']).next().unwrap_or_default();
    let lost = value == 0.0 && mantissa.contains(|c: char| ('1'..='9').contains(&c));
    let beyond =
        value.is_infinite() && digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    match lost || beyond {
        true => Err(unreadable(text, "Out of range")),
        false => Ok(value),
    }
}

fn integer(view: View<'_>) -> Option<Result<i64>> {
    Some(match view {
        View::String(text) => parse_integer(text),
        _ => {
            let number = number(view)?;
            if number.is_nan() {
                let message = "Attempt to convert NaN value to integer type in $convert with no onError value";
                Err(failure(message.to_owned()))
            } else if !number.is_finite() {
                let message = "Attempt to convert infinity value to integer type in $convert with no onError value";
                Err(failure(message.to_owned()))
            } else {
                number.to_i64_truncated().ok_or_else(|| overflow(number))
            }
        }
    })
}

fn parse_integer(text: &str) -> Result<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.starts_with("0x") || digits.starts_with("0X") {
        check_text(text)?;
    }
    let count = digits.bytes().take_while(u8::is_ascii_digit).count();
    match count {
        0 if digits.is_empty() => Err(unreadable(text, "No digits")),
        count if count < digits.len() => Err(unreadable(text, "Did not consume whole string.")),
        _ => text.parse().map_err(|_| unreadable(text, "Overflow")),
    }
}

pub(super) fn to_int(view: View<'_>) -> Option<Result<i32>> {
    if let View::Double(value) = view
        && value.is_finite()
        && !(f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&value)
    {
        return Some(Err(overflow(Number::Double(value))));
    }
    Some(integer(view)?.and_then(|value| {
        i32::try_from(value).map_err(|_| match view {
            View::String(text) => unreadable(text, "Overflow"),
            _ => overflow(number(view).unwrap_or(Number::Int64(value))),
        })
    }))
}

pub(super) fn to_long(view: View<'_>) -> Option<Result<i64>> {
    match view {
        View::Date(ms) => Some(Ok(ms)),
        _ => integer(view),
    }
}

pub(super) fn to_decimal(view: View<'_>) -> Option<Result<Decimal>> {
    Some(match view {
        View::String(text) => parse_decimal(text),
        View::Date(ms) => Ok(Decimal::from(ms)),
        _ => Ok(number(view)?.to_decimal()),
    })
}

/// A double in its shortest form that reads back as the same: `1`, `0.1`, `1e+16`, `1e-05`.
pub(super) fn double_text(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if value == 0.0 || (-4..16).contains(&exponent) {
        return format!("{value}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_read_back() {
        for (value, text) in
            [(1e15, "1000000000000000"), (1e16, "1e+16"), (1e-5, "1e-05"), (-0.0, "-0")]
        {
            assert_eq!(double_text(value), text);
            assert_eq!(parse_double(text).unwrap().to_bits(), value.to_bits());
        }
        for wrong in ["", "0x1A", " 1", "1 ", "1_000", "1e400", "1e-400", "-"] {
            assert!(parse_double(wrong).is_err(), "{wrong}");
        }
    }
}
