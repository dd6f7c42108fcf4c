//! Which locales have an order of texts, and their names in Unicode's syntax.

use icu_locale_core::Locale;

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

/// A variant of an order of texts: its name in ICU's old syntax, in Unicode's, and the languages that have it.
struct Variant(&'static str, &'static str, &'static [&'static str]);

/// All variants; without languages every language has it.
const VARIANTS: &[Variant] = &[
    Variant("compat", "compat", &["ar"]),
    Variant("dictionary", "dict", &["si"]),
    Variant("eor", "eor", &[]),
    Variant("phonebook", "phonebk", &["de"]),
    Variant("phonetic", "phonetic", &["ln"]),
    Variant("pinyin", "pinyin", &["zh"]),
    Variant("search", "search", &[]),
    Variant("stroke", "stroke", &["zh"]),
    Variant("traditional", "trad", &["bn", "es", "fi", "kn", "sv", "vi"]),
    Variant("unihan", "unihan", &["ja", "ko", "zh"]),
    Variant("zhuyin", "zhuyin", &["zh"]),
];

/// Languages whose order is the root's: in these accents can be compared backwards, as French of Canada does.
const UNTAILORED: &[&str] =
    &["ca", "de", "en", "fr", "ga", "id", "it", "lb", "ms", "nl", "pt", "sw", "zu"];

/// Locales of more than a language: those for which ICU has data of their own.
const PLACES: &[&str] = &[
    "bs_Cyrl",
    "de_AT",
    "en_US",
    "en_US_POSIX",
    "fa_AF",
    "fr_CA",
    "he_IL",
    "id_ID",
    "pa_Guru",
    "sr_Cyrl",
    "sr_Latn",
    "zh_Hans",
    "zh_Hant",
];

/// The locale of a name such as `fr_CA` or `de@collation=phonebook`.
pub(super) fn tag(name: &str) -> Option<Locale> {
    let (place, variant) = split(name)?;
    let known = LANGUAGES.binary_search(&place).is_ok() || PLACES.binary_search(&place).is_ok();
    if !known {
        return None;
    }
    let mut tag = place.replace('_', "-");
    if place == "en_US_POSIX" {
        tag = "en-US-u-va-posix".to_owned();
    }
    if let Some(variant) = variant {
        let language = place.split('_').next()?;
        let Variant(_, unicode, languages) = VARIANTS.iter().find(|known| known.0 == variant)?;
        if !languages.is_empty() && !languages.contains(&language) {
            return None;
        }
        tag = format!("{tag}-u-co-{unicode}");
    }
    tag.parse().ok()
}

/// The locale whose order compares accents in the wanted direction.
pub(super) fn with_backwards(locale: Locale, name: &str, backwards: bool) -> Option<Locale> {
    match (name, backwards) {
        ("fr_CA", true) => Some(locale),
        ("fr_CA", false) => "fr".parse().ok(),
        (_, false) => Some(locale),
        (_, true) => has_order_of_root(name).then(|| "fr-CA".parse().ok())?,
    }
}

/// Whether texts have the root's order in a locale.
pub(super) fn has_order_of_root(name: &str) -> bool {
    let Some((place, None)) = split(name) else { return false };
    let language = place.split('_').next().unwrap_or_default();
    UNTAILORED.binary_search(&language).is_ok() && place != "en_US_POSIX"
}

/// The name that was perhaps meant by one that is none: a locale of the same language.
pub(super) fn similar(name: &str) -> Option<String> {
    let place = name.split('@').next()?;
    let mut parts = place.split(['_', '-']);
    let language = parts.next()?.to_ascii_lowercase();
    LANGUAGES.binary_search(&language.as_str()).ok()?;
    let whole = parts.next().map(|region| format!("{language}_{region}"));
    let whole = whole.filter(|whole| PLACES.binary_search(&whole.as_str()).is_ok());
    Some(whole.unwrap_or(language))
}

fn split(name: &str) -> Option<(&str, Option<&str>)> {
    match name.split_once('@') {
        None => Some((name, None)),
        Some((place, keyword)) => Some((place, Some(keyword.strip_prefix("collation=")?))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collation::{Collation, Options};

    #[test]
    fn the_languages_are_sorted_and_others_unknown() {
        for table in [LANGUAGES, UNTAILORED, PLACES] {
            assert!(table.is_sorted());
            for name in table {
                assert!(Collation::new(name, Options::of_locale(name)).is_some(), "{name}");
            }
        }
        assert!(tag("xx").is_none() && tag("fr_FR").is_none());
        assert!(tag("de@collation=phonebook").is_some());
        assert!(tag("en@collation=phonebook").is_none());
    }

    #[test]
    fn another_locale_of_the_language_is_proposed() {
        let similar = |name| similar(name).unwrap_or_default();
        assert_eq!(similar("en-US"), "en_US");
        assert_eq!(similar("FR_fr"), "fr");
        assert_eq!(similar("xx"), "");
    }
}
