//! The options of a collation and the document that shows all of them.

use crate::bson::{DocBuf, DocWriter};

/// The version of collations as MongoDB 8.0 calls it.
pub(super) const VERSION: &str = "57.1";

/// What can be chosen beside the language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How many levels of difference count: 1 base letters, 2 accents, 3 case, 4 punctuation, 5 code points.
    pub strength: u8,
    /// Whether case counts although accents do not.
    pub case_level: bool,
    /// Which case comes first.
    pub case_first: CaseFirst,
    /// Whether digits compare as numbers.
    pub numeric: bool,
    /// Whether punctuation and spaces count only at level 4.
    pub shifted: bool,
    /// Whether `shifted` is about spaces only.
    pub spaces_only: bool,
    /// Whether texts are said to need normalisation. They are always compared as if they did.
    pub normalization: bool,
    /// Whether accents compare from the end of the text.
    pub backwards: bool,
}

/// Which case comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaseFirst {
    /// Small letters, unless something else differs.
    Off,
    /// Capitals.
    Upper,
    /// Small letters.
    Lower,
}

/// The languages whose texts are normalised before they are compared.
const NORMALIZING: [&str; 24] = [
    "as", "bn", "bo", "el", "fa", "gu", "he", "hi", "ig", "km", "kn", "kok", "mr", "my", "or",
    "pa", "ps", "si", "ta", "te", "th", "vi", "yi", "yo",
];

/// Whether a locale is said to need normalisation: of the variants, the ones for searching and those that change the
/// order of such a language.
fn normalizes(name: &str) -> bool {
    let (place, variant) = name.split_once("@collation=").unwrap_or((name, ""));
    let language = place.split('_').next().unwrap_or_default();
    match variant {
        "" | "dictionary" | "traditional" => NORMALIZING.binary_search(&language).is_ok(),
        variant => variant == "search",
    }
}

impl Options {
    /// What a locale has where nothing is said. Source: what ICU answers for all locales and variants.
    pub fn of_locale(name: &str) -> Options {
        Options {
            strength: 3,
            case_level: false,
            case_first: match name {
                "da" | "mt" => CaseFirst::Upper,
                _ => CaseFirst::Off,
            },
            numeric: false,
            shifted: name == "th",
            spaces_only: false,
            normalization: normalizes(name),
            backwards: name == "fr_CA",
        }
    }

    /// Every option with its value.
    pub(super) fn to_doc(self, locale: &str) -> DocBuf {
        let mut doc = DocWriter::new();
        self.write(locale, &mut doc);
        doc.bool("backwards", self.backwards);
        doc.str("version", VERSION);
        doc.finish()
    }

    /// Every option that has a value without a locale.
    pub(super) fn write(self, locale: &str, doc: &mut DocWriter) {
        doc.str("locale", locale);
        doc.bool("caseLevel", self.case_level);
        let case_first = match self.case_first {
            CaseFirst::Off => "off",
            CaseFirst::Upper => "upper",
            CaseFirst::Lower => "lower",
        };
        doc.str("caseFirst", case_first);
        doc.i32("strength", i32::from(self.strength));
        doc.bool("numericOrdering", self.numeric);
        doc.str("alternate", if self.shifted { "shifted" } else { "non-ignorable" });
        doc.str("maxVariable", if self.spaces_only { "space" } else { "punct" });
        doc.bool("normalization", self.normalization);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locales_have_defaults_of_their_own() {
        assert!(NORMALIZING.is_sorted());
        for name in ["as", "fa_AF", "vi@collation=traditional", "en@collation=search"] {
            assert!(Options::of_locale(name).normalization, "{name}");
        }
        for name in ["en", "ar", "es@collation=traditional", "bn@collation=eor"] {
            assert!(!Options::of_locale(name).normalization, "{name}");
        }
        assert_eq!(Options::of_locale("da").case_first, CaseFirst::Upper);
        assert_eq!(Options::of_locale("da@collation=search").case_first, CaseFirst::Off);
        assert!(Options::of_locale("th").shifted && Options::of_locale("fr_CA").backwards);
    }
}
