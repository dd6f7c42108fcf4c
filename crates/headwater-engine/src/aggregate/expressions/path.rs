//! Field paths as expressions follow them: through documents, and through arrays by collecting what their documents hold.
//!
//! Unlike in filters, a number is a field name and never an array index.

use crate::bson::{Array, ArrayWriter, Doc, Raw, Type, Value};
use crate::error::{Code, Error, Result};
use crate::limits::COMMAND_DEPTH_MAX;

/// A split field path. The empty path is the value itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(Vec<Box<[u8]>>);

impl Path {
    /// The path to the value itself.
    pub const EMPTY: Path = Path(Vec::new());

    /// Splits a dotted path.
    ///
    /// # Errors
    /// 40352, 40353 for an empty path or end, 15998, 16410, 16411 for an invalid field name.
    pub fn parse(dotted: &str) -> Result<Path> {
        if dotted.is_empty() {
            return Err(Error::location(
                40352,
                "FieldPath cannot be constructed with empty string",
            ));
        }
        if dotted.ends_with('.') {
            return Err(Error::location(40353, "FieldPath must not end with a '.'."));
        }
        let path = Path::of_names(dotted)?;
        for name in dotted.split('.') {
            check_field_name(name)?;
        }
        Ok(path)
    }

    /// Splits a dotted path whose names may start with `$`, as those of a sort pattern may.
    ///
    /// # Errors
    /// A path of too many names.
    pub(crate) fn of_names(dotted: &str) -> Result<Path> {
        let names: Vec<Box<[u8]>> = dotted.split('.').map(|name| name.as_bytes().into()).collect();
        if names.len() > COMMAND_DEPTH_MAX {
            return Err(Error::new(Code::OVERFLOW, "FieldPath is too long"));
        }
        Ok(Path(names))
    }

    /// The field names from the outermost on.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.0.iter().map(|name| &**name)
    }

    /// The path with its dots.
    pub fn dotted(&self) -> String {
        let names: Vec<_> =
            self.names().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        names.join(".")
    }

    /// Whether it is the path to the value itself.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What the path leads to in a document.
    #[inline]
    pub fn of_doc<'a>(&self, doc: Doc<'a>) -> Value<'a> {
        if self.0.is_empty() { doc.as_raw().into() } else { in_doc(doc, &self.0) }
    }

    /// What the path leads to in a value; missing if the value is neither a document nor an array.
    pub fn of_value<'a>(&self, value: &Value<'a>) -> Value<'a> {
        if self.0.is_empty() {
            return value.clone();
        }
        match value.borrowed() {
            Some(raw) => in_raw(raw, &self.0),
            None => value.raw().map_or(Value::MISSING, |raw| in_raw(raw, &self.0).into_owned()),
        }
    }

    /// As [`Path::of_value`], of a value as it stands in a document.
    pub fn of_raw<'a>(&self, raw: Raw<'a>) -> Value<'a> {
        if self.0.is_empty() { raw.into() } else { in_raw(raw, &self.0) }
    }
}

fn in_doc<'a>(doc: Doc<'a>, names: &[Box<[u8]>]) -> Value<'a> {
    let mut doc = doc;
    let mut names = names;
    while let Some((name, rest)) = names.split_first() {
        let Some(raw) = doc.get_bytes(name) else { return Value::MISSING };
        match raw.kind {
            _ if rest.is_empty() => return raw.into(),
            Type::Document => doc = Doc::trusted(raw.data),
            Type::Array => return in_array(Array::trusted(raw.data), rest),
            _ => return Value::MISSING,
        }
        names = rest;
    }
    doc.as_raw().into()
}

fn in_raw<'a>(raw: Raw<'a>, names: &[Box<[u8]>]) -> Value<'a> {
    match raw.kind {
        Type::Document => in_doc(Doc::trusted(raw.data), names),
        Type::Array => in_array(Array::trusted(raw.data), names),
        _ => Value::MISSING,
    }
}

fn in_array(array: Array<'_>, names: &[Box<[u8]>]) -> Value<'static> {
    let mut found = ArrayWriter::new();
    for doc in array.iter().filter_map(Raw::as_doc) {
        if let Some(raw) = in_doc(doc, names).raw() {
            found.raw(raw);
        }
    }
    Value::array(found.into_bytes())
}

/// Checks one field name of a path or of an object in an expression.
///
/// # Errors
/// 15998, 16410, 16411, 16412.
pub(crate) fn check_field_name(name: &str) -> Result<()> {
    let invalid = |code, what: String| {
        let prefix = "Consider using $getField or $setField for a field path with '.' or '$'. :: caused by :: ";
        Err(Error::location(code, what).with_prefix(prefix))
    };
    if name.is_empty() {
        return invalid(15998, "FieldPath field names may not be empty strings.".to_owned());
    }
    if name.starts_with('$') {
        return invalid(
            16410,
            format!("FieldPath field names may not start with '$', given '{name}'."),
        );
    }
    if name.contains('\0') {
        return invalid(16411, format!("FieldPath field names may not contain '{name}'."));
    }
    if name.contains('.') {
        return invalid(
            16412,
            format!("FieldPath field names may not contain '.', given '{name}'."),
        );
    }
    Ok(())
}
