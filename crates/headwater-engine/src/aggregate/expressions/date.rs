//! Dates: the calendar, texts, and the operators below this module.

pub(crate) mod add;
pub(super) mod difference;
pub(super) mod format;
mod layout;
pub(super) mod parse;
pub(super) mod parts;
mod tokens;
pub(crate) mod truncate;
pub(crate) mod unit;
pub(crate) mod zone;

use super::array::kind_name;
use crate::bson::iso;
use crate::bson::{Value, View};
use crate::error::{Error, Result};

pub(super) const DAY_MS: i64 = 86_400_000;

/// A date as `2024-01-31T12:00:00.000Z`.
///
/// # Errors
/// 18537 beyond the years 0 to 9999.
pub(crate) fn iso_text(ms: i64) -> Result<String> {
    let Civil { year, month, day, hour, minute, second, milli } = Civil::of(ms);
    check_year(year)?;
    Ok(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z"))
}

fn check_year(year: i64) -> Result<()> {
    if (0..=9999).contains(&year) {
        return Ok(());
    }
    let what = "Could not convert date to string: date component was outside the supported range of 0-9999: ";
    Err(Error::location(18537, format!("{what}{year}")))
}

/// A timestamp as `Nov 14 22:13:20:5`.
pub(crate) fn timestamp_text(timestamp: u64) -> String {
    let seconds = i64::try_from(timestamp >> 32).unwrap_or(0);
    let Civil { month, day, hour, minute, second, .. } = Civil::of(seconds * 1000);
    let name = month_name(month).get(..3).unwrap_or_default();
    format!("{name} {day:>2} {hour:02}:{minute:02}:{second:02}:{}", timestamp & 0xFFFF_FFFF)
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

fn month_name(month: i64) -> &'static str {
    usize::try_from(month - 1).ok().and_then(|at| MONTHS.get(at)).unwrap_or(&"")
}

/// A day and a time of the proleptic Gregorian calendar.
#[derive(Debug, Clone, Copy)]
pub(super) struct Civil {
    pub(super) year: i64,
    pub(super) month: i64,
    pub(super) day: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
    pub(super) milli: i64,
}

impl Civil {
    /// Of milliseconds since 1970.
    pub(super) fn of(ms: i64) -> Civil {
        let rest = ms.rem_euclid(DAY_MS);
        let (year, month, day) = iso::date_of(ms.div_euclid(DAY_MS));
        let (hour, minute) = (rest / 3_600_000, rest / 60_000 % 60);
        Civil { year, month, day, hour, minute, second: rest / 1000 % 60, milli: rest % 1000 }
    }
}

/// The days since 1970-01-01 of a year, month and day. Months and days beyond their range carry over.
pub(super) fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year + (month - 1).div_euclid(12);
    let month = (month - 1).rem_euclid(12) + 1;
    iso::days_of(year, month, 1) + day - 1
}

/// The day of the week from 1, Monday, to 7.
pub(super) fn iso_day_of_week(days: i64) -> i64 {
    (days + 3).rem_euclid(7) + 1
}

/// Year and week of the ISO calendar.
pub(super) fn iso_week(days_since_1970: i64) -> (i64, i64) {
    // The week belongs to the year of its Thursday.
    let thursday = days_since_1970 + 4 - iso_day_of_week(days_since_1970);
    let (year, _, _) = iso::date_of(thursday);
    (year, (thursday - days(year, 1, 1)) / 7 + 1)
}

/// The days since 1970-01-01 of a day of the ISO calendar.
pub(super) fn iso_days(year: i64, week: i64, day_of_week: i64) -> i64 {
    let fourth = days(year, 1, 4);
    fourth - iso_day_of_week(fourth) + (week - 1) * 7 + day_of_week
}

/// The milliseconds since 1970 of a date, timestamp or ObjectId, `None` of anything else.
pub(super) fn as_date(value: &Value<'_>) -> Option<i64> {
    match value.view()? {
        View::Date(ms) => Some(ms),
        View::Timestamp(timestamp) => {
            i64::try_from(timestamp >> 32).ok().map(|seconds| seconds * 1000)
        }
        View::ObjectId([a, b, c, d, ..]) => {
            Some(i64::from(i32::from_be_bytes([a, b, c, d])) * 1000)
        }
        _ => None,
    }
}

/// As [`as_date`], with an error for anything else.
///
/// # Errors
/// 16006.
pub(super) fn to_date(value: &Value<'_>) -> Result<i64> {
    as_date(value).ok_or_else(|| {
        Error::location(16006, format!("can't convert from BSON type {} to Date", kind_name(value)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leap_days_and_days_before_1970() {
        assert_eq!(iso_text(951_782_400_000).unwrap(), "2000-02-29T00:00:00.000Z");
        assert_eq!(iso_text(-1).unwrap(), "1969-12-31T23:59:59.999Z");
        assert_eq!(iso_text(-62_135_596_800_000).unwrap(), "0001-01-01T00:00:00.000Z");
        assert!(iso_text(i64::MAX).is_err());
    }

    #[test]
    fn days_and_civil_are_inverse() {
        for day in (-800_000..800_000).step_by(97) {
            let (year, month, date) = iso::date_of(day);
            assert_eq!(days(year, month, date), day);
            let (iso_year, week) = iso_week(day);
            assert_eq!(iso_days(iso_year, week, iso_day_of_week(day)), day);
        }
    }
}
