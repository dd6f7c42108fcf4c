//! The skip file: which cases cannot pass yet, by prefix, and why. Knows names and reasons, no engine.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The reason given to a case that fails and was never looked at.
pub const UNSORTED: &str = "later issue: not looked at yet";

const HEADER: &str = "\
# Recorded cases that do not pass yet. One section per reason, one prefix per line: a prefix that ends in `*` stands
# for every case whose name starts with it, any other line for the case of exactly that name.
# Every case listed here must fail; one that passes fails the run. `cargo run -p headwater-scoreboard -- --rewrite-skips`
# writes the prefixes again and keeps the reasons.
";

/// The prefixes and their reasons.
#[derive(Debug, Default)]
pub struct Skips {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    prefix: String,
    reason: String,
}

/// The file's place.
pub fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/oracle-skip.txt")
}

impl Skips {
    /// Reads the file; a missing one is empty.
    ///
    /// # Errors
    /// A line that is neither a `[reason]`, a comment nor a prefix below a reason, or a reason of no known kind.
    pub fn read() -> Result<Skips, String> {
        Skips::parse(&std::fs::read_to_string(path()).unwrap_or_default())
    }

    fn parse(text: &str) -> Result<Skips, String> {
        let mut skips = Skips::default();
        let mut reason = None;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(named) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                if !named.starts_with("later issue: ") && !named.starts_with("differs in 8.0: ") {
                    return Err(format!("line {}: no reason of a known kind: {named}", number + 1));
                }
                reason = Some(named.to_owned());
                continue;
            }
            let reason = reason.clone();
            let reason =
                reason.ok_or_else(|| format!("line {}: no [reason] before", number + 1))?;
            skips.rows.push(Row { prefix: line.to_owned(), reason });
        }
        Ok(skips)
    }

    /// Why a case is listed, `None` if it is not. The longest prefix that fits speaks.
    pub fn reason(&self, name: &str) -> Option<&str> {
        let fitting = self.rows.iter().filter(|row| row.fits(name));
        fitting.max_by_key(|row| row.prefix.len()).map(|row| row.reason.as_str())
    }

    /// Lines that no case fits.
    pub fn idle<'a>(&'a self, names: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
        let idle = |row: &&Row| !names.iter().any(|name| row.fits(name));
        self.rows.iter().filter(idle).map(|row| row.prefix.as_str())
    }
}

impl Row {
    fn fits(&self, name: &str) -> bool {
        match self.prefix.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == self.prefix,
        }
    }
}

/// The text of a skip file for these cases: each name with the reason why it fails, `None` for one that passes.
/// A group of names is one line when all of its cases have the same reason.
pub fn file<'a>(cases: &BTreeMap<&'a str, Option<&'a str>>) -> String {
    let names = cases.iter().map(|(name, reason)| (*name, *reason)).collect::<Vec<_>>();
    let mut lines: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    collect(&names, 0, &mut lines);
    let mut text = HEADER.to_owned();
    for (reason, prefixes) in lines {
        let _ = writeln!(text, "\n[{reason}]");
        for prefix in prefixes {
            let _ = writeln!(text, "{prefix}");
        }
    }
    text
}

/// Splits names that share their first `shared` bytes until every group is of one reason.
fn collect<'a>(
    names: &[(&'a str, Option<&'a str>)],
    shared: usize,
    lines: &mut BTreeMap<&'a str, Vec<String>>,
) {
    let Some((first, reason)) = names.first() else { return };
    if names.iter().all(|(_, other)| other == reason) {
        if let Some(reason) = reason {
            let line = if names.len() == 1 {
                (*first).to_owned()
            } else {
                format!("{}*", &first[..shared])
            };
            lines.entry(reason).or_default().push(line);
        }
        return;
    }
    let end = |name: &str| {
        let rest = name.get(shared..).unwrap_or_default();
        rest.find(['/', '-']).map_or(name.len(), |at| shared + at + 1)
    };
    let mut at = 0;
    while let Some((name, _)) = names.get(at) {
        let part = &name[..end(name)];
        let same = |&&(other, _): &&(&str, _)| end(other) == part.len() && other.starts_with(part);
        let count = names[at..].iter().take_while(same).count().max(1);
        collect(&names[at..at + count], part.len(), lines);
        at += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_speaks() {
        let text = "[later issue: text]\ntext/*\n[differs in 8.0: x]\ntext/query/a\n";
        let skips = Skips::parse(text).expect("a good file");
        assert_eq!(skips.reason("text/query/a"), Some("differs in 8.0: x"));
        assert_eq!(skips.reason("text/query/a-b"), Some("later issue: text"));
        assert_eq!(skips.reason("query/a"), None);
        assert!(Skips::parse("text/*").is_err());
        assert!(Skips::parse("[because]\ntext/*").is_err());
    }

    #[test]
    fn a_written_file_lists_exactly_the_failing_cases() {
        let text = Some("later issue: text");
        let other = Some(UNSORTED);
        let cases = BTreeMap::from([
            ("a/b/one", None),
            ("a/b/one-more", other),
            ("a/b/one-more-thing", other),
            ("a/c/x", other),
            ("a/c/x-y", text),
            ("t/q/1", text),
            ("t/r/2", text),
        ]);
        let written = file(&cases);
        let skips = Skips::parse(&written).expect("what was written");
        for (name, reason) in &cases {
            assert_eq!(skips.reason(name), *reason, "{name} in\n{written}");
        }
        assert!(written.contains("\nt/*\n"), "{written}");
    }
}
