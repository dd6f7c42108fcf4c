//! `$replaceRoot` and `$replaceWith`.

use std::sync::Arc;

use super::transform::{Outcome, Transform, Transforming};
use super::{Parsed, StageSpec};
use crate::aggregate::expressions::{Expression, value_text};
use crate::aggregate::pipeline::{Context, Place, missing_field, unknown_field};
use crate::bson::{Doc, DocBuf, DocWriter, Element, Raw, Type, Value};
use crate::error::{Error, Result};
use crate::query::exec::Stage;

#[derive(Debug)]
struct ReplaceRoot {
    root: Expression,
    /// How errors name the expression.
    what: &'static str,
    /// The fields that it reads, which errors show.
    reads: Reads,
}

pub(super) fn replace_with(raw: Raw<'_>, context: &mut Context<'_>) -> Result<Parsed> {
    parse(raw, "'replacement document' ", context)
}

fn parse(raw: Raw<'_>, what: &'static str, context: &mut Context<'_>) -> Result<Parsed> {
    let root = Expression::parse(raw, context.scope)?;
    let mut reads = Reads { names: Vec::new(), all: context.place == Place::Update };
    reads.note(raw);
    Ok(vec![Arc::new(ReplaceRoot { root, what, reads })])
}

/// The fields of a document that an expression reads, by the names they have at the top.
#[derive(Debug)]
struct Reads {
    names: Vec<Box<str>>,
    all: bool,
}

impl Reads {
    fn note(&mut self, raw: Raw<'_>) {
        if let Some(text) = raw.as_str() {
            match (text.strip_prefix("$$"), text.strip_prefix('$')) {
                (Some(variable), _) => {
                    self.all |= variable.starts_with("ROOT") || variable.starts_with("CURRENT");
                }
                (None, Some(path)) => {
                    self.names.push(path.split('.').next().unwrap_or_default().into());
                }
                _ => {}
            }
        } else if let Some(doc) = raw.as_doc() {
            let read = |field: &Element<'_>| field.name != b"$literal";
            doc.iter().filter(read).for_each(|field| self.note(field.value));
        } else if let Some(array) = raw.as_array() {
            array.iter().for_each(|element| self.note(element));
        }
    }

    fn of(&self, doc: Doc<'_>) -> DocBuf {
        if self.all {
            return doc.to_buf();
        }
        let mut read = DocWriter::new();
        for field in doc {
            if self.names.iter().any(|name| name.as_bytes() == field.name) {
                read.raw_bytes(field.name, field.value);
            }
        }
        read.finish()
    }
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
    let root = root.ok_or_else(|| missing_field("$replaceRoot", "newRoot"))?;
    parse(root, "'newRoot' expression ", context)
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
    fn apply(&self, doc: Doc<'_>, out: &mut DocWriter) -> Result<Outcome> {
        let value = self.root.evaluate(doc)?;
        match value.as_doc() {
            Some(root) => {
                out.extend(root);
                Ok(Outcome::Written)
            }
            None => {
                let input = self.reads.of(doc);
                Err(not_an_object(self.what, &value, input.as_doc()))
            }
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
