//! What the command lines of the applications have in common: options from a table, errors with exit codes, lines for
//! the user, and when to end. Knows no application.
//!
//! An application reads its words with [`options::read`], says what it has to say with [`output`], lets work that may be
//! broken off run [`until_stopped`](stop::until_stopped), and ends with what [`conclude`] makes of its result.

pub mod error;
pub mod options;
pub mod output;
pub mod stop;
pub mod value;

use self::error::Result;

/// The exit code of a program with this result. An error is told on standard error, with the usage block below it if
/// the command line was wrong.
///
/// ```
/// use command_line::error::Error;
/// assert_eq!(command_line::conclude(Ok(()), "usage: example"), 0);
/// assert_eq!(command_line::conclude(Err(Error::usage("no such command")), "usage: example"), 2);
/// ```
pub fn conclude(result: Result<()>, usage: &str) -> u8 {
    let Err(error) = result else { return 0 };
    if !error.is_output_closed() {
        output::note(&error.to_string());
    }
    if error.is_usage() {
        output::note(usage.trim_end_matches('\n'));
    }
    error.exit_code()
}
