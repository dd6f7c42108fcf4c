//! Dates as text.

use crate::error::{Error, Result};

/// A date as `2024-01-31T12:00:00.000Z`.
///
/// # Errors
/// 18537 beyond the years 0 to 9999.
pub(crate) fn iso_text(ms: i64) -> Result<String> {
    let days = ms.div_euclid(86_400_000);
    let rest = ms.rem_euclid(86_400_000);
    let (year, month, day) = civil(days);
    if !(0..=9999).contains(&year) {
        let what = "Could not convert date to string: date component was outside the supported range of 0-9999: ";
        return Err(Error::location(18537, format!("{what}{year}")));
    }
    let (hour, minute) = (rest / 3_600_000, rest / 60_000 % 60);
    let (second, milli) = (rest / 1000 % 60, rest % 1000);
    Ok(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z"))
}

/// A timestamp as `Nov 14 22:13:20:5`.
pub(crate) fn timestamp_text(timestamp: u64) -> String {
    let seconds = i64::try_from(timestamp >> 32).unwrap_or(0);
    let (_, month, day) = civil(seconds.div_euclid(86_400));
    let rest = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    let month = MONTHS.get(usize::try_from(month - 1).unwrap_or(0)).unwrap_or(&"");
    let name = month.get(..3).unwrap_or_default();
    format!("{name} {day:>2} {hour:02}:{minute:02}:{second:02}:{}", timestamp & 0xFFFF_FFFF)
}

/// The names of the months.
pub(crate) const MONTHS: [&str; 12] = [
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

/// Year, month and day of a number of days since 1970-01-01.
///
/// Source: Howard Hinnant, 'chrono-Compatible Low-Level Date Algorithms', `civil_from_days`.
pub(crate) fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leap_days_and_days_before_1970() {
        assert_eq!(iso_text(951_782_400_000).unwrap(), "2000-02-29T00:00:00.000Z");
        assert_eq!(iso_text(-1).unwrap(), "1969-12-31T23:59:59.999Z");
        assert_eq!(iso_text(-62_135_596_800_000).unwrap(), "0001-01-01T00:00:00.000Z");
    }
}
