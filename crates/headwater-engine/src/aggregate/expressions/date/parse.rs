//! Dates as people write them: ISO 8601, RFC 2822 and the like, read token by token in any order.

use super::zone::{Zone, parse_offset};
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
    /// The abbreviation that says so, if it is one.
    zone_name: Option<Box<str>>,
}

impl Fields {
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
                days(year, month, day)
            }
            _ => {
                let what = "an incomplete date/time string has been found, with elements missing";
                return Err(failure(format!("{what}: \"{text}\"")));
            }
        };
        if let Some(weekday) = self.weekday {
            day += (weekday - iso_day_of_week(day)).rem_euclid(7);
        }
        let local = day * DAY_MS + ((hour * 60 + minute) * 60 + second) * 1000;
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
            Some(offset) => Ok(local - offset * 1000 + milli),
            None => Ok(zone.moment(local, false) + milli),
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
const ABBREVIATIONS: [(&str, i64); 14] = [
    ("utc", 0),
    ("gmt", 0),
    ("z", 0),
    ("est", -5),
    ("edt", -4),
    ("cst", -6),
    ("cdt", -5),
    ("mst", -7),
    ("mdt", -6),
    ("pst", -8),
    ("pdt", -7),
    ("cet", 1),
    ("cest", 2),
    ("bst", 1),
];

/// The seconds ahead of UTC that a text starts with, as offset or abbreviation, and the rest of the text.
pub(super) fn zone(text: &str) -> Option<(i64, &str)> {
    if text.starts_with(['+', '-']) {
        let length =
            1 + text.bytes().skip(1).take_while(|b| b.is_ascii_digit() || *b == b':').count();
        let (head, rest) = text.split_at_checked(length)?;
        let offset = match head.len() {
            2 => parse_offset(&format!("{}0{}", head.get(..1)?, head.get(1..)?)),
            _ => parse_offset(head),
        };
        return Some((offset?, rest));
    }
    let word = text.get(..text.bytes().take_while(u8::is_ascii_alphabetic).count())?;
    let lower = word.to_ascii_lowercase();
    let (_, hours) = ABBREVIATIONS.iter().find(|(name, _)| *name == lower)?;
    let rest = text.get(word.len()..)?;
    // `GMT+2` is a name of its own; `America/New_York` is none of these.
    (!rest.starts_with('/')).then_some((hours * 3600, rest))
}

/// Reads a date in any of the common forms.
///
/// # Errors
/// `ConversionFailure` (241).
pub(crate) fn free(text: &str, in_zone: &Zone) -> Result<i64> {
    if text.trim().is_empty() {
        return Err(failure(format!("Error parsing date string '{text}'; 0: Empty string '\0'")));
    }
    let mut fields = Fields::default();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(tail) = rest.strip_prefix([' ', '\t', ',']) {
            rest = tail;
            continue;
        }
        let token = Scanner { rest, fields: &mut fields }.token();
        match token {
            Some(tail) => rest = tail,
            None => {
                let at = text.len() - rest.len();
                let found = rest.chars().next().unwrap_or(' ');
                let what = match found.is_ascii_alphabetic() {
                    true if fields.offset.is_some() && zone(rest).is_some() => {
                        "Double timezone specification"
                    }
                    true => "passing a time zone identifier as part of the string is not allowed",
                    false => "Unexpected character",
                };
                return Err(failure(format!(
                    "Error parsing date string '{text}'; {at}: {what} '{found}'"
                )));
            }
        }
    }
    fields.resolve_at(text, text.len() + 1, in_zone)
}

/// Reads one token off the head of a text.
struct Scanner<'t, 'f> {
    rest: &'t str,
    fields: &'f mut Fields,
}

impl<'t> Scanner<'t, '_> {
    fn token(mut self) -> Option<&'t str> {
        let first = self.rest.bytes().next()?;
        if let Some(seconds) = self.rest.strip_prefix('@') {
            return self.unix(seconds);
        }
        if first.is_ascii_digit() {
            return self.date().or_else(|| self.time());
        }
        if matches!(first, b'+' | b'-') && self.fields.hour.is_some() {
            return self.offset();
        }
        if (first == b'T' || first == b't') && self.has_date() {
            let tail = self.rest.get(1..)?;
            if tail.starts_with(|c: char| c.is_ascii_digit()) {
                return Scanner { rest: tail, fields: self.fields }.time();
            }
        }
        if first.is_ascii_alphabetic() {
            return self
                .month_name()
                .or_else(|| self.weekday())
                .or_else(|| self.meridian())
                .or_else(|| self.offset());
        }
        None
    }

    /// Seconds since 1970.
    fn unix(&mut self, text: &'t str) -> Option<&'t str> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(text) => (true, text),
            None => (false, text),
        };
        let (digits, rest) = digits(text);
        let seconds: i64 = digits.parse().ok().filter(|_| digits.len() < 13)?;
        let parts = super::Civil::of(if negative { -seconds * 1000 } else { seconds * 1000 });
        self.set(parts.year, parts.month, parts.day, rest)?;
        self.fields.hour = Some(parts.hour);
        self.fields.minute = Some(parts.minute);
        self.fields.second = Some(parts.second);
        self.fields.offset = Some(0);
        Some(rest)
    }

    fn has_date(&self) -> bool {
        let fields = &self.fields;
        fields.day.is_some() || fields.day_of_year.is_some() || fields.iso_year.is_some()
    }

    fn offset(&mut self) -> Option<&'t str> {
        let (offset, rest) = zone(self.rest)?;
        let name = self.rest.get(..self.rest.len() - rest.len()).unwrap_or_default();
        if name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            self.fields.zone_name = Some(name.into());
        }
        match self.fields.offset.replace(offset) {
            Some(_) => None,
            None => Some(rest),
        }
    }

    fn weekday(&mut self) -> Option<&'t str> {
        let length = self.rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let word = self.rest.get(..length)?.to_ascii_lowercase();
        let at = WEEKDAYS.iter().position(|day| *day == word || day.get(..3) == Some(&word))?;
        self.fields.weekday = Some(at as i64 + 1);
        let rest = self.rest.get(length..)?;
        Some(rest.strip_prefix('.').unwrap_or(rest))
    }

    fn meridian(&mut self) -> Option<&'t str> {
        let word = self.rest.get(..2)?.to_ascii_lowercase();
        let hour = self.fields.hour?;
        self.fields.hour = Some(match word.as_str() {
            "am" if (1..=12).contains(&hour) => hour % 12,
            "pm" if (1..=12).contains(&hour) => hour % 12 + 12,
            _ => return None,
        });
        let rest = self.rest.get(2..)?;
        (!rest.starts_with(|c: char| c.is_ascii_alphanumeric())).then_some(rest)
    }

    /// `February 29, 2024`, `Feb 29` with a year later, or a month behind a day.
    fn month_name(&mut self) -> Option<&'t str> {
        let (month, rest) = month(self.rest)?;
        if self.fields.month.is_some() {
            return None;
        }
        let rest = rest.strip_prefix('.').unwrap_or(rest);
        self.fields.month = Some(month);
        let trimmed = rest.trim_start_matches([' ', '-', ',']);
        let (digits, tail) = digits(trimmed);
        if self.fields.day.is_none() && matches!(digits.len(), 1 | 2) && !tail.starts_with(':') {
            self.fields.day = digits.parse().ok();
            let tail = ["st", "nd", "rd", "th"]
                .iter()
                .find_map(|end| tail.strip_prefix(end))
                .unwrap_or(tail);
            return Some(tail);
        }
        if self.fields.day.is_some()
            && self.fields.year.is_none()
            && digits.len() == 4
            && !tail.starts_with(':')
        {
            self.fields.year = digits.parse().ok();
            return Some(tail);
        }
        Some(rest)
    }

    /// A date in digits.
    fn date(&mut self) -> Option<&'t str> {
        let (first, rest) = digits(self.rest);
        if self.has_date() {
            // A year behind month and day.
            let year = self.fields.year.is_none() && first.len() == 4 && !rest.starts_with(':');
            if year {
                self.fields.year = first.parse().ok();
                return Some(rest);
            }
            return None;
        }
        let number = |text: &str| text.parse::<i64>().ok();
        match (first.len(), rest.chars().next()) {
            (4, Some('-')) => {
                let tail = rest.get(1..)?;
                if let Some(week) = tail.strip_prefix('W') {
                    return self.week(number(first)?, week);
                }
                let (second, tail) = digits(tail);
                if second.len() == 3 {
                    (self.fields.year, self.fields.day_of_year) = (number(first), number(second));
                    return Some(tail);
                }
                self.check_month(second)?;
                if tail.trim().is_empty() {
                    // The first of a month.
                    return self.set(number(first)?, number(second)?, 1, tail);
                }
                let tail = tail.strip_prefix('-')?;
                let (third, tail) = digits(tail);
                let third = third.get(..third.len().min(2)).filter(|day| !day.is_empty())?;
                let day = number(third)?;
                if day > 31 {
                    return None;
                }
                (self.fields.year, self.fields.month, self.fields.day) =
                    (number(first), number(second), Some(day));
                Some(tail)
            }
            (4, Some('/')) => {
                let (second, tail) = digits(rest.get(1..)?);
                let (third, tail) = digits(tail.strip_prefix('/')?);
                self.set(number(first)?, number(second)?, number(third)?, tail)
            }
            (1 | 2, Some('/')) => {
                let (second, tail) = digits(rest.get(1..)?);
                let (third, tail) = digits(tail.strip_prefix('/')?);
                let year = number(third).filter(|_| third.len() == 4)?;
                self.set(year, number(first)?, number(second)?, tail)
            }
            (1 | 2, Some('-' | '.')) => {
                let by = rest.chars().next()?;
                let (second, tail) = digits(rest.get(1..)?);
                if second.is_empty() {
                    self.fields.day = number(first);
                    return rest.get(1..);
                }
                let (third, tail) = digits(tail.strip_prefix(by)?);
                match third.len() {
                    4 => self.set(number(third)?, number(second)?, number(first)?, tail),
                    // Two digits of a year come first.
                    2 if by == '-' => {
                        self.set(century(number(first)?), number(second)?, number(third)?, tail)
                    }
                    _ => None,
                }
            }
            (8, _) => {
                let (year, month, day) = (first.get(..4)?, first.get(4..6)?, first.get(6..)?);
                self.set(number(year)?, number(month)?, number(day)?, rest)
            }
            (7, _) if !rest.starts_with(':') => {
                (self.fields.year, self.fields.day_of_year) =
                    (number(first.get(..4)?), number(first.get(4..)?));
                Some(rest)
            }
            (1 | 2, Some(' ' | 's' | 'n' | 'r' | 't')) => {
                // A day before the name of a month.
                let tail = rest.strip_prefix(' ').or_else(|| {
                    ["st ", "nd ", "rd ", "th "].iter().find_map(|end| rest.strip_prefix(end))
                })?;
                month(tail)?;
                self.fields.day = number(first);
                Some(tail)
            }
            _ => None,
        }
    }

    fn check_month(&self, digits: &str) -> Option<()> {
        let month: i64 = digits.parse().ok()?;
        (digits.len() <= 2 && month <= 12).then_some(())
    }

    fn set(&mut self, year: i64, month: i64, day: i64, tail: &'t str) -> Option<&'t str> {
        if month > 12 || day > 31 {
            return None;
        }
        (self.fields.year, self.fields.month, self.fields.day) =
            (Some(year), Some(month), Some(day));
        Some(tail)
    }

    fn week(&mut self, year: i64, text: &'t str) -> Option<&'t str> {
        let (week, tail) = digits(text);
        self.fields.iso_year = Some(year);
        self.fields.iso_week = Some(week.parse().ok().filter(|_| week.len() == 2)?);
        match tail.strip_prefix('-') {
            Some(tail) => {
                let (day, tail) = digits(tail);
                self.fields.iso_day = Some(day.parse().ok().filter(|_| day.len() == 1)?);
                Some(tail)
            }
            None => Some(tail),
        }
    }

    /// A time in digits: `12:34`, `12:34:56.789`, `123456`.
    fn time(&mut self) -> Option<&'t str> {
        if self.fields.hour.is_some() {
            return None;
        }
        let (first, rest) = digits(self.rest);
        let number = |text: &str| text.parse::<i64>().ok();
        if let (4 | 6, true) = (first.len(), self.has_date() && !rest.starts_with(':')) {
            self.fields.hour = number(first.get(..2)?);
            self.fields.minute = number(first.get(2..4)?);
            self.fields.second = first.get(4..6).and_then(number);
            return self.fraction(rest);
        }
        if !matches!(first.len(), 1 | 2) || number(first)? > 24 {
            return None;
        }
        let Some(tail) = rest.strip_prefix(':') else {
            // An hour alone needs `am` or `pm`.
            let word = rest.trim_start().get(..2)?.to_ascii_lowercase();
            self.fields.hour = number(first).filter(|_| word == "am" || word == "pm");
            return self.fields.hour.map(|_| rest);
        };
        let (minute, rest) = digits(tail);
        self.fields.hour = number(first);
        self.fields.minute = number(minute).filter(|&value| minute.len() <= 2 && value < 60);
        self.fields.minute?;
        let Some(tail) = rest.strip_prefix(':') else { return Some(rest) };
        let (second, rest) = digits(tail);
        self.fields.second = number(second).filter(|&value| second.len() <= 2 && value <= 60);
        self.fields.second?;
        self.fraction(rest)
    }

    fn fraction(&mut self, rest: &'t str) -> Option<&'t str> {
        let Some(tail) = rest.strip_prefix(['.', ',']) else { return Some(rest) };
        let (fraction, rest) = digits(tail);
        if fraction.is_empty() {
            return None;
        }
        let padded = format!("{fraction:0<3}");
        self.fields.milli = padded.get(..3).and_then(|digits| digits.parse().ok());
        Some(rest)
    }
}

/// The digits that a text starts with, and the rest.
fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

/// A year of two digits.
fn century(year: i64) -> i64 {
    if year < 70 { 2000 + year } else { 1900 + year }
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
            "2024-060T12:00",
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
