//! Running a projection over a document.
//!
//! Fields that are in the document stay in its order; what is computed beside them follows in the order of the
//! specification, unless the whole document is kept, where a computed field takes the place of the old one.

use super::tree::{Field, Fields, Slice};
use crate::aggregate::expressions::{Frame, Metadata};
use crate::bson::{Array, ArrayWriter, Doc, DocWriter, Raw, Type};
use crate::error::{Error, Result};

/// What a run carries along.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run<'a> {
    /// The document that expressions look at.
    pub(super) root: Doc<'a>,
    /// What the positional `$` is about.
    pub(super) position: Position,
    /// What is known of the document beside its fields.
    pub(super) metadata: Option<&'a Metadata>,
}

/// Which element of an array the positional `$` keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    /// There is no `$`, or an array on the way has used it.
    Settled,
    /// Of the first array that is met; `None` if the filter matched no element.
    Asked(Option<u32>),
}

/// Where values go.
trait Sink {
    fn raw(&mut self, value: Raw<'_>);
    fn document(&mut self, fill: impl FnOnce(&mut DocWriter) -> Result<()>) -> Result<()>;
    fn array(&mut self, fill: impl FnOnce(&mut ArrayWriter) -> Result<()>) -> Result<()>;
}

struct Named<'w, 'n>(&'w mut DocWriter, &'n str);

impl Sink for Named<'_, '_> {
    fn raw(&mut self, value: Raw<'_>) {
        self.0.raw(self.1, value);
    }
    fn document(&mut self, fill: impl FnOnce(&mut DocWriter) -> Result<()>) -> Result<()> {
        self.0.document(self.1, fill)
    }
    fn array(&mut self, fill: impl FnOnce(&mut ArrayWriter) -> Result<()>) -> Result<()> {
        self.0.array(self.1, fill)
    }
}

impl Sink for ArrayWriter {
    fn raw(&mut self, value: Raw<'_>) {
        ArrayWriter::raw(self, value);
    }
    fn document(&mut self, fill: impl FnOnce(&mut DocWriter) -> Result<()>) -> Result<()> {
        ArrayWriter::document(self, fill)
    }
    fn array(&mut self, fill: impl FnOnce(&mut ArrayWriter) -> Result<()>) -> Result<()> {
        ArrayWriter::array(self, fill)
    }
}

/// Writes the fields of `doc` as `fields` says.
pub(super) fn document(
    fields: &Fields,
    doc: Doc<'_>,
    run: &Run<'_>,
    out: &mut DocWriter,
) -> Result<()> {
    if !fields.computes {
        return kept(fields, doc, run, out);
    }
    let mut done = vec![false; fields.children.len()];
    for element in doc {
        let Some((at, field)) = fields.child(element.name) else {
            if fields.keep_rest {
                out.raw_bytes(element.name, element.value);
            }
            continue;
        };
        if field.computes() {
            let here = fields.keep_rest || matches!(field, Field::Nested(_));
            if !here || done.get(at).copied().unwrap_or(false) {
                continue;
            }
        }
        if let Some(done) = done.get_mut(at) {
            *done = true;
        }
        let name = element.name_str();
        found(field, name, element.value, run, &mut Named(out, name))?;
    }
    for ((name, field), done) in fields.children.iter().zip(done) {
        if !done && field.computes() {
            computed(field, name, run, out)?;
        }
    }
    Ok(())
}

/// As [`document`] where nothing is computed.
fn kept(fields: &Fields, doc: Doc<'_>, run: &Run<'_>, out: &mut DocWriter) -> Result<()> {
    let mut left = fields.children.len();
    for element in doc {
        let Some((_, field)) = fields.child(element.name) else {
            if fields.keep_rest {
                out.raw_bytes(element.name, element.value);
            }
            continue;
        };
        match field {
            Field::Keep => out.raw_bytes(element.name, element.value),
            Field::Drop => {}
            _ => {
                let name = element.name_str();
                found(field, name, element.value, run, &mut Named(out, name))?;
            }
        }
        left = left.saturating_sub(1);
        if left == 0 && !fields.keep_rest {
            break;
        }
    }
    Ok(())
}

/// Writes what becomes of a value that is in the document.
fn found(
    field: &Field,
    name: &str,
    value: Raw<'_>,
    run: &Run<'_>,
    out: &mut impl Sink,
) -> Result<()> {
    match field {
        Field::Keep => out.raw(value),
        Field::Drop => {}
        Field::Nested(fields) => nested(fields, value, run, out)?,
        Field::Compute(_) | Field::ElemMatch(_) => {
            if let Some(value) = compute(field, name, run)?.raw() {
                out.raw(value);
            }
        }
        Field::Slice(slice) => match value.as_array() {
            Some(array) => out.array(|out| {
                slice.each(array, |value| out.raw(value));
                Ok(())
            })?,
            None => out.raw(value),
        },
        Field::Positional => match value.as_array() {
            Some(array) if run.position != Position::Settled => {
                let element = run.element(array)?;
                out.array(|out| {
                    out.raw(element);
                    Ok(())
                })?;
            }
            _ => out.raw(value),
        },
    }
    Ok(())
}

fn nested(fields: &Fields, value: Raw<'_>, run: &Run<'_>, out: &mut impl Sink) -> Result<()> {
    match value.kind {
        Type::Document => out.document(|out| document(fields, Doc::trusted(value.data), run, out)),
        Type::Array => {
            let array = Array::trusted(value.data);
            if run.position != Position::Settled && fields.has_positional() {
                let element = run.element(array)?;
                let run = Run { position: Position::Settled, ..*run };
                return out.array(|out| nested(fields, element, &run, out));
            }
            out.array(|out| array.iter().try_for_each(|element| nested(fields, element, run, out)))
        }
        _ if fields.computes => out.document(|out| all_computed(fields, run, out)),
        _ => {
            if fields.keep_rest {
                out.raw(value);
            }
            Ok(())
        }
    }
}

/// Writes a computed field that the document does not have.
fn computed(field: &Field, name: &str, run: &Run<'_>, out: &mut DocWriter) -> Result<()> {
    match field {
        Field::Nested(fields) => out.document(name, |out| all_computed(fields, run, out)),
        _ => {
            if let Some(value) = compute(field, name, run)?.raw() {
                out.raw(name, value);
            }
            Ok(())
        }
    }
}

fn all_computed(fields: &Fields, run: &Run<'_>, out: &mut DocWriter) -> Result<()> {
    fields
        .children
        .iter()
        .filter(|(_, field)| field.computes())
        .try_for_each(|(name, field)| computed(field, name, run, out))
}

fn compute<'a>(field: &'a Field, name: &str, run: &Run<'a>) -> Result<crate::bson::Value<'a>> {
    use crate::bson::Value;
    match field {
        Field::Compute(expression) => {
            expression.eval(&mut Frame::with_metadata(run.root, run.metadata))
        }
        Field::ElemMatch(matcher) => {
            let Some(value) = run.root.get(name) else { return Ok(Value::MISSING) };
            let position = matcher.field_position(name, value)?;
            let found = position.and_then(|at| value.as_array()?.get(at as usize));
            Ok(found.map_or(Value::MISSING, |element| {
                let mut array = ArrayWriter::new();
                array.raw(element);
                Value::array(array.into_bytes())
            }))
        }
        _ => Ok(Value::MISSING),
    }
}

impl<'a> Run<'a> {
    /// The element of an array that the filter matched.
    fn element<'v>(&self, array: Array<'v>) -> Result<Raw<'v>> {
        let Position::Asked(Some(at)) = self.position else {
            return Err(Error::location(
                51246,
                "positional operator '.$' couldn't find a matching element in the array",
            ));
        };
        array
            .get(at as usize)
            .ok_or_else(|| Error::location(51247, "positional operator '.$' element mismatch"))
    }
}

impl Fields {
    fn has_positional(&self) -> bool {
        self.children.iter().any(|(_, field)| match field {
            Field::Positional => true,
            Field::Nested(fields) => fields.has_positional(),
            _ => false,
        })
    }
}

impl Slice {
    fn each<'a>(self, array: Array<'a>, mut visit: impl FnMut(Raw<'a>)) {
        let from_end = |count: usize| array.len().saturating_sub(count);
        let (skip, limit) = match self {
            Slice::First(limit) => (0, limit),
            Slice::Last(count) => (from_end(count), usize::MAX),
            Slice::Window { skip, limit } => match usize::try_from(skip) {
                Ok(skip) => (skip, limit),
                Err(_) => {
                    (from_end(usize::try_from(skip.unsigned_abs()).unwrap_or(usize::MAX)), limit)
                }
            },
        };
        array.iter().skip(skip).take(limit).for_each(&mut visit);
    }
}
