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
#[derive(Debug)]
pub struct Table {
    /// The name of the constant.
    pub name: String,
    /// The file that holds it.
    pub file: String,
    /// The key of each row: its first string or number.
    pub keys: Vec<String>,
}

/// All constants of the engine that are slices and are named as a table of [`NAMES`], or so with a prefix or suffix
/// (`UNSUPPORTED_STAGES`).
pub fn read() -> Vec<Table> {
    let mut tables = Vec::new();
    for file in tracked() {
        if !file.starts_with("crates/headwater-engine/src/") || !file.ends_with(".rs") {
            continue;
        }
        let source = text(&file).unwrap_or_default();
        for (at, _) in source.match_indices("const ") {
            let rest = &source[at + "const ".len()..];
            let name: String =
                rest.chars().take_while(|c| c.is_ascii_uppercase() || *c == '_').collect();
            let known = NAMES.iter().any(|&(table, _)| {
                name == table
                    || name.strip_suffix(table).is_some_and(|front| front.ends_with('_'))
                    || name.strip_prefix(table).is_some_and(|back| back.starts_with('_'))
            });
            let Some(open) = rest.find("= &[").filter(|_| known) else { continue };
            let statement_end = rest.find(";\n").unwrap_or(rest.len());
            if open < statement_end {
                let keys = keys(&rest[open + "= &[".len()..]);
                tables.push(Table { name, file: file.clone(), keys });
            }
        }
    }
    tables
}

/// The keys of the rows of a slice literal, whose text starts behind its opening bracket.
fn keys(source: &str) -> Vec<String> {
    let mut keys = Vec::new();
    let mut depth = 0_usize;
    let mut row_has_key = false;
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
                    keys.push(literal);
                }
            }
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth == 0 => break,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => row_has_key = false,
            '0'..='9' | '-' if !row_has_key && starts_word(source, at) => {
                let mut number = String::from(c);
                while let Some((_, c)) =
                    chars.next_if(|&(_, c)| c.is_ascii_alphanumeric() || c == '_')
                {
                    number.push(c);
                }
                keys.push(number.replace('_', ""));
                row_has_key = true;
            }
            _ => {}
        }
    }
    keys
}

fn starts_word(source: &str, at: usize) -> bool {
    !source[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    #[test]
    fn keys_are_the_first_literal_of_each_row() {
        let rows = r#"("a", "x"), // "no"
            Row { name: "b\"", run: f("c", &[1, 2]) }, (17, "d"), Code::E1, "e",
        ]; "f""#;
        assert_eq!(super::keys(rows), ["a", "b\"", "17", "e"]);
    }
}
