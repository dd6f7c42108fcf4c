//! `$skip`.

use std::sync::Arc;

use super::{Parsed, Shape, StageSpec, limit};
use crate::aggregate::pipeline::Context;
use crate::bson::{DocBuf, Raw};
use crate::error::{Error, Result};
use crate::query::exec::{Environment, Stage};

#[derive(Debug)]
struct Skip(u64);

pub(super) fn parse(raw: Raw<'_>, _: &mut Context<'_>) -> Result<Parsed> {
    let count = limit::count(raw, "skip").map_err(|what| {
        Error::location(5_107_200, format!("invalid argument to $skip stage: {what}"))
    })?;
    Ok(vec![Arc::new(Skip(count))])
}

impl StageSpec for Skip {
    fn name(&self) -> &'static str {
        "$skip"
    }

    fn start(self: Arc<Self>, source: Box<dyn Stage>) -> Box<dyn Stage> {
        Box::new(Skipping { left: self.0, source })
    }

    fn shape(&self) -> Shape<'_> {
        Shape::Skip(self.0)
    }
}

struct Skipping {
    left: u64,
    source: Box<dyn Stage>,
}

impl Stage for Skipping {
    fn next(&mut self, env: &dyn Environment) -> Result<Option<DocBuf>> {
        while self.left > 0 {
            self.left -= 1;
            if self.source.next(env)?.is_none() {
                self.left = 0;
                return Ok(None);
            }
        }
        self.source.next(env)
    }
}
