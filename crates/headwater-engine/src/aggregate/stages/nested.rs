//! Values at dotted paths of documents, where only documents are entered: what `$unwind` and `$lookup` read and write.

use crate::aggregate::expressions::Path;
use crate::bson::{Doc, DocBuf, DocWriter, Raw};

/// The value at a path; arrays are not entered.
pub(super) fn get<'a>(doc: Doc<'a>, path: &Path) -> Option<Raw<'a>> {
    let mut names = path.names();
    let mut raw = doc.get_bytes(names.next()?)?;
    for name in names {
        raw = raw.as_doc()?.get_bytes(name)?;
    }
    Some(raw)
}

/// The document with another value at a path, or without it if `value` is `None`. What stands on the way and is no
/// document becomes one.
pub(super) fn set(doc: Doc<'_>, path: &Path, value: Option<Raw<'_>>) -> DocBuf {
    let names: Vec<&[u8]> = path.names().collect();
    let mut written = DocWriter::append_to(Vec::with_capacity(doc.as_bytes().len() + 64));
    write(&mut written, doc, &names, value);
    written.finish()
}

fn write(out: &mut DocWriter, doc: Doc<'_>, names: &[&[u8]], value: Option<Raw<'_>>) {
    let Some((name, rest)) = names.split_first() else { return };
    let mut found = false;
    for element in doc {
        if element.name == *name && !found {
            found = true;
            write_one(out, name, element.value.as_doc(), rest, value);
        } else {
            out.raw_bytes(element.name, element.value);
        }
    }
    if !found && value.is_some() {
        write_one(out, name, None, rest, value);
    }
}

fn write_one(
    out: &mut DocWriter,
    name: &[u8],
    old: Option<Doc<'_>>,
    rest: &[&[u8]],
    value: Option<Raw<'_>>,
) {
    if rest.is_empty() {
        if let Some(value) = value {
            out.raw_bytes(name, value);
        }
        return;
    }
    let name = std::str::from_utf8(name).unwrap_or("\u{FFFD}");
    out.document(name, |inner| write(inner, old.unwrap_or(Doc::EMPTY), rest, value));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_a_path_replaces_what_is_no_document() {
        let mut doc = DocWriter::new();
        doc.i32("a", 1);
        doc.i32("z", 2);
        let doc = doc.finish();
        let path = Path::parse("a.b").unwrap();
        let set = set(doc.as_doc(), &path, Some(Raw::NULL));
        assert_eq!(format!("{set:?}"), r#"{"a": Document({"b": Null}), "z": Int32(2)}"#);
        assert!(get(set.as_doc(), &path).is_some());
    }
}
