//! `$limit`.

use std::sync::Arc;

use super::{Parsed, Shape, StageSpec};
use crate::aggregate::expressions::bson_text;
use crate::aggregate::pipeline::Context;
use crate::bson::{DocBuf, Number, Raw};
use crate::error::{Error, Result};
use crate::query::exec::{Environment, Stage};

#[derive(Debug)]
pub(super) struct Limit(pub(super) u64);

pub(super) fn parse(raw: Raw<'_>, _: &mut Context<'_>) -> Result<Parsed> {
    let count = count(raw, "limit").map_err(|what| {
        Error::location(5_107_201, format!("invalid argument to $limit stage: {what}"))
    })?;
    if count == 0 {
        return Err(Error::location(15958, "the limit must be positive"));
    }
    Ok(vec![Arc::new(Limit(count))])
}

/// The whole, non-negative number that a stage takes, or what is wrong with it.
pub(super) fn count(raw: Raw<'_>, name: &str) -> Result<u64, String> {
    let element = format!("${name}: {}", bson_text(raw));
    let Some(number) = Number::from_raw(raw) else {
        return Err(format!("Expected a number in: {element}"));
    };
    let Some(value) = number.to_i64_exact() else {
        return Err(match number.is_finite() && number.to_i64_truncated().is_some() {
            true => format!("Expected an integer: {element}"),
            false => format!("Cannot represent as a 64-bit integer: {element}"),
        });
    };
    u64::try_from(value).map_err(|_| format!("Expected a non-negative number in: {element}"))
}

impl StageSpec for Limit {
    fn name(&self) -> &'static str {
        "$limit"
    }

    fn start(self: Arc<Self>, source: Box<dyn Stage>) -> Box<dyn Stage> {
        Box::new(Limiting { left: self.0, source })
    }

    fn shape(&self) -> Shape<'_> {
        Shape::Limit(self.0)
    }
}

struct Limiting {
    left: u64,
    source: Box<dyn Stage>,
}

impl Stage for Limiting {
    fn next(&mut self, env: &dyn Environment) -> Result<Option<DocBuf>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        self.source.next(env)
    }

    fn is_done(&self) -> bool {
        self.left == 0
    }
}
