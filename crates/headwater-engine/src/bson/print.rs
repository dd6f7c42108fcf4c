//! Values as MongoDB prints them in messages, in two forms.
//!
//! The *stored* form is that of documents as they are stored or sent: `{ a: 1.0, b: [ ObjectId('..') ] }`; long texts
//! are cut. The *computed* form is that of values inside expressions: `{a: 1, b: [..]}`. Neither can be read back.

use std::fmt::Write as _;

use super::extjson::{Style, print_value};
use super::{Array, Decimal, Doc, Raw, Value, View, iso};
use crate::limits::COMMAND_DEPTH_MAX;

/// A document in the stored form.
///
/// ```
/// use headwater_engine::bson::{extjson, print};
/// let doc = extjson::parse(r#"{"a": 1.0, "b": ["x", {}], "c": {"d": null}}"#).unwrap();
/// assert_eq!(print::document(doc.as_doc()), r#"{ a: 1.0, b: [ "x", {} ], c: { d: null } }"#);
/// ```
pub fn document(doc: Doc<'_>) -> String {
    let mut out = String::new();
    stored_document(&mut out, doc, 0);
    out
}

/// An array in the stored form.
pub fn array(values: Array<'_>) -> String {
    value(values.as_raw())
}

/// A value in the stored form.
pub fn value(raw: Raw<'_>) -> String {
    let mut out = String::new();
    stored(&mut out, raw, 0);
    out
}

/// A field in the stored form: `a: 1`. Messages put braces around it: `element {a: 1}`.
pub fn element(name: &str, raw: Raw<'_>) -> String {
    format!("{name}: {}", value(raw))
}

/// A value in the computed form; a missing one is `MISSING`.
pub fn computed(value: &Value<'_>) -> String {
    let Some(raw) = value.raw() else {
        return "MISSING".to_owned();
    };
    let mut out = String::new();
    computed_raw(&mut out, raw, 0);
    out
}

/// A document in the computed form: `{a: 1}`.
pub fn computed_document(doc: Doc<'_>) -> String {
    let mut out = String::new();
    computed_raw(&mut out, doc.as_raw(), 0);
    out
}

/// A double with at most `digits` significant digits, as C's `%g` prints it.
///
/// ```
/// use headwater_engine::bson::print::general;
/// assert_eq!(general(123456789.0, 6), "1.23457e+08");
/// assert_eq!(general(0.1, 16), "0.1");
/// ```
pub fn general(value: f64, digits: usize) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf".to_owned() } else { "-inf".to_owned() };
    }
    let digits = digits.max(1);
    let scientific = format!("{:.*e}", digits - 1, value);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < -4 || exponent >= digits as i32 {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trim_zeros(mantissa), exponent.abs());
    }
    let decimals = (digits as i32 - 1 - exponent).unsigned_abs() as usize;
    trim_zeros(&format!("{value:.decimals$}")).to_owned()
}

fn trim_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

/// Writing to a string does not fail.
macro_rules! put {
    ($out:expr, $($what:tt)*) => { { let _ = write!($out, $($what)*); } };
}

fn stored_document(out: &mut String, doc: Doc<'_>, depth: usize) {
    list(out, doc.iter(), ("{ ", "{}", " }"), |out, element| {
        put!(out, "{}: ", element.name_str());
        stored(out, element.value, depth + 1);
    });
}

/// Items with commas between them, or `brackets.1` if there are none.
fn list<T>(
    out: &mut String,
    items: impl Iterator<Item = T>,
    brackets: (&str, &str, &str),
    mut put_item: impl FnMut(&mut String, T),
) {
    let mut items = items.peekable();
    if items.peek().is_none() {
        return out.push_str(brackets.1);
    }
    for (at, item) in items.enumerate() {
        out.push_str(if at == 0 { brackets.0 } else { ", " });
        put_item(out, item);
    }
    out.push_str(brackets.2);
}

fn stored(out: &mut String, raw: Raw<'_>, depth: usize) {
    if depth > COMMAND_DEPTH_MAX {
        return out.push_str("...");
    }
    match raw.view() {
        View::Double(value) => {
            let text = general(value, 16);
            let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
            put!(out, "{text}{}", if plain { ".0" } else { "" });
        }
        View::String(text) | View::Symbol(text) => {
            // The limits count the NUL behind the text.
            let (text, dots) = cut(text, 160 - 1, 150);
            put!(out, "\"{text}{dots}\"");
        }
        View::Document(doc) => stored_document(out, doc, depth),
        View::Array(values) => {
            list(out, values.iter(), ("[ ", "[]", " ]"), |out, raw| stored(out, raw, depth + 1));
        }
        View::Binary { subtype: 4, bytes } if bytes.len() == 16 => {
            out.push_str("UUID(\"");
            for (at, byte) in bytes.iter().enumerate() {
                let dash = if matches!(at, 4 | 6 | 8 | 10) { "-" } else { "" };
                put!(out, "{dash}{byte:02x}");
            }
            out.push_str("\")");
        }
        View::Binary { subtype, bytes } => {
            put!(out, "BinData({subtype}, ");
            let cut = bytes.len() > 80;
            hex_upper(out, bytes.get(..70).filter(|_| cut).unwrap_or(bytes));
            out.push_str(if cut { "...)" } else { ")" });
        }
        View::ObjectId(id) => {
            out.push_str("ObjectId('");
            hex_lower(out, &id);
            out.push_str("')");
        }
        View::Date(millis) => put!(out, "new Date({millis})"),
        View::DbPointer { namespace, id } => {
            put!(out, "DBRef('{namespace}',");
            hex_lower(out, &id);
            out.push(')');
        }
        View::Code(code) => {
            let (code, dots) = cut(code, 80 - 1, 70);
            put!(out, "{code}{dots}");
        }
        View::CodeWithScope { code, scope } => {
            put!(out, "CodeWScope( {code}, ");
            stored_document(out, scope, depth + 1);
            out.push(')');
        }
        _ => both(out, raw),
    }
}

/// The head and dots of a text longer than `max` bytes.
fn cut(text: &str, max: usize, head: usize) -> (&str, &'static str) {
    if text.len() <= max {
        return (text, "");
    }
    let end = (0..=head).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    (text.get(..end).unwrap_or_default(), "...")
}

/// What both forms print alike.
fn both(out: &mut String, raw: Raw<'_>) {
    match raw.view() {
        View::Undefined => out.push_str("undefined"),
        View::Bool(value) => put!(out, "{value}"),
        View::Null => out.push_str("null"),
        View::Regex { pattern, options } => put!(out, "/{pattern}/{options}"),
        View::Int32(value) => put!(out, "{value}"),
        View::Timestamp(value) => put!(out, "Timestamp({}, {})", value >> 32, value & 0xFFFF_FFFF),
        View::Int64(value) => put!(out, "{value}"),
        View::Decimal(bytes) => put!(out, "{}", Decimal::from_bytes(bytes)),
        View::MinKey => out.push_str("MinKey"),
        View::MaxKey => out.push_str("MaxKey"),
        _ => out.push_str(&print_value(raw, Style::Relaxed)),
    }
}

fn computed_raw(out: &mut String, raw: Raw<'_>, depth: usize) {
    if depth > COMMAND_DEPTH_MAX {
        return out.push_str("...");
    }
    match raw.view() {
        View::Double(value) => out.push_str(&general(value, 6)),
        View::String(text) => put!(out, "\"{text}\""),
        View::Symbol(text) => put!(out, "Symbol(\"{text}\")"),
        View::Document(doc) => list(out, doc.iter(), ("{", "{}", "}"), |out, element| {
            put!(out, "{}: ", element.name_str());
            computed_raw(out, element.value, depth + 1);
        }),
        View::Array(values) => list(out, values.iter(), ("[", "[]", "]"), |out, raw| {
            computed_raw(out, raw, depth + 1);
        }),
        View::Binary { subtype, .. } => {
            put!(out, "BinData({subtype}, \"");
            hex_upper(out, raw.data.get(5..).unwrap_or_default());
            out.push_str("\")");
        }
        View::ObjectId(id) => hex_lower(out, &id),
        View::Date(millis) => {
            let text = iso::format_with_millis(millis);
            out.push_str(text.as_deref().unwrap_or("illegal date"));
        }
        View::DbPointer { namespace, id } => {
            put!(out, "DBRef(\"{namespace}\", ");
            hex_lower(out, &id);
            out.push(')');
        }
        View::Code(code) => put!(out, "Code(\"{code}\")"),
        View::CodeWithScope { code, scope } => {
            put!(out, "CodeWScope(\"{code}\", ");
            stored_document(out, scope, depth + 1);
            out.push(')');
        }
        _ => both(out, raw),
    }
}

fn hex_lower(out: &mut String, bytes: &[u8]) {
    bytes.iter().for_each(|byte| put!(out, "{byte:02x}"));
}

fn hex_upper(out: &mut String, bytes: &[u8]) {
    bytes.iter().for_each(|byte| put!(out, "{byte:02X}"));
}
