//! Values of options, or what was expected instead of them.

use std::time::Duration;

/// A value, or what was expected.
pub type Read<T> = Result<T, &'static str>;

const HOUR_MS: u64 = 3_600_000;

/// Text that is not blank.
///
/// # Errors
/// What was expected.
pub fn text<'a>(value: &'a str, expected: &'static str) -> Read<&'a str> {
    if value.trim().is_empty() { Err(expected) } else { Ok(value) }
}

/// A number within bounds.
///
/// # Errors
/// What was expected.
pub fn number(value: &str, min: u64, max: u64, expected: &'static str) -> Read<u64> {
    let number: u64 = value.trim().parse().map_err(|_| expected)?;
    if (min..=max).contains(&number) { Ok(number) } else { Err(expected) }
}

/// Milliseconds from `min` to an hour.
///
/// # Errors
/// What was expected.
pub fn milliseconds(value: &str, min: u64) -> Read<Duration> {
    number(value, min, HOUR_MS, "milliseconds, at most an hour").map(Duration::from_millis)
}

/// Seconds, with a fraction if need be, at most a day.
///
/// # Errors
/// What was expected.
pub fn seconds(value: &str) -> Read<Duration> {
    const EXPECTED: &str = "seconds, above 0 and at most 86400";
    let seconds: f64 = value.trim().parse().map_err(|_| EXPECTED)?;
    if seconds > 0.0 && seconds <= 86_400.0 {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(EXPECTED)
    }
}

/// A time with its unit, at most an hour: `1s`, `100ms`.
///
/// # Errors
/// What was expected.
///
/// ```
/// use std::time::Duration;
/// assert_eq!(command_line::value::time("100ms"), Ok(Duration::from_millis(100)));
/// assert!(command_line::value::time("soon").is_err());
/// ```
pub fn time(value: &str) -> Read<Duration> {
    const EXPECTED: &str = "a time such as 1s or 100ms, at most an hour";
    let value = value.trim();
    let (digits, unit) = match value.strip_suffix("ms") {
        Some(digits) => (digits, 1),
        None => (value.strip_suffix('s').ok_or(EXPECTED)?, 1_000),
    };
    let units = number(digits, 1, HOUR_MS / unit, EXPECTED)?;
    Ok(Duration::from_millis(units * unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_bounds() {
        assert_eq!(text(" a ", "text"), Ok(" a "));
        assert_eq!(text(" ", "text"), Err("text"));
        assert_eq!(number(" 7", 1, 9, "a digit"), Ok(7));
        for wrong in ["0", "10", "-1", "many", ""] {
            assert_eq!(number(wrong, 1, 9, "a digit"), Err("a digit"), "{wrong}");
        }
        assert_eq!(milliseconds("0", 0), Ok(Duration::ZERO));
        assert!(milliseconds("0", 1).is_err() && milliseconds("3600001", 0).is_err());
        assert_eq!(seconds("1.5"), Ok(Duration::from_millis(1_500)));
        for wrong in ["0", "-1", "nan", "inf", "86401"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
        assert_eq!(time("1s"), Ok(Duration::from_secs(1)));
        for wrong in ["1", "0s", "3601s", "1m", "s"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }
}
