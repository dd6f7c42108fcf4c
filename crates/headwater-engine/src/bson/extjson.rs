//! Extended JSON, version 2: BSON as JSON text and back.
//!
//! Knows no file formats and no command line; whoever reads or prints documents as text uses it.

mod base64;
mod json;
mod read;
mod write;

use std::fmt;

use super::{Doc, DocBuf, Raw, Value};

pub use write::Style;

/// A text that is no Extended JSON: where, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// The offset in the text, in bytes; the end of a value where the value as a whole is wrong.
    pub at: usize,
    what: &'static str,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.what, self.at)
    }
}

impl std::error::Error for ParseError {}

/// Reads a document: canonical, relaxed or mixed Extended JSON.
///
/// Also understands `{"$uuid": ".."}` and the older `{"$binary": "..", "$type": ".."}`. An object that has the key of
/// a type but not its form, such as `{"$oid": 42}`, is an error.
///
/// ```
/// use headwater_engine::bson::extjson::{self, Style};
/// let doc = extjson::parse(r#"{"n": 1, "when": {"$date": "1970-01-01T00:00:01Z"}}"#).unwrap();
/// let canonical = extjson::print(doc.as_doc(), Style::Canonical);
/// assert_eq!(canonical, r#"{"n":{"$numberInt":"1"},"when":{"$date":{"$numberLong":"1000"}}}"#);
/// ```
///
/// # Errors
/// [`ParseError`]; also for nesting deeper than a command's.
pub fn parse(text: &str) -> Result<DocBuf, ParseError> {
    read::document(&json::read(text)?, read::Mode::Extended)
}

/// Reads a document in which objects such as `{"$type": ..}` or `{"$regex": .., "$options": ..}` are documents: only
/// an object that has exactly the form of a type is that type, anything else is kept as it stands. Commands and
/// queries are written so in test files.
///
/// # Errors
/// As [`parse`].
pub fn parse_commands(text: &str) -> Result<DocBuf, ParseError> {
    read::document(&json::read(text)?, read::Mode::Commands)
}

/// Reads any value, as [`parse`] does.
///
/// # Errors
/// As [`parse`].
pub fn parse_value(text: &str) -> Result<Value<'static>, ParseError> {
    read::value(&json::read(text)?)
}

/// A document as one line of Extended JSON.
pub fn print(doc: Doc<'_>, style: Style) -> String {
    print_value(doc.as_raw(), style)
}

/// A value as one line of Extended JSON.
pub fn print_value(value: Raw<'_>, style: Style) -> String {
    let mut out = String::new();
    write::value(&mut out, value, style, 0);
    out
}
