//! The engine's tables (`COMMANDS`, `STAGES`, …), read from its source text: the keys of their rows in order.

use crate::files::{text, tracked};

/// The tables of the engine and what their rows are.
pub const NAMES: &[(&str, &str)] = &[
    ("ACCUMULATORS", "accumulators and window functions"),
    ("CODES", "error codes"),
    ("COMMANDS", "commands"),
    ("EXPRESSIONS", "expression operators"),
    ("INDEX_KINDS", "index kinds"),
    ("MATCHERS", "query operators"),
    ("STAGES", "aggregation stages"),
    ("UPDATES", "update operators"),
];

/// A table in the source.
#[derive(Debug, Default)]
pub struct Table {
    /// The name of the constant.
    pub name: String,
    /// The file that holds it.
    pub file: String,
    /// The key of each row: its first string or number.
    pub keys: Vec<String>,
    /// Those whose row says `false`: known, not supported.
    pub unsupported: Vec<String>,
}

/// All slices of the engine that are named as a table of [`NAMES`], or so with a prefix or suffix
/// (`UNSUPPORTED_STAGES`). One that is called `UNSUPPORTED` alone belongs to the table in the same file.
pub fn read() -> Vec<Table> {
    let mut tables = Vec::new();
    for file in tracked() {
        if !file.starts_with("crates/headwater-engine/src/") || !file.ends_with(".rs") {
            continue;
        }
        let source = text(&file).unwrap_or_default();
        let slices = slices(&source);
        let own =
            slices.iter().map(|(name, _)| *name).find(|name| NAMES.iter().any(|(n, _)| n == name));
        for (name, rows) in slices {
            let name = match own {
                Some(own) if name == "UNSUPPORTED" => format!("{name}_{own}"),
                _ => name.to_owned(),
            };
            if NAMES.iter().any(|(table, _)| belongs(&name, table)) {
                let mut table = Table { name, file: file.clone(), ..Table::default() };
                for row in rows {
                    let denied = row == Row::Denied;
                    match row.key(&source, &file) {
                        Some(key) => table.keys.push(key),
                        None if denied => table.unsupported.extend(table.keys.last().cloned()),
                        None => {}
                    }
                }
                tables.push(table);
            }
        }
    }
    tables
}

/// Whether a slice's name is that of the table, or the table's with words before or after it.
pub fn belongs(name: &str, table: &str) -> bool {
    let words = |text: &str| text.split('_').map(str::to_owned).collect::<Vec<_>>();
    words(name).windows(words(table).len()).any(|part| part == words(table))
}

/// The slice literals of a source: their names and rows.
fn slices(source: &str) -> Vec<(&str, Vec<Row>)> {
    let mut found = Vec::new();
    for start in ["const ", "static "] {
        for (at, _) in source.match_indices(start) {
            let rest = &source[at + start.len()..];
            let is_name = |c: char| c.is_ascii_uppercase() || c == '_';
            let name = &rest[..rest.find(|c| !is_name(c)).unwrap_or(rest.len())];
            let Some((_, value)) = rest.split_once('=') else { continue };
            let typed =
                rest[name.len()..].starts_with(": &[") || rest[name.len()..].starts_with(": [");
            if let (true, Some(value)) = (typed, value.trim_start().strip_prefix("&[")) {
                found.push((name, rows(value)));
            }
        }
    }
    found
}

/// What a row says of its key.
#[derive(Debug, PartialEq, Eq)]
enum Row {
    /// Its first string or number.
    Key(String),
    /// No literal: the path of a constant, `find::COMMAND`.
    Path(String),
    /// The row before says `false`.
    Denied,
}

impl Row {
    fn key(self, source: &str, file: &str) -> Option<String> {
        match self {
            Row::Key(key) => Some(key),
            Row::Denied => None,
            Row::Path(path) => {
                let (module, constant) = path.rsplit_once("::").unwrap_or(("", &path));
                let other = text(&format!("{}/{module}.rs", file.trim_end_matches(".rs")));
                let source = if module.is_empty() { source } else { other.as_deref()? };
                let (_, value) = source.split_once(&format!("const {constant}: "))?;
                value.split('"').nth(1).map(str::to_owned)
            }
        }
    }
}

/// The rows of a slice literal, whose text starts behind its opening bracket.
fn rows(source: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut depth = 0_usize;
    let (mut row_has_key, mut path) = (false, String::new());
    let mut chars = source.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '/' if source[at..].starts_with("//") => {
                while chars.next_if(|&(_, c)| c != '\n').is_some() {}
            }
            '"' => {
                let mut literal = String::new();
                while let Some((_, c)) = chars.next() {
                    match c {
                        '"' => break,
                        '\\' => literal.extend(chars.next().map(|(_, c)| c)),
                        _ => literal.push(c),
                    }
                }
                if !std::mem::replace(&mut row_has_key, true) {
                    rows.push(Row::Key(literal));
                }
            }
            '(' | '[' | '{' => depth += 1,
            ')' | '}' if depth == 0 => break,
            ']' | ',' if depth == 0 => {
                let path = std::mem::take(&mut path);
                if !std::mem::take(&mut row_has_key)
                    && path.ends_with(|c: char| c.is_ascii_uppercase())
                {
                    rows.push(Row::Path(path));
                }
                if c == ']' {
                    break;
                }
            }
            ')' | ']' | '}' => depth -= 1,
            '0'..='9' | '-' if !row_has_key && starts_word(source, at) => {
                let mut number = String::from(c);
                while let Some((_, c)) =
                    chars.next_if(|&(_, c)| c.is_ascii_alphanumeric() || c == '_')
                {
                    number.push(c);
                }
                rows.push(Row::Key(number.replace('_', "")));
                row_has_key = true;
            }
            'f' if row_has_key && depth == 1 && source[at..].starts_with("false") => {
                rows.push(Row::Denied);
            }
            c if depth == 0 && !c.is_whitespace() => path.push(c),
            _ => {}
        }
    }
    rows
}

fn starts_word(source: &str, at: usize) -> bool {
    !source[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_the_first_literal_of_each_row() {
        let source = r#"const T: &[Row] =
            &[("a", "x"), // "no"
            Row { name: "b\"", run: f("c", &[1, 2]) }, (17, false), find::COMMAND, Code::E1, "e",
        ]; "f""#;
        let key = |text: &str| Row::Key(text.to_owned());
        let path = |text: &str| Row::Path(text.to_owned());
        let rows = [key("a"), key("b\""), key("17"), Row::Denied, path("find::COMMAND"), key("e")];
        let found = slices(source);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, "T");
        let found = found[0].1.iter().filter(|row| **row != path("Code::E1")).collect::<Vec<_>>();
        assert_eq!(found, rows.iter().collect::<Vec<_>>());
    }

    #[test]
    fn tables_are_known_by_the_words_of_their_name() {
        assert!(belongs("UNSUPPORTED_STAGES", "STAGES"));
        assert!(belongs("INDEX_KINDS", "INDEX_KINDS"));
        assert!(!belongs("MULTISTAGES", "STAGES"));
    }
}
