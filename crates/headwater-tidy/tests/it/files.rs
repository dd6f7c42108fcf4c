//! Every source file says what it holds, and stays readable.

use headwater_tidy::files::{text, tracked};

/// Lines above which a file is a question: would two names be clearer?
const LINES_ASK: usize = 800;
/// Lines above which a file needs a reason in [`LONG`].
const LINES_MAX: usize = 1500;
/// Files that may be longer, and why.
const LONG: &[(&str, &str)] = &[];

#[test]
fn every_source_file_has_a_header() {
    let bare = tracked()
        .into_iter()
        .filter(|name| name.ends_with(".rs"))
        .filter(|name| !text(name).unwrap_or_default().trim_start().starts_with("//!"))
        .collect::<Vec<_>>();
    assert!(bare.is_empty(), "files without a `//!` header:\n{}", bare.join("\n"));
}

#[test]
fn files_stay_short() {
    let mut long = Vec::new();
    for name in tracked().into_iter().filter(|name| name.ends_with(".rs")) {
        let lines = text(&name).unwrap_or_default().lines().count();
        if lines > LINES_ASK {
            println!("{name} has {lines} lines: would two names be clearer?");
        }
        if lines > LINES_MAX && !LONG.iter().any(|(listed, _)| *listed == name) {
            long.push(format!("{name}: {lines} lines"));
        }
    }
    assert!(
        long.is_empty(),
        "files above {LINES_MAX} lines without a reason:\n{}",
        long.join("\n")
    );
}
