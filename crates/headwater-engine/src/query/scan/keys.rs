//! Documents made of index keys: what a covered query works on instead of the document itself.

use super::walk::{Entry, is_cut};
use crate::bson::key::{Direction, Types, decode};
use crate::bson::{Doc, DocBuf, DocWriter, Type, Value};
use crate::query::plan::tree::IndexScan;

/// The document of the last key.
#[derive(Debug, Default)]
pub(super) struct KeyDocument {
    doc: DocBuf,
}

impl KeyDocument {
    /// The fields that a key holds, absent ones as null; `None` if the key does not tell them, or holds null in one of
    /// the fields where that has to be told from absence.
    pub(super) fn of(
        &mut self,
        scan: &IndexScan,
        (key, value): Entry<'_>,
        told_apart: u64,
    ) -> Option<Doc<'_>> {
        let index = &scan.index;
        if is_cut(key) {
            return None;
        }
        let record = if index.unique { 0 } else { 8 };
        let end = key.len().checked_sub(record)?;
        let encoded = key.get(size_of_val(&index.id)..end)?;
        let types = value.get(..value.len().checked_sub(if index.unique { 8 } else { 0 })?)?;
        let directions: Vec<Direction> = scan.fields.iter().map(|field| field.direction).collect();
        let values = decode(encoded, &directions, &Types::from_bytes(types))?;
        if (0..u64::BITS)
            .zip(&values)
            .any(|(at, value)| told_apart >> at & 1 == 1 && is_null(value))
        {
            return None;
        }
        let paths = scan.fields.iter().map(|field| field.path.as_str());
        let fields: Vec<(&str, &Value<'_>)> = paths.zip(&values).collect();
        let mut out = DocWriter::append_to(Vec::with_capacity(encoded.len() + 64));
        write(&mut out, &fields);
        self.doc = out.finish();
        Some(self.doc.as_doc())
    }
}

fn is_null(value: &Value<'_>) -> bool {
    value.raw().is_none_or(|raw| raw.kind == Type::Null)
}

/// Writes values at paths; those below one name stand together.
fn write(out: &mut DocWriter, fields: &[(&str, &Value<'_>)]) {
    let first_name = |path: &str| path.split('.').next().unwrap_or_default().len();
    for (at, (path, value)) in fields.iter().enumerate() {
        let (name, rest) = path.split_at(first_name(path));
        let is_below = |other: &str| other.get(..first_name(other)) == Some(name);
        if fields.iter().take(at).any(|(other, _)| is_below(other)) {
            continue;
        }
        let whole = fields.iter().find(|(other, _)| *other == name).map(|(_, whole)| *whole);
        if let Some(whole) = whole.or(rest.is_empty().then_some(*value)) {
            whole.raw().into_iter().for_each(|value| out.raw(name, value));
            continue;
        }
        let below = fields.iter().filter(|(other, _)| is_below(other));
        let below: Vec<(&str, &Value<'_>)> = below
            .filter_map(|(other, value)| Some((other.get(name.len() + 1..)?, *value)))
            .collect();
        out.document(name, |inner| write(inner, &below));
    }
}
