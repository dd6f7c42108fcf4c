//! What is committed names no place, tool or person of the workplace it was written in.

use headwater_tidy::files::{text, tracked};

/// Spelled in two halves, so that this file passes its own rule.
const WORDS: &[(&str, &str)] = &[
    ("/wo", "rk/"),
    ("/tmp/", "lead"),
    (".libr", "ary/"),
    ("help", "er"),
    ("age", "nt"),
    ("ask-mon", "godb"),
    ("issues sh", "ow"),
    ("registry.np", "mjs"),
    ("deb.deb", "ian.org"),
    ("files.python", "hosted"),
];

/// Files that are others' text, or generated from it.
const EXEMPT: &[&str] = &["Cargo.lock", "LICENSE"];

#[test]
fn nothing_names_the_workplace() {
    let words = WORDS.iter().map(|(one, two)| format!("{one}{two}")).collect::<Vec<_>>();
    let mut wrong = Vec::new();
    for name in tracked().into_iter().filter(|name| !EXEMPT.contains(&name.as_str())) {
        let Some(text) = text(&name) else { continue };
        for (number, line) in text.lines().enumerate() {
            for word in words.iter().filter(|word| has_word(line, word)) {
                wrong.push(format!("{name}:{}: {word}", number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "words that do not belong here:\n{}", wrong.join("\n"));
}

/// Whether `word` stands in `line`, not as the middle of a longer word.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        !word.starts_with(char::is_alphabetic) || !line[..at].ends_with(char::is_alphanumeric)
    }) && !word.is_empty()
}
