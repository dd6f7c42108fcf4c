//! The paths of update operators, split once: field names, `$`, `$[]` and `$[identifier]`. Knows no documents.

use std::cmp::Ordering;

use crate::error::{Code, Error, Result};

/// One component of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// A field name or array index.
    Name(String),
    /// `$`: the array element that the filter matched.
    Matched,
    /// `$[]` (an empty identifier) or `$[identifier]`.
    Filtered(String),
}

/// A path as it was written and its components.
#[derive(Debug, Clone)]
pub(super) struct Path {
    pub(super) text: String,
    pub(super) parts: Vec<Part>,
}

impl Path {
    /// Splits and checks a path.
    pub(super) fn parse(text: &str) -> Result<Path> {
        if text.is_empty() {
            return Err(Error::new(Code::EMPTY_FIELD_NAME, "An empty update path is not valid."));
        }
        let parts: Vec<Part> = text.split('.').map(Part::parse).collect();
        if parts.iter().any(|part| matches!(part, Part::Name(name) if name.is_empty())) {
            return Err(Error::new(
                Code::EMPTY_FIELD_NAME,
                format!(
                    "The update path '{text}' contains an empty field name, which is not allowed."
                ),
            ));
        }
        Ok(Path { text: text.to_owned(), parts })
    }

    /// Whether a component stands for array elements that only the document tells.
    pub(super) fn is_dynamic(&self) -> bool {
        self.parts.iter().any(|part| !matches!(part, Part::Name(_)))
    }

    /// Whether it leads further than `other`, on the same way.
    pub(super) fn is_under(&self, other: &Path) -> bool {
        self.parts.len() > other.parts.len() && self.parts.starts_with(&other.parts)
    }

    /// The field names, for a path that is not dynamic.
    pub(super) fn names(&self) -> Vec<&str> {
        self.text.split('.').collect()
    }

    /// The path as text, up to and without the component at `end`.
    pub(super) fn prefix(&self, end: usize) -> String {
        self.text.split('.').take(end).collect::<Vec<_>>().join(".")
    }
}

impl Part {
    fn parse(text: &str) -> Part {
        if text == "$" {
            return Part::Matched;
        }
        match text.strip_prefix("$[").and_then(|rest| rest.strip_suffix(']')) {
            Some(identifier) => Part::Filtered(identifier.to_owned()),
            None => Part::Name(text.to_owned()),
        }
    }
}

/// The array index that a field name stands for: digits only.
pub(super) fn index(name: &[u8]) -> Option<usize> {
    if name.is_empty() || name.len() > 10 || !name.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(name).ok()?.parse().ok()
}

/// The order in which an update visits fields and appends new ones: array indexes by number, names by their bytes.
pub(super) fn order(a: &[u8], b: &[u8]) -> Ordering {
    fn class(name: &[u8]) -> u8 {
        match name.first() {
            Some(first) if *first < b'0' => 0,
            _ if name.iter().all(u8::is_ascii_digit) => 1,
            _ => 2,
        }
    }
    let by_class = class(a).cmp(&class(b));
    by_class
        .then_with(|| if class(a) == 1 { a.len().cmp(&b.len()) } else { Ordering::Equal })
        .then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_come_by_number_and_before_names() {
        let mut names = ["a9", "10", "a", "1a", "2", "-", "a10"];
        names.sort_by(|a, b| order(a.as_bytes(), b.as_bytes()));
        assert_eq!(names, ["-", "2", "10", "1a", "a", "a10", "a9"]);
    }

    #[test]
    fn parts_are_told_apart() {
        let path = Path::parse("a.$.b.$[].$[x].$[y").unwrap();
        let name = |n: &str| Part::Name(n.to_owned());
        let filtered = |n: &str| Part::Filtered(n.to_owned());
        assert_eq!(
            path.parts,
            [name("a"), Part::Matched, name("b"), filtered(""), filtered("x"), name("$[y")]
        );
        assert_eq!(path.prefix(2), "a.$");
        assert_eq!(Path::parse("a..b").unwrap_err().code(), Code::EMPTY_FIELD_NAME);
    }
}
