//! `$bucketAuto`: buckets of about the same number of documents each.

mod granularity;

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

/// A bucket while it is being filled.
struct Bucket {
    min: Value<'static>,
    max: Value<'static>,
    group: Group,
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
            entries.push(Entry { key, value, doc });
        }
        entries.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(entries)
    }

    fn buckets(&self, entries: &[Entry]) -> Result<Vec<DocBuf>> {
        let size = (entries.len() as f64 / self.buckets as f64).round().max(1.0) as usize;
        let mut buckets: Vec<Bucket> = Vec::new();
        let mut at = 0;
        while let Some(first) = entries.get(at) {
            let mut bucket = Bucket {
                min: first.value.clone(),
                max: first.value.clone(),
                group: Group::new(&self.statements, Doc::EMPTY)?,
            };
            let last_bucket = buckets.len() + 1 == self.buckets;
            let wanted = if last_bucket { entries.len() - at } else { size };
            let mut taken = 0;
            while let Some(entry) = entries.get(at) {
                let same = self.order.compare_values(&entry.value, &bucket.max).is_eq();
                if taken >= wanted && !same {
                    break;
                }
                bucket.group.add(&self.statements, entry.doc.as_doc())?;
                bucket.max = entry.value.clone();
                taken += 1;
                at += 1;
            }
            if let Some(granularity) = self.granularity {
                let bound = granularity.above(&bucket.max);
                // What lies below the rounded bound belongs to the bucket too.
                while let Some(entry) = entries.get(at) {
                    if self.order.compare_values(&entry.value, &bound).is_ge() {
                        break;
                    }
                    bucket.group.add(&self.statements, entry.doc.as_doc())?;
                    at += 1;
                }
                bucket.min = match buckets.last() {
                    Some(before) => before.max.clone(),
                    None => granularity.below(&bucket.min),
                };
                bucket.max = bound;
            }
            buckets.push(bucket);
        }
        let mut written = Vec::new();
        for (i, bucket) in buckets.iter().enumerate() {
            let next = buckets.get(i + 1).filter(|_| self.granularity.is_none());
            let max = next.map_or(&bucket.max, |next| &next.min);
            let mut doc = DocWriter::new();
            doc.document("_id", |id| {
                id.raw("min", bucket.min.raw().unwrap_or(Raw::NULL));
                id.raw("max", max.raw().unwrap_or(Raw::NULL));
            });
            bucket.group.write(&self.statements, &mut doc)?;
            written.push(doc.finish());
        }
        Ok(written)
    }
}

/// Whether a value counts as a number.
fn is_number(value: &Value<'_>) -> bool {
    value.kind().is_some_and(Type::is_number)
}
