//! The walk through a filter. Its depth is bounded before it starts to change anything.

use mongodb::bson::{Array, Bson, Document};

use super::operators::{EXPR, REGEX};
use super::{Reason, Refused, Sanitizer};

pub(super) struct Walk<'a> {
    settings: &'a Sanitizer,
    /// The way to where the walk is: names and indexes.
    path: Vec<String>,
    pub(super) removed: Vec<String>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(settings: &'a Sanitizer) -> Walk<'a> {
        Walk { settings, path: Vec::new(), removed: Vec::new() }
    }

    /// Refuses what is too deep or too large, without recursion.
    pub(super) fn measure(&self, filter: &Document) -> Result<(), Refused> {
        let Sanitizer { depth_max, bytes_max, .. } = *self.settings;
        let mut bytes = 0_usize;
        let mut open = vec![(Holder::Document(filter), 1)];
        while let Some((holder, depth)) = open.pop() {
            if depth > depth_max {
                return Err(Refused(Reason::Depth { max: depth_max }));
            }
            // The length in front and the end.
            bytes += 5;
            for (name, value) in holder.values() {
                bytes += 2 + name + scalar_bytes(value);
                match value {
                    Bson::Document(inner) => open.push((Holder::Document(inner), depth + 1)),
                    Bson::Array(inner) => open.push((Holder::Array(inner), depth + 1)),
                    Bson::JavaScriptCodeWithScope(code) => {
                        open.push((Holder::Document(&code.scope), depth + 1));
                    }
                    _ => {}
                }
                if bytes > bytes_max {
                    return Err(Refused(Reason::Size { max: bytes_max }));
                }
            }
        }
        Ok(())
    }

    pub(super) fn document(&mut self, document: Document) -> Result<Document, Refused> {
        let mut kept = Document::new();
        for (name, value) in document {
            self.path.push(name);
            let name = self.path.last().map_or("", String::as_str);
            let value = if name.starts_with('$') && self.settings.forbids(name) {
                let operator = name.to_owned();
                self.found(operator)?;
                None
            } else if name == EXPR {
                self.expression(value)?
            } else {
                self.value(value)?
            };
            let name = self.path.pop().unwrap_or_default();
            if let Some(value) = value {
                kept.insert(name, value);
            }
        }
        Ok(kept)
    }

    /// The value without what is forbidden, `None` if nothing is left of it.
    fn value(&mut self, value: Bson) -> Result<Option<Bson>, Refused> {
        Ok(match value {
            Bson::Document(inner) => {
                let was_empty = inner.is_empty();
                let kept = self.document(inner)?;
                (was_empty || !kept.is_empty()).then_some(Bson::Document(kept))
            }
            Bson::Array(items) => {
                let was_empty = items.is_empty();
                let kept = self.array(items)?;
                (was_empty || !kept.is_empty()).then_some(Bson::Array(kept))
            }
            Bson::RegularExpression(_) if self.settings.forbids(REGEX) => {
                self.found(REGEX.to_owned())?;
                None
            }
            Bson::JavaScriptCodeWithScope(mut code) => {
                code.scope = self.document(code.scope)?;
                Some(Bson::JavaScriptCodeWithScope(code))
            }
            other => Some(other),
        })
    }

    fn array(&mut self, items: Array) -> Result<Array, Refused> {
        let mut kept = Array::new();
        for (index, item) in items.into_iter().enumerate() {
            self.path.push(index.to_string());
            kept.extend(self.value(item)?);
            self.path.pop();
        }
        Ok(kept)
    }

    /// An expression stays whole or goes.
    fn expression(&mut self, value: Bson) -> Result<Option<Bson>, Refused> {
        let removed = self.removed.len();
        let value = self.value(value)?;
        Ok(value.filter(|_| self.removed.len() == removed))
    }

    /// Refuses, or notes what is taken away.
    fn found(&mut self, operator: String) -> Result<(), Refused> {
        let mut path = self.path.join(".");
        if self.path.last() != Some(&operator) {
            path = format!("{path}.{operator}");
        }
        if self.settings.strips {
            self.removed.push(path);
            return Ok(());
        }
        Err(Refused(Reason::Operator { operator, path }))
    }
}

/// What holds other values.
enum Holder<'a> {
    Document(&'a Document),
    Array(&'a Array),
}

impl<'a> Holder<'a> {
    /// The values, each with the length of its name.
    fn values(&self) -> Box<dyn Iterator<Item = (usize, &'a Bson)> + 'a> {
        match self {
            Holder::Document(document) => {
                Box::new(document.iter().map(|(name, value)| (name.len(), value)))
            }
            Holder::Array(items) => {
                Box::new(items.iter().enumerate().map(|(index, value)| {
                    (index.checked_ilog10().unwrap_or(0) as usize + 1, value)
                }))
            }
        }
    }
}

/// The bytes of a value in BSON, of what it holds only the frame.
fn scalar_bytes(value: &Bson) -> usize {
    match value {
        Bson::String(text) | Bson::Symbol(text) | Bson::JavaScriptCode(text) => text.len() + 5,
        Bson::JavaScriptCodeWithScope(code) => code.code.len() + 9,
        Bson::RegularExpression(regex) => {
            regex.pattern.as_str().len() + regex.options.as_str().len() + 2
        }
        Bson::Binary(binary) => binary.bytes.len() + 5,
        Bson::Boolean(_) => 1,
        Bson::Int32(_) => 4,
        Bson::Int64(_) | Bson::Double(_) | Bson::DateTime(_) | Bson::Timestamp(_) => 8,
        Bson::ObjectId(_) => 12,
        Bson::Decimal128(_) => 16,
        // A namespace of any length; none in a filter that makes sense.
        Bson::DbPointer(_) => 64,
        _ => 0,
    }
}
