//! `$setWindowFields`: fields computed over a window of documents around each, within partitions and an order.
//!
//! The documents are sorted by partition and `sortBy`. Outputs that look at no later document are computed while they come;
//! else one partition after the other is taken, and every output is computed for the whole of it. What memory has no room for goes to the disk: documents, partitions and results.

mod bounds;
mod column;
mod flow;
mod function;
mod series;
mod syntax;

use std::sync::Arc;

use super::{Parsed, StageSpec, nested};
use crate::aggregate::expressions::{Expression, Path, Scope};
use crate::aggregate::pipeline::{Context, expect, missing_field, unknown_field};
use crate::bson::key::Direction;
use crate::bson::{ArrayWriter, Doc, DocBuf, DocWriter, Number, Raw, Type, Value};
use crate::collation::ValueOrder;
use crate::error::{Code, Error, Result};
use crate::profile::{held, is_noted};
use crate::query::exec::{Environment, Stage};
use crate::query::sequence::{Chunk, Sequence};
use crate::query::sort::{SortPattern, Sorted, Sorter};

use column::Column;
use flow::Flow;
use function::Function;

const NAME: &str = "$setWindowFields";

#[derive(Debug)]
pub(super) struct WindowFields {
    partition: Option<Expression>,
    /// How values that partition compare.
    values: ValueOrder,
    order: Option<Order>,
    outputs: Vec<(Path, Function)>,
    /// Whether no output needs more of a partition than what has come of it.
    flows: bool,
}

/// The `sortBy`.
#[derive(Debug)]
pub(super) struct Order {
    pattern: SortPattern,
    /// The field, where there is only one, and whether it ascends.
    only: Option<(Path, bool)>,
}

impl Order {
    fn parse(spec: Doc<'_>, scope: &Scope) -> Result<Order> {
        let pattern = SortPattern::parse(spec)?.with_collation(scope.collation().cloned());
        let mut fields = spec.iter();
        let only = match (fields.next(), fields.next()) {
            (Some(field), None) if Number::from_raw(field.value).is_some() => {
                let ascends = Number::from_raw(field.value).is_some_and(|n| n.to_f64() > 0.0);
                Some((Path::parse(field.name_str())?, ascends))
            }
            _ => None,
        };
        Ok(Order { pattern, only })
    }

    /// The field, where there is only one.
    fn only(&self) -> Option<&Path> {
        self.only.as_ref().map(|(path, _)| path)
    }
}

pub(super) fn parse(raw: Raw<'_>, context: &mut Context<'_>) -> Result<Parsed> {
    let Some(doc) = raw.as_doc() else {
        let found = raw.kind.alias();
        let message = format!("the {NAME} stage specification must be an object, found {found}");
        return Err(Error::new(Code::FAILED_TO_PARSE, message));
    };
    let (mut partition, mut order, mut output) = (None, None, None);
    for element in doc {
        match element.name {
            b"partitionBy" => partition = Some(element.value),
            b"sortBy" => {
                expect(element.value, Type::Document, NAME, "sortBy")?;
                order = element.value.as_doc();
            }
            b"output" => {
                expect(element.value, Type::Document, NAME, "output")?;
                output = element.value.as_doc();
            }
            _ => return Err(unknown_field(NAME, element.name_str())),
        }
    }
    let output = output.ok_or_else(|| missing_field(NAME, "output"))?;
    let partition = partition.map(|raw| Expression::parse(raw, context.scope)).transpose()?;
    let order = order.map(|spec| Order::parse(spec, context.scope)).transpose()?;
    let mut outputs = Vec::new();
    for element in output {
        let function = Function::parse(element, order.as_ref(), context.scope)?;
        outputs.push((Path::parse(element.name_str())?, function));
    }
    check_conflicts(&outputs)?;
    Ok(vec![Arc::new(WindowFields::of(partition, order, outputs, context.scope))])
}

/// Refuses two outputs of which one stands inside of the other.
fn check_conflicts(outputs: &[(Path, Function)]) -> Result<()> {
    let mut paths: Vec<Vec<&[u8]>> =
        outputs.iter().map(|(path, _)| path.names().collect()).collect();
    paths.sort_unstable();
    if paths.windows(2).any(|pair| pair[1].starts_with(&pair[0])) {
        let message = format!("{NAME} 'output' specification contains two conflicting paths");
        return Err(Error::location(6_307_900, message));
    }
    Ok(())
}

/// Checks a `sortBy`, whether or not anything needs an order.
///
/// # Errors
/// Those of a sort pattern.
pub(super) fn check_order(order: Option<Doc<'_>>, scope: &Scope) -> Result<()> {
    order.map_or(Ok(()), |spec| Order::parse(spec, scope).map(drop))
}

impl WindowFields {
    /// The stage with its parts given, for `$fill`.
    pub(super) fn new(
        partition: Option<Expression>,
        order: Option<Doc<'_>>,
        outputs: Vec<(Path, Function)>,
        scope: &Scope,
    ) -> Result<WindowFields> {
        let order = order.map(|spec| Order::parse(spec, scope)).transpose()?;
        Ok(WindowFields::of(partition, order, outputs, scope))
    }

    fn of(
        partition: Option<Expression>,
        order: Option<Order>,
        outputs: Vec<(Path, Function)>,
        scope: &Scope,
    ) -> WindowFields {
        let flows = scope.rewrites() && outputs.iter().all(|(_, function)| flow::flows(function));
        WindowFields { partition, values: scope.order().clone(), order, outputs, flows }
    }

    /// Whether it computes anything.
    pub(super) fn has_outputs(&self) -> bool {
        !self.outputs.is_empty()
    }
}

pub(super) use function::Function as WindowFunction;

impl StageSpec for WindowFields {
    fn name(&self) -> &'static str {
        NAME
    }

    fn start(self: Arc<Self>, source: Box<dyn Stage>) -> Box<dyn Stage> {
        Box::new(Running {
            spec: self,
            source: Some(source),
            sorted: None,
            next: None,
            current: None,
            flowing: None,
        })
    }
}

struct Running {
    spec: Arc<WindowFields>,
    source: Option<Box<dyn Stage>>,
    /// All documents in the order of partition and place.
    sorted: Option<Sorted>,
    /// The first document of the next partition, with its key.
    next: Option<(Vec<u8>, DocBuf)>,
    current: Option<Partition>,
    /// The key of the partition that comes, and what its outputs have come to.
    flowing: Option<(Vec<u8>, Vec<Flow>)>,
}

impl WindowFields {
    /// Sorts the documents, on the disk if they do not fit into memory.
    fn sort(&self, mut source: Box<dyn Stage>, env: &dyn Environment) -> Result<Sorted> {
        let mut sorter = Sorter::new(None, env.stage_bytes_max()).with_folder(env.spill_folder());
        let mut key = Vec::new();
        source.each(env, &mut |doc| {
            self.partition_key(doc, &mut key)?;
            if let Some(order) = &self.order {
                order.pattern.write_key(doc, &mut key)?;
            }
            sorter.push(&key, doc)
        })?;
        sorter.finish()
    }

    fn partition_key(&self, doc: Doc<'_>, key: &mut Vec<u8>) -> Result<()> {
        key.clear();
        let Some(partition) = &self.partition else { return Ok(()) };
        let value = partition.evaluate(doc)?;
        if value.kind() == Some(Type::Array) {
            let message = "An expression used to partition cannot evaluate to value of type array";
            return Err(Error::new(Code::TYPE_MISMATCH, message));
        }
        let raw = value.raw().filter(|raw| raw.kind != Type::Undefined).unwrap_or(Raw::NULL);
        self.values.append_key(raw, Direction::Ascending, key);
        Ok(())
    }

    fn compute(&self, docs: Sequence, env: &dyn Environment) -> Result<Partition> {
        let bytes_max = env.stage_bytes_max() / self.outputs.len().max(1);
        let mut columns = Vec::with_capacity(self.outputs.len());
        for (path, function) in &self.outputs {
            let mut column = Column::new(bytes_max, env.spill_folder());
            function.compute(&docs, self.order.as_ref(), &mut column, env)?;
            if is_noted() {
                held(&path.dotted(), column.bytes());
            }
            columns.push((column, Chunk::default()));
        }
        Ok(Partition { docs, chunk: Chunk::default(), columns, at: 0 })
    }
}

/// A partition whose outputs are known.
struct Partition {
    docs: Sequence,
    chunk: Chunk,
    columns: Vec<(Column, Chunk)>,
    /// The document to give next.
    at: usize,
}

impl Partition {
    /// The next document with its outputs.
    fn next(&mut self, spec: &WindowFields) -> Result<Option<DocBuf>> {
        let Some(doc) = self.docs.get(self.at, &mut self.chunk)? else { return Ok(None) };
        let mut finished: Option<DocBuf> = None;
        for ((path, _), (column, chunk)) in spec.outputs.iter().zip(&mut self.columns) {
            let value = column.get(self.at, chunk)?;
            let doc = finished.as_ref().map_or(doc, DocBuf::as_doc);
            finished = Some(with_output(doc, path, value));
        }
        self.at += 1;
        Ok(Some(finished.unwrap_or_else(|| doc.to_buf())))
    }
}

/// A document with the value of an output.
fn with_output(doc: Doc<'_>, path: &Path, value: Option<Raw<'_>>) -> DocBuf {
    if path.names().len() == 1 {
        return set_field(doc, path, value);
    }
    let names: Vec<&[u8]> = path.names().collect();
    let mut out = DocWriter::new();
    write_path(&mut out, doc, &names, value);
    out.finish()
}

/// Writes a document with a value at a path, as `$addFields` does: in an array it stands in each element.
fn write_path(out: &mut DocWriter, doc: Doc<'_>, names: &[&[u8]], value: Option<Raw<'_>>) {
    let Some((name, rest)) = names.split_first() else { return };
    let mut found = false;
    for element in doc {
        if element.name != *name {
            out.raw_bytes(element.name, element.value);
            continue;
        }
        found = true;
        if let Some(value) = at_path(element.value, rest, value) {
            out.raw_bytes(name, value.raw().unwrap_or(Raw::NULL));
        }
    }
    if !found && let Some(new) = at_path(Raw::NULL, rest, value) {
        out.raw_bytes(name, new.raw().unwrap_or(Raw::NULL));
    }
}

/// The value that stands where `old` stood when `value` is set at a path inside of it.
fn at_path<'a>(old: Raw<'_>, names: &[&[u8]], value: Option<Raw<'a>>) -> Option<Value<'a>> {
    if names.is_empty() {
        return value.map(Value::from);
    }
    if let Some(array) = old.as_array() {
        let mut out = ArrayWriter::new();
        for element in array.iter() {
            if let Some(new) = at_path(element, names, value) {
                out.raw(new.raw().unwrap_or(Raw::NULL));
            }
        }
        return Some(Value::array(out.into_bytes()));
    }
    let mut out = DocWriter::new();
    write_path(&mut out, old.as_doc().unwrap_or(Doc::EMPTY), names, value);
    Some(Value::doc(out.finish()))
}

/// The document with a field set in its place, or at the end.
fn set_field(doc: Doc<'_>, path: &Path, value: Option<Raw<'_>>) -> DocBuf {
    if path.names().next().is_some_and(|name| doc.get_bytes(name).is_some()) {
        return nested::set(doc, path, value);
    }
    let mut out = DocWriter::append_to(Vec::with_capacity(doc.as_bytes().len() + 32));
    out.extend(doc);
    if let (Some(name), Some(raw)) = (path.names().next(), value) {
        out.raw_bytes(name, raw);
    }
    out.finish()
}

impl Running {
    /// The next document of the order, with its key.
    fn pull(&mut self) -> Result<Option<(Vec<u8>, DocBuf)>> {
        self.sorted.as_mut().and_then(Sorted::next_with_key).transpose()
    }

    /// The next document with outputs that look at none behind it.
    fn next_flowing(&mut self, env: &dyn Environment) -> Result<Option<DocBuf>> {
        env.check()?;
        let Some((key, doc)) = self.pull()? else { return Ok(None) };
        let (spec, doc) = (&self.spec, doc.as_doc());
        // No key is the beginning of another one: what begins with the partition's key is of the partition.
        if !self.flowing.as_ref().is_some_and(|(partition, _)| key.starts_with(partition)) {
            let mut partition = Vec::new();
            spec.partition_key(doc, &mut partition)?;
            let flows = spec.outputs.iter().map(|(_, function)| Flow::begin(function));
            self.flowing = Some((partition, flows.collect::<Result<_>>()?));
        }
        let flows = self.flowing.iter_mut().flat_map(|(_, flows)| flows);
        let mut finished: Option<DocBuf> = None;
        for ((path, function), flow) in spec.outputs.iter().zip(flows) {
            let value = flow.next(function, spec.order.as_ref(), doc)?;
            let doc = finished.as_ref().map_or(doc, DocBuf::as_doc);
            finished = Some(with_output(doc, path, value.raw()));
        }
        Ok(Some(finished.unwrap_or_else(|| doc.to_buf())))
    }

    /// The documents of the next partition.
    fn partition(&mut self, env: &dyn Environment) -> Result<Option<Sequence>> {
        let first = match self.next.take() {
            Some(first) => Some(first),
            None => self.pull()?,
        };
        let Some((_, doc)) = first else { return Ok(None) };
        // No key is the beginning of another one: what begins with the partition's key is of the partition.
        let mut partition = Vec::new();
        self.spec.partition_key(doc.as_doc(), &mut partition)?;
        let mut docs = Sequence::new(env.stage_bytes_max(), env.spill_folder());
        docs.push(doc)?;
        while let Some((other, doc)) = self.pull()? {
            env.check()?;
            if !other.starts_with(&partition) {
                self.next = Some((other, doc));
                break;
            }
            docs.push(doc)?;
            if docs.is_too_large() {
                let max = env.stage_bytes_max();
                let what = "but didn't allow external spilling. Pass allowDiskUse:true to opt in.";
                let message = format!("Exceeded memory limit of {max} bytes for {NAME}, {what}");
                return Err(Error::new(
                    Code::QUERY_EXCEEDED_MEMORY_LIMIT_NO_DISK_USE_ALLOWED,
                    message,
                ));
            }
        }
        Ok(Some(docs))
    }
}

impl Stage for Running {
    fn next(&mut self, env: &dyn Environment) -> Result<Option<DocBuf>> {
        if let Some(source) = self.source.take() {
            self.sorted = Some(self.spec.sort(source, env)?);
        }
        if self.spec.flows {
            return self.next_flowing(env);
        }
        loop {
            env.check()?;
            if let Some(partition) = &mut self.current
                && let Some(doc) = partition.next(&self.spec)?
            {
                return Ok(Some(doc));
            }
            let Some(docs) = self.partition(env)? else { return Ok(None) };
            self.current = Some(self.spec.compute(docs, env)?);
        }
    }
}
