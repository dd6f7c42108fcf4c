//! `$_internalInhibitOptimization`: passes everything on; what stands before and behind it is planned apart.

use std::sync::Arc;

use super::{Parsed, StageSpec};
use crate::aggregate::pipeline::Context;
use crate::bson::{Doc, Raw};
use crate::error::{Code, Error, Result};
use crate::query::exec::Stage;

#[derive(Debug)]
struct Inhibit;

const NAME: &str = "$_internalInhibitOptimization";

pub(super) fn parse(raw: Raw<'_>, _: &mut Context<'_>) -> Result<Parsed> {
    if raw.as_doc().is_some_and(Doc::is_empty) {
        return Ok(vec![Arc::new(Inhibit)]);
    }
    Err(Error::new(Code::TYPE_MISMATCH, format!("{NAME} must take a nested empty object")))
}

impl StageSpec for Inhibit {
    fn name(&self) -> &'static str {
        NAME
    }

    fn start(self: Arc<Self>, source: Box<dyn Stage>) -> Box<dyn Stage> {
        source
    }
}
