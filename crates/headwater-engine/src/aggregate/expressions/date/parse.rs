//! Dates as people write them: ISO 8601, RFC 2822 and the like, read token by token in any order.

use super::tokens::{Rule, Token};
use super::zone::Zone;
use super::{DAY_MS, MONTHS, days, iso_day_of_week, iso_days};
use crate::error::{Code, Error, Result};

/// The error for a text that is no date.
pub(super) fn failure(message: String) -> Error {
    Error::new(Code(241), message)
}

/// What a text says of a date.
#[derive(Debug, Default)]
pub(super) struct Fields {
    pub(super) year: Option<i64>,
    pub(super) month: Option<i64>,
    pub(super) day: Option<i64>,
    pub(super) day_of_year: Option<i64>,
    pub(super) iso_year: Option<i64>,
    pub(super) iso_week: Option<i64>,
    pub(super) iso_day: Option<i64>,
    pub(super) weekday: Option<i64>,
    pub(super) hour: Option<i64>,
    pub(super) minute: Option<i64>,
    pub(super) second: Option<i64>,
    pub(super) milli: Option<i64>,
    /// Seconds ahead of UTC.
    pub(super) offset: Option<i64>,
    /// Months and milliseconds that are added.
    later_months: i64,
    later_ms: i64,
    /// The abbreviation that says so, if it is one.
    pub(super) zone_name: Option<Box<str>>,
}

/// Most milliseconds and months that are added: beyond all dates, and far from what a number can hold.
const LATER_MS_MAX: i64 = 1 << 60;
const LATER_MONTHS_MAX: i64 = 12 * 300_000;

impl Fields {
    fn later(&mut self, count: i64, unit_ms: i64) {
        let later = self.later_ms.saturating_add(count.saturating_mul(unit_ms));
        self.later_ms = later.clamp(-LATER_MS_MAX, LATER_MS_MAX);
    }

    fn later_in_months(&mut self, count: i64) {
        let later = self.later_months.saturating_add(count);
        self.later_months = later.clamp(-LATER_MONTHS_MAX, LATER_MONTHS_MAX);
    }

    /// The moment, in a zone if the text has no offset.
    ///
    /// # Errors
    /// `ConversionFailure` (241).
    pub(super) fn resolve(&self, text: &str, zone: &Zone) -> Result<i64> {
        self.resolve_at(text, text.len(), zone)
    }

    /// As [`Fields::resolve`]; what is wrong with the whole is said to be at `end`.
    fn resolve_at(&self, text: &str, end: usize, zone: &Zone) -> Result<i64> {
        let invalid = |what: &str| {
            Err(failure(format!("Error parsing date string '{text}'; {end}: {what} '\0'")))
        };
        let (hour, minute) = (self.hour.unwrap_or(0), self.minute.unwrap_or(0));
        let second = self.second.unwrap_or(0);
        if hour > 23 || minute > 59 || second > 59 {
            return invalid("The parsed time was invalid");
        }
        let weekly = self.iso_year.is_some() || self.iso_week.is_some() || self.iso_day.is_some();
        let natural = self.year.is_some() || self.month.is_some() || self.day.is_some();
        if weekly && natural {
            return invalid("Mixing of ISO dates with natural dates is not allowed");
        }
        let mut day = match (self.year, self.month, self.day, self.day_of_year, self.iso_year) {
            (_, _, _, _, Some(year)) => {
                let (week, day) = (self.iso_week.unwrap_or(1), self.iso_day.unwrap_or(1));
                if !(1..=53).contains(&week) || !(1..=7).contains(&day) {
                    return invalid("The parsed date was invalid");
                }
                iso_days(year, week, day)
            }
            (Some(year), _, _, Some(day), _) => days(year, 1, day),
            (Some(year), Some(month), Some(day), _, _) => {
                let length = days(year, month + 1, 1) - days(year, month, 1);
                if !(1..=12).contains(&month) || !(1..=length).contains(&day) {
                    return invalid("The parsed date was invalid");
                }
                days(year, month + self.later_months, day)
            }
            _ => {
                let what = "an incomplete date/time string has been found, with elements missing";
                return Err(failure(format!("{what}: \"{text}\"")));
            }
        };
        if let Some(weekday) = self.weekday {
            day += (weekday - iso_day_of_week(day)).rem_euclid(7);
        }
        let time = ((hour * 60 + minute) * 60 + second) * 1000;
        let local = day.saturating_mul(DAY_MS).saturating_add(time).saturating_add(self.later_ms);
        let milli = self.milli.unwrap_or(0);
        match self.offset {
            Some(_) if !zone.is_utc() => {
                let given = match &self.zone_name {
                    Some(name) => format!("time zone information ('{name}')"),
                    None => "GMT offset".to_owned(),
                };
                let what = "you cannot pass in a date/time string with";
                Err(failure(format!("{what} {given} together with a timezone argument")))
            }
            Some(offset) => Ok(local.saturating_sub(offset * 1000).saturating_add(milli)),
            None => Ok(zone.moment(local, false).saturating_add(milli)),
        }
    }
}

/// The month that a text starts with, and the rest of the text.
pub(super) fn month(text: &str) -> Option<(i64, &str)> {
    let word = text.get(..text.bytes().take_while(u8::is_ascii_alphabetic).count())?;
    let lower = word.to_ascii_lowercase();
    let at = MONTHS.iter().position(|month| {
        let month = month.to_ascii_lowercase();
        month == lower
            || month.get(..3) == Some(&lower)
            || (lower == "sept" && month == "september")
    })?;
    Some((at as i64 + 1, text.get(word.len()..)?))
}

const WEEKDAYS: [&str; 7] =
    ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// Abbreviations of time zones with their hours ahead of UTC.
const ABBREVIATIONS: [(&str, f64); 42] = [
    ("utc", 0.0),
    ("gmt", 0.0),
    ("est", -5.0),
    ("edt", -4.0),
    ("cst", -6.0),
    ("cdt", -5.0),
    ("mst", -7.0),
    ("mdt", -6.0),
    ("pst", -8.0),
    ("pdt", -7.0),
    ("akst", -9.0),
    ("akdt", -8.0),
    ("hst", -10.0),
    ("ast", -4.0),
    ("adt", -3.0),
    ("nst", -3.5),
    ("ndt", -2.5),
    ("wet", 0.0),
    ("west", 1.0),
    ("cet", 1.0),
    ("cest", 2.0),
    ("eet", 2.0),
    ("eest", 3.0),
    ("bst", 1.0),
    ("msk", 3.0),
    ("msd", 4.0),
    ("ist", 2.0),
    ("sast", 2.0),
    ("cat", 2.0),
    ("eat", 3.0),
    ("wat", 1.0),
    ("pkt", 5.0),
    ("hkt", 8.0),
    ("jst", 9.0),
    ("kst", 8.5),
    ("awst", 8.0),
    ("acst", 9.5),
    ("acdt", 10.5),
    ("aest", 10.0),
    ("aedt", 11.0),
    ("nzst", 12.0),
    ("nzdt", 13.0),
];

/// The hours ahead of UTC of a military letter.
fn military(letter: u8) -> Option<i64> {
    Some(match letter.to_ascii_lowercase() {
        b'z' => 0,
        letter @ b'a'..=b'i' => i64::from(letter - b'a') + 1,
        letter @ b'k'..=b'm' => i64::from(letter - b'k') + 10,
        letter @ b'n'..=b'y' => -i64::from(letter - b'n') - 1,
        _ => return None,
    })
}

/// The seconds ahead of UTC that a text starts with, as offset, abbreviation or letter, and the rest of the text.
pub(super) fn zone(text: &str) -> Option<(i64, &str)> {
    if text.starts_with(['+', '-']) {
        return offset(text);
    }
    let word = text.get(..text.bytes().take_while(u8::is_ascii_alphabetic).count())?;
    let lower = word.to_ascii_lowercase();
    let rest = text.get(word.len()..)?;
    if lower == "gmt" && rest.starts_with(['+', '-']) {
        return offset(rest);
    }
    if let [letter] = word.as_bytes() {
        return military(*letter).map(|hours| (hours * 3600, rest));
    }
    let (_, hours) = ABBREVIATIONS.iter().find(|(name, _)| *name == lower)?;
    // `America/New_York` is none of these.
    (!rest.starts_with('/')).then_some(((hours * 3600.0) as i64, rest))
}

/// The seconds of `+h`, `+hh`, `+hmm`, `+hhmm`, `+hhmmss` or the same with colons, and the rest of the text.
fn offset(text: &str) -> Option<(i64, &str)> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let body = text.get(1..)?;
    let length = body.bytes().take_while(|b| b.is_ascii_digit() || *b == b':').count();
    let (head, rest) = body.split_at_checked(length)?;
    let number = |text: &str| text.parse::<i64>().ok();
    let parts: Vec<i64> = match head.contains(':') {
        true => head.split(':').map(number).collect::<Option<_>>()?,
        false => match head.len() {
            1 | 2 => vec![number(head)?],
            3 => vec![number(head.get(..1)?)?, number(head.get(1..)?)?],
            4 => vec![number(head.get(..2)?)?, number(head.get(2..)?)?],
            6 => vec![number(head.get(..2)?)?, number(head.get(2..4)?)?, number(head.get(4..)?)?],
            _ => return None,
        },
    };
    let seconds = parts.iter().zip([3600, 60, 1]).map(|(part, unit)| part * unit).sum::<i64>();
    Some((sign * seconds, rest))
}

/// Reads a date in any of the common forms.
///
/// # Errors
/// `ConversionFailure` (241).
pub(crate) fn free(text: &str, in_zone: &Zone) -> Result<i64> {
    let given = text;
    let text = text.trim_matches([' ', '\t', '\n', '\r', '\x0B', '\x0C']);
    if text.is_empty() {
        return Err(failure(format!("Error parsing date string '{given}'; 0: Empty string '\0'")));
    }
    let mut reading = Reading::default();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with([' ', '.', ',', '\t', '\n', '\0']) {
            at += 1;
            continue;
        }
        reading.at = at;
        reading.found = rest.bytes().next().map_or(' ', shown);
        match Token::first(rest) {
            Some(token) => {
                reading.take(&token);
                at += token.text.len();
            }
            None => {
                let width = rest.chars().next().map_or(1, char::len_utf8);
                for byte in rest.bytes().take(width) {
                    (reading.at, reading.found) = (at, shown(byte));
                    reading.error("Unexpected character");
                    at += 1;
                }
            }
        }
    }
    let problems: Vec<String> = reading.errors.into_iter().chain(reading.warnings).collect();
    if !problems.is_empty() {
        let problems = problems.join("; ");
        return Err(failure(format!("Error parsing date string '{given}'; {problems}")));
    }
    reading.fields.resolve_at(given, text.len() + 1, in_zone)
}

/// A byte in an error message.
pub(super) fn shown(byte: u8) -> char {
    if byte.is_ascii() { char::from(byte) } else { char::REPLACEMENT_CHARACTER }
}

/// What the tokens so far said.
#[derive(Debug, Default)]
struct Reading {
    fields: Fields,
    has_date: bool,
    has_time: bool,
    zones: u32,
    /// The place and the first character of the current token.
    at: usize,
    found: char,
    errors: Vec<String>,
    warnings: Vec<String>,
}

impl Reading {
    fn error(&mut self, what: &str) {
        self.errors.push(format!("{}: {what} '{}'", self.at, self.found));
    }

    fn take(&mut self, token: &Token<'_>) {
        match token.rule {
            Rule::Special => self.special(token.text),
            Rule::Timestamp => self.timestamp(token),
            Rule::Time => self.time(token),
            Rule::ShortTime if self.has_time => self.fields.year = token.text.parse().ok(),
            Rule::ShortTime => {
                self.time(token);
                // As MongoDB's library has it.
                self.fields.second = Some(-10);
            }
            Rule::American | Rule::Date | Rule::Pointed => {
                let day = token.number("d").or((token.rule == Rule::Date).then_some(1));
                self.date(token.year(), token.number("m"), day);
            }
            Rule::DayOfYear => self.date(token.year(), Some(1), token.number("d")),
            Rule::Week => {
                if self.begin_date() {
                    self.fields.iso_year = token.number("y");
                    self.fields.iso_week = token.number("week");
                    self.fields.iso_day = token.number("d").or(Some(1));
                }
            }
            Rule::DateTime | Rule::Named => self.named(token),
            Rule::Year => self.fields.year = token.number("y"),
            Rule::Weekday => {
                self.forget_time();
                let start = token.text.get(..3).unwrap_or_default().to_ascii_lowercase();
                let at = WEEKDAYS.iter().position(|day| day.starts_with(&start));
                self.fields.weekday = at.map(|at| at as i64 + 1);
            }
            Rule::Relative => self.relative(token),
            Rule::Ago => {
                self.fields.later_months = -self.fields.later_months;
                self.fields.later_ms = -self.fields.later_ms;
            }
            Rule::Zone => self.zone(token.text),
        }
    }

    fn special(&mut self, word: &str) {
        let days = match word.to_ascii_lowercase().as_str() {
            "now" => return,
            "noon" => {
                self.forget_time();
                self.has_time = true;
                self.fields.hour = Some(12);
                return;
            }
            "yesterday" => -1,
            "tomorrow" => 1,
            _ => 0,
        };
        self.forget_time();
        self.fields.later(days, DAY_MS);
    }

    fn timestamp(&mut self, token: &Token<'_>) {
        let Some(seconds) = token.number("unix").filter(|s| s.unsigned_abs() < 1 << 43) else {
            return self.error("Unexpected character");
        };
        self.date(Some(1970), Some(1), Some(1));
        self.forget_time();
        let milli = if seconds < 0 { -token.milli() } else { token.milli() };
        self.fields.later(seconds, 1000);
        self.fields.later(milli, 1);
        self.fields.offset = Some(0);
        self.zones += 1;
    }

    fn forget_time(&mut self) {
        self.has_time = false;
        let fields = &mut self.fields;
        (fields.hour, fields.minute, fields.second, fields.milli) = (None, None, None, None);
    }

    fn time(&mut self, token: &Token<'_>) {
        if std::mem::replace(&mut self.has_time, true) {
            return self.error("Double time specification");
        }
        let hour = token.number("h").map(|hour| match token.part("ap") {
            None => hour,
            Some("a" | "A") => hour % 12,
            Some(_) => hour % 12 + 12,
        });
        self.fields.hour = hour;
        self.fields.minute = token.number("i");
        self.fields.second = token.number("s");
        self.fields.milli = Some(token.milli());
    }

    fn begin_date(&mut self) -> bool {
        let first = !std::mem::replace(&mut self.has_date, true);
        if !first {
            self.error("Double date specification");
        }
        first
    }

    fn date(&mut self, year: Option<i64>, month: Option<i64>, day: Option<i64>) {
        if self.begin_date() {
            self.fields.year = year.or(self.fields.year);
            self.fields.month = month;
            self.fields.day = day;
        }
    }

    /// A date whose month may be a name, and the time and zone behind it.
    fn named(&mut self, token: &Token<'_>) {
        let month = match token.part("n") {
            Some(name) => month(name).map(|(month, _)| month).or_else(|| roman(name)),
            None => token.number("m"),
        };
        let day = match (token.number("d"), token.part("y")) {
            (None, Some(_)) => Some(1),
            (day, _) => day,
        };
        let day = day.or(self.fields.day);
        self.date(token.year(), month, day);
        if token.part("h").is_some() {
            self.time(token);
        }
        if let Some(zone) = token.part("z") {
            self.zone(zone);
        }
    }

    fn relative(&mut self, token: &Token<'_>) {
        let count = match (token.part("count"), token.part("rel")) {
            (Some(count), _) => {
                let signs = count.bytes().filter(|byte| *byte == b'-').count();
                let digits = count.trim_start_matches(['+', '-', ' ', '\t']);
                // A count of what no date reaches is as good as none.
                let count = digits.parse::<i64>().unwrap_or(0).min(1 << 31);
                if signs % 2 == 1 { -count } else { count }
            }
            (None, Some(word)) => match word.to_ascii_lowercase().as_str() {
                "next" => 1,
                "this" => 0,
                _ => -1,
            },
            (None, None) => 0,
        };
        let unit = token.part("unit").unwrap_or_default().to_ascii_lowercase();
        let fields = &mut self.fields;
        match unit.trim_end_matches('s') {
            "sec" | "second" => fields.later(count, 1000),
            "min" | "minute" => fields.later(count, 60_000),
            "hour" => fields.later(count, 3_600_000),
            "week" => fields.later(count, 7 * DAY_MS),
            "fortnight" => fields.later(count, 14 * DAY_MS),
            "month" => fields.later_in_months(count),
            "year" => fields.later_in_months(count.saturating_mul(12)),
            _ => fields.later(count, DAY_MS),
        }
    }

    fn zone(&mut self, text: &str) {
        self.zones += 1;
        if self.zones > 1 {
            let said = format!("{}: Double timezone specification '{}'", self.at, self.found);
            let list = if self.zones > 2 { &mut self.errors } else { &mut self.warnings };
            return list.push(said);
        }
        let name = text.trim_matches(['(', ')']);
        match zone(name) {
            Some((offset, "")) => {
                if name.starts_with(|c: char| c.is_ascii_alphabetic()) {
                    self.fields.zone_name = Some(name.to_ascii_uppercase().into());
                }
                self.fields.offset = Some(offset);
            }
            _ => self.error("passing a time zone identifier as part of the string is not allowed"),
        }
    }
}

/// A month as a Roman number.
pub(super) fn roman(text: &str) -> Option<i64> {
    let all = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];
    all.iter().position(|month| *month == text).map(|at| at as i64 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_forms() {
        let noon = days(2024, 2, 29) * DAY_MS + DAY_MS / 2;
        let forms = [
            "2024-02-29T12:00:00Z",
            "2024-02-29 12:00",
            "20240229T120000",
            "Thu, 29 Feb 2024 12:00:00 +0000",
            "Thu Feb 29 12:00:00 2024",
            "29 February 2024 12:00",
            "February 29, 2024 12:00 PM",
            "2024-02-29T13:00:00+01:00",
        ];
        for form in forms {
            assert_eq!(free(form, &Zone::Utc).unwrap(), noon, "{form}");
        }
        for wrong in
            ["", "abc", "2024-02-30", "12:00", "2024-02-29T25:00", "2024-02-29 America/New_York"]
        {
            assert!(free(wrong, &Zone::Utc).is_err(), "{wrong}");
        }
    }
}
