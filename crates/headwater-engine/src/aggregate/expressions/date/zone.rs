//! Time zones: UTC offsets and the names of the tz database, which is built in.

use std::sync::OnceLock;

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::aggregate::expressions::array::kind_name;
use crate::aggregate::expressions::{Expression, Frame, Scope};
use crate::bson::{Raw, Value};
use crate::error::{Error, Result};

/// A time zone.
#[derive(Debug, Clone)]
pub(crate) enum Zone {
    /// Coordinated universal time.
    Utc,
    /// A fixed number of seconds ahead of it.
    Offset(i64),
    /// A zone of the tz database.
    Named(TimeZone),
}

/// What holds at a moment in a zone.
struct Rule {
    /// Seconds ahead of UTC.
    offset: i64,
    dst: bool,
    /// Since when, in seconds since 1970.
    since: i64,
}

fn database() -> &'static TimeZoneDatabase {
    static DATABASE: OnceLock<TimeZoneDatabase> = OnceLock::new();
    DATABASE.get_or_init(TimeZoneDatabase::bundled)
}

/// The seconds of 400 years, after which days, weeks and the rules of zones come again.
const CYCLE_SECONDS: i64 = 146_097 * 86_400;

/// A moment that the database knows and that is as the one given, and how many seconds that one lies later.
fn within(seconds: i64) -> (Timestamp, i64) {
    let (min, max) = (Timestamp::MIN.as_second() + 1, Timestamp::MAX.as_second() - 1);
    let beyond = seconds.saturating_sub(max).max(0);
    let later = (beyond + CYCLE_SECONDS - 1) / CYCLE_SECONDS * CYCLE_SECONDS;
    let known = (seconds - later).max(min);
    (Timestamp::from_second(known).unwrap_or(Timestamp::UNIX_EPOCH), later)
}

impl Zone {
    /// The zone of a name or offset.
    ///
    /// # Errors
    /// 40485 for an unknown one.
    pub(crate) fn parse(name: &str) -> Result<Zone> {
        if let Some(seconds) = parse_offset(name) {
            return Ok(if seconds == 0 { Zone::Utc } else { Zone::Offset(seconds) });
        }
        if name == "UTC" {
            return Ok(Zone::Utc);
        }
        let found = database().get(name).ok().filter(|zone| zone.iana_name() == Some(name));
        found.map(Zone::Named).ok_or_else(|| {
            Error::location(40485, format!("unrecognized time zone identifier: \"{name}\""))
        })
    }

    pub(crate) fn is_utc(&self) -> bool {
        matches!(self, Zone::Utc)
    }

    fn rule(&self, seconds: i64) -> Rule {
        let fixed = |offset| Rule { offset, dst: false, since: i64::MIN };
        match self {
            Zone::Utc => fixed(0),
            Zone::Offset(offset) => fixed(*offset),
            Zone::Named(zone) => {
                let (at, later) = within(seconds);
                let info = zone.to_offset_info(at);
                let next = Timestamp::from_second(at.as_second() + 1).unwrap_or(at);
                let since = zone
                    .preceding(next)
                    .next()
                    .map_or(i64::MIN, |t| t.timestamp().as_second().saturating_add(later));
                Rule { offset: i64::from(info.offset().seconds()), dst: info.dst().is_dst(), since }
            }
        }
    }

    /// Seconds ahead of UTC at a moment in milliseconds since 1970.
    pub(crate) fn offset(&self, ms: i64) -> i64 {
        match self {
            Zone::Utc => 0,
            Zone::Offset(offset) => *offset,
            Zone::Named(zone) => i64::from(zone.to_offset(within(ms.div_euclid(1000)).0).seconds()),
        }
    }

    /// Whether daylight saving time holds at a moment.
    pub(crate) fn is_dst(&self, ms: i64) -> bool {
        self.rule(ms.div_euclid(1000)).dst
    }

    /// The local time of a moment, as milliseconds since 1970 as if it were UTC.
    pub(crate) fn local(&self, ms: i64) -> i64 {
        ms.saturating_add(self.offset(ms) * 1000)
    }

    /// The moment of a local time. In a gap or an overlap it is chosen as MongoDB's calendar library does: `dst` says
    /// whether the local time was counted in daylight saving time.
    pub(crate) fn moment(&self, local_ms: i64, dst: bool) -> i64 {
        let (seconds, milli) = (local_ms.div_euclid(1000), local_ms.rem_euclid(1000));
        let current = self.rule(seconds);
        let after = self.rule(seconds - current.offset);
        let mut actual = (after.offset, after.since);
        if current.offset == after.offset {
            if current.offset >= 0 && dst && !current.dst {
                let earlier = self.rule(seconds - current.offset - 7200);
                if earlier.offset != after.offset && seconds - earlier.offset < after.since {
                    actual = (earlier.offset, earlier.since);
                }
            } else if current.offset <= 0 && current.dst && !dst {
                let later = self.rule(seconds - current.offset + 7200);
                if later.offset != after.offset && seconds - later.offset >= later.since {
                    actual.0 = later.offset;
                }
            }
        }
        let (offset, since) = actual;
        let in_transition = since != i64::MIN
            && seconds - offset >= since.saturating_add(current.offset - offset)
            && seconds - offset < since;
        let used = if current.offset != offset && !in_transition { offset } else { current.offset };
        (seconds - used).saturating_mul(1000).saturating_add(milli)
    }
}

/// The seconds of `+hh`, `+hhmm` or `+hh:mm`.
pub(crate) fn parse_offset(text: &str) -> Option<i64> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'+' => (1, text.get(1..)?),
        b'-' => (-1, text.get(1..)?),
        _ => return None,
    };
    let number = |digits: &str| -> Option<i64> {
        let valid = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_digit());
        valid.then(|| digits.parse().ok()).flatten()
    };
    let (hours, minutes) = match rest.len() {
        2 => (number(rest)?, 0),
        4 => (number(rest.get(..2)?)?, number(rest.get(2..)?)?),
        5 if rest.get(2..3) == Some(":") => (number(rest.get(..2)?)?, number(rest.get(3..)?)?),
        _ => return None,
    };
    Some(sign * (hours * 3600 + minutes * 60))
}

/// The time zone argument of an operator.
#[derive(Debug)]
pub(crate) enum ZoneArgument {
    /// A zone that is known, UTC if none is given.
    Known(Zone),
    /// An expression that gives its name.
    Computed(Expression),
}

impl ZoneArgument {
    /// Compiles the argument. A constant that is no zone is left for the run.
    pub(crate) fn new(expression: Option<Expression>) -> ZoneArgument {
        let Some(expression) = expression else { return ZoneArgument::Known(Zone::Utc) };
        let name = expression.as_constant().and_then(Value::raw).and_then(Raw::as_str);
        match name.and_then(|name| Zone::parse(name).ok()) {
            Some(zone) => ZoneArgument::Known(zone),
            None => ZoneArgument::Computed(expression),
        }
    }

    /// Whether it needs no document.
    pub(crate) fn is_constant(&self) -> bool {
        match self {
            ZoneArgument::Known(_) => true,
            ZoneArgument::Computed(expression) => expression.as_constant().is_some(),
        }
    }

    /// Notes the error of a constant that is no zone: MongoDB looks at it even if there is no document.
    pub(crate) fn check(&self, scope: &mut Scope) {
        self.check_with(scope, |error| error);
    }

    /// As [`ZoneArgument::check`], with the error in the operator's words.
    pub(crate) fn check_with(&self, scope: &mut Scope, words: fn(Error) -> Error) {
        if let ZoneArgument::Computed(expression) = self
            && let Some(name) = expression.as_constant().and_then(Value::raw).and_then(Raw::as_str)
            && let Err(error) = Zone::parse(name)
        {
            scope.keep_folding_error(words(error));
        }
    }

    /// The zone, `None` for null.
    ///
    /// # Errors
    /// 40517 if it is no string, 40485 if it is no zone.
    pub(crate) fn eval<'a>(&'a self, frame: &mut Frame<'a>) -> Result<Option<Zone>> {
        match self {
            ZoneArgument::Known(zone) => Ok(Some(zone.clone())),
            ZoneArgument::Computed(expression) => {
                let value = expression.eval(frame)?;
                if value.is_nullish() {
                    return Ok(None);
                }
                match value.raw().and_then(Raw::as_str) {
                    Some(name) => Zone::parse(name).map(Some),
                    None => {
                        let found = kind_name(&value);
                        Err(Error::location(
                            40517,
                            format!("timezone must evaluate to a string, found {found}"),
                        ))
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_and_overlaps() {
        let zone = Zone::parse("America/New_York").unwrap();
        let local = |text: &str| {
            crate::aggregate::expressions::date::parse::free(text, &Zone::Utc).unwrap()
        };
        // In the gap the rule before it counts.
        assert_eq!(zone.moment(local("2023-03-12T02:30:00"), false), 1_678_606_200_000);
        // In the overlap standard time, unless daylight saving time was meant.
        assert_eq!(zone.moment(local("2023-11-05T01:30:00"), false), 1_699_165_800_000);
        assert_eq!(zone.moment(local("2023-11-05T01:30:00"), true), 1_699_162_200_000);
    }

    #[test]
    fn rules_go_on_beyond_the_database() {
        let zone = Zone::parse("Europe/Berlin").unwrap();
        // May of the year 156170047.
        assert_eq!(zone.offset(4_928_188_522_590_161_285), 7200);
        assert_eq!(zone.offset(i64::MAX), 7200);
        assert!(zone.offset(i64::MIN) > 0);
        let local = zone.local(4_928_188_522_590_161_285);
        assert_eq!(zone.moment(local, true), 4_928_188_522_590_161_285);
    }

    #[test]
    fn offsets() {
        assert_eq!(parse_offset("+05:30"), Some(19_800));
        assert_eq!(parse_offset("-0330"), Some(-12_600));
        assert_eq!(parse_offset("+5"), None);
        assert!(Zone::parse("america/new_york").is_err());
    }
}
