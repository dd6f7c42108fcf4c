//! `$documents`: documents that stand in the pipeline itself.

use std::collections::VecDeque;
use std::sync::Arc;

use super::replace_root::not_an_object;
use super::{Parsed, StageSpec};
use crate::aggregate::expressions::Expression;
use crate::aggregate::pipeline::Context;
use crate::bson::{Doc, DocBuf, DocWriter, Raw, Value};
use crate::error::{Error, Result};
use crate::query::exec::{Environment, Stage};

#[derive(Debug)]
struct Documents(Expression);

pub(super) fn parse(raw: Raw<'_>, context: &mut Context<'_>) -> Result<Parsed> {
    let expression = Expression::parse(raw, context.scope).map_err(|error| {
        let operator = raw.as_doc().and_then(Doc::first).map(|first| first.name_str());
        let unknown = operator.map(|name| format!("Unrecognized expression '{name}'"));
        // MongoDB puts the expression into a projection, which has a code of its own for an operator that is none.
        let error = match unknown.is_some_and(|unknown| unknown == error.message()) {
            true => {
                let name = operator.unwrap_or_default();
                Error::location(31325, format!("Unknown expression {name}"))
            }
            false => error,
        };
        error.with_prefix("Invalid $documents :: caused by :: ")
    })?;
    Ok(vec![Arc::new(Documents(expression))])
}

impl StageSpec for Documents {
    fn name(&self) -> &'static str {
        "$documents"
    }

    fn start(self: Arc<Self>, _: Box<dyn Stage>) -> Box<dyn Stage> {
        Box::new(Giving { spec: self, docs: None })
    }

    fn is_source(&self) -> bool {
        true
    }
}

struct Giving {
    spec: Arc<Documents>,
    docs: Option<VecDeque<DocBuf>>,
}

impl Documents {
    fn evaluate(&self) -> Result<VecDeque<DocBuf>> {
        let value = self.0.evaluate(Doc::EMPTY)?;
        let Some(array) = value.as_array() else {
            return Err(Error::location(5_858_203, "an array is expected"));
        };
        let what = "elements within the array passed to $documents";
        let doc = |raw: Raw<'_>| {
            raw.as_doc().map(Doc::to_buf).ok_or_else(|| {
                // MongoDB unwinds the array in a field of its own.
                let mut input = DocWriter::new();
                input.raw("_tempDocumentsField", raw);
                not_an_object(what, &Value::from(raw), input.finish().as_doc())
            })
        };
        array.iter().map(doc).collect()
    }
}

impl Stage for Giving {
    fn next(&mut self, env: &dyn Environment) -> Result<Option<DocBuf>> {
        env.check()?;
        if self.docs.is_none() {
            self.docs = Some(self.spec.evaluate()?);
        }
        Ok(self.docs.as_mut().and_then(VecDeque::pop_front))
    }
}
