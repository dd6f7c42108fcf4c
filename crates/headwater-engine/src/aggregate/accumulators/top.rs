//! `$top`, `$topN`, `$bottom`, `$bottomN`: by a sort order of the documents.

use std::sync::Arc;

use super::{Accumulator, AccumulatorSpec, check_n, memory_exceeded};
use crate::aggregate::expressions::{Expression, Scope, bson_text};
use crate::aggregate::stages::parse_sort_pattern;
use crate::bson::{Doc, Raw, Value};
use crate::error::{Error, Result};
use crate::limits::STAGE_MEMORY_BYTES_MAX;
use crate::query::sort::SortPattern;

#[derive(Debug)]
struct Spec {
    name: &'static str,
    output: Expression,
    order: Arc<SortPattern>,
    n: Option<Expression>,
}

pub(super) fn parse(
    name: &'static str,
    argument: Raw<'_>,
    scope: &mut Scope,
) -> Result<Arc<dyn AccumulatorSpec>> {
    let Some(doc) = argument.as_doc() else {
        let message =
            format!("specification must be an object; found {name}: {}", bson_text(argument));
        return Err(Error::location(5_788_001, message));
    };
    let many = name.ends_with('N');
    let (mut n, mut output, mut order) = (None, None, None);
    for element in doc {
        match element.name {
            b"n" if many => n = Some(Expression::parse(element.value, scope)?),
            b"output" => output = Some(Expression::parse(element.value, scope)?),
            b"sortBy" => {
                // An array is the object of its places.
                let array = || element.value.as_array().map(|array| Doc::trusted(array.as_bytes()));
                let pattern = element.value.as_doc().or_else(array).ok_or_else(|| {
                    Error::location(10065, "invalid parameter: expected an object (sortBy)")
                })?;
                order = Some(pattern);
            }
            _ => {
                let message = format!("Unknown argument to {name} '{}'", element.name_str());
                return Err(Error::location(5_788_002, message));
            }
        }
    }
    if many && n.is_none() {
        return Err(Error::location(5_788_003, "Missing value for 'n'"));
    }
    let output = output.ok_or_else(|| Error::location(5_788_004, "Missing value for 'output'"))?;
    let order = order.ok_or_else(|| Error::location(5_788_005, "Missing value for 'sortBy'"))?;
    let order = Arc::new(parse_sort_pattern(order, scope)?);
    Ok(Arc::new(Spec { name, output, order, n }))
}

impl AccumulatorSpec for Spec {
    fn input(&self) -> &Expression {
        &self.output
    }

    fn reads_documents(&self) -> bool {
        true
    }

    fn start(&self, id: Doc<'_>) -> Result<super::State> {
        let n = self.n.as_ref().map(|n| check_n(&n.evaluate(id)?)).transpose()?;
        let bottom = self.name.starts_with("$bottom");
        let order = Arc::clone(&self.order);
        Ok(super::State::other(Kept {
            name: self.name,
            order,
            bottom,
            n,
            values: Vec::new(),
            bytes: 0,
        }))
    }
}

/// The values kept so far with their sort keys, in order.
struct Kept {
    name: &'static str,
    order: Arc<SortPattern>,
    bottom: bool,
    /// How many to keep as an array; `None` keeps one as itself.
    n: Option<usize>,
    values: Vec<(Vec<u8>, Value<'static>)>,
    bytes: usize,
}

fn size((key, value): &(Vec<u8>, Value<'_>)) -> usize {
    size_of::<(Vec<u8>, Value<'_>)>() + key.len() + value.raw().map_or(0, |raw| raw.data.len())
}

impl Accumulator for Kept {
    fn add(&mut self, value: Value<'_>, doc: Doc<'_>) -> Result<()> {
        let mut key = Vec::new();
        self.order.write_key(doc, &mut key)?;
        let n = self.n.unwrap_or(1);
        let at = self.values.partition_point(|(kept, _)| *kept <= key);
        let full = self.values.len() >= n;
        if full && (if self.bottom { at == 0 } else { at >= n }) {
            return Ok(());
        }
        let entry = (key, value.into_owned());
        self.bytes += size(&entry);
        self.values.insert(at, entry);
        if full {
            // Of equals the first to come stays.
            let lowest = || {
                let (first, _) = self.values.first()?;
                self.values.iter().rposition(|(kept, _)| kept == first)
            };
            let at = if self.bottom { lowest().unwrap_or(0) } else { n };
            let dropped = self.values.remove(at);
            self.bytes -= size(&dropped);
        }
        if self.bytes > STAGE_MEMORY_BYTES_MAX {
            return Err(memory_exceeded(self.name));
        }
        Ok(())
    }

    fn finish(&self) -> Result<Value<'static>> {
        let values = self.values.iter().map(|(_, value)| value);
        match self.n {
            Some(_) => Ok(super::collect::array(values)),
            None => {
                let value = self.values.first().map(|(_, value)| value.clone());
                Ok(value.filter(|value| !value.is_missing()).unwrap_or(Value::NULL))
            }
        }
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}
