//! Projections: `find`'s, and `$project`, `$addFields`, `$unset` of pipelines, compiled into one tree.
//!
//! An inclusion copies the bytes of what it keeps. Knows values, expressions and filters (for `$elemMatch` and the
//! positional `$`); knows nothing of plans.

mod apply;
mod find;
mod parse;
mod tree;

use crate::aggregate::expressions::{Metadata, Needs, Scope};
use crate::bson::{Doc, DocWriter, Raw};
use crate::error::{Error, Result};
use crate::query::matcher::{MatchDetails, SPECIAL, refuse_special};
use tree::{Field, Fields};

/// A compiled projection.
#[derive(Debug)]
pub struct Projection {
    root: Fields,
    /// Whether the positional `$` is used.
    positional: bool,
    /// What is asked of the metadata.
    needs: Needs,
}

impl Projection {
    /// Whether a field at the top stays as it is in every document.
    pub(crate) fn keeps(&self, field: &[u8]) -> bool {
        match self.root.child(field) {
            Some((_, child)) => matches!(child, Field::Keep),
            None => self.root.keep_rest,
        }
    }

    /// Compiles the projection of `find` and `findAndModify`.
    ///
    /// # Errors
    /// 31249 and 31250 for colliding paths, 31253, 31254 and 31310 for a mixture of inclusion and exclusion, those of the
    /// operators and of expressions.
    ///
    /// ```
    /// use headwater_engine::aggregate::expressions::Scope;
    /// use headwater_engine::bson::DocWriter;
    /// use headwater_engine::query::projection::Projection;
    ///
    /// let mut spec = DocWriter::new();
    /// spec.i32("_id", 0);
    /// spec.i32("a.b", 1);
    /// let projection = Projection::parse_find(spec.finish().as_doc(), &mut Scope::new(None, 0)?)?;
    ///
    /// let mut doc = DocWriter::new();
    /// doc.i32("_id", 1);
    /// doc.document("a", |a| {
    ///     a.i32("b", 2);
    ///     a.i32("c", 3);
    /// });
    /// let mut out = DocWriter::new();
    /// projection.apply(doc.finish().as_doc(), None, &mut out)?;
    /// assert_eq!(format!("{:?}", out.finish()), r#"{"a": Document({"b": Int32(2)})}"#);
    /// # Ok::<(), headwater_engine::Error>(())
    /// ```
    pub fn parse_find(spec: Doc<'_>, scope: &mut Scope) -> Result<Projection> {
        let projection = find::parse(spec, scope)?;
        scope.take_folding_error().map_or(Ok(projection), Err)
    }

    /// Compiles the argument of `$project`.
    ///
    /// # Errors
    /// As [`Projection::parse_find`]; 15969 if it is no document, 51272 if it is empty.
    pub fn parse_project(spec: Raw<'_>, scope: &mut Scope) -> Result<Projection> {
        let Some(spec) = spec.as_doc() else {
            return Err(Error::location(15969, "$project specification must be an object"));
        };
        parse::project(spec, scope).map_err(|error| prefixed(error, "$project"))
    }

    /// Compiles the argument of `$addFields` or `$set`; `stage` is the name it was called by.
    ///
    /// # Errors
    /// 40272 if it is no document, 40176 for colliding paths, 40181 for two operators in one object; those of
    /// expressions.
    pub fn parse_add_fields(stage: &str, spec: Raw<'_>, scope: &mut Scope) -> Result<Projection> {
        let Some(spec) = spec.as_doc() else {
            let kind = spec.kind.alias();
            return Err(Error::location(
                40272,
                format!("{stage} specification stage must be an object, got {kind}"),
            ));
        };
        parse::add_fields(spec, scope).map_err(|error| prefixed(error, stage))
    }

    /// Compiles the argument of `$unset`: a path or a list of paths.
    ///
    /// # Errors
    /// 31002, 31119, 31120 if it is something else; 31249 and 31250 for colliding paths.
    pub fn parse_unset(spec: Raw<'_>) -> Result<Projection> {
        parse::unset(spec)
    }

    /// Whether [`Projection::apply`] needs to know which array element the filter matched.
    pub fn needs_position(&self) -> bool {
        self.positional
    }

    /// Checks that the filter can tell which array element it matched, if that is asked for.
    ///
    /// # Errors
    /// `QueryFeatureNotAllowed` (224).
    pub fn check_filter(&self, filter: Doc<'_>) -> Result<()> {
        if self.positional { refuse_special(filter, &SPECIAL) } else { Ok(()) }
    }

    /// What [`Projection::apply_with`] needs to know of a document beside its fields.
    pub fn needs(&self) -> Needs {
        self.needs
    }

    /// Writes what the projection makes of a document: fields only, `out` stays open.
    ///
    /// # Errors
    /// What expressions raise; 51246 and 51247 if the positional `$` finds no element.
    pub fn apply(
        &self,
        doc: Doc<'_>,
        details: Option<&MatchDetails>,
        out: &mut DocWriter,
    ) -> Result<()> {
        self.apply_with(doc, details, None, out)
    }

    /// As [`Projection::apply`] for a document of which more is known.
    ///
    /// # Errors
    /// As [`Projection::apply`].
    pub fn apply_with(
        &self,
        doc: Doc<'_>,
        details: Option<&MatchDetails>,
        metadata: Option<&Metadata>,
        out: &mut DocWriter,
    ) -> Result<()> {
        let position = match self.positional {
            true => apply::Position::Asked(details.and_then(|details| details.position)),
            false => apply::Position::Settled,
        };
        apply::document(&self.root, doc, &apply::Run { root: doc, position, metadata }, out)
    }

    /// The fields that are kept, if the projection does nothing but keep fields: what a covering index has to hold.
    pub fn included_paths(&self) -> Option<Vec<String>> {
        let mut paths = Vec::new();
        self.root.collect_included("", &mut paths).then_some(paths)
    }
}

/// An error of a stage's projection. What is not known of documents is missed by the whole pipeline, not by the stage.
fn prefixed(error: Error, stage: &str) -> Error {
    match error.code().0 {
        40218 => error,
        _ => error.with_prefix(prefix(stage)),
    }
}

fn prefix(stage: &str) -> String {
    format!("Invalid {stage} :: caused by :: ")
}
