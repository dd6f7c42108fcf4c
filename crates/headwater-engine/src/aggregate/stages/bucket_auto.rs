//! `$bucketAuto`: buckets of about the same number of documents each. What is sorted, and what is in one bucket, goes to
//! the disk if memory has no room for it.

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
use crate::error::{Error, Result};
use crate::query::exec::{Environment, Stage};
use crate::query::sort::{Sorted, Sorter};

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
    let (mut group_by, mut buckets, mut statements, mut granularity) = (None, None, None, None);
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
                buckets = Some(number);
            }
            b"output" => {
                let output = value.as_doc().ok_or_else(|| {
                    let what = "The $bucketAuto 'output' field must be an object, but found type: ";
                    Error::location(40244, format!("{what}{found}"))
                })?;
                statements = Some(parse_output(Some(output), context.scope)?);
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
    let buckets = usize::try_from(buckets).ok().filter(|count| *count > 0).ok_or_else(|| {
        let what = "The $bucketAuto 'buckets' field must be greater than 0, but found: ";
        Error::location(40243, format!("{what}{buckets}"))
    })?;
    let statements = match statements {
        Some(statements) => statements,
        None => parse_output(None, context.scope)?,
    };
    let order = context.scope.order().clone();
    Ok(vec![Arc::new(BucketAuto { order, group_by, buckets, statements, granularity })])
}

impl StageSpec for BucketAuto {
    fn name(&self) -> &'static str {
        "$bucketAuto"
    }

    fn start(self: Arc<Self>, source: Box<dyn Stage>) -> Box<dyn Stage> {
        Box::new(Bucketing {
            spec: self,
            source: Some(source),
            sorted: None,
            size: 1,
            made: 0,
            next: None,
            before: None,
        })
    }
}

struct Bucketing {
    spec: Arc<BucketAuto>,
    source: Option<Box<dyn Stage>>,
    /// All documents in the order of their values.
    sorted: Option<Sorted>,
    /// How many documents a bucket begins with.
    size: u64,
    /// Buckets so far.
    made: usize,
    /// The first document of the next bucket.
    next: Option<Entry>,
    /// Where the bucket before ended.
    before: Option<Value<'static>>,
}

/// A document with the value that it is sorted by and the number at which it came.
struct Entry {
    value: Value<'static>,
    came: u64,
    doc: DocBuf,
}

impl BucketAuto {
    fn value(&self, doc: Doc<'_>) -> Result<Value<'static>> {
        let value = self.group_by.evaluate(doc)?;
        Ok(if value.is_missing() { Value::NULL } else { value.into_owned() })
    }

    fn sorter(env: &dyn Environment) -> Sorter {
        Sorter::new(None, env.stage_bytes_max()).with_folder(env.spill_folder())
    }

    fn is_same(&self, a: &Value<'_>, b: &Value<'_>) -> bool {
        self.order.compare_values(a, b).is_eq()
    }
}

impl Bucketing {
    /// Sorts the documents, on the disk if they do not fit into memory.
    fn sort(&mut self, mut source: Box<dyn Stage>, env: &dyn Environment) -> Result<()> {
        let mut sorter = BucketAuto::sorter(env);
        let mut count: u64 = 0;
        let mut key = Vec::new();
        let spec = &self.spec;
        source.each(env, &mut |doc| {
            let value = spec.value(doc)?;
            if spec.granularity.is_some() {
                granularity::check(&value)?;
            }
            key.clear();
            let raw = value.raw().unwrap_or(Raw::NULL);
            spec.order.append_key(raw, Direction::Ascending, &mut key);
            count += 1;
            sorter.push(&key, doc)
        })?;
        self.size = (count as f64 / spec.buckets as f64).round().max(1.0) as u64;
        self.sorted = Some(sorter.finish()?);
        self.pull()
    }

    /// Reads the next document.
    fn pull(&mut self) -> Result<()> {
        let next = self.sorted.as_mut().and_then(Sorted::next_with_number).transpose()?;
        self.next = match next {
            Some((came, doc)) => Some(Entry { value: self.spec.value(doc.as_doc())?, came, doc }),
            None => None,
        };
        Ok(())
    }

    /// Takes the next document into a bucket if it belongs there.
    fn take(
        &mut self,
        bucket: &mut Bucket,
        belongs: impl FnOnce(&Value<'_>) -> bool,
        env: &dyn Environment,
    ) -> Result<bool> {
        let Some(entry) = self.next.take_if(|entry| belongs(&entry.value)) else {
            return Ok(false);
        };
        env.check()?;
        bucket.inside.push(&entry.came.to_be_bytes(), entry.doc.as_doc())?;
        bucket.max = entry.value;
        self.pull()?;
        Ok(true)
    }

    /// The next bucket: as many documents as it begins with, and those that belong to it too.
    fn bucket(&mut self, env: &dyn Environment) -> Result<Option<Bucket>> {
        let Some(first) = &self.next else { return Ok(None) };
        let (min, max) = (first.value.clone(), first.value.clone());
        let mut bucket = Bucket { min, max, inside: BucketAuto::sorter(env) };
        self.made += 1;
        let last = self.made == self.spec.buckets;
        let mut taken = 0;
        while (last || taken < self.size) && self.take(&mut bucket, |_| true, env)? {
            taken += 1;
        }
        let spec = Arc::clone(&self.spec);
        let max = bucket.max.clone();
        while self.take(&mut bucket, |value| spec.is_same(value, &max), env)? {}
        let Some(granularity) = spec.granularity else {
            bucket.max = self.next.as_ref().map_or(max, |next| next.value.clone());
            return Ok(Some(bucket));
        };
        let before = self.before.take();
        bucket.min = before.unwrap_or_else(|| granularity.below(&bucket.min));
        let mut bound = granularity.above(&max);
        let below = |value: &Value<'_>| spec.order.compare_values(value, &bound).is_lt();
        while self.take(&mut bucket, below, env)? {}
        // Behind nothing but zeros the bucket ends where the next one begins.
        if let Some(next) = &self.next
            && Number::from_value(&bound).is_some_and(Number::is_zero)
        {
            bound = granularity.below(&next.value);
        }
        bucket.max = bound;
        self.before = Some(bucket.max.clone());
        Ok(Some(bucket))
    }
}

impl Stage for Bucketing {
    fn next(&mut self, env: &dyn Environment) -> Result<Option<DocBuf>> {
        if let Some(source) = self.source.take() {
            self.sort(source, env)?;
        }
        let Some(bucket) = self.bucket(env)? else { return Ok(None) };
        bucket.write(&self.spec.statements, env).map(Some)
    }
}

/// A bucket: its bounds and its documents by the numbers at which they came.
struct Bucket {
    min: Value<'static>,
    max: Value<'static>,
    inside: Sorter,
}

impl Bucket {
    /// The document of a bucket. Its accumulators see the documents in the order in which they came.
    fn write(self, statements: &[Statement], env: &dyn Environment) -> Result<DocBuf> {
        let mut group = Group::new(statements, Doc::EMPTY)?;
        for doc in self.inside.finish()? {
            env.check()?;
            group.add(statements, doc?.as_doc())?;
        }
        let mut doc = DocWriter::new();
        doc.document("_id", |id| {
            id.raw("min", self.min.raw().unwrap_or(Raw::NULL));
            id.raw("max", self.max.raw().unwrap_or(Raw::NULL));
        });
        group.write(statements, &mut doc)?;
        Ok(doc.finish())
    }
}

/// Whether a value counts as a number.
fn is_number(value: &Value<'_>) -> bool {
    value.kind().is_some_and(Type::is_number)
}
