//! Values as text inside error messages, in the two styles that MongoDB uses: that of a stored element
//! (`{ a: 1, b: [ 2.0 ] }`) and that of a computed value (`{a: 1, b: [2]}`).

use std::fmt::Write as _;

use crate::bson::{Decimal, Doc, Raw, Value, View};

/// A document as it stands in a command: `{ a: 1, b: "x" }`.
pub fn document_text(doc: Doc<'_>) -> String {
    let mut out = String::new();
    element(&mut out, doc.as_raw());
    out
}

/// A value as it stands in a command.
pub fn bson_text(raw: Raw<'_>) -> String {
    let mut out = String::new();
    element(&mut out, raw);
    out
}

/// A computed value: `{a: 1, b: "x"}`, `MISSING` if there is none.
pub fn value_text(value: &Value<'_>) -> String {
    let mut out = String::new();
    match value.raw() {
        Some(raw) => computed(&mut out, raw),
        None => out.push_str("MISSING"),
    }
    out
}

fn element(out: &mut String, raw: Raw<'_>) {
    match raw.view() {
        View::Document(doc) => {
            out.push('{');
            for (i, e) in doc.iter().enumerate() {
                let _ = write!(out, "{} {}: ", if i == 0 { "" } else { "," }, e.name_str());
                element(out, e.value);
            }
            out.push_str(if doc.is_empty() { "}" } else { " }" });
        }
        View::Array(array) => {
            out.push('[');
            for (i, value) in array.iter().enumerate() {
                out.push_str(if i == 0 { " " } else { ", " });
                element(out, value);
            }
            out.push_str(if array.is_empty() { "]" } else { " ]" });
        }
        View::Double(value) => out.push_str(&full_double_text(value)),
        View::Date(ms) => {
            let _ = write!(out, "new Date({ms})");
        }
        View::Binary { subtype, bytes } => {
            let _ = write!(out, "BinData({subtype}, {})", hex(bytes));
        }
        View::ObjectId(id) => {
            let _ = write!(out, "ObjectId('{}')", hex(&id).to_lowercase());
        }
        View::Timestamp(ts) => {
            let _ = write!(out, "Timestamp({}, {})", ts >> 32, ts & 0xFFFF_FFFF);
        }
        View::Code(code) => out.push_str(code),
        View::Symbol(symbol) => {
            let _ = write!(out, "\"{symbol}\"");
        }
        View::CodeWithScope { code, scope } => {
            let _ = write!(out, "CodeWScope( {code}, {})", document_text(scope));
        }
        View::DbPointer { namespace, id } => {
            let _ = write!(out, "DBRef('{namespace}',{})", hex(&id).to_lowercase());
        }
        _ => computed(out, raw),
    }
}

fn computed(out: &mut String, raw: Raw<'_>) {
    let _ = match raw.view() {
        View::Document(doc) => {
            out.push('{');
            for (i, e) in doc.iter().enumerate() {
                let _ = write!(out, "{}{}: ", if i == 0 { "" } else { ", " }, e.name_str());
                computed(out, e.value);
            }
            out.push('}');
            Ok(())
        }
        View::Array(array) => {
            out.push('[');
            for (i, value) in array.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { ", " });
                computed(out, value);
            }
            out.push(']');
            Ok(())
        }
        View::String(text) => write!(out, "\"{text}\""),
        View::Int32(value) => write!(out, "{value}"),
        View::Int64(value) => write!(out, "{value}"),
        View::Double(value) => write!(out, "{}", double_text(value)),
        View::Decimal(bytes) => write!(out, "{}", Decimal::from_bytes(bytes)),
        View::Bool(value) => write!(out, "{value}"),
        View::Null => write!(out, "null"),
        View::Undefined => write!(out, "undefined"),
        View::MinKey => write!(out, "MinKey"),
        View::MaxKey => write!(out, "MaxKey"),
        View::Date(ms) => write!(out, "{}", super::date::iso_text(ms)),
        View::ObjectId(id) => write!(out, "{}", hex(&id).to_lowercase()),
        View::Binary { subtype, bytes } => write!(out, "BinData({subtype}, \"{}\")", hex(bytes)),
        View::Timestamp(ts) => write!(out, "Timestamp({}, {})", ts >> 32, ts & 0xFFFF_FFFF),
        View::Regex { pattern, options } => write!(out, "/{pattern}/{options}"),
        View::Code(code) => write!(out, "Code(\"{code}\")"),
        View::Symbol(symbol) => write!(out, "Symbol(\"{symbol}\")"),
        View::CodeWithScope { code, scope } => {
            write!(out, "CodeWScope(\"{code}\", {})", document_text(scope))
        }
        View::DbPointer { namespace, id } => {
            write!(out, "DBRef(\"{namespace}\", {})", hex(&id).to_lowercase())
        }
    };
}

/// A double as C's `%g` prints it: six digits, `1`, `0.5`, `9.22337e+18`, `inf`, `nan`.
pub(crate) fn double_text(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    if value == 0.0 {
        return if value.is_sign_negative() { "-0" } else { "0" }.to_owned();
    }
    let scientific = format!("{value:.5e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |digits: &str| match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => digits.to_owned(),
    };
    if (-4..6).contains(&exponent) {
        let places = usize::try_from(5 - exponent).unwrap_or(0);
        return trim(&format!("{value:.places$}"));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trim(mantissa), exponent.abs())
}

/// A double with all its digits, a whole one with `.0`.
fn full_double_text(value: f64) -> String {
    if !value.is_finite() {
        return double_text(value);
    }
    let plain = format!("{value}");
    if value != 0.0 && !(1e-5..1e16).contains(&value.abs()) {
        let scientific = format!("{value:e}");
        let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    if plain.contains('.') { plain } else { plain + ".0" }
}

fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(out, "{byte:02X}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_have_six_digits_in_computed_text() {
        let cases = [
            (1.0, "1"),
            (1.5, "1.5"),
            (3.141_592_65, "3.14159"),
            (2_147_483_648.0, "2.14748e+09"),
            (1e-7, "1e-07"),
            (100_000.0, "100000"),
            (1_000_000.0, "1e+06"),
        ];
        for (value, text) in cases {
            assert_eq!(double_text(value), text);
        }
        assert_eq!(full_double_text(2.0), "2.0");
    }
}
