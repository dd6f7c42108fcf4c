//! `$graphLookup`: follows a field through the documents of another collection, breadth first.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{Parsed, StageSpec, nested};
use crate::aggregate::expressions::{Expression, Path, document_text};
use crate::aggregate::pipeline::Context;
use crate::bson::{Array, ArrayWriter, Doc, DocBuf, DocWriter, Number, Raw, Type, Value};
use crate::collation::ValueOrder;
use crate::error::{Code, Error, Result};
use crate::interrupt::spend;
use crate::limits::STAGE_MEMORY_BYTES_MAX;
use crate::query::exec::{Environment, Stage};
use crate::query::matcher::Matcher;

#[derive(Debug)]
struct GraphLookup {
    order: ValueOrder,
    db: Box<str>,
    from: Box<str>,
    start: Expression,
    connect_from: Path,
    connect_to: Box<str>,
    into: Path,
    depth_max: Option<i64>,
    depth_field: Option<Path>,
    restriction: DocBuf,
}

pub(super) fn survey(raw: Raw<'_>) -> Result<()> {
    let invalid = |message| Err(Error::new(Code::FAILED_TO_PARSE, message));
    let Some(doc) = raw.as_doc() else {
        let what = "the $graphLookup stage specification must be an object, but found";
        return invalid(format!("{what} {}", raw.kind.alias()));
    };
    match doc.get("from") {
        None => {
            let what = "missing 'from' option to $graphLookup stage specification:";
            invalid(format!("{what} {}", document_text(doc)))
        }
        Some(from) if from.as_str().is_none() => {
            let found = from.kind.alias();
            invalid(format!("$graphLookup 'from' field must be a string, but found {found}"))
        }
        Some(_) => Ok(()),
    }
}

pub(super) fn parse(raw: Raw<'_>, context: &mut Context<'_>) -> Result<Parsed> {
    survey(raw)?;
    let invalid = |message: String| Error::new(Code::FAILED_TO_PARSE, message);
    let Some(doc) = raw.as_doc() else {
        let found = raw.kind.alias();
        return Err(invalid(format!(
            "the $graphLookup stage specification must be an object, but found {found}"
        )));
    };
    let (mut from, mut start, mut connect_from, mut connect_to, mut into) =
        (None, None, None, None, None);
    let (mut depth_max, mut depth_field, mut restriction) = (None, None, DocBuf::new());
    for element in doc {
        let value = element.value;
        let (name, found) = (element.name_str(), value.kind.alias());
        let text = |code: i32| {
            value.as_str().ok_or_else(|| {
                Error::location(
                    code,
                    format!("$graphLookup '{name}' field must be a string, but found {found}"),
                )
            })
        };
        match name {
            "startWith" => start = Some(Expression::parse(value, context.scope)?),
            "maxDepth" => {
                let number = Number::from_raw(value).ok_or_else(|| {
                    Error::location(
                        40100,
                        format!("$graphLookup 'maxDepth' must be numeric, but found type: {found}"),
                    )
                })?;
                let depth = number.to_i64_exact().ok_or_else(|| {
                    Error::location(
                        40102,
                        "$graphLookup 'maxDepth' must be representable as a 64-bit integer",
                    )
                })?;
                if depth < 0 {
                    let message =
                        format!("$graphLookup 'maxDepth' must be nonnegative, but found: {depth}");
                    return Err(Error::location(40101, message));
                }
                depth_max = Some(depth);
            }
            "restrictSearchWithMatch" => {
                let filter = value.as_doc().ok_or_else(|| {
                    let message = format!("$graphLookup 'restrictSearchWithMatch' must be an object, but found {found}");
                    Error::location(40185, message)
                })?;
                Matcher::parse(filter, context.scope).map_err(|error| {
                    error.with_prefix("Failed to parse 'restrictSearchWithMatch' option to $graphLookup :: caused by :: ")
                })?;
                restriction = filter.to_buf();
            }
            "from" => {
                let message =
                    format!("$graphLookup 'from' field must be a string, but found {found}");
                from = Some(value.as_str().ok_or_else(|| invalid(message))?);
            }
            "connectFromField" => connect_from = Some(Path::parse(text(40103)?)?),
            "connectToField" => {
                let path = text(40103)?;
                Path::parse(path)?;
                connect_to = Some(path);
            }
            "as" => into = Some(Path::parse(text(40103)?)?),
            "depthField" => depth_field = Some(Path::parse(text(40103)?)?),
            _ => {
                return Err(Error::location(
                    40104,
                    format!(
                        "unknown argument to $graphLookup: BSON field '$graphLookup.{name}' is an unknown field."
                    ),
                ));
            }
        }
    }
    let (Some(from), Some(start), Some(connect_from), Some(connect_to), Some(into)) =
        (from, start, connect_from, connect_to, into)
    else {
        let needed = ["from", "as", "startWith", "connectFromField", "connectToField"];
        let missing = needed.iter().filter(|name| doc.get(name).is_none());
        let missing: Vec<String> = missing.map(|name| format!("'{name}'")).collect();
        let message = format!("$graphLookup is missing required field(s): {}", missing.join(", "));
        return Err(Error::location(40105, message));
    };
    Ok(vec![Arc::new(GraphLookup {
        order: context.scope.order().clone(),
        db: context.db.into(),
        from: from.into(),
        start,
        connect_from,
        connect_to: connect_to.into(),
        into,
        depth_max,
        depth_field,
        restriction,
    })])
}

impl StageSpec for GraphLookup {
    fn name(&self) -> &'static str {
        "$graphLookup"
    }

    fn start(self: Arc<Self>, source: Box<dyn Stage>) -> Box<dyn Stage> {
        Box::new(Following { spec: self, source })
    }
}

struct Following {
    spec: Arc<GraphLookup>,
    source: Box<dyn Stage>,
}

impl Stage for Following {
    fn next(&mut self, env: &dyn Environment) -> Result<Option<DocBuf>> {
        let Some(doc) = self.source.next(env)? else { return Ok(None) };
        let found = self.spec.find(doc.as_doc(), env)?;
        Ok(Some(nested::set(doc.as_doc(), &self.spec.into, found.raw())))
    }
}

/// What a value to look for costs beside its bytes.
const KEY_BYTES: usize = 128;

/// The values to look for next, each once.
struct Frontier<'o> {
    order: &'o ValueOrder,
    values: ArrayWriter,
    seen: HashSet<Vec<u8>>,
}

impl Frontier<'_> {
    fn add(&mut self, raw: Raw<'_>) -> Result<()> {
        spend(KEY_BYTES + raw.data.len())?;
        if self.seen.insert(self.order.key(raw)) {
            self.values.raw(raw);
        }
        Ok(())
    }

    /// Adds a value, or all values of an array.
    fn add_all(&mut self, value: &Value<'_>) -> Result<()> {
        match (value.as_array(), value.raw()) {
            (Some(array), _) => array.iter().try_for_each(|raw| self.add(raw)),
            (None, Some(raw)) => self.add(raw),
            (None, None) => Ok(()),
        }
    }

    /// Takes the new values as the bytes of an array, `None` if there are none.
    fn take(&mut self) -> Option<Vec<u8>> {
        let values = std::mem::take(&mut self.values);
        (!values.is_empty()).then(|| values.into_bytes())
    }
}

impl GraphLookup {
    fn filter(&self, values: &[u8]) -> DocBuf {
        let wanted = Raw { kind: Type::Array, data: values };
        let mut filter = DocWriter::new();
        filter.array("$and", |all| {
            all.document(|one| one.document(&self.connect_to, |values| values.raw("$in", wanted)));
            // A null is followed to nulls, not to documents without the field.
            if Array::trusted(values).iter().any(|value| value.kind == Type::Null) {
                all.document(|one| {
                    one.document(&self.connect_to, |field| field.bool("$exists", true))
                });
            }
            if !self.restriction.as_doc().is_empty() {
                all.doc(self.restriction.as_doc());
            }
        });
        filter.finish()
    }

    fn find(&self, doc: Doc<'_>, env: &dyn Environment) -> Result<Value<'static>> {
        let mut frontier =
            Frontier { order: &self.order, values: ArrayWriter::new(), seen: HashSet::new() };
        frontier.add_all(&self.start.evaluate(doc)?)?;
        let mut found: Vec<DocBuf> = Vec::new();
        let mut known: HashMap<Vec<u8>, ()> = HashMap::new();
        let mut bytes = 0;
        let mut depth: i64 = 0;
        while let Some(values) = frontier.take() {
            let filter = self.filter(&values);
            let mut source = env.open(&self.db, &self.from, filter.as_doc(), &self.order)?;
            while let Some(next) = source.next(env)? {
                let id = self.order.key(next.as_doc().get("_id").unwrap_or(Raw::NULL));
                if known.insert(id, ()).is_some() {
                    continue;
                }
                frontier.add_all(&self.connect_from.of_doc(next.as_doc()))?;
                let next = match &self.depth_field {
                    Some(field) => nested::set(next.as_doc(), field, Value::i64(depth).raw()),
                    None => next,
                };
                bytes += next.as_doc().as_bytes().len() + size_of::<DocBuf>();
                if bytes > STAGE_MEMORY_BYTES_MAX {
                    let message = "$graphLookup reached maximum memory consumption";
                    return Err(Error::location(40099, message));
                }
                found.push(next);
            }
            if self.depth_max.is_some_and(|most| depth >= most) {
                break;
            }
            depth += 1;
        }
        let mut array = ArrayWriter::new();
        found.iter().for_each(|doc| array.doc(doc.as_doc()));
        Ok(Value::array(array.into_bytes()))
    }
}
