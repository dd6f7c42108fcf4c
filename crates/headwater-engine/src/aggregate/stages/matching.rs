//! `$match`.

use std::sync::Arc;

use super::transform::{Outcome, Transform, Transforming};
use super::{Parsed, Shape, StageSpec};
use crate::aggregate::expressions::Scope;
use crate::aggregate::pipeline::Context;
use crate::bson::{Doc, DocWriter, Raw};
use crate::error::{Error, Result};
use crate::query::exec::Stage;
use crate::query::matcher::Matcher;

#[derive(Debug)]
struct Match(Arc<Matcher>);

pub(super) fn parse(raw: Raw<'_>, context: &mut Context<'_>) -> Result<Parsed> {
    let Some(filter) = raw.as_doc() else {
        return Err(Error::location(15959, "the match filter must be an expression in an object"));
    };
    let before = context.scope.folding_error().cloned();
    let matcher = Matcher::parse(filter, context.scope)?;
    if before.is_none()
        && let Some(error) = context.scope.take_folding_error()
    {
        let prefix = "Failed to optimize expression :: caused by :: ";
        context.scope.keep_folding_error(error.with_prefix(prefix));
    }
    Ok(vec![Arc::new(Match(Arc::new(matcher)))])
}

/// The stage of a filter.
///
/// # Errors
/// A filter that does not parse.
pub(in crate::aggregate) fn match_of(
    filter: Doc<'_>,
    scope: &mut Scope,
) -> Result<Arc<dyn StageSpec>> {
    Ok(Arc::new(Match(Arc::new(Matcher::parse(filter, scope)?))))
}

impl StageSpec for Match {
    fn name(&self) -> &'static str {
        "$match"
    }

    fn start(self: Arc<Self>, source: Box<dyn Stage>) -> Box<dyn Stage> {
        Box::new(Transforming::new(self, source))
    }

    fn shape(&self) -> Shape<'_> {
        Shape::Match(self.0.filter())
    }

    fn matcher(&self) -> Option<&Arc<Matcher>> {
        Some(&self.0)
    }
}

impl Transform for Match {
    fn apply(&self, doc: Doc<'_>, _: &mut DocWriter) -> Result<Outcome> {
        Ok(if self.0.matches(doc)? { Outcome::Same } else { Outcome::Dropped })
    }
}
