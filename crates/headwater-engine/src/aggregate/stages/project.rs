//! `$project`, `$addFields` and its other name `$set`, `$unset`: all are projections.

use std::sync::Arc;

use super::transform::{Outcome, Transform, Transforming};
use super::{Parsed, StageSpec};
use crate::aggregate::expressions::{Metadata, Needs, Scope};
use crate::aggregate::pipeline::Context;
use crate::bson::{Doc, DocBuf, DocWriter, Raw};
use crate::error::Result;
use crate::query::exec::Stage;
use crate::query::projection::Projection;

#[derive(Debug)]
struct Project {
    name: &'static str,
    projection: Projection,
    needs: Needs,
}

fn one(name: &'static str, projection: Projection) -> Result<Parsed> {
    Ok(vec![Arc::new(Project { name, projection, needs: Needs::default() })])
}

/// A stage whose expressions may have asked for metadata while they were parsed.
fn asking(name: &'static str, projection: Projection, scope: &mut Scope) -> Result<Parsed> {
    Ok(vec![Arc::new(Project { name, projection, needs: scope.take_metadata_needs() })])
}

pub(super) fn project(raw: Raw<'_>, context: &mut Context<'_>) -> Result<Parsed> {
    let projection = Projection::parse_project(raw, context.scope)?;
    asking("$project", projection, context.scope)
}

pub(super) fn add_fields(raw: Raw<'_>, context: &mut Context<'_>) -> Result<Parsed> {
    let projection = Projection::parse_add_fields("$addFields", raw, context.scope)?;
    asking("$addFields", projection, context.scope)
}

pub(super) fn set(raw: Raw<'_>, context: &mut Context<'_>) -> Result<Parsed> {
    let projection = Projection::parse_add_fields("$set", raw, context.scope)?;
    asking("$set", projection, context.scope)
}

/// `$unset` is run as a `$project` that excludes.
pub(super) fn unset(raw: Raw<'_>, _: &mut Context<'_>) -> Result<Parsed> {
    one("$project", Projection::parse_unset(raw)?)
}

impl StageSpec for Project {
    fn name(&self) -> &'static str {
        self.name
    }

    fn keeps(&self, field: &[u8]) -> bool {
        self.projection.keeps(field)
    }

    fn is_one_to_one(&self) -> bool {
        true
    }

    fn start(self: Arc<Self>, source: Box<dyn Stage>) -> Box<dyn Stage> {
        Box::new(Transforming::new(self, source))
    }

    fn metadata_needs(&self) -> Needs {
        self.needs
    }

    fn describe(&self, doc: Doc<'_>, metadata: &Metadata) -> Result<DocBuf> {
        let mut out = DocWriter::append_to(Vec::with_capacity(doc.as_bytes().len()));
        self.projection.apply_with(doc, None, Some(metadata), &mut out)?;
        Ok(out.finish())
    }
}

impl Transform for Project {
    fn apply(&self, doc: Doc<'_>, out: &mut DocWriter) -> Result<Outcome> {
        self.projection.apply(doc, None, out)?;
        Ok(Outcome::Written)
    }
}
