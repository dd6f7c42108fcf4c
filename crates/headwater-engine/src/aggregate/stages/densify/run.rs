//! Running `$densify`: the documents come sorted and are given on, each behind those that fill the gap before it.
//!
//! Each partition has a place: the value that it is to have next. With the bounds `full` all partitions are met at once,
//! in the order of the field; otherwise one follows the other. What is missing at their ends comes last.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::nested;
use super::{Bounds, Densify, NAME};
use crate::aggregate::expressions::date::add::add;
use crate::aggregate::expressions::date::zone::Zone;
use crate::bson::key::Direction;
use crate::bson::{Doc, DocBuf, Number, Raw, Type, Value, View, compare_values};
use crate::error::{Error, Result};
use crate::limits::STAGE_MEMORY_BYTES_MAX;
use crate::query::exec::{Environment, Stage};
use crate::query::sort::{Sorted, Sorter};

/// Most documents that one stage makes.
const GENERATED_MAX: usize = 500_000;

pub(super) struct Densifying {
    spec: Arc<Densify>,
    source: Option<Box<dyn Stage>>,
    /// All documents in order.
    sorted: Option<Sorted>,
    /// By the encoded values of a partition, which of the places is its.
    partitions: HashMap<Vec<u8>, usize>,
    places: Vec<Place>,
    bytes: usize,
    /// The smallest and the largest value so far.
    extent: Option<(Value<'static>, Value<'static>)>,
    /// The document that is given on when what is missing before it has been made.
    coming: Option<Coming>,
    /// At the end, the place whose rest is made.
    ending: usize,
    generated: usize,
}

/// How far a partition is.
struct Place {
    /// The partition's fields, as a document that others are made from.
    base: DocBuf,
    next: Value<'static>,
}

struct Coming {
    doc: DocBuf,
    value: Value<'static>,
    base: DocBuf,
    place: usize,
}

impl Densify {
    /// Sorts the documents, on the disk if they do not fit into memory.
    fn sort(&self, mut source: Box<dyn Stage>, env: &dyn Environment) -> Result<Sorted> {
        let mut sorter = Sorter::new(None, env.stage_bytes_max()).with_folder(env.spill_folder());
        let mut key = Vec::new();
        source.each(env, &mut |doc| {
            key.clear();
            self.order.write_key(doc, &mut key)?;
            sorter.push(&key, doc)
        })?;
        sorter.finish()
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
        self.moved(value, self.step)
    }

    /// The value one step back and one forward again: in the step's type, and of dates another day where a month is short.
    fn back_and_forth(&self, value: &Value<'_>) -> Result<Value<'static>> {
        self.step(&self.moved(value, self.step.neg())?)
    }

    fn moved(&self, value: &Value<'_>, by: Number) -> Result<Value<'static>> {
        match (value.view(), self.unit) {
            (Some(View::Date(ms)), Some(unit)) => {
                Ok(Value::date(add(ms, unit, by.to_i64_saturating(), &Zone::Utc)?))
            }
            _ => {
                Ok(Number::from_value(value)
                    .map_or(Value::NULL, |number| number.add(by).to_value()))
            }
        }
    }

    /// The encoded values that a document's partition has; what is missing is not null.
    fn partition(&self, doc: Doc<'_>) -> Vec<u8> {
        let mut key = Vec::new();
        for path in &self.partition {
            let value = nested::get(doc, path);
            key.push(u8::from(value.is_some()));
            self.values.append_key(value.unwrap_or(Raw::NULL), Direction::Ascending, &mut key);
        }
        key
    }

    /// The fields that a made document shares with its partition.
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

impl Densifying {
    pub(super) fn new(spec: Arc<Densify>, source: Box<dyn Stage>) -> Densifying {
        Densifying {
            spec,
            source: Some(source),
            sorted: None,
            partitions: HashMap::new(),
            places: Vec::new(),
            bytes: 0,
            extent: None,
            coming: None,
            ending: 0,
            generated: 0,
        }
    }

    fn begin(&mut self, key: Vec<u8>, place: Place) -> Result<usize> {
        let held = place.base.as_doc().as_bytes().len() + size_of::<Place>();
        self.bytes += key.len() + size_of::<(Vec<u8>, usize)>() + held;
        if self.bytes > STAGE_MEMORY_BYTES_MAX {
            let message = format!("{NAME} exceeded memory limit of {STAGE_MEMORY_BYTES_MAX}");
            return Err(Error::location(6_007_200, message));
        }
        self.partitions.insert(key, self.places.len());
        self.places.push(place);
        Ok(self.places.len() - 1)
    }

    /// Takes the next document of the order; what need not wait for others is given on.
    fn take(&mut self, doc: DocBuf) -> Result<Option<DocBuf>> {
        let spec = Arc::clone(&self.spec);
        let value: Value<'_> = nested::get(doc.as_doc(), &spec.field).into();
        if value.is_nullish() {
            return Ok(Some(doc));
        }
        spec.check(&value)?;
        let value = value.into_owned();
        let least = match self.extent.take() {
            Some((least, _)) => least,
            None => value.clone(),
        };
        self.extent = Some((least.clone(), value.clone()));
        let key = spec.partition(doc.as_doc());
        let base = spec.base(doc.as_doc());
        let place = match self.partitions.get(&key) {
            Some(place) => *place,
            None => {
                // As in MongoDB, which looks one step ahead of the first document of all.
                let near = matches!(spec.bounds, Bounds::Full)
                    && compare_values(&value, &least).is_gt()
                    && compare_values(&value, &spec.step(&least)?).is_le();
                let next = match &spec.bounds {
                    Bounds::Between(low, _) => low.clone(),
                    Bounds::Full if near || self.places.is_empty() => least.clone(),
                    // As in MongoDB, where other partitions begin one step before the least value of all.
                    Bounds::Full => spec.back_and_forth(&least)?,
                    Bounds::Partition => value.clone(),
                };
                let place = self.begin(key, Place { base: base.clone(), next })?;
                if near {
                    return Ok(Some(doc));
                }
                place
            }
        };
        self.coming = Some(Coming { doc, value, base, place });
        Ok(None)
    }

    /// The next document that is missing before the one that is coming.
    fn gap(&mut self) -> Result<Option<DocBuf>> {
        let Some(coming) = &self.coming else { return Ok(None) };
        let Some(place) = self.places.get_mut(coming.place) else { return Ok(None) };
        let below = |high: &Value<'_>| compare_values(&place.next, high).is_lt();
        let within = match &self.spec.bounds {
            Bounds::Between(_, high) => below(high),
            Bounds::Full | Bounds::Partition => true,
        };
        if !(within && below(&coming.value)) {
            return Ok(None);
        }
        let base = coming.base.as_doc();
        make(&self.spec, &mut place.next, base, &mut self.generated).map(Some)
    }

    /// The next document that is missing at the end of a partition.
    fn end(&mut self) -> Result<Option<DocBuf>> {
        while let Some(place) = self.places.get_mut(self.ending) {
            let within = match (&self.spec.bounds, &self.extent) {
                (Bounds::Between(_, high), _) => compare_values(&place.next, high).is_lt(),
                (Bounds::Full, Some((_, high))) => compare_values(&place.next, high).is_le(),
                _ => false,
            };
            if within {
                let base = place.base.clone();
                let made = make(&self.spec, &mut place.next, base.as_doc(), &mut self.generated);
                return made.map(Some);
            }
            self.ending += 1;
        }
        Ok(None)
    }
}

/// A document with the next value of a partition, which goes on by a step.
fn make(
    spec: &Densify,
    next: &mut Value<'static>,
    base: Doc<'_>,
    generated: &mut usize,
) -> Result<DocBuf> {
    let doc = nested::set(base, &spec.field, next.raw());
    *next = spec.step(next)?;
    *generated += 1;
    if *generated > GENERATED_MAX {
        let message = format!(
            "Generated {generated} documents in $densify, which is over the limit of {GENERATED_MAX}. Increase the \
             'internalQueryMaxAllowedDensifyDocs' parameter to allow more generated documents"
        );
        return Err(Error::location(5_897_900, message));
    }
    Ok(doc)
}

impl Stage for Densifying {
    fn next(&mut self, env: &dyn Environment) -> Result<Option<DocBuf>> {
        if let Some(source) = self.source.take() {
            self.sorted = Some(self.spec.sort(source, env)?);
        }
        loop {
            env.check()?;
            if let Some(made) = self.gap()? {
                return Ok(Some(made));
            }
            if let Some(coming) = self.coming.take() {
                if let Some(place) = self.places.get_mut(coming.place)
                    && compare_values(&place.next, &coming.value).is_eq()
                {
                    // Goes on in the type of the document's own value.
                    place.next = self.spec.step(&coming.value)?;
                }
                return Ok(Some(coming.doc));
            }
            match self.sorted.as_mut().and_then(Iterator::next).transpose()? {
                Some(doc) => {
                    if let Some(given) = self.take(doc)? {
                        return Ok(Some(given));
                    }
                }
                None => {
                    self.sorted = None;
                    if let (Bounds::Between(low, _), true, true) =
                        (&self.spec.bounds, self.spec.partition.is_empty(), self.places.is_empty())
                    {
                        let place = Place { base: DocBuf::new(), next: low.clone() };
                        self.begin(Vec::new(), place)?;
                    }
                    return self.end();
                }
            }
        }
    }
}
