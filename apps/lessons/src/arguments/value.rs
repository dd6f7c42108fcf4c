//! Values of options, or what was expected instead of them.

use std::time::Duration;

/// A value, or what was expected.
pub(crate) type Read<T> = Result<T, &'static str>;

/// Text that is not blank.
pub(crate) fn text<'a>(value: &'a str, expected: &'static str) -> Read<&'a str> {
    if value.trim().is_empty() { Err(expected) } else { Ok(value) }
}

/// A number within bounds.
pub(crate) fn number(value: &str, min: u64, max: u64, expected: &'static str) -> Read<u64> {
    let number: u64 = value.trim().parse().map_err(|_| expected)?;
    if (min..=max).contains(&number) { Ok(number) } else { Err(expected) }
}

/// Seconds, with a fraction if need be.
pub(crate) fn seconds(value: &str) -> Read<Duration> {
    const EXPECTED: &str = "seconds, above 0 and at most 86400";
    let seconds: f64 = value.trim().parse().map_err(|_| EXPECTED)?;
    if seconds > 0.0 && seconds <= 86_400.0 {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(EXPECTED)
    }
}

/// A time with its unit: `1s`, `100ms`.
pub(crate) fn time(value: &str) -> Read<Duration> {
    const EXPECTED: &str = "a time such as 1s or 100ms, at most an hour";
    let value = value.trim();
    let (digits, unit) = match value.strip_suffix("ms") {
        Some(digits) => (digits, 1),
        None => (value.strip_suffix('s').ok_or(EXPECTED)?, 1_000),
    };
    let units = number(digits, 1, 3_600_000 / unit, EXPECTED)?;
    Ok(Duration::from_millis(units * unit))
}
