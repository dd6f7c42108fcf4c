//! `$densify`: adds documents where a field has gaps.
//!
//! The documents are sorted by partition and field; partitions follow each other.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Parsed, StageSpec, nested};
use crate::aggregate::expressions::Path;
use crate::aggregate::expressions::date::add::add;
use crate::aggregate::expressions::date::unit::{Unit, unknown_unit};
use crate::aggregate::expressions::date::zone::Zone;
use crate::aggregate::pipeline::{Context, expect, missing_field, unknown_field};
use crate::bson::key::Direction;
use crate::bson::{
    Doc, DocBuf, Number, Raw, Type, Value, View, canonical_class, compare_values, key,
};
use crate::collation::ValueOrder;
use crate::error::{Code, Error, Result};
use crate::limits::STAGE_MEMORY_BYTES_MAX;
use crate::query::exec::{Environment, Stage};

const NAME: &str = "$densify";

/// Most documents that one stage makes.
const GENERATED_MAX: usize = 500_000;

#[derive(Debug)]
struct Densify {
    field: Path,
    partition: Vec<Path>,
    /// How values that partition compare.
    values: ValueOrder,
    step: Number,
    unit: Option<Unit>,
    bounds: Bounds,
}

#[derive(Debug)]
enum Bounds {
    /// From the smallest to the largest value of all documents.
    Full,
    /// From the smallest to the largest value of the partition.
    Partition,
    /// From the first to below the second value.
    Between(Value<'static>, Value<'static>),
}

pub(super) fn parse(raw: Raw<'_>, context: &mut Context<'_>) -> Result<Parsed> {
    let Some(doc) = raw.as_doc() else {
        let found = raw.kind.alias();
        let message = format!("The {NAME} stage specification must be an object, found {found}");
        return Err(Error::new(Code::FAILED_TO_PARSE, message));
    };
    let (mut field, mut fields, mut range) = (None, None, None);
    for element in doc {
        let value = element.value;
        match element.name {
            b"field" => {
                expect(value, Type::String, NAME, "field")?;
                field = value.as_str();
            }
            b"partitionByFields" => {
                expect(value, Type::Array, NAME, "partitionByFields")?;
                fields = value.as_array();
            }
            b"range" => {
                expect(value, Type::Document, NAME, "range")?;
                range = value.as_doc();
            }
            _ => return Err(unknown_field(NAME, element.name_str())),
        }
    }
    let name = field.ok_or_else(|| missing_field(NAME, "field"))?;
    let field = Path::parse(name)?;
    let mut partition = Vec::new();
    for raw in fields.into_iter().flat_map(|fields| fields.iter()) {
        expect(raw, Type::String, NAME, "partitionByFields")?;
        let part = raw.as_str().unwrap_or_default();
        if part == name || name.strip_prefix(part).is_some_and(|rest| rest.starts_with('.')) {
            let message = format!(
                "partitionByFields '{part}' cannot include field '{name}' that is being densified."
            );
            return Err(Error::location(8_993_000, message));
        }
        partition.push(Path::parse(part)?);
    }
    let range = range.ok_or_else(|| missing_field(NAME, "range"))?;
    let (step, unit, bounds) = parse_range(range, !partition.is_empty())?;
    let values = context.scope.order().clone();
    Ok(vec![Arc::new(Densify { field, partition, values, step, unit, bounds })])
}

fn parse_range(range: Doc<'_>, partitioned: bool) -> Result<(Number, Option<Unit>, Bounds)> {
    const RANGE: &str = "$densify.range";
    let (mut step, mut unit, mut bounds) = (None, None, None);
    for element in range {
        match element.name {
            b"step" => {
                let number = Number::from_raw(element.value).ok_or_else(|| {
                    let found = element.value.kind.alias();
                    let what = "expected types '[long, int, decimal, double]'";
                    let message =
                        format!("BSON field '{RANGE}.step' is the wrong type '{found}', {what}");
                    Error::new(Code::TYPE_MISMATCH, message)
                })?;
                step = Some(number);
            }
            b"unit" => {
                expect(element.value, Type::String, RANGE, "unit")?;
                let name = element.value.as_str().unwrap_or_default();
                unit = Some(Unit::parse(name).ok_or_else(|| unknown_unit(name))?);
            }
            b"bounds" => bounds = Some(element.value),
            _ => return Err(unknown_field(RANGE, element.name_str())),
        }
    }
    let step = step.ok_or_else(|| missing_field(RANGE, "step"))?;
    let bounds = bounds.ok_or_else(|| missing_field(RANGE, "bounds"))?;
    if !step.compare(Number::Int32(0)).is_gt() {
        let message =
            "The step parameter in a range statement must be a strictly positive numeric value";
        return Err(Error::location(5_733_401, message));
    }
    if unit.is_some() && step.to_i64_exact().is_none() {
        let message = "The step parameter in a range statement must be a whole number when densifying a date range";
        return Err(Error::location(6_586_400, message));
    }
    let bounds = match (bounds.as_str(), bounds.as_array()) {
        (Some("full"), _) => Bounds::Full,
        (Some("partition"), _) if partitioned => Bounds::Partition,
        (Some("partition"), _) => {
            let message = "One cannot specify the bounds as 'partition' without specifying a non-empty array of \
                           partitionByFields. You may have meant to specify 'full' bounds.";
            return Err(Error::location(5_733_408, message));
        }
        (Some(_), _) => {
            return Err(Error::location(
                5_946_802,
                "Bounds string must either be 'full' or 'partition'",
            ));
        }
        (None, Some(array)) => {
            let values: Vec<Raw<'_>> = array.iter().collect();
            let [low, high] = values[..] else {
                let message =
                    "A bounding array in a range statement must have exactly two elements";
                return Err(Error::location(5_733_403, message));
            };
            check_pair(low, high, unit)?;
            Bounds::Between(Value::owned(low.kind, low.data), Value::owned(high.kind, high.data))
        }
        (None, None) => {
            let message = "The bounds in a range statement must be the string 'full' or 'partition' or an ascending array of two numbers or two dates";
            return Err(Error::location(5_733_409, message));
        }
    };
    Ok((step, unit, bounds))
}

fn check_pair(low: Raw<'_>, high: Raw<'_>, unit: Option<Unit>) -> Result<()> {
    if canonical_class(low.kind) != canonical_class(high.kind)
        || !(low.kind.is_number() || low.kind == Type::Date)
    {
        let message = "A bounding array must contain either both dates or both numeric types";
        return Err(Error::location(5_733_406, message));
    }
    if low.kind == Type::Date && unit.is_none() {
        return Err(Error::location(5_733_410, "A bounding array of dates must specify a unit"));
    }
    if low.kind != Type::Date && unit.is_some() {
        return Err(Error::location(5_733_409, "Numeric bounds may not have unit parameter"));
    }
    if compare_values(&low.into(), &high.into()).is_gt() {
        let message =
            "A bounding array must be an ascending array of either two dates or two numbers";
        return Err(Error::location(5_733_402, message));
    }
    Ok(())
}

impl StageSpec for Densify {
    fn name(&self) -> &'static str {
        NAME
    }

    fn start(self: Arc<Self>, source: Box<dyn Stage>) -> Box<dyn Stage> {
        Box::new(Densifying { spec: self, source: Some(source), given: VecDeque::new(), run: None })
    }
}

/// A document with the encoded key of its partition and the value of its field.
struct Entry {
    partition: Vec<u8>,
    key: Vec<u8>,
    value: Value<'static>,
    doc: DocBuf,
}

struct Densifying {
    spec: Arc<Densify>,
    source: Option<Box<dyn Stage>>,
    /// Documents without a value, which are passed on first.
    given: VecDeque<DocBuf>,
    run: Option<Run>,
}

/// The walk over the sorted documents.
struct Run {
    entries: VecDeque<Entry>,
    /// The smallest and largest value of all documents.
    extent: Option<(Value<'static>, Value<'static>)>,
    generated: usize,
    current: Option<Current>,
}

/// The partition in which the walk is.
struct Current {
    partition: Vec<u8>,
    /// The partition's fields, as a document that generated ones are made from.
    base: DocBuf,
    /// The value to generate next.
    next: Value<'static>,
    /// Up to where, and whether that value itself is generated.
    end: (Value<'static>, bool),
}

impl Densify {
    fn collect(
        &self,
        mut source: Box<dyn Stage>,
        env: &dyn Environment,
    ) -> Result<(VecDeque<DocBuf>, Run)> {
        let mut given = VecDeque::new();
        let mut entries = Vec::new();
        let mut bytes = 0;
        while let Some(doc) = source.next(env)? {
            bytes += doc.as_doc().as_bytes().len() + size_of::<Entry>();
            if bytes > STAGE_MEMORY_BYTES_MAX {
                let message = "$densify exceeded memory limit of 104857600";
                return Err(Error::location(6_007_200, message));
            }
            let value = self.field.of_doc(doc.as_doc()).into_owned();
            if value.is_nullish() {
                given.push_back(doc);
                continue;
            }
            self.check(&value)?;
            let mut entry = Entry { partition: Vec::new(), key: Vec::new(), value, doc };
            for path in &self.partition {
                let part = path.of_doc(entry.doc.as_doc());
                let raw = part.raw().unwrap_or(Raw::NULL);
                self.values.append_key(raw, Direction::Ascending, &mut entry.partition);
            }
            key::append(&mut entry.key, entry.value.raw().unwrap_or(Raw::NULL));
            entries.push(entry);
        }
        entries.sort_by(|a, b| a.key.cmp(&b.key));
        let extent = entries
            .first()
            .zip(entries.last())
            .map(|(low, high)| (low.value.clone(), high.value.clone()));
        entries.sort_by(|a, b| a.partition.cmp(&b.partition));
        let mut run = Run { entries: entries.into(), extent, generated: 0, current: None };
        if let (Bounds::Between(..), true, true) =
            (&self.bounds, run.entries.is_empty(), self.partition.is_empty())
        {
            run.current = self.begin(&run, Vec::new(), DocBuf::new(), None);
        }
        Ok((given, run))
    }

    fn check(&self, value: &Value<'_>) -> Result<()> {
        match (value.kind(), self.unit) {
            (Some(Type::Date), None) => {
                let what = "Encountered date densify value in collection when step does not have a date unit.";
                Err(Error::location(6_053_600, what))
            }
            (Some(Type::Date), Some(_)) => Ok(()),
            (Some(kind), None) if kind.is_number() => Ok(()),
            (Some(kind), Some(_)) if kind.is_number() => {
                let what =
                    "Encountered numeric densify value in collection when step has a date unit.";
                Err(Error::location(6_053_600, what))
            }
            _ => Err(Error::location(5_733_201, "Densify field type must be numeric or a date")),
        }
    }

    /// The value one step further.
    fn step(&self, value: &Value<'_>) -> Result<Value<'static>> {
        match (value.view(), self.unit) {
            (Some(View::Date(ms)), Some(unit)) => {
                Ok(Value::date(add(ms, unit, self.step.to_i64_saturating(), &Zone::Utc)?))
            }
            _ => Ok(Number::from_value(value)
                .map_or(Value::NULL, |number| number.add(self.step).to_value())),
        }
    }

    /// The start of a partition whose first value is `first`.
    fn begin(
        &self,
        run: &Run,
        partition: Vec<u8>,
        base: DocBuf,
        first: Option<&Entry>,
    ) -> Option<Current> {
        let (next, end) = match &self.bounds {
            Bounds::Between(low, high) => (low.clone(), (high.clone(), false)),
            Bounds::Full => {
                let (low, high) = run.extent.clone()?;
                (low, (high, true))
            }
            Bounds::Partition => {
                let last =
                    run.entries.iter().take_while(|entry| entry.partition == partition).last();
                let high = last.or(first)?.value.clone();
                (first?.value.clone(), (high, true))
            }
        };
        Some(Current { partition, base, next, end })
    }

    /// The fields that a generated document shares with its partition.
    fn base(&self, doc: Doc<'_>) -> DocBuf {
        let mut base = DocBuf::new();
        for path in &self.partition {
            if let Some(raw) = nested::get(doc, path) {
                base = nested::set(base.as_doc(), path, Some(raw));
            }
        }
        base
    }
}

impl Current {
    /// Whether the next value is still to be generated, below `limit` if there is one.
    fn has_next(&self, limit: Option<&Value<'_>>) -> bool {
        let order = compare_values(&self.next, &self.end.0);
        let within = order.is_lt() || (order.is_eq() && self.end.1);
        within && limit.is_none_or(|limit| compare_values(&self.next, limit).is_lt())
    }
}

impl Run {
    fn next(&mut self, spec: &Densify) -> Result<Option<DocBuf>> {
        loop {
            let front = self.entries.front();
            let same = front
                .zip(self.current.as_ref())
                .is_some_and(|(entry, current)| entry.partition == current.partition);
            if let Some(current) = &mut self.current {
                let limit = front.filter(|_| same).map(|entry| &entry.value);
                if current.has_next(limit) {
                    let doc = nested::set(current.base.as_doc(), &spec.field, current.next.raw());
                    current.next = spec.step(&current.next)?;
                    self.generated += 1;
                    if self.generated > GENERATED_MAX {
                        let made = self.generated;
                        let message = format!(
                            "Generated {made} documents in $densify, which is over the limit of {GENERATED_MAX}. Increase the \
                             'internalQueryMaxAllowedDensifyDocs' parameter to allow more generated documents"
                        );
                        return Err(Error::location(5_897_900, message));
                    }
                    return Ok(Some(doc));
                }
            }
            let Some(entry) = front else { return Ok(None) };
            if !same {
                let base = spec.base(entry.doc.as_doc());
                self.current = spec.begin(self, entry.partition.clone(), base, Some(entry));
                continue;
            }
            let Some(entry) = self.entries.pop_front() else { return Ok(None) };
            if let Some(current) = &mut self.current
                && compare_values(&current.next, &entry.value).is_eq()
            {
                current.next = spec.step(&current.next)?;
            }
            return Ok(Some(entry.doc));
        }
    }
}

impl Stage for Densifying {
    fn next(&mut self, env: &dyn Environment) -> Result<Option<DocBuf>> {
        env.check()?;
        if let Some(source) = self.source.take() {
            let (given, run) = self.spec.collect(source, env)?;
            self.given = given;
            self.run = Some(run);
        }
        if let Some(doc) = self.given.pop_front() {
            return Ok(Some(doc));
        }
        match &mut self.run {
            Some(run) => run.next(&self.spec),
            None => Ok(None),
        }
    }
}
