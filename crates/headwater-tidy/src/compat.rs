//! The compatibility page, `docs/compat.md`, generated from the engine's tables.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::tables::{NAMES, belongs, read};

/// What needs no row in the table of index kinds.
const PLAIN_INDEXES: &str = "Ascending and descending keys: of one field or several, into arrays, unique, sparse, partial, hidden, with a collation or a life time.\n";

/// The page as it should be.
pub fn page() -> String {
    let mut page = String::from(
        "# What Headwater supports\n\n\
         Generated from the engine's tables; `REWRITE=1 cargo test -p headwater-tidy` writes it again.\n\
         *Known, not supported* names answer with a clear error; any other name answers as MongoDB answers an unknown one.\n",
    );
    let tables = read();
    for &(name, title) in NAMES {
        if name == "CODES" {
            continue;
        }
        let of = |supported: bool| {
            let tables = tables.iter().filter(|table| belongs(&table.name, name));
            let rows = tables.flat_map(|table| {
                let own = table.name == name;
                table
                    .keys
                    .iter()
                    .filter(move |key| (own && !table.unsupported.contains(key)) == supported)
            });
            rows.map(String::as_str).collect::<BTreeSet<_>>()
        };
        let (supported, unsupported) = (of(true), of(false));
        if supported.is_empty() && unsupported.is_empty() {
            continue;
        }
        let mut chars = title.chars();
        let capital = chars.next().map(|c| c.to_ascii_uppercase()).unwrap_or_default();
        let _ = writeln!(page, "\n## {capital}{}\n", chars.as_str());
        match (name, supported.is_empty()) {
            ("INDEX_KINDS", _) => page.push_str(PLAIN_INDEXES),
            (_, true) => page.push_str("None.\n"),
            (_, false) => {}
        }
        if !supported.is_empty() {
            let _ = writeln!(page, "{}", code(&supported));
        }
        if !unsupported.is_empty() {
            let _ = writeln!(
                page,
                "\nKnown, not supported ({}): {}",
                unsupported.len(),
                code(&unsupported)
            );
        }
    }
    page
}

fn code(keys: &BTreeSet<&str>) -> String {
    let quoted = keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>();
    quoted.join(", ")
}
