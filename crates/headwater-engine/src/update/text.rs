//! Values as error messages show them: `a: [ { b: 1 } ]`.

use std::fmt::Write;

use crate::bson::{Decimal, Doc, Raw, View};

/// An element as text: `a: 5`.
pub(super) fn element(name: &str, value: Raw<'_>) -> String {
    let mut out = format!("{name}: ");
    write_value(&mut out, value);
    out
}

/// The `_id` of a document as text: `_id: 1`.
pub(super) fn id(doc: Doc<'_>) -> String {
    doc.get("_id").map_or_else(|| "no id".to_owned(), |value| element("_id", value))
}

/// A document as text: `{ a: 1 }`.
pub(super) fn document(doc: Doc<'_>) -> String {
    let mut out = String::new();
    write_value(&mut out, doc.as_raw());
    out
}

/// A double as text: always with a point or an exponent.
fn double(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let digits = format!("{value:.15e}");
    let (mantissa, exponent) = digits.split_once('e').unwrap_or((&digits, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-5..16).contains(&exponent) {
        let decimals = usize::try_from(15 - exponent).unwrap_or(0);
        let fixed = format!("{value:.decimals$}");
        if !fixed.contains('.') {
            return format!("{fixed}.0");
        }
        let trimmed = fixed.trim_end_matches('0');
        return if trimmed.ends_with('.') { format!("{trimmed}0") } else { trimmed.to_owned() };
    }
    let mantissa = if mantissa.contains('.') {
        mantissa.trim_end_matches('0').trim_end_matches('.')
    } else {
        mantissa
    };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

fn hex(bytes: &[u8], upper: bool) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = if upper { write!(out, "{byte:02X}") } else { write!(out, "{byte:02x}") };
        out
    })
}

fn write_value(out: &mut String, value: Raw<'_>) {
    let _ = match value.view() {
        View::Double(v) => write!(out, "{}", double(v)),
        View::String(v) | View::Symbol(v) => write!(out, "\"{v}\""),
        View::Document(doc) => {
            write_all(out, ["{", "}"], doc, true);
            Ok(())
        }
        View::Array(array) => {
            write_all(out, ["[", "]"], Doc::trusted(array.as_bytes()), false);
            Ok(())
        }
        View::Binary { subtype, bytes } => write!(out, "BinData({subtype}, {})", hex(bytes, true)),
        View::Undefined => write!(out, "undefined"),
        View::ObjectId(id) => write!(out, "ObjectId('{}')", hex(&id, false)),
        View::Bool(v) => write!(out, "{v}"),
        View::Date(ms) => write!(out, "new Date({ms})"),
        View::Null => write!(out, "null"),
        View::Regex { pattern, options } => write!(out, "/{pattern}/{options}"),
        View::DbPointer { namespace, id } => {
            write!(out, "DBRef('{namespace}',{})", hex(&id, false))
        }
        View::Code(code) => write!(out, "{code}"),
        View::CodeWithScope { code, scope } => {
            write!(out, "CodeWScope( {code}, {})", document(scope))
        }
        View::Int32(v) => write!(out, "{v}"),
        View::Timestamp(v) => write!(out, "Timestamp({}, {})", v >> 32, v & 0xFFFF_FFFF),
        View::Int64(v) => write!(out, "{v}"),
        View::Decimal(bytes) => write!(out, "{}", Decimal::from_bytes(bytes)),
        View::MinKey => write!(out, "MinKey"),
        View::MaxKey => write!(out, "MaxKey"),
    };
}

fn write_all(out: &mut String, [open, close]: [&str; 2], doc: Doc<'_>, names: bool) {
    out.push_str(open);
    for (at, element) in doc.iter().enumerate() {
        out.push_str(if at == 0 { " " } else { ", " });
        if names {
            let _ = write!(out, "{}: ", element.name_str());
        }
        write_value(out, element.value);
    }
    out.push_str(if doc.is_empty() { "" } else { " " });
    out.push_str(close);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bson::DocWriter;

    #[test]
    fn values_look_as_mongodb_shows_them() {
        let mut doc = DocWriter::new();
        doc.array("a", |a| a.document(|d| d.i32("b", 1)));
        doc.array("e", |_| ());
        doc.document("o", |_| ());
        doc.str("s", "x");
        doc.f64("d", 1.0);
        doc.f64("h", 1.5);
        doc.f64("t", 0.1);
        doc.f64("z", 1e300);
        doc.date("w", 3);
        let doc = doc.finish();
        assert_eq!(
            document(doc.as_doc()),
            "{ a: [ { b: 1 } ], e: [], o: {}, s: \"x\", d: 1.0, h: 1.5, t: 0.1, z: 1e+300, w: new Date(3) }"
        );
        assert_eq!(id(doc.as_doc()), "no id");
    }
}
