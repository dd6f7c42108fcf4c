//! The tokens of a date as people write it, and what each says. The rules are those of MongoDB's calendar library
//! (timelib's grammar): at every place the longest token counts, of equally long ones the first of the table.

use std::sync::LazyLock;

use pcre2::bytes::{Regex, RegexBuilder};

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// `yesterday`, `noon`, ...
    Special,
    /// Seconds since 1970.
    Timestamp,
    /// Hour, minute, second, fraction, and `am` or `pm`.
    Time,
    /// Hour and minute without a colon; a year if there is a time already.
    ShortTime,
    /// Month, day, year.
    American,
    /// Year, month, day.
    Date,
    /// Day, month, year.
    Pointed,
    /// Year and day of the year, which MongoDB takes for a day of January.
    DayOfYear,
    /// Year, week, day of the week.
    Week,
    /// A date and a time without anything between.
    DateTime,
    /// A month by name, with a day, a year, a time.
    Named,
    /// A year.
    Year,
    /// A day of the week.
    Weekday,
    /// A number of units, or `next` and `last` one.
    Relative,
    /// `ago`.
    Ago,
    /// An offset or a time zone.
    Zone,
}

const PARTS: &[(&str, &str)] = &[
    ("HOUR", "(?:2[0-4]|[01]?[0-9])"),
    ("HOURLZ", "(?:2[0-4]|[01][0-9])"),
    ("HOUR12", "(?:1[0-2]|0?[1-9])"),
    ("MIN", "(?:[0-5]?[0-9])"),
    ("MINLZ", "(?:[0-5][0-9])"),
    ("SEC", "(?:60|[0-5]?[0-9])"),
    ("SECLZ", "(?:60|[0-5][0-9])"),
    ("MERIDIAN", "(?<ap>[ap])\\.?m\\.?(?=[\\0\\t ]|\\z)"),
    ("MONTH", "(?:1[0-2]|0?[0-9])"),
    ("MONTHLZ", "(?:1[0-2]|0[0-9])"),
    ("DAY", "(?:3[01]|[0-2]?[0-9])"),
    ("DAYLZ", "(?:3[01]|[0-2][0-9])"),
    ("YEAR4", "(?:[0-9]{4})"),
    ("YEAR", "(?:[0-9]{1,4})"),
    ("WEEK", "(?:5[0-3]|[1-4][0-9]|0[1-9])"),
    ("ORDINAL", "(?:st|nd|rd|th)?"),
    (
        "NAME",
        "(?:january|february|march|april|may|june|july|august|september|october|november|december|jan|feb|mar|apr|jun|jul|aug|sept|sep|oct|nov|dec|(?-i:I{1,3}|I[VX]|VI{0,3}|XI{0,2})(?![A-Za-z]))",
    ),
    ("WEEKDAY", "(?:sun|mon|tues|tue|wednes|wed|thurs|thur|thu|fri|satur|sat)(?:day)?s?(?![a-z])"),
    ("UNIT", "(?:sec|second|min|minute|hour|day|week|fortnight|month|year)s?(?![a-z])"),
    (
        "OFFSET",
        "(?:(?:gmt)?[+-](?:HOURLZ:MINLZ:SECLZ|HOURLZ(?:[0-5][0-9]){2}(?![0-9])|HOUR(?::?MIN)?))",
    ),
    ("ZONE", "(?:OFFSET|(?-i:[A-Z][a-z]+(?:[_/-][A-Za-z]+)+)|\\(?[a-z]{1,6}\\)?)"),
];

const RULES: &[(Rule, &str)] = &[
    (Rule::Special, "(?:yesterday|now|noon|midnight|today|tomorrow)"),
    (Rule::Timestamp, "@(?<unix>-?[0-9]+)(?:(?<frac>\\.[0-9]{0,6}))?"),
    (Rule::Time, "(?<h>HOUR12)(?:[:.](?<i>MINLZ)(?:[:.](?<s>SECLZ))?)? ?MERIDIAN"),
    (Rule::Time, "t?(?<h>HOUR)[:.](?<i>MIN)(?:[:.](?<s>SEC)(?<frac>\\.[0-9]+)?)?"),
    (Rule::Time, "t(?<h>HOUR)"),
    (Rule::ShortTime, "t?(?<h>HOURLZ)(?<i>MINLZ)"),
    (Rule::Time, "t?(?<h>HOURLZ)(?<i>MINLZ)(?<s>SECLZ)"),
    (Rule::American, "(?<m>MONTH)/(?<d>DAY)(?:/(?<y>YEAR))?"),
    (Rule::Date, "(?<y>[+-]?YEAR4)-(?<m>MONTHLZ)-(?<d>DAYLZ)"),
    (Rule::Date, "(?<y>YEAR4)/(?<m>MONTH)/(?<d>DAY)/?"),
    (Rule::Date, "(?<y>[+-][0-9]{5,6})-(?<m>MONTHLZ)-(?<d>DAYLZ)"),
    (Rule::Date, "(?<y>YEAR4)-(?<m>MONTH)"),
    (Rule::Date, "(?<y>YEAR)-(?<m>MONTH)-(?<d>DAY)"),
    (Rule::Named, "(?<d>DAY)ORDINAL[ \\t.-]*(?<n>NAME)[ \\t.-]*(?<y>YEAR)"),
    (Rule::Pointed, "(?<d>DAY)[.\\t-](?<m>MONTH)[.-](?<y>YEAR4)"),
    (Rule::Pointed, "(?<d>DAY)[.\\t](?<m>MONTH)\\.(?<y>[0-9]{2})"),
    (Rule::Named, "(?<n>NAME)[ .\\t-]*(?<y>YEAR4)"),
    (Rule::Named, "(?<y>YEAR4)[ .\\t-]*(?<n>NAME)"),
    (Rule::Named, "(?<n>NAME)[ .\\t-]*(?<d>DAY)[,.stndrh\\t ]+(?<y>YEAR)"),
    (Rule::Named, "(?<n>NAME)[ .\\t-]*(?<d>DAY)(?:[,.stndrh\\t ]+|\\0|\\z)"),
    (Rule::Named, "(?<d>DAY)ORDINAL[ .\\t-]*(?<n>NAME)"),
    (Rule::Date, "(?<y>YEAR4)(?<m>MONTHLZ)(?<d>DAYLZ)"),
    (Rule::DateTime, "(?<y>YEAR4)(?<m>MONTHLZ)(?<d>DAYLZ)t(?<h>HOUR):?(?<i>MINLZ):?(?<s>SECLZ)"),
    (Rule::DateTime, "(?<y>YEAR4):(?<m>MONTHLZ):(?<d>DAYLZ) (?<h>HOURLZ):(?<i>MINLZ):(?<s>SECLZ)"),
    (
        Rule::DayOfYear,
        "(?<y>YEAR4)[.-]?(?<d>36[0-6]|3[0-5][0-9]|[12][0-9][0-9]|0[1-9][0-9]|00[1-9])",
    ),
    (Rule::Week, "(?<y>YEAR4)-?(?-i:W)(?<week>WEEK)-?(?<d>[0-7])"),
    (Rule::Week, "(?<y>YEAR4)-?(?-i:W)(?<week>WEEK)"),
    (Rule::Named, "(?<n>NAME)-(?<d>DAYLZ)-(?<y>YEAR)"),
    (Rule::Named, "(?<y>YEAR)-(?<n>NAME)-(?<d>DAYLZ)"),
    (
        Rule::DateTime,
        "(?<d>DAY)/(?<n>NAME)/(?<y>YEAR4):(?<h>HOURLZ):(?<i>MINLZ):(?<s>SECLZ)[ \\t]+(?<z>OFFSET)",
    ),
    (Rule::Year, "(?<y>YEAR4)"),
    (Rule::Ago, "ago(?![a-z])"),
    (Rule::Weekday, "(?<w>WEEKDAY)"),
    (Rule::Relative, "(?<rel>next|last|previous|this)[ \\t]+(?<unit>UNIT)"),
    (Rule::Named, "(?<n>NAME)(?![A-Za-z])"),
    (Rule::Zone, "(?<z>ZONE)"),
    (
        Rule::Named,
        "(?<n>NAME)[ .\\t-]*(?<d>DAY)[,.stndrh\\t ]+t?(?<h>HOUR)[:.](?<i>MIN)(?:[:.](?<s>SEC)(?:[ \\t]*(?<z>ZONE))?)?",
    ),
    (Rule::Relative, "(?<count>[+-]*[ \\t]*[0-9]{1,13})[ \\t]*(?<unit>UNIT)"),
];

static PROGRAMS: LazyLock<Vec<(Rule, Regex)>> = LazyLock::new(|| {
    let program = |(rule, pattern): &(Rule, &str)| {
        let mut text = (*pattern).to_owned();
        // The parts at the end of the table are made of those before.
        for (name, part) in PARTS.iter().rev() {
            text = substitute(&text, name, part);
        }
        let text = format!("\\A(?:{text})");
        let built = RegexBuilder::new().caseless(true).jit_if_available(true).build(&text);
        Some((*rule, built.ok()?))
    };
    RULES.iter().filter_map(program).collect()
});

/// Replaces a name where it stands alone among capitals and digits.
fn substitute(text: &str, name: &str, part: &str) -> String {
    let mut out = String::with_capacity(text.len() + part.len());
    let mut rest = text;
    let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit();
    while let Some(at) = rest.find(name) {
        let (head, tail) = rest.split_at(at);
        let behind = tail.get(name.len()..).unwrap_or_default();
        out.push_str(head);
        let alone = !head.ends_with(is_name) && !behind.starts_with(is_name);
        out.push_str(if alone { part } else { name });
        rest = behind;
    }
    out + rest
}

/// A token with what its parts say.
#[derive(Debug)]
pub(super) struct Token<'t> {
    pub(super) rule: Rule,
    /// Its text.
    pub(super) text: &'t str,
    parts: Vec<(String, &'t str)>,
}

impl<'t> Token<'t> {
    /// The longest token that a text starts with.
    pub(super) fn first(text: &'t str) -> Option<Token<'t>> {
        let mut best: Option<(usize, &(Rule, Regex))> = None;
        for row in PROGRAMS.iter() {
            let found = row.1.find(text.as_bytes()).ok().flatten();
            if let Some(found) = found
                && found.end() > 0
                && best.is_none_or(|(length, _)| found.end() > length)
            {
                best = Some((found.end(), row));
            }
        }
        let (length, (rule, program)) = best?;
        let captures = program.captures(text.as_bytes()).ok().flatten()?;
        let named = program.capture_names().iter().flatten();
        let parts = named.filter_map(|name| {
            let part = captures.name(name)?;
            Some((name.clone(), text.get(part.start()..part.end())?))
        });
        Some(Token { rule: *rule, text: text.get(..length)?, parts: parts.collect() })
    }

    /// The text of a part.
    pub(super) fn part(&self, name: &str) -> Option<&'t str> {
        self.parts.iter().find(|(known, _)| known == name).map(|(_, text)| *text)
    }

    /// The number that a part is.
    pub(super) fn number(&self, name: &str) -> Option<i64> {
        self.part(name)?.trim_start_matches('+').parse().ok()
    }

    /// The milliseconds of a fraction.
    pub(super) fn milli(&self) -> i64 {
        let digits = self.part("frac").unwrap_or_default().bytes().skip(1).take(3);
        digits.zip([100, 10, 1]).map(|(digit, value)| i64::from(digit - b'0') * value).sum()
    }

    /// The year, of two digits in the century around 2000.
    pub(super) fn year(&self) -> Option<i64> {
        let year = self.number("y")?;
        let short = self.part("y").is_some_and(|text| text.len() < 4);
        Some(match year {
            0..70 if short => year + 2000,
            70..100 if short => year + 1900,
            year => year,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_a_program() {
        assert_eq!(PROGRAMS.len(), RULES.len());
        let token = Token::first("2024-02-29T12:34").unwrap();
        assert_eq!((token.rule, token.text), (Rule::Date, "2024-02-29"));
        let token = Token::first("Feb 29 12:34:56 2024").unwrap();
        assert_eq!((token.rule, token.number("h")), (Rule::Named, Some(12)));
        assert!(Token::first("%").is_none());
    }
}
