//! The tree of JSON to BSON: which objects are types, and what a number is.

use std::borrow::Cow;

use super::super::{ArrayWriter, Decimal, DocBuf, DocWriter, Type, Value, iso};
use super::json::{Json, Kind};
use super::{ParseError, base64};

/// What an object is that has the key of a type but not its form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// An error.
    Extended,
    /// A document.
    Commands,
}

type Field<'a> = (Cow<'a, str>, Json<'a>);

/// A whole text that must be a document.
pub(super) fn document(json: &Json<'_>, mode: Mode) -> Result<DocBuf, ParseError> {
    let Kind::Object(fields) = &json.kind else {
        return Err(fail(json, "not a document"));
    };
    let mut doc = DocWriter::new();
    write_fields(&mut doc, fields, mode)?;
    Ok(doc.finish())
}

/// A whole text that may be any value.
pub(super) fn value(json: &Json<'_>) -> Result<Value<'static>, ParseError> {
    let mut doc = DocWriter::new();
    write_field(&mut doc, "", json, Mode::Extended)?;
    let doc = doc.finish();
    Ok(doc.as_doc().get("").map_or(Value::MISSING, |raw| Value::from(raw).into_owned()))
}

#[cold]
fn fail(json: &Json<'_>, what: &'static str) -> ParseError {
    ParseError { at: json.end, what }
}

fn write_fields(doc: &mut DocWriter, fields: &[Field<'_>], mode: Mode) -> Result<(), ParseError> {
    for (name, value) in fields {
        if name.contains('\0') {
            return Err(fail(value, "a NUL in a field name"));
        }
        write_field(doc, name, value, mode)?;
    }
    Ok(())
}

fn write_field(
    doc: &mut DocWriter,
    name: &str,
    json: &Json<'_>,
    mode: Mode,
) -> Result<(), ParseError> {
    if let Kind::Object(fields) = &json.kind {
        return match typed(fields, json, mode)? {
            Some(value) => {
                value.raw().into_iter().for_each(|raw| doc.raw(name, raw));
                Ok(())
            }
            None => doc.document(name, |inner| write_fields(inner, fields, mode)),
        };
    }
    if let Kind::Array(values) = &json.kind {
        return doc.array(name, |inner| write_values(inner, values, mode));
    }
    let value = scalar(json)?;
    value.raw().into_iter().for_each(|raw| doc.raw(name, raw));
    Ok(())
}

fn write_values(
    array: &mut ArrayWriter,
    values: &[Json<'_>],
    mode: Mode,
) -> Result<(), ParseError> {
    for json in values {
        match &json.kind {
            Kind::Object(fields) => match typed(fields, json, mode)? {
                Some(value) => value.raw().into_iter().for_each(|raw| array.raw(raw)),
                None => array.document(|inner| write_fields(inner, fields, mode))?,
            },
            Kind::Array(values) => array.array(|inner| write_values(inner, values, mode))?,
            _ => scalar(json)?.raw().into_iter().for_each(|raw| array.raw(raw)),
        }
    }
    Ok(())
}

fn scalar(json: &Json<'_>) -> Result<Value<'static>, ParseError> {
    Ok(match &json.kind {
        Kind::Bool(value) => Value::bool(*value),
        Kind::String(text) => Value::str(text),
        Kind::Number(text) => number(text).ok_or_else(|| fail(json, "a number out of range"))?,
        _ => Value::NULL,
    })
}

/// An int32 or int64 if it has neither point nor exponent and fits, else a double.
fn number(text: &str) -> Option<Value<'static>> {
    if let (false, Ok(value)) = (text.contains(['.', 'e', 'E']), text.parse::<i64>()) {
        return Some(i32::try_from(value).map_or(Value::i64(value), Value::i32));
    }
    text.parse().ok().filter(|value: &f64| value.is_finite()).map(Value::f64)
}

/// The value of an object that stands for a type, `None` if it is a document.
fn typed(
    fields: &[Field<'_>],
    json: &Json<'_>,
    mode: Mode,
) -> Result<Option<Value<'static>>, ParseError> {
    let Some(key) = fields.iter().find_map(|(name, _)| type_key(name)) else {
        return Ok(None);
    };
    if let (Mode::Extended, "$binary", Some(value)) = (mode, key, old_binary(fields)) {
        return Ok(Some(value));
    }
    match (form(key, fields, mode)?, mode) {
        (None, Mode::Extended) => Err(fail(json, "not the form of its type")),
        (value, _) => Ok(value),
    }
}

/// The name if it is the key of a type.
fn type_key(name: &str) -> Option<&str> {
    let known = matches!(
        name,
        "$binary"
            | "$code"
            | "$date"
            | "$dbPointer"
            | "$maxKey"
            | "$minKey"
            | "$numberDecimal"
            | "$numberDouble"
            | "$numberInt"
            | "$numberLong"
            | "$oid"
            | "$regularExpression"
            | "$symbol"
            | "$timestamp"
            | "$undefined"
            | "$uuid"
    );
    known.then_some(name)
}

/// The value of an object that has exactly the form of the type of `key`. Errors are of scopes only.
fn form(key: &str, fields: &[Field<'_>], mode: Mode) -> Result<Option<Value<'static>>, ParseError> {
    if let ("$code", Some([code, scope])) = (key, pick(fields, ["$code", "$scope"])) {
        let (Some(code), Kind::Object(scope)) = (text(code), &scope.kind) else {
            return Ok(None);
        };
        let mut doc = DocWriter::new();
        write_fields(&mut doc, scope, mode)?;
        let (code, scope) = (string_bytes(code), doc.finish().into_bytes());
        let len = u32::try_from(4 + code.len() + scope.len()).unwrap_or(u32::MAX);
        let bytes = [len.to_le_bytes().as_slice(), &code, &scope].concat();
        return Ok(Some(Value::from_vec(Type::CodeWithScope, bytes)));
    }
    let [(_, value)] = fields else {
        return Ok(None);
    };
    Ok(single(key, value))
}

/// The value of `{key: value}`.
fn single(key: &str, value: &Json<'_>) -> Option<Value<'static>> {
    let is_one = matches!(value.kind, Kind::Number("1"));
    Some(match key {
        "$binary" => {
            let [data, subtype] = pick(object(value)?, ["base64", "subType"])?;
            binary(base64::decode(text(data)?)?, text(subtype)?)?
        }
        "$code" => Value::from_vec(Type::Code, string_bytes(text(value)?)),
        "$date" => match &value.kind {
            Kind::String(text) => Value::date(iso::parse(text)?),
            _ => match single("$numberLong", pick(object(value)?, ["$numberLong"])?[0])?.view()? {
                super::super::View::Int64(millis) => Value::date(millis),
                _ => return None,
            },
        },
        "$dbPointer" => {
            let [namespace, id] = pick(object(value)?, ["$ref", "$id"])?;
            let id = object_id(text(pick(object(id)?, ["$oid"])?[0])?)?;
            let bytes = [string_bytes(text(namespace)?).as_slice(), &id].concat();
            Value::from_vec(Type::DbPointer, bytes)
        }
        "$maxKey" if is_one => Value::owned(Type::MaxKey, &[]),
        "$minKey" if is_one => Value::owned(Type::MinKey, &[]),
        "$numberDecimal" => Value::decimal(Decimal::parse_exact(text(value)?).ok()?.to_bytes()),
        "$numberDouble" => Value::f64(double(text(value)?)?),
        "$numberInt" => Value::i32(integer(text(value)?)?.try_into().ok()?),
        "$numberLong" => Value::i64(integer(text(value)?)?),
        "$oid" => Value::owned(Type::ObjectId, &object_id(text(value)?)?),
        "$regularExpression" => {
            let [pattern, options] = pick(object(value)?, ["pattern", "options"])?;
            regex(text(pattern)?, text(options)?)?
        }
        "$symbol" => Value::from_vec(Type::Symbol, string_bytes(text(value)?)),
        "$timestamp" => {
            let [seconds, increment] = pick(object(value)?, ["t", "i"])?.map(unsigned);
            let bits = u64::from(seconds?) << 32 | u64::from(increment?);
            Value::owned(Type::Timestamp, &bits.to_le_bytes())
        }
        "$undefined" if matches!(value.kind, Kind::Bool(true)) => {
            Value::owned(Type::Undefined, &[])
        }
        "$uuid" => binary(uuid(text(value)?)?.to_vec(), "04")?,
        _ => return None,
    })
}

/// `{"$binary": "..", "$type": ".."}`, from before version 2.
fn old_binary(fields: &[Field<'_>]) -> Option<Value<'static>> {
    let [data, subtype] = pick(fields, ["$binary", "$type"])?;
    binary(base64::decode(text(data)?)?, text(subtype)?)
}

/// The values of an object that has exactly these keys, in any order.
fn pick<'a, const N: usize>(fields: &'a [Field<'_>], keys: [&str; N]) -> Option<[&'a Json<'a>; N]> {
    if fields.len() != N {
        return None;
    }
    let found = keys.map(|key| fields.iter().find(|(name, _)| name == key));
    let values = found.into_iter().map(|field| Some(&field?.1)).collect::<Option<Vec<_>>>()?;
    values.try_into().ok()
}

fn object<'a>(json: &'a Json<'a>) -> Option<&'a [Field<'a>]> {
    match &json.kind {
        Kind::Object(fields) => Some(fields),
        _ => None,
    }
}

fn text<'a>(json: &'a Json<'_>) -> Option<&'a str> {
    match &json.kind {
        Kind::String(text) => Some(text),
        _ => None,
    }
}

fn unsigned(json: &Json<'_>) -> Option<u32> {
    match &json.kind {
        Kind::Number(text) => text.parse().ok(),
        _ => None,
    }
}

/// The bytes of a string value.
fn string_bytes(text: &str) -> Vec<u8> {
    let len = u32::try_from(text.len() + 1).unwrap_or(u32::MAX);
    [len.to_le_bytes().as_slice(), text.as_bytes(), &[0]].concat()
}

/// A binary value; `subtype` is one or two hex digits.
fn binary(data: Vec<u8>, subtype: &str) -> Option<Value<'static>> {
    let hex = (1..=2).contains(&subtype.len()) && subtype.bytes().all(|b| b.is_ascii_hexdigit());
    let subtype = u8::from_str_radix(subtype, 16).ok().filter(|_| hex)?;
    let mut doc = DocWriter::new();
    doc.binary("", subtype, &data);
    doc.finish().as_doc().get("").map(|raw| Value::from(raw).into_owned())
}

fn regex(pattern: &str, options: &str) -> Option<Value<'static>> {
    if pattern.contains('\0') || options.contains('\0') {
        return None;
    }
    let mut options: Vec<char> = options.chars().collect();
    options.sort_unstable();
    let options: String = options.into_iter().collect();
    Some(Value::from_vec(Type::Regex, format!("{pattern}\0{options}\0").into_bytes()))
}

fn integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn double(text: &str) -> Option<f64> {
    match text {
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        "NaN" => Some(f64::NAN),
        // What Rust reads beyond that are other spellings of infinity and NaN.
        _ if text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E')) => {
            text.parse().ok()
        }
        _ => None,
    }
}

fn object_id(text: &str) -> Option<[u8; 12]> {
    hex(text)?.try_into().ok()
}

fn uuid(text: &str) -> Option<[u8; 16]> {
    let groups: Vec<&str> = text.split('-').collect();
    if !groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12]) {
        return None;
    }
    hex(&groups.concat())?.try_into().ok()
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |b: u8| char::from(b).to_digit(16);
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match *pair {
            [high, low] => u8::try_from(digit(high)? << 4 | digit(low)?).ok(),
            _ => None,
        })
        .collect()
}
