//! Where variables come from: this process, a map, a `.env` file. Changes none of them.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// The variables of this process whose names and values are text.
pub(super) fn of_process() -> BTreeMap<String, String> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}

/// The variables of a `.env` file, none if there is no file.
///
/// # Errors
/// A sentence that says where the file cannot be understood, without what stands there.
pub(super) fn of_file(path: &Path) -> Result<BTreeMap<String, String>, String> {
    let shown = path.display();
    let content = match std::fs::read(path) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(format!("{shown} cannot be read: {error}")),
    };
    let mut variables = BTreeMap::new();
    for entry in dotenvy::from_read_iter(content.as_slice()) {
        match entry {
            // The first one wins, as with variables that are set already.
            Ok((name, value)) => variables.entry(name).or_insert(value),
            Err(dotenvy::Error::LineParse(line, _)) => {
                let text = String::from_utf8_lossy(&content);
                let first = line.lines().next().unwrap_or_default();
                let number = text.lines().position(|other| other == first);
                let place = number.map_or(String::new(), |at| format!(" at line {}", at + 1));
                return Err(format!(
                    "{shown} cannot be understood{place}: expected NAME=VALUE, with quotes around a value that has \
                     spaces or `#`"
                ));
            }
            Err(_) => return Err(format!("{shown} cannot be understood")),
        };
    }
    Ok(variables)
}
