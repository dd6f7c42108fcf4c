//! The argument of `$changeStream`: where to begin and what to show.

use super::token::Token;
use crate::bson::{Doc, Raw, View};
use crate::commands::Fields;
use crate::error::{Code, Error, Result};

const FIELDS: &[&str] = &[
    "allChangesForCluster",
    "allowToRunOnConfigDB",
    "fullDocument",
    "fullDocumentBeforeChange",
    "resumeAfter",
    "showExpandedEvents",
    "startAfter",
    "startAtOperationTime",
];

/// What a stream is of, what it shows and where it begins.
#[derive(Debug, Clone)]
pub(super) struct Options {
    /// Whether the stream is of all databases.
    pub cluster: bool,
    /// What its events show.
    pub shown: Shown,
    /// Where to begin.
    pub start: Start,
}

/// What the events of a stream show: streams that agree in this see the same documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shown {
    /// Which documents stand in events of updates.
    pub full_document: FullDocument,
    /// Whether and how strictly the document before the change is asked for.
    pub before: Before,
    /// Whether events of definitions are shown.
    pub expanded: bool,
}

/// `fullDocument`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FullDocument {
    Default,
    UpdateLookup,
    WhenAvailable,
    Required,
}

/// `fullDocumentBeforeChange`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    Off,
    WhenAvailable,
    Required,
}

/// Where a stream begins.
#[derive(Debug, Clone, Copy)]
pub(super) enum Start {
    /// With what comes after now.
    Now,
    /// With that sequence number.
    At(u64),
    /// Behind a token.
    Behind(Token),
}

impl Options {
    pub(super) fn parse(raw: Raw<'_>) -> Result<Options> {
        let Some(doc) = raw.as_doc() else {
            return Err(Error::location(
                50808,
                "$changeStream stage expects a document as argument",
            ));
        };
        let fields = Fields::new(doc, "$changeStream");
        fields.only(FIELDS)?;
        Ok(Options {
            cluster: fields.loose_bool("allChangesForCluster")?.unwrap_or(false),
            shown: Shown {
                full_document: full_document(fields)?,
                before: before(fields)?,
                expanded: fields.loose_bool("showExpandedEvents")?.unwrap_or(false),
            },
            start: start(fields)?,
        })
    }
}

fn full_document(fields: Fields<'_>) -> Result<FullDocument> {
    Ok(match fields.str("fullDocument")? {
        None | Some("default") => FullDocument::Default,
        Some("updateLookup") => FullDocument::UpdateLookup,
        Some("whenAvailable") => FullDocument::WhenAvailable,
        Some("required") => FullDocument::Required,
        Some(other) => return Err(not_one_of("fullDocument", other)),
    })
}

fn before(fields: Fields<'_>) -> Result<Before> {
    Ok(match fields.str("fullDocumentBeforeChange")? {
        None | Some("off") => Before::Off,
        Some("whenAvailable") => Before::WhenAvailable,
        Some("required") => Before::Required,
        Some(other) => return Err(not_one_of("fullDocumentBeforeChange", other)),
    })
}

fn not_one_of(field: &str, value: &str) -> Error {
    Error::new(
        Code::BAD_VALUE,
        format!(
            "Enumeration value '{value}' for field '$changeStream.{field}' is not a valid value."
        ),
    )
}

fn start(fields: Fields<'_>) -> Result<Start> {
    let resume = fields.document("resumeAfter")?;
    let after = fields.document("startAfter")?;
    let time = fields.get("startAtOperationTime");
    if [resume.is_some(), after.is_some(), time.is_some()].iter().filter(|&&given| given).count()
        > 1
    {
        return Err(Error::location(
            50674,
            "Only one type of resume option is allowed, but multiple were found",
        ));
    }
    if let Some(time) = time {
        return match time.view() {
            View::Timestamp(seq) => Ok(Start::At(seq)),
            _ => Err(fields.wrong_type("startAtOperationTime", time.kind, &["timestamp"])),
        };
    }
    let token = |doc: Doc<'_>| Token::parse(doc).map(Start::Behind);
    match (resume, after) {
        (Some(resume), _) => match Token::parse(resume)? {
            token if token.invalidate => Err(Error::new(
                Code::INVALID_RESUME_TOKEN,
                "Attempting to resume a change stream using 'resumeAfter' is not allowed from an invalidate notification.",
            )),
            found => Ok(Start::Behind(found)),
        },
        (None, Some(after)) => token(after),
        (None, None) => Ok(Start::Now),
    }
}
