//! `$bucketAuto`: buckets of about the same number of documents each.

mod granularity;

use std::ops::Range;
use std::sync::Arc;

use super::bucket::is_computed;
use super::group::parse_output;
use super::{Parsed, StageSpec};
use crate::aggregate::accumulators::{Group, Statement};
use crate::aggregate::expressions::{Expression, bson_text};
use crate::aggregate::pipeline::Context;
use crate::bson::key::Direction;
use crate::bson::{Doc, DocBuf, DocWriter, Number, Raw, Type, Value};
use crate::collation::ValueOrder;
use crate::error::{Code, Error, Result};
use crate::limits::STAGE_MEMORY_BYTES_MAX;
use crate::query::exec::{Environment, Stage};

use granularity::Granularity;

#[derive(Debug)]
struct BucketAuto {
    order: ValueOrder,
    group_by: Expression,
    buckets: usize,
    statements: Vec<Statement>,
    granularity: Option<Granularity>,
}

pub(super) fn parse(raw: Raw<'_>, context: &mut Context<'_>) -> Result<Parsed> {
    let Some(doc) = raw.as_doc() else {
        let what = "The argument to $bucketAuto must be an object, but found type: ";
        return Err(Error::location(40240, format!("{what}{}", raw.kind.alias())));
    };
    let (mut group_by, mut buckets, mut output, mut granularity) = (None, None, None, None);
    for element in doc {
        let value = element.value;
        let found = value.kind.alias();
        match element.name {
            b"groupBy" => {
                if !is_computed(value) {
                    let what = "The $bucketAuto 'groupBy' field must be defined as a $-prefixed path or an expression object, but found: ";
                    return Err(Error::location(40239, format!("{what}{}", bson_text(value))));
                }
                group_by = Some(Expression::parse(value, context.scope)?);
            }
            b"buckets" => {
                let what = "The $bucketAuto 'buckets' field must be";
                let number = Number::from_raw(value).ok_or_else(|| {
                    Error::location(
                        40241,
                        format!("{what} a numeric value, but found type: {found}"),
                    )
                })?;
                let number = number.to_i32_exact().ok_or_else(|| {
                    let shown =
                        crate::aggregate::expressions::value_text(&Value::f64(number.to_f64()));
                    Error::location(
                        40242,
                        format!("{what} representable as a 32-bit integer, but found {shown}"),
                    )
                })?;
                buckets = Some(
                    usize::try_from(number).ok().filter(|count| *count > 0).ok_or_else(|| {
                        Error::location(
                            40243,
                            format!("{what} greater than 0, but found: {number}"),
                        )
                    })?,
                );
            }
            b"output" => {
                output = Some(value.as_doc().ok_or_else(|| {
                    let what = "The $bucketAuto 'output' field must be an object, but found type: ";
                    Error::location(40244, format!("{what}{found}"))
                })?);
            }
            b"granularity" => {
                let name = value.as_str().ok_or_else(|| {
                    let what =
                        "The $bucketAuto 'granularity' field must be a string, but found type: ";
                    Error::location(40261, format!("{what}{found}"))
                })?;
                granularity = Some(Granularity::parse(name)?);
            }
            _ => {
                let message = format!("Unrecognized option to $bucketAuto: {}", element.name_str());
                return Err(Error::location(40245, message));
            }
        }
    }
    let (Some(group_by), Some(buckets)) = (group_by, buckets) else {
        let message = "$bucketAuto requires 'groupBy' and 'buckets' to be specified";
        return Err(Error::location(40246, message));
    };
    let statements = parse_output(output, context.scope)?;
    let order = context.scope.order().clone();
    Ok(vec![Arc::new(BucketAuto { order, group_by, buckets, statements, granularity })])
}

impl StageSpec for BucketAuto {
    fn name(&self) -> &'static str {
        "$bucketAuto"
    }

    fn start(self: Arc<Self>, source: Box<dyn Stage>) -> Box<dyn Stage> {
        Box::new(Bucketing { spec: self, source: Some(source), done: Vec::new().into_iter() })
    }
}

struct Bucketing {
    spec: Arc<BucketAuto>,
    source: Option<Box<dyn Stage>>,
    done: std::vec::IntoIter<DocBuf>,
}

/// A document with the value that it is sorted by.
struct Entry {
    key: Vec<u8>,
    value: Value<'static>,
    doc: DocBuf,
    position: usize,
}

impl Stage for Bucketing {
    fn next(&mut self, env: &dyn Environment) -> Result<Option<DocBuf>> {
        if let Some(source) = self.source.take() {
            let entries = self.spec.collect(source, env)?;
            self.done = self.spec.buckets(&entries)?.into_iter();
        }
        Ok(self.done.next())
    }
}

/// A bucket: its bounds, and which of the sorted documents are in it.
struct Bucket {
    min: Value<'static>,
    max: Value<'static>,
    entries: Range<usize>,
}

impl BucketAuto {
    fn collect(&self, mut source: Box<dyn Stage>, env: &dyn Environment) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let mut bytes = 0;
        while let Some(doc) = source.next(env)? {
            let value = self.group_by.evaluate(doc.as_doc())?;
            let value = if value.is_missing() { Value::NULL } else { value.into_owned() };
            if self.granularity.is_some() {
                granularity::check(&value)?;
            }
            let mut key = Vec::new();
            self.order.append_key(value.raw().unwrap_or(Raw::NULL), Direction::Ascending, &mut key);
            bytes += key.len() + 2 * doc.as_doc().as_bytes().len() + size_of::<Entry>();
            if bytes > STAGE_MEMORY_BYTES_MAX {
                let message = "Sort exceeded memory limit of 104857600 bytes, but did not opt in to external sorting.";
                return Err(Error::new(Code(292), message));
            }
            let position = entries.len();
            entries.push(Entry { key, value, doc, position });
        }
        entries.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(entries)
    }

    fn buckets(&self, entries: &[Entry]) -> Result<Vec<DocBuf>> {
        let size = (entries.len() as f64 / self.buckets as f64).round().max(1.0) as usize;
        let mut written: Vec<DocBuf> = Vec::new();
        let mut before = None;
        let mut at = 0;
        while at < entries.len() {
            let last = written.len() + 1 == self.buckets;
            let end = if last { entries.len() } else { entries.len().min(at + size) };
            let bucket = self.bucket(entries, at..end, before.take());
            written.push(self.write(entries, &bucket)?);
            at = bucket.entries.end;
            before = Some(bucket.max);
        }
        Ok(written)
    }

    /// The bucket that begins with some of the documents, grown by those that belong to it too. `before` is where the
    /// one before it ended.
    fn bucket(
        &self,
        entries: &[Entry],
        mut range: Range<usize>,
        before: Option<Value<'static>>,
    ) -> Bucket {
        let value = |at: usize| entries.get(at).map(|entry| &entry.value);
        let min = value(range.start).cloned().unwrap_or(Value::NULL);
        let mut max = value(range.end - 1).cloned().unwrap_or(Value::NULL);
        let same = |next: &Value<'_>| self.order.compare_values(next, &max).is_eq();
        while value(range.end).is_some_and(same) {
            range.end += 1;
        }
        let Some(granularity) = self.granularity else {
            max = value(range.end).cloned().unwrap_or(max);
            return Bucket { min, max, entries: range };
        };
        let min = before.unwrap_or_else(|| granularity.below(&min));
        max = granularity.above(&max);
        let below = |next: &Value<'_>| self.order.compare_values(next, &max).is_lt();
        while value(range.end).is_some_and(below) {
            range.end += 1;
        }
        // Behind nothing but zeros the bucket ends where the next one begins.
        if let Some(next) = value(range.end)
            && Number::from_value(&max).is_some_and(Number::is_zero)
        {
            max = granularity.below(next);
        }
        Bucket { min, max, entries: range }
    }

    /// The document of a bucket. Its accumulators see the documents in the order in which they came.
    fn write(&self, entries: &[Entry], bucket: &Bucket) -> Result<DocBuf> {
        let inside = entries.get(bucket.entries.clone()).unwrap_or_default();
        let mut inside: Vec<&Entry> = inside.iter().collect();
        inside.sort_by_key(|entry| entry.position);
        let mut group = Group::new(&self.statements, Doc::EMPTY)?;
        for entry in inside {
            group.add(&self.statements, entry.doc.as_doc())?;
        }
        let mut doc = DocWriter::new();
        doc.document("_id", |id| {
            id.raw("min", bucket.min.raw().unwrap_or(Raw::NULL));
            id.raw("max", bucket.max.raw().unwrap_or(Raw::NULL));
        });
        group.write(&self.statements, &mut doc)?;
        Ok(doc.finish())
    }
}

/// Whether a value counts as a number.
fn is_number(value: &Value<'_>) -> bool {
    value.kind().is_some_and(Type::is_number)
}
