//! Times of day as the user reads them.

use std::time::{Duration, SystemTime};

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// Local time of day, cut to four decimals: `13:05:09.1234`.
pub fn time_of_day(time: SystemTime) -> String {
    in_zone(time, TimeZone::system())
}

fn in_zone(time: SystemTime, zone: TimeZone) -> String {
    let zoned = Zoned::new(Timestamp::try_from(time).unwrap_or_default(), zone);
    format!(
        "{:02}:{:02}:{:02}.{:04}",
        zoned.hour(),
        zoned.minute(),
        zoned.second(),
        zoned.subsec_nanosecond() / 100_000
    )
}

/// Universal time with milliseconds: `2026-11-22T13:05:09.123Z`.
pub fn universal(time: SystemTime) -> String {
    format!("{:.3}", Timestamp::try_from(time).unwrap_or_default())
}

/// A point in time from milliseconds since 1970, which may be negative.
pub fn from_millis(millis: i64) -> SystemTime {
    let distance = Duration::from_millis(millis.unsigned_abs());
    if millis < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    }
    .unwrap_or(SystemTime::UNIX_EPOCH)
}

/// How many milliseconds `later` is behind `earlier`; negative when the clocks disagree.
pub fn millis_between(earlier: SystemTime, later: SystemTime) -> i64 {
    match later.duration_since(earlier) {
        Ok(ahead) => ahead.as_millis() as i64,
        Err(behind) => -(behind.duration().as_millis() as i64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_6_time_is_cut_not_rounded_to_four_decimals() {
        let time = SystemTime::UNIX_EPOCH + Duration::new(47_109, 123_499_999);
        assert_eq!(in_zone(time, TimeZone::UTC), "13:05:09.1234");
        let nearly = SystemTime::UNIX_EPOCH + Duration::new(59, 999_999_999);
        assert_eq!(in_zone(nearly, TimeZone::UTC), "00:00:59.9999");
        assert_eq!(universal(from_millis(1_500)), "1970-01-01T00:00:01.500Z");
    }

    #[test]
    fn clocks_may_disagree() {
        let (early, late) = (from_millis(1_000), from_millis(1_250));
        assert_eq!(millis_between(early, late), 250);
        assert_eq!(millis_between(late, early), -250);
        assert_eq!(from_millis(-1), SystemTime::UNIX_EPOCH - Duration::from_millis(1));
    }
}
