//! `$jsonSchema`: draft 4 with MongoDB's `bsonType`.
//!
//! A schema is a list of rules in the order in which MongoDB reports them. `parse.rs` makes them, `failure.rs` tells which
//! were not kept.

mod encrypt;
mod failure;
mod parse;

use std::collections::HashSet;

use super::Node;
use super::element::Types;
use super::parse::{Parser, Top};
use super::regex::Regex;
use crate::bson::{ArrayWriter, Doc, DocBuf, DocWriter, Number, Raw, Type, Value, key};
use crate::error::{Code, Error, Result};
use crate::query::path::Path;
use encrypt::Encrypted;

/// A compiled schema.
#[derive(Debug)]
pub(crate) struct Schema {
    title: Option<Box<str>>,
    description: Option<Box<str>>,
    rules: Vec<Rule>,
}

/// One keyword of a schema.
#[derive(Debug)]
struct Rule {
    keyword: &'static str,
    /// The keyword as it was written, with what belongs to it.
    specified: DocBuf,
    check: Check,
}

#[derive(Debug)]
enum Check {
    /// No value passes: the types that are asked for exclude documents at the top.
    Never,
    Type(Types),
    /// The keys of the values.
    Enum(HashSet<Vec<u8>>),
    MultipleOf(Number),
    Maximum {
        limit: Number,
        exclusive: bool,
    },
    Minimum {
        limit: Number,
        exclusive: bool,
    },
    MaxLength(usize),
    MinLength(usize),
    Pattern(Regex),
    MaxItems(usize),
    MinItems(usize),
    UniqueItems,
    Items(Schema),
    ItemList(Vec<Schema>),
    /// What stands behind so many items.
    AdditionalItems(usize, Additional),
    Properties(Vec<(Path, Schema)>),
    AdditionalProperties(Known, Additional),
    PatternProperties(Vec<(Regex, Schema)>),
    Required(Vec<Path>),
    MaxProperties(usize),
    MinProperties(usize),
    Dependencies(Vec<(Path, Dependency)>),
    AllOf(Vec<Schema>),
    AnyOf(Vec<Schema>),
    OneOf(Vec<Schema>),
    Not(Schema),
    Encrypted(Encrypted),
}

/// What else may be there.
#[derive(Debug)]
enum Additional {
    Nothing,
    Schema(Schema),
}

/// Which properties are not additional.
#[derive(Debug)]
struct Known {
    names: Vec<Box<str>>,
    patterns: Vec<Regex>,
}

#[derive(Debug)]
enum Dependency {
    Properties(Vec<Path>),
    Schema(Schema),
}

/// Compiles `{$jsonSchema: ..}`.
pub(super) fn json_schema(top: Top<'_>, parser: &mut Parser<'_>) -> Result<Node> {
    let Some(schema) = top.value.as_doc() else {
        return Err(Error::new(Code::TYPE_MISMATCH, "$jsonSchema must be an object"));
    };
    let schema = parser.nested(|_| Schema::parse(schema))?;
    if schema.rules.is_empty() {
        return Ok(Node::Always(true));
    }
    Ok(Node::Schema(Box::new(schema)))
}

impl Schema {
    /// Compiles a schema for whole documents.
    pub(crate) fn parse(schema: Doc<'_>) -> Result<Schema> {
        parse::schema(schema, true, 0)
    }

    /// Whether a value keeps all rules.
    pub(crate) fn admits(&self, value: Raw<'_>) -> Result<bool> {
        for rule in &self.rules {
            if !rule.check.admits(value)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Check {
    fn admits(&self, value: Raw<'_>) -> Result<bool> {
        Ok(match self {
            Check::Never => false,
            Check::Type(types) => types.contains(value.kind),
            Check::Encrypted(encrypted) => encrypted.admits(value),
            Check::Enum(keys) => keys.contains(&unordered_key(value)),
            Check::Not(schema) => !schema.admits(value)?,
            Check::AllOf(schemas) => count(schemas, value)? == schemas.len(),
            Check::AnyOf(schemas) => count(schemas, value)? > 0,
            Check::OneOf(schemas) => count(schemas, value)? == 1,
            Check::MultipleOf(_) | Check::Maximum { .. } | Check::Minimum { .. } => {
                Number::from_raw(value).is_none_or(|number| self.admits_number(number))
            }
            Check::MaxLength(_) | Check::MinLength(_) | Check::Pattern(_) => match value.as_str() {
                Some(text) => self.admits_text(text)?,
                None => true,
            },
            _ => match value.kind {
                Type::Array => self.admits_items(value)?,
                Type::Document => self.admits_fields(Doc::trusted(value.data))?,
                _ => true,
            },
        })
    }

    fn admits_number(&self, number: Number) -> bool {
        // What is no number has no order but with its like.
        let ordered = |limit: &Number| number.is_nan() == limit.is_nan();
        match self {
            Check::MultipleOf(divisor) => {
                number.is_finite() && number.to_decimal().rem(divisor.to_decimal()).is_zero()
            }
            Check::Maximum { limit, exclusive } => {
                let order = number.compare(*limit);
                ordered(limit) && if *exclusive { order.is_lt() } else { order.is_le() }
            }
            Check::Minimum { limit, exclusive } => {
                let order = number.compare(*limit);
                ordered(limit) && if *exclusive { order.is_gt() } else { order.is_ge() }
            }
            _ => true,
        }
    }

    fn admits_text(&self, text: &str) -> Result<bool> {
        Ok(match self {
            Check::MaxLength(max) => text.chars().count() <= *max,
            Check::MinLength(min) => text.chars().count() >= *min,
            Check::Pattern(regex) => regex.is_match(text.as_bytes())?,
            _ => true,
        })
    }

    fn admits_items(&self, value: Raw<'_>) -> Result<bool> {
        let items = Doc::trusted(value.data).iter().map(|element| element.value);
        Ok(match self {
            Check::MaxItems(max) => items.count() <= *max,
            Check::MinItems(min) => items.count() >= *min,
            Check::UniqueItems => duplicate(value).is_none(),
            Check::Items(schema) => all(items, |item| schema.admits(item))?,
            Check::ItemList(schemas) => {
                all(items.zip(schemas), |(item, schema)| schema.admits(item))?
            }
            Check::AdditionalItems(known, additional) => {
                all(items.skip(*known), |item| additional.admits(item))?
            }
            _ => true,
        })
    }

    fn admits_fields(&self, doc: Doc<'_>) -> Result<bool> {
        Ok(match self {
            Check::Properties(properties) => all(properties.iter(), |(path, schema)| {
                path.get(doc).map_or(Ok(true), |value| schema.admits(value))
            })?,
            Check::AdditionalProperties(known, additional) => all(doc.iter(), |field| {
                Ok(known.has(field.name_str())? || additional.admits(field.value)?)
            })?,
            Check::PatternProperties(patterns) => all(doc.iter(), |field| {
                all(patterns.iter(), |(pattern, schema)| {
                    Ok(!pattern.is_match(field.name)? || schema.admits(field.value)?)
                })
            })?,
            Check::Required(paths) => paths.iter().all(|path| path.get(doc).is_some()),
            Check::MaxProperties(max) => doc.iter().count() <= *max,
            Check::MinProperties(min) => doc.iter().count() >= *min,
            Check::Dependencies(dependencies) => all(dependencies.iter(), |(path, dependency)| {
                Ok(path.get(doc).is_none() || dependency.admits(doc)?)
            })?,
            _ => true,
        })
    }
}

impl Additional {
    fn admits(&self, value: Raw<'_>) -> Result<bool> {
        match self {
            Additional::Nothing => Ok(false),
            Additional::Schema(schema) => schema.admits(value),
        }
    }
}

impl Dependency {
    fn admits(&self, doc: Doc<'_>) -> Result<bool> {
        match self {
            Dependency::Properties(paths) => Ok(paths.iter().all(|path| path.get(doc).is_some())),
            Dependency::Schema(schema) => schema.admits(doc.as_raw()),
        }
    }
}

impl Known {
    fn has(&self, name: &str) -> Result<bool> {
        if self.names.iter().any(|known| **known == *name) {
            return Ok(true);
        }
        for pattern in &self.patterns {
            if pattern.is_match(name.as_bytes())? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn all<T>(
    mut items: impl Iterator<Item = T>,
    mut admits: impl FnMut(T) -> Result<bool>,
) -> Result<bool> {
    items.try_fold(true, |before, item| Ok(before && admits(item)?))
}

fn count(schemas: &[Schema], value: Raw<'_>) -> Result<usize> {
    schemas.iter().try_fold(0, |n, schema| Ok(n + usize::from(schema.admits(value)?)))
}

/// The first item that stands in the array before.
fn duplicate(array: Raw<'_>) -> Option<Raw<'_>> {
    let mut seen = HashSet::new();
    array.as_array()?.iter().find(|item| !seen.insert(unordered_key(*item)))
}

/// A key that is equal for values that are equal but for the order of fields.
fn unordered_key(value: Raw<'_>) -> Vec<u8> {
    let sorted = sorted_fields(value);
    sorted.raw().map(key::encode).unwrap_or_default()
}

fn sorted_fields(value: Raw<'_>) -> Value<'_> {
    let inside = Doc::trusted(value.data);
    match value.kind {
        Type::Document => {
            let mut fields: Vec<_> = inside.iter().collect();
            fields.sort_by_key(|field| field.name);
            let mut out = DocWriter::new();
            for field in fields {
                if let Some(value) = sorted_fields(field.value).raw() {
                    out.raw_bytes(field.name, value);
                }
            }
            Value::doc(out.finish())
        }
        Type::Array => {
            let mut out = ArrayWriter::new();
            for item in inside {
                if let Some(value) = sorted_fields(item.value).raw() {
                    out.raw(value);
                }
            }
            Value::array(out.into_bytes())
        }
        _ => value.into(),
    }
}
