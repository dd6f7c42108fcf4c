//! What is said of a document whose key is taken in a unique index.

use crate::aggregate::expressions::document_text;
use crate::bson::{Doc, DocBuf, DocWriter, Raw, Type, Value};
use crate::catalog::Collection;
use crate::collation::Collation;
use crate::error::{Code, Error};
use crate::index::Index;
use crate::index::keys::values_of;

/// The error of a key that another document has.
#[cold]
pub(crate) fn duplicate_key(
    collection: &Collection,
    index: &Index,
    encoded: &[u8],
    doc: Doc<'_>,
) -> Error {
    let values = values_of(index, doc, encoded);
    let (mut text, mut shown, mut hex) = (String::new(), values.clone(), Vec::new());
    let mut printed = values;
    if let Some(collation) = index.order.collation() {
        text = format!(" collation: {}", document_text(collation.spec()));
        hex = shown.as_doc().iter().map(|e| e.value.str_bytes().is_some()).collect();
        printed = keys_of_texts(shown.as_doc(), collation, &|key| {
            format!("CollationKey(0x{})", hexadecimal(key))
        });
        shown = keys_of_texts(shown.as_doc(), collation, &hexadecimal);
    }
    let message = format!(
        "E11000 duplicate key error collection: {} index: {}{text} dup key: {}",
        collection.namespace,
        index.name,
        document_text(printed.as_doc())
    );
    let mut details = DocWriter::new();
    details.doc("keyPattern", index.key_pattern());
    details.document("keyValue", |out| {
        for field in shown.as_doc() {
            // The key of an empty array is undefined, which no reply shows.
            let undefined = field.value.kind == Type::Undefined;
            out.raw_bytes(field.name, if undefined { Raw::NULL } else { field.value });
        }
    });
    if hex.contains(&true) {
        details.array("hexEncoded", |flags| {
            hex.iter().for_each(|&on| flags.raw(Value::bool(on).raw().unwrap_or(Raw::NULL)))
        });
    }
    if let Some(collation) = index.order.collation() {
        details.doc("collation", collation.spec());
    }
    if index.clustered {
        let message = format!(
            "E11000 duplicate key error collection: {}{text} dup key: {} found value: {{}}",
            collection.namespace,
            document_text(printed.as_doc())
        );
        details.document("foundValue", |_| {});
        return Error::new(Code::DUPLICATE_KEY, message).with_details(details.finish());
    }
    Error::new(Code::DUPLICATE_KEY, message).with_details(details.finish())
}

/// A key with collation keys in the place of texts, as the entries of an index in that order hold them.
pub(crate) fn collated_key(key: Doc<'_>, collation: &Collation) -> DocBuf {
    keys_of_texts(key, collation, &|key| String::from_utf8_lossy(key).into_owned())
}

/// The document with collation keys in the place of texts: at the top as `show` has it, deeper as they are.
fn keys_of_texts(doc: Doc<'_>, collation: &Collation, show: &dyn Fn(&[u8]) -> String) -> DocBuf {
    let bare = |key: &[u8]| String::from_utf8_lossy(key).into_owned();
    let mut out = DocWriter::new();
    for element in doc {
        let value = key_of_value(element.value, collation, show, &bare);
        out.raw_bytes(element.name, value.raw().unwrap_or(Raw::NULL));
    }
    out.finish()
}

fn key_of_value<'a>(
    value: Raw<'a>,
    collation: &Collation,
    show: &dyn Fn(&[u8]) -> String,
    bare: &dyn Fn(&[u8]) -> String,
) -> Value<'a> {
    if let Some(text) = value.str_bytes() {
        let key = collation.shown_key(&String::from_utf8_lossy(text));
        return Value::str(&show(&key)).into_owned();
    }
    match value.kind {
        Type::Document | Type::Array => {
            let inner = keys_of_texts(Doc::trusted(value.data), collation, bare);
            Value::owned(value.kind, inner.as_doc().as_bytes())
        }
        _ => value.into(),
    }
}

fn hexadecimal(key: &[u8]) -> String {
    key.iter().map(|byte| format!("{byte:02x}")).collect()
}
