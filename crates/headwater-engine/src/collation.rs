//! Collations: the order of texts in a language, by the Unicode collation algorithm with CLDR's data.
//!
//! Knows texts only. How a client writes a collation is the commands' business.

use std::cmp::Ordering;
use std::fmt;

use icu_collator::options::{AlternateHandling, CaseLevel, CollatorOptions, MaxVariable, Strength};
use icu_collator::preferences::{CollationCaseFirst, CollationNumericOrdering};
use icu_collator::{Collator, CollatorBorrowed, CollatorPreferences};
use icu_locale_core::Locale;

/// An order of texts.
pub struct Collation {
    collator: CollatorBorrowed<'static>,
    locale: Box<str>,
}

/// What can be chosen beside the language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How many levels of difference count: 1 base letters, 2 accents, 3 case, 4 punctuation, 5 code points.
    pub strength: u8,
    /// Whether case counts although accents do not.
    pub case_level: bool,
    /// Which case comes first, where the language does not say.
    pub case_first: CaseFirst,
    /// Whether digits compare as numbers.
    pub numeric: bool,
    /// Whether punctuation and spaces count only at level 4.
    pub shifted: bool,
    /// Whether `shifted` is about spaces only.
    pub spaces_only: bool,
}

/// Which case comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaseFirst {
    /// As the language has it.
    Off,
    /// Capitals.
    Upper,
    /// Small letters.
    Lower,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            strength: 3,
            case_level: false,
            case_first: CaseFirst::Off,
            numeric: false,
            shifted: false,
            spaces_only: false,
        }
    }
}

/// The languages for which MongoDB knows an order.
const LANGUAGES: &[&str] = &[
    "af", "am", "ar", "as", "az", "be", "bg", "bn", "bo", "bs", "ca", "chr", "cs", "cy", "da",
    "de", "dsb", "dz", "ee", "el", "en", "eo", "es", "et", "fa", "fi", "fil", "fo", "fr", "ga",
    "gl", "gu", "ha", "haw", "he", "hi", "hr", "hsb", "hu", "hy", "id", "ig", "is", "it", "ja",
    "ka", "kk", "kl", "km", "kn", "ko", "kok", "ky", "lb", "lkt", "ln", "lo", "lt", "lv", "mk",
    "ml", "mn", "mr", "ms", "mt", "my", "nb", "ne", "nl", "nn", "om", "or", "pa", "pl", "ps", "pt",
    "ro", "ru", "se", "si", "sk", "sl", "smn", "sq", "sr", "sv", "sw", "ta", "te", "th", "to",
    "tr", "ug", "uk", "ur", "uz", "vi", "wae", "yi", "yo", "zh", "zu",
];

/// Variants of a language's order as ICU's old syntax names them, and as Unicode does.
const VARIANTS: &[(&str, &str)] = &[
    ("compat", "compat"),
    ("dictionary", "dict"),
    ("eor", "eor"),
    ("phonebook", "phonebk"),
    ("pinyin", "pinyin"),
    ("search", "search"),
    ("stroke", "stroke"),
    ("traditional", "trad"),
    ("unihan", "unihan"),
    ("zhuyin", "zhuyin"),
];

impl Collation {
    /// The collation of a locale such as `en_US` or `de@collation=phonebook`, `None` if there is no such locale.
    ///
    /// ```
    /// use headwater_engine::collation::{Collation, Options};
    /// let options = Options { strength: 1, ..Options::default() };
    /// let collation = Collation::new("en", options).unwrap();
    /// assert!(collation.compare("Zoe", "zoé").is_eq());
    /// ```
    pub fn new(name: &str, options: Options) -> Option<Collation> {
        let mut preferences = CollatorPreferences::from(&locale(name)?);
        preferences.numeric_ordering = options.numeric.then_some(CollationNumericOrdering::True);
        preferences.case_first = match options.case_first {
            CaseFirst::Off => None,
            CaseFirst::Upper => Some(CollationCaseFirst::Upper),
            CaseFirst::Lower => Some(CollationCaseFirst::Lower),
        };
        let mut chosen = CollatorOptions::default();
        chosen.strength = Some(match options.strength {
            1 => Strength::Primary,
            2 => Strength::Secondary,
            3 => Strength::Tertiary,
            4 => Strength::Quaternary,
            _ => Strength::Identical,
        });
        chosen.case_level = Some(if options.case_level { CaseLevel::On } else { CaseLevel::Off });
        if options.shifted {
            chosen.alternate_handling = Some(AlternateHandling::Shifted);
            chosen.max_variable = Some(match options.spaces_only {
                true => MaxVariable::Space,
                false => MaxVariable::Punctuation,
            });
        }
        let collator = Collator::try_new(preferences, chosen).ok()?;
        Some(Collation { collator, locale: name.into() })
    }

    /// The order of two texts.
    pub fn compare(&self, a: &str, b: &str) -> Ordering {
        if a == b { Ordering::Equal } else { self.collator.compare(a, b) }
    }

    /// Appends the key of a text: keys compare as bytes as the texts compare.
    pub fn append_key(&self, text: &str, out: &mut Vec<u8>) {
        let Ok(()) = self.collator.write_sort_key_to(text, out);
    }
}

impl fmt::Debug for Collation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Collation").field(&self.locale).finish()
    }
}

fn locale(name: &str) -> Option<Locale> {
    let (place, variant) = match name.split_once('@') {
        None => (name, None),
        Some((place, keyword)) => (place, Some(keyword.strip_prefix("collation=")?)),
    };
    let language = place.split('_').next()?;
    LANGUAGES.binary_search(&language).ok()?;
    let mut tag = place.replace('_', "-");
    if let Some(variant) = variant {
        let known = VARIANTS.iter().find(|(old, _)| *old == variant)?;
        tag = format!("{tag}-u-co-{}", known.1);
    }
    tag.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_compare_as_the_texts_do() {
        let texts = ["", "a", "A", "á", "b", "ab", "a b", "a-b", "10", "9", "é", "e\u{301}", "z"];
        for strength in 1..=5 {
            let options = Options { strength, ..Options::default() };
            let collation = Collation::new("en", options).unwrap();
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
    fn the_languages_are_sorted_and_others_unknown() {
        assert!(LANGUAGES.is_sorted());
        assert!(LANGUAGES.iter().all(|name| Collation::new(name, Options::default()).is_some()));
        assert!(Collation::new("xx", Options::default()).is_none());
        assert!(Collation::new("de@collation=phonebook", Options::default()).is_some());
    }
}
