//! `$replaceRoot` and `$replaceWith`.

use std::sync::Arc;

use super::transform::{Transform, Transforming};
use super::{Parsed, StageSpec};
use crate::aggregate::expressions::{Expression, value_text};
use crate::aggregate::pipeline::{Context, missing_field, unknown_field};
use crate::bson::{Doc, DocBuf, Raw, Type, Value};
use crate::error::{Error, Result};
use crate::query::exec::Stage;

#[derive(Debug)]
struct ReplaceRoot(Expression);

pub(super) fn replace_with(raw: Raw<'_>, context: &mut Context<'_>) -> Result<Parsed> {
    Ok(vec![Arc::new(ReplaceRoot(Expression::parse(raw, context.scope)?))])
}

pub(super) fn replace_root(raw: Raw<'_>, context: &mut Context<'_>) -> Result<Parsed> {
    let Some(doc) = raw.as_doc() else {
        let what = "expected an object as specification for $replaceRoot stage, got ";
        return Err(Error::location(40229, format!("{what}{}", raw.kind.alias())));
    };
    let mut root = None;
    for element in doc {
        match element.name {
            b"newRoot" => root = Some(element.value),
            _ => return Err(unknown_field("$replaceRoot", element.name_str())),
        }
    }
    replace_with(root.ok_or_else(|| missing_field("$replaceRoot", "newRoot"))?, context)
}

impl StageSpec for ReplaceRoot {
    fn name(&self) -> &'static str {
        "$replaceRoot"
    }

    fn start(self: Arc<Self>, source: Box<dyn Stage>) -> Box<dyn Stage> {
        Box::new(Transforming::new(self, source))
    }
}

impl Transform for ReplaceRoot {
    fn apply(&self, doc: DocBuf) -> Result<Option<DocBuf>> {
        let value = self.0.evaluate(doc.as_doc())?;
        match value.as_doc() {
            Some(root) => Ok(Some(root.to_buf())),
            None => Err(not_an_object("'replacement document' ", &value, doc.as_doc())),
        }
    }
}

/// The error for a value that was to become a document.
#[cold]
pub(super) fn not_an_object(what: &str, value: &Value<'_>, doc: Doc<'_>) -> Error {
    let kind = value.kind().map_or("missing", Type::alias);
    let (value, doc) = (value_text(value), value_text(&doc.as_raw().into()));
    let message = format!(
        "{what} must evaluate to an object, but resulting value was: {value}. Type of resulting value: '{kind}'. \
         Input document: {doc}"
    );
    Error::location(40228, message)
}
