//! Operators on objects: `$mergeObjects`, `$objectToArray`, `$arrayToObject`, `$getField`, `$setField`, `$unsetField`,
//! `$literal`.

use super::array::{kind_name, part};
use super::named::Named;
use super::{Expression, Frame, Operator, Scope};
use crate::bson::print::computed as value_text;
use crate::bson::{ArrayWriter, Doc, DocBuf, DocWriter, Raw, Type, Value};
use crate::error::{Error, Result};

pub(super) fn literal(argument: Raw<'_>, _: &mut Scope) -> Result<Expression> {
    Ok(Expression::Constant(Value::owned(argument.kind, argument.data)))
}

/// Fields by name in the order in which they first came; a later value replaces an earlier one in its place.
#[derive(Debug, Default)]
pub(crate) struct Fields<'a>(Vec<(&'a [u8], Raw<'a>)>);

impl<'a> Fields<'a> {
    pub(crate) fn set(&mut self, name: &'a [u8], value: Raw<'a>) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some(field) => field.1 = value,
            None => self.0.push((name, value)),
        }
    }

    pub(crate) fn merge(&mut self, doc: Doc<'a>) {
        for element in doc {
            self.set(element.name, element.value);
        }
    }

    pub(crate) fn finish(&self) -> DocBuf {
        let mut doc = DocWriter::new();
        self.0.iter().for_each(|(name, value)| doc.raw_bytes(name, *value));
        doc.finish()
    }
}

pub(super) fn merge_objects(args: Vec<Value<'_>>) -> Result<Value<'_>> {
    let inner: Vec<Value<'_>>;
    let args = match &args[..] {
        [only] if only.as_array().is_some() => {
            inner = only
                .as_array()
                .into_iter()
                .flat_map(|array| array.iter())
                .map(Value::from)
                .collect();
            &inner
        }
        _ => &args,
    };
    let mut fields = Fields::default();
    for arg in args {
        match arg.as_doc() {
            Some(doc) => fields.merge(doc),
            None if arg.is_nullish() => {}
            None => return Err(not_an_object(arg)),
        }
    }
    Ok(Value::doc(fields.finish()))
}

#[cold]
pub(crate) fn not_an_object(value: &Value<'_>) -> Error {
    let text = value_text(value);
    let what = format!(
        "$mergeObjects requires object inputs, but input {text} is of type {}",
        kind_name(value)
    );
    Error::location(40400, what)
}

pub(super) fn object_to_array(value: Value<'_>) -> Result<Value<'_>> {
    if value.is_nullish() {
        return Ok(Value::NULL);
    }
    let Some(doc) = value.as_doc() else {
        let message =
            format!("$objectToArray requires a document input, found: {}", kind_name(&value));
        return Err(Error::location(40390, message));
    };
    let mut pairs = ArrayWriter::new();
    for element in doc {
        pairs.document(|pair| {
            pair.str("k", element.name_str());
            pair.raw("v", element.value);
        });
    }
    Ok(Value::array(pairs.into_bytes()))
}

pub(super) fn array_to_object(value: Value<'_>) -> Result<Value<'_>> {
    if value.is_nullish() {
        return Ok(Value::NULL);
    }
    let Some(array) = value.as_array() else {
        let message =
            format!("$arrayToObject requires an array input, found: {}", kind_name(&value));
        return Err(Error::location(40386, message));
    };
    let mut fields = Fields::default();
    let mut pairs = None;
    for item in array.iter() {
        let as_pair = match item.kind {
            Type::Array | Type::Document => item.kind == Type::Array,
            kind => {
                let message =
                    format!("Unrecognised input type format for $arrayToObject: {}", kind.alias());
                return Err(Error::location(40398, message));
            }
        };
        if *pairs.get_or_insert(as_pair) != as_pair {
            return Err(mixed_input(as_pair, item));
        }
        let (key, field) = if as_pair { pair(item)? } else { key_and_value(item)? };
        let name = key.str_bytes().unwrap_or_default();
        if name.contains(&0) {
            return Err(Error::location(
                4_940_401,
                "Key field cannot contain an embedded null byte",
            ));
        }
        fields.set(name, field);
    }
    Ok(Value::doc(fields.finish()))
}

#[cold]
fn mixed_input(as_pair: bool, item: Raw<'_>) -> Error {
    let what = "$arrayToObject requires a consistent input format. Elements mustall be arrays or all be objects. ";
    let (code, before) = if as_pair { (40391, "Object") } else { (40396, "Array") };
    Error::location(code, format!("{what}{before} was detected, now found: {}", item.kind.alias()))
}

fn pair(item: Raw<'_>) -> Result<(Raw<'_>, Raw<'_>)> {
    let values: Vec<_> = item.as_array().into_iter().flat_map(|array| array.iter()).collect();
    let [key, value] = values[..] else {
        let what = "$arrayToObject requires an array of size 2 arrays,found array of size: ";
        return Err(Error::location(40397, format!("{what}{}", values.len())));
    };
    if key.kind != Type::String {
        let what = "$arrayToObject requires an array of key-value pairs, where the key must be of type string. \
                    Found key type: ";
        return Err(Error::location(40395, format!("{what}{}", key.kind.alias())));
    }
    Ok((key, value))
}

fn key_and_value(item: Raw<'_>) -> Result<(Raw<'_>, Raw<'_>)> {
    let doc = item.as_doc().unwrap_or(Doc::EMPTY);
    let count = doc.iter().count();
    if count != 2 {
        let what = "$arrayToObject requires an object keys of 'k' and 'v'. Found incorrect number of keys:";
        return Err(Error::location(40392, format!("{what}{count}")));
    }
    let (Some(key), Some(value)) = (doc.get("k"), doc.get("v")) else {
        let what = "$arrayToObject requires an object with keys 'k' and 'v'. Missing either or both keys from: ";
        return Err(Error::location(40393, format!("{what}{}", value_text(&item.into()))));
    };
    if key.kind != Type::String {
        let what = "$arrayToObject requires an object with keys 'k' and 'v', where the value of 'k' must be of type \
                    string. Found type: ";
        return Err(Error::location(40394, format!("{what}{}", key.kind.alias())));
    }
    Ok((key, value))
}

#[derive(Debug)]
struct GetField {
    field: Expression,
    input: Expression,
}

impl Operator for GetField {
    fn eval<'a>(&'a self, frame: &mut Frame<'a>) -> Result<Value<'a>> {
        let field = self.field.eval(frame)?;
        let Some(name) = field.raw().and_then(Raw::as_str) else {
            let what = "$getField requires 'field' to evaluate to type String, but got ";
            return Err(Error::location(3_041_704, format!("{what}{}", kind_name(&field))));
        };
        let input = self.input.eval(frame)?;
        if input.is_nullish() {
            return Ok(if input.is_missing() { Value::MISSING } else { Value::NULL });
        }
        Ok(part(&input, |raw| raw.as_doc()?.get(name)))
    }
}

/// `{$getField: {field, input}}` or `{$getField: field}`.
pub(super) fn get_field(argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    let plain =
        argument.as_doc().is_none_or(|doc| doc.first().is_some_and(|e| e.name.starts_with(b"$")));
    let (field, input) = if plain {
        (Expression::parse(argument, scope)?, super::variable::parse_reference("$CURRENT", scope)?)
    } else {
        let unknown = |name: &str| {
            Error::location(3_041_701, format!("$getField found an unknown argument: {name}"))
        };
        let named =
            Named::parse(argument.as_doc().unwrap_or(Doc::EMPTY), ["field", "input"], unknown)?;
        let missing = |code, name| {
            move || Error::location(code, format!("$getField requires '{name}' to be specified"))
        };
        let field = named.required(0, missing(3_041_702, "field"))?;
        let input = named.required(1, missing(3_041_703, "input"))?;
        (Expression::parse(field, scope)?, Expression::parse(input, scope)?)
    };
    Ok(Expression::Special(Box::new(GetField { field, input })))
}

#[derive(Debug)]
struct SetField {
    field: Box<str>,
    input: Expression,
    value: Expression,
}

impl Operator for SetField {
    fn eval<'a>(&'a self, frame: &mut Frame<'a>) -> Result<Value<'a>> {
        let input = self.input.eval(frame)?;
        if input.is_nullish() {
            return Ok(Value::NULL);
        }
        let Some(doc) = input.as_doc() else {
            return Err(Error::location(
                4_161_105,
                "$setField requires 'input' to evaluate to type Object",
            ));
        };
        let value = self.value.eval(frame)?;
        let mut written = DocWriter::new();
        let mut found = false;
        for element in doc {
            if element.name != self.field.as_bytes() {
                written.raw_bytes(element.name, element.value);
                continue;
            }
            if let (false, Some(value)) = (found, value.raw()) {
                written.raw_bytes(element.name, value);
            }
            found = true;
        }
        if let (false, Some(value)) = (found, value.raw()) {
            written.raw(&self.field, value);
        }
        Ok(Value::doc(written.finish()))
    }
}

/// `{$setField: {field, input, value}}`.
pub(super) fn set_field(argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    field_change("$setField", argument, scope)
}

/// `{$unsetField: {field, input}}`.
pub(super) fn unset_field(argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    field_change("$unsetField", argument, scope)
}

fn field_change(name: &'static str, argument: Raw<'_>, scope: &mut Scope) -> Result<Expression> {
    let Some(doc) = argument.as_doc() else {
        let message = format!("{name} only supports an object as its argument");
        return Err(Error::location(4_161_100, message));
    };
    let unknown = |field: &str| {
        Error::location(4_161_101, format!("{name} found an unknown argument: {field}"))
    };
    let removes = name == "$unsetField";
    let named = Named::parse(doc, ["field", "input", "value"], unknown)?;
    if removes && named.raw(2).is_some() {
        return Err(unknown("value"));
    }
    let missing = |code, what| {
        move || Error::location(code, format!("{name} requires '{what}' to be specified"))
    };
    let field = named.required(0, missing(4_161_102, "field"))?;
    let input = named.required(1, missing(4_161_109, "input"))?;
    // MongoDB leaves this operator and what is in it to the run, constants or not.
    let errors = scope.take_folding_error();
    let value = if removes {
        Expression::Constant(Value::MISSING)
    } else {
        let value = named.required(2, missing(4_161_103, "value"))?;
        Expression::parse(value, scope)?
    };
    let field = constant_name(field, scope)?;
    let input = Expression::parse(input, scope)?;
    scope.restore_folding_error(errors);
    Ok(Expression::Special(Box::new(SetField { field, input, value })))
}

/// The name of the field to change, which must be a constant string.
fn constant_name(raw: Raw<'_>, scope: &mut Scope) -> Result<Box<str>> {
    if let Some(path) = raw.as_str().and_then(|text| text.strip_prefix('$')) {
        let full =
            if path.starts_with('$') { format!("${path}") } else { format!("$CURRENT.{path}") };
        let what = format!(
            "'{full}' is a field path reference which is not allowed in this context. Did you mean {{$literal: '{full}'}}?"
        );
        return Err(Error::location(4_161_108, what));
    }
    let field = Expression::parse(raw, scope)?;
    // What has to be computed is no constant, even if it needs no document.
    let is_literal = match raw.kind {
        Type::Document => raw
            .as_doc()
            .and_then(Doc::first)
            .is_some_and(|first| matches!(first.name, b"$literal" | b"$const")),
        Type::Array => false,
        _ => true,
    };
    let Some(value) = field.as_constant().filter(|_| is_literal) else {
        let what =
            "$setField requires 'field' to evaluate to a constant, but got a non-constant argument";
        return Err(Error::location(4_161_106, what));
    };
    let Some(name) = value.raw().and_then(Raw::as_str) else {
        let what = "$setField requires 'field' to evaluate to type String, but got ";
        return Err(Error::location(4_161_107, format!("{what}{}", kind_name(value))));
    };
    if name.contains('\0') {
        return Err(Error::location(
            9_534_700,
            "$setField 'field' cannot contain an embedded null byte",
        ));
    }
    Ok(name.into())
}
