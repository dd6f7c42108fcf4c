//! Dates as ISO 8601 text in UTC, and the days of the calendar. Knows no time zones but fixed offsets.

const DAY: i64 = 86_400_000;

/// Days since 1970-01-01 of a date of the Gregorian calendar.
///
/// Source: Howard Hinnant, 'chrono-Compatible Low-Level Date Algorithms', `days_from_civil`.
pub(crate) fn days_of(year: i64, month: i64, day: i64) -> i64 {
    // Years start in March, so that the leap day is the last.
    let year = if month > 2 { year } else { year - 1 };
    let shifted = (month + 9) % 12;
    let day_of_year = (153 * shifted + 2) / 5 + day - 1;
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of days since 1970-01-01.
///
/// Source: as [`days_of`], `civil_from_days`.
pub(crate) fn date_of(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year_of_era + i64::from(month >= 10);
    (year, (month + 2) % 12 + 1, day)
}

/// The text of milliseconds since 1970-01-01T00:00Z, without the fraction where it is zero; `None` beyond the years
/// 0 to 9999.
pub(crate) fn format(millis: i64) -> Option<String> {
    let text = format_with_millis(millis)?;
    Some(match text.strip_suffix(".000Z") {
        Some(head) => format!("{head}Z"),
        None => text,
    })
}

/// As [`format`], always with three digits of fraction.
pub(crate) fn format_with_millis(millis: i64) -> Option<String> {
    let (year, month, day) = date_of(millis.div_euclid(DAY));
    let rest = millis.rem_euclid(DAY);
    let (hour, minute) = (rest / 3_600_000, rest / 60_000 % 60);
    let (second, fraction) = (rest / 1_000 % 60, rest % 1_000);
    (0..=9999).contains(&year).then(|| {
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:03}Z")
    })
}

/// The milliseconds of a text such as `2012-12-24T12:15:30.501Z` or `2012-12-24T12:15:30+01:00`; digits of the
/// fraction beyond the third are cut off.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let (date, time) = text.split_once('T')?;
    let [year, month, day] = fields(date, '-', [4, 2, 2])?;
    let zone_at = time.find(['Z', '+', '-'])?;
    let (time, zone) = time.split_at_checked(zone_at)?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [hour, minute, second] = fields(time, ':', [2, 2, 2])?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let month_days = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=month_days).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let fraction = fraction.bytes().chain(*b"000").take(3);
    let fraction = fraction.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    let seconds = (hour * 60 + minute) * 60 + second - offset_seconds(zone)?;
    Some(days_of(year, month, day) * DAY + seconds * 1_000 + fraction)
}

fn offset_seconds(zone: &str) -> Option<i64> {
    let sign = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return (zone == "Z").then_some(0),
    };
    let digits = zone.get(1..)?.replace(':', "");
    let [hours, minutes] = match digits.len() {
        2 => [number(&digits, 2)?, 0],
        4 => [number(digits.get(..2)?, 2)?, number(digits.get(2..)?, 2)?],
        _ => return None,
    };
    Some(sign * (hours * 60 + minutes) * 60)
}

/// Numbers of given widths between separators.
fn fields<const N: usize>(text: &str, separator: char, widths: [usize; N]) -> Option<[i64; N]> {
    let parts: Vec<&str> = text.split(separator).collect();
    if parts.len() != N {
        return None;
    }
    let numbers = parts.iter().zip(widths).map(|(part, width)| number(part, width));
    numbers.collect::<Option<Vec<_>>>()?.try_into().ok()
}

fn number(text: &str, width: usize) -> Option<i64> {
    let digits = text.len() == width && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}
