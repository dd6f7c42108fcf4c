//! The values that hold no others, as JSON.

use std::fmt::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, Regex, Timestamp};

use super::{JsonMode, date};

/// Writes a value that is neither document nor array nor code with a scope.
pub(super) fn write(value: &Bson, mode: JsonMode, out: &mut dyn Write) -> fmt::Result {
    let plain = mode == JsonMode::Plain;
    match value {
        Bson::Double(number) => double(*number, mode, out),
        Bson::String(string) => text(string, out),
        Bson::Boolean(truth) => write!(out, "{truth}"),
        Bson::Null => out.write_str("null"),
        Bson::Int32(number) if mode == JsonMode::Canonical => {
            write!(out, r#"{{"$numberInt":"{number}"}}"#)
        }
        Bson::Int32(number) => write!(out, "{number}"),
        Bson::Int64(number) if mode == JsonMode::Canonical => {
            write!(out, r#"{{"$numberLong":"{number}"}}"#)
        }
        Bson::Int64(number) => write!(out, "{number}"),
        Bson::Decimal128(number) if plain => write!(out, r#""{number}""#),
        Bson::Decimal128(number) => write!(out, r#"{{"$numberDecimal":"{number}"}}"#),
        Bson::ObjectId(id) if plain => write!(out, r#""{id}""#),
        Bson::ObjectId(id) => write!(out, r#"{{"$oid":"{id}"}}"#),
        Bson::DateTime(at) => datetime(at.timestamp_millis(), mode, out),
        Bson::Timestamp(Timestamp { time, increment }) => {
            let inner = format!(r#"{{"t":{time},"i":{increment}}}"#);
            if plain { out.write_str(&inner) } else { write!(out, r#"{{"$timestamp":{inner}}}"#) }
        }
        Bson::Binary(bytes) => binary(bytes, plain, out),
        Bson::RegularExpression(regex) => regular_expression(regex, plain, out),
        Bson::JavaScriptCode(code) if plain => text(code, out),
        Bson::JavaScriptCode(code) => named(r#"{"$code":"#, code, out),
        Bson::Symbol(symbol) if plain => text(symbol, out),
        Bson::Symbol(symbol) => named(r#"{"$symbol":"#, symbol, out),
        Bson::Undefined => out.write_str(if plain { "null" } else { r#"{"$undefined":true}"# }),
        Bson::MinKey => out.write_str(if plain { r#""MinKey""# } else { r#"{"$minKey":1}"# }),
        Bson::MaxKey => out.write_str(if plain { r#""MaxKey""# } else { r#"{"$maxKey":1}"# }),
        Bson::DbPointer(_) => db_pointer(value, plain, out),
        Bson::Document(_) | Bson::Array(_) | Bson::JavaScriptCodeWithScope(_) => Ok(()),
    }
}

/// Writes a string with its quotes.
pub(super) fn text(string: &str, out: &mut dyn Write) -> fmt::Result {
    out.write_char('"')?;
    let mut written = 0;
    for (at, byte) in string.bytes().enumerate() {
        let short = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..0x20 => "",
            _ => continue,
        };
        out.write_str(&string[written..at])?;
        if short.is_empty() {
            write!(out, "\\u{byte:04x}")?
        } else {
            out.write_str(short)?
        }
        written = at + 1;
    }
    out.write_str(&string[written..])?;
    out.write_char('"')
}

fn named(name: &str, string: &str, out: &mut dyn Write) -> fmt::Result {
    out.write_str(name)?;
    text(string, out)?;
    out.write_char('}')
}

fn double(number: f64, mode: JsonMode, out: &mut dyn Write) -> fmt::Result {
    let digits = if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "Infinity".to_owned() } else { "-Infinity".to_owned() }
    } else {
        // The shortest digits that give the same number, with `.0` or an exponent.
        format!("{number:?}")
    };
    match mode {
        JsonMode::Canonical => write!(out, r#"{{"$numberDouble":"{digits}"}}"#),
        _ if number.is_finite() => out.write_str(&digits),
        JsonMode::Relaxed => write!(out, r#"{{"$numberDouble":"{digits}"}}"#),
        JsonMode::Plain => write!(out, r#""{digits}""#),
    }
}

fn datetime(millis: i64, mode: JsonMode, out: &mut dyn Write) -> fmt::Result {
    if mode == JsonMode::Canonical || mode == JsonMode::Relaxed && !date::is_common(millis) {
        return write!(out, r#"{{"$date":{{"$numberLong":"{millis}"}}}}"#);
    }
    let (begin, end) =
        if mode == JsonMode::Plain { ("\"", "\"") } else { ("{\"$date\":\"", "\"}") };
    out.write_str(begin)?;
    date::write(millis, out)?;
    out.write_str(end)
}

fn binary(binary: &Binary, plain: bool, out: &mut dyn Write) -> fmt::Result {
    let encoded = STANDARD.encode(&binary.bytes);
    if !plain {
        let subtype = u8::from(binary.subtype);
        return write!(out, r#"{{"$binary":{{"base64":"{encoded}","subType":"{subtype:02x}"}}}}"#);
    }
    match (binary.subtype, <[u8; 16]>::try_from(binary.bytes.as_slice())) {
        (BinarySubtype::Uuid, Ok(bytes)) => {
            write!(out, r#""{}""#, mongodb::bson::Uuid::from_bytes(bytes))
        }
        _ => write!(out, r#""{encoded}""#),
    }
}

fn regular_expression(regex: &Regex, plain: bool, out: &mut dyn Write) -> fmt::Result {
    let mut options: Vec<char> = regex.options.as_str().chars().collect();
    options.sort_unstable();
    let options: String = options.into_iter().collect();
    let pattern = regex.pattern.as_str();
    if plain {
        return text(&format!("/{pattern}/{options}"), out);
    }
    out.write_str(r#"{"$regularExpression":{"pattern":"#)?;
    text(pattern, out)?;
    out.write_str(r#","options":"#)?;
    text(&options, out)?;
    out.write_str("}}")
}

/// The driver hides the parts of this old type, so they are read from its bytes: length, type, name, then the
/// namespace with its length, then 12 bytes.
fn db_pointer(value: &Bson, plain: bool, out: &mut dyn Write) -> fmt::Result {
    let mut holder = Document::new();
    holder.insert("", value.clone());
    let bytes = holder.to_vec().unwrap_or_default();
    let id = bytes.len().checked_sub(13).and_then(|at| bytes.get(at..at + 12));
    let namespace = bytes.len().checked_sub(14).and_then(|end| bytes.get(4 + 1 + 1 + 4..end));
    let namespace = String::from_utf8_lossy(namespace.unwrap_or_default());
    let id: String = id.unwrap_or_default().iter().map(|byte| format!("{byte:02x}")).collect();
    out.write_str(if plain { r#"{"ref":"# } else { r#"{"$dbPointer":{"$ref":"# })?;
    text(&namespace, out)?;
    if plain {
        write!(out, r#","id":"{id}"}}"#)
    } else {
        write!(out, r#","$id":{{"$oid":"{id}"}}}}}}"#)
    }
}
