//! Any bytes as a document: what is accepted can be walked to its end, copied, printed and read back; nothing panics.
#![no_main]

use headwater_engine::bson::extjson::{self, Style};
use headwater_engine::bson::{Doc, DocWriter, print, validate, validate_command};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // Even bytes that were not validated may be walked.
    let unchecked = Doc::trusted(bytes).iter().count();
    let Ok(doc) = validate_command(bytes) else { return };
    assert_eq!(doc.iter().count(), unchecked);
    let mut copy = DocWriter::new();
    for element in doc {
        copy.raw_bytes(element.name, element.value);
    }
    assert_eq!(copy.finish().as_doc().as_bytes(), bytes);
    if validate(bytes).is_ok() {
        let text = extjson::print(doc, Style::Canonical);
        // Names such as `$oid` in a document make text that stands for something else, or for nothing.
        if let Ok(back) = extjson::parse(&text) {
            validate_command(back.as_doc().as_bytes()).expect("what was read is valid");
        }
        assert!(!print::document(doc).is_empty());
        assert!(!print::computed_document(doc).is_empty());
    }
});
