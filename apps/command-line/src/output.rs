//! Text for the user on standard output and standard error. A reader that has gone is an error, not a panic.

use std::io::{IsTerminal, Write};

use crate::error::Result;

/// Prints a line on standard output at once.
///
/// # Errors
/// Standard output cannot be written; a closed pipe is an error that ends with exit code 0.
pub fn line(text: &str) -> Result<()> {
    write(&format!("{text}\n"))
}

/// Prints text on standard output at once.
///
/// # Errors
/// As [`line()`].
pub fn write(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Prints a line on standard error. There is nowhere to report a failure to, so it is ignored.
pub fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// True if standard output is a terminal.
pub fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}
