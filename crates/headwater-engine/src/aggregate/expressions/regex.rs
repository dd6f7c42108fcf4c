//! `$regexFind`, `$regexFindAll`, `$regexMatch`, by PCRE2.

use pcre2::bytes::{CaptureLocations, Regex, RegexBuilder};

use super::named::Named;
use super::{Expression, Frame, Operator, Scope};
use crate::bson::{ArrayWriter, DocWriter, Raw, Value, View};
use crate::error::{Error, Result};
use crate::limits::{REGEX_STEPS_MAX, STAGE_MEMORY_BYTES_MAX};

/// Most bytes that the matches of `$regexFindAll` may take.
const MATCHES_BYTES_MAX: usize = STAGE_MEMORY_BYTES_MAX * 64 / 100;

#[derive(Debug)]
struct Search {
    name: &'static str,
    input: Expression,
    regex: Expression,
    options: Option<Expression>,
    /// The program, where pattern and options are constants.
    program: Option<Regex>,
}

/// The arguments of a search as they are given.
fn search(name: &'static str, argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    let Some(doc) = argument.as_doc() else {
        let found = argument.kind.alias();
        let message = format!("{name} expects an object of named arguments but found: {found}");
        return Err(Error::location(51103, message));
    };
    let unknown =
        |field: &str| Error::location(31024, format!("{name} found an unknown argument: {field}"));
    let named = Named::parse(doc, ["input", "regex", "options"], unknown)?;
    let missing =
        |code, what| move || Error::location(code, format!("{name} requires '{what}' parameter"));
    let input = named.required(0, missing(31022, "input"))?;
    let regex = named.required(1, missing(31023, "regex"))?;
    let input = Expression::parse(input, scope)?;
    let regex = Expression::parse(regex, scope)?;
    let options = named.expression(2, scope)?;
    let mut search = Search { name, input, regex, options, program: None };
    if let (Some(regex), Some(options)) = (
        search.regex.as_constant(),
        search.options.as_ref().map_or(Some(&Value::MISSING), Expression::as_constant),
    ) {
        match compile(name, regex, options) {
            Ok(program) => search.program = program,
            Err(error) => scope.keep_folding_error(error),
        }
    }
    let constant = [Some(&search.input), Some(&search.regex), search.options.as_ref()];
    let constant = constant.into_iter().flatten().all(|arg| arg.as_constant().is_some());
    let search = Expression::Special(Box::new(search));
    // MongoDB compiles the pattern early, but searches only when there is a document.
    Ok(if constant { search.folded() } else { search })
}

pub(super) fn regex_find(argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    search("$regexFind", argument, scope)
}

pub(super) fn regex_find_all(argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    search("$regexFindAll", argument, scope)
}

pub(super) fn regex_match(argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    search("$regexMatch", argument, scope)
}

/// The program of a pattern and its options; `None` if the pattern is null.
fn compile(name: &str, regex: &Value<'_>, options: &Value<'_>) -> Result<Option<Regex>> {
    let (pattern, inline) = match regex.view() {
        Some(View::String(pattern)) => (pattern, ""),
        Some(View::Regex { pattern, options }) => (pattern, options),
        _ if regex.is_nullish() => ("", ""),
        _ => {
            let message = format!("{name} needs 'regex' to be of type string or regex");
            return Err(Error::location(51105, message));
        }
    };
    let flags = match options.raw() {
        _ if options.is_nullish() => inline,
        Some(raw) => raw.as_str().ok_or_else(|| {
            Error::location(51106, format!("{name} needs 'options' to be of type string"))
        })?,
        None => inline,
    };
    if !options.is_nullish() && !inline.is_empty() {
        let message =
            format!("{name}: found regex option(s) specified in both 'regex' and 'option' fields");
        return Err(Error::location(51107, message));
    }
    if pattern.contains('\0') {
        let message = format!("{name}: regular expression cannot contain an embedded null byte");
        return Err(Error::location(51109, message));
    }
    if flags.contains('\0') {
        let message =
            format!("{name}: regular expression options cannot contain an embedded null byte");
        return Err(Error::location(51110, message));
    }
    if regex.is_nullish() {
        return Ok(None);
    }
    if let Some(flag) = flags.chars().find(|flag| !"imsxu".contains(*flag)) {
        let message = format!("{name} invalid flag in regex options: {flag}");
        return Err(Error::location(51108, message));
    }
    let program = RegexBuilder::new()
        .utf(true)
        .caseless(flags.contains('i'))
        .multi_line(flags.contains('m'))
        .dotall(flags.contains('s'))
        .extended(flags.contains('x'))
        .jit_if_available(true)
        .build(&format!("(*LIMIT_MATCH={REGEX_STEPS_MAX}){pattern}"));
    program.map(Some).map_err(|error| {
        Error::location(51111, format!("Invalid Regex in {name}: {}", words(&error)))
    })
}

/// PCRE2's own words.
fn words(error: &pcre2::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once("offset ").and_then(|(_, rest)| rest.split_once(": ")) {
        Some((_, message)) => message.to_owned(),
        None => text.strip_prefix("PCRE2: ").unwrap_or(&text).to_owned(),
    }
}

impl Operator for Search {
    fn eval<'a>(&'a self, frame: &mut Frame<'a>) -> Result<Value<'a>> {
        let name = self.name;
        let input = self.input.eval(frame)?;
        let own;
        let program = match &self.program {
            Some(program) => Some(program),
            None => {
                let regex = self.regex.eval(frame)?;
                let options = match &self.options {
                    Some(options) => options.eval(frame)?,
                    None => Value::MISSING,
                };
                own = compile(name, &regex, &options)?;
                own.as_ref()
            }
        };
        let text = match input.view() {
            Some(View::String(text)) => Some(text),
            _ if input.is_nullish() => None,
            _ => {
                let message = format!("{name} needs 'input' to be of type string");
                return Err(Error::location(51104, message));
            }
        };
        let (Some(text), Some(program)) = (text, program) else {
            return Ok(match name {
                "$regexMatch" => Value::bool(false),
                "$regexFind" => Value::NULL,
                _ => Value::array(ArrayWriter::new().into_bytes()),
            });
        };
        match name {
            "$regexMatch" => {
                let matched = program.is_match(text.as_bytes());
                matched.map(Value::bool).map_err(|error| failed(name, &error))
            }
            "$regexFind" => {
                let mut run = Run::new(name, program, text);
                Ok(run.next()?.unwrap_or(Value::NULL))
            }
            _ => {
                let mut run = Run::new(name, program, text);
                let mut matches = ArrayWriter::new();
                while let Some(found) = run.next()? {
                    matches.raw(found.raw().unwrap_or(Raw::NULL));
                    if matches.len() > MATCHES_BYTES_MAX {
                        let message = format!(
                            "{name}: the size of buffer to store output exceeded the 64MB limit"
                        );
                        return Err(Error::location(51151, message));
                    }
                }
                Ok(Value::array(matches.into_bytes()))
            }
        }
    }
}

fn failed(name: &str, error: &pcre2::Error) -> Error {
    let message = format!(
        "Error occurred while executing the regular expression in {name}. Result code: {}",
        words(error)
    );
    Error::location(51156, message)
}

/// A search from match to match.
struct Run<'r> {
    name: &'static str,
    program: &'r Regex,
    locations: CaptureLocations,
    text: &'r str,
    /// Where to search next, in bytes and in code points; `None` at the end.
    at: Option<(usize, usize)>,
}

impl<'r> Run<'r> {
    fn new(name: &'static str, program: &'r Regex, text: &'r str) -> Run<'r> {
        Run { name, program, locations: program.capture_locations(), text, at: Some((0, 0)) }
    }

    fn next(&mut self) -> Result<Option<Value<'static>>> {
        let Some((start, counted)) = self.at else { return Ok(None) };
        let bytes = self.text.as_bytes();
        let found = self.program.captures_read_at(&mut self.locations, bytes, start);
        let Some(found) = found.map_err(|error| failed(self.name, &error))? else {
            self.at = None;
            return Ok(None);
        };
        let part = |from: usize, to: usize| self.text.get(from..to).unwrap_or_default();
        let index = counted + part(start, found.start()).chars().count();
        let matched = part(found.start(), found.end());
        let mut result = DocWriter::new();
        result.str("match", matched);
        result.i32("idx", i32::try_from(index).unwrap_or(i32::MAX));
        result.array("captures", |captures| {
            for group in 1..self.locations.len() {
                match self.locations.get(group) {
                    Some((from, to)) => captures.str(part(from, to)),
                    None => captures.raw(Raw::NULL),
                }
            }
        });
        let rest = part(found.start(), self.text.len());
        let (step, chars) = match matched.is_empty() {
            true => (rest.chars().next().map_or(1, char::len_utf8), 1),
            false => (matched.len(), matched.chars().count()),
        };
        let next = found.start() + step;
        self.at = (next < self.text.len()).then_some((next, index + chars));
        Ok(Some(Value::doc(result.finish())))
    }
}
