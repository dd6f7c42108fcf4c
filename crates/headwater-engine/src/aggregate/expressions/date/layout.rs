//! The date of a text in a format, read as MongoDB's calendar library reads it: what is wrong is noted and the rest
//! is read on. Knows nothing of expressions.

use super::days;
use super::parse::{self, Fields, shown};
use super::zone::Zone;
use crate::bson::iso::date_of;
use crate::error::Result;

/// The date of a text in a format whose letters are known.
///
/// # Errors
/// `ConversionFailure` (241) with all that is wrong.
pub(super) fn read(text: &str, format: &str, zone: &Zone) -> Result<i64> {
    let mut layout = Layout { text, at: 0, fields: Fields::default(), errors: Vec::new() };
    let mut format = format.bytes();
    while layout.at < text.len() {
        match format.next() {
            None => break,
            Some(b'%') => layout.item(format.next().unwrap_or(b'%')),
            Some(literal) => layout.literal(literal),
        }
    }
    if layout.at < text.len() {
        layout.error(layout.at, "Trailing data");
    } else if format.next().is_some() {
        layout.error(layout.at, "Not enough data available to satisfy format");
    }
    layout.check();
    if !layout.errors.is_empty() {
        let errors = layout.errors.join("; ");
        return Err(parse::failure(format!("Error parsing date string '{text}'; {errors}")));
    }
    layout.fields.resolve(text, zone)
}

struct Layout<'t> {
    text: &'t str,
    at: usize,
    fields: Fields,
    errors: Vec<String>,
}

impl Layout<'_> {
    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    fn error(&mut self, at: usize, what: &str) {
        let found = self.byte(at).map_or('\0', shown);
        self.errors.push(format!("{at}: {what} '{found}'"));
    }

    fn literal(&mut self, literal: u8) {
        if self.byte(self.at) != Some(literal) {
            self.error(self.at, "Format literal not found");
        }
        self.at += 1;
    }

    fn item(&mut self, letter: u8) {
        match letter {
            b'Y' => self.fields.year = self.checked(4, "four digit year"),
            b'm' => self.fields.month = self.checked(2, "two digit month"),
            b'd' => self.fields.day = self.checked(2, "two digit day"),
            b'H' => self.fields.hour = self.checked(2, "two digit hour"),
            b'M' => self.fields.minute = self.exactly_two("two digit minute"),
            b'S' => self.fields.second = self.exactly_two("two digit second"),
            b'L' => {
                let value = self.checked(3, "three digit millisecond");
                let scale = 10_i64.pow(3 - self.digits_before().min(3) as u32);
                self.fields.milli = value.map(|value| value * scale);
            }
            b'j' => self.day_of_year(),
            b'G' => self.fields.iso_year = self.number(4, "four digit ISO year"),
            b'V' => {
                let words = ("two digit ISO week", "ISO Week must be between 1 and 53");
                self.fields.iso_week = self.between(2, words, 53);
            }
            b'u' => {
                let words = ("single digit day of week", "Day of week must be between 1 and 7");
                self.fields.iso_day = self.between(1, words, 7);
            }
            b'b' | b'B' => self.month_name(),
            b'z' => self.zone(),
            b'Z' => self.minutes(),
            literal => self.literal(literal),
        }
    }

    /// The digits that stand directly before the place.
    fn digits_before(&self) -> usize {
        let read = self.text.as_bytes().get(..self.at).unwrap_or_default();
        read.iter().rev().take_while(|byte| byte.is_ascii_digit()).count()
    }

    /// The next number of at most so many digits; what stands before it is passed over.
    fn number(&mut self, most: usize, what: &str) -> Option<i64> {
        let from = self.at;
        let rest = self.text.as_bytes().get(from..).unwrap_or_default();
        let Some(skipped) = rest.iter().position(u8::is_ascii_digit) else {
            self.at = self.text.len();
            self.error(from, &format!("A {what} could not be found"));
            return None;
        };
        let digits = rest.iter().skip(skipped).take(most).take_while(|byte| byte.is_ascii_digit());
        let (mut value, mut count) = (0, 0);
        for digit in digits {
            value = value * 10 + i64::from(digit - b'0');
            count += 1;
        }
        self.at = from + skipped + count;
        Some(value)
    }

    /// A number that has to stand here.
    fn checked(&mut self, most: usize, what: &str) -> Option<i64> {
        if !self.byte(self.at).is_some_and(|byte| byte.is_ascii_digit()) {
            self.error(self.at, "Unexpected data found.");
        }
        self.number(most, what)
    }

    fn exactly_two(&mut self, what: &str) -> Option<i64> {
        let from = self.at;
        let value = self.checked(2, what)?;
        if self.digits_before() < 2 {
            self.error(from, &format!("A {what} could not be found"));
        }
        Some(value)
    }

    fn between(&mut self, most: usize, words: (&str, &str), last: i64) -> Option<i64> {
        let from = self.at;
        let value = self.number(most, words.0)?;
        if !(1..=last).contains(&value) {
            self.error(from, words.1);
        }
        Some(value)
    }

    /// Year, month and day from the number of a day, which MongoDB counts from 0.
    fn day_of_year(&mut self) {
        let from = self.at;
        if !self.byte(from).is_some_and(|byte| byte.is_ascii_digit()) {
            self.error(from, "Unexpected data found.");
        }
        if self.fields.year.is_none() {
            self.error(from, "A 'day of year' can only come after a year has been found");
        }
        if let (Some(day), Some(year)) =
            (self.number(3, "three digit day-of-year"), self.fields.year)
        {
            let (year, month, day) = date_of(days(year, 1, day + 1));
            self.fields.year = Some(year);
            self.fields.month = Some(month);
            self.fields.day = Some(day);
        }
    }

    fn month_name(&mut self) {
        let from = self.at;
        let rest = self.text.get(from..).unwrap_or_default();
        self.at += rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let word = self.text.get(from..self.at).unwrap_or_default();
        let month = parse::month(word).map(|(month, _)| month);
        match month.or_else(|| parse::roman(&word.to_ascii_uppercase())) {
            Some(month) => self.fields.month = Some(month),
            None => self.error(from, "A textual month could not be found"),
        }
    }

    fn zone(&mut self) {
        const NOT_ALLOWED: &str =
            "passing a time zone identifier as part of the string is not allowed";
        let from = self.at;
        let text = self.text.get(from..).unwrap_or_default();
        let inner = text.trim_start_matches([' ', '\t', '(']);
        let of_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"/_+-:".contains(byte);
        let length = inner.bytes().take_while(|byte| of_word(byte)).count();
        let word = inner.get(..length).unwrap_or_default();
        let signed = word.starts_with(['+', '-']) || word.starts_with("GMT+");
        let signed = signed || word.starts_with("GMT-");
        let left = match parse::zone(word) {
            Some((offset, left)) if signed => {
                self.fields.offset = Some(offset);
                left.len()
            }
            Some((offset, "")) if word.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
                self.fields.offset = Some(offset);
                self.fields.zone_name = Some(word.to_ascii_uppercase().into());
                0
            }
            _ => {
                self.error(from, NOT_ALLOWED);
                0
            }
        };
        self.at = from + (text.len() - inner.len()) + length - left;
        let behind = self.text.get(self.at..).unwrap_or_default();
        self.at += behind.bytes().take_while(|byte| *byte == b')').count();
    }

    /// A signed number of minutes.
    fn minutes(&mut self) {
        let sign = match self.byte(self.at) {
            Some(b'+') => 1,
            Some(b'-') => -1,
            _ => return self.error(self.at, "Invalid timezone offset in minutes"),
        };
        self.at += 1;
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit());
        let (mut minutes, mut count) = (0_i64, 0);
        for digit in digits {
            minutes = minutes.saturating_mul(10).saturating_add(i64::from(digit - b'0'));
            count += 1;
        }
        self.at += count;
        self.fields.offset = Some(sign * minutes.min(i64::from(i32::MAX)) * 60);
    }

    /// Notes what is wrong with the whole.
    fn check(&mut self) {
        const MIXED: &str = "Mixing of ISO dates with natural dates is not allowed";
        const INVALID: &str = "The parsed date was invalid";
        let Fields { year, month, day, iso_year, iso_week, iso_day, .. } = self.fields;
        let natural = year.is_some() || month.is_some() || day.is_some();
        let at = self.at.min(self.text.len());
        if iso_year.is_some() {
            for _ in 0..usize::from(natural) + usize::from(year.is_some()) {
                self.error(at, MIXED);
            }
        } else if iso_week.is_some() || iso_day.is_some() {
            if natural {
                self.error(at, MIXED);
            }
            self.error(at, INVALID);
        }
        let beyond = |value: Option<i64>, most: i64| value.is_some_and(|value| value > most);
        let Fields { hour, minute, second, .. } = self.fields;
        if beyond(hour, 23) || beyond(minute, 59) || beyond(second, 59) {
            self.error(at, "The parsed time was invalid");
        }
        if let (Some(year), Some(month), Some(day)) = (year, month, day)
            && !(1..=12).contains(&month)
                | !(1..=days(year, month + 1, 1) - days(year, month, 1)).contains(&day)
        {
            self.error(at, INVALID);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_wrong_is_told() {
        let wrong = |text, format| read(text, format, &Zone::Utc).unwrap_err().to_string();
        let told = wrong("2024-1x-01", "%Y-%m-%d");
        assert!(told.ends_with("6: Format literal not found 'x'; 7: Unexpected data found. '-'"));
        let told = wrong("2024-02-30 25", "%Y-%m-%d %H");
        assert!(told.contains("13: The parsed time was invalid '\0'; 13: The parsed date"));
        assert_eq!(read("2024-060-02", "%Y-%j-%m", &Zone::Utc).unwrap(), 1_706_745_600_000);
    }
}
