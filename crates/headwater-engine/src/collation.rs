//! Collations: the order of texts in a language, by the Unicode collation algorithm with CLDR's data; how a client writes
//! one, and how values with texts in them compare under one.

mod locale;
mod order;
mod parse;
mod spec;

use std::cmp::Ordering;
use std::fmt;

use icu_collator::options::{AlternateHandling, CaseLevel, CollatorOptions, MaxVariable, Strength};
use icu_collator::preferences::{CollationCaseFirst, CollationNumericOrdering};
use icu_collator::{Collator, CollatorBorrowed, CollatorPreferences};

pub use order::ValueOrder;
pub(crate) use order::may_hold_texts;
pub use parse::{Chosen, normalize, parse};
pub use spec::{CaseFirst, Options};

use crate::bson::{Doc, DocBuf, Raw};

/// An order of texts.
pub struct Collation {
    collator: CollatorBorrowed<'static>,
    spec: DocBuf,
}

impl Collation {
    /// The collation of a locale such as `en_US` or `de@collation=phonebook`, `None` if there is no such locale, or if
    /// accents cannot be compared backwards in it.
    ///
    /// ```
    /// use headwater_engine::collation::{Collation, Options};
    /// let options = Options { strength: 1, ..Options::of_locale("en") };
    /// let collation = Collation::new("en", options).unwrap();
    /// assert!(collation.compare("Zoe", "zoé").is_eq());
    /// ```
    pub fn new(name: &str, options: Options) -> Option<Collation> {
        let tailored = locale::tag(name)?;
        let mut preferences =
            CollatorPreferences::from(&locale::with_backwards(tailored, name, options.backwards)?);
        preferences.numeric_ordering = options.numeric.then_some(CollationNumericOrdering::True);
        preferences.case_first = Some(match options.case_first {
            CaseFirst::Off => CollationCaseFirst::False,
            CaseFirst::Upper => CollationCaseFirst::Upper,
            CaseFirst::Lower => CollationCaseFirst::Lower,
        });
        let mut chosen = CollatorOptions::default();
        chosen.strength = Some(match options.strength {
            1 => Strength::Primary,
            2 => Strength::Secondary,
            3 => Strength::Tertiary,
            4 => Strength::Quaternary,
            _ => Strength::Identical,
        });
        chosen.case_level = Some(if options.case_level { CaseLevel::On } else { CaseLevel::Off });
        chosen.alternate_handling = Some(match options.shifted {
            true => AlternateHandling::Shifted,
            false => AlternateHandling::NonIgnorable,
        });
        if options.shifted {
            chosen.max_variable = Some(match options.spaces_only {
                true => MaxVariable::Space,
                false => MaxVariable::Punctuation,
            });
        }
        let collator = Collator::try_new(preferences, chosen).ok()?;
        Some(Collation { collator, spec: options.to_doc(name) })
    }

    /// Every option with its value, as `listIndexes` and `listCollections` show it.
    pub fn spec(&self) -> Doc<'_> {
        self.spec.as_doc()
    }

    /// The order of two texts.
    pub fn compare(&self, a: &str, b: &str) -> Ordering {
        if a == b { Ordering::Equal } else { self.collator.compare(a, b) }
    }

    /// Appends the key of a text: keys compare as bytes as the texts compare.
    pub fn append_key(&self, text: &str, out: &mut Vec<u8>) {
        let Ok(()) = self.collator.write_sort_key_to(text, out);
    }

    /// The key of a text as MongoDB shows it in errors. Its tables are older: in languages of the root's order their
    /// Latin letters lie two below ours. Of texts of ASCII letters, digits and spaces each primary weight is one byte,
    /// so these can be told in the old numbers; other texts have the key of our own tables.
    pub fn shown_key(&self, text: &str) -> Vec<u8> {
        const FIRST_LETTER: u8 = 0x2b;
        let mut key = Vec::new();
        self.append_key(text, &mut key);
        let spec = self.spec();
        let locale = spec.get("locale").and_then(Raw::as_str).unwrap_or_default();
        let numeric = spec.get("numericOrdering").and_then(Raw::as_bool) == Some(true);
        let plain = |c: char| c == ' ' || c.is_ascii_alphabetic() || c.is_ascii_digit() && !numeric;
        if locale::has_order_of_root(locale) && text.chars().all(plain) {
            let primary = key.iter_mut().take_while(|byte| **byte != 1);
            primary.filter(|byte| **byte >= FIRST_LETTER).for_each(|byte| *byte -= 2);
        }
        key
    }
}

impl PartialEq for Collation {
    fn eq(&self, other: &Collation) -> bool {
        self.spec.as_doc() == other.spec.as_doc()
    }
}

impl Eq for Collation {}

impl fmt::Debug for Collation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Collation").field(&self.spec).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn en() -> Options {
        Options::of_locale("en")
    }

    #[test]
    fn keys_compare_as_the_texts_do() {
        let texts = ["", "a", "A", "á", "b", "ab", "a b", "a-b", "10", "9", "é", "e\u{301}", "z"];
        for strength in 1..=5 {
            let collation = Collation::new("en", Options { strength, ..en() }).unwrap();
            let key = |text| {
                let mut key = Vec::new();
                collation.append_key(text, &mut key);
                key
            };
            for a in texts {
                for b in texts {
                    assert_eq!(
                        key(a).cmp(&key(b)),
                        collation.compare(a, b),
                        "{a} {b} at {strength}"
                    );
                }
            }
        }
    }

    #[test]
    fn shown_keys_are_those_of_version_57() {
        let collation = Collation::new("en", Options { strength: 2, ..en() }).unwrap();
        assert_eq!(collation.shown_key("x"), [0x57, 0x01, 0x05]);
        let all = collation.shown_key("az 09");
        assert_eq!(all, [0x29, 0x5b, 0x04, 0x12, 0x24, 0x01, 0x09]);
    }

    #[test]
    fn accents_compare_backwards_where_that_is_asked_for() {
        let french = ["cote", "côte", "coté", "côté"];
        let backwards = Collation::new("fr", Options { backwards: true, ..en() }).unwrap();
        assert!(french.is_sorted_by(|a, b| backwards.compare(a, b).is_lt()));
        let canada = Collation::new("fr_CA", Options::of_locale("fr_CA")).unwrap();
        assert!(french.is_sorted_by(|a, b| canada.compare(a, b).is_lt()));
        let forwards = Collation::new("fr_CA", en()).unwrap();
        assert!(forwards.compare("coté", "côte").is_lt());
    }
}
