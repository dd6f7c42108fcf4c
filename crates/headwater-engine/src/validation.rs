//! Validators of collections: what a document must be like to be written, and why one is refused. Knows nothing of
//! commands and of how documents are stored.

mod refused;

use crate::aggregate::expressions::{Scope, bson_text};
use crate::bson::{ArrayWriter, Doc, DocBuf, DocWriter, Raw, Type};
use crate::engine::{clock_floor, now_ms};
use crate::error::{Code, Error, Result};
use crate::namespace::Namespace;
use crate::query::matcher::Matcher;

/// When a collection's validator is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Level {
    /// Never.
    Off,
    /// For new documents, and for changed ones that passed before.
    Moderate,
    /// For every document that is written.
    #[default]
    Strict,
}

/// What follows when a document does not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Action {
    /// It is not written.
    #[default]
    Error,
    /// It is written, and the log says so.
    Warn,
}

impl Level {
    /// The level of that name.
    pub fn named(name: &str) -> Option<Level> {
        match name {
            "off" => Some(Level::Off),
            "moderate" => Some(Level::Moderate),
            "strict" => Some(Level::Strict),
            _ => None,
        }
    }
}

impl Action {
    /// The action of that name.
    pub fn named(name: &str) -> Option<Action> {
        match name {
            "error" => Some(Action::Error),
            "warn" => Some(Action::Warn),
            _ => None,
        }
    }
}

/// A collection's validator with its level and action.
#[derive(Debug)]
pub struct Validation {
    filter: DocBuf,
    /// The compiled filter, if it means the same at any time.
    matcher: Option<Matcher>,
    level: Level,
    action: Action,
}

impl Validation {
    /// Compiles a validator that was accepted before. One that does not compile any more refuses every document.
    pub fn new(filter: Doc<'_>, level: Level, action: Action) -> Validation {
        let filter = filter.to_buf();
        let has = |text: &[u8]| filter.as_doc().as_bytes().windows(text.len()).any(|w| w == text);
        let fixed = !has(b"$$NOW") && !has(b"$$CLUSTER_TIME");
        let matcher = if fixed { compile(filter.as_doc()).ok() } else { None };
        Validation { filter, matcher, level, action }
    }

    /// Checks a document that is to be written; `old` is the one whose place it takes.
    ///
    /// # Errors
    /// `DocumentValidationFailure` (121) with `errInfo`; what evaluating the validator raises.
    pub fn check(&self, namespace: &Namespace, old: Option<Doc<'_>>, new: Doc<'_>) -> Result<()> {
        if self.level == Level::Off {
            return Ok(());
        }
        let compiled;
        let matcher = match &self.matcher {
            Some(matcher) => matcher,
            None => {
                compiled = compile(self.filter.as_doc())?;
                &compiled
            }
        };
        if matcher.matches(new)? {
            return Ok(());
        }
        if self.level == Level::Moderate
            && let Some(old) = old
            && !matcher.matches(old)?
        {
            return Ok(());
        }
        let id = new.get("_id").unwrap_or(Raw::NULL);
        if self.action == Action::Warn {
            let id = bson_text(id);
            tracing::warn!(%namespace, id, "a document was written that its validator refuses");
            return Ok(());
        }
        Err(failure(matcher, new, id))
    }
}

#[cold]
fn failure(matcher: &Matcher, doc: Doc<'_>, id: Raw<'_>) -> Error {
    let details = match scope() {
        Ok(mut scope) => matcher.failure(doc, &mut scope),
        Err(_) => DocBuf::new(),
    };
    let mut out = DocWriter::new();
    out.document("errInfo", |info| {
        info.raw("failingDocumentId", id);
        if details.as_doc().get("operatorName").is_none() && details.as_doc().get("code").is_some()
        {
            info.str("note", "failed to generate document validation error");
        }
        info.doc("details", details.as_doc());
    });
    Error::new(Code::DOCUMENT_VALIDATION_FAILURE, "Document failed validation")
        .with_details(out.finish())
}

/// Checks that a filter may be a validator.
///
/// # Errors
/// `BadValue` (2), `QueryFeatureNotAllowed` (224) and others for operators that a validator must not have; those of
/// compiling a filter.
pub fn check_validator(filter: Doc<'_>, level: Level, action: Action) -> Result<()> {
    refused::check(filter, level == Level::Strict && action == Action::Error)?;
    compile(filter).map(drop)
}

fn compile(filter: Doc<'_>) -> Result<Matcher> {
    Matcher::parse(filter, &mut scope()?)
}

fn scope() -> Result<Scope> {
    // Who has roles is not known where documents are validated: nobody has.
    let no_roles = ArrayWriter::new().into_bytes();
    let scope = Scope::new(None, now_ms())?.with_cluster_time(clock_floor());
    Ok(scope.with_user_roles(Raw { kind: Type::Array, data: &no_roles }))
}
