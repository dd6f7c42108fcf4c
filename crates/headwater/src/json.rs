//! BSON as JSON text in three forms. Writes without recursion, so no depth is too deep; fails on no value.

mod date;
mod scalar;

use std::fmt::{self, Write};

use mongodb::bson::{Bson, Document};

/// How BSON values look in JSON.
///
/// | BSON | [`Plain`](JsonMode::Plain) | [`Relaxed`](JsonMode::Relaxed) | [`Canonical`](JsonMode::Canonical) |
/// |---|---|---|---|
/// | ObjectId | `"65a1…"` | `{"$oid": "65a1…"}` | as relaxed |
/// | date | `"2026-01-31T12:00:00.5Z"`, any year | `{"$date": "2026-…Z"}`, number outside 1970–9999 | `{"$date": {"$numberLong": "…"}}` |
/// | 32-bit integer | `7` | `7` | `{"$numberInt": "7"}` |
/// | 64-bit integer | `7` | `7` | `{"$numberLong": "7"}` |
/// | double | `7.5`, `"NaN"`, `"Infinity"` | `7.5`, `{"$numberDouble": "NaN"}` | `{"$numberDouble": "7.5"}` |
/// | Decimal128 | `"7.50"` | `{"$numberDecimal": "7.50"}` | as relaxed |
/// | binary | Base64 text; a UUID as such | `{"$binary": {…}}` | as relaxed |
/// | timestamp | `{"t": 1, "i": 2}` | `{"$timestamp": {"t": 1, "i": 2}}` | as relaxed |
/// | regular expression | `"/pattern/options"` | `{"$regularExpression": {…}}` | as relaxed |
/// | code, symbol | its text; with a scope `{"code": …, "scope": …}` | `{"$code": …}`, `{"$symbol": …}` | as relaxed |
/// | undefined, smallest and largest key | `null`, `"MinKey"`, `"MaxKey"` | `{"$undefined": true}`, … | as relaxed |
/// | DBPointer | `{"ref": …, "id": …}` | `{"$dbPointer": {…}}` | as relaxed |
///
/// The last two are MongoDB's Extended JSON (specification of version 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum JsonMode {
    /// What people and web pages expect; types that JSON has not become text.
    #[default]
    Plain,
    /// Extended JSON that is easy to read; loses the width of numbers.
    Relaxed,
    /// Extended JSON that loses nothing.
    Canonical,
}

/// BSON that can be written as JSON text.
///
/// ```
/// use headwater::mongodb::bson::{doc, oid::ObjectId};
/// use headwater::{JsonMode, ToJson};
///
/// let id = ObjectId::from_bytes([1; 12]);
/// let book = doc! { "_id": id, "pages": 7_i64, "tags": [[id]] };
/// let text = id.to_hex();
/// assert_eq!(
///     book.to_json(JsonMode::Plain),
///     format!(r#"{{"_id":"{text}","pages":7,"tags":[["{text}"]]}}"#),
/// );
/// assert!(book.to_json(JsonMode::Canonical).contains(r#""pages":{"$numberLong":"7"}"#));
/// ```
pub trait ToJson {
    /// Writes the value to `out`; fails only where `out` does.
    ///
    /// # Errors
    /// Those of `out`.
    fn write_json(&self, mode: JsonMode, out: &mut dyn Write) -> fmt::Result;

    /// The value as text.
    fn to_json(&self, mode: JsonMode) -> String {
        let mut text = String::new();
        // A string takes everything.
        let _ = self.write_json(mode, &mut text);
        text
    }
}

impl ToJson for Bson {
    fn write_json(&self, mode: JsonMode, out: &mut dyn Write) -> fmt::Result {
        let mut writer = Writer { out, mode, open: Vec::new() };
        writer.value(self)?;
        writer.rest()
    }
}

impl ToJson for Document {
    fn write_json(&self, mode: JsonMode, out: &mut dyn Write) -> fmt::Result {
        let mut writer = Writer { out, mode, open: Vec::new() };
        writer.document(self, "}")?;
        writer.rest()
    }
}

impl<T: ToJson> ToJson for [T] {
    fn write_json(&self, mode: JsonMode, out: &mut dyn Write) -> fmt::Result {
        out.write_char('[')?;
        for (index, item) in self.iter().enumerate() {
            if index > 0 {
                out.write_char(',')?;
            }
            item.write_json(mode, out)?;
        }
        out.write_char(']')
    }
}

impl<T: ToJson> ToJson for Vec<T> {
    fn write_json(&self, mode: JsonMode, out: &mut dyn Write) -> fmt::Result {
        self.as_slice().write_json(mode, out)
    }
}

struct Writer<'a, 'o> {
    out: &'o mut dyn Write,
    mode: JsonMode,
    open: Vec<Open<'a>>,
}

/// A document or array whose end is not written yet.
enum Open<'a> {
    Document { fields: mongodb::bson::document::Iter<'a>, begun: bool, end: &'static str },
    Array { items: std::slice::Iter<'a, Bson>, begun: bool },
}

impl<'a> Writer<'a, '_> {
    /// Writes a scalar, or the beginning of what holds others.
    fn value(&mut self, value: &'a Bson) -> fmt::Result {
        match value {
            Bson::Document(document) => self.document(document, "}"),
            Bson::Array(items) => {
                self.open.push(Open::Array { items: items.iter(), begun: false });
                self.out.write_char('[')
            }
            Bson::JavaScriptCodeWithScope(code) => {
                let (name, scope) = match self.mode {
                    JsonMode::Plain => (r#"{"code":"#, r#","scope":"#),
                    _ => (r#"{"$code":"#, r#","$scope":"#),
                };
                self.out.write_str(name)?;
                scalar::text(&code.code, self.out)?;
                self.out.write_str(scope)?;
                self.document(&code.scope, "}}")
            }
            scalar => scalar::write(scalar, self.mode, self.out),
        }
    }

    fn document(&mut self, document: &'a Document, end: &'static str) -> fmt::Result {
        self.open.push(Open::Document { fields: document.iter(), begun: false, end });
        self.out.write_char('{')
    }

    /// Writes what is open to its end.
    fn rest(&mut self) -> fmt::Result {
        while let Some(open) = self.open.last_mut() {
            let (next, begun, end) = match open {
                Open::Document { fields, begun, end } => {
                    (fields.next().map(|(name, value)| (Some(name), value)), begun, *end)
                }
                Open::Array { items, begun } => {
                    (items.next().map(|value| (None, value)), begun, "]")
                }
            };
            let Some((name, value)) = next else {
                self.open.pop();
                self.out.write_str(end)?;
                continue;
            };
            if std::mem::replace(begun, true) {
                self.out.write_char(',')?;
            }
            if let Some(name) = name {
                scalar::text(name, self.out)?;
                self.out.write_char(':')?;
            }
            self.value(value)?;
        }
        Ok(())
    }
}
