//! Dates as ISO 8601 text, for every millisecond that BSON can say.

use std::fmt::{self, Write};

const MS_PER_DAY: i64 = 86_400_000;
/// The milliseconds of the years 1970 to 9999, which Extended JSON writes as text.
const COMMON: std::ops::RangeInclusive<i64> = 0..=253_402_300_799_999;

/// Whether Extended JSON writes the date as text in its relaxed form.
pub(super) fn is_common(millis: i64) -> bool {
    COMMON.contains(&millis)
}

/// Writes milliseconds since 1970 as `2026-01-31T12:00:00.500Z`; the fraction only if there is one, a year beyond four
/// digits with its sign and at least six digits.
pub(super) fn write(millis: i64, out: &mut dyn Write) -> fmt::Result {
    let (year, month, day) = civil(millis.div_euclid(MS_PER_DAY));
    let of_day = millis.rem_euclid(MS_PER_DAY);
    match year {
        0..=9999 => write!(out, "{year:04}")?,
        _ => write!(out, "{year:+07}")?,
    }
    let (hour, minute, second) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1000 % 60);
    write!(out, "-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
    if of_day % 1000 != 0 {
        write!(out, ".{:03}", of_day % 1000)?;
    }
    out.write_char('Z')
}

/// Year, month and day of a day counted from 1970-01-01 (H. Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_millisecond_has_a_text() {
        for (millis, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_500, "2000-02-29T00:00:00.500Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (253_402_300_800_000, "+010000-01-01T00:00:00Z"),
            (-62_167_219_200_000, "0000-01-01T00:00:00Z"),
            (-62_167_219_200_001, "-000001-12-31T23:59:59.999Z"),
            (i64::MAX, "+292278994-08-17T07:12:55.807Z"),
            (i64::MIN, "-292275055-05-16T16:47:04.192Z"),
        ] {
            let mut text = String::new();
            write(millis, &mut text).unwrap();
            assert_eq!(text, expected);
        }
    }
}
