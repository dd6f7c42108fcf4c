//! Validation: what the writer wrote passes, what is cut or changed never panics.

use headwater_engine::bson::{Doc, compare_docs, key, validate};
use headwater_engine::limits::DEPTH_MAX;

use super::generate::Source;

#[test]
fn written_documents_are_valid_and_no_truncation_is() {
    let mut source = Source::new(11);
    for _ in 0..3_000 {
        let doc = source.document(3);
        let bytes = doc.as_doc().as_bytes();
        validate(bytes).unwrap();
        for len in 0..bytes.len() {
            assert!(validate(&bytes[..len]).is_err(), "{len} of {bytes:02x?}");
            // The same with a length that tells the truth about the cut.
            let mut cut = bytes[..len].to_vec();
            if len >= 5 {
                cut[..4].copy_from_slice(&(len as u32).to_le_bytes());
                let whole = cut.last() == Some(&0) && walked_to_end(&cut);
                assert!(whole || validate(&cut).is_err(), "{len} of {bytes:02x?}");
            }
        }
        let longer = [bytes, &[0]].concat();
        assert!(validate(&longer).is_err());
    }
}

/// Whether the elements end where the terminator stands.
fn walked_to_end(bytes: &[u8]) -> bool {
    let doc = Doc::trusted(bytes);
    let elements = doc.iter().map(|e| 2 + e.name.len() + e.value.data.len()).sum::<usize>();
    elements + 5 == bytes.len()
}

#[test]
fn changed_bytes_never_panic() {
    let mut source = Source::new(12);
    for _ in 0..30_000 {
        let mut bytes = source.document(3).into_bytes();
        for _ in 0..=source.below(4) {
            let at = source.below(bytes.len());
            bytes[at] = source.pick(&[0, 1, 2, 3, 5, 0x0B, 0x0F, 0x7F, 0xFF, source_byte(at)]);
        }
        let valid = validate(&bytes).is_ok();
        let doc = Doc::trusted(&bytes);
        let text = format!("{doc:?}");
        assert!(!text.is_empty());
        assert!(compare_docs(doc, doc).is_eq() || !valid);
        let key = key::encode(doc.as_raw());
        assert!(!key.is_empty());
    }
}

fn source_byte(at: usize) -> u8 {
    at as u8
}

#[test]
fn nesting_is_limited() {
    let nest = |levels: usize| {
        let mut bytes = vec![5, 0, 0, 0, 0];
        for _ in 1..levels {
            let len = (bytes.len() + 8) as u32;
            let head = [len.to_le_bytes().as_slice(), &[3, b'a', 0]].concat();
            bytes = [head.as_slice(), &bytes, &[0]].concat();
        }
        bytes
    };
    assert!(validate(&nest(DEPTH_MAX)).is_ok());
    assert!(validate(&nest(DEPTH_MAX + 1)).is_err());
}
