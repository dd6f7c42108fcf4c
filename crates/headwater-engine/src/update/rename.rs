//! `$rename`: the value appears at its new path and disappears at the old one.

use super::modifier::{Change, Modifier, Place, Unreachable, nesting};
use super::parse::{self, Parser};
use super::path::{self, Path};
use super::{text, too_deep};
use crate::bson::{Doc, Element, Raw, Type, Value};
use crate::error::{Code, Error, Result};
use crate::limits::DEPTH_MAX;

/// Stands at the new path.
#[derive(Debug)]
struct Target {
    from: Path,
    to: Path,
}

/// Stands at the old path, where it takes the value away; the target has checked that it may.
#[derive(Debug)]
struct Source;

#[cold]
fn bad(what: impl Into<String>) -> Error {
    Error::new(Code::BAD_VALUE, what)
}

/// Makes one field of `$rename`'s operand two leaves.
pub(super) fn parse(field: Element<'_>, parser: &mut Parser<'_>) -> Result<()> {
    let from = parse::path(field.name_str())?;
    parser.tree.check_path(&from)?;
    parser.tree.insert(&from, Box::new(Source))?;
    let shown = || text::element(field.name_str(), field.value);
    let Some(to) = field.value.as_str() else {
        return Err(bad(format!("The 'to' field for $rename must be a string: {}", shown())));
    };
    if to.contains('\0') {
        return Err(bad(format!(
            "The 'to' field for $rename cannot contain an embedded null byte: {}",
            shown()
        )));
    }
    let to = parse::path(to)?;
    parser.tree.check_path(&to)?;
    if let Some(what) = objection(&from, &to) {
        return Err(bad(format!(
            "The source and target field for $rename must {what}: {}",
            shown()
        )));
    }
    for (path, what) in [(&from, "source"), (&to, "destination")] {
        if path.is_dynamic() {
            return Err(bad(format!(
                "The {what} field for $rename may not be dynamic: {}",
                path.text
            )));
        }
    }
    parser.tree.insert(&to, Box::new(Target { from, to: to.clone() }))
}

/// Why one path cannot be renamed to the other.
fn objection(from: &Path, to: &Path) -> Option<&'static str> {
    if to.text == from.text {
        Some("differ")
    } else if to.is_under(from) || from.is_under(to) {
        Some("not be on the same path")
    } else {
        None
    }
}

impl Target {
    /// The value at the old path, `None` if there is nothing to rename.
    fn source<'a>(&self, place: &Place<'_, 'a>) -> Result<Option<Raw<'a>>> {
        let Some(value) = self.walk_source(place.root)? else { return Ok(None) };
        refuse_arrays("source", &self.from, place)?;
        refuse_arrays("destination", &self.to, place)?;
        if self.to.parts.len() + nesting(value) > DEPTH_MAX {
            return Err(too_deep());
        }
        Ok(Some(value))
    }

    fn walk_source<'a>(&self, root: Doc<'a>) -> Result<Option<Raw<'a>>> {
        let mut value = root.as_raw();
        let mut before = "";
        for name in self.from.names() {
            let inside = match value.kind {
                Type::Document => Doc::trusted(value.data).get(name),
                Type::Array if path::index(name.as_bytes()).is_some() => step(value, name),
                _ => {
                    return Err(Error::new(
                        Code::PATH_NOT_VIABLE,
                        format!(
                            "cannot use the part ({before} of {}) to traverse the element ({{{}}})",
                            self.from.text,
                            text::element(before, value)
                        ),
                    ));
                }
            };
            match inside {
                Some(inside) => value = inside,
                None => return Ok(None),
            }
            before = name;
        }
        Ok(Some(value))
    }
}

fn step<'a>(value: Raw<'a>, name: &str) -> Option<Raw<'a>> {
    match value.kind {
        Type::Document => Doc::trusted(value.data).get(name),
        Type::Array => value.as_array()?.get(path::index(name.as_bytes())?),
        _ => None,
    }
}

/// Fails if a path leads into an array.
fn refuse_arrays(what: &str, path: &Path, place: &Place<'_, '_>) -> Result<()> {
    let mut value = Some(place.root.as_raw());
    let mut before = "";
    for name in path.names() {
        if value.is_some_and(|value| value.kind == Type::Array) {
            return Err(bad(format!(
                "The {what} field cannot be an array element, '{}' in doc with {} has an array field called '{before}'",
                path.text,
                place.id()
            )));
        }
        value = value.and_then(|value| step(value, name));
        before = name;
    }
    Ok(())
}

impl Modifier for Target {
    fn existing<'a>(&'a self, _: Raw<'a>, place: &Place<'_, 'a>) -> Result<Change<'a>> {
        Ok(self.source(place)?.map_or(Change::Keep, |value| Change::Set(value.into())))
    }

    fn missing<'a>(&'a self, place: &Place<'_, 'a>) -> Result<Option<Value<'a>>> {
        Ok(self.source(place)?.map(Value::from))
    }

    fn unreachable(&self, place: &Place<'_, '_>) -> Result<Unreachable> {
        Ok(match self.source(place)? {
            Some(_) => Unreachable::CannotCreate,
            None => Unreachable::Ignored,
        })
    }
}

impl Modifier for Source {
    fn existing<'a>(&'a self, _: Raw<'a>, _: &Place<'_, 'a>) -> Result<Change<'a>> {
        Ok(Change::Remove)
    }

    fn missing<'a>(&'a self, _: &Place<'_, 'a>) -> Result<Option<Value<'a>>> {
        Ok(None)
    }

    fn unreachable(&self, _: &Place<'_, '_>) -> Result<Unreachable> {
        Ok(Unreachable::Ignored)
    }
}
