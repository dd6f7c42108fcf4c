//! From a schema document to rules.

use std::collections::HashSet;

use super::encrypt;
use super::{Additional, Check, Dependency, Known, Rule, Schema, unordered_key};
use crate::bson::{Array, Doc, DocBuf, DocWriter, Number, Raw, Type};
use crate::error::{Code, Error, Result};
use crate::limits::FILTER_DEPTH_MAX;
use crate::query::matcher::element::{Types, integer, text};
use crate::query::matcher::parse::{bad_value, failed_to_parse};
use crate::query::matcher::regex::Regex;
use crate::query::path::Path;

const KEYWORDS: &[&str] = &[
    "additionalItems",
    "additionalProperties",
    "allOf",
    "anyOf",
    "bsonType",
    "dependencies",
    "description",
    "encrypt",
    "encryptMetadata",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "oneOf",
    "pattern",
    "patternProperties",
    "properties",
    "required",
    "title",
    "type",
    "uniqueItems",
];

const UNSUPPORTED: &[&str] = &["$ref", "$schema", "default", "definitions", "format", "id"];

/// What the rules of a schema are made of.
struct Source<'a> {
    schema: Doc<'a>,
    depth: usize,
    /// The types that `type` or `bsonType` ask for.
    types: Option<Types>,
    rules: Vec<Rule>,
}

pub(super) fn schema(doc: Doc<'_>, is_top: bool, depth: usize) -> Result<Schema> {
    if depth > FILTER_DEPTH_MAX {
        let message = format!("Maximum schema nesting depth of {FILTER_DEPTH_MAX} exceeded");
        return Err(failed_to_parse(message));
    }
    check_keywords(doc)?;
    let mut source = Source { schema: doc, depth, types: None, rules: Vec::new() };
    let (title, description) = (source.text("title")?, source.text("description")?);
    let types = source.types()?;
    source.types = types.map(|(_, types)| types);
    source.numbers()?;
    source.texts()?;
    source.items()?;
    source.fields()?;
    source.logic()?;
    if let Some(encrypted) = encrypt::parse(doc)? {
        let check = if is_top { Check::Never } else { Check::Encrypted(encrypted) };
        source.rule("encrypt", &[], check);
    }
    if let Some((keyword, types)) = types {
        let check = match is_top {
            true if types.contains(Type::Document) => None,
            true => Some(Check::Never),
            false => Some(Check::Type(types)),
        };
        if let Some(check) = check {
            source.rule(keyword, &[], check);
        }
    }
    Ok(Schema { title, description, rules: source.rules })
}

fn check_keywords(doc: Doc<'_>) -> Result<()> {
    for (at, field) in doc.iter().enumerate() {
        let name = field.name_str();
        if UNSUPPORTED.contains(&name) {
            return Err(failed_to_parse(format!(
                "$jsonSchema keyword '{name}' is not currently supported"
            )));
        }
        if KEYWORDS.binary_search(&name).is_err() {
            return Err(failed_to_parse(format!("Unknown $jsonSchema keyword: {name}")));
        }
        if doc.iter().take(at).any(|other| other.name == field.name) {
            return Err(failed_to_parse(format!("Duplicate $jsonSchema keyword: {name}")));
        }
    }
    Ok(())
}

#[cold]
pub(super) fn mismatch(keyword: &str, what: &str) -> Error {
    Error::new(Code::TYPE_MISMATCH, format!("$jsonSchema keyword '{keyword}' {what}"))
}

fn boolean(keyword: &str, value: Raw<'_>) -> Result<bool> {
    value.as_bool().ok_or_else(|| mismatch(keyword, "must be a boolean"))
}

pub(super) fn object<'a>(keyword: &str, value: Raw<'a>) -> Result<Doc<'a>> {
    value.as_doc().ok_or_else(|| mismatch(keyword, "must be an object"))
}

/// Texts of a list, none twice.
fn names<'a>(list: Array<'a>, wrong: impl Fn(Raw<'a>) -> Error) -> Result<Vec<&'a str>> {
    list.iter().map(|value| value.as_str().ok_or_else(|| wrong(value))).collect()
}

fn twice<'a>(names: &[&'a str]) -> Option<&'a str> {
    let mut seen = HashSet::new();
    names.iter().find(|name| !seen.insert(**name)).copied()
}

fn paths(names: &[&str]) -> Result<Vec<Path>> {
    names.iter().map(|name| Path::parse(name)).collect()
}

impl<'a> Source<'a> {
    fn get(&self, keyword: &str) -> Option<Raw<'a>> {
        self.schema.get(keyword)
    }

    fn text(&self, keyword: &str) -> Result<Option<Box<str>>> {
        let Some(value) = self.get(keyword) else { return Ok(None) };
        let text = value.as_str().ok_or_else(|| mismatch(keyword, "must be of type string"))?;
        Ok(Some(text.into()))
    }

    /// Adds a rule; `with` are keywords that belong to it.
    fn rule(&mut self, keyword: &'static str, with: &[&str], check: Check) {
        let specified = self.specified(keyword, with);
        self.rules.push(Rule { keyword, specified, check });
    }

    fn specified(&self, keyword: &str, with: &[&str]) -> DocBuf {
        let mut specified = DocWriter::new();
        for name in std::iter::once(keyword).chain(with.iter().copied()) {
            if let Some(value) = self.get(name) {
                specified.raw(name, value);
            }
        }
        specified.finish()
    }

    /// Whether a rule about values of some types says anything, given the types that are asked for.
    fn concerns(&self, kinds: &[Type]) -> bool {
        self.types.is_none_or(|types| kinds.iter().any(|kind| types.contains(*kind)))
    }

    fn nested(&self, doc: Doc<'a>) -> Result<Schema> {
        schema(doc, false, self.depth + 1)
    }

    fn types(&self) -> Result<Option<(&'static str, Types)>> {
        let (keyword, value) = match (self.get("type"), self.get("bsonType")) {
            (Some(_), Some(_)) => {
                return Err(failed_to_parse(
                    "Cannot specify both $jsonSchema keywords 'type' and 'bsonType'",
                ));
            }
            (Some(value), None) => ("type", value),
            (None, Some(value)) => ("bsonType", value),
            (None, None) => return Ok(None),
        };
        let wrong = || mismatch(keyword, "must be either a string or an array of strings");
        let aliases = match value.kind {
            Type::String => vec![value.as_str().unwrap_or_default()],
            Type::Array => {
                let aliases = names(value.as_array().ok_or_else(wrong)?, |_| wrong())?;
                if aliases.is_empty() {
                    return Err(failed_to_parse(format!(
                        "$jsonSchema keyword '{keyword}' must name at least one type"
                    )));
                }
                if let Some(alias) = twice(&aliases) {
                    return Err(failed_to_parse(format!(
                        "$jsonSchema keyword '{keyword}' has duplicate value: {alias}"
                    )));
                }
                aliases
            }
            _ => return Err(wrong()),
        };
        let mut types = Types::default();
        for alias in aliases {
            match (keyword, alias) {
                ("type", "integer") => {
                    return Err(failed_to_parse(
                        "$jsonSchema type 'integer' is not currently supported.",
                    ));
                }
                ("type", "boolean") => types.insert(Type::Bool),
                ("type", "object" | "array" | "number" | "string" | "null") | ("bsonType", _) => {
                    types.insert_alias(alias)?;
                }
                _ => return Err(bad_value(format!("Unknown type name alias: {alias}"))),
            }
        }
        Ok(Some((keyword, types)))
    }

    fn number(&self, keyword: &str) -> Result<Option<Number>> {
        let Some(value) = self.get(keyword) else { return Ok(None) };
        Number::from_raw(value).map(Some).ok_or_else(|| mismatch(keyword, "must be a number"))
    }

    fn size(&self, keyword: &str) -> Result<Option<usize>> {
        let Some(value) = self.get(keyword) else { return Ok(None) };
        let size = integer(keyword, value).map_err(failed_to_parse)?;
        usize::try_from(size).map(Some).map_err(|_| {
            let text = text(keyword, value);
            failed_to_parse(format!("Expected a non-negative number in: {text}"))
        })
    }

    fn numbers(&mut self) -> Result<()> {
        const NUMBERS: &[Type] = &[Type::Int32, Type::Int64, Type::Double, Type::Decimal];
        let concerns = self.concerns(NUMBERS);
        if let Some(divisor) = self.number("multipleOf")? {
            if divisor.is_nan() || divisor.compare(Number::Int32(0)).is_le() {
                return Err(failed_to_parse(
                    "$jsonSchema keyword 'multipleOf' must have a positive value",
                ));
            }
            if concerns {
                self.rule("multipleOf", &[], Check::MultipleOf(divisor));
            }
        }
        for (keyword, exclusive) in
            [("maximum", "exclusiveMaximum"), ("minimum", "exclusiveMinimum")]
        {
            let limit = self.number(keyword)?;
            let Some(limit) = limit else {
                if self.get(exclusive).is_some() {
                    return Err(failed_to_parse(format!(
                        "$jsonSchema keyword '{keyword}' must be a present if {exclusive} is present"
                    )));
                }
                continue;
            };
            let is_exclusive = match self.get(exclusive) {
                None => false,
                Some(value) => boolean(exclusive, value)?,
            };
            let check = match keyword {
                "maximum" => Check::Maximum { limit, exclusive: is_exclusive },
                _ => Check::Minimum { limit, exclusive: is_exclusive },
            };
            if concerns {
                self.rule(keyword, &[exclusive], check);
            }
        }
        Ok(())
    }

    fn texts(&mut self) -> Result<()> {
        let concerns = self.concerns(&[Type::String]);
        let (max, min) = (self.size("maxLength")?, self.size("minLength")?);
        let pattern = match self.get("pattern") {
            None => None,
            Some(value) => {
                let pattern =
                    value.as_str().ok_or_else(|| mismatch("pattern", "must be a string"))?;
                Some(Regex::new(pattern, "")?)
            }
        };
        if !concerns {
            return Ok(());
        }
        if let Some(max) = max {
            self.rule("maxLength", &[], Check::MaxLength(max));
        }
        if let Some(min) = min {
            self.rule("minLength", &[], Check::MinLength(min));
        }
        if let Some(pattern) = pattern {
            self.rule("pattern", &[], Check::Pattern(pattern));
        }
        Ok(())
    }

    fn items(&mut self) -> Result<()> {
        let concerns = self.concerns(&[Type::Array]);
        let mut checks = Vec::new();
        if let Some(min) = self.size("minItems")? {
            checks.push(("minItems", Check::MinItems(min)));
        }
        if let Some(max) = self.size("maxItems")? {
            checks.push(("maxItems", Check::MaxItems(max)));
        }
        if let Some(value) = self.get("uniqueItems")
            && boolean("uniqueItems", value)?
        {
            checks.push(("uniqueItems", Check::UniqueItems));
        }
        let additional = self.additional("additionalItems")?;
        match self.get("items").map(|value| (value, value.as_doc(), value.as_array())) {
            None => {}
            Some((_, Some(schema), _)) => {
                checks.push(("items", Check::Items(self.nested(schema)?)));
            }
            Some((_, _, Some(list))) => {
                let mut schemas = Vec::new();
                for (value, at) in list.iter().zip(0..) {
                    let Some(schema) = value.as_doc() else {
                        let what = format!(
                            "requires that each element of the array is an object, but found a {} at index {at}",
                            value.kind.alias()
                        );
                        return Err(mismatch("items", &what));
                    };
                    schemas.push(self.nested(schema)?);
                }
                let known = schemas.len();
                checks.push(("items", Check::ItemList(schemas)));
                if let Some(additional) = additional {
                    checks.push(("additionalItems", Check::AdditionalItems(known, additional)));
                }
            }
            Some((value, None, None)) => {
                let what = format!("must be an array or an object, not {}", value.kind.alias());
                return Err(mismatch("items", &what));
            }
        }
        if concerns {
            checks.into_iter().for_each(|(keyword, check)| self.rule(keyword, &[], check));
        }
        Ok(())
    }

    /// `additionalItems` or `additionalProperties`; `None` if they allow everything.
    fn additional(&self, keyword: &str) -> Result<Option<Additional>> {
        let Some(value) = self.get(keyword) else { return Ok(None) };
        match (value.as_bool(), value.as_doc()) {
            (Some(true), _) => Ok(None),
            (Some(false), _) => Ok(Some(Additional::Nothing)),
            (None, Some(schema)) => Ok(Some(Additional::Schema(self.nested(schema)?))),
            (None, None) => {
                let kind = value.kind.alias();
                let what = format!("must be either an object or a boolean, but got a {kind}");
                Err(mismatch(keyword, &what))
            }
        }
    }

    fn fields(&mut self) -> Result<()> {
        let concerns = self.concerns(&[Type::Document]);
        let required = self.required()?;
        let mut checks = Vec::new();
        let mut names = Vec::new();
        if let Some(value) = self.get("properties") {
            let mut properties = Vec::new();
            for field in object("properties", value)? {
                let name = field.name_str();
                let Some(schema) = field.value.as_doc() else {
                    return Err(Error::new(
                        Code::TYPE_MISMATCH,
                        format!(
                            "Nested schema for $jsonSchema property '{name}' must be an object"
                        ),
                    ));
                };
                properties.push((Path::parse(name)?, self.nested(schema)?));
                names.push(name.into());
            }
            checks.push(("properties", Check::Properties(properties)));
        }
        let patterns = self.pattern_properties()?;
        if let Some(additional) = self.additional("additionalProperties")? {
            let patterns = patterns.iter().flatten().map(|(regex, _)| regex.clone()).collect();
            let known = Known { names, patterns };
            checks.push(("additionalProperties", Check::AdditionalProperties(known, additional)));
        }
        if let Some(patterns) = patterns {
            checks.push(("patternProperties", Check::PatternProperties(patterns)));
        }
        if let Some(required) = required {
            checks.push(("required", Check::Required(required)));
        }
        if let Some(min) = self.size("minProperties")? {
            checks.push(("minProperties", Check::MinProperties(min)));
        }
        if let Some(max) = self.size("maxProperties")? {
            checks.push(("maxProperties", Check::MaxProperties(max)));
        }
        if let Some(dependencies) = self.dependencies()? {
            checks.push(("dependencies", Check::Dependencies(dependencies)));
        }
        if concerns {
            checks.into_iter().for_each(|(keyword, check)| self.rule(keyword, &[], check));
        }
        Ok(())
    }

    fn required(&self) -> Result<Option<Vec<Path>>> {
        let Some(value) = self.get("required") else { return Ok(None) };
        let Some(list) = value.as_array() else {
            let kind = value.kind.alias();
            let what = format!("must be an array, but found an element of type {kind}");
            return Err(mismatch("required", &what));
        };
        let names = names(list, |value| {
            let kind = value.kind.alias();
            let what = format!("must be an array of strings, but found an element of type: {kind}");
            mismatch("required", &what)
        })?;
        if names.is_empty() {
            return Err(failed_to_parse("$jsonSchema keyword 'required' cannot be an empty array"));
        }
        if twice(&names).is_some() {
            return Err(failed_to_parse(
                "$jsonSchema keyword 'required' array cannot contain duplicate values",
            ));
        }
        paths(&names).map(Some)
    }

    fn pattern_properties(&self) -> Result<Option<Vec<(Regex, Schema)>>> {
        let Some(value) = self.get("patternProperties") else { return Ok(None) };
        let mut patterns = Vec::new();
        for field in object("patternProperties", value)? {
            let name = field.name_str();
            let Some(schema) = field.value.as_doc() else {
                let what = format!(
                    "has property '{name}' which is not an object but {}",
                    field.value.kind.alias()
                );
                return Err(mismatch("patternProperties", &what));
            };
            let regex = Regex::new(name, "").map_err(|error| {
                let message = error.message();
                let message = message.rsplit_once("invalid: ").map_or(message, |(_, rest)| rest);
                bad_value(format!("Invalid regular expression: {message}"))
            })?;
            patterns.push((regex, self.nested(schema)?));
        }
        Ok(Some(patterns))
    }

    fn dependencies(&self) -> Result<Option<Vec<(Path, Dependency)>>> {
        let Some(value) = self.get("dependencies") else { return Ok(None) };
        let mut dependencies = Vec::new();
        for field in object("dependencies", value)? {
            let name = field.name_str();
            let dependency = match (field.value.as_doc(), field.value.as_array()) {
                (Some(schema), _) => Dependency::Schema(self.nested(schema)?),
                (None, Some(list)) => Dependency::Properties(depended_on(name, list)?),
                (None, None) => {
                    let kind = field.value.kind.alias();
                    return Err(Error::new(
                        Code::TYPE_MISMATCH,
                        format!(
                            "property '{name}' in $jsonSchema keyword 'dependencies' must be either an object or an \
                             array, but found an element of type: {kind}"
                        ),
                    ));
                }
            };
            dependencies.push((Path::parse(name)?, dependency));
        }
        Ok(Some(dependencies))
    }

    fn logic(&mut self) -> Result<()> {
        for keyword in ["allOf", "anyOf", "oneOf"] {
            let Some(value) = self.get(keyword) else { continue };
            let Some(list) = value.as_array() else {
                return Err(mismatch(keyword, "must be an array"));
            };
            if list.is_empty() {
                return Err(bad_value(format!(
                    "$jsonSchema keyword '{keyword}' must be a non-empty array"
                )));
            }
            let mut schemas = Vec::new();
            for value in list.iter() {
                let Some(schema) = value.as_doc() else {
                    let kind = value.kind.alias();
                    let what =
                        format!("must be an array of objects, but found an element of type {kind}");
                    return Err(mismatch(keyword, &what));
                };
                schemas.push(self.nested(schema)?);
            }
            let check = match keyword {
                "allOf" => Check::AllOf(schemas),
                "anyOf" => Check::AnyOf(schemas),
                _ => Check::OneOf(schemas),
            };
            self.rule(keyword, &[], check);
        }
        if let Some(value) = self.get("not") {
            let schema = object("not", value)?;
            let check = Check::Not(self.nested(schema)?);
            self.rule("not", &[], check);
        }
        if let Some(value) = self.get("enum") {
            let Some(list) = value.as_array() else {
                let kind = value.kind.alias();
                let what = format!("must be an array, but found an element of type {kind}");
                return Err(mismatch("enum", &what));
            };
            if list.is_empty() {
                return Err(failed_to_parse("$jsonSchema keyword 'enum' cannot be an empty array"));
            }
            let mut keys = HashSet::new();
            for value in list.iter() {
                if !keys.insert(unordered_key(value)) {
                    return Err(failed_to_parse(
                        "$jsonSchema keyword 'enum' array cannot contain duplicate values.",
                    ));
                }
            }
            self.rule("enum", &[], Check::Enum(keys));
        }
        Ok(())
    }
}

/// The properties that one property depends on.
fn depended_on(name: &str, list: Array<'_>) -> Result<Vec<Path>> {
    let whose = format!("array '{name}' in $jsonSchema keyword 'dependencies'");
    if list.is_empty() {
        return Err(failed_to_parse(format!(
            "property '{name}' in $jsonSchema keyword 'dependencies' cannot be an empty array"
        )));
    }
    let names = names(list, |value| {
        let kind = value.kind.alias();
        let message = format!("{whose} must contain strings, but found an element of type: {kind}");
        Error::new(Code::TYPE_MISMATCH, message)
    })?;
    if let Some(name) = twice(&names) {
        return Err(failed_to_parse(format!("{whose} contains duplicate element: {name}")));
    }
    paths(&names)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_keywords_are_sorted() {
        assert!(super::KEYWORDS.is_sorted());
    }
}
