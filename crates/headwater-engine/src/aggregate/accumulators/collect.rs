//! `$push`, `$addToSet`, `$mergeObjects`.

use std::collections::HashSet;

use super::{Accumulator, memory_exceeded};
use crate::aggregate::expressions::{Fields, not_an_object};
use crate::bson::{ArrayWriter, Doc, DocBuf, Value};
use crate::collation::ValueOrder;
use crate::error::Result;
use crate::limits::STAGE_MEMORY_BYTES_MAX;

/// `$push`: every value that is not missing, in order.
#[derive(Debug, Default)]
pub(super) struct Push {
    values: Vec<Value<'static>>,
    bytes: usize,
}

impl Accumulator for Push {
    fn add(&mut self, value: Value<'_>, _: Doc<'_>) -> Result<()> {
        let Some(raw) = value.raw() else { return Ok(()) };
        self.bytes += raw.data.len() + size_of::<Value<'_>>();
        if self.bytes > STAGE_MEMORY_BYTES_MAX {
            return Err(memory_exceeded("$push"));
        }
        self.values.push(value.into_owned());
        Ok(())
    }

    fn finish(&self) -> Result<Value<'static>> {
        Ok(array(&self.values))
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}

/// An array of values; a missing one is null.
pub(super) fn array<'v>(values: impl IntoIterator<Item = &'v Value<'static>>) -> Value<'static> {
    let mut array = ArrayWriter::new();
    for value in values {
        array.raw(value.raw().unwrap_or(crate::bson::Raw::NULL));
    }
    Value::array(array.into_bytes())
}

/// `$addToSet`: every different value that is not missing, in the order in which they first came.
#[derive(Debug)]
pub(super) struct Set {
    order: ValueOrder,
    keys: HashSet<Vec<u8>>,
    values: Vec<Value<'static>>,
    bytes: usize,
}

impl Set {
    pub(super) fn new(order: &ValueOrder) -> Set {
        Set { order: order.clone(), keys: HashSet::new(), values: Vec::new(), bytes: 0 }
    }
}

impl Accumulator for Set {
    fn add(&mut self, value: Value<'_>, _: Doc<'_>) -> Result<()> {
        let Some(raw) = value.raw() else { return Ok(()) };
        let key = self.order.key(raw);
        let size = key.len() + raw.data.len() + size_of::<Value<'_>>() + size_of::<Vec<u8>>();
        if self.keys.insert(key) {
            self.bytes += size;
            if self.bytes > STAGE_MEMORY_BYTES_MAX {
                return Err(memory_exceeded("$addToSet"));
            }
            self.values.push(value.into_owned());
        }
        Ok(())
    }

    fn finish(&self) -> Result<Value<'static>> {
        Ok(array(&self.values))
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}

/// `$mergeObjects`: later fields replace earlier ones in their place; null and missing do not count.
#[derive(Debug, Default)]
pub(super) struct Merge(DocBuf);

impl Accumulator for Merge {
    fn add(&mut self, value: Value<'_>, _: Doc<'_>) -> Result<()> {
        match value.as_doc() {
            Some(doc) => {
                let mut fields = Fields::default();
                fields.merge(self.0.as_doc());
                fields.merge(doc);
                self.0 = fields.finish();
                Ok(())
            }
            None if value.is_nullish() => Ok(()),
            None => Err(not_an_object(&value)),
        }
    }

    fn finish(&self) -> Result<Value<'static>> {
        Ok(Value::doc(self.0.clone()))
    }

    fn bytes(&self) -> usize {
        self.0.as_doc().as_bytes().len()
    }
}
