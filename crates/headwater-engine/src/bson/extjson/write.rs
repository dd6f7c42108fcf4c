//! BSON to the text of Extended JSON.

use std::fmt::Write as _;

use super::super::{Array, Decimal, Doc, Raw, View, iso};
use super::base64;
use crate::limits::COMMAND_DEPTH_MAX;

/// How much of the types the text keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Every type is kept: `{"$numberInt":"1"}`.
    Canonical,
    /// Numbers and usual dates are written plainly: `1`.
    Relaxed,
}

/// Appends a value.
pub(super) fn value(out: &mut String, raw: Raw<'_>, style: Style, depth: usize) {
    // Writing to a string does not fail.
    let _ = match raw.view() {
        View::Double(value) => {
            double(out, value, style);
            Ok(())
        }
        View::String(text) => {
            string(out, text);
            Ok(())
        }
        View::Document(doc) => {
            document(out, doc, style, depth + 1);
            Ok(())
        }
        View::Array(values) => {
            array(out, values, style, depth + 1);
            Ok(())
        }
        View::Binary { subtype, bytes } => {
            out.push_str("{\"$binary\":{\"base64\":\"");
            base64::encode(out, bytes);
            write!(out, "\",\"subType\":\"{subtype:02x}\"}}}}")
        }
        View::Undefined => out.write_str("{\"$undefined\":true}"),
        View::ObjectId(id) => {
            out.push_str("{\"$oid\":\"");
            hex(out, &id);
            out.write_str("\"}")
        }
        View::Bool(value) => write!(out, "{value}"),
        View::Date(millis) => match iso::format(millis).filter(|_| style == Style::Relaxed) {
            Some(text) if millis >= 0 => write!(out, "{{\"$date\":\"{text}\"}}"),
            _ => write!(out, "{{\"$date\":{{\"$numberLong\":\"{millis}\"}}}}"),
        },
        View::Null => out.write_str("null"),
        View::Regex { pattern, options } => {
            out.push_str("{\"$regularExpression\":{\"pattern\":");
            string(out, pattern);
            out.push_str(",\"options\":");
            let mut sorted: Vec<char> = options.chars().collect();
            sorted.sort_unstable();
            string(out, &sorted.into_iter().collect::<String>());
            out.write_str("}}")
        }
        View::DbPointer { namespace, id } => {
            out.push_str("{\"$dbPointer\":{\"$ref\":");
            string(out, namespace);
            out.push_str(",\"$id\":{\"$oid\":\"");
            hex(out, &id);
            out.write_str("\"}}}")
        }
        View::Code(code) => {
            out.push_str("{\"$code\":");
            string(out, code);
            out.write_str("}")
        }
        View::Symbol(text) => {
            out.push_str("{\"$symbol\":");
            string(out, text);
            out.write_str("}")
        }
        View::CodeWithScope { code, scope } => {
            out.push_str("{\"$code\":");
            string(out, code);
            out.push_str(",\"$scope\":");
            document(out, scope, style, depth + 1);
            out.write_str("}")
        }
        View::Int32(value) if style == Style::Relaxed => write!(out, "{value}"),
        View::Int32(value) => write!(out, "{{\"$numberInt\":\"{value}\"}}"),
        View::Timestamp(value) => {
            let (seconds, increment) = (value >> 32, value & 0xFFFF_FFFF);
            write!(out, "{{\"$timestamp\":{{\"t\":{seconds},\"i\":{increment}}}}}")
        }
        View::Int64(value) if style == Style::Relaxed => write!(out, "{value}"),
        View::Int64(value) => write!(out, "{{\"$numberLong\":\"{value}\"}}"),
        View::Decimal(bytes) => {
            write!(out, "{{\"$numberDecimal\":\"{}\"}}", Decimal::from_bytes(bytes))
        }
        View::MinKey => out.write_str("{\"$minKey\":1}"),
        View::MaxKey => out.write_str("{\"$maxKey\":1}"),
    };
}

fn document(out: &mut String, doc: Doc<'_>, style: Style, depth: usize) {
    out.push('{');
    // Validated documents are never that deep.
    if depth <= COMMAND_DEPTH_MAX + 1 {
        for (at, element) in doc.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            string(out, element.name_str());
            out.push(':');
            value(out, element.value, style, depth);
        }
    }
    out.push('}');
}

fn array(out: &mut String, values: Array<'_>, style: Style, depth: usize) {
    out.push('[');
    if depth <= COMMAND_DEPTH_MAX + 1 {
        for (at, raw) in values.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            value(out, raw, style, depth);
        }
    }
    out.push(']');
}

/// The shortest digits that read back as the same double.
fn double(out: &mut String, value: f64, style: Style) {
    let text = if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity".to_owned() } else { "-Infinity".to_owned() }
    } else {
        // Rust writes `1e300` where others write `1e+300`.
        let text = format!("{value:?}");
        if text.contains("e-") { text } else { text.replace('e', "e+") }
    };
    if style == Style::Relaxed && value.is_finite() {
        out.push_str(&text);
    } else {
        let _ = write!(out, "{{\"$numberDouble\":\"{text}\"}}");
    }
}

fn hex(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        let _ = write!(out, "{byte:02x}");
    }
}

fn string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..=' ' if c != ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out.push('"');
}
