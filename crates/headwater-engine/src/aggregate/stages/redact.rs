//! `$redact`: an expression decides for every level of a document whether it is kept, pruned or looked into.

use std::sync::Arc;

use super::transform::{Outcome, Transform, Transforming};
use super::{Parsed, StageSpec};
use crate::aggregate::expressions::{Expression, Frame, value_text};
use crate::aggregate::pipeline::Context;
use crate::bson::{Array, ArrayWriter, Doc, DocBuf, DocWriter, Raw, Type, Value};
use crate::error::{Code, Error, Result};
use crate::limits::COMMAND_DEPTH_MAX;
use crate::query::exec::Stage;

#[derive(Debug)]
struct Redact {
    expression: Expression,
    current: usize,
}

const DESCEND: &str = "descend";
const PRUNE: &str = "prune";
const KEEP: &str = "keep";

pub(super) fn parse(raw: Raw<'_>, context: &mut Context<'_>) -> Result<Parsed> {
    let scope = &mut *context.scope;
    let (current, expression) = scope.with_slots(&["CURRENT"], |scope| {
        scope.define_constant("DESCEND", Value::str(DESCEND));
        scope.define_constant("PRUNE", Value::str(PRUNE));
        scope.define_constant("KEEP", Value::str(KEEP));
        Expression::parse(raw, scope)
    })?;
    Ok(vec![Arc::new(Redact { expression, current })])
}

impl StageSpec for Redact {
    fn name(&self) -> &'static str {
        "$redact"
    }

    fn start(self: Arc<Self>, source: Box<dyn Stage>) -> Box<dyn Stage> {
        Box::new(Transforming::new(self, source))
    }
}

impl Transform for Redact {
    fn apply(&self, doc: Doc<'_>, out: &mut DocWriter) -> Result<Outcome> {
        let Some(kept) = self.level(doc, &mut Frame::new(doc), 0)? else {
            return Ok(Outcome::Dropped);
        };
        out.extend(kept.as_doc());
        Ok(Outcome::Written)
    }
}

impl Redact {
    fn level<'a>(
        &'a self,
        doc: Doc<'a>,
        frame: &mut Frame<'a>,
        depth: usize,
    ) -> Result<Option<DocBuf>> {
        if depth > COMMAND_DEPTH_MAX {
            return Err(Error::new(Code::OVERFLOW, "A document is nested too deeply for $redact"));
        }
        frame.set(self.current, doc.as_raw().into());
        let verdict = self.expression.eval(frame)?;
        match verdict.raw().and_then(Raw::as_str) {
            Some(KEEP) => Ok(Some(doc.to_buf())),
            Some(PRUNE) => Ok(None),
            Some(DESCEND) => {
                let mut out = DocWriter::new();
                for element in doc {
                    match element.value.kind {
                        Type::Document => {
                            let inner = Doc::trusted(element.value.data);
                            if let Some(kept) = self.level(inner, frame, depth + 1)? {
                                out.raw_bytes(element.name, kept.as_doc().as_raw());
                            }
                        }
                        Type::Array => {
                            let inner = Array::trusted(element.value.data);
                            let bytes = self.array(inner, frame, depth + 1)?;
                            out.raw_bytes(element.name, Array::trusted(&bytes).as_raw());
                        }
                        _ => out.raw_bytes(element.name, element.value),
                    }
                }
                Ok(Some(out.finish()))
            }
            _ => {
                let what = "$redact's expression should not return anything aside from the variables $$KEEP, $$DESCEND, \
                            and $$PRUNE, but returned ";
                Err(Error::location(17053, format!("{what}{}", value_text(&verdict))))
            }
        }
    }

    fn array<'a>(
        &'a self,
        array: Array<'a>,
        frame: &mut Frame<'a>,
        depth: usize,
    ) -> Result<Vec<u8>> {
        if depth > COMMAND_DEPTH_MAX {
            return Err(Error::new(Code::OVERFLOW, "An array is nested too deeply for $redact"));
        }
        let mut out = ArrayWriter::new();
        for value in array.iter() {
            match value.kind {
                Type::Document => {
                    if let Some(kept) = self.level(Doc::trusted(value.data), frame, depth + 1)? {
                        out.doc(kept.as_doc());
                    }
                }
                Type::Array => {
                    let bytes = self.array(Array::trusted(value.data), frame, depth + 1)?;
                    out.raw(Array::trusted(&bytes).as_raw());
                }
                _ => out.raw(value),
            }
        }
        Ok(out.into_bytes())
    }
}
