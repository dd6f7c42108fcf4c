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

impl Options {
    /// What a locale has where nothing is said.
    pub fn of_locale(name: &str) -> Options {
        let language = name.split(['_', '@']).next().unwrap_or_default();
        Options {
            strength: 3,
            case_level: false,
            case_first: match language {
                "da" | "mt" => CaseFirst::Upper,
                _ => CaseFirst::Off,
            },
            numeric: false,
            shifted: language == "th",
            spaces_only: false,
            normalization: false,
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
