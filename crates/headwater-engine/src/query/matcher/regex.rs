//! `$regex` and regular expression literals, by PCRE2 as MongoDB has it.

use std::sync::Arc;

use super::Node;
use super::parse::{Field, Parser, bad_value};
use super::test::Test;
use crate::bson::{Raw, Type, View};
use crate::error::{Error, Result};
use crate::limits::{REGEX_BYTES_MAX, REGEX_STEPS_MAX};

/// A regular expression.
#[derive(Debug, Clone)]
pub(crate) struct Regex {
    pattern: Box<str>,
    options: Box<str>,
    program: Program,
}

/// How it is run.
#[derive(Debug, Clone)]
enum Program {
    /// The text starts with this.
    Prefix(Box<str>),
    /// Everything else.
    Pcre(Arc<pcre2::bytes::Regex>),
}

impl Regex {
    /// Compiles a pattern with the options `imsxu`.
    ///
    /// # Errors
    /// 51091 if the pattern is invalid, 51108 for an unknown option.
    pub(crate) fn new(pattern: &str, options: &str) -> Result<Regex> {
        if pattern.contains('\0') {
            return Err(bad_value("Regular expression cannot contain an embedded null byte"));
        }
        if pattern.len() > REGEX_BYTES_MAX {
            let message = "Regular expression is invalid: pattern string is longer than the limit set by the \
                           application";
            return Err(Error::location(51091, message));
        }
        if let Some(flag) = options.chars().find(|flag| !"imsxu".contains(*flag)) {
            let message = format!(" invalid flag in regex options: {flag}");
            return Err(Error::location(51108, message));
        }
        let program = match literal_prefix(pattern) {
            Some(prefix) if !options.contains(['i', 'm', 'x']) => Program::Prefix(prefix.into()),
            _ => Program::Pcre(Arc::new(compile(pattern, options)?)),
        };
        Ok(Regex { pattern: pattern.into(), options: options.into(), program })
    }

    /// As [`Regex::new`], of a regular expression value.
    ///
    /// # Errors
    /// As [`Regex::new`].
    pub(crate) fn from_value(value: Raw<'_>) -> Result<Regex> {
        match value.view() {
            View::Regex { pattern, options } => Regex::new(pattern, options),
            _ => Err(bad_value("$regex has to be a string")),
        }
    }

    /// The pattern as it was written.
    /// The pattern as it was written.
    pub(crate) fn pattern(&self) -> &str {
        &self.pattern
    }

    /// The options as they were written.
    pub(crate) fn options(&self) -> &str {
        &self.options
    }

    /// Whether a text or symbol matches, or a value is the same regular expression.
    pub(super) fn matches(&self, value: Raw<'_>) -> Result<bool> {
        match value.kind {
            // A text that takes too many steps does not match, as in MongoDB.
            Type::String | Type::Symbol => {
                Ok(self.is_match(value.str_bytes().unwrap_or_default()).unwrap_or(false))
            }
            Type::Regex => Ok(matches!(
                value.view(),
                View::Regex { pattern, options }
                    if *self.pattern == *pattern && *self.options == *options
            )),
            _ => Ok(false),
        }
    }

    /// Whether a text matches.
    ///
    /// # Errors
    /// 51156 if it takes more than [`REGEX_STEPS_MAX`] steps.
    pub(crate) fn is_match(&self, text: &[u8]) -> Result<bool> {
        match &self.program {
            Program::Prefix(prefix) => Ok(text.starts_with(prefix.as_bytes())),
            Program::Pcre(regex) => regex.is_match(text).map_err(|error| {
                let message = message_of(&error);
                Error::location(
                    51156,
                    format!("Error occurred while executing the regular expression: {message}"),
                )
            }),
        }
    }
}

/// The text after a `^`, if nothing in it is special: such a pattern is a plain prefix.
fn literal_prefix(pattern: &str) -> Option<&str> {
    pattern.strip_prefix('^').filter(|rest| !rest.contains(is_special))
}

/// Whether a character means something in a pattern.
pub(crate) fn is_special(c: char) -> bool {
    matches!(c, '\\' | '^' | '$' | '.' | '[' | ']' | '|' | '(' | ')' | '?' | '*' | '+' | '{' | '}')
}

fn compile(pattern: &str, options: &str) -> Result<pcre2::bytes::Regex> {
    let limited = format!("(*LIMIT_MATCH={REGEX_STEPS_MAX}){pattern}");
    pcre2::bytes::RegexBuilder::new()
        .utf(true)
        .caseless(options.contains('i'))
        .multi_line(options.contains('m'))
        .dotall(options.contains('s'))
        .extended(options.contains('x'))
        .jit_if_available(true)
        .build(&limited)
        .map_err(|error| {
            let message = format!("Regular expression is invalid: {}", message_of(&error));
            Error::location(51091, message)
        })
}

/// PCRE2's own words, without what the crate puts before them.
fn message_of(error: &pcre2::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once("offset ").and_then(|(_, rest)| rest.split_once(": ")) {
        Some((_, message)) => message.to_owned(),
        None => text.strip_prefix("PCRE2: ").unwrap_or(&text).to_owned(),
    }
}

pub(super) fn regex(field: Field<'_, '_>, _: &mut Parser<'_>) -> Result<Node> {
    let (pattern, inline) = match field.value.view() {
        View::String(pattern) => (pattern, ""),
        View::Regex { pattern, options } => (pattern, options),
        _ => return Err(bad_value("$regex has to be a string")),
    };
    let options = match field.siblings.get("$options") {
        None => inline,
        Some(options) => {
            let Some(options) = options.as_str() else {
                return Err(bad_value("$options has to be a string"));
            };
            if !inline.is_empty() {
                return Err(Error::location(51075, "options set in both $regex and $options"));
            }
            options
        }
    };
    let test = Test::Regex(Box::new(Regex::new(pattern, options)?));
    Ok(Node::Field { path: field.path.clone(), test })
}

/// `$options` is read by `$regex`.
pub(super) fn options(field: Field<'_, '_>, _: &mut Parser<'_>) -> Result<Node> {
    match field.siblings.get("$regex") {
        Some(_) => Ok(Node::Always(true)),
        None => Err(bad_value("$options needs a $regex")),
    }
}
