//! `$merge`: each of the pipeline's documents is written into a collection, in the way that the stage names for one that
//! is there and for one that is not. Here is what it asks for; the command writes.

use std::sync::Arc;

use super::out::{INTERNAL, check_collection};
use super::{Parsed, StageSpec, Writes};
use crate::aggregate::expressions::{Expression, Path, Scope, check_variable_name};
use crate::aggregate::pipeline::{
    Context, check_names, check_objects, expect, missing_field, unknown_field,
};
use crate::bson::{Array, Doc, Raw, Type};
use crate::error::{Code, Error, Result};
use crate::namespace::Namespace;
use crate::query::exec::Stage;

/// Where documents go and how.
#[derive(Debug)]
pub struct Merge {
    /// The collection.
    pub target: Namespace,
    /// The fields whose values say which document is meant.
    pub on: Vec<Path>,
    /// What to do with a document that is there.
    pub matched: Matched,
    /// What to do with one that is not.
    pub unmatched: Unmatched,
}

/// What becomes of a document that is there.
#[derive(Debug)]
pub enum Matched {
    /// The new one takes its place.
    Replace,
    /// It stays.
    KeepExisting,
    /// It gets the new one's fields.
    Merge,
    /// The stage fails.
    Fail,
    /// A pipeline changes it.
    Pipeline {
        /// The bytes of the array of stages.
        stages: Vec<u8>,
        /// What they may name beside `new`, computed from the new document.
        variables: Vec<(Box<str>, Expression)>,
        /// Whether they may name the new document `new`.
        with_new: bool,
    },
}

/// What is done with a document that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmatched {
    /// It is inserted.
    Insert,
    /// It is left out.
    Discard,
    /// The stage fails.
    Fail,
}

const STAGE: &str = "$merge";

/// The arguments as they stand.
#[derive(Default)]
struct Arguments<'a> {
    into: Option<Namespace>,
    on: Vec<&'a str>,
    variables: Option<Doc<'a>>,
    matched: Option<Raw<'a>>,
    unmatched: Option<Unmatched>,
}

pub(super) fn survey(raw: Raw<'_>, db: &str) -> Result<()> {
    Arguments::of(raw, db).map(drop)
}

pub(super) fn parse(raw: Raw<'_>, context: &mut Context<'_>) -> Result<Parsed> {
    Ok(vec![Arc::new(Arguments::of(raw, context.db)?.check(context.scope)?)])
}

impl<'a> Arguments<'a> {
    fn of(raw: Raw<'a>, db: &str) -> Result<Arguments<'a>> {
        match (raw.as_str(), raw.as_doc()) {
            (Some(name), _) => {
                check_collection(name)?;
                if name.is_empty() {
                    let message = format!("Invalid $merge target namespace: '{db}'");
                    return Err(Error::new(Code::INVALID_NAMESPACE, message));
                }
                Ok(Arguments { into: Some(Namespace::new(db, name)), ..Arguments::default() })
            }
            (_, Some(doc)) => Arguments::parse(doc, db),
            _ => {
                let kind = raw.kind.alias();
                let message =
                    format!("$merge requires a string or object argument, but found {kind}");
                Err(Error::new(Code::TYPE_MISMATCH, message))
            }
        }
    }

    fn parse(doc: Doc<'a>, db: &str) -> Result<Arguments<'a>> {
        let mut arguments = Arguments::default();
        for element in doc {
            let (name, value) = (element.name_str(), element.value);
            match name {
                "into" => arguments.into = Some(parse_into(value, db)?),
                "on" => arguments.on = parse_on(value)?,
                "let" => {
                    expect(value, Type::Document, STAGE, name)?;
                    arguments.variables = value.as_doc();
                }
                "whenMatched" => {
                    check_matched(value)?;
                    arguments.matched = Some(value);
                }
                "whenNotMatched" => {
                    expect(value, Type::String, STAGE, name)?;
                    arguments.unmatched = value.as_str().map(unmatched).transpose()?;
                }
                _ => return Err(unknown_field(STAGE, name)),
            }
        }
        arguments.matched.and_then(Raw::as_array).map_or(Ok(()), check_names)?;
        Ok(arguments)
    }

    fn check(self, scope: &mut Scope) -> Result<Merge> {
        let target = self.into.ok_or_else(|| missing_field(STAGE, "into"))?;
        let on = fields(&self.on)?;
        let unmatched = self.unmatched.unwrap_or(Unmatched::Insert);
        let mode = self.matched.map_or(Some("merge"), Raw::as_str);
        if matches!(mode, Some("keepExisting" | "fail")) && unmatched != Unmatched::Insert {
            let (mode, other) = (mode.unwrap_or_default(), unmatched.name());
            let message = format!(
                "Combination of $merge modes 'whenMatched: {mode}' and 'whenNotMatched: {other}' is not supported"
            );
            return Err(Error::location(51181, message));
        }
        check_target(&target)?;
        if let (Some(mode), Some(_)) = (mode, self.variables) {
            let message = format!("Cannot use 'let' variables with 'whenMatched: {mode}' mode");
            return Err(Error::location(51199, message));
        }
        let variables = parse_variables(self.variables, scope)?;
        // What is to be inserted is always at hand; else `let` must ask for it, if there is one.
        let with_new = unmatched == Unmatched::Insert
            || self.variables.is_none_or(|variables| variables.get("new").is_some());
        let matched = match mode {
            Some("replace") => Matched::Replace,
            Some("keepExisting") => Matched::KeepExisting,
            Some("fail") => Matched::Fail,
            Some(_) => Matched::Merge,
            None => {
                let stages = self.matched.and_then(Raw::as_array);
                let stages = stages.map(|stages| stages.as_bytes().to_vec()).unwrap_or_default();
                Matched::Pipeline { stages, variables, with_new }
            }
        };
        Ok(Merge { target, on, matched, unmatched })
    }
}

fn parse_into(value: Raw<'_>, db: &str) -> Result<Namespace> {
    if let Some(name) = value.as_str() {
        if name.is_empty() {
            return Err(Error::location(
                5_786_800,
                "$merge 'into' field cannot be an empty string",
            ));
        }
        check_collection(name)?;
        return Ok(Namespace::new(db, name));
    }
    let Some(doc) = value.as_doc() else {
        let kind = value.kind.alias();
        let message =
            format!("$merge 'into' field  must be either a string or an object, but found {kind}");
        return Err(Error::location(51178, message));
    };
    let (mut database, mut collection) = (None, None);
    for element in doc {
        let (name, value) = (element.name_str(), element.value);
        match name {
            "db" | "coll" => {
                expect(value, Type::String, "into", name)?;
                let place = if name == "db" { &mut database } else { &mut collection };
                *place = value.as_str();
            }
            _ => return Err(unknown_field("into", name)),
        }
    }
    let Some(collection) = collection.filter(|name| !name.is_empty()) else {
        let message =
            "$merge 'into' field must specify a 'coll' that is not empty, null or undefined";
        return Err(Error::location(5_786_801, message));
    };
    check_collection(collection)?;
    let database = database.filter(|name| !name.is_empty()).unwrap_or(db);
    if database.contains('.') {
        let message = format!("'.' is an invalid character in a db name: {database}");
        return Err(Error::new(Code::INVALID_NAMESPACE, message));
    }
    Ok(Namespace::new(database, collection))
}

fn check_target(target: &Namespace) -> Result<()> {
    let (db, name) = (target.db(), target.collection());
    if name.starts_with("system.") {
        let message = format!("Cannot $merge to special collection: {name}");
        return Err(Error::location(31319, message));
    }
    if INTERNAL.contains(&db) {
        let message = format!("Cannot $merge to internal database: {db}");
        return Err(Error::location(31320, message));
    }
    Ok(())
}

fn parse_on<'a>(value: Raw<'a>) -> Result<Vec<&'a str>> {
    if let Some(name) = value.as_str() {
        return Ok(vec![name]);
    }
    let Some(names) = value.as_array() else {
        let kind = value.kind.alias();
        let message = format!(
            "$merge 'on' field  must be either a string or an array of strings, but found {kind}"
        );
        return Err(Error::location(51186, message));
    };
    let text = |name: Raw<'a>| {
        name.as_str().ok_or_else(|| {
            let kind = name.kind.alias();
            let message = format!("$merge 'on' array elements must be strings, but found {kind}");
            Error::location(51134, message)
        })
    };
    let texts: Vec<&str> = names.iter().map(text).collect::<Result<_>>()?;
    if texts.is_empty() {
        let message = "If explicitly specifying $merge 'on', must include at least one field";
        return Err(Error::location(51187, message));
    }
    Ok(texts)
}

/// The paths of the `on` fields, of which none may be named twice; `_id` if none is named.
fn fields(names: &[&str]) -> Result<Vec<Path>> {
    if names.is_empty() {
        return Ok(vec![Path::parse("_id")?]);
    }
    let mut paths: Vec<Path> = Vec::new();
    for name in names {
        let path = Path::parse(name)?;
        if paths.iter().any(|other| other.dotted() == *name) {
            return Err(Error::location(31465, format!("Found a duplicate field '{name}'")));
        }
        paths.push(path);
    }
    Ok(paths)
}

fn check_matched(value: Raw<'_>) -> Result<()> {
    if let Some(stages) = value.as_array() {
        return check_objects(stages);
    }
    match value.as_str() {
        Some("replace" | "keepExisting" | "merge" | "fail") => Ok(()),
        Some(other) => {
            let message = format!(
                "Enumeration value '{other}' for field 'whenMatched' is not a valid value."
            );
            Err(Error::new(Code::BAD_VALUE, message))
        }
        None => {
            let kind = value.kind.alias();
            let message = format!(
                "$merge 'whenMatched' field  must be either a string or an array, but found {kind}"
            );
            Err(Error::location(51191, message))
        }
    }
}

fn unmatched(name: &str) -> Result<Unmatched> {
    let all = [Unmatched::Insert, Unmatched::Discard, Unmatched::Fail];
    all.into_iter().find(|it| it.name() == name).ok_or_else(|| {
        let message = format!(
            "Enumeration value '{name}' for field '$merge.whenNotMatched' is not a valid value."
        );
        Error::new(Code::BAD_VALUE, message)
    })
}

impl Unmatched {
    fn name(self) -> &'static str {
        match self {
            Unmatched::Insert => "insert",
            Unmatched::Discard => "discard",
            Unmatched::Fail => "fail",
        }
    }
}

/// The variables of `let` without `new`, which is the new document whatever they say.
fn parse_variables(
    variables: Option<Doc<'_>>,
    scope: &mut Scope,
) -> Result<Vec<(Box<str>, Expression)>> {
    // What evaluating constants raises is raised when the stage runs.
    let before = scope.folding_error().cloned();
    let mut parsed = Vec::new();
    for element in variables.into_iter().flatten() {
        let name = element.name_str();
        check_variable_name(name)?;
        if name == "new" {
            if element.value.as_str() != Some("$$ROOT") {
                let message = "'let' may not define a value for the reserved 'new' variable other than '$$ROOT'";
                return Err(Error::location(51273, message));
            }
            continue;
        }
        parsed.push((name.into(), Expression::parse(element.value, scope)?));
    }
    scope.restore_folding_error(before);
    Ok(parsed)
}

impl Matched {
    /// The stages of a pipeline.
    pub fn stages(&self) -> Option<Array<'_>> {
        match self {
            Matched::Pipeline { stages, .. } => Some(Array::trusted(stages)),
            _ => None,
        }
    }
}

impl StageSpec for Merge {
    fn name(&self) -> &'static str {
        STAGE
    }

    fn start(self: Arc<Self>, source: Box<dyn Stage>) -> Box<dyn Stage> {
        source
    }

    fn writes(&self) -> Option<Writes<'_>> {
        Some(Writes::Merge(self))
    }
}
