//! `$sort`.

use std::sync::Arc;

use super::{Parsed, Shape, StageSpec};
use crate::aggregate::expressions::Scope;
use crate::aggregate::pipeline::Context;
use crate::bson::{Doc, Raw};
use crate::error::{Error, Result};
use crate::query::exec::Stage;
use crate::query::sort::{Sort, SortPattern};

#[derive(Debug)]
struct SortStage {
    pattern: SortPattern,
    limit: Option<usize>,
}

/// Compiles a sort pattern that may not be empty.
///
/// # Errors
/// 15976 for an empty one; as [`SortPattern::parse`].
pub(in crate::aggregate) fn parse_sort_pattern(
    spec: Doc<'_>,
    scope: &Scope,
) -> Result<SortPattern> {
    if spec.is_empty() {
        return Err(Error::location(15976, "$sort stage must have at least one sort key"));
    }
    Ok(SortPattern::parse(spec)?.with_collation(scope.collation().cloned()))
}

pub(super) fn parse(raw: Raw<'_>, context: &mut Context<'_>) -> Result<Parsed> {
    let Some(spec) = raw.as_doc() else {
        return Err(Error::location(15973, "the $sort key specification must be an object"));
    };
    let pattern = parse_sort_pattern(spec, context.scope)?;
    Ok(vec![Arc::new(SortStage { pattern, limit: None })])
}

impl StageSpec for SortStage {
    fn name(&self) -> &'static str {
        "$sort"
    }

    fn keeps(&self, _: &[u8]) -> bool {
        self.limit.is_none()
    }

    fn start(self: Arc<Self>, source: Box<dyn Stage>) -> Box<dyn Stage> {
        let pattern = self.pattern.clone();
        Box::new(Sort::new(source, pattern, self.limit))
    }

    fn shape(&self) -> Shape<'_> {
        Shape::Sort(self.pattern.spec())
    }

    fn with_limit(&self, count: u64) -> Option<Arc<dyn StageSpec>> {
        let limit = Some(usize::try_from(count).unwrap_or(usize::MAX));
        Some(Arc::new(SortStage { pattern: self.pattern.clone(), limit }))
    }
}
